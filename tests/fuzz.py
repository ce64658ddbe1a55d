"""Runs mutated films through probe, plan and decoding.

`python -m tests.fuzz [--first SEED] [--count N]` prints every failure with its seed. A seed determines a
damaged film: its container and codec, the changes, and whether damage is concealed. The result must be as
many frames as were planned, or one of our errors; a crash, a hang, a traceback or a lost frame is a failure.
Seeds run in child processes, one after another in each, with bounded memory; if a child dies, its last line
shows the seed.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests import media

ROOT = Path(__file__).resolve().parent.parent
_SECONDS = 120
"""Without a word from a child; a seed takes a fraction of one."""
_MEMORY_BYTES = 6 << 30


@dataclass(frozen=True)
class Ending:
    """How a seed ended."""

    seed: int
    good: bool
    said: str


# --- films, and what is done to them


def _films() -> dict[str, Callable[[Path], Path]]:
    sound = (media.Audio(seconds=0.5),)

    def film(codec: str, **more: object) -> Callable[[Path], Path]:
        frames = int(more.pop("frames", 14))  # type: ignore[call-overload]
        return lambda path: media.write(
            path,
            media.Film(codec=codec, frames=frames, **more),
            audio=sound if path.suffix not in {".webm", ".mpg"} else (),
        )  # type: ignore[arg-type]

    return {
        "h264.mp4": film("libx264", gop=6),
        "h264.mkv": film("libx264", gop=6),
        "h264.ts": film("libx264", gop=6),
        "h264.mov": film("libx264", gop=6),
        "h264.flv": film("libx264", gop=6),
        "h264.avi": film("libx264", gop=6, b_frames=0),
        "hevc.mp4": film("libx265", gop=6),
        "hevc.mkv": film("libx265", gop=6),
        "mpeg2.mpg": film("mpeg2video", gop=6),
        "mpeg2.ts": film("mpeg2video", gop=6),
        "mpeg4.avi": film("mpeg4", gop=6, b_frames=0),
        "vp9.webm": film("libvpx-vp9", gop=6),
        "av1.mkv": film("libsvtav1", gop=6, frames=8),
        "ffv1.mkv": film("ffv1", gop=1),
        "prores.mov": film("prores_ks", gop=1, pix_fmt="yuv422p10le", frames=5),
        "mjpeg.mov": film("mjpeg", gop=1, pix_fmt="yuvj420p"),
        "raw.h264": lambda path: media.raw(path, frames=14),
        "fields.ts": lambda path: media.paff(path, frames=10),
        "two.ts": lambda path: media.ts_concatenated(path, frames=8),
        "edits.mp4": media.edit_list,
        "company.mkv": lambda path: media.company(path, frames=12),
    }


def _changed(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """One to four changes of the kinds that disks, networks and people who mean harm make."""
    content = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        size = len(content)
        if size < 64:
            break
        # Headers are where the structure is.
        at = int(rng.integers(0, size)) if rng.random() < 0.6 else int(rng.integers(0, min(size, 4096)))
        length = int(min(size - at, 2 ** rng.integers(0, 12)))
        kind = int(rng.integers(0, 10))
        if kind <= 1:
            for place in rng.integers(0, size, int(rng.integers(1, 40))):
                content[place] ^= 1 << int(rng.integers(0, 8))
        elif kind == 2:
            for place in rng.integers(at, at + length, 8):
                content[place] ^= 1 << int(rng.integers(0, 8))
        elif kind == 3:
            content[at : at + length] = rng.integers(0, 256, length, dtype=np.uint8).tobytes()
        elif kind == 4:
            content[at : at + length] = bytes([int(rng.choice([0, 255]))]) * length
        elif kind == 5:
            del content[at : at + length]
        elif kind == 6:
            content[at:at] = content[at : at + length]
        elif kind == 7:
            del content[at:]
        elif kind == 8:
            start = int(rng.integers(0, max(1, len(other) - length)))
            content[at : at + length] = other[start : start + length]
        else:
            numbers = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
            content[at : at + 4] = int(rng.choice(numbers)).to_bytes(4, str(rng.choice(["big", "little"])))  # type: ignore[arg-type]
    return bytes(content)


class Films:
    """The films before damage, made when they are first needed."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._make = folder, _films()
        self.names = sorted(self._make)

    def content(self, name: str) -> bytes:
        path = self._folder / f"whole-{name}"
        if not path.exists():
            self._make[name](path)
        return path.read_bytes()

    def damaged(self, seed: int) -> tuple[Path, bool]:
        """The film of a seed, and whether its damage is concealed."""
        rng = np.random.default_rng(seed)
        name = self.names[int(rng.integers(len(self.names)))]
        other = self.names[int(rng.integers(len(self.names)))] if rng.random() < 0.1 else name
        path = self._folder / f"{seed}-{name}"
        path.write_bytes(_changed(self.content(name), self.content(other), rng))
        return path, bool(rng.random() < 0.5)


# --- what is tried


