"""Where networks run: every implementation gives the same image."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import numba
import numpy as np
import pytest
import torch

from models.catalog.card import Card
from models.catalog.lookup import cards
from pipelines.inference import device
from pipelines.inference.device import numerics_class
from pipelines.inference.upscaler import Upscaler
from pipelines.media.cicp import ColorTags
from pipelines.media.pixel_format import Orientation, PixelFormat
from pipelines.media.video_info import Chunk, Frame, Span
from pipelines.plan.plan import NetworkStage, Plan
from pipelines.settings.encoder_spec import Encoder

CPU = torch.device("cpu")
BT709 = ColorTags(1, 1, 1, 1, 1)


def plan_of(
    card: Card,
    width: int,
    height: int,
    factor: int,
    pix_fmt: str = "yuv420p",
    *,
    out: str | None = None,
    tile=(24, 32),
    color=BT709,
    turn=None,
) -> Plan:
    turn = turn or Orientation()
    seen = turn.turn(width, height)
    out_width, out_height = seen[0] * factor, seen[1] * factor
    encoder = Encoder("ffv1", "ffv1", out_width, out_height, out or pix_fmt)
    stages = (NetworkStage(card, out_width, out_height),)
    return Plan(
        "", 0, *seen, out_width, out_height, Fraction(1), turn, pix_fmt, out or pix_fmt, color, color, stages, encoder, Fraction(1, 24), Fraction(24),
        0, 1, False, "fail", "", (Chunk(0, 0, 1),), (Span(0, 1, (Chunk(0, 0, 1),)),), tile,
    )  # fmt: skip


def picture(pix_fmt: str, width: int, height: int, seed: int = 0) -> Frame:
    """Smooth, so that resampling differences are small, with every plane another."""
    fmt = PixelFormat.parse(pix_fmt)
    rng = np.random.default_rng(seed)
    planes = []
    for number in range(fmt.plane_count):
        rows, columns = fmt.plane_size(number, width, height)
        y, x = np.mgrid[0:rows, 0:columns] / max(rows, columns)
        values = 0.5 + 0.3 * np.sin(5 * x + number) * np.cos(4 * y + rng.random())
        planes.append((values * ((1 << fmt.bits) - 1)).astype(np.uint8 if fmt.bits == 8 else np.uint16))
    return Frame(7, planes)


def card(name: str) -> Card:
    return next(c for c in cards() if c.name == name)


def same(a: Frame, b: Frame) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a.planes, b.planes, strict=True))


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize("size", [(64, 48), (65, 47)])
def test_direct_way_gives_what_the_long_one_gives(pix_fmt, size, monkeypatch):
    upscaler = Upscaler(plan_of(card("fast-x2"), *size, 2, pix_fmt), CPU)
    frame = picture(pix_fmt, *size)
    assert upscaler._is_direct()
    direct = upscaler([frame])[0]
    monkeypatch.setattr(Upscaler, "_is_direct", lambda _: False)
    long = Upscaler(plan_of(card("fast-x2"), *size, 2, pix_fmt), CPU)([frame])[0]
    for a, b in zip(direct.planes, long.planes, strict=True):
        assert (
            np.abs(a.astype(int) - b.astype(int)).max() <= 1
        )  # one sums codes, the other values: a half may fall on either side
        assert (a != b).mean() < 1e-3


def test_tiles_show_no_seams():
    frame = picture("yuv420p", 128, 96)
    whole = Upscaler(plan_of(card("fast-x2"), 128, 96, 2, tile=(96, 128)), CPU)([frame])[0]
    tiled = Upscaler(plan_of(card("fast-x2"), 128, 96, 2, tile=(24, 32)), CPU)([frame])[0]
    for a, b in zip(whole.planes, tiled.planes, strict=True):
        assert np.abs(a.astype(int) - b.astype(int)).max() <= 1  # bf16 sums may fall on either side of a half


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "yuv444p", "gray", "gbrp", "yuv440p"])
@pytest.mark.parametrize("name", ["lanczos", "bicubic", "fast-x2"])
def test_flat_colours_stay_what_they_are(pix_fmt, name):
    fmt = PixelFormat.parse(pix_fmt)
    codes = [100, 140, 90]
    planes = [
        np.full(
            fmt.plane_size(i, 40, 32), codes[i] << (fmt.bits - 8), np.uint8 if fmt.bits == 8 else np.uint16
        )
        for i in range(fmt.plane_count)
    ]
    color = replace(BT709, matrix=0, range=2) if fmt.family == "rgb" else BT709
    result = Upscaler(plan_of(card(name), 40, 32, 2, pix_fmt, color=color), CPU)([Frame(0, planes)])[0]
    assert result.pts == 0
    for plane, code in zip(result.planes, codes, strict=False):
        assert abs(float(plane.mean()) - (code << (fmt.bits - 8))) <= (1 << (fmt.bits - 8))


def test_turned_pictures_are_turned_before_they_are_upscaled():
    frame = picture("yuv420p", 48, 32)
    turn = Orientation(transpose=True, flip_x=True)
    turned = Upscaler(plan_of(card("nearest"), 48, 32, 2, turn=turn), CPU)([frame])[0]
    expected = np.rot90(frame.planes[0], -1).repeat(2, 0).repeat(2, 1)
    assert np.array_equal(turned.planes[0], expected)


def test_order_and_timestamps_stay():
    frames = [replace(picture("yuv420p", 32, 32, seed), pts=seed) for seed in range(3)]
    result = Upscaler(plan_of(card("fast-x2"), 32, 32, 2), CPU)(frames)
    assert [f.pts for f in result] == [0, 1, 2]
    alone = [Upscaler(plan_of(card("fast-x2"), 32, 32, 2), CPU)([f])[0] for f in frames]
    assert all(same(a, b) for a, b in zip(result, alone, strict=True))


def test_the_numerics_class_names_all_that_shapes_bits_besides_input_and_settings() -> None:
    """Case 42."""
    facts = numerics_class(CPU)
    assert facts.keys() >= {
        "torch",
        "numpy",
        "numba",
        "dtype",
        "device",
        "compute",
        "av",
        "ffmpeg",
        "x264",
        "x265",
        "svtav1",
    }
    assert facts["numba"].startswith(numba.__version__)
    assert facts["av"] == av.__version__


@pytest.mark.parametrize(("amx", "avx512", "amd", "dtype"), [
    (True, True, False, torch.bfloat16), (False, True, True, torch.bfloat16),
    (False, True, False, torch.float32), (False, False, True, torch.float32),
])  # fmt: skip
def test_bf16_is_for_cpus_that_multiply_it_faster_than_fp32(
    monkeypatch: pytest.MonkeyPatch, amx: bool, avx512: bool, amd: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(device, "bf16_units", lambda: (amx, avx512))
    monkeypatch.setattr(device, "_is_amd", lambda: amd)
    assert device.low_precision(torch.device("cpu")) == dtype
    assert numerics_class(torch.device("cpu"))["dtype"] == str(dtype).removeprefix("torch.")
