"""Run `vsr run` on every file of a folder, and check the results with PyAV alone.

`python -m tests.benchmarks.every_file FOLDER [--write]`.

Frames, timestamps, size, shape, colour tags and images of the film, and bytes and timestamps of audio and
subtitles are compared with the source. If a run is refused with a remedy, the remedy is tried and must work.
--write puts the table into docs/reliability.md. The exit code is 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from tests.docs import test_reliability
from tests.helpers.figures import record
from tests.helpers.forked import only_file, vsr_forked
from tests.helpers.judge import Media, beginning, read, wrong_with

_LARGE = 640 * 480
"""Films with at least so many pixels are not enlarged: the test is of everything except the networks."""
_SECONDS = 900
_LONG = 400
"""Of films with more frames, only the first two seconds are upscaled and checked."""
_REMEDY = re.compile(r"name an output that ends in (\.\w+)")


@dataclass(frozen=True)
class Ending:
    """The result of one file."""

    path: str
    code: int
    frames: int
    expected: int
    """Frames that a plain decoder returns."""
    errors: int
    """Errors of the plain decoder."""
    said: str
    wrong: tuple[str, ...]
    remedy: str = ""
    """The remedy that was tried after a refusal."""


def ending(path: Path, root: Path) -> Ending:
    """Run a file, and again with each remedy that the refusal names."""
    source = read(path)
    name = path.relative_to(root).as_posix()
    code, said, result = _run(path, source)
    wrong: list[str] = _judged(source, result, code, said)
    remedy = ""
    if code == 2:
        ways = [("-o", found[1]) for found in [_REMEDY.search(said)] if found]
        ways += [("--drop-incompatible",)] if "--drop-incompatible" in said else []
        for way in ways:
            then, more, result = _run(path, source, way)
            remedy = " ".join(way)
            wrong += [
                f"with {remedy}: {w}"
                for w in (_judged(source, result, then, more) if not then else [f"exit {then}: {more}"])
            ]
    return Ending(
        name,
        code,
        len(result.times) if result else 0,
        len(source.times),
        source.errors,
        said.replace(str(path), path.name),
        tuple(wrong),
        remedy,
    )


def _run(path: Path, source: Media, way: tuple[str, ...] = ()) -> tuple[int, str, Media | None]:
    with tempfile.TemporaryDirectory(prefix="vsr-every-") as folder:
        target = Path(folder) / (f"out{way[1]}" if "-o" in way else ".")
        more = [w for w in way if w.startswith("--")]
        scale = _scale(source)
        more += ["--range", "0-2"] if len(source.times) > _LONG else []
        model = "lanczos" if scale > 1 else "identity"
        # Of several films the one is judged that FFmpeg chooses in the source; tracks keep their places.
        done = vsr_forked(
            "run", path, "-o", target, "--scale", str(scale), "--model", model, "--codec", "h264", "--preset", "ultrafast", "--crf", "12",
            "--device", "cpu", *more, seconds=_SECONDS,
        )  # fmt: skip
        said = " / ".join(line for line in (done.err + done.out).splitlines() if line.strip())
        made = only_file(Path(folder))
        return done.code, said, None if done.code or made is None else read(made, source.film)


def _scale(source: Media) -> int:
    return 1 if source.size[0] * source.size[1] >= _LARGE else 2


def _judged(source: Media, result: Media | None, code: int, said: str) -> list[str]:
    if code == 0:
        part = source if len(source.times) <= _LONG else beginning(source, Fraction(2))
        return ["no result"] if result is None else wrong_with(part, result, _scale(source), said)
    if code not in {2, 3, 4} or "Traceback" in said:
        return [f"exit {code}"]
    lines = [s for s in said.split(" / ") if s.startswith("vsr: ")]
    return [] if len(lines) == 1 else [f"{len(lines)} lines"]


def rows(endings: list[Ending]) -> list[list[str]]:
    """File, result, frames of the output and of a plain decoder, error message."""
    found = []
    for one in endings:
        end = (
            f"WRONG: {'; '.join(one.wrong)}"
            if one.wrong
            else "correct"
            if one.code == 0
            else f"refused, {one.code}"
        )
        end += f"; correct with `{one.remedy}`" if one.remedy and not one.wrong else ""
        said = one.said.partition("vsr: ")[2].partition(" / ")[0] if one.code else ""
        said = said.replace("|", "\\|")
        found.append([one.path, end, f"{one.frames} / {one.expected}", said])
    return found


def _known(log: Path | None) -> dict[str, Ending]:
    """Files without errors in an earlier call, by path."""
    if log is None or not log.exists():
        return {}
    found = [
        Ending(**{**json.loads(line), "wrong": tuple(json.loads(line)["wrong"])})
        for line in log.read_text(encoding="utf-8").splitlines()
    ]
    return {one.path: one for one in found if not one.wrong}


def main() -> int:
    """Print the table row by row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="Only files with this text in their path.")
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="Start no further file after so many minutes."
    )
    parser.add_argument("--write", action="store_true")
    parser.add_argument(
        "--log",
        type=Path,
        help="Results as JSON lines; files without errors in it are not run again.",
    )
    given = parser.parse_args()
    files = [p for p in sorted(given.folder.rglob("*")) if p.is_file() and given.only in str(p)]
    done = _known(given.log)
    endings, begun = [], time.monotonic()
    for path in files:
        name = path.relative_to(given.folder).as_posix()
        known = name in done
        if not known and time.monotonic() - begun > 60 * given.minutes:
            continue
        one = done[name] if known else ending(path, given.folder)
        endings.append(one)
        print(" | ".join(rows([one])[0]), flush=True)
        if given.log and not known:
            with given.log.open("a") as log:
                log.write(json.dumps(one.__dict__) + "\n")
    bad = sum(bool(one.wrong) for one in endings)
    print(f"\n{len(endings)} of {len(files)} files, {bad} wrong")
    record(
        count=len(endings),
        right=sum(one.code == 0 for one in endings),
        refused=sum(one.code != 0 for one in endings),
    )
    if given.write and not given.only:
        test_reliability.EVERY_FILE.write_text(
            json.dumps(rows(endings), indent=0, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        test_reliability.main()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
