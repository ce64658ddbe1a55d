"""A `Bench` as a table, and as a timeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.errors import missing_package
from pipelines.storage.atomic_file import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.diagnostics.benchmark import Bench

__all__ = ["bench_text", "draw_timeline"]


_WAITS = {
    "decode wait": "waiting for the decoder",
    "network": "in the network",
    "encode wait": "waiting for the encoder",
}


def bench_text(bench: Bench) -> str:
    """Results of a benchmark as a table."""
    lines = [f"{'stage alone':<14} {'ms a frame':>10} {'CPU ms':>10}"]
    lines += [
        f"{name:<14} {1e3 * bench.stages[name]:>10.1f} {1e3 * bench.cpu[name]:>10.1f}"
        for name in bench.stages
    ]
    lines.append(
        f"{'bound':<14} {1e3 * bench.bound_s:>10.1f} {1e3 * sum(bench.cpu.values()):>10.1f}   on"
        f" {bench.cores} cores"
    )
    lines.append(
        f"{'whole run':<14} {1e3 * bench.run_s:>10.1f}   {bench.ratio:.2f} x the bound, {bench.fps:.2f} fps"
    )
    lines.append(f"first frame after {bench.first_frame_s:.1f} s")
    if bench.network_floor_s:
        share = bench.stages["network"] / bench.network_floor_s
        rate = bench.gflop / 1e3 / bench.network_floor_s
        lines.append(
            f"network: {bench.gflop:.0f} GFLOP a frame, {share:.2f} x the time at {rate:.2f} TFLOP/s, the"
            " rate of its convolutions alone"
        )
    if bench.bus_bytes:
        lines.append(f"bus: {bench.bus_bytes / 1e6:.1f} MB a frame")
    if bench.reused:
        lines.append(
            f"{bench.reused} of {bench.tiles} tiles ({bench.reused / bench.tiles:.0%}) showed what they"
            " showed before, and were taken over"
        )
    return "\n".join(lines)


def draw_timeline(bench: Bench, path: Path) -> None:
    """Draw a timeline of the worker's middle thread.

    Raises UsageError if matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_package("--timeline", "matplotlib", "report") from error
    figure = Figure(figsize=(9, 3), layout="constrained")
    axes = figure.subplots()
    times = [t for t, _ in bench.timeline]
    spans = [b - a for a, b in zip(times, times[1:], strict=False)]
    bottom = [0.0] * len(spans)
    for key, label in _WAITS.items():
        spent = [s.get(key, 0.0) for _, s in bench.timeline]
        shares = [
            (b - a) / span if span else 0.0 for a, b, span in zip(spent, spent[1:], spans, strict=False)
        ]
        axes.bar(times[:-1], shares, spans, bottom, align="edge", label=label)
        bottom = [a + b for a, b in zip(bottom, shares, strict=True)]
    axes.set(xlabel="seconds since the first frame", ylabel="share of the time", ylim=(0, 1))
    axes.legend(loc="upper center", ncols=3, bbox_to_anchor=(0.5, 1.18), frameon=False)
    write_atomically(
        path, lambda partial: figure.savefig(partial, dpi=120, format=path.suffix.lstrip(".") or "png")
    )
