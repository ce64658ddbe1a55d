"""Linear light in and out: OpenEXR, with what lies above white and below black."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from models.errors import CorruptError, UsageError
from pipelines.codec.decoder import from_linear, to_linear
from tests import media
from tests.helpers.inline import H264, planned_of, upscaled
from tests.helpers.view import decoded

pytestmark = pytest.mark.usefixtures("inline")


def renders(
    pattern: Path,
    pix_fmt: str = "gbrpf32le",
    kind: str = "float",
    count: int = 5,
    size: tuple[int, int] = (64, 48),
    odd: float = 0.0,
) -> Path:
    """Numbered OpenEXR pictures from -0.2 to 12 times white. odd: a sample of the second one."""
    pattern.parent.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        context = av.CodecContext.create("exr", "w")
        context.width, context.height, context.pix_fmt, context.time_base = *size, pix_fmt, Fraction(1, 25)
        context.options = {"format": kind, "compression": "zip16"}
        frame = av.VideoFrame(*size, pix_fmt)
        for place, plane in enumerate(frame.planes):
            y, x = np.mgrid[0 : plane.height, 0 : plane.line_size // 4]
            light = 0.3 + 0.4 * np.sin(x / 9 + number / 3 + place) + 0.1 * np.cos(y / 5)
            light[10:20, 20:30] = 12.0 - number
            if place == 3:
                light = np.clip(light, 0, 1)
            if odd and number == 1 and place == 0:
                light[3, 3] = odd
            plane.update(light.astype(np.float32).tobytes())
        frame.pts = 0
        (pattern.parent / (pattern.name % (number + 1))).write_bytes(
            b"".join(bytes(p) for p in [*context.encode(frame), *context.encode(None)])
        )
    return pattern


def light_of(path: Path) -> list[np.ndarray]:
    (frame,) = decoded(path)
    step = 2 if "f16" in frame.format.name else 4
    return [
        np.frombuffer(memoryview(p), f"f{step}").reshape(p.height, -1)[:, : p.width].astype(np.float64)
        for p in frame.planes
    ]


@pytest.mark.parametrize(
    ("pix_fmt", "kind"),
    [
        ("gbrpf32le", "float"),
        ("gbrapf32le", "float"),
        ("gbrpf32le", "half"),
        ("gbrapf32le", "half"),
        ("grayf32le", "float"),
    ],
)
def test_light_comes_through_with_what_lies_beyond_white(tmp_path: Path, pix_fmt: str, kind: str) -> None:
    source = renders(tmp_path / "in" / "f_%04d.exr", pix_fmt, kind)
    for cut, seconds in (("many", 0.05), ("one", 1e6)):
        target = tmp_path / f"{cut}_%04d.exr"
        upscaled(source, target, chunk_seconds=seconds)
        for number in range(1, 6):
            before, after = (
                light_of(source.parent / f"f_{number:04d}.exr"),
                light_of(tmp_path / f"{cut}_{number:04d}.exr"),
            )
            assert len(before) == len(after)
            assert max(b.max() for b in before) > 7
            for a, b in zip(after, before, strict=True):
                assert np.allclose(a, b, rtol=2e-6, atol=1e-7)


def test_light_is_upscaled_without_a_ceiling(tmp_path: Path) -> None:
    source = renders(tmp_path / "in" / "f_%04d.exr", count=1)
    upscaled(source, tmp_path / "out_%04d.exr", scale=2, model="lanczos")
    light = light_of(tmp_path / "out_0001.exr")[0]
    assert light.shape == (96, 128)
    assert abs(light[28:32, 48:52].mean() - 12) < 0.1


def test_what_is_clipped_is_said(tmp_path: Path) -> None:
    source = renders(tmp_path / "in" / "f_%04d.exr")
    events = upscaled(source, tmp_path / "out_%04d.png")
    assert any("above white" in n for n in planned_of(events).info.notes)
    picture = decoded(tmp_path / "out_0001.png")[0].to_ndarray()
    light = light_of(source.parent / "f_0001.exr")[1]
    expected = np.clip(from_linear(light), 0, 1) * 65535
    assert np.abs(picture[..., 2].astype(float) - expected).max() <= 1
    for pixel_format, name in ((None, "yuv420p10le"), ("yuv444p10le", "yuv444p10le"), ("yuv420p", "yuv420p")):
        upscaled(source, tmp_path / f"{name}.mp4", pixel_format=pixel_format, **H264)
        assert decoded(tmp_path / f"{name}.mp4")[0].format.name == name


def test_numbers_that_are_none_are_refused_or_blackened(tmp_path: Path) -> None:
    source = renders(tmp_path / "in" / "f_%04d.exr", odd=float("nan"))
    with pytest.raises(CorruptError, match="non-finite values"):
        upscaled(source, tmp_path / "out_%04d.exr")
    upscaled(source, tmp_path / "out_%04d.exr", on_corrupt="conceal")
    assert light_of(tmp_path / "out_0002.exr")[0][3, 3] == 0


def test_a_film_whose_curve_is_not_srgb_is_no_linear_light(tmp_path: Path) -> None:
    source = media.cfr(tmp_path / "in.mp4")
    with pytest.raises(UsageError, match=r"OpenEXR holds linear light, and BT709.*\.tiff"):
        upscaled(source, tmp_path / "out_%04d.exr")


def test_the_curve_is_its_own_reverse_everywhere() -> None:
    light = np.concatenate([np.linspace(-1, 0.01, 500), np.geomspace(0.001, 1000, 500)])
    assert np.allclose(to_linear(from_linear(light)), light, rtol=1e-6, atol=1e-9)
    assert np.allclose(from_linear(np.array([0.0, 1.0, 0.5])), [0, 1, 0.735357], atol=1e-6)
    assert np.all(np.diff(from_linear(light)[:500]) > 0)
