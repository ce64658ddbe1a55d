"""Decoding packets to frames, and checks that these are the planned frames. Cases 4, 7, 12."""

from __future__ import annotations

import ast
import gc
from pathlib import Path

import av
import numpy as np
import pytest

from models.errors import CorruptError, MediaError
from pipelines.codec.decoder import Converter, checksum, decode
from pipelines.codec.expected_frames import ExpectedFrames, IndexMismatchError, checked_frames
from pipelines.media.packet_reader import PacketReader
from pipelines.media.pixel_format import planar_format
from pipelines.media.video_info import Frame
from pipelines.plan.chunking import cut_chunks, cut_spans
from pipelines.probe.probe import probe
from tests import media
from tests.helpers.view import decoded, planes
from tests.pipelines.run.test_every_pixel_format import frame_of


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg2video"])
def test_every_span_of_an_open_gop_film_decodes_to_the_frames_of_a_linear_decode(
    tmp_path: Path, codec: str
) -> None:
    """Case 4."""
    source = media.open_gop(tmp_path / f"in.{'mkv' if codec == 'mpeg2video' else 'mp4'}", codec)
    info = probe(source)
    expected = [planes(f) for f in decoded(source)]
    starts = sorted(p for p, clean in zip(info.index.pts, info.index.clean, strict=True) if clean)
    chunks = cut_chunks(info.pts, info.time_base, 0.36, starts, (0, info.frame_count))
    number = 0
    for span in cut_spans(info.index, info.pts, chunks, linear=False):
        reader = PacketReader(source, info.stream_index)
        packets = list(reader.rows(span.first_row, span.stop_row, keep_from=span.first_row))
        reader.close()
        wanted = tuple(info.pts[span.chunks[0].start_frame : span.chunks[-1].stop_frame])
        for frame in checked_frames(decode(packets, info.decoder, info.pixels), ExpectedFrames(wanted)):
            assert frame.pts == info.pts[number]
            assert all(np.array_equal(a, b) for a, b in zip(frame.planes, expected[number], strict=True)), (
                number
            )
            number += 1
    assert number == len(expected) == 36


def test_the_last_frames_come_only_when_the_decoder_is_drained(tmp_path: Path) -> None:
    """Case 7."""
    source = media.cfr(tmp_path / "in.mp4", frames=11, gop=50, b_frames=3)
    info = probe(source)
    reader = PacketReader(source, 0)
    found = list(decode(reader.rows(0, 11, keep_from=0), info.decoder, planar_format("yuv420p")))
    reader.close()
    assert [f.pts for f in found] == list(info.pts)


def test_a_decoded_picture_goes_with_the_last_reference_to_it(tmp_path: Path) -> None:
    """Case 60: not with the next full collection, for which the pre-roll of a chunk would pile up."""
    source = media.cfr(tmp_path / "in.mp4", frames=24, gop=50)
    info = probe(source)
    reader = PacketReader(source, 0)
    gc.collect()
    gc.disable()
    try:
        for _ in decode(reader.rows(0, 24, keep_from=0), info.decoder, planar_format("yuv420p")):
            pass
        left = sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects())
    finally:
        gc.enable()
        reader.close()
    assert left <= 2  # what the loops still name


def frame(pts: int, *, corrupt: bool = False) -> Frame:
    return Frame(pts, (np.full((2, 2), pts % 256, np.uint8),), corrupt=corrupt)


def test_pre_roll_and_post_roll_are_dropped() -> None:
    found = checked_frames([frame(n) for n in range(10)], ExpectedFrames((3, 4, 5)))
    assert [f.pts for f in found] == [3, 4, 5]


def test_a_missing_frame_is_loud_and_concealed_only_on_request() -> None:
    frames = [frame(n) for n in (1, 2, 4)]
    with pytest.raises(IndexMismatchError, match=r"\(3\.000 s\)"):
        list(checked_frames(frames, ExpectedFrames((1, 2, 3, 4))))
    kept = list(checked_frames(frames, ExpectedFrames((1, 2, 3, 4, 5)), conceal=True))
    assert [(f.pts, f.corrupt, int(f.planes[0][0, 0])) for f in kept] == [
        (1, False, 1),
        (2, False, 2),
        (3, True, 2),
        (4, False, 4),
        (5, True, 4),
    ]


