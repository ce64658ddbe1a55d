from __future__ import annotations

import numpy as np
import pytest

from pipelines.datasets.damage import Damage, level_of_damage, measure_damage
from pipelines.datasets.degradation import Degradation, DegradationStep
from pipelines.datasets.degrading import degrade
from pipelines.datasets.recompression import Coding, recode
from tests.helpers.footage import clip


def test_a_clip_that_is_only_scaled_down_is_at_level_0() -> None:
    truth = clip(1, 96, 128)
    small = degrade(truth, Degradation(), scale=2)
    assert level_of_damage(measure_damage(small, small)) == 0


def test_a_higher_crf_is_a_higher_level() -> None:
    truth = clip(4, 96, 128)
    levels = [
        level_of_damage(measure_damage(recode(truth, Coding("h264", crf)), truth)) for crf in (8, 20, 32, 44)
    ]
    assert levels == sorted(levels)
    assert levels[-1] > levels[0] + 0.2


def test_depth_does_not_change_what_is_measured() -> None:
    eight = clip(1, 96, 128)
    coded = recode(eight, Coding("h264", 30))
    ten = [
        type(c)(c.luma.astype(np.uint16) << 2, c.chroma.astype(np.uint16) << 2, 10) for c in (coded, eight)
    ]
    assert measure_damage(*ten) == measure_damage(coded, eight)


def test_the_same_error_counts_more_where_less_goes_on() -> None:
    assert level_of_damage(Damage(10.0, 40.0)) > level_of_damage(Damage(10.0, 400.0))


@pytest.mark.parametrize("error", [0.0, 1e-9, 1e9])
def test_a_level_is_between_0_and_1(error: float) -> None:
    assert 0 <= level_of_damage(Damage(error, 200.0)) <= 1


def test_the_plain_way_of_a_degradation_is_its_scaling_down_alone() -> None:
    harsh = Degradation((DegradationStep(kernel="area", codec="h264", quality=40, noise_codes=9),), seed=4)
    assert harsh.undamaged == Degradation((DegradationStep(kernel="area"),))
