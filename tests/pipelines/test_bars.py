"""Black bars: found where they stand all through a film, and nowhere else; cut off with the picture's place exact."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pipelines.bars import bars_of, find_bars
from pipelines.probe import probe
from pipelines.video import Crop, PixelFormat
from tests import media
from tests.helpers.inline import planned_of, upscaled
from tests.helpers.patches import write_planes
from tests.helpers.view import decoded, planes

pytestmark = pytest.mark.usefixtures("inline")

TAGS = (1, 1, 1, 1)
SIZE = (96, 80)


def boxed(path: Path, crop: Crop, count: int = 30, *, dark: tuple[int, ...] = (), noise: int = 2, pix_fmt: str = "yuv420p") -> Path:
    """A film inside black bars with some noise on them; frames in `dark` are black all over."""
    width, height = SIZE
    pixels, rng = PixelFormat.parse(pix_fmt), np.random.default_rng(0)
    pictures = []
    for number in range(count):
        inner = media.planes_of(number, *crop.size(width, height), pix_fmt)
        values = []
        for place, part in enumerate(inner):
            shape = pixels.plane_size(place, width, height)
            base = (16 if place == 0 else 128) << (pixels.bits - 8)
            plane = np.full(shape, base, np.int64)
            if place == 0:
                plane += rng.integers(0, noise + 1, shape)
            if number not in dark:
                plane[crop.of_plane(place, pixels, width, height)] = part
            values.append(plane.astype(part.dtype))
        pictures.append(values)
    return write_planes(path, pictures, pix_fmt, TAGS)


@pytest.mark.parametrize("crop", [Crop(10, 10), Crop(12, 10), Crop(0, 0, 12, 12), Crop(8, 8, 6, 6)], ids=str)
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le"])
def test_bars_are_found_to_the_row(crop: Crop, pix_fmt: str, tmp_path: Path) -> None:
    assert find_bars(probe(boxed(tmp_path / "in.mkv", crop, pix_fmt=pix_fmt)), full=False) == crop


def test_a_picture_without_bars_has_none(tmp_path: Path) -> None:
    assert not find_bars(probe(boxed(tmp_path / "in.mkv", Crop())), full=False)


def test_one_dark_side_is_no_bar(tmp_path: Path) -> None:
    assert not find_bars(probe(boxed(tmp_path / "in.mkv", Crop(top=14))), full=False)


def test_black_frames_say_nothing(tmp_path: Path) -> None:
    assert find_bars(probe(boxed(tmp_path / "in.mkv", Crop(10, 10), dark=(0, 1, 2, 14, 15, 16, 29))), full=False) == Crop(10, 10)


def test_one_bright_scene_is_enough_to_keep_what_others_leave_black(tmp_path: Path) -> None:
    """A film that opens up: its bars hold a picture in some of its scenes."""
    rng = np.random.default_rng(0)
    pictures = []
    for number in range(48):
        luma = rng.integers(60, 200, SIZE[::-1]).astype(np.uint8)
        if number < 24:
            luma[:10] = luma[-10:] = 16
        pictures.append([luma, *[np.full((SIZE[1] // 2, SIZE[0] // 2), 128, np.uint8)] * 2])
    assert not find_bars(probe(write_planes(tmp_path / "in.mkv", pictures, "yuv420p", TAGS)), full=False)


def test_a_title_on_black_is_no_letterbox() -> None:
    luma = np.full((80, 96), 16, np.uint8)
    luma[38:44, 30:60] = 235
    assert bars_of(luma, full=False, bits=8) is None
    assert bars_of(np.full((80, 96), 16, np.uint8), full=False, bits=8) is None


def test_bars_are_cut_off_and_nothing_else(tmp_path: Path) -> None:
    source, output = boxed(tmp_path / "in.mkv", Crop(11, 11), 24), tmp_path / "out.mkv"
    planned = planned_of(upscaled(source, output, crop_bars=True, chunk_seconds=0.3))
    assert planned.plan.crop == Crop(12, 12)  # chroma has no half rows
    assert any("black bars cut off" in n for n in planned.info.notes)
    pairs = list(zip(decoded(source), decoded(output), strict=True))
    assert len(pairs) == 24
    for before, after in pairs:
        assert (after.width, after.height) == (96, 56)
        for number, (a, b) in enumerate(zip(planes(before), planes(after), strict=True)):
            rows = 12 >> (number > 0)
            assert np.array_equal(a[rows:-rows], b)


def test_a_target_box_is_filled_by_what_is_left(tmp_path: Path) -> None:
    source, output = boxed(tmp_path / "in.mkv", Crop(8, 8), 4), tmp_path / "out.mkv"
    upscaled(source, output, crop_bars=True, scale=None, to="192x160", model="bicubic")
    assert (decoded(output)[0].width, decoded(output)[0].height) == (192, 128)


def test_nothing_is_cut_where_there_are_no_bars_and_that_is_said(tmp_path: Path) -> None:
    planned = planned_of(upscaled(boxed(tmp_path / "in.mkv", Crop(), 4), tmp_path / "out.mkv", crop_bars=True))
    assert not planned.plan.crop
    assert any("no black bars" in n for n in planned.info.notes)


def test_deinterlaced_pictures_are_cropped_too(tmp_path: Path) -> None:
    source = media.interlaced(tmp_path / "in.mp4")
    info = probe(source)
    for mode, factor in (("auto", 1), ("bob", 2)):
        output = tmp_path / f"{mode}.mkv"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pipelines.request.find_bars", lambda *_, **__: Crop(8, 8))
            upscaled(source, output, deinterlace=mode, crop_bars=True)
        found = decoded(output)
        assert len(found) == factor * info.frame_count
        assert (found[0].width, found[0].height) == (64, 32)


# --- sample aspect ratio


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("sar", [Fraction(16, 15), Fraction(8, 9), Fraction(4, 3)], ids=str)
def test_the_display_aspect_is_kept_or_baked_in(sar: Fraction, suffix: str, tmp_path: Path) -> None:
    """Case 27."""
    source = media.cfr(tmp_path / f"in{suffix}", frames=4, size=(72, 64), sar=sar)
    shape = sar * 72 / 64
    for square in (False, True):
        output = tmp_path / f"{square}{suffix}"
        upscaled(source, output, square_pixels=square, codec="h264", model="bicubic", scale=2)
        frame = decoded(output)[0]
        found = probe(output).sar
        assert abs(found * frame.width / frame.height / shape - 1) < 0.02
        assert found == (1 if square else sar)
        assert (frame.width, frame.height) == ((144, 128) if not square else ((round(72 * sar) * 2, 128) if sar > 1 else (144, round(64 / sar) * 2)))
