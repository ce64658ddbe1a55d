"""The cost of a film besides its pixels grows linearly with its length at most.

It is counted in executed lines, never in time. Case 60.
"""

from __future__ import annotations

import os
from array import array
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from pipelines.media.video_info import Span, VideoInfo
from pipelines.output.journal import Journal, work_folder
from pipelines.plan.plan import Plan
from pipelines.planner.video_planner import plan_video
from pipelines.run.chunk_tasks import SpanRun, _first_rows_after
from pipelines.run.job import upscale_video
from pipelines.workers.messages import SpanTask
from tests import media
from tests.helpers.inline import QUICK
from tests.helpers.long_films import Idle, long_film, operations
from vsr.api import run_settings


def grows_linearly(costs: list[int]) -> bool:
    """Costs of a length, twice and four times as much: whether the second step up is twice the first one.

    Of a square it is four times.
    """
    return costs[2] - costs[1] < 2.3 * (costs[1] - costs[0])


def plan_of(info: VideoInfo, folder: Path, **settings: object) -> Plan:
    return plan_video(Path(info.path), folder / "out.mkv", run_settings(**{**QUICK, **settings}), info).plan


def _begin(info: VideoInfo, folder: Path) -> None:
    plan = plan_of(info, folder, chunk_seconds=0.2)
    assert len(plan.chunks) > info.frame_count // 30
    for _ in SpanRun(plan, info, run_settings(**QUICK).execution, "", workers=Idle(most_tasks=1)).outcomes():
        pass


@pytest.mark.parametrize("edits", [0, 5])
def test_planning_and_starting_grow_with_the_length(tmp_path: Path, edits: int) -> None:
    """Case 60: with packets that an edit list hides, too."""
    films = [long_film(tmp_path, frames, edits=edits) for frames in (1500, 3000, 6000)]
    assert grows_linearly([operations(lambda info=info: _begin(info, tmp_path)) for info in films])


def test_a_task_holds_its_own_times_as_numbers(tmp_path: Path) -> None:
    """Case 60: eight bytes a frame; which packets an edit list hides, the packets say themselves."""
    info = long_film(tmp_path, 3000, edits=50)
    plan = plan_of(info, tmp_path, chunk_seconds=2.0)
    seen: list[SpanTask] = []

    class Looking(Idle):
        def run_tasks(self, tasks, **more):  # type: ignore[no-untyped-def]
            seen.extend(t.payload for t in tasks)
            return iter(())

    list(SpanRun(plan, info, run_settings(**QUICK).execution, "", workers=Looking()).outcomes())
    assert all(isinstance(task.pts, array) for task in seen)


def test_rows_are_kept_until_the_earliest_span_behind() -> None:
    """Spans that need context begin before the end of the one before them."""

    class Some:
        spans = tuple(spans_of([(0, 10), (8, 30), (5, 40), (35, 50)]))

    assert list(_first_rows_after(Some())) == [5, 5, 35, 50]  # type: ignore[arg-type]


def spans_of(rows: list[tuple[int, int]]) -> list[Span]:
    return [Span(first, stop, ()) for first, stop in rows]


@pytest.mark.parametrize(
    ("chunk_seconds", "frames", "verify"),
    [(0.04, 20, "seams"), (1000.0, 150, "seams"), (1000.0, 150, "full")],
    ids=["many chunks", "one", "full"],
)
def test_a_run_grows_with_the_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_seconds: float, frames: int, verify: str
) -> None:
    """Case 60: plan, feed, keep, put together and verify; the pixels are made by nobody."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    settings = run_settings(**{**QUICK, "chunk_seconds": chunk_seconds, "verify": verify})

    def cost(length: int) -> int:
        source, output = (tmp_path / f"{length}{end}.mkv" for end in ("", ".out"))
        media.cfr(source, frames=length, rate=Fraction(25), codec="ffv1", size=(64, 48))
        found = operations(lambda: list(upscale_video(source, output, settings, workers=Idle(real=True))))
        assert output.exists()
        return found

    assert grows_linearly([cost(length) for length in (frames, 2 * frames, 4 * frames)])


def test_what_was_kept_is_held_as_numbers(tmp_path: Path) -> None:
    """Case 60: times of a whole film lie in memory until it is put together."""
    info = long_film(tmp_path, 600)
    plan = plan_of(info, tmp_path)
    journal = Journal(work_folder(tmp_path / "out.mkv"), plan.id)
    journal.adopt(plan.id, plan.to_json())
    for event in SpanRun(plan, info, run_settings(**QUICK).execution, "", workers=Idle()).outcomes():
        if hasattr(event, "value"):
            assert isinstance(journal.commit(plan.id, event.value).pts, array)
    assert all(isinstance(record.pts, array) for record in journal.adopt(plan.id, plan.to_json())[0])
    journal.close()


def test_numbered_pictures_are_cut_by_their_bytes(tmp_path: Path) -> None:
    """Case 60: a chunk of them lies in memory as a whole, so it is no 6 s of 4K."""
    info = long_film(tmp_path, 600)
    for width, height, most in ((3840, 2160, 5), (7680, 4320, 1), (480, 360, 600)):
        info = replace(info, width=width // 2, height=height // 2)
        planned = plan_video(
            Path(info.path),
            tmp_path / "out_%05d.tif",
            run_settings(scale=2, model="lanczos", device="cpu"),
            info,
        )
        encoder = planned.plan.encoder
        assert encoder.picture_bytes >= 3 * width * height
        longest = max(c.frame_count for c in planned.plan.chunks)
        assert longest * encoder.picture_bytes <= max(128 << 20, encoder.picture_bytes)
        assert longest <= most
        assert [c.start_frame for c in planned.plan.chunks[1:]] == [
            c.stop_frame for c in planned.plan.chunks[:-1]
        ]
        # Chunks, and the pictures put together from them, lie on the disk side by side.
        assert planned.estimated_bytes >= 2 * planned.plan.frame_count * encoder.picture_bytes


def test_a_film_is_not_cut_by_bytes(tmp_path: Path) -> None:
    """Its chunks are small, whatever its frames are."""
    small = long_film(tmp_path, 600)
    settings = run_settings(scale=2, model="lanczos", device="cpu")
    cut = [
        [
            chunk.frame_count
            for chunk in plan_video(Path(info.path), tmp_path / "out.mkv", settings, info).plan.chunks
        ]
        for info in (small, replace(small, width=3840, height=2160))
    ]
    assert cut[0] == cut[1]
