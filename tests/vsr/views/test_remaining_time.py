"""The estimate of the remaining time: within 15 % after the first minute."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from pipelines.diagnostics.run_time import run_seconds
from vsr.views.remaining_time import SpeedMeter, comparison_seconds

RECORDED = Path(__file__).parent / "recorded_run.json"

Reports = list[tuple[float, int]]
"""(seconds since the command, frames done)."""


def steady(*, start: float, rate: float, frames: int, every: float = 0.5) -> Reports:
    """A worker that takes its time to start, and then reports twice a second."""
    return [
        (start + n * every, min(frames, round((n + 1) * every * rate)))
        for n in range(round(frames / rate / every))
    ]


def in_steps(*, start: float, rate: float, frames: int, chunk: int, swallowed: int) -> Reports:
    """The encoder takes the first frames of each chunk at three times the pace, and what that gained is
    waited for at the chunk's end.
    """
    reports, now = [], start
    for first in range(0, frames, chunk):
        end = now + chunk / rate
        for n in range(1, chunk + 1):
            now += (1 / 3 if n <= swallowed else 1) / rate
            reports.append((now, first + n))
        now = end
    return reports


def cluster(*, start: float, workers: int, rate: float, frames: int) -> Reports:
    """Workers that come one by one."""
    steps = sorted(
        (start + 2.0 * w + n / rate) for w in range(workers) for n in range(1, frames // workers * 2)
    )
    return [(at, n) for n, at in enumerate(steps[:frames], start=1)]


SLOW_START = [(9.6 + 18.0, 1)] + [(27.6 + 8.0 * n, 1 + n) for n in range(1, 60)]
"""A frame in eight seconds: 8K on a laptop."""

RUNS = {
    "steady": steady(start=20.0, rate=6.0, frames=3000),
    "quick": steady(start=5.0, rate=120.0, frames=60_000),
    "by chunks": in_steps(start=12.0, rate=4.0, frames=2880, chunk=144, swallowed=40),
    "a cluster": cluster(start=15.0, workers=8, rate=3.0, frames=8 * 600),
    "very slow": SLOW_START,
}


def test_a_short_run_whose_encoder_swallows_its_first_frames_is_known_after_ten_seconds_and_no_nonsense_before() -> (
    None
):
    """A film of six seconds: 40 frames at three times the pace."""
    reports = in_steps(start=6.0, rate=2.4, frames=144, chunk=144, swallowed=40)
    pace, early = SpeedMeter(), []
    for now, done in reports:
        pace.add(now, done)
        if now - reports[0][0] < 5:
            early.append(pace.rate)
        elif 15 < now - reports[0][0] < 45:
            assert pace.rate is not None
            assert (144 - done) / pace.rate == pytest.approx(reports[-1][0] - now, rel=0.35), (
                f"{now:.0f} s into it"
            )
    assert set(early) == {None}


@pytest.mark.parametrize("name", RUNS)
def test_after_the_first_minute_what_is_left_is_known_within_15_percent(name: str) -> None:
    reports = RUNS[name]
    end, total = reports[-1]
    pace = SpeedMeter()
    checked = 0
    for now, done in reports:
        pace.add(now, done)
        if now - reports[0][0] > 60 and end - now > 30:
            assert pace.rate is not None
            assert (total - done) / pace.rate == pytest.approx(end - now, rel=0.15), f"{now:.0f} s into it"
            checked += 1
    assert checked > 20


def test_of_a_recorded_run_the_length_is_known_within_15_percent_after_the_first_minute() -> None:
    """When each progress line of `--json` came, from the start of the command.

    Of a machine whose load went up and down.
    """
    run = json.loads(RECORDED.read_text(encoding="utf-8"))
    first, took = run["progress"][0][0], run["done_after_seconds"]
    pace = SpeedMeter()
    checked = 0
    for now, done in run["progress"]:
        pace.add(now, done)
        if now - first >= 60:
            assert pace.rate is not None
            assert now + (run["total"] - done) / pace.rate == pytest.approx(took, rel=0.15), (
                f"{now:.0f} s into it"
            )
            checked += 1
    assert checked > 150
    assert took > 180


def test_chunks_of_an_earlier_run_are_no_speed() -> None:
    pace = SpeedMeter()
    for now, done in ((30.0, 5000), (31.0, 5002), (40.0, 5020)):
        pace.add(now, done)
    assert pace.rate == pytest.approx(2.0)


def test_a_pause_counts_as_no_time() -> None:
    pace = SpeedMeter()
    for n in range(100):
        pace.add(n * 0.5, n)
    for n in range(100, 200):
        pace.add(3600 + n * 0.5, n)
    assert pace.rate == pytest.approx(2.0, rel=0.02)


def test_it_follows_what_changes() -> None:
    pace = SpeedMeter()
    for n in range(2000):
        pace.add(n, 10 * n)
    for n in range(2000, 2700):
        pace.add(n, 20_000 + 2 * (n - 2000))
    assert pace.rate == pytest.approx(2.0)


def test_before_two_reports_nothing_is_known() -> None:
    pace = SpeedMeter()
    assert pace.rate is None
    pace.add(1.0, 5)
    assert pace.rate is None
    pace.add(1.0, 5)
    assert pace.rate is None


def test_an_estimate_that_was_made_before_is_the_rate_until_the_pace_takes_over() -> None:
    pace, seen = SpeedMeter(10.0), {}
    for second in range(121):
        seen[second] = pace.rate
        pace.add(second, 5 * second)
    assert [seen[s] for s in range(6)] == [10.0] * 6
    assert 5 < (seen[30] or 0) < 10
    assert seen[120] == pytest.approx(5.0)


COMPARED = [
    0.29,
    0.4,
    0.49,
    0.58,
    0.68,
    0.81,
    0.9,
    1.01,
    1.17,
    1.35,
    1.47,
    1.58,
    1.7,
    1.79,
    1.89,
    2.05,
    2.2,
    2.37,
    2.52,
    2.68,
    2.82,
    2.9,
    2.98,
    3.06,
    3.14,
]
"""CPU seconds after every sixth of the 144 frames of a comparison of 320x180 and 640x360; the last is the end of
the measurement."""
COMPARED_SECONDS = 4.07
"""With the worst moments."""


@pytest.mark.parametrize("slower", [3, 6, 20])
def test_the_time_of_a_comparison_has_its_beginning_and_the_worst_moments_in_it(slower: int) -> None:
    """On a film whose frames take so many times as long, when the pace is known first."""
    pace, total = SpeedMeter(), 144
    for number, seconds in enumerate(COMPARED):
        done = min(total, 6 * number + 1)
        pace.add(seconds * slower, done)
        if pace.rate is not None:
            found = comparison_seconds(seconds * slower, done, total, pace.rate)
            assert found == pytest.approx(COMPARED_SECONDS * slower, rel=0.25)
            return
    raise AssertionError("no pace")


@pytest.mark.parametrize("frames", [240, 1440, 7200, 172_800])
def test_the_bar_at_a_tenth_and_the_estimate_say_the_same_from_ten_seconds_to_two_hours(frames: int) -> None:
    """A film at 24 fps whose frames take 0.35 s, a fifth more or less over some minutes, on a clock made here."""
    a_frame = 0.35
    estimated = run_seconds(frames, a_frame / 1.1)
    pace, now, at_a_tenth = SpeedMeter(1 / a_frame), 4.0, 0.0
    for done in range(1, frames + 1):
        now += a_frame * (1 + 0.2 * math.sin(now / 90))
        pace.add(now, done)
        if not at_a_tenth and 10 * done >= frames:
            assert pace.rate is not None
            at_a_tenth = now + (frames - done) / pace.rate
    assert estimated == pytest.approx(now, rel=0.15)
    assert at_a_tenth == pytest.approx(now, rel=0.15)
