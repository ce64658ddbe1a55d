"""The letters of a pulldown: which film frames exist, and when they are shown."""

from __future__ import annotations

import random
from array import array

import pytest

from pipelines.plan.pulldown import NONE, Pulldown, surrounding_frames


def pulldown(letters: str, first: int = 0) -> Pulldown:
    return Pulldown("top", first, letters)


def ticks(count: int, step: int = 1001) -> tuple[array[int], array[int]]:
    return array("q", range(0, count * step, step)), array("q", [step] * count)


@pytest.mark.parametrize("phase", range(5))
def test_four_film_frames_are_as_far_apart_as_they_were_on_film(phase: int) -> None:
    """Case 97."""
    letters = ("AB-CD" * 5)[phase : phase + 15]
    times, lengths = pulldown(letters).times(*ticks(15), 0, 15)
    assert times[0] == 0
    assert {b - a for a, b in zip(times[1:], times[2:], strict=False)} == {5005}
    assert times[-1] + lengths[-1] == 4 * 15 * 1001
    assert all(a + d == b for a, d, b in zip(times, lengths, times[1:], strict=False))


def test_whole_frames_and_video_keep_their_own_times() -> None:
    times, lengths = pulldown("WVWv").times(*ticks(4), 0, 4)
    assert (list(times), set(lengths)) == ([0, 4004, 8008, 12012], {4004})


def test_a_part_begins_and_ends_with_its_frames_whatever_field_comes_first() -> None:
    """Case 97."""
    letters = "AB-CD" * 4
    for start in range(6):
        for stop in range(start + 2, 14):
            found = pulldown(letters)
            times, lengths = found.times(*ticks(20), start, stop)
            own = slice(found.results(start), found.results(stop))
            shown, long = times[own], lengths[own]
            assert shown[0] == 4 * start * 1001
            assert shown[-1] + long[-1] == 4 * stop * 1001
            assert all(n > 0 for n in lengths)
            assert list(times) == sorted(set(times))


def test_no_film_frame_is_moved_into_a_hole() -> None:
    """Case 97: a frame after a gap is shown when it comes, but for a field."""
    pts, lengths = ticks(20)
    later = array("q", [p + (900_000 if n >= 13 else 0) for n, p in enumerate(pts)])
    times, _ = pulldown("AB-CD" * 4).times(later, lengths, 0, 20)
    assert times[10] == 4 * later[13] - 2 * 2 * 1001  # C, of its own frame and the one before the hole


def test_results_are_counted_within_the_letters_and_next_to_them() -> None:
    found = pulldown("-CDAB-", first=3)
    assert [found.results(n) for n in range(12)] == [0, 1, 2, 3, 3, 4, 5, 6, 7, 7, 8, 9]


def test_what_a_network_looks_at_is_there_wherever_a_chunk_begins() -> None:
    """Case 97."""
    dice = random.Random(3)
    for _ in range(40):
        letters = "".join(dice.choice("ABCD-") for _ in range(60)) + "A"
        found = pulldown(letters)
        for before, after in ((0, 0), (1, 1), (8, 0), (2, 3)):
            back, ahead = surrounding_frames(found, before, after)
            for frame in range(61):
                start, stop = max(0, frame - back), min(61, frame + ahead)
                assert start == 0 or found.results(frame) - found.results(start) >= before
                assert stop == 61 or found.results(stop) - found.results(frame) >= after


def test_breaks_are_counted() -> None:
    assert pulldown("AB-CDAB-CD").breaks == 0
    assert pulldown("AB-EDAB-ED").breaks == 0
    assert pulldown("-DAB-CDAB").breaks == 0
    assert pulldown("AB-CDABAB-CDDAB").breaks == 2
    assert pulldown("AB-CD--DAB").breaks == 2
    assert pulldown("AB-CDVVVVAB-CD").breaks == 0
    assert pulldown("A" + NONE * 3 + "D").longest_gap == 3
