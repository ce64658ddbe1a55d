"""The cadence of telecined film, found from its decoded fields."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from pipelines.interlacing import field_matching
from pipelines.interlacing.cadence import find_cadence
from pipelines.interlacing.field_matching import facts_of, match_fields
from pipelines.probe.probe import probe
from tests.helpers.telecine import film_frame, pulled_down, three_two, write_fields

SIZE = 160, 96


@pytest.fixture(scope="module")
def film() -> dict[int, np.ndarray]:
    return {n: film_frame(n, *SIZE) for n in range(60)}


def letters_of(frames: Iterable[np.ndarray], first: str = "top", *, noise: float = 2.0) -> str:
    random = np.random.default_rng(1)
    noisy = ((f + random.normal(0, noise, f.shape)).clip(0, 255).astype(np.uint8) for f in frames)
    return find_cadence(np.concatenate(list(facts_of(noisy, first))))


@pytest.mark.parametrize("noise", [0, 6, 16])
@pytest.mark.parametrize("first", ["top", "bottom"])
@pytest.mark.parametrize("phase", range(5))
def test_every_phase_is_found_through_noise(
    film: dict[int, np.ndarray], first: str, phase: int, noise: float
) -> None:
    """Case 97."""
    made = pulled_down(film, three_two(range(24), phase), first)
    expected = ("AB-CD" * 6)[phase:]
    if phase == 3:
        expected = "-" + expected[1:]  # one of its two fields was cut off
    assert letters_of(made.frames, first, noise=noise) == expected


@pytest.mark.parametrize("speed", [0.5, 8.0, 20.0])
def test_slow_and_fast_motion_show_it(speed: float) -> None:
    film = {n: film_frame(n, *SIZE, speed=speed) for n in range(24)}
    assert letters_of(pulled_down(film, three_two(range(24))).frames) == "AB-CD" * 6


def test_rest_between_motion_breaks_nothing(film: dict[int, np.ndarray]) -> None:
    """Case 97."""
    still = {n: film[min(n, 12) if n < 36 else n] for n in range(60)}
    assert letters_of(pulled_down(still, three_two(range(60))).frames) == "AB-CD" * 15


@pytest.mark.parametrize("every", [2, 3])
def test_animation_of_fewer_pictures_shows_it(film: dict[int, np.ndarray], every: int) -> None:
    """Case 97: drawn on twos and threes."""
    drawn = {n: film[n // every] for n in range(60)}
    found = letters_of(pulled_down(drawn, three_two(range(60))).frames)
    # Five fields of one drawing can be a pair of frames in two ways, both of which weave no other with it.
    assert found in {"AB-CD" * 15, *([("AB-CD" * 16)[1:76]] if every == 2 else [])}


def test_dot_crawl_does_not_look_like_a_comb() -> None:
    """Case 97: colour left in luma, with a phase that turns over from line to line and frame to frame."""
    wide = {n: film_frame(n, 720, 96) for n in range(24)}
    made = pulled_down(wide, three_two(range(24), 2))
    y, x = np.mgrid[0:96, 0:720]
    crawl = [
        (f + 18 * np.cos(np.pi * (x * 0.53 + y // 2 + n % 2))).clip(0, 255) for n, f in enumerate(made.frames)
    ]
    assert letters_of(crawl) == ("AB-CD" * 6)[2:]


def test_other_cadences_are_distinguished(film: dict[int, np.ndarray]) -> None:
    """Case 97: 2:3:3:2, thirty whole frames, one field late, and sixty moments a second."""
    advanced = [n for place, n in enumerate(range(24)) for _ in range((2, 3, 3, 2)[place % 4])]
    assert letters_of(pulled_down(film, advanced).frames) == "AB-ED" * 6
    twice = [n for n in range(24) for _ in range(2)]
    assert letters_of(pulled_down(film, twice).frames) == "W" * 24
    assert letters_of(pulled_down(film, twice[1:]).frames) == "-" + "P" * 22
    video = {n: film_frame(n, *SIZE, speed=1.5) for n in range(60)}
    for first in ("top", "bottom"):
        assert letters_of(pulled_down(video, list(range(60)), first).frames, first) == "V" * 30


def test_one_strange_frame_breaks_nothing(film: dict[int, np.ndarray]) -> None:
    frames = pulled_down(film, three_two(range(40))).frames
    frames[21] = film[55]
    assert letters_of(frames).upper() == "AB-CD" * 10


def test_facts_do_not_depend_on_where_a_look_begins(
    tmp_path: Path, film: dict[int, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 97: children look at stretches of a film, and their number depends on the machine."""
    info = probe(write_fields(tmp_path / "in.mkv", pulled_down(film, three_two(range(48), 2)).frames))
    whole = match_fields(info, "top", 0, info.frame_count)
    parts = [match_fields(info, "top", a, b) for a, b in ((0, 7), (7, 31), (31, info.frame_count))]
    assert (np.concatenate(parts) == whole).all()
    monkeypatch.setattr(field_matching, "_BATCH", 5)
    assert (match_fields(info, "top", 0, info.frame_count) == whole).all()


@pytest.mark.parametrize("cut", range(30, 40, 2))
def test_a_break_costs_no_film_frame_that_has_both_fields(film: dict[int, np.ndarray], cut: int) -> None:
    """Case 97: nor does it weave fields of two."""
    for skipped in (2, 4, 6, 8):
        fields = three_two(range(40))
        made = pulled_down(film, fields[:cut] + fields[cut + skipped :])
        shown = []
        for frame, letter in enumerate(letters_of(made.frames)):
            first, second = made.fields[2 * frame : 2 * frame + 2]
            if letter in "ABD":
                assert first == second
                shown.append(first)
            elif letter == "C":
                assert first == made.fields[2 * frame - 1]
                shown.append(first)
        assert shown == made.whole
