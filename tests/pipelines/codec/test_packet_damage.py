"""Truncated images are damaged input, even if FFmpeg's decoder fills them up without marking them.

Case 65.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from models.errors import VsrError
from pipelines.codec.packet_damage import damage_check
from pipelines.probe.probe import probe
from tests.helpers.inline import upscaled

_PICTURES = {
    "jpg": ("mjpeg", "yuvj420p", {}),
    "png": ("png", "rgb24", {}),
    "tif": ("tiff", "rgb24", {"compression_algo": "lzw"}),
    "bmp": ("bmp", "bgr24", {}),
    "dpx": ("dpx", "gbrp10le", {}),
    "exr": ("exr", "gbrpf32le", {"compression": "zip16"}),
}


def picture(name: str) -> bytes:
    """Noise, as that codec keeps it."""
    codec, pix_fmt, options = _PICTURES[name]
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.options = 96, 64, pix_fmt, options
    encoder.time_base = Fraction(1, 25)
    noise = np.random.default_rng(2).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    frame = av.VideoFrame.from_ndarray(noise, format="rgb24").reformat(format=pix_fmt)
    frame.pts = 0
    return b"".join(bytes(p) for p in (*encoder.encode(frame), *encoder.encode(None)))


@pytest.mark.parametrize("name", _PICTURES)
@pytest.mark.parametrize("part", [0.5, 0.95])
def test_a_picture_that_is_cut_short_is_refused(tmp_path: Path, name: str, part: float) -> None:
    """Case 65."""
    data = picture(name)
    source = tmp_path / f"in.{name}"
    source.write_bytes(data)
    upscaled(source, tmp_path / "whole.png")
    source.write_bytes(data[: round(len(data) * part)])
    with pytest.raises(VsrError, match="damaged|decoded|ends early"):
        upscaled(source, tmp_path / "cut.png")
    assert not (tmp_path / "cut.png").exists()


@pytest.mark.parametrize("name", ["jpg", "exr"])
def test_a_cut_picture_among_numbered_ones_is_named(tmp_path: Path, name: str) -> None:
    """Case 65."""
    data = picture(name)
    for number in range(3):
        (tmp_path / f"in_{number:03d}.{name}").write_bytes(data[: len(data) // 2] if number == 1 else data)
    with pytest.raises(VsrError, match="frame 1 is damaged"):
        upscaled(tmp_path / f"in_%03d.{name}", tmp_path / "out_%03d.png")


def test_a_frame_of_motion_jpeg_that_is_cut_short_is_damaged(tmp_path: Path) -> None:
    """Case 65: its container holds it as it was written."""
    data = picture("jpg")
    with av.open(str(tmp_path / "in.avi"), "w") as out:
        stream = out.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p"
        for number in range(4):
            packet = av.Packet(data[: len(data) // 2] if number == 2 else data)
            packet.stream, packet.pts, packet.dts, packet.time_base = (
                stream,
                number,
                number,
                Fraction(1, 25),
            )
            out.mux(packet)
    with pytest.raises(VsrError, match="frame 2 is damaged"):
        upscaled(tmp_path / "in.avi", tmp_path / "out.mkv")


def test_a_raw_stream_of_jpegs_that_breaks_off_ends_early(tmp_path: Path) -> None:
    """Case 65."""
    data = picture("jpg") * 4
    source = tmp_path / "in.mjpeg"
    source.write_bytes(data)
    assert not probe(source).flaw
    source.write_bytes(data[:-300])
    assert probe(source).flaw.startswith("ends early")


def test_a_jpeg_without_its_end_marker_is_whole_where_its_scan_is() -> None:
    """Case 65: some cameras leave it out, some pad, some have another picture behind it."""
    check, data = damage_check("mjpeg"), picture("jpg")
    assert check is not None
    assert not check.is_damaged(data)
    assert not check.is_damaged(data[:-2])
    assert not check.is_damaged(data + b"\0" * 9)
    assert not check.is_damaged(data + data[:-200])
    assert check.is_damaged(data[:-200])


def test_blocks_of_an_openexr_picture_may_lie_in_any_order() -> None:
    """Case 65: from the last line to the first; a table that was never filled in names none."""
    check, data = damage_check("exr"), picture("exr")
    assert check is not None
    table = _table(data)
    first, *others = struct.unpack_from("<4Q", data, table)
    assert not check.is_damaged(data[:table] + struct.pack("<4Q", *others, first) + data[table + 32 :])
    assert check.is_damaged(data[:table] + bytes(32) + data[table + 32 :])


def _table(exr: bytes) -> int:
    """Of a picture of four blocks, the first of which lies behind the table."""
    return next(at for at in range(8, len(exr)) if struct.unpack_from("<Q", exr, at)[0] == at + 32)
