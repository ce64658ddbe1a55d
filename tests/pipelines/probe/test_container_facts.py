"""Information of a container beyond its packets, and changes in mid-stream.

The frames are right, or the file is refused with frame and time.
"""

from __future__ import annotations

import os
import random
import re
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageOps

from models.errors import MediaError
from pipelines.codec.container_decoder import ContainerDecoder
from pipelines.codec.decoder import Converter, checksum, decode
from pipelines.codec.expected_frames import ExpectedFrames, checked_frames
from pipelines.codec.mid_stream_changes import facts_of
from pipelines.media.demuxer import open_source
from pipelines.media.frame_sizes import ResizeDetector
from pipelines.media.packet_reader import PacketReader
from pipelines.media.pixel_format import PixelCrop, PixelFormat, planar_format
from pipelines.plan.events import Planned
from pipelines.planner.video_planner import plan_video
from pipelines.probe.probe import probe
from pipelines.run.chunk_tasks import _pieces, _span_task, open_reader
from tests import media
from tests.helpers import spliced
from tests.helpers.command import COPIED_AS_FFV1, vsr
from tests.helpers.figures import record
from tests.helpers.inline import upscaled
from tests.helpers.view import frames
from tests.helpers.vp9_resize import resized
from tests.media import TICKS, Film
from vsr.api import run_settings

CASES = int(os.environ.get("VSR_CASES", "20"))
FIRST = int(os.environ.get("VSR_FIRST", "0"))
PAL = Fraction(25)


def planned(source: Path, **settings: object) -> Planned:
    given = {
        "scale": 1,
        "model": "identity",
        "codec": "ffv1",
        "device": "cpu",
        "chunk_seconds": 0.2,
        "deinterlace": "off",
        **settings,
    }
    return plan_video(source, source.with_suffix(".out.mkv"), run_settings(**given))


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
            made += [
                (f.pts, checksum(f.planes)) for f in checked_frames(frames, task.expected(plan, info.decoder))
            ]
    finally:
        reader.close()
    return made


def as_shown(source: Path) -> tuple[list[tuple[int, int]], int | None]:
    """(pts, checksum) of every frame as FFmpeg decodes the file.

    The first frame unlike the one before in what holds for a film.
    """
    made, first, change = [], None, None
    container = open_source(source)
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1
    for packet in container.demux(stream):
        for frame in packet.decode():
            pixels = planar_format(frame.format.name)
            converter = Converter(pixels.without_alpha if frame.format.name == "pal8" else pixels)
            facts = facts_of(frame, stream.codec_context, first)
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
def test_a_second_header_in_mid_stream_is_obeyed(
    tmp_path: Path, name: str, container: str, in_band: bool
) -> None:
    """Case 20."""
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
    """Case 20."""
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
    """Case 20.

    Workers that lost a header on the way: nothing else would notice, for all later checks look at the same
    frames.
    """
    source = spliced.joined(tmp_path / "in.flv", [A, replace(B, options=CHROMA)], "flv")
    found = planned(source)
    reader = open_reader(found.plan, found.info)
    try:
        packets = [replace(p, side=()) for p in reader.rows(0, 24, keep_from=0)]
    finally:
        reader.close()
    assert sum(len(p.checks) for p in packets) >= 4
    expected = ExpectedFrames(found.info.pts, clock=found.info.decoder.clock)
    with pytest.raises(
        MediaError, match=r"container's own decoder gives another picture at frame 1\d \(0\.[45]\d\d s"
    ):
        list(
            checked_frames(
                decode(packets, found.info.decoder, PixelFormat.parse(found.plan.pix_fmt)), expected
            )
        )


def test_every_chunk_has_frames_that_the_container_decoded(tmp_path: Path) -> None:
    """Case 20."""
    source = media.cfr(tmp_path / "in.mp4", frames=64)
    found = planned(source, chunk_seconds=0.3)
    reader = open_reader(found.plan, found.info)
    try:
        checked = {pts for p in reader.rows(0, 64, keep_from=0) for pts, _ in p.checks}
    finally:
        reader.close()
    for chunk in found.plan.chunks:
        assert checked & set(found.info.pts[chunk.start_frame : chunk.stop_frame]), (
            f"nothing of chunk {chunk.index}"
        )
    assert as_run(source, chunk_seconds=0.3) == as_shown(source)[0]


