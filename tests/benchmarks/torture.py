"""Runs `vsr run` on every file of a folder.

`python -m tests.benchmarks.torture FOLDER [-o TABLE.md]` makes a table of the results. A good result is a
correct output with as many frames as a plain decoder returns, or a refusal: one line and its exit code. A
traceback, a hang, a lost frame, or a process or file that is left is a bad one. Exits with 1 if there is one.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from tests.helpers.command import arguments, environment

_SECONDS = 7200
"""For a film of any length on a busy machine."""
_LONG = 2000
"""Frames of a film of which only ten seconds are tried."""
_REFUSALS = frozenset({2, 3, 4})
_AT_ONCE = frozenset({2, 3})
"""Refusals before work starts; damage is often met on the way."""
_CODEC = "ffv1"
_WAY = (
    "--scale",
    "1",
    "--model",
    "identity",
    "--codec",
    _CODEC,
    "--device",
    "cpu",
    "--chunk-seconds",
    "2",
    "--drop-incompatible",
    "--quiet",
)
"""Pixels as they are: what is tried is everything around the networks."""


@dataclass(frozen=True)
class Ending:
    """The result for one file."""

    path: Path
    code: int
    cpu_seconds: float
    frames: int
    """Of the result; 0 where there is none."""
    expected: int
    """Of a plain decoder; -1 where it gives up."""
    said: str
    wrong: str
    """Empty: a good end."""


def torture(files: list[Path], *more: str) -> Iterator[Ending]:
    """The result for each file, with further options of `vsr run`."""
    for path in files:
        with tempfile.TemporaryDirectory(prefix="vsr-torture-") as folder:
            yield _ending(path, Path(folder), more)


def _ending(path: Path, folder: Path, more: tuple[str, ...]) -> Ending:
    expected = _decoded(path)
    is_long = expected > _LONG
    more = (*more, "--range", "0-10") if is_long else more
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    child = subprocess.Popen(
        arguments("run", path, "-o", folder, *_WAY, *more), env=environment(TMPDIR=str(folder)), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    hung = False
    try:
        _, said = child.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        hung = True
        os.killpg(child.pid, signal.SIGKILL)
        _, said = child.communicate()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    left = _of_session(child.pid)
    results = [p for p in folder.iterdir() if not p.name.endswith(".vsr.json")]
    kept = [p for p in results if p.name.endswith(".vsr-work")]
    made = [p for p in results if p not in kept]
    frames = _decoded(made[0]) if child.returncode == 0 and len(made) == 1 else 0
    lines = [line for line in said.splitlines() if line.strip()]
    wrong = ""
    if hung:
        wrong = f"no end within {_SECONDS} s"
    elif "Traceback" in said or child.returncode not in {0, *_REFUSALS}:
        wrong = "no refusal"
    elif left:
        wrong = f"processes left: {left}"
    elif child.returncode == 0:
        if len(results) != 1:
            wrong = f"left behind: {[p.name for p in results]}"
        elif (frames != expected and not is_long and not lines) or not frames:
            wrong = f"{frames} frames of {expected}, without a word"
    elif len(lines) != 1 or not lines[0].startswith("vsr: "):
        wrong = f"{len(lines)} lines instead of one"
    elif made or (kept and child.returncode != 4):
        wrong = f"left behind: {[p.name for p in results]}"
    elif path.name not in lines[0]:
        wrong = "the line does not name the file"
    return Ending(path, child.returncode, cpu, frames, expected, " / ".join(lines), wrong)


def _of_session(leader: int) -> list[str]:
    """Living processes of a session."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = place.read_text().partition(" (")[2].rpartition(") ")
        except OSError:
            continue
        if int(rest.split()[3]) == leader and rest[0] != "Z":
            found.append(name)
    return found


def _decoded(path: Path) -> int:
    """Frames that a plain decoder returns of a file's film; -1 if it fails.

    Of an output, this is the stream that vsr encoded.
    """
    try:
        with av.open(f"file:{path}", metadata_errors="replace") as container:
            ours = (
                s for s in container.streams.video if getattr(s.codec_context, "name", "") == _CODEC
            )  # none where there is no decoder
            stream = next(ours, None) or container.streams.best("video") or container.streams.video[0]
            count = 0
            for packet in container.demux(stream):
                try:
                    count += len(packet.decode())
                except av.error.InvalidDataError:
                    continue
                except av.error.EOFError:
                    break
            return count
    except (av.error.FFmpegError, IndexError, ValueError):
        return -1


def row(ending: Ending, root: Path) -> str:
    """A line of the table."""
    name = ending.path.relative_to(root) if ending.path.is_relative_to(root) else ending.path
    end = "BAD: " + ending.wrong if ending.wrong else "done" if ending.code == 0 else "refused"
    said = ending.said.replace(str(root) + os.sep, "").removeprefix("vsr: ").replace("|", "\\|")
    return f"| {name} | {end} | {ending.code} | {ending.frames} / {ending.expected} | {ending.cpu_seconds:.1f} | {said} |"


HEAD = "| file | end | exit code | frames / plain decoder | CPU seconds | said |\n|---|---|---|---|---|---|"


def main() -> int:
    """Print the table as it comes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, help="The table as a file, too.")
    parser.add_argument("--only", default="", help="Files whose path has these letters.")
    parser.add_argument("options", nargs="*", help="Further options of `vsr run`, behind --.")
    given = parser.parse_args()
    files = [p for p in sorted(given.folder.rglob("*")) if p.is_file() and given.only in str(p)]
    lines, bad, refusing = [HEAD], 0, []
    print(HEAD, flush=True)
    for ending in torture(files, *given.options):
        bad += bool(ending.wrong)
        if ending.code in _AT_ONCE:
            refusing.append(ending.cpu_seconds)
        lines.append(row(ending, given.folder))
        print(lines[-1], flush=True)
    last = f"\n{len(files)} files, {bad} bad ends"
    print(last)
    if "VSR_FIGURES" in os.environ:
        with open(os.environ["VSR_FIGURES"], "a", encoding="utf-8") as figures:
            slowest = f"{np.percentile(refusing, 99):.1f}" if refusing else "-"
            figures.write(
                json.dumps({"count": len(files), "refused": len(refusing), "refusal_p99_seconds": slowest})
                + "\n"
            )
    if given.output:
        given.output.write_text("\n".join([*lines, last]) + "\n", encoding="utf-8")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
