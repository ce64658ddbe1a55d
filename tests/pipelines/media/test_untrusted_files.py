"""Malicious files, and how they are refused or bounded. Cases 73, 75, 76."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from models.errors import MediaError
from pipelines.codec.decoder import packet_decoder
from pipelines.media.demuxer import DECODERS, MAX_PIXELS
from pipelines.probe.probe import probe
from tests import media
from tests.helpers.inline import upscaled


def _huge_picture(path: Path) -> Path:
    """A PNG of 16384 by 16384 black pixels, in a hundred kilobytes."""
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    side = 16384
    rows = zlib.compressobj(9)
    data = b"".join(rows.compress(bytes(1 + side // 8)) for _ in range(side)) + rows.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )
    return path


def _huge_pictures(path: Path) -> Path:
    """A film whose header speaks of a small picture, and its stream of one of 16384 by 16384."""
    context = av.CodecContext.create("libx264", "w")
    context.width = context.height = 16384
    context.pix_fmt, context.time_base, context.thread_count = "gray", media.TICKS, 1
    context.options = {
        "preset": "ultrafast",
        "x264-params": "bframes=0:rc-lookahead=0:sync-lookahead=0:ref=1",
    }
    frame = av.VideoFrame(16384, 16384, "gray")
    frame.pts = 0
    path.write_bytes(b"".join(bytes(p) for p in [*context.encode(frame), *context.encode(None)]))
    return path


def _million_streams(path: Path) -> Path:
    tracks = struct.pack(">I4s", 8, b"trak") * 1_000_000
    moov = struct.pack(">I4s", 8 + len(tracks), b"moov") + tracks
    path.write_bytes(struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 0, b"isom") + moov)
    return path


def _huge_tag_mp4(path: Path) -> Path:
    """A tag of two gigabytes, which take no place on the disk."""
    name = struct.pack(">I4sI4s", 2**31 + 24, b"\xa9nam", 2**31 + 16, b"data")
    udta = struct.pack(">I4s", 2**31 + 32, b"udta") + name
    with open(path, "wb") as file:
        file.write(
            struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 0, b"isom")
            + struct.pack(">I4s", 2**31 + 40, b"moov")
            + udta
        )
        file.truncate(2**31 + 80)
    return path


def _huge_tag_mkv(path: Path) -> Path:
    whole = media.cfr(path.with_name("whole.mkv"), frames=2).read_bytes()
    segment = whole.index(bytes.fromhex("18538067"))
    with open(path, "wb") as file:
        file.write(
            whole[:segment]
            + bytes.fromhex("18538067 01ffffffffffffff")
            + bytes.fromhex("1254c367 08 80000000")
        )
        file.truncate(2**31 + 10_000)
        file.seek(0, 2)
        file.write(whole[segment + 12 :])
    return path


@pytest.mark.parametrize(
    "make", [_huge_picture, _million_streams, _huge_tag_mp4, _huge_tag_mkv], ids=lambda make: make.__name__
)
def test_a_file_that_claims_more_than_a_machine_has_is_refused_before_it_gets_it(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    """Case 75: at most 134 million pixels, 1000 streams, 512 MiB of headers and tags.

    Exit 3, and memory stays as it was.
    """
    path = make(
        tmp_path / {"_huge_picture": "bomb.png", "_huge_tag_mkv": "bomb.mkv"}.get(make.__name__, "bomb.mp4")
    )
    high = _peak_bytes()
    with pytest.raises(
        MediaError, match=r"bomb\.[a-z0-9]+: .*(million pixels|no frame of its video|streams|MiB of headers)"
    ) as raised:
        probe(path)
    assert raised.value.exit_code == 3
    assert _peak_bytes() - high < 300 << 20


def _peak_bytes() -> int:
    """The most this process has had in memory."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_no_decoder_makes_a_picture_of_more_than_the_limit(tmp_path: Path) -> None:
    """Case 75: whatever the headers said, neither the one that probes nor the worker's."""
    source = media.cfr(tmp_path / "in.mp4", frames=2)
    info = probe(source)
    context = packet_decoder(info.decoder)
    assert int(context.options["max_pixels"]) == MAX_PIXELS < 16384 * 16384


def _film(path: Path, codec: str) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p" if codec != "magicyuv" else "yuv422p"
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24").reformat(
                format=stream.pix_fmt
            )
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("codec", ["magicyuv", "snow", "asv1"])
def test_a_rarely_used_decoder_is_not_opened(tmp_path: Path, codec: str) -> None:
    """Case 76: films need some fifty of FFmpeg's three hundred decoders.

    The others are never opened (CVE-2026-8461).
    """
    assert codec not in DECODERS
    source = _film(tmp_path / "in.avi", codec)
    with pytest.raises(
        MediaError, match=rf"in\.[a-z]+: its video is {codec}, for which no decoder is opened"
    ) as raised:
        probe(source)
    assert raised.value.exit_code == 3


@pytest.mark.usefixtures("inline")
def test_names_inside_a_film_lead_nowhere(tmp_path: Path) -> None:
    """Case 73: attachments and tags stay inside the result under the names they have.

    Nothing is written by such a name.
    """
    folder = tmp_path / "deep" / "er"
    folder.mkdir(parents=True)
    evil = "../../evil.ttf"
    source = media.write(
        folder / "in.mkv",
        media.Film(frames=4),
        attachments=((evil, "application/x-truetype-font", b"no font"),),
        metadata={"title": "../../evil"},
    )
    upscaled(source, folder / "out.mkv")
    assert sorted(p.name for p in folder.iterdir()) == ["in.mkv", "out.mkv", "out.mkv.vsr.json"]
    assert [p.name for p in tmp_path.iterdir()] == ["deep"]
    assert [p.name for p in folder.parent.iterdir()] == ["er"]
    with av.open(str(folder / "out.mkv")) as result:
        assert result.streams.attachments[0].metadata["filename"] == evil