def test_frames_known_by_order_are_compared_too(tmp_path: Path) -> None:
    source = spliced.palettes(tmp_path / "in.avi")
    info = probe(source)
    assert info.linear
    assert [place for place, _ in info.checks] == [0, 6]
    packets = list(PacketReader(source, 0).rows(0, 12, keep_from=0))
    bare = [replace(p, side=p.side if n < 6 else packets[0].side) for n, p in enumerate(packets)]
    frames = decode(bare, info.decoder, info.pixels, checks=dict(info.checks))
    with pytest.raises(MediaError, match="another picture at frame 6 "):
        list(checked_frames(frames, ExpectedFrames(info.pts, linear=True, clock=info.decoder.clock)))


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


@pytest.mark.parametrize("options", [{}, {"level": "4", "strict": "-2"}, {"slicecrc": "0"}, {"level": "1"}])
@pytest.mark.parametrize("name", ["in.avi", "in.nut"])
def test_a_flipped_bit_in_a_slice_of_ffv1_is_damage_and_not_the_frame_before(
    tmp_path: Path, name: str, options: dict[str, str]
) -> None:
    """Case 65: FFmpeg's decoder conceals it and marks nothing. Without checksums nothing can tell."""
    source = media.write(
        tmp_path / name,
        Film(frames=30, rate=PAL, codec="ffv1", size=(128, 64), options=options),
        container=name[3:],
    )
    assert as_run(source) == as_shown(source)[0]
    with open_source(source) as container:
        packet = [bytes(p) for p in container.demux(video=0) if p.size][4]
    data = bytearray(source.read_bytes())
    data[bytes(data).index(packet) + len(packet) // 3] ^= 16
    source.write_bytes(data)
    if options in ({"slicecrc": "0"}, {"level": "1"}):
        assert len(as_run(source)) == 30
    else:
        assert "frame 4 is damaged" in refused(source)


# --- root cause 2: what the first frame says, and a later one says otherwise

TWO_FRAMES = 2 / PAL
"""Between parts of a broadcast, so that their times don't overlap by what B-frames are delayed."""
SAR = replace(B, sar=Fraction(16, 11))
MATRIX, RANGE, HLG = (
    replace(B, tags=(6, 1, 6, 6)),
    replace(B, tags=(1, 2, 1, 1)),
    replace(B, tags=(9, 1, 9, 18)),
)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (replace(B, size=(80, 48)), "the picture changes from 64x48 yuv420p to 80x48 yuv420p"),
        (replace(B, pix_fmt="yuv422p"), "the picture changes from 64x48 yuv420p to 64x48 yuv422p"),
        (replace(B, pix_fmt="yuv420p10le"), "the picture changes from 64x48 yuv420p to 64x48 yuv420p10le"),
        (SAR, "the shape of a sample changes from 1:1 to 16:11"),
        (
            MATRIX,
            "the colour changes from BT709/LIMITED/BT709/BT709 to SMPTE170M/LIMITED/SMPTE170M/SMPTE170M",
        ),
        (RANGE, "the colour changes from BT709/LIMITED"),
        (HLG, "HLG"),
    ],
    ids=["size", "subsampling", "depth", "shape", "matrix", "range", "transfer"],
)
@pytest.mark.parametrize(
    ("name", "container"),
    [("in.ts", "mpegts"), ("in.mkv", "matroska"), ("in.mp4", "mp4"), ("in.flv", "flv"), ("in.nut", "nut")],
)
def test_what_changes_in_mid_stream_is_refused_before_work(
    tmp_path: Path, name: str, container: str, other: Film, said: str
) -> None:
    """Case 20."""
    source = spliced.joined(tmp_path / name, [replace(A, sar=Fraction(1)), replace(other, sar=other.sar or Fraction(1))], container,
                            in_band=container in {"matroska", "nut"}, gap=TWO_FRAMES)  # fmt: skip
    with pytest.raises(MediaError, match=re.escape(said)) as caught:
        planned(source)
    assert re.search(r"at frame 12 \(0\.48\d? s\)", str(caught.value)), str(caught.value)


