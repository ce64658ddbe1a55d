"""A plan and its estimate as text and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from models.errors import counted
from pipelines.plan.events import Planned
from pipelines.settings.option_values import tile_text
from vsr.views.text import duration, size_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.diagnostics.estimate import Estimate
    from pipelines.plan.events import AlreadyDone
    from pipelines.run.kept_work import KeptWork

__all__ = [
    "busy_line",
    "estimate_lines",
    "estimate_table",
    "kept_lines",
    "plan_details",
    "plan_line",
    "plan_table",
    "total_lines",
    "total_table",
]


def plan_table(event: Planned) -> dict[str, Any]:
    """The planned work as JSON values."""
    plan = event.plan
    return {
        "input": event.input,
        "output": event.output,
        "source_size": [plan.width, plan.height],
        "size": [plan.out_width, plan.out_height],
        "frames": plan.frame_count,
        "models": [s.card.name for s in plan.stages],
        "licences": {
            s.card.name: {"licence": s.card.licence, "commercial": s.card.commercial} for s in plan.stages
        },
        "tile": [*reversed(plan.tile_px)],
        "encoder": plan.encoder.name,
        "encoder_options": plan.encoder.options,
        "target": None if plan.target is None else asdict(plan.target),
        "pixel_format": plan.out_pix_fmt,
        "chunks": len(plan.chunks),
        "chunks_done": event.chunks_done,
        "frames_done": event.frames_done,
        "changed": list(event.changed),
        "dropped": list(event.dropped),
        "estimated_bytes": event.estimated_bytes,
        "notes": list(event.info.notes),
        "plan": plan.id,
    }


def plan_line(event: Planned, *, measured: bool = False) -> str:
    """The line printed before work starts.

    measured: an `Estimate` follows, with a better estimate of disk space.
    """
    plan = event.plan
    models = "+".join(s.card.label for s in plan.stages)
    return (
        f"{event.input}: {plan.width}x{plan.height} -> {plan.out_width}x{plan.out_height},"
        f" {counted(plan.frame_count, 'frame')}, {models}, {plan.encoder.name} {plan.out_pix_fmt},"
        f" {counted(len(plan.chunks), 'chunk')}"
        + ("" if measured else f", up to {size_text(event.estimated_bytes)} of disk")
    )


def kept_lines(found: KeptWork) -> list[str]:
    """What a run would find of earlier ones, or why it would stop; empty if there is nothing."""
    event = found.planned
    if found.done is not None:
        return [
            f"already done: {found.done.output} is the output of this command, with {_frames(found.done)}"
        ]
    if found.refusal:
        return [f"vsr run would stop: {found.refusal}"]
    if not event.chunks_done:
        return []
    left = event.plan.frame_count - event.frames_done
    chunks = f"{event.chunks_done} of {counted(len(event.plan.chunks), 'chunk')}"
    frames = counted(event.plan.frame_count, "frame")
    return [f"{chunks} are made and will be kept; {left} of {frames} are left"]


def _frames(done: AlreadyDone) -> str:
    return f"{counted(done.frames, 'frame')}, {size_text(done.bytes)}"


def plan_details(event: Planned) -> list[str]:
    """Lines that verbose output adds about a plan: networks, tiles, encoder, chunks, output, id."""
    plan = event.plan
    sizes = [f"{s.card.label} to {s.width}x{s.height}" for s in plan.stages]
    options = [f"{k}={v}" for k, v in plan.encoder.options.items()]
    lengths = [plan.results_of(c) for c in plan.chunks]
    return [
        f"networks: {', '.join(sizes)}; tiles of {tile_text(plan.tile_px)}",
        *dict.fromkeys(f"{s.card.label}: {s.card.terms}" for s in plan.stages),
        f"encoder: {plan.encoder.name} {' '.join(options)}"
        + (f" (CRF for {plan.target.option})" if plan.target is not None else ""),
        (
            f"chunks: {len(lengths)} of {min(lengths)} to {max(lengths)} frames, from {len(plan.spans)}"
            " decoder runs"
        ),
        f"result: {event.output}",
        f"plan: {plan.id}",
    ]


def estimate_table(found: Estimate | None) -> dict[str, Any]:
    """An estimate as JSON values."""
    if found is None:
        return {}
    return {
        "estimated_seconds": round(found.seconds, 1),
        "estimated_fps": round(found.fps, 3),
        "estimated_output_bytes": found.output_bytes,
        "estimated_disk_bytes": found.disk_bytes,
        "free_bytes": found.free_bytes,
        "machine_share": round(found.share, 3),
    }


_BUSY = 0.8
"""Share of the machine below which other programs are reported."""


def busy_line(seconds: float, share: float) -> list[str]:
    """A line if other programs used the machine during the measurement; else none.

    seconds: duration of a run that has the machine to itself. share: the part of the machine that was
    available.
    """
    if share >= _BUSY:
        return []
    slowed = duration(seconds / share)
    return [
        f"that is with the machine to itself; other programs keep it busy now, about {slowed} if they go on"
    ]


def estimate_lines(found: Estimate | None) -> list[str]:
    """An estimate as lines of text."""
    if found is None:
        return []
    places = f"measured at {counted(found.places, 'place')}"
    what = " for what is left" if found.is_rest else ""
    lines = [
        f"about {duration(found.seconds)}{what}, {found.fps:.2f} fps ({places})",
        (
            f"about {size_text(found.output_bytes)}, and {size_text(found.disk_bytes)} of disk while it"
            f" works; {size_text(found.free_bytes)} are free"
        ),
    ]
    lines += busy_line(found.seconds, found.share)
    if found.disk_bytes > found.free_bytes:
        lines.append("that is more than is free: choose another -o, a smaller target, or a higher --crf")
    return lines


def total_lines(
    planned: Sequence[tuple[KeptWork, Estimate | None]], count: int, skipped: int = 0
) -> list[str]:
    """Totals of the plans of several inputs, of which there were `count`. skipped: as large as the target."""
    total = total_table(planned, count, skipped)
    parts = [f"{total['planned']} of {counted(count, 'input')} planned"]
    parts += [
        f"{total[kind]} {kind}" for kind in ("failed", "skipped", "already done", "refused") if total[kind]
    ]
    parts.append(counted(total["frames"], "frame") + " left")
    lines = [", ".join(parts)]
    estimates = [estimate for _, estimate in planned if estimate is not None]
    if not estimates:
        return [f"{lines[0]}, up to {size_text(total['estimated_bytes'])} of disk"]
    size, disk, free = (total[f"{kind}_bytes"] for kind in ("estimated_output", "estimated_disk", "free"))
    lines += [
        f"about {duration(total['estimated_seconds'])} in all",
        f"about {size_text(size)}, and {size_text(disk)} of disk while it works; {size_text(free)} are free",
    ]
    if disk > free:
        lines.append("that is more than is free: choose another -o, a smaller target, or a higher --crf")
    return lines


def total_table(
    planned: Sequence[tuple[KeptWork, Estimate | None]], count: int, skipped: int = 0
) -> dict[str, Any]:
    """The totals as JSON values. While a film is upscaled, its chunks take as much again as its output."""
    to_do = [(kept.planned, estimate) for kept, estimate in planned if not (kept.done or kept.refusal)]
    estimates = [estimate for _, estimate in to_do if estimate is not None]
    table: dict[str, Any] = {
        "inputs": count,
        "planned": len(planned),
        "failed": count - len(planned) - skipped,
        "skipped": skipped,
        "already done": sum(kept.done is not None for kept, _ in planned),
        "refused": sum(bool(kept.refusal) for kept, _ in planned),
        "frames": sum(one.plan.frame_count - one.frames_done for one, _ in to_do),
        "estimated_bytes": sum(one.estimated_bytes for one, _ in to_do),
    }
    if estimates:
        sizes = [found.output_bytes for found in estimates]
        table |= {
            "estimated_seconds": round(sum(found.seconds for found in estimates), 1),
            "estimated_output_bytes": sum(sizes),
            "estimated_disk_bytes": sum(sizes) + max(f.disk_bytes - f.output_bytes for f in estimates),
            "free_bytes": min(found.free_bytes for found in estimates),
        }
    return table
