"""HDR10+ and Dolby Vision: the metadata of every frame is kept with it, byte for byte.

What can't be kept is reported before work starts. Cases 36, 95, 96.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from av.sidedata.sidedata import Type as SideData

from models.errors import MediaError, UsageError, VerificationError
from pipelines.codec import encoder
from pipelines.codec.dynamic_metadata import active_area, fit_metadata
from pipelines.codec.expected_frames import ExpectedFrames, checked_frames
from pipelines.media.dynamic_hdr import DynamicHdr
from pipelines.media.pixel_format import Orientation, PixelCrop
from pipelines.media.video_info import Frame
from pipelines.output import film_packets, muxer
from pipelines.output.journal import ChunkRecord
from tests import media
from tests.helpers.dynamic_hdr import carried, configuration, decoded_side_data
from tests.helpers.inline import finished_of, planned_of, upscaled

pytestmark = pytest.mark.usefixtures("inline")

FRAMES = 16
DRAFT = {"codec": "hevc", "preset": "draft", "chunk_seconds": 0.25}


def plus(path: Path) -> list[bytes]:
    return [message for _, message, _ in carried(path)]


def source_of(path: Path, **film: object) -> Path:
    return media.hdr10(path, FRAMES, prefix=media.hdr10_plus_unit, **film)


MESSAGES = [media.hdr10_plus_message(n) for n in range(FRAMES)]


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ("hevc", ".mkv"),
        ("hevc", ".mp4"),
        ("hevc", ".mov"),
        ("av1", ".mkv"),
        ("av1", ".mp4"),
        ("av1", ".webm"),
    ],
)
def test_hdr10_plus_goes_with_every_frame_byte_for_byte(tmp_path: Path, codec: str, suffix: str) -> None:
    """Case 36."""
    source, output = source_of(tmp_path / "in.mkv"), tmp_path / f"out{suffix}"
    made = upscaled(source, output, **{**DRAFT, "codec": codec})
    assert len(planned_of(made).plan.chunks) > 1
    assert "its HDR10+ metadata goes with every frame" in planned_of(made).info.notes
    assert plus(output) == MESSAGES
    parsed = decoded_side_data(output, SideData.DYNAMIC_HDR_PLUS)
    assert parsed == decoded_side_data(source, SideData.DYNAMIC_HDR_PLUS)
    assert None not in parsed


@pytest.mark.parametrize("chunk_seconds", [0.12, 0.4, 6.0])
def test_metadata_stays_at_its_frames_wherever_a_film_is_cut(tmp_path: Path, chunk_seconds: float) -> None:
    """Case 36. B-frames and open groups of pictures: the order of packets is another one in the source and in every result."""
    source = source_of(tmp_path / "in.mp4", options={"x265-params": "open-gop=1:bframes=3:keyint=8"})
    assert plus(source) == MESSAGES
    upscaled(source, tmp_path / "out.mkv", **{**DRAFT, "chunk_seconds": chunk_seconds, "preset": "veryfast"})
    assert plus(tmp_path / "out.mkv") == MESSAGES


def test_a_part_of_a_film_has_the_metadata_of_its_own_frames(tmp_path: Path) -> None:
    upscaled(source_of(tmp_path / "in.mkv"), tmp_path / "out.mkv", range="0.2-0.48", **DRAFT)
    assert plus(tmp_path / "out.mkv") == MESSAGES[5:12]


def test_frames_that_are_known_by_their_order_alone_keep_their_metadata(tmp_path: Path) -> None:
    source = source_of(tmp_path / "in.hevc", options={"x265-params": "bframes=3:b-adapt=0"})
    made = upscaled(source, tmp_path / "out.mkv", **DRAFT)
    assert planned_of(made).plan.linear
    assert plus(tmp_path / "out.mkv") == MESSAGES


def test_metadata_that_begins_and_ends_in_the_film_begins_and_ends_there(tmp_path: Path) -> None:
    source = media.hdr10(
        tmp_path / "in.mkv", FRAMES, prefix=lambda n: media.hdr10_plus_unit(n) if 9 <= n < 14 else b"",
        options={"x265-params": "keyint=8:min-keyint=8"},
    )  # fmt: skip
    upscaled(source, tmp_path / "out.mkv", **DRAFT)
    assert plus(tmp_path / "out.mkv") == [MESSAGES[n] if 9 <= n < 14 else b"" for n in range(FRAMES)]


@pytest.mark.parametrize("codec", ["hevc", "av1"])
def test_hdr10_plus_of_av1_is_carried_over(tmp_path: Path, codec: str) -> None:
    source = media.messages_av1(tmp_path / "in.mkv", media.hdr10_plus_message, FRAMES)
    assert plus(source) == MESSAGES
    upscaled(source, tmp_path / "out.mkv", **{**DRAFT, "codec": codec})
    assert plus(tmp_path / "out.mkv") == MESSAGES


def test_hdr10_plus_next_to_the_packets_of_webm_is_carried_over(tmp_path: Path) -> None:
    """VP9 has no place of its own for it: Matroska and WebM keep the message as a BlockAddition."""
    reference = source_of(tmp_path / "in.mkv")
    source = media.hdr10_plus_webm(
        tmp_path / "in.webm", decoded_side_data(reference, SideData.DYNAMIC_HDR_PLUS)
    )
    upscaled(source, tmp_path / "out.mkv", **DRAFT)
    assert decoded_side_data(tmp_path / "out.mkv", SideData.DYNAMIC_HDR_PLUS) == decoded_side_data(
        source, SideData.DYNAMIC_HDR_PLUS
    )
    # FFmpeg's muxer leaves out the saturation of a window without a curve, as that of frame 10.
    found = plus(tmp_path / "out.mkv")
    assert [n for n in range(FRAMES) if found[n] != MESSAGES[n]] == [10]


def test_both_frames_that_are_made_of_two_fields_have_the_metadata_of_theirs(tmp_path: Path) -> None:
    source = source_of(tmp_path / "in.mkv")
    upscaled(source, tmp_path / "out.mkv", deinterlace="bob", **DRAFT)
    found = plus(tmp_path / "out.mkv")
    assert found in (MESSAGES, [m for m in MESSAGES for _ in range(2)])
    upscaled(source, tmp_path / "on.mkv", deinterlace="on", **DRAFT)
    assert plus(tmp_path / "on.mkv") == MESSAGES


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"codec": "h264"}, "h264 has none; --codec hevc keeps it"),
        ({"codec": "hevc", "dynamic_hdr": "drop"}, "by --dynamic-hdr drop"),
        ({"codec": "ffv1"}, "ffv1 has none; --codec hevc keeps it"),
    ],
)
def test_hdr10_plus_that_can_not_be_kept_is_said_to_be_lost_before_work(
    tmp_path: Path, settings: dict[str, str], why: str
) -> None:
    """Case 36."""
    made = upscaled(
        source_of(tmp_path / "in.mkv"), tmp_path / "out.mkv", **{**DRAFT, "preset": "balanced", **settings}
    )
    assert f"the result will be without its HDR10+ metadata: {why}" in planned_of(made).info.notes
    assert decoded_side_data(tmp_path / "out.mkv", SideData.DYNAMIC_HDR_PLUS) == [None] * FRAMES


def test_hdr10_plus_of_parts_of_the_picture_is_left_out(tmp_path: Path) -> None:
    """Their places are counted in pixels of the smaller picture."""
    source = media.hdr10(tmp_path / "in.mkv", FRAMES, prefix=lambda n: media.hdr10_plus_unit(n, windows=2))
    made = upscaled(source, tmp_path / "out.mkv", **DRAFT)
    assert any(
        "HDR10+ metadata: it treats parts of the picture on their own" in note
        for note in planned_of(made).info.notes
    )
    assert plus(tmp_path / "out.mkv") == [b""] * FRAMES


@pytest.mark.parametrize("victim", [0, 11])
@pytest.mark.parametrize("other", [None, DynamicHdr(MESSAGES[3])], ids=["lost", "of another frame"])
def test_a_chunk_that_lost_the_metadata_of_a_frame_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, victim: int, other: DynamicHdr | None
) -> None:
    """Case 95."""
    insert = encoder.insert_dynamic_hdr

    def broken(codec: str, data: bytes, metadata: DynamicHdr) -> bytes:
        changed = other if metadata.hdr10_plus == MESSAGES[victim] else metadata
        return insert(codec, data, changed) if changed else data

    monkeypatch.setattr(encoder, "insert_dynamic_hdr", broken)
    with pytest.raises(
        VerificationError, match=f"chunk {victim // 8}: the frame at pts .* has not its own HDR10"
    ):
        upscaled(source_of(tmp_path / "in.mkv"), tmp_path / "out.mkv", **DRAFT)
    kept = list((tmp_path / ".out.mkv.vsr-work").glob("*.chunk"))
    assert len(kept) == victim // 8


@pytest.mark.parametrize("victim", [0, 11])
def test_metadata_that_is_lost_when_a_result_is_put_together_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, victim: int
) -> None:
    """Case 95."""
    packets = film_packets._chunk_packets

    def stripped(record: ChunkRecord) -> Iterator[av.Packet]:
        for packet, pts in zip(packets(record), record.pts, strict=True):
            kept = bytes(packet).replace(b"\xb5\x00\x3c\x00\x01\x04", b"\xb5\x00\x3c\x00\x01\x05")
            if sorted(record.pts).index(pts) + 8 * record.index == victim:
                packet = media._like(packet, kept, packet.stream)  # noqa: PLW2901
            yield packet

    monkeypatch.setattr(film_packets, "_chunk_packets", stripped)
    with pytest.raises(VerificationError, match=rf"of chunk {victim // 8} has not its own HDR10"):
        upscaled(source_of(tmp_path / "in.mkv"), tmp_path / "out.mkv", **DRAFT)


def test_kept_chunks_have_their_metadata_when_a_run_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 95: what a chunk should have stands in its manifest, and is compared when the result is put together in another run."""
    source, output = source_of(tmp_path / "in.mkv"), tmp_path / "out.mkv"
    insert, calls = encoder.insert_dynamic_hdr, 0

    def failing(codec: str, data: bytes, metadata: DynamicHdr) -> bytes:
        nonlocal calls
        calls += 1
        if calls > 10:
            raise KeyboardInterrupt
        return insert(codec, data, metadata)

    monkeypatch.setattr(encoder, "insert_dynamic_hdr", failing)
    with pytest.raises(KeyboardInterrupt):
        upscaled(source, output, **DRAFT)
    monkeypatch.setattr(encoder, "insert_dynamic_hdr", insert)
    made = upscaled(source, output, **DRAFT)
    assert finished_of(made)
    assert plus(output) == MESSAGES


