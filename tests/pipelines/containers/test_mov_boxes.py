"""Tracks in formats that FFmpeg does not know, copied from one MP4 or MOV to another. Case 25."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest

from models.errors import UsageError, VerificationError
from pipelines.containers.mov_boxes import add_to_sample_entry
from pipelines.output.result_contents import check_descriptions
from pipelines.output.stream_copy import CopiedStream
from tests import media
from tests.helpers.inline import H264, planned_of, upscaled
from tests.helpers.view import view

pytestmark = pytest.mark.usefixtures("inline")

SMALL = media.Film(frames=12, rate=Fraction(25))


def boxes(data: bytes, *way: bytes) -> Iterator[bytes]:
    """The boxes that a way of names leads to."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind == way[0]:
            box = data[at : at + size]
            yield from boxes(box[8:], *way[1:]) if way[1:] else (box,)
        at += max(size, 8)


def tracks(path: Path) -> dict[bytes, bytes]:
    """Format of the samples -> `trak` box."""
    found = {}
    for trak in boxes(path.read_bytes(), b"moov", b"trak"):
        stsd = next(boxes(trak[8:], b"mdia", b"minf", b"stbl", b"stsd"))
        found[stsd[20:24]] = trak[8:]
    return found


def with_data(path: Path, name: bytes, *, handler: bytes = b"meta") -> Path:
    """A film, sound, and a track of some data that refers to the film, as cameras write it."""
    plain = media.timecode(path.parent / "plain.mov")
    content = plain.read_bytes()
    trak = next(
        t for t in boxes(content, b"moov", b"trak") if next(boxes(t[8:], b"mdia", b"hdlr"))[16:20] == b"tmcd"
    )
    film = next(boxes(content, b"moov", b"trak"))
    changed = trak.replace(b"tmcd", name)
    old = next(boxes(trak[8:], b"mdia", b"hdlr"))
    changed = changed.replace(old.replace(b"tmcd", name), old[:16] + handler + old[20:])
    references = struct.pack(">I4sI4sII4sII", 36, b"tref", 12, b"cdsc", 1, 16, b"cdep", 2, 9)
    changed = changed.replace(next(boxes(trak[8:], b"edts")), references)
    assert len(changed) == len(trak)
    path.write_bytes(content.replace(trak, changed).replace(film, film.replace(b"tref", b"free")))
    return path


@pytest.mark.parametrize(("name", "handler"), [(b"mebx", b"meta"), (b"djmd", b"meta"), (b"wvtt", b"text")])
def test_a_track_of_a_format_that_ffmpeg_does_not_know_keeps_its_description(
    tmp_path: Path, name: bytes, handler: bytes
) -> None:
    """Case 25: without it nothing in the world could read what was passed on."""
    source = with_data(tmp_path / "in.mov", name, handler=handler)
    (tmp_path / "up").mkdir()
    plan = planned_of(upscaled(source, tmp_path / "up", **H264)).plan
    output = next((tmp_path / "up").glob("*.mov"))
    assert plan.encoder.container == "mov"
    before, after = tracks(source)[name], tracks(output)[name]
    for way in ((b"mdia", b"minf", b"stbl", b"stsd"), (b"mdia", b"minf", b"gmhd")):
        assert list(boxes(after, *way)) == list(boxes(before, *way)), way
    assert next(boxes(after, b"mdia", b"hdlr"))[16:20] == handler
    # Of the two tracks that it refers to, the film is the first one there, too; none has the number 9.
    assert next(boxes(after, b"tref"))[8:] == struct.pack(">I4sII4sI", 12, b"cdsc", 1, 12, b"cdep", 2)
    assert [t.payloads for t in view(output).of("data")] == [t.payloads for t in view(source).of("data")]
    assert [t.payloads for t in view(output).of("audio")] == [t.payloads for t in view(source).of("audio")]