def test_a_range_before_the_change_is_made(tmp_path: Path) -> None:
    source = spliced.joined(tmp_path / "in.ts", [A, MATRIX], "mpegts", gap=TWO_FRAMES)
    assert len(as_run(source, range="0-0.48")) == 12
    assert "at frame 12 " in refused(source, range="0-0.50")


def test_a_worker_notices_what_no_header_says(tmp_path: Path) -> None:
    """Whatever headers the probe can't read, each frame itself is looked at."""
    source = spliced.joined(tmp_path / "in.mkv", [A, MATRIX], "matroska", in_band=True)
    info = probe(source)
    packets = list(PacketReader(source, info.stream_index).rows(0, 24, keep_from=0))
    frames = checked_frames(
        decode(packets, info.decoder, PixelFormat.parse("yuv420p")),
        ExpectedFrames(info.pts, clock=info.decoder.clock),
    )
    with pytest.raises(MediaError, match=r"the colour changes from BT709.* at frame 12 \(0\.480 s"):
        list(frames)


def test_the_command_refuses_before_it_makes_anything(tmp_path: Path) -> None:
    source = spliced.joined(tmp_path / "in.ts", [A, HLG], "mpegts", gap=TWO_FRAMES)
    done = vsr("run", source, "--scale", "2", "--model", "lanczos", "-o", tmp_path / "out.mkv")
    assert done.code == 3
    assert "at frame 12 (0.480 s" in done.err
    assert [p.name for p in tmp_path.iterdir()] == ["in.ts"]


def hevc(**changes: object) -> Film:
    return replace(A, **{"codec": "libx265", "size": (128, 64), **changes})  # type: ignore[arg-type]


def x265(text: str) -> dict[str, str]:
    return {"x265-params": f"open-gop=0:{text}"}


DISPLAY = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):hdr10=1:repeat-headers=1:max-cll="
"""Of BT.2020's primaries; the light level is missing."""