def rpus(path: Path) -> list[bytes]:
    return [rpu for _, _, rpu in carried(path)]


def unit(number: int, **more: object) -> bytes:
    return media.dolby_vision_unit(8, number, **more)  # type: ignore[arg-type]


RPUS = [unit(n)[4:] for n in range(FRAMES)]


@pytest.mark.parametrize("transfer", [16, 18], ids=["8.1", "8.4"])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_dolby_vision_goes_with_every_frame_byte_for_byte(tmp_path: Path, transfer: int, suffix: str) -> None:
    """Case 96."""
    source, output = tmp_path / "in.mp4", tmp_path / f"out{suffix}"
    media.hdr10(source, FRAMES, transfer=transfer, suffix=unit, options={"x265-params": "bframes=3:hdr10=1"})
    made = upscaled(source, output, **DRAFT)
    assert len(planned_of(made).plan.chunks) > 1
    assert rpus(output) == RPUS
    assert decoded_side_data(output, SideData.DOVI_RPU_BUFFER) == [rpu[2:] for rpu in RPUS]
    assert None not in decoded_side_data(output, SideData.DOVI_METADATA)
    compatibility = 1 if transfer == 16 else 4
    assert configuration(output) == bytes([1, 0, 8 << 1, 1 << 3 | 0b101, compatibility << 4]) + bytes(19)


