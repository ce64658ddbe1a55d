"""What a container says besides its packets, and what changes in mid-stream: the right frames, or refused with frame and time."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from models.errors import MediaError
from pipelines.decode import Converter, Promise, checksum, decode, deliver, planar_format
from pipelines.events import Planned
from pipelines.facts import facts_of
from pipelines.planes import PixelFormat
from pipelines.probe import probe
from pipelines.request import plan_video
from pipelines.source import PacketReader, open_source
from pipelines.spans import _pieces, _span_task, open_reader
from pipelines.witness import ContainerDecoder
from tests import media
from tests.helpers import spliced
from tests.helpers.command import vsr
from tests.media import Film
from vsr.api import run_settings

CASES = int(os.environ.get("VSR_CASES", "20"))
FIRST = int(os.environ.get("VSR_FIRST", "0"))
PAL = Fraction(25)


def planned(source: Path, **settings: object) -> Planned:
    given = {"scale": 1, "model": "identity", "codec": "ffv1", "device": "cpu", "chunk_seconds": 0.2, "deinterlace": "off", **settings}
    return plan_video(source, source.with_suffix(".out.mkv"), run_settings(**given))[0]


def as_run(source: Path, **settings: object) -> list[tuple[int, int]]:
    """(pts, checksum) of every frame as workers decode them, chunk by chunk."""
    found = planned(source, **settings)
    plan, info = found.plan, found.info
    reader = open_reader(plan, info)
    made: list[tuple[int, int]] = []
    try:
        for span in plan.spans:
            task = _span_task(plan, info, span.chunks, info.pts)
            packets = (p for piece in _pieces(reader, info, span, span.stop_row) for p in piece)
            frames = decode(packets, info.decoder, PixelFormat.parse(plan.pix_fmt), checks=task.checks)
            made += [(f.pts, checksum(f.planes)) for f in deliver(frames, Promise.of(task, plan, info.decoder))]
    finally:
        reader.close()
    return made


def as_shown(source: Path) -> tuple[list[tuple[int, int]], int | None]:
    """(pts, checksum) of every frame as FFmpeg decodes the file; the first frame unlike the one before in what holds for a film."""
    made, first, change = [], None, None
    container = open_source(source)
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1
    for packet in container.demux(stream):
        for frame in packet.decode():
            converter = Converter(planar_format(frame.format.name))
            facts = facts_of(frame, stream.codec_context)
            first = first or facts
            seen = [replace(f, hdr=first.hdr, orientation=None) for f in (first, facts)]
            change = len(made) if change is None and seen[0] != seen[1] else change
            made.append((frame.pts, checksum(converter.planes(frame))))
    container.close()
    return made, change


def refused(source: Path, **settings: object) -> str:
    with pytest.raises(MediaError) as caught:
        as_run(source, **settings)
    return str(caught.value)


A = Film(frames=12, rate=PAL)
B = Film(frames=12, rate=PAL, first_number=40)
CABAC = {"preset": "medium"}
"""Another entropy coder than that of `ultrafast`: another picture parameter set."""

CHROMA = {"x264-params": "chroma-qp-offset=8"}
"""Another quantiser of chroma: a decoder with the wrong header goes on without a word, in wrong colours."""


# --- root cause 1: what a decoder is told beside the packets


@pytest.mark.parametrize(
    ("name", "container", "in_band"),
    [("in.flv", "flv", False), ("in.mp4", "mp4", False), ("in.mov", "mov", False), ("in.mp4", "mp4", True), ("in.mkv", "matroska", True),
     ("in.nut", "nut", True), ("in.flv", "flv", True), ("in.ts", "mpegts", True), ("in.avi", "avi", True)],
)  # fmt: skip
def test_a_second_header_in_mid_stream_is_obeyed(tmp_path: Path, name: str, container: str, in_band: bool) -> None:
    source = spliced.joined(tmp_path / name, [A, replace(B, options=CABAC)], container, in_band=in_band)
    shown, change = as_shown(source)
    assert len(shown) == 24
    assert change is None
    assert [c for _, c in as_run(source)] == [c for _, c in shown]


def test_a_second_header_of_hevc_is_obeyed(tmp_path: Path) -> None:
    film = replace(A, codec="libx265", size=(128, 64))
    other = replace(film, first_number=40, options={"x265-params": "open-gop=0:no-sao=1:ctu=16"})
    source = spliced.joined(tmp_path / "in.mp4", [film, other], "mp4")
    shown, _ = as_shown(source)
    assert len(shown) == 24
    assert as_run(source) == shown


@pytest.mark.parametrize("chunk_seconds", [0.1, 60])
def test_palettes_and_their_changes_reach_the_decoder(tmp_path: Path, chunk_seconds: float) -> None:
    source = spliced.palettes(tmp_path / "in.avi")
    shown, _ = as_shown(source)
    assert len({c for _, c in shown}) == len(shown) == 12
    assert [c for _, c in as_run(source, chunk_seconds=chunk_seconds)] == [c for _, c in shown]


def test_a_decoder_that_begins_behind_a_change_is_given_what_is_in_force(tmp_path: Path) -> None:
    source = spliced.joined(tmp_path / "in.flv", [A, replace(B, options=CABAC)], "flv")
    info = probe(source)
    reader = PacketReader(source, info.stream_index)
    try:
        packets = list(reader.rows(20, 24, keep_from=0))
    finally:
        reader.close()
    assert all([kind for kind, _ in p.side] == ["new_extradata"] for p in packets)


def test_frames_that_the_container_decodes_otherwise_are_refused(tmp_path: Path) -> None:
    """Workers that lost a header on the way: nothing else would notice, for all later checks look at the same frames."""
    source = spliced.joined(tmp_path / "in.flv", [A, replace(B, options=CHROMA)], "flv")
    found = planned(source)
    reader = open_reader(found.plan, found.info)
    try:
        packets = [replace(p, side=()) for p in reader.rows(0, 24, keep_from=0)]
    finally:
        reader.close()
    assert sum(len(p.checks) for p in packets) >= 4
    promise = Promise(found.info.pts, clock=found.info.decoder.clock)
    with pytest.raises(MediaError, match=r"container's own decoder gives another picture at frame 1\d \(0\.[45]\d\d s"):
        list(deliver(decode(packets, found.info.decoder, PixelFormat.parse(found.plan.pix_fmt)), promise))


def test_every_chunk_has_frames_that_the_container_decoded(tmp_path: Path) -> None:
    source = media.cfr(tmp_path / "in.mp4", frames=64)
    found = planned(source, chunk_seconds=0.3)
    reader = open_reader(found.plan, found.info)
    try:
        checked = {pts for p in reader.rows(0, 64, keep_from=0) for pts, _ in p.checks}
    finally:
        reader.close()
    for chunk in found.plan.chunks:
        assert checked & set(found.info.pts[chunk.start_frame : chunk.stop_frame]), f"nothing of chunk {chunk.index}"
    assert as_run(source, chunk_seconds=0.3) == as_shown(source)[0]


def test_frames_known_by_order_are_compared_too(tmp_path: Path) -> None:
    source = spliced.palettes(tmp_path / "in.avi")
    info = probe(source)
    assert info.linear
    assert [place for place, _ in info.checks] == [0, 6]
    packets = list(PacketReader(source, 0).rows(0, 12, keep_from=0))
    bare = [replace(p, side=p.side if n < 6 else packets[0].side) for n, p in enumerate(packets)]
    frames = decode(bare, info.decoder, PixelFormat.parse("gbrap"), checks=dict(info.checks))
    with pytest.raises(MediaError, match="another picture at frame 6 "):
        list(deliver(frames, Promise(info.pts, linear=True, clock=info.decoder.clock)))


def test_a_damaged_frame_is_no_witness(tmp_path: Path) -> None:
    source = media.cfr(tmp_path / "in.mp4", frames=16)
    info = probe(source)
    witness = ContainerDecoder([0], info.index.clean, PixelFormat.parse("yuv420p"))
    container = open_source(source)
    stream = container.streams.video[0]
    witness.begin(stream)
    packets = [p for p in container.demux(stream) if p.size][:3]
    broken = av.Packet(b"\x00\x00\x00\x04\x65\xff\xff\xff")
    broken.pts = broken.dts = 0
    assert len(witness.see(0, packets, is_changed=False)) >= 1
    assert witness.see(0, [broken], is_changed=False) == ()
    assert witness.see(1, packets, is_changed=False) == (), "only where it was asked to look"


# --- root cause 2: what the first frame says, and a later one says otherwise

SAR = replace(B, sar=Fraction(16, 11))
MATRIX, RANGE, HLG = replace(B, tags=(6, 1, 6, 6)), replace(B, tags=(1, 2, 1, 1)), replace(B, tags=(9, 1, 9, 18))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (replace(B, size=(80, 48)), "the picture changes from 64x48 yuv420p to 80x48 yuv420p"),
        (replace(B, pix_fmt="yuv422p"), "the picture changes from 64x48 yuv420p to 64x48 yuv422p"),
        (replace(B, pix_fmt="yuv420p10le"), "the picture changes from 64x48 yuv420p to 64x48 yuv420p10le"),
        (SAR, "the shape of a sample changes from 1:1 to 16:11"),
        (MATRIX, "the colour changes from BT709/LIMITED/BT709/BT709 to SMPTE170M/LIMITED/SMPTE170M/SMPTE170M"),
        (RANGE, "the colour changes from BT709/LIMITED"),
        (HLG, "HLG"),
    ],
)
@pytest.mark.parametrize(
    ("name", "container"), [("in.ts", "mpegts"), ("in.mkv", "matroska"), ("in.mp4", "mp4"), ("in.flv", "flv"), ("in.nut", "nut")]
)
def test_what_changes_in_mid_stream_is_refused_before_work(tmp_path: Path, name: str, container: str, other: Film, said: str) -> None:
    source = spliced.joined(tmp_path / name, [replace(A, sar=Fraction(1)), replace(other, sar=other.sar or Fraction(1))], container,
                            in_band=container in {"matroska", "nut"})  # fmt: skip
    with pytest.raises(MediaError, match=re.escape(said)) as caught:
        planned(source)
    assert re.search(r"at frame 12 \(0\.48\d? s, pts", str(caught.value)), str(caught.value)


def test_a_range_before_the_change_is_made(tmp_path: Path) -> None:
    source = spliced.joined(tmp_path / "in.ts", [A, MATRIX], "mpegts")
    assert len(as_run(source, range="0-0.48")) == 12
    assert "at frame 12 " in refused(source, range="0-0.50")


def test_a_worker_notices_what_no_header_told(tmp_path: Path) -> None:
    """Whatever headers the probe can't read, each frame itself is looked at."""
    source = spliced.joined(tmp_path / "in.mkv", [A, MATRIX], "matroska", in_band=True)
    info = probe(source)
    packets = list(PacketReader(source, info.stream_index).rows(0, 24, keep_from=0))
    frames = deliver(decode(packets, info.decoder, PixelFormat.parse("yuv420p")), Promise(info.pts, clock=info.decoder.clock))
    with pytest.raises(MediaError, match=r"the colour changes from BT709.* at frame 12 \(0\.480 s"):
        list(frames)


def test_the_command_refuses_before_it_makes_anything(tmp_path: Path) -> None:
    source = spliced.joined(tmp_path / "in.ts", [A, HLG], "mpegts")
    done = vsr("run", source, "--scale", "2", "--model", "lanczos", "-o", tmp_path / "out.mkv")
    assert done.code == 3
    assert "at frame 12 (0.480 s" in done.err
    assert [p.name for p in tmp_path.iterdir()] == ["in.ts"]