def _through(path: Path, *, conceal: bool) -> str:
    """Probe, plan and decode all spans as a worker would; what came of it. Raises whatever is wrong."""
    from pipelines.codec.decoder import decode
    from pipelines.codec.expected_frames import IndexMismatchError, checked_frames
    from pipelines.media.packet_reader import PacketReader
    from pipelines.media.pixel_format import PixelFormat
    from pipelines.planner.video_planner import plan_video
    from pipelines.probe.frame_times import count
    from pipelines.run.chunk_tasks import _pieces, _span_task
    from vsr.api import run_settings

    settings = run_settings(scale=1, model="identity", codec="ffv1", device="cpu", chunk_seconds=0.2, drop_incompatible=True,
                            deinterlace="off", on_corrupt="conceal" if conceal else "fail")  # fmt: skip
    planned = plan_video(path, path.with_suffix(".out.mkv"), settings)
    for attempt in range(2):
        plan, info = planned.plan, planned.info
        frames = 0
        reader = PacketReader(info.path, info.stream_index)
        try:
            for span in plan.spans:
                task = _span_task(plan, info, span.chunks, info.pts)
                packets = (p for piece in _pieces(reader, info, span, span.stop_row) for p in piece)
                expected = task.expected(plan, info.decoder)
                decoded = decode(packets, info.decoder, PixelFormat.parse(plan.pix_fmt), conceal=conceal)
                given = [f.pts for f in checked_frames(decoded, expected, conceal=conceal)]
                assert given == list(task.pts), (
                    f"{len(given)} frames came of {len(task.pts)} that were promised"
                )
                frames += len(given)
        except IndexMismatchError as error:
            if attempt or info.linear:
                raise
            counted = count(info)
            if counted.damage:
                return f"damaged: {error}"
            planned = plan_video(path, path.with_suffix(".out.mkv"), settings, counted)
            continue
        finally:
            reader.close()
        return f"{frames} frames"
    raise AssertionError


def _child(seeds: range, folder: Path) -> None:
    """Try seeds; a line before and behind each."""
    from models.errors import VsrError

    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    films = Films(folder)
    for seed in seeds:
        print(f"try {seed}", flush=True)
        path, conceal = films.damaged(seed)
        before = set(folder.iterdir())
        try:
            said, good = _through(path, conceal=conceal), True
        except VsrError as error:
            said, good = f"exit {error.exit_code}: {error}", "\n" not in str(error)
            if not good:
                said = f"is not one line: {said}"
        except BaseException:
            import traceback

            said, good = traceback.format_exc(), False
        left = {p for p in folder.iterdir() if p not in before}
        if left:
            said, good = f"left {left} behind; {said}", False
        if good:
            path.unlink()
        name = path.name.partition("-")[2]
        print(f"end {seed} {int(good)} {name}{' conceal' if conceal else ''}: {said!r}", flush=True)


# --- the parent


def fuzz(first: int, count: int, folder: Path) -> Iterator[Ending]:
    """Every seed's ending. Films that ended badly stay in `folder`."""
    seed, stop = first, first + count
    while seed < stop:
        path = [p for p in (str(ROOT), *sys.path) if p]
        call = f"_child(range({seed}, {stop}), Path({str(folder)!r}))"
        bootstrap = f"import sys; sys.path[:] = {path!r}; from pathlib import Path; from tests.fuzz import _child; {call}"
        command = [sys.executable, "-P", "-c", bootstrap]
        with open(folder / "stderr", "wb") as errors:
            child = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, errors="replace"
            )
            heard = [time.monotonic()]
            over = threading.Event()
            watch = threading.Thread(target=_watch, args=(child, heard, over), daemon=True)
            watch.start()
            assert child.stdout is not None
            trying = seed
            for line in child.stdout:
                heard[0] = time.monotonic()
                word, number, *rest = line.rstrip("\n").split(" ", 2)
                trying = int(number)
                if word == "end":
                    yield Ending(trying, rest[0].startswith("1"), rest[0][2:])
                    seed = trying + 1
            code = child.wait()
            over.set()
            watch.join()
            child.stdout.close()
        if seed < stop:
            lines = (folder / "stderr").read_text(errors="replace")[-2000:]
            yield Ending(trying, good=False, said=f"the child ended with {code}: {lines}")
            seed = trying + 1


def _watch(child: subprocess.Popen[str], heard: list[float], over: threading.Event) -> None:
    while not over.wait(1):
        if time.monotonic() - heard[0] > _SECONDS:
            child.kill()
            return


def main() -> int:
    """Print the bad endings, and how many good ones there were of each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--keep", type=Path, help="A folder for the films that ended badly.")
    parser.add_argument("--all", action="store_true", help="Print good endings, too.")
    given = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory(prefix="vsr-fuzz-") as made:
        folder = given.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        for ending in fuzz(given.first, given.count, folder):
            bad += not ending.good
            if given.all or not ending.good:
                print(f"{'good' if ending.good else 'BAD'} {ending.seed} {ending.said}", flush=True)
    print(f"{given.count} films, {bad} bad endings")
    if "VSR_FIGURES" in os.environ:
        with open(os.environ["VSR_FIGURES"], "a", encoding="utf-8") as figures:
            figures.write(json.dumps({"count": given.count}) + "\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