def test_hdr10_plus_and_dolby_vision_go_together(tmp_path: Path) -> None:
    source, output = tmp_path / "in.mkv", tmp_path / "out.mp4"
    media.hdr10(source, FRAMES, prefix=media.hdr10_plus_unit, suffix=unit)
    upscaled(source, output, **DRAFT)
    assert [found[1:] for found in carried(output)] == list(zip(MESSAGES, RPUS, strict=True))


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_dolby_vision_record_stands_next_to_whatever_else_a_track_has(tmp_path: Path, suffix: str) -> None:
    """MOV gets its record when it is finished: every track must still lie where its index says."""
    source, output = tmp_path / "in.mp4", tmp_path / f"out{suffix}"
    media.hdr10(source, FRAMES, suffix=unit, sound=media.Audio(seconds=1.0))
    made = upscaled(source, output, verify="full", **DRAFT)
    assert finished_of(made)
    assert configuration(output)[2] == 16
    assert rpus(output) == RPUS


def test_the_active_area_of_dolby_vision_grows_with_the_picture(tmp_path: Path) -> None:
    """Case 96: level 5 is given in pixels; all else of an RPU stays, and its CRC-32 is that of the new one."""
    source = media.hdr10(tmp_path / "in.mkv", FRAMES, suffix=lambda n: unit(n, area=(0, 0, 8, 9)))
    upscaled(source, tmp_path / "out.mkv", **{**DRAFT, "scale": 2, "model": "bicubic"})
    assert rpus(tmp_path / "out.mkv") == [unit(n, area=(0, 0, 16, 18))[4:] for n in range(FRAMES)]
    # FFmpeg compares the CRC-32, too
    assert None not in decoded_side_data(tmp_path / "out.mkv", SideData.DOVI_METADATA, strictly=True)