def test_references_follow_tracks_to_their_new_numbers(tmp_path: Path) -> None:
    """Case 25: where a track before them is left out."""
    source = with_data(tmp_path / "in.mov", b"mebx")
    content = source.read_bytes()
    # The sound becomes something that no container holds, and the data comes before it.
    source.write_bytes(content.replace(b"mp4a", b"zzzz").replace(b"esds", b"free"))
    upscaled(source, tmp_path / "out.mov", **H264, drop_incompatible=True)
    found = tracks(tmp_path / "out.mov")
    assert b"mebx" in found
    kept = {k: next(boxes(t, b"tkhd"))[20:24] for k, t in found.items()}
    references = next(boxes(found[b"mebx"], b"tref"))
    assert references[16:20] == kept[b"avc1"]
    assert (b"cdep" in references) == (b"zzzz" in found)


def test_a_description_that_was_lost_is_noticed(tmp_path: Path) -> None:
    """Case 25."""
    source = with_data(tmp_path / "in.mov", b"mebx")
    upscaled(source, tmp_path / "out.mov", **H264)
    places = [b"mebx" in trak for trak in boxes((tmp_path / "out.mov").read_bytes(), b"moov", b"trak")]
    given = next(t for t in boxes(source.read_bytes(), b"moov", b"trak") if b"mebx" in t)
    entry = CopiedStream(2, places.index(True), "data", description=given)
    check_descriptions(tmp_path / "out.mov", [entry])
    add_to_sample_entry(tmp_path / "out.mov", struct.pack(">I4s", 8, b"free"), entry.output_index)
    with pytest.raises(VerificationError, match="data stream 2: its sample description"):
        check_descriptions(tmp_path / "out.mov", [entry])


def test_what_only_its_own_container_describes_is_refused_for_mov(tmp_path: Path) -> None:
    """Case 23: teletext, and data of a broadcast."""
    for codec in ("dvb_teletext", "klv"):
        source = with_packets(tmp_path / f"{codec}.ts", codec, (b"\x10" + bytes(45), b"\x10" + bytes(45)))
        with pytest.raises(UsageError, match="nothing would tell what its packets are; leave it out with"):
            upscaled(source, tmp_path / "out.mov", **H264)
        upscaled(source, tmp_path / f"{codec}.mov", **H264, drop_incompatible=True)


@pytest.mark.parametrize(
    ("name", "codec", "kept"), [("in.mov", "eia_608", ".mov"), ("in.mp4", "ttml", ".mp4")]
)
def test_captions_in_a_track_of_their_own_and_ttml_stay(
    tmp_path: Path, name: str, codec: str, kept: str
) -> None:
    """Case 23: MP4 does not hold EIA-608, MOV does."""
    source = with_packets(tmp_path / name, codec, (b"\x94\x20AB", b"\x94\x20CD"))
    (tmp_path / "up").mkdir()
    upscaled(source, tmp_path / "up", **H264)
    output = next(p for p in (tmp_path / "up").iterdir() if p.suffix == kept)
    before, after = view(source).of("subtitle"), view(output).of("subtitle")
    assert [t.payloads for t in after] == [t.payloads for t in before]
    assert len(before) == 1


def with_packets(path: Path, codec: str, packets: tuple[bytes, ...]) -> Path:
    """A film beside packets of 100 ms of a codec."""
    container = {".ts": "mpegts"}.get(path.suffix, path.suffix[1:])
    output = av.open(str(path), "w", format=container)
    film = media._add_film(output, SMALL)
    track = output.add_mux_stream(codec)
    track.time_base = Fraction(1, 1000)
    output.start_encoding()
    made = media.packets_of(film, SMALL)
    for number, data in enumerate(packets):
        packet = av.Packet(len(data))
        packet.update(data)
        packet.stream, packet.time_base, packet.is_keyframe = track, Fraction(1, 1000), True
        packet.pts = packet.dts = 100 * number
        packet.duration = 100
        made.append(packet)
    media._mux(output, made)
    output.close()
    return path