@pytest.mark.parametrize(
    ("first", "other", "said"),
    [
        (hevc(), hevc(size=(96, 64)), "128x64 yuv420p to 96x64 yuv420p"),
        (hevc(), hevc(pix_fmt="yuv420p10le"), "yuv420p to 128x64 yuv420p10le"),
        (
            hevc(pix_fmt="yuv420p10le", tags=(9, 1, 9, 18)),
            hevc(pix_fmt="yuv420p10le", tags=(9, 1, 9, 16)),
            "HLG to BT2020_NCL/LIMITED/BT2020/PQ",
        ),
        (
            hevc(options=x265(DISPLAY + "1000,400")),
            hevc(options=x265(DISPLAY + "900,400")),
            "the HDR metadata changes",
        ),
        (
            hevc(options=x265("repeat-headers=1")),
            hevc(options=x265(DISPLAY + "900,400")),
            "the HDR metadata changes",
        ),
        (hevc(sar=Fraction(1)), hevc(sar=Fraction(4, 3)), "the shape of a sample changes from 1:1 to 4:3"),
        (
            replace(A, codec="mpeg2video", sar=Fraction(4, 3)),
            replace(A, codec="mpeg2video", sar=Fraction(16, 9)),
            "the shape of a sample",
        ),
        (
            replace(A, codec="mpeg2video"),
            replace(A, codec="mpeg2video", size=(80, 48)),
            "64x48 yuv420p to 80x48 yuv420p",
        ),
        (
            replace(A, codec="mpeg2video"),
            replace(A, codec="mpeg2video", tags=(9, 1, 9, 16)),
            "the colour changes",
        ),
        (
            replace(A, codec="mpeg4"),
            replace(A, codec="mpeg4", size=(80, 48)),
            "64x48 yuv420p to 80x48 yuv420p",
        ),
    ],
    ids=[
        "size",
        "depth",
        "transfer",
        "light",
        "metadata",
        "shape",
        "mpeg2 shape",
        "mpeg2 size",
        "mpeg2 colour",
        "mpeg4 size",
    ],
)
def test_other_codecs_in_a_broadcast_are_refused_alike(
    tmp_path: Path, first: Film, other: Film, said: str
) -> None:
    source = spliced.joined(tmp_path / "in.ts", [first, other], "mpegts")
    with pytest.raises(MediaError, match=re.escape(said)) as caught:
        planned(source)
    place = (
        11 if "mpeg" in first.codec and first.size != other.size else 12
    )  # FFmpeg's decoder drops the frame it holds when the size changes
    assert f"at frame {place} (" in str(caught.value), str(caught.value)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "other"),
    [
        ("in.webm", "libvpx-vp9", "yuv420p", {"size": (80, 48)}),
        ("in.webm", "libvpx", "yuv420p", {"size": (80, 48)}),
        ("in.mkv", "libsvtav1", "yuv420p", {"size": (128, 64)}),
        ("in.avi", "mjpeg", "yuvj420p", {"size": (80, 48)}),
        ("in.mov", "prores_ks", "yuv422p10le", {"size": (80, 48)}),
        ("in.mov", "prores_ks", "yuv422p10le", {"pix_fmt": "yuv444p10le"}),
        ("in.mov", "png", "rgb24", {"pix_fmt": "rgba"}),
        ("in.mkv", "jpeg2000", "yuv420p", {"size": (80, 48)}),
        ("in.mov", "cfhd", "yuv422p10le", {"size": (256, 128)}),
    ],
)
def test_codecs_whose_packets_say_their_size_are_refused_at_once(
    tmp_path: Path, name: str, codec: str, pix_fmt: str, other: dict[str, object]
) -> None:
    size = {"libsvtav1": (64, 64), "cfhd": (320, 192)}.get(codec, A.size)
    first = replace(A, codec=codec, pix_fmt=pix_fmt, size=size)
    if codec == "png":
        pytest.importorskip("PIL")
        source = spliced.coloured(tmp_path / name)
    else:
        source = spliced.joined(tmp_path / name, [first, replace(first, **other)], {"webm": "webm", "mkv": "matroska"}.get(name[3:], name[3:]),
                                in_band=True)  # fmt: skip
    with pytest.raises(MediaError, match="the picture changes") as caught:
        planned(source)
    assert re.search(r"at frame 12 \(0\.4[68]\d? s", str(caught.value)), str(caught.value)


def test_a_size_that_vp9_tells_between_key_frames_is_refused_before_work(tmp_path: Path) -> None:
    """Case 20: as in recordings of calls."""
    live = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    whole = media.write(
        tmp_path / "whole.webm", replace(A, codec="libvpx-vp9", gop=100, size=(128, 96), options=live)
    )
    source = resized(tmp_path / "in.webm", whole, 5, (64, 48))
    assert {f.size for f in frames(source)} == {(128, 96), (64, 48)}
    with pytest.raises(
        MediaError, match=r"the picture changes from 128x96 yuv420p to 64x48 yuv420p at frame 5 \(0\.200 s"
    ):
        planned(source)


@pytest.mark.parametrize(
    ("params", "first", "second", "place"),
    [
        ("resize-mode=1:resize-denom=12", "128x96", r"8\d+x64", "frame 1 (0.040 s"),
        (
            "resize-mode=4:frame-resz-events=6:frame-resz-denoms=10:frame-resz-kf-denoms=8",
            "128x96",
            r"\d+x\d+",
            "frame 6 (0.240 s",
        ),
    ],
)
def test_a_size_that_av1_tells_between_key_frames_is_refused_before_work(
    tmp_path: Path, params: str, first: str, second: str, place: str
) -> None:
    """Case 20: as VP9's."""
    options = {"preset": "10", "svtav1-params": params}
    film = replace(A, codec="libsvtav1", frames=16, gop=100, size=(128, 96), options=options)
    source = media.write(tmp_path / "in.mkv", film)
    assert len({f.size for f in frames(source)}) == 2
    with pytest.raises(
        MediaError, match=f"changes from {first} yuv420p to {second} yuv420p at {re.escape(place)}"
    ):
        planned(source)


