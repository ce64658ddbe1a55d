"""Frames are paired by exact times, and a frame in the wrong place is detected by its content."""

from __future__ import annotations

from array import array
from fractions import Fraction

import numpy as np
import pytest

from pipelines.plan.timeline import Timeline
from pipelines.quality.frame_alignment import LagFinder, pair_frames

MS, FILM, TICK = Fraction(1, 1000), Fraction(1001, 24000), Fraction(1, 90000)


def line(pts: list[int], base: Fraction) -> Timeline:
    return Timeline(base, array("q", pts), array("q", [1] * len(pts)))


def test_what_matroska_rounds_makes_no_difference() -> None:
    exact = line(list(range(100)), FILM)
    rounded = line([round(n * FILM / MS) for n in range(100)], MS)
    found = pair_frames(exact, rounded)
    assert found.pairs == [(n, n) for n in range(100)]
    assert found.alone == ([], [])
    assert found.apart <= 0.0005


def test_frames_nearer_than_a_rounded_tick_keep_their_order() -> None:
    pts = [0, 1001, 2002, 2500, 9009, 9010, 90000]
    found = pair_frames(line(pts, TICK), line([round(p * TICK / MS) for p in pts], MS))
    assert found.pairs == [(n, n) for n in range(7)]


def test_a_missing_frame_has_no_partner_and_moves_no_other() -> None:
    found = pair_frames(line([0, 1, 2, 3, 4], FILM), line([0, 1, 3, 4], FILM))
    assert found.pairs == [(0, 0), (1, 1), (3, 2), (4, 3)]
    assert found.alone == ([2], [])


@pytest.mark.parametrize("base", [Fraction(1, 25), Fraction(1, 12800)])
def test_times_one_frame_later_pair_with_the_next_frame(base: Fraction) -> None:
    step = int(Fraction(1, 25) / base)
    first, later = ([n * step for n in range(start, start + 10)] for start in (0, 1))
    assert pair_frames(line(first, base), line(later, base)).pairs == [(n + 1, n) for n in range(9)]
    assert pair_frames(line(first, base), line(later, base), origin=0).pairs == [(n, n) for n in range(10)]


def clip(count: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.uniform(40, 200, (6, 8)).astype(np.float32) for _ in range(count)]


def stretches(first: list[np.ndarray], second: list[np.ndarray]) -> list[tuple[int, int, int]]:
    finder = LagFinder()
    for one, other in zip(first, second, strict=True):
        finder.add(one, other)
    return finder.stretches()


@pytest.mark.parametrize("lag", [1, 3, -2])
def test_pictures_in_the_wrong_place_are_counted(lag: int) -> None:
    film = clip(70)
    first, second = film[max(0, lag) : 60 + max(0, lag)], film[max(0, -lag) : 60 + max(0, -lag)]
    assert stretches(first, second) == [(0, 60, lag)]


def test_a_coarser_and_brighter_copy_is_in_its_place() -> None:
    film = clip(60)
    rng = np.random.default_rng(1)
    assert stretches(film, [f + 9 + rng.normal(0, 3, f.shape).astype(np.float32) for f in film]) == [
        (0, 60, 0)
    ]


def test_a_fade_seen_too_bright_is_no_lag() -> None:
    still = clip(1)[0]
    film = [still + n for n in range(60)]
    assert stretches(film, [f + 1 for f in film]) == [(0, 60, 0)]


def test_where_nothing_moves_nothing_is_said() -> None:
    assert stretches(clip(1) * 60, clip(1) * 60) == [(0, 60, 0)]


def test_a_lag_in_a_part_of_the_film_is_found_there() -> None:
    film = clip(200)
    second = film[:96] + [film[n - 1] for n in range(96, 200)]
    found = stretches(film, second)
    assert found[0] == (0, 96, 0)
    assert {lag for start, _, lag in found if start >= 96} == {1}
