"""Measures the cost of the guards of a run: `python -m tests.benchmarks.guards [WIDTHxHEIGHT] [FRAMES]`.

Upscales a generated clip by two in this process, and counts the CPU seconds for checking every frame before
and after the networks, hashing and flushing chunks, hashing them again, fingerprinting the input, and
verifying the result. CPU seconds are used so that other programs have no effect.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipelines.diagnostics.benchmark import make_clip
from pipelines.output.chunk_record import ChunkRecord
from pipelines.output.journal import Journal
from pipelines.probe import probe
from pipelines.run import job, publishing, worker_pools
from pipelines.workers import frame_order_check
from tests.helpers.figures import record
from tests.helpers.inline import WorkersHere
from vsr.api import run_settings


def main() -> None:
    """Measure and print."""
    width, height = map(int, (sys.argv[1] if len(sys.argv) > 1 else "1280x720").split("x"))
    frames = int(sys.argv[2]) if len(sys.argv) > 2 else 48
    spent: dict[str, float] = {}

    def counted(owner: Any, name: str, what: str, clock: Callable[[], float] = time.thread_time) -> None:
        function: Callable[..., Any] = getattr(owner, name)

        def timed(*given: Any, **more: Any) -> Any:
            began = clock()
            try:
                return function(*given, **more)
            finally:
                spent[what] = spent.get(what, 0.0) + clock() - began

        setattr(owner, name, timed)

    counted(frame_order_check.FrameOrderCheck, "source", "looking at frames")
    counted(frame_order_check.FrameOrderCheck, "result", "looking at frames")
    counted(Journal, "commit", "keeping chunks")
    counted(ChunkRecord, "read", "hashing chunks again")
    counted(probe, "fingerprint", "fingerprint of the input")
    counted(
        publishing, "verify", "verifying the result", time.process_time
    )  # decodes in several threads, while nothing else runs
    worker_pools.local_workers = lambda *_: WorkersHere()  # type: ignore[assignment,return-value]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.mp4"
        make_clip(source, frames / 24, width=width, height=height)
        settings = run_settings(
            scale=2, model="fast", codec="h264", preset="superfast", device="cpu", chunk_seconds=1.0
        )
        began = time.process_time()
        for _ in job.upscale_video(source, Path(folder) / "out.mp4", settings):
            pass
        total = time.process_time() - began
    record(share=f"{sum(spent.values()) / total:.1%}")
    print(
        f"{frames} frames {width}x{height}, x2: {total:.1f} CPU seconds, of them in guards {sum(spent.values()) / total:.2%}"
    )
    for what, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"  {what:<26} {seconds:7.3f} s  {seconds / total:7.3%}")


if __name__ == "__main__":
    main()
