"""Linear light as input and output: OpenEXR, with values above white and below black."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from models.errors import CorruptError, UsageError
from pipelines.codec.decoder import float_planes, from_linear, to_linear
from pipelines.media.pixel_format import planar_format
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


def grey_with_alpha(path: Path, planes: dict[str, np.ndarray], kind: str) -> Path:
    """OpenEXR of channels A and Y, as no encoder of FFmpeg writes it: scan lines, uncompressed."""

    def attribute(name: str, of: str, content: bytes) -> bytes:
        return name.encode() + b"\0" + of.encode() + b"\0" + struct.pack("<i", len(content)) + content

    height, width = planes["Y"].shape
    channels = b"".join(
        name.encode() + b"\0" + struct.pack("<iB3xii", {"half": 1, "float": 2}[kind], 0, 1, 1)
        for name in sorted(planes)
    )
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    head = struct.pack("<II", 20000630, 2) + b"".join(
        attribute(*one)
        for one in (
            ("channels", "chlist", channels + b"\0"), ("compression", "compression", b"\0"), ("dataWindow", "box2i", window),
            ("displayWindow", "box2i", window), ("lineOrder", "lineOrder", b"\0"), ("pixelAspectRatio", "float", struct.pack("<f", 1)),
            ("screenWindowCenter", "v2f", bytes(8)), ("screenWindowWidth", "float", struct.pack("<f", 1)),
        )
    )  # fmt: skip
    head += b"\0"
    sample = {"half": "<f2", "float": "<f4"}[kind]
    rows = [b"".join(planes[n][y].astype(sample).tobytes() for n in sorted(planes)) for y in range(height)]
    step = len(rows[0]) + 8
    table = b"".join(struct.pack("<Q", len(head) + 8 * height + step * y) for y in range(height))
    path.write_bytes(
        head + table + b"".join(struct.pack("<ii", y, len(row)) + row for y, row in enumerate(rows))
    )
    return path


@pytest.mark.parametrize("kind", ["float", "half"])
def test_grey_light_keeps_its_alpha(tmp_path: Path, kind: str) -> None:
    """Case 30: samples of both lie side by side (yaf32le, yaf16le)."""
    y, x = np.mgrid[0:38, 0:52]
    grey, alpha = 0.3 + 3 * x / 52, 0.1 + 0.8 * y / 38
    source = grey_with_alpha(tmp_path / "in.exr", {"Y": grey, "A": alpha}, kind)
    upscaled(source, tmp_path / "same.exr")
    upscaled(source, tmp_path / "out.exr", scale=2, model="nearest")
    for path, times in ((tmp_path / "same.exr", 1), (tmp_path / "out.exr", 2)):
        made = light_of(path)
        for plane, expected in zip(made, (grey, grey, grey, alpha), strict=True):
            whole = expected.repeat(times, 0).repeat(times, 1)
            assert np.allclose(plane, whole, rtol=2e-3 if kind == "half" else 1e-5)


@pytest.mark.parametrize("name", ["rgbf32le", "rgbaf32le", "rgbaf16le", "gbrpf32be", "yaf16le", "grayf16le"])
def test_floats_are_read_however_they_are_stored(name: str) -> None:
    """Case 30."""
    frame = av.VideoFrame(5, 3, name)
    sample = np.dtype((">" if name.endswith("be") else "<") + ("f2" if "f16" in name else "f4"))
    count = {"yaf": 2, "rgbaf": 4, "grayf": 1}.get(name.partition("f")[0] + "f", 3)
    light = np.random.default_rng(0).random((count, 3, 5)).astype(sample)
    for place, plane in enumerate(frame.planes):
        rows = np.frombuffer(plane, sample).reshape(-1, plane.line_size // sample.itemsize)
        own = light[place] if len(frame.planes) > 1 or count == 1 else light.transpose(1, 2, 0).reshape(3, -1)
        rows[:3, : own.shape[1]] = own
    order = (1, 2, 0, 3)[:count] if name.startswith("rgb") else range(count)
    assert planar_format(name).plane_count == count
    for place, (made, at) in enumerate(zip(float_planes(frame), order, strict=True)):
        is_alpha = count in {2, 4} and place == count - 1
        assert np.allclose(made if is_alpha else to_linear(made), light[at].astype(np.float32), atol=1e-6)


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
