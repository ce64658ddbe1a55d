"""If memory runs out before the first chunk, the same video is planned again with smaller tiles.

Cases 53 and 54.

Light workers simulate the largest tile for which they have memory; an image of 320x160 is no larger than a
tile of 480x272.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.errors import NoMemoryError, UsageError
from pipelines.hardware.resources import WorkerAllocation
from pipelines.output.journal import work_folder
from pipelines.plan.events import AlreadyDone, ChunkFinished, Event, Note, Planned
from pipelines.planner.plan_builder import with_smaller_tiles
from pipelines.planner.video_planner import plan_video
from pipelines.run.job import upscale_video
from tests import media
from tests.helpers.inline import H264, WorkersHere, finished_of, planned_of, upscaled
from vsr.api import run_settings

pytestmark = pytest.mark.usefixtures("inline")

WORKER = "tests.pipelines.pool.fast_workers:Cramped"
LARGE, MIDDLE, SMALL = (544, 960), (144, 240), (80, 128)
OPTIONS: dict[str, Any] = {**H264, "model": "deconvolution-x1", "chunk_seconds": 0.3}


@pytest.fixture(scope="module")
def film(shelf: Path) -> Path:
    """Three chunks of eight frames."""
    return media.cfr(shelf / "cramped.mp4", size=(320, 160), gop=8)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the largest tile there is memory for, and from which frame on."""

    def has(tile_px: tuple[int, int], start: int = 0) -> None:
        monkeypatch.setenv("VSR_TEST_TILE", str(tile_px[0] * tile_px[1]))
        monkeypatch.setenv("VSR_TEST_FROM", str(start))

    return has


def run(film: Path, output: Path, **more: Any) -> list[Event]:
    return upscaled(film, output, worker=WORKER, **{**OPTIONS, **more})


def tiles(events: list[Event]) -> list[tuple[int, int]]:
    return [e.plan.tile_px for e in events if isinstance(e, Planned)]


def notes(events: list[Event]) -> list[str]:
    return [e.text for e in events if isinstance(e, Note)]


def gathered(film: Path, output: Path, events: list[Event], **more: Any) -> None:
    """Into `events`, also of a run that fails."""
    events.extend(upscale_video(film, output, run_settings(**OPTIONS), worker=WORKER, **more))


@pytest.mark.parametrize(("enough", "tried"), [(MIDDLE, [MIDDLE]), (SMALL, [MIDDLE, SMALL])])
def test_the_result_is_that_of_a_run_planned_with_the_tiles_that_fit(
    film: Path, tmp_path: Path, memory: Any, enough: tuple[int, int], tried: list[tuple[int, int]]
) -> None:
    """Cases 53 and 54."""
    memory(enough)
    output, planned = tmp_path / "out.mp4", tmp_path / "planned.mp4"
    events = run(film, output)
    assert tiles(events) == [LARGE, *tried]
    assert [e.changed for e in events if isinstance(e, Planned)] == [()] * (1 + len(tried))
    assert notes(events) == [f"memory ran out; started again with tiles of {w}x{h}" for h, w in tried]
    assert finished_of(events).frames == 24
    assert finished_of(events).report["tile"] == [enough[1], enough[0]]
    assert not work_folder(output).exists()
    straight = run(film, planned, tile=f"{enough[1]}x{enough[0]}")
    assert tiles(straight) == [enough]
    assert planned_of(straight).plan.id == planned_of(events).plan.id != planned_of(events[:1]).plan.id
    assert output.read_bytes() == planned.read_bytes()
    memory(LARGE)
    whole = tmp_path / "whole.mp4"
    run(film, whole)
    assert whole.read_bytes() != output.read_bytes(), "tiles shape no bytes here, and the test proves nothing"


