"""When each frame of the result is shown."""

from __future__ import annotations

from array import array

from pipelines.plan.timeline import field_times


def test_two_fields_share_the_time_of_their_frame() -> None:
    pts, lengths = field_times(array("q", [0, 3, 7, 10]), array("q", [3, 4, 3, 3]))
    assert list(pts) == [0, 3, 6, 10, 14, 17, 20, 23]
    assert list(lengths) == [3, 3, 4, 4, 3, 3, 3, 3]


def test_in_front_of_a_hole_the_second_field_comes_after_the_usual_time() -> None:
    pts, lengths = field_times(array("q", [0, 2, 4, 100]), array("q", [2, 2, 96, 2]))
    assert list(pts) == [0, 2, 4, 6, 8, 10, 200, 202]
    assert list(lengths) == [2, 2, 2, 2, 2, 190, 2, 2]


def test_a_frame_without_length_still_gives_two_times() -> None:
    pts, _ = field_times(array("q", [5]), array("q", [0]))
    assert pts[0] < pts[1]