@dataclass
class Part:
    """Of a plan: what becomes of the picture."""

    crop: PixelCrop = field(default_factory=PixelCrop)
    orientation: Orientation = field(default_factory=Orientation)
    width: int = 100
    height: int = 50
    out_width: int = 200
    out_height: int = 75


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (Part(), (2, 4, 15, 32)),
        (Part(PixelCrop(top=10, bottom=8)), (2, 4, 0, 20)),
        (Part(PixelCrop(left=5), Orientation(transpose=True, flip_x=True)), (42, 20, 0, 3)),
    ],
    ids=["enlarged", "bars cut off", "cropped and turned"],
)
def test_the_active_area_is_that_of_the_picture_as_it_leaves(
    part: Part, expected: tuple[int, int, int, int]
) -> None:
    """Case 96."""
    assert active_area((1, 2, 10, 21), part) == expected  # type: ignore[arg-type]


def test_what_stands_in_for_a_damaged_frame_has_the_metadata_of_what_it_shows() -> None:
    """Case 96: and its active area is scaled once."""
    given, expected = (DynamicHdr(b"", unit(0, area=(0, 0, rows, 0))[4:]) for rows in (10, 15))
    planes = [np.zeros((2, 2), np.uint8)]
    frames = [Frame(0, planes, dynamic_hdr=given), Frame(2, planes)]
    shown = list(
        fit_metadata(
            checked_frames(frames, ExpectedFrames([0, 1, 2]), conceal=True), Part(), ExpectedFrames([0, 1, 2])
        )
    )  # type: ignore[arg-type]
    assert [frame.dynamic_hdr for frame in shown] == [expected, expected, None]


