"""The table after several films: what became of each, and at which speed this call made it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.plan.events import AlreadyDone, Finished
from vsr.views.run_summary import Summary

FILM = Path("film.mp4")


def finished(*, frames: int, made: int, seconds: float) -> Summary:
    summary = Summary({FILM: "film.mp4"})
    summary.add(FILM, Finished("up/film.mp4", frames, seconds, 1000, "", made=made))
    return summary


def test_the_speed_counts_only_frames_that_this_call_made() -> None:
    summary = finished(frames=5000, made=100, seconds=50.0)
    assert summary.rows[0].fps == pytest.approx(2.0)
    assert " 2.00 fps " in summary.text()


@pytest.mark.parametrize(("seconds", "said"), [(11.2, "in 11 s"), (0.02, "in 1 s"), (40.0, "2.50 fps")])
def test_work_that_is_mostly_startup_is_reported_in_seconds(seconds: float, said: str) -> None:
    head, line, _ = finished(frames=100, made=100, seconds=seconds).text().splitlines()
    assert head.split() == ["input", "result", "frames", "speed", "size", "output"]
    assert f" {said} " in line


def test_a_film_of_which_nothing_was_left_to_do_has_no_speed() -> None:
    summary = Summary({FILM: "film.mp4"})
    summary.add(FILM, AlreadyDone("up/film.mp4", 100, 1000))
    for told in (summary.text(), finished(frames=100, made=0, seconds=2.0).text()):
        assert "fps" not in told
        assert " in " not in told
