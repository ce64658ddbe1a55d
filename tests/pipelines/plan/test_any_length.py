"""Films of any length and any packet order, from one packet to a million: their plans can be carried out.

Cases 1, 60.
"""

from __future__ import annotations

import os
from array import array
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from models.errors import UsageError
from pipelines.media.video_info import PacketIndex, VideoInfo
from pipelines.plan.chunking import clean_starts, frame_range
from pipelines.plan.plan import Plan
from pipelines.planner.video_planner import plan_video
from pipelines.probe.probe import probe
from pipelines.run.chunk_tasks import SpanRun
from pipelines.workers.messages import SpanTask
from tests import media
from tests.helpers.inline import QUICK
from tests.helpers.long_films import Idle
from vsr.api import run_settings

CASES, FIRST = int(os.environ.get("VSR_CASES", "20")), int(os.environ.get("VSR_FIRST", "0"))
MOST = int(os.environ.get("VSR_PACKETS", "100000"))
"""Packets of the longest film."""


@dataclass
class Film:
    """A film as its index tells it, and what a decoder would need for each of its frames."""

    info: VideoInfo
    needs: np.ndarray
    """By row: the first row without which the frame can't be decoded."""


def any_film(seed: int, base: VideoInfo) -> Film:
    """Groups of any length, closed and open, with B-frames up to three deep; hidden frames; even and uneven times."""
    rng = np.random.default_rng(seed)
    count = round(10 ** rng.uniform(0, np.log10(MOST)))
    longest = int(rng.choice([1, 2, 12, 48, 250, 100_000]))
    depth, is_open = int(rng.integers(0, 4)), rng.random() < 0.5
    shown, clean, needs = np.empty(count, np.int64), np.zeros(count, np.uint8), np.empty(count, np.int64)
    row = place = key = former = 0
    while row < count:
        left = min(count - row, int(rng.integers(1, longest + 1)))
        former, key = key, row
        clean[row] = 1
        # B-frames between the group before and the key frame are decoded behind it, and need both: an open group.
        leading = min(depth, left - 1) if is_open and row else 0
        shown[row], needs[row] = place + leading, row
        shown[row + 1 : row + 1 + leading] = place + np.arange(leading)
        needs[row + 1 : row + 1 + leading] = former
        at, place = row + 1 + leading, place + leading + 1
        while at < row + left:
            between = min(depth, row + left - at - 1)
            shown[at], shown[at + 1 : at + 1 + between] = place + between, place + np.arange(between)
            at, place = at + 1 + between, place + between + 1
        needs[row + 1 + leading : row + left] = key
        if row - former > 1 and not leading and needs[row - 1] == former and rng.random() < 0.3:
            # The last frame of the group before is decoded before the key frame and shown behind it: no place to begin.
            shown[row - 1], shown[row] = shown[row], shown[row - 1]
        row += left
    steps = (
        rng.integers(20, 4000, count)
        if rng.random() < 0.5
        else np.full(count, int(rng.choice([20, 128, 512, 3003])))
    )
    times = np.concatenate([[0], np.cumsum(steps)[:-1]]) + int(rng.integers(-5000, 1_000_000))
    pts = times[shown]
    hidden = (rng.random(count) < rng.choice([0.0, 0.01, 0.3])).astype(np.uint8)
    hidden[int(rng.integers(count))] = 0
    index = PacketIndex(
        array("q", pts.tobytes()),
        array("q", (np.arange(count) + int(times[0])).tobytes()),
        array("q", steps.tolist()),
    )
    index.size, index.clean, index.discard = (
        array("q", [9000]) * count,
        bytearray(clean.tobytes()),
        bytearray(hidden.tobytes()),
    )
    visible = np.sort(pts[hidden == 0])
    durations = array("q", np.diff(np.append(visible, visible[-1] + int(steps[-1]))).tolist())
    info = replace(
        base,
        index=index,
        pts=array("q", visible.tobytes()),
        durations=durations,
        linear=False,
        time_base=Fraction(1, 12800),
    )
    return Film(info, needs)


def any_plan(seed: int, info: VideoInfo, folder: Path) -> Plan:
    rng = np.random.default_rng([seed, 1])
    seconds = float(info.seconds)
    settings = {
        **QUICK,
        "chunk_seconds": max(0.001, float(10 ** rng.uniform(-2, 1)) * min(seconds, 30.0)) + seconds / 2000,
    }
    if rng.random() < 0.3:
        begin = float(rng.uniform(0, 0.9)) * seconds
        wanted = f"{begin:.4f}-{begin + seconds / 3:.4f}"
        try:
            frame_range(info, wanted)
            settings["range"] = wanted
        except UsageError:  # no frame is in it
            pass
    if rng.random() < 0.3:
        settings |= {"deinterlace": "on"} if rng.random() < 0.5 else {"prefilter": "denoise"}
    return plan_video(Path(info.path), folder / "out.mkv", run_settings(**settings), info).plan


@pytest.mark.parametrize("seed", range(FIRST, FIRST + CASES))
def test_every_frame_of_any_film_is_promised_once_and_can_be_decoded(tmp_path: Path, seed: int) -> None:
    """Cases 1 and 60."""
    film = any_film(seed, probe(media.cfr(tmp_path / "film.mp4", frames=4)))
    info, index = film.info, film.info.index
    plan = any_plan(seed, info, tmp_path)
    bounds = [(c.start_frame, c.stop_frame) for c in plan.chunks]
    assert [c.index for c in plan.chunks] == list(range(len(plan.chunks)))
    assert [start for start, _ in bounds] == [plan.start_frame, *(stop for _, stop in bounds[:-1])]
    assert all(start < stop for start, stop in bounds)
    assert bounds[-1][1] == plan.stop_frame
    assert [c for span in plan.spans for c in span.chunks] == list(plan.chunks)

    class Looking(Idle):
        def run_tasks(self, tasks, **more):  # type: ignore[no-untyped-def]
            given.extend(tasks)
            return iter(())

    given: list = []
    list(SpanRun(plan, info, run_settings(**QUICK).execution, "", workers=Looking()).outcomes())
    row_of = {pts: row for row, pts in enumerate(index.pts) if not index.discard[row]}
    starts = set(clean_starts(index)[1])
    for task in given:
        span, payload = plan.spans[task.key], task.payload
        assert isinstance(payload, SpanTask)
        assert span.first_row == 0 or span.first_row in starts
        rows = np.fromiter((row_of[p] for p in payload.pts), np.int64, len(payload.pts))
        assert rows.max() < span.stop_row
        assert film.needs[rows].min() >= span.first_row
        start, stop = payload.chunks[0].start_frame, payload.chunks[-1].stop_frame
        before, behind = plan.context
        assert payload.before + payload.settling == min(start, before)
        assert payload.pts == info.pts[start - min(start, before) : min(info.frame_count, stop + behind)]