@pytest.mark.parametrize(
    ("source", "settings", "why"),
    [
        ({}, {"codec": "av1"}, "profile 8 is hevc's alone; --codec hevc keeps it"),
        ({}, {"codec": "h264"}, "profile 8 is hevc's alone; --codec hevc keeps it"),
        ({}, {"codec": "hevc", "pixel_format": "yuv444p10le"}, "it needs yuv420p10le"),
        ({}, {"codec": "hevc", "dynamic_hdr": "drop"}, "by --dynamic-hdr drop"),
        ({"transfer": 1, "tags": (1, 1, 1, 1)}, {"codec": "hevc"}, "only that of profiles 8 and 10 over HDR10 or HLG"),
        ({"suffix": lambda n: media.dolby_vision_unit(7, n)}, {"codec": "hevc"}, "in profile 7 it is of two layers"),
        ({"suffix": lambda n: unit(n, chained=n > 0)}, {"codec": "hevc"}, "it refers to that of earlier frames"),
        ({"suffix": lambda n: unit(n)[:-3] + b"\x01\x01\x80"}, {"codec": "hevc"}, "its CRC-32 is wrong"),
    ],
)  # fmt: skip
def test_dolby_vision_that_can_not_be_kept_is_said_to_be_lost_before_work(
    tmp_path: Path, source: dict[str, object], settings: dict[str, str], why: str
) -> None:
    """Case 36."""
    film = media.hdr10(tmp_path / "in.mkv", FRAMES, **{"suffix": unit, **source})  # type: ignore[arg-type]
    made = upscaled(film, tmp_path / "out.mkv", **{**DRAFT, **settings})
    notes = planned_of(made).info.notes
    assert any(
        "without its Dolby Vision metadata, of its base layer alone: " in n and why in n for n in notes
    ), notes
    if settings["codec"] == "hevc":
        assert rpus(tmp_path / "out.mkv") == [b""] * FRAMES
        assert not configuration(tmp_path / "out.mkv")


@pytest.mark.parametrize("container", [".ts", ".mkv"])
def test_the_second_layer_of_a_disc_is_left_out_and_said(tmp_path: Path, container: str) -> None:
    """Case 36: on a disc, profile 7 is two streams; the one with the RPUs fits the smaller picture alone."""
    base = media.hdr10(tmp_path / "base.mkv", FRAMES)
    layer = media.hdr10(tmp_path / "layer.mkv", FRAMES, suffix=lambda n: media.dolby_vision_unit(7, n))
    source = media.together(tmp_path / f"in{container}", base, layer)
    made = upscaled(source, tmp_path / "out.mkv", **DRAFT)
    assert planned_of(made).dropped == (
        "video stream 1 (hevc): it is the enhancement layer of Dolby Vision, and fits the pictures of the source alone",
    )
    with av.open(str(tmp_path / "out.mkv")) as result:
        assert len(result.streams.video) == 1
    upscaled(media.together(tmp_path / f"b{container}", base, base), tmp_path / "both.mkv", **DRAFT)
    with av.open(str(tmp_path / "both.mkv")) as result:
        assert len(result.streams.video) == 2


def test_metadata_that_can_not_be_carried_over_in_mid_film_ends_the_run_with_a_way_on(tmp_path: Path) -> None:
    """The first packets and key packets are looked at before work; what comes later is said with its frame."""
    source = media.hdr10(
        tmp_path / "in.mkv",
        FRAMES,
        suffix=lambda n: unit(n, chained=n == 13),
        options={"x265-params": "keyint=16"},
    )
    with pytest.raises(
        MediaError, match=r"refers to that of an earlier frame\) at frame 13 .*--dynamic-hdr drop"
    ):
        upscaled(source, tmp_path / "out.mkv", **DRAFT)
    assert finished_of(upscaled(source, tmp_path / "out.mkv", dynamic_hdr="drop", fresh=True, **DRAFT))


