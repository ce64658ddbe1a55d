"""What can be read from packets: clean starting points, units, captions, settings of the film."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from pipelines.media.bitstream import (
    caption_nal,
    film_header,
    insert_captions,
    is_clean_point,
    nal_length_size,
    nal_units,
)
from tests import media


def packets(path: Path) -> tuple[list[av.Packet], int]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        size = nal_length_size(stream.codec_context.name, stream.codec_context.extradata)
        return [p for p in container.demux(stream) if p.size], size


@pytest.mark.parametrize(("codec", "name"), [("libx264", "h264"), ("libx265", "hevc")])
@pytest.mark.parametrize("suffix", [".mp4", ".ts"])
def test_closed_gops_are_clean_at_every_key_in_either_packing(
    tmp_path: Path, codec: str, name: str, suffix: str
) -> None:
    path = media.cfr(tmp_path / f"in{suffix}", codec=codec, frames=24)
    found, size = packets(path)
    assert size == (4 if suffix == ".mp4" else 0)
    clean = [is_clean_point(name, bytes(p), size) for p in found]
    assert clean == [p.is_keyframe for p in found]
    assert sum(clean) == 3


def test_open_gops_are_clean_at_recovery_points_that_recover_at_once(tmp_path: Path) -> None:
    found, size = packets(media.open_gop(tmp_path / "in.mp4", "libx264"))
    assert sum(is_clean_point("h264", bytes(p), size) for p in found) == 4


def test_intra_refresh_is_clean_at_its_start_only(tmp_path: Path) -> None:
    """Case 5."""
    found, size = packets(media.intra_refresh(tmp_path / "in.mp4"))
    assert sum(p.is_keyframe for p in found) > 1
    assert [n for n, p in enumerate(found) if is_clean_point("h264", bytes(p), size)] == [0]


def test_units_are_found_in_both_packings_and_damage_ends_the_walk() -> None:
    assert list(nal_units(b"\0\0\0\x01\x67ab\0\0\x01\x68c", 0)) == [b"\x67ab", b"\x68c"]
    assert list(nal_units(b"\0\0\0\x03\x67ab\0\0\0\x02\x68c", 4)) == [b"\x67ab", b"\x68c"]
    assert list(nal_units(b"\xff\xff\xff\xff\x67", 4)) == [b"\x67"]
    assert list(nal_units(b"", 4)) == []


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_captions_go_in_front_of_the_first_slice_and_are_escaped(codec: str) -> None:
    slice_ = b"\x65" if codec == "h264" else b"\x26\x01"
    parameters = b"\0\0\0\x01\x67" if codec == "h264" else b"\0\0\0\x01\x42\x01"
    data = parameters + b"xyz" + b"\0\0\0\x01" + slice_ + b"picture"
    made = insert_captions(codec, data, b"\xfc\0\0\0\0\0")
    units = list(nal_units(made, 0))
    assert len(units) == 3
    assert units[1].rstrip(b"\0") == caption_nal(codec, b"\xfc\0\0\0\0\0")
    assert b"\0\0\0" not in caption_nal(codec, b"\xfc\0\0\0\0\0")
    assert made.replace(b"\0\0\0\x01" + caption_nal(codec, b"\xfc\0\0\0\0\0"), b"") == data


def test_what_a_packet_says_of_its_film_is_the_same_for_every_key_frame_of_it(tmp_path: Path) -> None:
    for name, codec, ours in (
        ("a.ts", "libx264", "h264"),
        ("b.ts", "libx265", "hevc"),
        ("c.ts", "mpeg2video", "mpeg2video"),
        ("d.webm", "libvpx-vp9", "vp9"),
    ):
        source = media.cfr(tmp_path / name, codec=codec, gop=4, b_frames=0, frames=12)
        with av.open(str(source)) as container:
            said = {
                film_header(ours, bytes(p), 0)[:9]
                for p in container.demux(video=0)
                if p.size and p.is_keyframe
            }
        assert len(said) == 1, name
        assert said != {b""}, name


@pytest.mark.parametrize(
    "codec",
    [
        "h264",
        "hevc",
        "av1",
        "mpeg2video",
        "mpeg4",
        "vc1",
        "mjpeg",
        "vp8",
        "vp9",
        "prores",
        "dnxhd",
        "png",
        "ffv1",
    ],
)
def test_what_says_nothing_of_a_film_does_no_harm(codec: str) -> None:
    for data in (
        b"",
        b"\x00",
        b"\xff" * 3,
        b"\xff" * 100_000,
        b"\x00\x00\x01",
        b"\x00\x00\x01\xb3",
        b"\xff\xd8\xff\xc0",
        b"\x0a" * 64,
    ):
        assert len(film_header(codec, data, 0)) <= len(data)
        assert len(film_header(codec, data, 4)) <= len(data)