def test_workers_that_share_memory_are_made_fewer_before_tiles_are_made_smaller(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cases 53 and 54: also behind the first chunk, which is kept.

    The bytes are those of the plan that was made first.
    """
    tried: list[int] = []

    class Sharing(WorkersHere):
        def __init__(self, allocation: WorkerAllocation) -> None:
            tried.append(allocation.workers)

        def run_tasks(self, *arguments: Any, **named: Any) -> Any:
            monkeypatch.setenv("VSR_TEST_TILE", str(0 if tried[-1] > 1 else LARGE[0] * LARGE[1]))
            return super().run_tasks(*arguments, **named)

    monkeypatch.setattr(
        "pipelines.run.worker_pools.local_workers", lambda settings, _, allocation: Sharing(allocation)
    )
    monkeypatch.setenv("VSR_TEST_FROM", "12")
    shared, alone = tmp_path / "shared.mp4", tmp_path / "alone.mp4"
    events = run(film, shared, workers=3)
    assert tried == [3, 1]
    assert tiles(events) == [LARGE, LARGE]
    assert [e.chunks_done for e in events if isinstance(e, Planned)] == [0, 1]
    assert notes(events) == ["memory ran out; continues with fewer workers: 1, as --workers 1 would"]
    run(film, alone)
    assert shared.read_bytes() == alone.read_bytes()


def test_the_same_command_again_finds_its_result_whatever_tiles_it_came_to(
    film: Path, tmp_path: Path, memory: Any
) -> None:
    """Case 45."""
    memory(MIDDLE)
    output = tmp_path / "out.mp4"
    run(film, output)
    memory(LARGE)
    assert isinstance(run(film, output)[-1], AlreadyDone)
    assert tiles(run(film, output, fresh=True)) == [LARGE]


@pytest.mark.parametrize("end", ["before a chunk", "behind a chunk"])
def test_an_interrupted_run_goes_on_with_the_tiles_it_had_come_to(
    film: Path, tmp_path: Path, memory: Any, end: str
) -> None:
    """Cases 38 and 54: it neither tries the large ones again nor throws work away."""
    memory(MIDDLE)
    output, whole = tmp_path / "out.mp4", tmp_path / "whole.mp4"
    stop = threading.Event()
    stream = upscale_video(film, output, run_settings(**OPTIONS), worker=WORKER, stop=stop)
    for event in stream:
        if isinstance(event, Note if end == "before a chunk" else ChunkFinished):
            break
    stream.close()  # type: ignore[attr-defined]
    events = run(film, output)
    assert tiles(events) == [MIDDLE]
    assert planned_of(events).chunks_done == (end == "behind a chunk")
    assert notes(events) == [
        "continues with tiles of 240x144, as memory ran out before; --fresh starts over with larger ones"
    ]
    run(film, whole)
    assert output.read_bytes() == whole.read_bytes()


def test_behind_the_first_chunk_it_is_too_late_and_what_to_do_is_said(
    film: Path, tmp_path: Path, memory: Any
) -> None:
    """Case 54."""
    memory(MIDDLE, start=12)
    output = tmp_path / "out.mp4"
    events: list[Event] = []
    with pytest.raises(NoMemoryError, match="what is done is kept, .*--fresh --tile 240x144") as error:
        gathered(film, output, events)
    assert error.value.exit_code == 6
    assert tiles(events) == [LARGE]
    memory(LARGE)
    again = run(film, output)
    assert planned_of(again).chunks_done == 1
    assert tiles(again) == [LARGE]


def test_the_advice_to_begin_anew_with_smaller_tiles_helps(film: Path, tmp_path: Path, memory: Any) -> None:
    memory(MIDDLE, start=12)
    output = tmp_path / "out.mp4"
    with pytest.raises(NoMemoryError):
        run(film, output)
    with pytest.raises(
        UsageError,
        match="1 of 3 chunks of an earlier run are kept, and with this command they would get other bits: --tile; .*--fresh",
    ):
        run(film, output, tile="240x144")
    assert finished_of(run(film, output, fresh=True, tile="240x144")).frames == 24


def test_below_the_smallest_tiles_there_is_no_more_to_try(film: Path, tmp_path: Path, memory: Any) -> None:
    """Case 54: a later run begins with the smallest at once."""
    memory((0, 0))
    output = tmp_path / "out.mp4"
    events: list[Event] = []
    with pytest.raises(NoMemoryError):
        gathered(film, output, events)
    assert tiles(events) == [LARGE, MIDDLE, SMALL]
    memory(SMALL)
    assert tiles(run(film, output)) == [SMALL]


def test_where_nothing_works_in_tiles_none_are_tried(film: Path, tmp_path: Path, memory: Any) -> None:
    memory((0, 0))
    with pytest.raises(NoMemoryError) as error:
        run(film, tmp_path / "out.mp4", model="identity")
    assert "--tile" not in str(error.value)


@pytest.mark.parametrize(
    ("size", "tile_px", "expected"),
    [
        ((1080, 1920), (544, 960), [(272, 480), (144, 240), (80, 128)]),
        ((1080, 1920), (288, 480), [(144, 240), (80, 128)]),
        ((144, 240), (544, 960), [(80, 128)]),
        ((80, 128), (544, 960), []),
        ((1080, 1920), (100, 200), []),
        ((1080, 1920), (32, 4000), [(16, 2000), (16, 1008)]),
    ],
)
def test_sides_are_halved_to_multiples_of_16_as_far_as_that_cuts_the_picture(
    film: Path, size: tuple[int, int], tile_px: tuple[int, int], expected: list[tuple[int, int]]
) -> None:
    planned = plan_video(film, None, run_settings(**OPTIONS))
    (stage,) = planned.plan.stages
    plan = replace(
        planned.plan,
        height=size[0],
        width=size[1],
        tile_px=tile_px,
        stages=(replace(stage, height=size[0], width=size[1]),),
    )
    assert [p.tile_px for p in with_smaller_tiles(plan)] == expected


def test_the_input_of_a_second_network_counts_as_well(film: Path) -> None:
    planned = plan_video(film, None, run_settings(**{**OPTIONS, "scale": 4, "model": "espcn,espcn"}))
    assert [s.height for s in planned.plan.stages] == [320, 640]
    assert [p.tile_px for p in with_smaller_tiles(planned.plan)] == [(272, 480), (144, 240), (80, 128)]
