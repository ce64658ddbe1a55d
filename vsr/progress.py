"""Events drawn as a bar for a person, or as JSON lines for a scheduler."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any, TextIO

from pipelines.events import Advanced, AlreadyDone, ChunkFinished, Event, Finished, Note, Planned
from pipelines.settings import tile_text
from vsr.pace import Pace

if TYPE_CHECKING:
    from tqdm import tqdm

    from pipelines.estimate import Estimate

__all__ = ["Bar", "JsonLines", "duration", "estimate_lines", "estimate_table", "plan_line", "plan_table", "size_text"]


def size_text(count: float) -> str:
    """Bytes as people say them: "1.5 MB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    """Seconds as people say them: "2 h 05 min", "3 min 20 s", "12 s"."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def plan_table(event: Planned) -> dict[str, Any]:
    """What will be done, as plain values."""
    plan = event.plan
    return {
        "input": event.input,
        "output": event.output,
        "source_size": [plan.width, plan.height],
        "size": [plan.out_width, plan.out_height],
        "frames": plan.frame_count,
        "models": [s.card.name for s in plan.stages],
        "tile": [*reversed(plan.tile_px)],
        "encoder": plan.encoder.name,
        "encoder_options": plan.encoder.options,
        "pixel_format": plan.out_pix_fmt,
        "chunks": len(plan.chunks),
        "chunks_done": event.chunks_done,
        "changed": list(event.changed),
        "dropped": list(event.dropped),
        "estimated_bytes": event.estimated_bytes,
        "notes": list(event.info.notes),
        "plan": plan.id,
    }


def plan_line(event: Planned, *, measured: bool = False) -> str:
    """The one line before work starts. measured: an `Estimate` follows, which knows the disk better than a rule of thumb."""
    plan = event.plan
    models = "+".join(s.card.name for s in plan.stages)
    count = len(plan.chunks)
    return (
        f"{event.input}: {plan.width}x{plan.height} -> {plan.out_width}x{plan.out_height}, {plan.frame_count} frames, "
        f"{models}, {plan.encoder.name} {plan.out_pix_fmt}, {count} chunk{'s' * (count != 1)}"
        + ("" if measured else f", about {size_text(event.estimated_bytes)} of disk")
    )


def plan_details(event: Planned) -> list[str]:
    """What else there is to know of a plan, line by line."""
    plan = event.plan
    sizes = [f"{s.card.name} to {s.width}x{s.height}" for s in plan.stages]
    options = [f"{k}={v}" for k, v in plan.encoder.options.items()]
    lengths = [c.frame_count * plan.per_frame for c in plan.chunks]
    return [
        f"networks: {', '.join(sizes)}; tiles of {tile_text(plan.tile_px)}",
        f"encoder: {plan.encoder.name} {' '.join(options)}",
        f"chunks: {len(lengths)} of {min(lengths)} to {max(lengths)} frames, from {len(plan.spans)} decoder runs",
        f"result: {event.output}",
        f"plan: {plan.id}",
    ]


def estimate_table(found: Estimate | None) -> dict[str, Any]:
    """What was measured, as plain values."""
    if found is None:
        return {}
    return {
        "estimated_seconds": round(found.seconds, 1),
        "estimated_fps": round(found.fps, 3),
        "estimated_output_bytes": found.output_bytes,
        "estimated_disk_bytes": found.disk_bytes,
        "free_bytes": found.free_bytes,
    }


def estimate_lines(found: Estimate | None) -> list[str]:
    """The same for people."""
    if found is None:
        return []
    places = f"measured at {found.places} place{'s' * (found.places > 1)}"
    lines = [
        f"about {duration(found.seconds)}, {found.fps:.2f} fps ({places})",
        f"about {size_text(found.output_bytes)}, and {size_text(found.disk_bytes)} of disk while it works; {size_text(found.free_bytes)} are free",
    ]
    if found.disk_bytes > found.free_bytes:
        lines.append("that is more than is free: choose another -o, a smaller target, or a higher --crf")
    return lines


