"""Measures the networks on a CUDA device: `make gpu`, or `python -m tests.benchmarks.gpu`.

Needs no network access and no Ray. Prints one table: the fp16 rate of convolutions alone (the ceiling), each
network's share of it with and without CUDA graphs and with torch.compile, batches from 1 to 8, decoding,
transfers and network alone, and together without an encoder, how many uploads ended while the network was
running, memory, and whether every test marked `cuda` passes. `--quick` uses small images; its figures mean
nothing.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import torch

from pipelines.diagnostics.benchmark import make_clip
from pipelines.inference.cuda.cuda_pipeline import BATCH
from pipelines.inference.cuda.transfer_ring import SLOTS, StreamAccelerator
from pipelines.inference.device import choose_device
from pipelines.inference.temporal_windows import single_frame_window
from pipelines.inference.upscaler import Upscaler
from pipelines.media.video_info import Frame
from tests.benchmarks.rates import convolution_tflops
from tests.benchmarks.report import table, tell

BATCHES = (1, 2, 4, 8)
CUDA_TESTS = ("tests/pipelines/inference/test_cuda.py", "tests/pipelines/training/test_cuda_training.py")
Row = tuple[str, str, str, str]


def upscaler(
    name: str,
    size: tuple[int, int],
    *,
    graph: bool = True,
    compiled: bool = False,
    accelerator: StreamAccelerator | None = None,
) -> Upscaler:
    from tests.pipelines.inference.test_upscaler import card, plan_of

    made = Upscaler(
        plan_of(card(name), *size, 2, tile=(544, 960)), choose_device("cuda"), accelerator=accelerator
    )
    assert made._accelerated is not None
    graphed = made._accelerated.graphed
    if not graph or compiled:
        graphed._record = None
    if compiled:
        graphed._plain = torch.compile(graphed._plain, dynamic=False, mode="max-autotune-no-cudagraphs")  # type: ignore[method-assign]
    return made


def film(size: tuple[int, int], count: int) -> list[Frame]:
    rng = np.random.default_rng(0)
    shapes = [(size[1], size[0]), *[(size[1] // 2, size[0] // 2)] * 2]
    kinds = [[rng.integers(16, 235, s).astype(np.uint8) for s in shapes] for _ in range(4)]
    return [Frame(n, kinds[n % 4]) for n in range(count)]


def seconds(frames: Iterable[Frame], running: Upscaler, skip: int = 2 * SLOTS) -> float:
    """Seconds per frame, from input to output, after the first few."""
    times = []
    for _ in running.stream(single_frame_window(f, running.contract) for f in frames):
        times.append(time.perf_counter())
    return (times[-1] - times[skip]) / (len(times) - 1 - skip)


def network_seconds(running: Upscaler, size: tuple[int, int], calls: int, batch: int = BATCH) -> float:
    """Seconds per frame whose tiles are on the device already."""
    assert running._accelerated is not None
    graphed = running._accelerated.graphed
    parts = running._tiles(size[1], size[0])
    rows, columns = parts[0].read()
    height, width = rows.stop - rows.start, columns.stop - columns.start
    luma = torch.randint(16, 235, (batch, 1, height, width), dtype=torch.uint8, device="cuda")
    chroma = torch.randint(16, 235, (batch, 2, height // 2, width // 2), dtype=torch.uint8, device="cuda")
    times = []
    with torch.inference_mode():
        for _ in range(calls + 3):
            torch.cuda.synchronize()
            began = time.perf_counter()
            graphed(luma, chroma)
            torch.cuda.synchronize()
            times.append(time.perf_counter() - began)
    return statistics.median(times[3:]) * len(parts) / batch


def bus_seconds(size: tuple[int, int], calls: int) -> tuple[float, int]:
    """(seconds, bytes) for the upload of a frame and the download of its result, one after the other."""
    up_bytes, down_bytes = size[0] * size[1] * 3 // 2, size[0] * size[1] * 6
    here = [torch.empty(n, dtype=torch.uint8, pin_memory=True) for n in (up_bytes, down_bytes)]
    there = [torch.empty(n, dtype=torch.uint8, device="cuda") for n in (up_bytes, down_bytes)]
    times = []
    for _ in range(calls + 2):
        torch.cuda.synchronize()
        began = time.perf_counter()
        there[0].copy_(here[0], non_blocking=True)
        here[1].copy_(there[1], non_blocking=True)
        torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return statistics.median(times[2:]), up_bytes + down_bytes


def decoded(clip: Path) -> Iterator[Frame]:
    """Frames of a clip, by the CPU."""
    with av.open(str(clip)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for number, frame in enumerate(container.decode(video=0)):
            yield Frame(
                number,
                [
                    np.frombuffer(memoryview(p), np.uint8)
                    .reshape(-1, p.line_size)[: p.height, : p.width]
                    .copy()
                    for p in frame.planes
                ],
            )


class Marked(StreamAccelerator):
    """Keeps when each of the ring's three streams got how far: a mark a frame."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self._device_marks: dict[int, list[torch.cuda.Event]] = {}

    def record(self, event: torch.cuda.Event) -> None:
        """As `Accelerator` says."""
        super().record(event)
        stream = torch.cuda.current_stream()
        mark = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        mark.record(stream)
        self._device_marks.setdefault(stream.stream_id, []).append(mark)

    def milliseconds(self) -> tuple[list[float], list[float]]:
        """(when each frame was up, when each was computed)."""
        torch.cuda.synchronize()
        up, computed, _ = self._device_marks.values()  # in the order of their first marks
        return [up[0].elapsed_time(m) for m in up], [up[0].elapsed_time(m) for m in computed]


