"""Every pixel format of FFmpeg: its samples are unchanged in the result, or it is refused with a remedy.

In memory, all formats are tested; from file to file, every way in which FFmpeg writes one (a part of them in
`make test`, all of them nightly). The expected values are read by FFmpeg's description of each format, sample
by sample.
"""

from __future__ import annotations

import functools
import os
import random
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.format import names

from models.errors import MediaError
from pipelines.codec.decoder import Converter
from pipelines.media.pixel_format import planar_format
from tests.helpers import component_reader
from tests.helpers.component_reader import components, described
from tests.helpers.float_reference import resized
from tests.helpers.inline import upscaled
from tests.helpers.view import decoded
from tests.helpers.view import planes as view_planes

pytestmark = pytest.mark.skipif(not component_reader.is_there(), reason="PyAV was built from source")

CASES, SEED = int(os.environ.get("VSR_CASES", "20")), int(os.environ.get("VSR_SEED", "1"))
SIZE = (24, 14)
ROUTES = {
    "rawvideo": (".nut", ".mov", ".avi", ".mkv"), "ffv1": (".mkv", ".avi"), "png": (".png", ".mov"), "tiff": (".tiff",),
    "dpx": (".dpx",), "exr": (".exr",), "jpeg2000": (".mov", ".mkv"), "bmp": (".bmp",), "ffvhuff": (".avi", ".mkv"),
    "utvideo": (".avi",), "huffyuv": (".avi",), "qtrle": (".mov",), "v210": (".mov",), "v410": (".mov",), "r210": (".mov",),
    "libwebp": (".webp",), "apng": (".apng",), "gif": (".gif",),
}  # fmt: skip
"""Encoders that lose nothing, and files of theirs."""
_PICTURES = frozenset({".png", ".tiff", ".dpx", ".exr", ".bmp", ".webp"})


def formats() -> list[str]:
    """All that are in memory of the CPU."""
    if not component_reader.is_there():
        return []
    return [name for name in sorted(names) if not described(name).has("hardware")]