@pytest.mark.parametrize("params", ["", "scm=1", "hierarchical-levels=3:tile-rows=1"])
def test_av1_of_one_size_is_not_decoded_to_look_for_others(tmp_path: Path, params: str) -> None:
    """Case 20."""
    options = {"preset": "10", **({"svtav1-params": params} if params else {})}
    film = replace(A, codec="libsvtav1", frames=16, size=(128, 96), options=options)
    source = media.write(tmp_path / "in.mkv", film)
    sizes = ResizeDetector("av1")
    with av.open(str(source)) as container:
        assert not any(sizes.sees_a_size(memoryview(p)) for p in container.demux(video=0) if p.size)


def test_a_rotation_that_comes_later_is_refused(tmp_path: Path) -> None:
    """Case 20."""
    plain = media.cfr(tmp_path / "plain.mkv", rate=PAL, gop=1, b_frames=0)
    source = spliced.turned_from(plain, tmp_path / "in.mkv", 5)
    assert "the rotation changes at frame 5 (0.200 s" in refused(source)


def test_tags_that_are_left_out_later_but_mean_the_same_are_no_change(tmp_path: Path) -> None:
    """576 lines and fewer without a word are BT.601 by the stated rule."""
    source = spliced.joined(
        tmp_path / "in.ts", [replace(A, tags=(6, 1, 6, 1)), replace(B, tags=(2, 1, 2, 2))], "mpegts"
    )
    assert [c for _, c in as_run(source)] == [c for _, c in as_shown(source)[0]]


def test_metadata_that_only_key_frames_repeat_is_no_change(tmp_path: Path) -> None:
    source = media.hdr10(tmp_path / "in.mkv", frames=24)
    assert as_run(source) == as_shown(source)[0]


def test_numbered_pictures_of_another_kind_are_refused_by_number(tmp_path: Path) -> None:
    for number in range(8):
        mode = "RGB" if number < 5 else "RGBA"
        Image.new(mode, (32, 24), (number * 9, 80, 20) if mode == "RGB" else (1, 2, 3, 9)).save(
            tmp_path / f"f_{number:03d}.png"
        )
    with pytest.raises(MediaError, match=r"32x24 rgb24 to 32x24 rgba at frame 5 \("):
        planned(tmp_path / "f_%03d.png", codec="hevc", model="lanczos", scale=2)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tiff", ".webp"])
