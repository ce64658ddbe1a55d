"""Dithered, halftoned and noisy images pass the comparison with their source; wrong images don't."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipelines.frames.thumbnail import (
    grid_for,
    kept_thumbnail,
    packed_thumbnail,
    texture_of,
    thumbnail,
    thumbnail_difference,
)
from pipelines.media.cicp import ColorTags
from pipelines.media.pixel_format import PixelFormat
from tests.helpers.inline import upscaled

SIZE = (160, 120)
GREY, TAGS, GRID = PixelFormat.parse("gray"), ColorTags(1, 2, 1, 1), grid_for(*SIZE)
X, Y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
RAMP = 0.25 + 0.5 * X / SIZE[0]
WAVES = (np.sin(X / 13) * np.sin(Y / 11) + 1) / 2


def dithered(bright: np.ndarray) -> np.ndarray:
    """Two levels by error diffusion (Floyd and Steinberg), as image editors do."""
    left = np.pad(bright, 1).astype(float)
    made = np.zeros(bright.shape, np.uint8)
    for row, column in np.ndindex(*bright.shape):
        value = left[row + 1, column + 1]
        made[row, column] = 255 * (value > 0.5)
        error = value - (value > 0.5)
        for down, right, share in ((0, 1, 7), (1, -1, 3), (1, 0, 5), (1, 1, 1)):
            left[row + 1 + down, column + 1 + right] += error * share / 16
    return made


def halftone(bright: np.ndarray) -> np.ndarray:
    screen = (np.cos((X + Y) * np.pi / 3) * np.cos((X - Y) * np.pi / 3) + 1) / 2
    return (255 * (bright > screen)).astype(np.uint8)


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, SIZE[::-1]).astype(np.uint8)


MATERIAL = {
    "dithered ramp": dithered(RAMP),
    "dithered waves": dithered(WAVES),
    "two dithered halves": dithered(np.where(X < 80, 0.3, 0.7)),
    "two thirds": dithered(np.where(X < 80, 1 / 3, 2 / 3)),
    "halftone": halftone(WAVES),
    "checkerboard": (255 * ((X + Y) % 2)).astype(np.uint8),
    "checkerboard that fades": ((X + Y) % 2 * (255 * RAMP)).astype(np.uint8),
    "noise": noise(1),
    "lines": np.where((X % 2 == 0) & (X < 80), 0, 255).astype(np.uint8),
    "pixel art": np.random.default_rng(3).choice([20, 90, 170, 250], (15, 20)).repeat(8, 0).repeat(8, 1)
    .astype(np.uint8),
    "text": np.where((Y % 12 < 8) & (np.random.default_rng(4).random(X.shape) < 0.4), 0, 255).astype(np.uint8),
}  # fmt: skip


def written(path: Path, plane: np.ndarray) -> Path:
    with av.open("file:" + str(path), "w") as output:
        stream = output.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "gray"
        frame = av.VideoFrame.from_ndarray(plane, format="gray")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def shown(plane: np.ndarray) -> np.ndarray:
    return thumbnail([plane], GREY, TAGS, GRID)


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("name", MATERIAL)
def test_a_right_upscale_of_fine_texture_is_not_refused(tmp_path: Path, name: str) -> None:
    """Networks sharpen single dots: shadows get darker and lights lighter."""
    source = written(tmp_path / "in.png", MATERIAL[name])
    upscaled(source, tmp_path / "out.png", scale=2, model="fast")
    assert (tmp_path / "out.png").exists()


@pytest.mark.parametrize(
    "name", ["dithered ramp", "dithered waves", "two dithered halves", "two thirds", "halftone"]
)
@pytest.mark.parametrize("wrong", ["swapped", "shifted", "inverted", "smeared", "grey"])
def test_a_wrong_picture_is_noticed_however_fine_its_texture(name: str, wrong: str) -> None:
    """Case 18."""
    own = MATERIAL[name]
    other = {
        "swapped": dithered((np.cos(X / 9) * np.cos(Y / 14) + 1) / 2),
        "shifted": np.roll(own, 40, axis=1),
        "inverted": 255 - own,
        "smeared": np.pad(own[:60, :80], ((0, 60), (0, 80)), mode="edge"),
        "grey": np.full_like(own, 128),
    }[wrong]
    texture = texture_of([own], GREY)
    assert thumbnail_difference(shown(own.repeat(2, 0).repeat(2, 1)), shown(own), texture=texture) == 0
    assert thumbnail_difference(shown(other.repeat(2, 0).repeat(2, 1)), shown(own), texture=texture) > 0


@pytest.mark.parametrize("pix_fmt", ["gray", "gray10le", "gray16le", "grayf32le"])
def test_texture_is_measured_alike_at_every_depth(pix_fmt: str) -> None:
    pixels = PixelFormat.parse(pix_fmt)
    most = 1.0 if pixels.is_float else (1 << pixels.bits) - 1
    plane = ((X + Y) % 2 * most).astype(pixels.dtype)
    assert texture_of([plane], pixels) == pytest.approx(127.5)
    assert texture_of([np.full_like(plane, most)], pixels) == 0
    assert texture_of([plane[:1, :1]], pixels) == 0


def test_thumbnails_of_a_former_version_are_still_compared() -> None:
    """They have no texture."""
    cells = [shown(MATERIAL[name]) for name in ("text", "noise")]
    now = b"".join(packed_thumbnail(c, 40.0) for c in cells)
    before = b"".join(packed_thumbnail(c, 40.0)[:-1] for c in cells)
    for kept, texture in ((now, 40.0), (before, 0.0)):
        for place, expected in enumerate(cells):
            found = kept_thumbnail(kept, place, GRID)
            assert found is not None
            assert np.abs(found[0] - expected).max() <= 0.5
            assert found[1] == texture
        assert kept_thumbnail(kept, 2, GRID) is None