def frame_of(name: str, size: tuple[int, int] = SIZE, seed: int = 0) -> av.VideoFrame:
    """Random samples, as many bits of them as the format has."""
    found, rng = described(name), np.random.default_rng([seed, *name.encode()])
    depth, shift = found.parts[0].depth, found.parts[0].shift
    end = ">" if found.has("big") else "<"
    frame = av.VideoFrame(*size, name)
    for plane in frame.planes:
        if found.has("float"):
            word = np.dtype(f"{end}f{depth // 8}")
            samples = (rng.random(plane.buffer_size // word.itemsize) * 1.4 - 0.2).astype(word)
        elif depth > 8 and not found.has("bitstream") and found.parts[0].step % 4 != 0:
            mask = ((1 << depth) - 1) << shift
            words = rng.integers(0, 1 << 16, plane.buffer_size // 2) & mask
            samples = words.astype(f"{end}u2")
        else:
            samples = rng.integers(0, 256, plane.buffer_size).astype(np.uint8)
        data = samples.tobytes()
        plane.update(data + bytes(plane.buffer_size - len(data)))
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    return frame


def shares(frame: av.VideoFrame) -> list[np.ndarray]:
    """The components as shares of what their bits can hold, R'G'B' of floats by the sRGB curve."""
    found = described(frame.format.name)
    made = []
    for number, rows in enumerate(components(frame)):
        if found.has("float"):
            values = rows.astype(np.float64)
            curved = np.where(
                values <= 0.0031308, 12.92 * values, 1.055 * np.maximum(values, 1e-9) ** (1 / 2.4) - 0.055
            )
            made.append(values if number == 3 or (found.count == 2 and number == 1) else curved)
        else:
            bits = 8 if found.has("palette") else found.parts[number].depth
            made.append(rows / ((1 << bits) - 1))
    return made


def is_rgb(frame: av.VideoFrame) -> bool:
    """Whether a frame has colours of R'G'B'."""
    found = described(frame.format.name)
    return (found.count > 2 and found.has("rgb")) or found.has("palette")


def in_order(frame: av.VideoFrame) -> list[np.ndarray]:
    """`shares`, R'G'B' as green, blue, red."""
    found = shares(frame)
    return [found[n] for n in (1, 2, 0, 3)[: len(found)]] if is_rgb(frame) else found


@pytest.mark.parametrize("name", formats())
def test_every_format_gives_its_own_samples_or_is_refused_with_what_helps(name: str) -> None:
    """Case 30."""
    frame = frame_of(name)
    try:
        pixels = planar_format(name)
    except MediaError as refused:
        if "`ffmpeg " in str(refused):  # the way on works
            again = frame.reformat(format="gbrp16le")
            assert planar_format(again.format.name).bits == 16
        else:
            assert "write FFV1 of" in str(refused)
            with pytest.raises((av.error.FFmpegError, OSError)):
                frame.reformat(format="gbrp16le")
        return
    if name == "pal8":
        return  # PyAV writes no palette; films of palettes have tests of their own
    planes = Converter(pixels).planes(frame)
    right = in_order(frame)
    assert len(planes) == len(right) == pixels.plane_count
    for plane, share in zip(planes, right, strict=True):
        if pixels.is_float:
            assert np.allclose(plane, share, atol=1e-5)
        else:
            assert np.array_equal(plane, np.rint(share * ((1 << pixels.bits) - 1)))


def written(path: Path, codec: str, name: str) -> bool:
    """Write three frames, or a picture; False if FFmpeg can't."""
    is_picture = path.suffix in _PICTURES
    try:
        with av.open("file:" + str(path), "w") as output:
            stream = output.add_stream(
                codec, rate=25, options={"lossless": "1"} if codec == "libwebp" else {}
            )
            stream.width, stream.height, stream.pix_fmt = *SIZE, name
            for number in range(1 if is_picture else 3):
                frame = frame_of(name, seed=number)
                frame.pts = number
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        return len(decoded(path)) > 0
    except (av.error.FFmpegError, ValueError):
        return False


@functools.cache
def cases() -> list[tuple[str, str, str]]:
    """(pixel format, encoder, suffix), those by lot first."""
    found = []
    for codec, suffixes in ROUTES.items():
        known = {form.name for form in av.Codec(codec, "w").video_formats or ()}
        found += [
            (name, codec, suffix)
            for name in formats()
            for suffix in suffixes
            if (name in known or (codec == "rawvideo")) and name != "pal8"
        ]
    random.Random(SEED).shuffle(found)
    return found


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("number", range(CASES))
def test_any_format_goes_from_file_to_file_or_is_refused_with_what_helps(tmp_path: Path, number: int) -> None:
    """Case 30: as it is, and twice as large."""
    if number >= len(cases()):
        pytest.skip("there are no more")
    name, codec, suffix = cases()[number]
    source = tmp_path / f"in{suffix}"
    if not written(source, codec, name):
        return
    frames = decoded(source)
    same, large = (
        tmp_path / f"{name}{'.tiff' if suffix in _PICTURES else '.mkv'}" for name in ("same", "large")
    )
    try:
        upscaled(source, same, codec="ffv1")
    except MediaError as refused:
        assert "`ffmpeg " in str(refused), refused
        assert described(frames[0].format.name).has("bayer") or "xyz" in frames[0].format.name
        return
    assert_like(decoded(same), frames, 1)
    upscaled(source, large, codec="ffv1", scale=2, model="lanczos")
    assert_like(decoded(large), frames, 2)


def assert_like(made: list[av.VideoFrame], source: list[av.VideoFrame], scale: int) -> None:
    """Every sample within what rounding to the bits of either may cost."""
    assert len(made) == len(source)
    for result, frame in zip(made, source, strict=True):
        assert (result.width, result.height) == (frame.width * scale, frame.height * scale)
        if is_rgb(result) != is_rgb(frame) and len(components(frame)) > 2:
            continue  # what becomes of colour is tested elsewhere
        found, right = in_order(result), in_order(frame)
        assert len(found) >= len(right) or np.ptp(right[-1]) == 0, "a plane is missing"
        if len(right) < 3 <= len(found):  # grey with neutral chroma
            found = [found[0], *found[3:]]
        bits = min(described(f.format.name).parts[0].depth for f in (result, frame))
        for place, (share, wanted) in enumerate(zip(found, right, strict=False)):
            if scale > 1 and share.shape != (result.height, result.width):
                continue  # where chroma lies is tested elsewhere
            whole = resized(wanted, share.shape, "lanczos") if scale > 1 else wanted
            assert np.abs(share - whole.clip(0, 1)).max() <= 1.01 / ((1 << min(bits, 12)) - 1), (
                result.format.name, place, np.abs(share - whole.clip(0, 1)).max(),
            )  # fmt: skip


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize(
    ("name", "way"), [("gray32le", "gray16le"), ("rgb96le", "gbrp16le"), ("gbrap32be", "gbrap16le")]
)
def test_integers_of_32_bits_are_refused_and_what_is_advised_keeps_their_upper_half(
    tmp_path: Path, name: str, way: str
) -> None:
    """Case 30: FFmpeg converts none of them, so the program that has the samples must write others."""
    with pytest.raises(MediaError, match=f"write FFV1 of .*{way.replace('gbrap', 'gbrp')}"):
        planar_format(name)
    planes = np.random.default_rng(5).integers(0, 1 << 32, (4, SIZE[1], SIZE[0]), np.uint32) >> 16
    with av.open(str(tmp_path / "again.mkv"), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, way
        frame = av.VideoFrame(*SIZE, way)
        for plane, samples in zip(frame.planes, planes, strict=False):
            rows = np.zeros((plane.height, plane.line_size // 2), np.uint16)
            rows[:, : SIZE[0]] = samples
            plane.update(rows.tobytes())
        output.mux([*stream.encode(frame), *stream.encode(None)])
    upscaled(tmp_path / "again.mkv", tmp_path / "out.mkv")
    (made,) = decoded(tmp_path / "out.mkv")
    assert made.format.name == way
    for plane, samples in zip(view_planes(made), planes, strict=False):
        assert np.array_equal(plane, samples)
