"""Measures the cost of a film's length alone, without pixels: `python -m tests.benchmarks.length [HOURS]`.

An index of so many hours (20) at 60 frames per second is planned, begun, stored chunk by chunk and verified,
each in a separate process. Prints the seconds and the peak memory (RSS) of each process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from pipelines.codec.encoder import EncodedChunk
from pipelines.frames.thumbnail import grid_for
from pipelines.output.chunk_record import ResultParts
from pipelines.output.journal import Journal, work_folder
from pipelines.output.muxer import assemble
from pipelines.output.result_contents import check_times
from pipelines.output.verification import verify
from pipelines.planner.video_planner import plan_video
from pipelines.pool.interface import WorkItem
from pipelines.probe.frame_times import expected_times
from pipelines.run.chunk_tasks import SpanRun
from pipelines.run.job import upscale_video
from tests import media
from tests.helpers.inline import QUICK
from tests.helpers.long_films import Idle, long_film
from vsr.api import run_settings

_RATE = 60
_COMMITS = 4800
_PACKETS = 100_000
_MEMORY = Path("/dev/shm")
"""Where files lie, where there is such a place: what a disk takes to flush is not measured."""


def _timed(what: str, work: Callable[[], object]) -> object:
    Path("/proc/self/clear_refs").write_text(
        "5", encoding="ascii"
    )  # the peak that is told counts from here (proc(5))
    began, cpu = time.perf_counter(), time.process_time()
    found = work()
    spent, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = next(
        line.split()[1]
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        if line.startswith("VmHWM")
    )
    print(f"  {what:<52} {spent:8.2f} s, {cpu:.2f} of the CPU {int(peak) / 1024:8.0f} MB", flush=True)
    return found


def _film(folder: Path, hours: float) -> None:
    """Plan, first task, times of the result."""
    info = long_film(folder, round(hours * 3600 * _RATE), edits=1000)
    settings = run_settings(**QUICK)
    look = type("Look", (), {"pts": [], "error": ""})()
    _timed("times from the index", lambda: expected_times(info.index, look, "mov", "h264"))
    plan = _timed(
        f"plan of {info.frame_count} frames",
        lambda: plan_video(Path(info.path), folder / "out.mkv", settings, info).plan,
    )
    idle = Idle(most_tasks=1)
    _timed(
        f"to the first piece of {len(plan.spans)} tasks",
        lambda: list(SpanRun(plan, info, settings.execution, "", workers=idle).outcomes()),
    )
    assert idle.first_piece
    seen = type("Seen", (), {})()
    seen.pts = array(
        "q",
        (np.round(np.frombuffer(info.pts, np.int64) * float(info.time_base * 1000)))
        .astype(np.int64)
        .tobytes(),
    )
    seen.time_base = Fraction(1, 1000)
    _timed("times of the result", lambda: check_times(seen, plan, info))


def _commits(folder: Path, _: float) -> None:
    """Chunks as they come from workers, to the disk."""
    info = long_film(folder, _COMMITS * 150)
    plan = plan_video(
        Path(info.path), folder / "out.mkv", run_settings(**{**QUICK, "chunk_seconds": 2.5}), info
    ).plan
    journal = Journal(work_folder(folder / "out.mkv"), plan.id)
    plan_id, table = plan.id, plan.to_json()
    journal.adopt(plan_id, table)
    pictures = bytes((int(np.prod(grid_for(1920, 1080))) + 1) * 150)
    chunks = [
        EncodedChunk(n, bytes(1000), tuple(info.pts[150 * n : 150 * n + 150]), "header", pictures)
        for n in range(_COMMITS)
    ]
    _timed(f"{_COMMITS} commits", lambda: [journal.commit(plan_id, chunk) for chunk in chunks])
    del chunks[:]
    _timed("the same read back", lambda: journal.adopt(plan_id, table))
    journal.close()


def _verified(folder: Path, _: float) -> None:
    """One chunk of very many packets."""
    source = media.cfr(folder / "in.mkv", frames=4, rate=Fraction(25), codec="ffv1", size=(64, 48))
    settings = run_settings(**{**QUICK, "chunk_seconds": 10_000_000.0})
    for _ in upscale_video(source, folder / "warm.mkv", settings, workers=Idle(real=True)):
        pass
    planned = plan_video(source, folder / "out.mkv", settings)
    step = planned.info.pts[1] - planned.info.pts[0]
    info = replace(
        planned.info, pts=array("q", range(0, step * _PACKETS, step)), durations=array("q", [step]) * _PACKETS
    )
    chunk = replace(planned.plan.chunks[0], stop_frame=_PACKETS)
    plan = replace(
        planned.plan,
        stop_frame=_PACKETS,
        chunks=(chunk,),
        spans=(replace(planned.plan.spans[0], chunks=(chunk,)),),
    )
    journal = Journal(work_folder(folder / "out.mkv"), plan.id)
    journal.adopt(plan.id, plan.to_json())
    for event in SpanRun(plan, info, settings.execution, "", workers=Idle(real=True)).outcomes():
        if isinstance(event, WorkItem):
            record = journal.commit(plan.id, event.value)
    passed = _timed(
        "put together",
        lambda: assemble(ResultParts(plan, info, [record]), journal.result, dropped=frozenset()),
    )
    _timed(
        f"verified: {_PACKETS} packets of one chunk",
        lambda: verify(journal.result, ResultParts(plan, info, [record]), passed, full=False),
    )
    _timed(
        "the same, every frame decoded",
        lambda: verify(journal.result, ResultParts(plan, info, [record]), passed, full=True),
    )
    journal.close()


_PARTS = {"film": _film, "commits": _commits, "verify": _verified}


def main() -> None:
    """All parts, or, in a child, one."""
    hours = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    if len(sys.argv) > 2:
        with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
            _PARTS[sys.argv[2]](Path(folder), hours)
        return
    for part in _PARTS:
        print(part, flush=True)
        subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.length", str(hours), part], check=True, env=os.environ
        )


if __name__ == "__main__":
    main()
