"""Black bars: found if they are there during the whole film, and nowhere else.

They are cropped without moving the image.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pipelines.inference.upscaler import Upscaler
from pipelines.media.pixel_format import Orientation, PixelCrop, PixelFormat
from pipelines.media.video_info import Frame
from pipelines.plan.plan import Plan
from pipelines.probe.black_bars import bars_of, find_bars
from pipelines.probe.probe import open_film, probe
from tests import media
from tests.helpers.inline import planned_of, upscaled
from tests.helpers.patches import write_planes
from tests.helpers.view import decoded, planes
from tests.pipelines.inference.test_upscaler import CPU, card, picture, plan_of

pytestmark = pytest.mark.usefixtures("inline")

TAGS = (1, 1, 1, 1)
SIZE = (96, 80)


def boxed(
    path: Path,
    crop: PixelCrop,
    count: int = 30,
    *,
    dark: tuple[int, ...] = (),
    noise: int = 2,
    pix_fmt: str = "yuv420p",
) -> Path:
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


def found_bars(path: Path) -> PixelCrop:
    with open_film(path) as film:
        return find_bars(film, full=False)


@pytest.mark.parametrize(
    "crop", [PixelCrop(10, 10), PixelCrop(12, 10), PixelCrop(0, 0, 12, 12), PixelCrop(8, 8, 6, 6)], ids=str
)
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le"])
def test_bars_are_found_to_the_row(crop: PixelCrop, pix_fmt: str, tmp_path: Path) -> None:
    assert found_bars(boxed(tmp_path / "in.mkv", crop, pix_fmt=pix_fmt)) == crop


def test_a_picture_without_bars_has_none(tmp_path: Path) -> None:
    assert not found_bars(boxed(tmp_path / "in.mkv", PixelCrop()))


def test_one_dark_side_is_no_bar(tmp_path: Path) -> None:
    assert not found_bars(boxed(tmp_path / "in.mkv", PixelCrop(top=14)))


def test_black_frames_say_nothing(tmp_path: Path) -> None:
    dark = (0, 1, 2, 14, 15, 16, 29)
    assert found_bars(boxed(tmp_path / "in.mkv", PixelCrop(10, 10), dark=dark)) == PixelCrop(10, 10)


def test_one_bright_scene_is_enough_to_keep_what_others_leave_black(tmp_path: Path) -> None:
    """A film that opens up: its bars hold a picture in some of its scenes."""
    rng = np.random.default_rng(0)
    pictures = []
    for number in range(48):
        luma = rng.integers(60, 200, SIZE[::-1]).astype(np.uint8)
        if number < 24:
            luma[:10] = luma[-10:] = 16
        pictures.append([luma, *[np.full((SIZE[1] // 2, SIZE[0] // 2), 128, np.uint8)] * 2])
    assert not found_bars(write_planes(tmp_path / "in.mkv", pictures, "yuv420p", TAGS))


def test_a_title_on_black_is_no_letterbox() -> None:
    luma = np.full((80, 96), 16, np.uint8)
    luma[38:44, 30:60] = 235
    assert bars_of(luma, full=False, bits=8) is None
    assert bars_of(np.full((80, 96), 16, np.uint8), full=False, bits=8) is None


def test_bars_are_cut_off_and_nothing_else(tmp_path: Path) -> None:
    source, output = boxed(tmp_path / "in.mkv", PixelCrop(11, 11), 24), tmp_path / "out.mkv"
    planned = planned_of(upscaled(source, output, crop_bars=True, chunk_seconds=0.3))
    assert planned.plan.crop == PixelCrop(12, 12)  # chroma has no half rows
    assert any("black bars cut off" in n for n in planned.info.notes)
    pairs = list(zip(decoded(source), decoded(output), strict=True))
    assert len(pairs) == 24
    for before, after in pairs:
        assert (after.width, after.height) == (96, 56)
        for number, (a, b) in enumerate(zip(planes(before), planes(after), strict=True)):
            rows = 12 >> (number > 0)
            assert np.array_equal(a[rows:-rows], b)


def test_a_target_box_is_filled_by_what_is_left(tmp_path: Path) -> None:
    source, output = boxed(tmp_path / "in.mkv", PixelCrop(8, 8), 4), tmp_path / "out.mkv"
    upscaled(source, output, crop_bars=True, scale=None, to="192x160", model="bicubic")
    assert (decoded(output)[0].width, decoded(output)[0].height) == (192, 128)


def test_nothing_is_cut_where_there_are_no_bars_and_that_is_said(tmp_path: Path) -> None:
    planned = planned_of(
        upscaled(boxed(tmp_path / "in.mkv", PixelCrop(), 4), tmp_path / "out.mkv", crop_bars=True)
    )
    assert not planned.plan.crop
    assert any("no black bars" in n for n in planned.info.notes)


def test_deinterlaced_pictures_are_cropped_too(tmp_path: Path) -> None:
    source = media.interlaced(tmp_path / "in.mp4")
    info = probe(source)
    for mode, factor in (("auto", 1), ("bob", 2)):
        output = tmp_path / f"{mode}.mkv"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pipelines.planner.frame_look.find_bars", lambda *_, **__: PixelCrop(8, 8))
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
        assert (frame.width, frame.height) == (
            (144, 128)
            if not square
            else ((round(72 * sar) * 2, 128) if sar > 1 else (144, round(64 / sar) * 2))
        )


# --- bars that stay


def plan_with(bars: PixelCrop, width: int, height: int, name: str = "fast-x2", **more: object) -> Plan:
    plan = plan_of(card(name), width, height, 2, tile=(160, 128), **more)  # type: ignore[arg-type]
    return replace(plan, bars=bars)


def letterboxed(width: int = 128, height: int = 160, bar: int = 48) -> Frame:
    frame = picture("yuv420p", width, height)
    planes_ = [p.copy() for p in frame.planes]
    planes_[0][:bar] = planes_[0][-bar:] = 16
    planes_[0][0, ::3] = 18
    for chroma in planes_[1:]:
        chroma[: bar // 2] = chroma[-bar // 2 :] = 128
    return Frame(7, planes_)


@pytest.mark.parametrize("direct", [True, False])
def test_no_network_looks_at_bars_and_the_picture_stays_the_same(
    direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not direct:
        monkeypatch.setattr(Upscaler, "_is_direct", lambda _: False)
    frame = letterboxed()
    whole, spared = (
        Upscaler(plan_with(PixelCrop(), 128, 160), CPU),
        Upscaler(plan_with(PixelCrop(48, 48), 128, 160), CPU),
    )
    looked: list[int] = []
    module = spared._networks[0].module
    fused = spared._direct[0].fused if direct else None
    forward = module.forward  # type: ignore[attr-defined]
    monkeypatch.setattr(module, "forward", lambda p, **k: (looked.append(p[0].shape[-2]), forward(p, **k))[1])
    if fused is not None:
        run = fused.run
        monkeypatch.setattr(
            fused, "run", lambda *a: (looked.append(a[3].halo_bottom - a[3].halo_top), run(*a))[1]
        )
    expected, found = whole([frame])[0], spared([frame])[0]
    halo = spared._networks[0].contract.halo_px
    assert 64 <= sum(looked) <= 160 - 2 * (48 - halo) + 2 * halo < 160
    for number, (a, b) in enumerate(zip(expected.planes, found.planes, strict=True)):
        inner = slice(96 >> (number > 0), -96 >> (number > 0))
        assert np.abs(a[inner].astype(int) - b[inner].astype(int)).max() <= 1
        assert np.abs(b[:20].astype(int) - (16 if number == 0 else 128)).max() <= 2


def test_a_bar_with_something_in_it_is_a_picture_like_any_other() -> None:
    frame = letterboxed()
    frame.planes[0][10:20, 30:60] = 200  # a subtitle
    whole, spared = (
        Upscaler(plan_with(PixelCrop(), 128, 160), CPU),
        Upscaler(plan_with(PixelCrop(48, 48), 128, 160), CPU),
    )
    for a, b in zip(whole([frame])[0].planes, spared([frame])[0].planes, strict=True):
        top = a.shape[0] * 2 // 5
        assert np.abs(a[:top].astype(int) - b[:top].astype(int)).max() <= 1


def test_bars_of_a_turned_picture_are_turned(tmp_path: Path) -> None:
    turn = Orientation(transpose=True, flip_x=True)
    assert PixelCrop(1, 2, 3, 4).turned(turn) == PixelCrop(3, 4, 2, 1)
    luma = np.zeros((20, 30), np.uint8)
    luma[1:-2, 3:-4] = 200
    seen = bars_of(np.ascontiguousarray(luma.T[:, ::-1]), full=True, bits=8)
    assert seen == bars_of(luma, full=True, bits=8).turned(turn)  # type: ignore[union-attr]


def test_a_letterboxed_film_s_plan_knows_its_bars(tmp_path: Path) -> None:
    planned = planned_of(
        upscaled(
            boxed(tmp_path / "in.mkv", PixelCrop(10, 10), 4), tmp_path / "out.mkv", model="fast", scale=2
        )
    )
    assert planned.plan.bars == PixelCrop(10, 10)
    assert not planned.plan.crop