def test_a_frame_nobody_promised_is_loud() -> None:
    with pytest.raises(IndexMismatchError, match="pts 2"):
        list(checked_frames([frame(n) for n in (1, 2, 3)], ExpectedFrames((1, 3))))


def test_damage_is_refused_unless_concealed() -> None:
    frames = [frame(1), frame(2, corrupt=True)]
    with pytest.raises(CorruptError, match=r"from 2\.000 s on"):
        list(checked_frames(frames, ExpectedFrames((1, 2))))
    assert [f.corrupt for f in checked_frames(frames, ExpectedFrames((1, 2)), conceal=True)] == [False, True]
    assert [f.pts for f in checked_frames([frame(0, corrupt=True), frame(1)], ExpectedFrames((1,)))] == [1], (
        "damage in the pre-roll does not matter"
    )


def test_frames_known_by_order_get_the_promised_times() -> None:
    """Case 12."""
    frames = [frame(-1) for _ in range(6)]
    assert [f.pts for f in checked_frames(frames, ExpectedFrames((20, 30, 40), linear=True, first=2))] == [
        20,
        30,
        40,
    ]
    with pytest.raises(IndexMismatchError):
        list(checked_frames(frames[:4], ExpectedFrames((20, 30, 40), linear=True, first=2)))


def test_of_frames_known_by_order_none_is_decoded_behind_the_promised_ones() -> None:
    """Their packets are those of the whole film."""
    frames = iter([frame(-1, corrupt=n > 4) for n in range(8)])
    assert len(list(checked_frames(frames, ExpectedFrames((20, 30, 40), linear=True, first=2)))) == 3
    assert len(list(frames)) == 3


def test_damage_is_named_as_far_as_frames_were_promised() -> None:
    frames = iter([frame(-1, corrupt=n > 2) for n in range(8)])
    with pytest.raises(CorruptError, match=r"frames 13, 14 are damaged \(from 30.000 s on\)"):
        list(checked_frames(frames, ExpectedFrames((20, 30, 40), linear=True, first=2, number=12)))
    assert len(list(frames)) == 3


@pytest.mark.parametrize(
    ("name", "planar"),
    [
        ("nv12", "yuv420p"),
        ("p010le", "yuv420p10le"),
        ("yuyv422", "yuv422p"),
        ("rgb24", "gbrp"),
        ("pal8", "gbrap"),
        ("yuvj420p", "yuv420p"),
        ("gray16be", "gray16le"),
        ("v30xle", "yuv444p10le"),
        ("xv36le", "yuv444p12le"),
        ("vyu444", "yuv444p"),
        ("vuya", "yuva444p"),
        ("ayuv64le", "yuva444p16le"),
        ("y216le", "yuv422p16le"),
        ("x2rgb10le", "gbrp10le"),
    ],
)
def test_packed_formats_have_a_planar_one_with_the_same_samples(name: str, planar: str) -> None:
    assert planar_format(name).name == planar


def test_a_format_that_is_no_picture_of_ours_is_refused() -> None:
    with pytest.raises(MediaError):
        planar_format("bayer_rggb8")


@pytest.mark.parametrize("name", ["p010le", "y210le", "v30xle"])
def test_packed_samples_are_the_same_each_time(name: str) -> None:
    """Case 30: two threads of FFmpeg's conversion wrote into each other's rows, in one frame of ten."""
    frame = frame_of(name, (854, 480))
    converter = Converter(planar_format(name))
    found = {checksum(converter.planes(frame)) for _ in range(80)}
    assert len(found) == 1


def test_no_frame_is_converted_in_several_threads() -> None:
    """All of our code: FFmpeg's conversion is right in one thread only."""
    root = Path(__file__).parents[3]
    several = [
        f"{path.relative_to(root)}:{call.lineno}"
        for package in ("pipelines", "vsr")
        for path in (root / package).rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and (call.func.attr == "reformat" or (call.func.attr == "to_ndarray" and call.keywords))
        and "threads=1" not in [ast.unparse(word) for word in call.keywords]
    ]
    assert not several
