"""A crop of a frame that is upscaled alone has the pixels that it has in the whole frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.network import Contract
from pipelines.inference.temporal_windows import single_frame_window
from pipelines.inference.upscaler import Upscaler
from pipelines.media.pixel_format import Orientation, PixelCrop, PixelFormat
from pipelines.media.video_info import Frame
from pipelines.plan.plan import Plan
from pipelines.workers.preview_crop import CropUpscaler, Place, cut_out
from tests.pipelines.inference.test_upscaler import CPU, card, plan_of

SIZE = (240, 200)
SCALE = 2


def noise(pix_fmt: str) -> Frame:
    fmt, rng = PixelFormat.parse(pix_fmt), np.random.default_rng(3)
    kind = np.uint8 if fmt.bits == 8 else np.uint16
    return Frame(
        7,
        [
            rng.integers(0, 1 << fmt.bits, fmt.plane_size(n, *SIZE)).astype(kind)
            for n in range(fmt.plane_count)
        ],
    )


def place(top: int, left: int, height: int = 32, width: int = 48) -> Place:
    return slice(top, top + height), slice(left, left + width)


def takes(plan: Plan, **contract: object) -> bool:
    upscaler = Upscaler(plan, CPU)
    return CropUpscaler.takes(
        plan, replace(upscaler.contract, **contract), classical=not plan.stages[0].card.sha256
    )


@pytest.mark.parametrize(
    ("name", "pix_fmt"),
    [("fast-x2", "yuv420p"), ("lanczos", "yuv420p"), ("bicubic", "yuv422p10le"), ("fast-x2", "gbrp")],
)
def test_a_part_is_as_in_the_whole_wherever_it_lies(name: str, pix_fmt: str) -> None:
    plan, frame, fmt = (
        plan_of(card(name), *SIZE, SCALE, pix_fmt, tile=(96, 128)),
        noise(pix_fmt),
        PixelFormat.parse(pix_fmt),
    )
    upscaler = Upscaler(plan, CPU)
    whole = upscaler.follow(single_frame_window(frame, upscaler.contract)).planes
    excerpt = CropUpscaler(plan, upscaler.contract, CPU, (32, 48), 2)
    assert excerpt.share < 1
    low, right = SCALE * SIZE[1] - 32, SCALE * SIZE[0] - 48
    for pair in (
        (place(0, 0), place(low, right)),
        (place(184, 200), place(72, right)),
        (place(120, 8), place(200, 304)),
    ):
        for where, made in zip(
            pair, excerpt(single_frame_window(frame, upscaler.contract), pair), strict=True
        ):
            for a, b in zip(made, cut_out(whole, fmt, where), strict=True):
                apart = np.abs(a.astype(int) - b.astype(int))
                assert apart.shape == b.shape
                assert apart.max() <= 1  # bf16 sums may fall on either side of a half
                assert apart.mean() < 1e-3


def test_what_depends_on_more_than_its_surroundings_is_left_to_whole_frames() -> None:
    plan = plan_of(card("fast-x2"), *SIZE, SCALE)
    assert takes(plan)
    assert not takes(replace(plan, out_width=300))
    assert not takes(replace(plan, orientation=Orientation(transpose=True)))
    assert not takes(replace(plan, grain=((1.0,),)))
    assert not takes(plan, placed=True)
    assert not takes(plan, past=1)
    assert not takes(plan, halo_px=None)
    assert takes(plan_of(card("lanczos"), *SIZE, SCALE))


def test_strips_keep_the_bars_above_and_below() -> None:
    plan = replace(plan_of(card("fast-x2"), *SIZE, SCALE), bars=PixelCrop(40, 40, 8, 8))
    contract = Contract(scale=SCALE, pixels="yuv420", halo_px=4)
    assert CropUpscaler(plan, contract, CPU, (SCALE * SIZE[1], 48))._upscaler._plan.bars == PixelCrop(40, 40)
    assert not CropUpscaler(plan, contract, CPU, (32, 48))._upscaler._plan.bars