@pytest.mark.parametrize("tag", [2, 5, 6])
@pytest.mark.usefixtures("inline")
def test_photos_are_mirrored_as_their_tag_says(tmp_path: Path, suffix: str, tag: int) -> None:
    """Case 26: FFmpeg's decoders tell of turns alone."""
    exif = Image.Exif()
    exif[0x0112] = tag
    y, x = np.mgrid[0:32, 0:48]
    picture = Image.fromarray(np.stack([x * 5, y * 7, 255 - x * 5], -1).astype(np.uint8))
    source, result = tmp_path / f"in{suffix}", tmp_path / "out.png"
    picture.save(source, exif=exif, **({"lossless": True} if suffix == ".webp" else {}))
    upscaled(source, result, codec="hevc", model="nearest", scale=2)
    right = np.asarray(ImageOps.exif_transpose(Image.open(source)).convert("RGB"), float)
    made = np.asarray(Image.open(result).convert("RGB"), float)[::2, ::2]
    assert made.shape == right.shape
    assert np.abs(made - right).mean() < 4


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tiff", ".webp"])
def test_a_photo_is_said_to_lose_what_its_camera_wrote(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 1
    for name, maker in (("plain", None), ("photo", "a maker")):
        if maker:
            exif[0x010F] = maker
        source = tmp_path / f"{name}{suffix}"
        Image.new("RGB", (32, 24), (9, 80, 20)).save(source, exif=exif)
        said = "without its Exif data (camera, date, author, place)"
        assert any(said in note for note in probe(source).notes) == (maker is not None)


@pytest.mark.parametrize("turned", [0, 3])
def test_numbered_photos_that_are_turned_otherwise_are_refused_by_number(tmp_path: Path, turned: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for number in range(6):
        Image.new("RGB", (32, 24), (number * 9, 80, 20)).save(
            tmp_path / f"f_{number:03d}.jpg", exif=exif if number >= turned else Image.Exif()
        )
    source = tmp_path / "f_%03d.jpg"
    if turned:
        assert "the rotation changes at frame 3 (0.125 s" in refused(source)
    else:
        assert planned(source).plan.width == 24
        assert len(as_run(source)) == 6


# --- edit lists


def edited(folder: Path, edits: list[tuple[int, int]], frames: int = 32, **film: object) -> Path:
    source = media.write(folder / "in.mp4", Film(frames=frames, rate=PAL, **film))  # type: ignore[arg-type]
    return spliced.with_edits(source, edits, PAL)


@pytest.mark.parametrize(
    "edits",
    [
        [(0, 12), (20, 12)],
        [(0, 12), (8, 12)],
        [(4, 5), (20, 5), (10, 4)],
        [(-1, 5), (3, 9), (17, 6)],
        [(0, 8), (16, 8)],
        [(0, 16), (0, 16)],
    ],
    ids=["cut", "back", "three", "late", "whole", "twice"],
)
@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4"])
def test_films_of_several_edits_show_what_ffmpeg_shows(
    tmp_path: Path, edits: list[tuple[int, int]], codec: str
) -> None:
    """Case 8."""
    source = edited(tmp_path, edits, codec=codec, size=(128, 64))
    shown, _ = as_shown(source)
    made = as_run(source)
    assert [c for _, c in made] == [c for _, c in shown]
    assert made == shown or [p for p, _ in shown] != sorted({p for p, _ in shown}), (
        "times of its own only where FFmpeg's go back"
    )


def test_hidden_pictures_that_lack_what_they_refer_to_are_no_damage(tmp_path: Path) -> None:
    """Case 8: an edit begins in the midst of an open group of pictures of HEVC, whose decoder is asked to be
    strict.
    """
    source = edited(tmp_path, [(15, 4), (17, 4), (1, 3), (14, 2)], 28, codec="libx265", gop=12, b_frames=3, size=(128, 64),
                    options={"x265-params": "open-gop=1"})  # fmt: skip
    assert [c for _, c in as_run(source)] == [c for _, c in as_shown(source)[0]]


def test_several_edits_come_out_of_a_run(tmp_path: Path) -> None:
    source = media.write(tmp_path / "in.mp4", Film(frames=32, rate=PAL), audio=(media.Audio(seconds=1.28),))
    spliced.with_edits(source, [(0, 12), (20, 12)], PAL)
    done = vsr("run", source, *COPIED_AS_FFV1, "-o", tmp_path / "out.mkv")
    assert done.code == 0, done.err
    assert [c for _, c in as_shown(tmp_path / "out.mkv")[0]] == [c for _, c in as_shown(source)[0]]

    def sound(path: Path) -> list[tuple[bytes, bool]]:
        with av.open(str(path)) as container:
            return [(bytes(p), p.is_discard) for p in container.demux(audio=0) if p.size]

    # the first packet is the encoder's priming
    heard = [data for place, (data, skipped) in enumerate(sound(source)) if not skipped or not place]
    assert len(sound(source)) > len(heard) + 5
    assert [data for data, _ in sound(tmp_path / "out.mkv")] == heard


# --- shape and crop of the container


@pytest.mark.parametrize("sar", [Fraction(4, 3), Fraction(1)])
@pytest.mark.parametrize("film", [Fraction(16, 11), Fraction(1), None])
def test_the_container_s_shape_comes_before_the_bitstream_s(
    tmp_path: Path, sar: Fraction, film: Fraction | None
) -> None:
    """Case 27."""
    source = spliced.with_pasp(media.cfr(tmp_path / "in.mp4", sar=film), sar)
    assert probe(source).sar == sar
    assert planned(source).plan.sar == sar
    assert as_run(source) == as_shown(source)[0]


def test_the_shape_of_a_matroska_file_comes_before_the_bitstream_s(tmp_path: Path) -> None:
    source = spliced.with_display_size(media.cfr(tmp_path / "in.mkv", sar=Fraction(2)), 96, 48)
    assert probe(source).sar == planned(source).plan.sar == Fraction(3, 2)


def test_the_bitstream_s_shape_holds_where_the_container_says_nothing(tmp_path: Path) -> None:
    source = media.write(
        tmp_path / "in.ts",
        Film(frames=12, rate=PAL, time_base=TICKS, sar=Fraction(16, 11)),
        container="mpegts",
    )
    assert probe(source).sar == Fraction(16, 11)


@pytest.mark.parametrize("name", ["in.mp4", "in.mov", "in.mkv"])
@pytest.mark.parametrize(
    ("clap", "crop"),
    [
        ((50, 40, 1, -2), PixelCrop(top=2, bottom=6, left=8, right=6)),
        ((64, 32, 0, 0), PixelCrop(top=8, bottom=8)),
        ((63, 47, 0, 0), PixelCrop(bottom=2, right=2)),
        ((64, 48, 0, 0), PixelCrop()),
    ],
)
def test_what_the_container_crops_is_cut_off_and_said(
    tmp_path: Path, name: str, clap: tuple[int, int, int, int], crop: PixelCrop
) -> None:
    """Case 27."""
    source = spliced.with_clap(
        media.cfr(tmp_path / ("in.mp4" if name != "in.mov" else name)), *map(Fraction, clap)
    )
    if name == "in.mkv":
        source = spliced.remuxed(source, tmp_path / name)
    found = planned(source)
    assert found.info.crop == found.plan.crop == crop
    assert (found.plan.width, found.plan.height) == crop.size(64, 48)
    assert any("cropped as its container says" in note for note in found.info.notes) == bool(crop)


def test_a_crop_reaches_the_result(tmp_path: Path) -> None:
    source = spliced.with_clap(media.cfr(tmp_path / "in.mp4"), *map(Fraction, (50, 40, 1, -2)))
    done = vsr("run", source, *COPIED_AS_FFV1, "-o", tmp_path / "out.mkv")
    assert done.code == 0, done.err
    with av.open(str(source)) as before, av.open(str(tmp_path / "out.mkv")) as after:
        for whole, part in zip(before.decode(video=0), after.decode(video=0), strict=True):
            assert (whole.to_ndarray()[2:42, 8:58] == part.to_ndarray()[:40, :50]).all()


# --- seeded


def right_or_refused(source: Path, *, changes: bool) -> str:
    """What came of it; fails for a wrong frame, and for a refusal without frame and time."""
    shown, change = as_shown(source)
    try:
        made = as_run(source)
    except MediaError as error:
        named = re.search(r"frame (\d+) \(\d+\.\d{3} s(?:, pts (-?\d+))?", str(error))
        assert named, f"no frame and time: {error}"
        assert not changes or change is not None, f"nothing changes, and yet: {error}"
        # A decoder that drops a frame where the size changes has counted one less there.
        is_there = change is None or int(named[1]) == change or named[2] == str(shown[change][0])
        assert is_there, f"the change is at frame {change}: {error}"
        return "refused"
    assert change is None, f"the change at frame {change} was flattened"
    assert [c for _, c in made] == [c for _, c in shown]
    return "right"


def test_a_key_frame_of_hevc_that_an_edit_list_shows_twice_is_no_damage(tmp_path: Path) -> None:
    """Case 8: FFmpeg decodes it once, as its number in the sequence is the same."""
    source = edited(tmp_path, [(18, 8), (25, 3), (5, 9)], 28, codec="libx265", gop=5, b_frames=0, size=(128, 64), options={"x265-params": "open-gop=1"})  # fmt: skip
    assert len(as_shown(source)[0]) == 19
    assert right_or_refused(source, changes=False) == "right"


@pytest.mark.parametrize("seed", range(FIRST, FIRST + CASES))
def test_any_edit_list_is_shown_as_ffmpeg_shows_it(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    frames = draw.randint(12, 40)
    edits = [(-1, draw.randint(1, 6))] if draw.random() < 0.2 else []
    for _ in range(draw.randint(1, 4)):
        first = draw.randrange(frames - 2)
        edits.append((first, draw.randint(2, frames - first)))
    codec = draw.choice(["libx264", "libx264", "libx265", "mpeg4"])
    options = {"x264-params": "open-gop=1"} if codec == "libx264" and draw.random() < 0.3 else {}
    if codec == "libx265" and draw.random() < 0.3:
        options = {"x265-params": "open-gop=1"}
    source = edited(tmp_path, edits, frames, codec=codec, gop=draw.randint(1, 16), b_frames=draw.randint(0, 3), size=(128, 64), options=options,
                    pix_fmt=draw.choice(["yuv420p", "yuv420p10le"]) if codec != "mpeg4" else "yuv420p")  # fmt: skip
    right_or_refused(source, changes=False)
    record(edit_lists=CASES)


@dataclass(frozen=True)
class _Kind:
    codec: str
    containers: tuple[str, ...]
    sides: tuple[int, int] = (64, 48)


_KINDS = (
    _Kind("libx264", ("mpegts", "matroska", "mp4", "mov", "flv", "nut", "avi")),
    _Kind("libx264", ("mpegts", "matroska", "mp4", "mov", "flv", "nut")),
    _Kind("libx265", ("mpegts", "matroska", "mp4", "nut"), (128, 64)),
    _Kind("mpeg2video", ("mpegts", "matroska", "nut")),
    _Kind("mpeg4", ("mpegts", "avi", "nut")),
    _Kind("libvpx-vp9", ("matroska", "webm")),
)
_SUFFIXES = {"mpegts": "ts", "matroska": "mkv"}


@pytest.mark.parametrize("seed", range(FIRST, FIRST + CASES))
def test_any_change_in_mid_stream_is_right_or_refused_where_it_is(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    kind = draw.choice(_KINDS)
    container = draw.choice(kind.containers)
    wide, high = kind.sides
    film = Film(frames=draw.randint(6, 14), rate=PAL, codec=kind.codec, size=kind.sides, gop=draw.randint(1, 9), sar=Fraction(1),
                b_frames=draw.randint(0, 2) if kind.codec != "libvpx-vp9" else 0)  # fmt: skip
    others = [
        {},
        {"size": (wide + 16, high)},
        {"sar": Fraction(16, 11)} if kind.codec != "mpeg2video" else {"sar": Fraction(4, 3)},
        {"tags": (6, 1, 6, 6)},
        {"tags": (9, 1, 9, 18)},
        {"tags": (1, 2, 1, 1)},
        {"options": {"x264-params": "chroma-qp-offset=8"}} if kind.codec == "libx264" else {},
        {"options": CABAC} if kind.codec == "libx264" else {},
    ]
    parts = [film]
    for number in range(draw.randint(1, 2)):
        parts.append(
            replace(film, frames=draw.randint(6, 14), first_number=40 * (number + 1), **draw.choice(others))
        )
    in_band = container in {"matroska", "nut", "webm", "avi"} or (
        container in {"mp4", "mov"} and draw.random() < 0.5
    )
    gap = Fraction(draw.randint(0, 1), 5)
    source = spliced.joined(
        tmp_path / f"in.{_SUFFIXES.get(container, container)}", parts, container, in_band=in_band, gap=gap
    )
    right_or_refused(source, changes=True)
    record(changes=CASES)
