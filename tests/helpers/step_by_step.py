"""Ends a whole run at each of its steps on the disk in turn.

`python -m tests.helpers.step_by_step FOLDER SEED [EVERY]`.

The folder holds `film.mp4` and, as `kept`, the work directory with all chunks of a run of it. Chunks are not
computed but replayed from there, so that a run takes milliseconds and no torch. For every step, a process is
forked that kills itself right before it, as SIGKILL would or as a power cut would: in the latter case, data
that was written but not flushed is cut at a random length. The same command must continue from there, end
with the bytes of an undisturbed run, keep a result that already has its final name, and leave nothing over.
Prints what was done as one JSON object.
"""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipelines.codec.encoder import EncodedChunk
from pipelines.output.journal import work_folder
from pipelines.pool.interface import Done, WorkerReady, WorkItem
from pipelines.run.job import upscale_video
from vsr.api import run_settings

SETTINGS = {
    "scale": 1,
    "model": "identity",
    "codec": "h264",
    "crf": 18.0,
    "preset": "ultrafast",
    "device": "cpu",
    "chunk_seconds": 0.3,
}
_FINISHING = 30
"""So many steps at the end put the result together, give it its name and tidy up."""
_STEPS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}


class Replayed:
    """A `work.Map` that hands out chunks made earlier."""

    def __init__(self, kept: Path, *, times: int = 1) -> None:
        """times: how often each chunk is handed out; every time but the first with nothing in it."""
        self._chunks, self._times = {}, times
        for path in kept.glob("[0-9]*.json"):
            table = json.loads(path.read_bytes())
            thumbnails = zlib.decompress(base64.b85decode(table["thumbnails"]))
            data = path.with_suffix(".chunk").read_bytes()
            self._chunks[table["index"]] = EncodedChunk(
                table["index"],
                data,
                tuple(table["pts"]),
                table["header_sha256"],
                thumbnails,
                corrupt=table["corrupt"],
            )

    def waiting(self) -> int:
        return 0

    def run_tasks(self, tasks: Any, *, admit: Any = None, **_: Any) -> Iterator[Any]:
        admit({"device": "none"})
        yield WorkerReady(0, 0, {"device": "none"})
        for task in tasks:
            for chunk in task.payload.chunks:
                yield WorkItem(0, task.key, self._chunks[chunk.index])
                for _ in range(1, self._times):
                    yield WorkItem(1, task.key, replace(self._chunks[chunk.index], data=b"", pts=()))
            yield Done(0, task.key)


class Steps:
    """Counts what a run does to files below a folder, and ends it before the step `last`."""

    def __init__(self, folder: Path, last: int | None, tear: random.Random | None) -> None:
        self._folder, self._last, self._tear = os.fsencode(folder), last, tear
        self.count = 0
        self._written: set[str] = set()
        """Files whose content may not have reached the disk."""
        self._on = True
        fsync, replace = os.fsync, os.replace

        def flushed(descriptor: int) -> None:
            fsync(descriptor)
            self._written.discard(os.readlink(f"/proc/self/fd/{descriptor}"))

        def renamed(source: Any, target: Any) -> None:
            replace(source, target)
            if os.fspath(source) in self._written:
                self._written.remove(os.fspath(source))
                self._written.add(os.fspath(target))

        os.fsync, os.replace = flushed, renamed  # type: ignore[assignment]
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on or event not in _STEPS or not isinstance(arguments[0], str | bytes | Path):
            return
        path = os.fsencode(arguments[0])
        if not path.startswith(self._folder):
            return
        if self.count == self._last:
            self._end()
        self.count += 1
        if event == "open" and isinstance(arguments[1], str) and {*"wx"} & {*arguments[1]}:
            self._written.add(os.fsdecode(path))

    def _end(self) -> None:
        self._on = False
        if self._tear is not None:
            result = os.path.join(os.fsdecode(self._folder), ".out.mp4.vsr-work", "result")  # FFmpeg wrote it
            for path in sorted({*self._written, result}):
                if os.path.isfile(path):
                    os.truncate(path, self._tear.randint(0, os.path.getsize(path)))
        os.kill(os.getpid(), signal.SIGKILL)


def forked(
    film: Path, folder: Path, workers: Replayed, last: int | None, tear: random.Random | None
) -> tuple[int, int]:
    """(wait status, steps counted) of a run in a process of its own."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            steps = Steps(folder, last, tear)
            for _ in upscale_video(film, folder / "out.mp4", run_settings(**SETTINGS), workers=workers):
                pass
            os.write(writer, str(steps.count).encode())
            code = 0
        except BaseException as error:  # told, and judged by the parent
            os.write(writer, f"{type(error).__name__}: {error}".encode()[:4000])
        finally:
            os._exit(code)
    os.close(writer)
    with open(reader, "rb") as pipe:
        said = pipe.read().decode()
    status = os.waitpid(pid, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise AssertionError(f"step {last}: {said}")
    return status, int(said or 0)


def main() -> None:
    """Kill at every step, or each EVERY-th while chunks are kept and every one after."""
    base, seed, every = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # flushing takes no time there
    with tempfile.TemporaryDirectory(prefix="vsr-steps-", dir=memory) as folder:
        print(json.dumps(_all_steps(base, Path(folder) / "place", random.Random(seed), every)))


def _all_steps(base: Path, place: Path, dice: random.Random, every: int) -> dict[str, int]:
    film, workers = base / "film.mp4", Replayed(base / "kept")

    def fresh() -> None:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()

    fresh()
    _, total = forked(film, place, workers, None, None)
    expected = (place / "out.mp4").read_bytes()
    done = {"steps": total, "kill": 0, "power cut": 0}
    finishing = total - _FINISHING
    for step in [*range(dice.randrange(every), finishing, every), *range(finishing, total)]:
        for how in ("kill", "power cut"):
            fresh()
            status, _ = forked(film, place, workers, step, dice if how == "power cut" else None)
            assert os.WIFSIGNALED(status), f"step {step} was never reached"
            left = set(os.listdir(place))
            assert left <= {"out.mp4", "out.mp4.vsr.json", work_folder(place / "out.mp4").name}, (
                f"{how} at step {step} leaves {left}"
            )
            if "out.mp4" in left:
                assert (place / "out.mp4").read_bytes() == expected, (
                    f"{how} at step {step}: half a result has the name"
                )
            named = (place / "out.mp4").stat().st_ino if "out.mp4" in left else None
            forked(film, place, workers, None, None)
            assert (place / "out.mp4").read_bytes() == expected, f"{how} at step {step}: other bytes"
            assert named in {None, (place / "out.mp4").stat().st_ino}, (
                f"{how} at step {step}: the result got its name twice"
            )
            left = set(os.listdir(place))
            assert left == {"out.mp4", "out.mp4.vsr.json"}, f"{how} at step {step} leaves {left} in the end"
            done[how] += 1
    return done


if __name__ == "__main__":
    main()
