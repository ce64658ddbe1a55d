"""Each shot goes through the networks at its own restoration level."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pipelines.inference.shot_upscaler import ShotUpscaler
from pipelines.inference.temporal_windows import single_frame_window
from pipelines.inference.upscaler import Upscaler
from pipelines.settings.run_settings import detail_at
from tests.pipelines.inference.test_upscaler import CPU, card, picture, plan_of, same

if TYPE_CHECKING:
    from pipelines.media.video_info import Frame
    from pipelines.plan.plan import Plan

LEVELS = ((0, 0.1), (3, 0.9), (5, 0.4), (6, 0.6), (7, 0.2), (8, 0.9))


def at_level(plan: Plan, level: float) -> Plan:
    stage = replace(plan.stages[0], restore=level, detail=detail_at(level, "auto"))
    return replace(plan, restore_levels=(), detail_levels=(), stages=(stage,))


def plan(levels: tuple[tuple[int, float], ...] = LEVELS) -> Plan:
    return replace(
        at_level(plan_of(card("real-fast-x2"), 64, 48, 2), 0.1),
        restore_levels=levels,
        detail_levels=tuple(detail_at(level, "auto") for _, level in levels),
    )


@pytest.fixture(scope="module")
def expected() -> list[Frame]:
    """Ten times the same frame, each through a network for its level."""
    made = {
        level: Upscaler(at_level(plan(), level), CPU)([picture("yuv420p", 64, 48)])[0] for _, level in LEVELS
    }
    return [made[[level for first, level in LEVELS if first <= number][-1]] for number in range(10)]


@pytest.mark.parametrize("numbers", [range(10), range(4, 10), (9, 0, 4)], ids=["whole", "later", "anywhere"])
def test_a_frame_has_the_level_of_its_shot_wherever_a_chunk_begins(
    expected: list[Frame], numbers: range | tuple[int, ...]
) -> None:
    """The frames are all alike: tiles of one level are not taken over for the next."""
    upscaler = ShotUpscaler(plan(), CPU)
    shown = [single_frame_window(picture("yuv420p", 64, 48), upscaler.contract, number) for number in numbers]
    for made in (
        [frame for _, frame in upscaler.stream(shown)],
        [upscaler.follow(window) for window in shown],
    ):
        assert all(same(frame, expected[number]) for frame, number in zip(made, numbers, strict=True))
    assert not same(expected[2], expected[3])


def test_within_a_shot_what_stands_still_is_taken_over() -> None:
    upscaler = ShotUpscaler(plan(), CPU)
    for number in range(3):
        upscaler.follow(
            replace(
                single_frame_window(picture("yuv420p", 64, 48), upscaler.contract, number), starts=number == 0
            )
        )
    assert upscaler.stills.taken == 2 * upscaler.stills.tiles / 3


def test_few_levels_stay_loaded_and_the_pulse_never_falls() -> None:
    upscaler, last = ShotUpscaler(plan(), CPU), 0
    for number in range(10):
        upscaler.follow(
            single_frame_window(picture("yuv420p", 64, 48, seed=number), upscaler.contract, number)
        )
        assert upscaler.pulse > last
        last = upscaler.pulse
    assert len(upscaler._kept) == 3