class Bar:
    """A tqdm bar on standard error; the plan before, a line with the result after."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False, verbose: bool = False, label: str = "") -> None:
        """label: in front of the bar, where several are drawn. verbose: the plan in full, and every chunk."""
        self._verbose = verbose
        self._label = label
        self._rates = _Rates()
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._bar: tqdm[Any] | None = None
        self._skipped = 0

    def show(self, event: Event) -> None:
        """Draw one event."""
        if isinstance(event, Planned):
            self._begin(event)
        elif isinstance(event, Advanced):
            self._advance(event)
        elif isinstance(event, ChunkFinished) and self._verbose:
            where = f" on {event.host}" if event.host else ""
            self._say(f"  chunk {event.index}: {event.frames} frames by worker {event.worker}{where}; {event.chunks_done} of {event.chunks} are done")
        elif isinstance(event, Note):
            self._say(event.text)
        elif isinstance(event, Finished):
            self.close()
            rate = event.frames / event.seconds if event.seconds else 0.0
            limit = f", limited by {event.limiting}" if event.limiting else ""
            self._say(f"{event.output}: {event.frames} frames, {size_text(event.bytes)}, {rate:.2f} fps{limit}; verified")
        elif isinstance(event, AlreadyDone):
            self._say(f"{event.output}: already done")

    def _begin(self, event: Planned) -> None:
        self.close()  # of what is begun again
        self._say(plan_line(event))
        for text in (*event.info.notes, *(f"left out: {d}" for d in event.dropped)):
            self._say(f"  {text}")
        if event.changed:
            self._say(f"  starting anew: {', '.join(event.changed)} changed since the earlier run")
        plan = event.plan
        for text in plan_details(event) if self._verbose else ():
            self._say(f"  {text}")
        self._skipped = 0
        if event.chunks_done:
            self._say(f"  resuming: {event.chunks_done} of {len(plan.chunks)} chunks are done")
            self._skipped = -1
        if not self._quiet:
            from vsr.bars import bar

            self._bar = bar(plan.frame_count, "frame", self._stream, self._label)

    def _advance(self, event: Advanced) -> None:
        if self._bar is None or not event.step:
            return
        if self._skipped < 0:
            self._bar.initial = self._bar.n = max(0, event.frames - 1)
            self._skipped = 0
        waits = {"decode wait": "decoding", "network": "network", "encode wait": "encoding"}
        slowest = max(event.seconds, key=event.seconds.__getitem__, default="")
        limit = f"limited by {waits.get(slowest, slowest)}" if slowest else ""
        self._rates.add(event)
        self._bar.set_postfix_str(", ".join(t for t in (self._rates.text(), limit) if t), refresh=False)
        self._bar.update(event.frames - self._bar.n)

    def _say(self, text: str) -> None:
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class _Rates:
    """Frames a second by worker, over about the last minute."""

    _SECONDS = 60.0

    def __init__(self) -> None:
        self._steps: dict[int, deque[tuple[float, int]]] = {}

    def add(self, event: Advanced) -> None:
        now = time.monotonic()
        self._steps.setdefault(event.worker, deque()).append((now, event.step))
        for worker, steps in list(self._steps.items()):
            while steps and now - steps[0][0] > self._SECONDS:
                steps.popleft()
            if not steps:
                del self._steps[worker]  # gone, or without work

    def text(self) -> str:
        """Nothing for a single worker."""
        if len(self._steps) < 2:
            return ""
        rates = []
        for steps in self._steps.values():
            spent = steps[-1][0] - steps[0][0]
            rates.append(sum(n for _, n in list(steps)[1:]) / spent if spent > 0 else 0.0)
        return f"{len(rates)} workers, {sum(rates):.2f} fps ({min(rates):.2f} to {max(rates):.2f} each)"


class JsonLines:
    """One object a line on standard output: {"event": "plan" | "progress" | "chunk" | "note" | "done" | "error", ...}."""

    def __init__(self, stream: TextIO | None = None, *, label: str = "") -> None:
        """label: the "input" of every line, where there are several."""
        self._label = label
        self._stream = stream or sys.stdout
        self._pace = Pace()

    def show(self, event: Event) -> None:
        """Write one event."""
        if isinstance(event, Planned):
            self._pace = Pace()
            self.write("plan", plan_table(event))
        elif isinstance(event, Advanced):
            if event.step:  # counting begins where the first frame is finished
                self._pace.add(time.monotonic(), event.frames)
            rate = self._pace.rate or 0.0
            left = round((event.total - event.frames) / rate, 1) if rate else None
            self.write("progress", {"frames": event.frames, "total": event.total, "fps": round(rate, 3), "left_seconds": left,
                                    "seconds": event.seconds, "worker": event.worker, "host": event.host})  # fmt: skip
        elif isinstance(event, ChunkFinished):
            self.write("chunk", {"index": event.index, "chunks_done": event.chunks_done, "chunks": event.chunks, "frames": event.frames,
                                 "worker": event.worker, "host": event.host})  # fmt: skip
        elif isinstance(event, Note):
            self.write("note", {"text": event.text})
        elif isinstance(event, Finished):
            rate = event.frames / event.seconds if event.seconds else 0.0
            self.write("done", {"output": event.output, "frames": event.frames, "bytes": event.bytes, "fps": round(rate, 3),
                                "seconds": round(event.seconds, 3), "limiting": event.limiting, "report": event.report})  # fmt: skip
        elif isinstance(event, AlreadyDone):
            self.write("done", {"output": event.output, "already": True})

    def write(self, kind: str, table: dict[str, Any]) -> None:
        """Write a line of that kind."""
        print(json.dumps({"event": kind, **({"input": self._label} if self._label else {}), **table}), file=self._stream, flush=True)

    def close(self) -> None:
        """Nothing to end."""