def test_a_damaged_rpu_is_left_out_where_damage_is_concealed(tmp_path: Path) -> None:
    """Case 36."""
    source = media.hdr10(
        tmp_path / "in.mkv",
        FRAMES,
        suffix=lambda n: unit(n)[: -3 if n == 13 else None] + b"\x01\x01\x80" * (n == 13),
        options={"x265-params": "keyint=16"},
    )
    with pytest.raises(MediaError, match="its CRC-32 is wrong.* at frame 13"):
        upscaled(source, tmp_path / "out.mkv", **DRAFT)
    made = upscaled(source, tmp_path / "out.mkv", on_corrupt="conceal", fresh=True, **DRAFT)
    assert finished_of(made).report["concealed"] == 1
    assert rpus(tmp_path / "out.mkv") == [RPUS[n] if n != 13 else b"" for n in range(FRAMES)]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_a_result_that_does_not_say_that_it_is_dolby_vision_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """Case 96."""
    monkeypatch.setattr(muxer, "_dolby_vision_box", lambda _: b"")
    source = media.hdr10(tmp_path / "in.mkv", FRAMES, suffix=unit)
    with pytest.raises(UsageError, match="does not say that it is Dolby Vision"):  # by the trial before work
        upscaled(source, tmp_path / f"out{suffix}", **DRAFT)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".webm"])
def test_dolby_vision_of_av1_goes_with_every_frame(tmp_path: Path, suffix: str) -> None:
    """Case 96: profile 10, with an active area, whose RPU begins in the midst of a byte; WebM has no word for it."""
    source, output = tmp_path / "in.mkv", tmp_path / f"out{suffix}"
    media.messages_av1(source, lambda n: media.dolby_vision_message(n, area=(0, 0, 8, 8)), FRAMES)
    made = upscaled(source, output, **{**DRAFT, "codec": "av1", "scale": 2, "model": "bicubic"})
    if suffix == ".webm":
        assert any(
            "Dolby Vision metadata, of its base layer alone: WebM" in note
            for note in planned_of(made).info.notes
        )
        assert rpus(output) == [b""] * FRAMES
        return
    assert rpus(output) == [media.dolby_vision_message(n, area=(0, 0, 16, 16)) for n in range(FRAMES)]
    assert configuration(output)[:5] == bytes([1, 0, 10 << 1, 1 << 3 | 0b101, 1 << 4])
    assert None not in decoded_side_data(output, SideData.DOVI_METADATA, strictly=True)


def test_another_ffmpeg_finds_the_metadata_of_every_frame(tmp_path: Path) -> None:
    """The one that comes with imageio-ffmpeg is of another version and build than PyAV's."""
    source, output = tmp_path / "in.mkv", tmp_path / "out.mp4"
    media.hdr10(source, FRAMES, prefix=media.hdr10_plus_unit, suffix=unit)
    upscaled(source, output, **DRAFT)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(output), "-vf", "showinfo", "-f", "null", "-"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert "DOVI configuration record: version: 1.0, profile: 8, level: 1" in shown
    assert shown.count("side data - Dolby Vision Metadata") == FRAMES
    assert shown.count("SMPTE2094-40 (HDR10+)") == FRAMES


@pytest.mark.skipif(
    "VSR_SHARED_DATA" not in os.environ, reason="VSR_SHARED_DATA does not name a folder with real clips"
)
def test_a_telephone_s_film_stays_dolby_vision(tmp_path: Path) -> None:
    """Case 96: an iPhone's, profile 8.4, turned, with an edit list and tracks that MOV alone holds."""
    source = Path(os.environ["VSR_SHARED_DATA"]) / "media/androidx-media/mp4/dolbyVision-hdr.MOV"
    upscaled(
        source, tmp_path / "out.mov", drop_incompatible=True, codec="hevc", preset="draft", chunk_seconds=0.05
    )
    expected = decoded_side_data(source, SideData.DOVI_RPU_BUFFER)
    assert len(expected) == 4
    assert None not in expected
    assert decoded_side_data(tmp_path / "out.mov", SideData.DOVI_RPU_BUFFER) == expected
    assert configuration(tmp_path / "out.mov")[2:5] == configuration(source)[2:5]