def beside(uploaded: Sequence[float], computed: Sequence[float]) -> float:
    """Share of the uploads that ended while a frame in front of them was computed.

    The times at which each frame was.
    """
    spans = [(max(uploaded[m], computed[m - 1]), computed[m]) for m in range(1, len(computed))]
    during = [
        any(start < uploaded[k] < stop for start, stop in spans[: k - 1]) for k in range(2, len(uploaded))
    ]
    return sum(during) / len(during)


def measure(size: tuple[int, int], calls: int, folder: Path) -> Iterator[Row]:
    """All rows."""
    device = choose_device("cuda")
    maps = [(size[1] // 2, size[0] // 2), (size[1] // 4, size[0] // 4), (size[1], size[0])]
    ceiling = {width: convolution_tflops(width, device, calls, maps) for width in (32, 64)}
    for width, rate in ceiling.items():
        yield f"3x3 convolutions {width} to {width}, fp16, best rate", f"{rate:.1f} TFLOP/s", "", ""
    times: dict[str, float] = {}
    for name, width, least in (("fast-x2", 32, 0.0), ("quality-x2", 64, 0.6)):
        from tests.pipelines.inference.test_upscaler import card

        gflop = card(name).gflop_per_megapixel * size[0] * size[1] / 1e6
        for label, how in (
            ("graph", {}),
            ("no graph", {"graph": False}),
            ("torch.compile", {"compiled": True}),
        ):
            try:
                spent = network_seconds(upscaler(name, size, **how), size, calls)  # type: ignore[arg-type]
            except Exception as error:
                yield f"`{name}` alone, {label}", f"failed: {str(error).splitlines()[0][:80]}", "", ""
                continue
            share = gflop / 1e3 / spent / ceiling[width]
            times[f"{name} {label}"] = spent
            holds = ("yes" if share >= least else "**no**") if least and label == "graph" else ""
            yield (
                f"`{name}` alone, {label}",
                f"{1 / spent:.1f} fps, {share:.0%} of the ceiling",
                f">= {least:.0%}" if holds else "",
                holds,
            )
        for batch in BATCHES:
            spent = network_seconds(upscaler(name, size), size, calls, batch)
            yield f"`{name}` alone, {batch} tiles at a time", f"{1 / spent:.1f} fps", "", ""
    clip = make_clip(folder / "clip.mp4", 5, width=size[0], height=size[1])
    began = time.perf_counter()
    count = sum(1 for _ in decoded(clip))
    decode = (time.perf_counter() - began) / count
    bus, amount = bus_seconds(size, calls)
    yield "decoding alone (CPU)", f"{1 / decode:.1f} fps", "", ""
    yield (
        "transfers alone, both directions",
        f"{1 / bus:.1f} fps, {amount / 1e6:.1f} MB a frame, {amount / bus / 1e9:.1f} GB/s",
        "",
        "",
    )
    for name in ("fast-x2", "quality-x2"):
        torch.cuda.reset_peak_memory_stats()
        running = upscaler(name, size)
        together = seconds(decoded(clip), running)
        slowest = max(decode, bus, times[f"{name} graph"])
        share = slowest / together
        text = f"{1 / together:.1f} fps, {share:.0%} of the slowest alone"
        yield (
            f"`{name}`: decoding, network and download, without encoder",
            text,
            ">= 90%",
            "yes" if share >= 0.9 else "**no**",
        )
        yield f"`{name}`: memory of the device", f"{torch.cuda.max_memory_allocated() / 1e9:.2f} GB", "", ""
        marked = Marked(choose_device("cuda"))
        upscaler(name, size, accelerator=marked)(film(size, 24))
        yield (
            f"`{name}`: uploads that ended while a frame before was computed",
            f"{beside(*marked.milliseconds()):.0%}",
            "",
            "",
        )


def tests() -> Row:
    """Run every test marked `cuda`, without importing others, which may need missing packages."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "cuda", *CUDA_TESTS],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.strip().splitlines()
    print("\n".join(lines[-40:]), file=sys.stderr)
    return (
        "tests marked `cuda`",
        lines[-1] if lines else "none",
        "all pass",
        "yes" if done.returncode == 0 else "**no**",
    )


def main() -> None:
    """Measure, or say that there is no device."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", type=Path, metavar="FILE")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("make gpu: torch sees no CUDA device here; nothing was measured")
    torch.set_num_threads(1)  # as workers do
    size, calls = ((320, 180), 3) if given.quick else ((1920, 1080), 20)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="vsr-gpu-") as folder:
        for row in (*measure(size, calls, Path(folder)), tests()):
            print(" | ".join(row), file=sys.stderr, flush=True)
            rows.append(row)
    tell("gpu", table(("what", "measured", "limit", "met"), rows), given.write)


if __name__ == "__main__":
    main()
