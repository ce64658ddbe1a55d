"""Measures all promised figures of speed on a CPU. `make bench`, or `python -m tests.benchmarks.bars`.

Figures are medians of five. Prints a table for each section, with the measured figures and their limits;
`--write docs/benchmarks.md` writes them to that page. `--quick` runs every step on tiny images; its figures
mean nothing. With `--wait passive`, OpenMP's threads sleep instead of spinning while they wait for each other
(OMP_WAIT_POLICY); with `--wait active` they spin; by default the library decides.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np

from pipelines.diagnostics.benchmark import Bench, bench, make_clip
from pipelines.inference.temporal_windows import Window
from pipelines.plan.events import Advanced, Finished
from pipelines.run.job import upscale_video
from pipelines.run.worker_pools import _ALLOCATOR
from pipelines.workers.chunk_worker import ChunkUpscaler
from tests.benchmarks.memory import peak_bytes, run_command
from tests.benchmarks.report import table, tell
from vsr.api import run_settings

SECTIONS = ("network", "runs", "first", "memory", "reuse")
CODECS = {
    "h264 superfast": {"codec": "h264", "preset": "superfast"},
    "hevc fast": {"codec": "hevc", "preset": "fast"},
}
FPS = {("fast", "h264 superfast"): 5.0, ("quality", "h264 superfast"): 2.2}
"""Least frames a second on two cores of Sapphire Rapids."""


class Forgetful(ChunkUpscaler):
    """Computes every tile, whatever it showed before."""

    def upscale(self, window: Window) -> Any:
        self.upscaler.stills.forget()
        return super().upscale(window)


@dataclass(frozen=True)
class Scale:
    """Sizes and lengths of the measurements."""

    width: int
    height: int
    seconds: float
    repeats: int
    calls: int

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height


FULL = Scale(1920, 1080, 1.0, 5, 5)
QUICK = Scale(192, 108, 0.5, 1, 1)

Row = tuple[str, str, str, str]


def row(what: str, value: float, bar: str, *, holds: bool | None, text: str = "") -> Row:
    return what, text or f"{value:.2f}", bar, {True: "yes", False: "**no**", None: ""}[holds]


def network(scale: Scale, folder: Path) -> Iterator[Row]:
    """Networks alone, compared with the best rate of the same kind of convolution."""
    from tests.benchmarks.rates import srvgg_weights

    weights = srvgg_weights(folder / "srvgg.safetensors")
    small = scale.size if scale.width == QUICK.width else (1280, 720)
    wanted = [
        f"fast:{scale.width}x{scale.height}:2",
        f"quality:{scale.width}x{scale.height}:2",
        f"{weights}:{small[0]}x{small[1]}:2",
    ]
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.rates",
        "--repeats",
        str(scale.calls),
        *(a for w in wanted for a in ("--network", w)),
    ]
    command += ["--small"] if scale.width == QUICK.width else []
    done = subprocess.run(
        command, env={**os.environ, **_ALLOCATOR}, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    for width in (32, 64):
        yield row(
            f"3x3 convolutions {width} to {width}, best rate",
            found[f"conv{width}"],
            "",
            holds=None,
            text=f"{found[f'conv{width}']:.2f} TFLOP/s",
        )
    for name, label, width, most in zip(
        wanted, ("`fast`", "`quality`", "SRVGG 64x16 RGB, 720p"), (32, 64, 64), (1.7, None, 1.4), strict=True
    ):
        seconds, gflop = found[name]
        ratio = seconds / (gflop / 1e3 / found[f"conv{width}"])
        text = f"{ratio:.2f} x ({1e3 * seconds:.0f} ms for {gflop:.0f} GFLOP)"
        yield row(
            f"{label} alone, time relative to its convolutions at that rate",
            ratio,
            f"<= {most}" if most else "",
            holds=most and ratio <= most,
            text=text,
        )


def runs(scale: Scale, folder: Path) -> Iterator[Row]:
    """Whole runs, compared with their bounds."""
    clip = make_clip(folder / "clip.mp4", scale.seconds + 2, width=scale.width, height=scale.height)
    for model, most in (("fast", 1.15), ("quality", 1.15), ("lanczos", 1.10)):
        for name, codec in CODECS.items():
            settings = run_settings(scale=2, model=model, device="cpu", **codec)
            *_, found = bench(clip, settings, seconds=scale.seconds, repeats=scale.repeats)
            assert isinstance(found, Bench)
            stages = ", ".join(f"{k} {1e3 * v:.0f}" for k, v in found.cpu.items())
            text = f"{found.ratio:.2f} x ({1e3 * found.run_s:.0f} ms a frame; CPU ms alone: {stages})"
            yield row(
                f"`{model}`, {name}: run relative to its bound",
                found.ratio,
                f"<= {most:.2f}",
                holds=found.ratio <= most,
                text=text,
            )
            least = FPS.get((model, name))
            yield row(
                f"`{model}`, {name}: frames per second",
                found.fps,
                f">= {least}" if least else "",
                holds=least and found.fps >= least,
            )


def first(scale: Scale, folder: Path) -> Iterator[Row]:
    """Time from the command to the first line that reports a finished frame."""
    clip = make_clip(folder / "first.mp4", scale.seconds + 1, width=scale.width, height=scale.height)
    times = []
    for number in range(scale.repeats):
        out = folder / f"first{number}.mkv"
        began = time.monotonic()
        command = run_command(
            clip, out, "--json", "--scale", "2", "--device", "cpu", *_options("h264 superfast")
        )
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                event = json.loads(line)
                if event["event"] == "progress" and event["frames"] > 0:
                    times.append(time.monotonic() - began)
                    process.terminate()
                    break
            process.stdout.read()
    spent = statistics.median(times)
    yield row("first finished frame after", spent, "<= 4 s", holds=spent <= 4, text=f"{spent:.1f} s")


def memory(scale: Scale, folder: Path) -> Iterator[Row]:
    """Peak memory of the command and its children."""
    clip = make_clip(folder / "memory.mp4", max(0.5, scale.seconds), width=scale.width, height=scale.height)
    for times, most, label, codec in (
        (2, 2.5, "1080p to 4K", "h264 superfast"),
        (2, 2.5, "1080p to 4K", "hevc fast"),
        (4, 5.0, "1080p to 8K", "hevc fast"),
    ):
        options = ["--quiet", "--scale", str(times), "--device", "cpu", *_options(codec)]
        peak, _ = peak_bytes(run_command(clip, folder / "memory.mkv", *options))
        yield row(
            f"peak memory, {label}, {codec}",
            peak / 1e9,
            f"<= {most} GB",
            holds=peak <= most * 1e9,
            text=f"{peak / 1e9:.2f} GB",
        )


def _options(codec: str) -> list[str]:
    return [a for key, value in CODECS[codec].items() for a in (f"--{key}", value)]


def menu(path: Path, scale: Scale, kind: str) -> Path:
    """A clip that mostly stands still. menu: a highlight moves over a third of the picture.

    Slides: another picture every two seconds.
    """
    rng = np.random.default_rng(2)
    rows, columns = scale.height, scale.width
    cells = [
        np.kron(rng.integers(16, 235, (rows // 8 + 1, columns // 8 + 1)), np.ones((8, 8)))[
            :rows, :columns
        ].astype(np.uint8)
        for _ in range(3)
    ]
    count = round(24 * max(2.0, 2 * scale.seconds)) if kind == "menu" else 96
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = columns, rows, "yuv420p"
        for number in range(count if scale.width == FULL.width else 12):
            luma = cells[0].copy() if kind == "menu" else cells[number // 48 % 3]
            if kind == "menu":
                luma[: rows // 3, (number * 8) % columns :] ^= 21
            frame = av.VideoFrame(columns, rows, "yuv420p")
            for plane, values in zip(frame.planes, (luma, luma[::2, ::2], luma[1::2, 1::2]), strict=True):
                memory_rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
                memory_rows[: values.shape[0], : values.shape[1]] = values[: memory_rows.shape[0]]
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def reuse(scale: Scale, folder: Path) -> Iterator[Row]:
    """Static content is not computed again."""
    for kind, model, least in (("menu", "fast", 1.5), ("slides", "quality", 5.0)):
        clip = menu(folder / f"{kind}.mkv", scale, kind)
        settings = run_settings(scale=2, model=model, device="cpu", codec="h264", preset="superfast")
        spent = {}
        for worker in ("pipelines.workers.chunk_worker:ChunkUpscaler", "tests.benchmarks.bars:Forgetful"):
            times = []
            for _ in range(max(1, scale.repeats // 2) if worker.startswith("pipelines") else 1):
                times.append(_seconds(clip, folder / f"{kind}.out.mkv", settings, worker))
            spent[worker] = statistics.median(times)
        kept, everything = spent.values()
        yield row(
            f"{kind} with `{model}`: speed relative to computing everything",
            everything / kept,
            f">= {least}",
            holds=everything / kept >= least,
        )
        *_, found = bench(clip, settings, seconds=1.0, repeats=1)
        assert isinstance(found, Bench)
        same, total = _same_tiles(clip)
        share = found.reused / found.tiles / (same / total) if same else 1.0
        yield row(
            f"{kind}: reused share of bit-identical tiles",
            share,
            ">= 0.90",
            holds=share >= 0.9,
            text=f"{share:.0%} ({found.reused} of {found.tiles})",
        )
    clip = make_clip(folder / "film.mp4", 1.0, width=scale.width, height=scale.height)
    spent_s = _bookkeeping(clip)
    *_, found = bench(
        clip,
        run_settings(scale=2, model="fast", device="cpu", codec="h264", preset="superfast"),
        seconds=scale.seconds,
        repeats=1,
    )
    assert isinstance(found, Bench)
    run_s = sum(found.cpu.values())
    share = spent_s / run_s
    yield row(
        "film: comparison of tiles, share of the run's CPU time",
        share,
        "<= 1 %",
        holds=share <= 0.01,
        text=f"{share:.2%} ({1e3 * spent_s:.2f} of {1e3 * run_s:.0f} ms a frame)",
    )


def _seconds(clip: Path, out: Path, settings: Any, worker: str) -> float:
    """Seconds per frame of a run, after its first report."""
    started: tuple[float, int] | None = None
    for event in upscale_video(clip, out, settings, fresh=True, worker=worker):
        if isinstance(event, Advanced):
            started = started or (time.perf_counter(), event.frames)
        elif isinstance(event, Finished):
            assert started is not None
            return (time.perf_counter() - started[0]) / max(1, event.frames - started[1])
    raise AssertionError("a run that raised nothing finished nothing")


def _lumas(clip: Path, count: int = 24) -> list[list[np.ndarray]]:
    """Planes of the first frames."""
    with av.open(str(clip)) as container:
        found = []
        for frame in container.decode(video=0):
            found.append(
                [
                    np.frombuffer(memoryview(p), np.uint8)
                    .reshape(-1, p.line_size)[: p.height, : p.width]
                    .copy()
                    for p in frame.planes
                ]
            )
            if len(found) == count:
                break
        return found


def _parts(planes: list[np.ndarray]) -> list[Any]:
    from pipelines.plan.tiling import cut_tiles

    return list(cut_tiles(planes[0].shape, (544, 960), 20, 2))


def _same_tiles(clip: Path) -> tuple[int, int]:
    """(tiles whose own input is bit-identical to that of the frame before, all), by comparing every
    sample.
    """
    frames = _lumas(clip)
    same = total = 0
    for n, planes in enumerate(frames):
        for part in _parts(planes):
            total += 1
            same += n > 0 and all(
                np.array_equal(a[part.read(2 if k else 1)], b[part.read(2 if k else 1)])
                for k, (a, b) in enumerate(zip(planes, frames[n - 1], strict=True))
            )
    return same, total


def _bookkeeping(clip: Path) -> float:
    """CPU seconds per frame for comparing moving tiles."""
    from pipelines.inference.tile_cache import TileCache

    frames = _lumas(clip)
    stills, result = TileCache(), [np.zeros((2, 2), np.uint8)] * 3
    began = time.process_time()
    for planes in frames:
        for part in _parts(planes):
            stills.same([planes], part)
        stills.keep([planes], result)
    return (time.process_time() - began) / len(frames)


def main() -> None:
    """Measure the requested sections."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="*", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--wait", choices=["passive", "active"])
    parser.add_argument("--write", type=Path, metavar="FILE")
    parser.add_argument("--seconds", type=float, help="Of a run; default: 1.")
    given = parser.parse_args()
    if given.wait:
        os.environ["OMP_WAIT_POLICY"] = given.wait.upper()
    scale = QUICK if given.quick else FULL
    scale = replace(scale, seconds=given.seconds) if given.seconds else scale
    with tempfile.TemporaryDirectory(prefix="vsr-bars-") as folder:
        for name in given.only:
            began, rows = time.monotonic(), []
            for one in globals()[name](scale, Path(folder)):
                print(" | ".join(one), file=sys.stderr, flush=True)
                rows.append(one)
            print(f"({name}: {time.monotonic() - began:.0f} s)", file=sys.stderr, flush=True)
            tell(name, table(("what", "measured", "limit", "met"), rows), given.write)


if __name__ == "__main__":
    main()
