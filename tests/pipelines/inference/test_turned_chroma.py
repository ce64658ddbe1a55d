"""Chroma positions in frames that were rotated or have odd sides.

They are compared with a scene for which the value at every point is known.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from pipelines.inference.upscaler import Upscaler
from pipelines.media.cicp import ColorTags
from pipelines.media.pixel_format import Orientation, PixelFormat
from pipelines.media.video_info import Frame
from tests.pipelines.inference.test_pixel_formats import plan_for

CPU = torch.device("cpu")
SITINGS = {1: (0.5, 0.0), 2: (0.5, 0.5), 5: (1.0, 0.0)}
"""As FFmpeg counts them -> how far (down, across) chroma lies between the first and the last of its luma
samples."""
FORMATS = ("yuv420p16le", "yuv422p16le", "yuv440p12le", "yuv444p16le", "yuv411p", "yuv410p")


def scene(down: np.ndarray, across: np.ndarray, number: int) -> np.ndarray:
    """A component at any place of the upright frame: waves much longer than a chroma sample."""
    y, x = down[:, None] / 15, across[None] / 15
    return np.asarray(
        30000 + 9000 * np.sin(x + 0.5 * y + number) + 9000 * np.cos(0.9 * y - 0.4 * x + 2 * number)
    )


def places(count: int, sub: int, siting: float) -> np.ndarray:
    """Where the samples of one axis lie, in luma samples from the first one."""
    return np.arange(-(-count // sub)) * sub + siting * (sub - 1)


def subsampling(pixels: PixelFormat, number: int) -> tuple[int, int]:
    return (1, 1) if number == 0 else (1 << pixels.sub_y, 1 << pixels.sub_x)


def stored(pix_fmt: str, size: tuple[int, int], siting: int, turn: Orientation) -> list[np.ndarray]:
    """Planes of a frame of that stored (width, height), which shows the scene once it is turned."""
    pixels = PixelFormat.parse(pix_fmt)
    seen_width, seen_height = turn.turn(*size)
    planes = []
    for number in range(3):
        sub = subsampling(pixels, number)
        down, across = (places(size[1 - axis], sub[axis], SITINGS[siting][axis]) for axis in range(2))
        y, x = (across, down) if turn.transpose else (down, across)
        values = scene(
            seen_height - 1 - y if turn.flip_y else y, seen_width - 1 - x if turn.flip_x else x, number
        )
        values = np.rint((values.T if turn.transpose else values) / 2 ** (16 - pixels.bits))
        planes.append(values.astype(pixels.dtype))
    return planes


def distances(
    made: Frame, pix_fmt: str, siting: int, seen: tuple[int, int], target: tuple[int, int]
) -> Iterator[float]:
    """How far each plane of a result is from the scene, but for its border."""
    pixels = PixelFormat.parse(pix_fmt)
    for number, plane in enumerate(made.planes):
        sub = subsampling(pixels, number)
        found = [places(target[1 - axis], sub[axis], SITINGS[siting][axis]) for axis in range(2)]
        y, x = ((at + 0.5) * seen[1 - axis] / target[1 - axis] - 0.5 for axis, at in enumerate(found))
        got = plane[: len(y), : len(x)].astype(float) * 2 ** (16 - pixels.bits)
        rim = [-(-14 * target[0] // (seen[0] * by)) for by in sub]
        off = np.abs(got - scene(y, x, number))
        yield float(off[rim[0] : -rim[0], rim[1] : -rim[1]].max())


@pytest.mark.parametrize("pix_fmt", FORMATS)
@pytest.mark.parametrize(("chain", "factor"), [("identity", 1), ("lanczos", 2), ("lanczos", 2.5)])
def test_colour_stays_where_it_was_however_a_frame_is_turned_and_sited(
    pix_fmt: str, chain: str, factor: float
) -> None:
    """Case 26: all eight ways of standing, odd sides too, into the same pixels and into one sample each."""
    for turn, size, siting in itertools.product(
        itertools.starmap(Orientation, itertools.product((False, True), repeat=3)),
        ((65, 50), (67, 49)),
        SITINGS,
    ):
        planes = stored(pix_fmt, size, siting, turn)
        seen = turn.turn(*size)
        target = (round(seen[0] * factor), round(seen[1] * factor))
        for out in (pix_fmt, "yuv444p16le"):
            color = ColorTags(1, 1, 1, 1, siting)
            plan = plan_for(pix_fmt, seen, target, (chain,), out=out, color=color, turn=turn)
            (made,) = Upscaler(plan, CPU)([Frame(0, planes)])
            for number, off in enumerate(distances(made, out, siting, seen, target)):
                # A shift by one row or column of luma is more than 600 off.
                assert off < 400, (turn, size, siting, out, number, off)
