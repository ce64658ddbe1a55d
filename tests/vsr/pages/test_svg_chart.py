"""Axes of charts."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.quality.comparison import METRICS
from vsr.pages.svg_chart import scale


@pytest.mark.parametrize(
    ("values", "expected"),
    [([99.0, 100.0], (98.94, 100.0)), ([100.0, 100.0], (99.0, 100.0)), ([0.0, 50.0], (0.0, 53.0))],
)
def test_no_axis_goes_beyond_what_a_metric_can_be(values: list[float], expected: tuple[float, float]) -> None:
    vmaf = next(m for m in METRICS if m.name == "vmaf")
    assert scale([np.array(values)], vmaf.least, vmaf.most) == pytest.approx(expected)


def test_without_bounds_an_axis_has_room_on_both_sides() -> None:
    assert scale([np.array([0.0, 50.0])]) == pytest.approx((-3.0, 53.0))


def test_values_beyond_the_bounds_are_shown_all_the_same() -> None:
    low, high = scale([np.array([100.0, 130.0])], 0, 100)
    assert (low, high) == pytest.approx((98.2, 130.0))
    assert scale([np.array([-3.0])], 0, 100) == pytest.approx((-3.0, -2.5))
