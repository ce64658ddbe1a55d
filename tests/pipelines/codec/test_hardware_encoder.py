"""Hardware encoders, as far as software can simulate them.

The self-test, tags, HDR metadata, and encoder sessions.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

import pipelines.codec.encoder as encoder_module
from models.errors import ResourceError
from pipelines.codec.encoder import encode_chunk
from pipelines.encoders.encoder_check import SELF_TEST_FRAMES, SELF_TEST_SIZE, encoder_flaw
from pipelines.media.chroma_siting import chroma_siting
from pipelines.media.cicp import ColorTags, HdrMetadata
from pipelines.media.demuxer import open_memory
from pipelines.media.dynamic_hdr import DynamicHdr
from pipelines.media.hdr_metadata import equal_within_units, static_metadata
from pipelines.media.video_info import Frame
from pipelines.settings.encoder_spec import Encoder
from pipelines.storage.child_call import ChildFailedError, call_in_child
from tests import media
from tests.helpers.dynamic_hdr import carried
from tests.helpers.stand_in_encoders import stand_in

BT709 = ColorTags(1, 1, 1, 1, 1)
HDR10 = ColorTags(9, 1, 9, 16, 3)
METADATA = HdrMetadata((34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450, 10_000_000, 50), (1000, 400))


def frames_of(encoder: Encoder, count: int = 6) -> list[Frame]:
    return [
        Frame(n * 512, media.planes_of(n, encoder.width, encoder.height, encoder.pix_fmt))
        for n in range(count)
    ]


def encoded(
    encoder: Encoder, color: ColorTags = BT709, hdr: HdrMetadata | None = None, first: int = 0
) -> encoder_module.EncodedChunk:
    frames = frames_of(encoder, first + 6)[first:]
    return encode_chunk(
        frames,
        0,
        encoder,
        time_base=Fraction(1, 12800),
        rate=Fraction(25),
        sar=Fraction(1),
        color=color,
        hdr=hdr,
    )


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("good", ""),
        ("lose", "it gave 47 packets for 48 frames"),
        ("repeat", "frame 20 comes back at"),
        ("swap", "frame 20 comes back at"),
        ("shift", "other timestamps"),
        ("tags", "its colour tags are"),
        ("vary", "other bytes the second time"),
        ("header", "other bytes the second time"),
        ("lose last", "it gave 47 packets for 48 frames"),
        ("range", "its values have 0.86 times the contrast"),
        ("black square", "frame 30 comes back with a block that is off by"),
    ],
)
def test_the_self_test_finds_what_drivers_do_to_frames(
    way: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 88."""
    from tests.helpers.stand_in_encoders import flaw_of

    if way == "tags":  # a driver that writes others, before anything mends them
        monkeypatch.setattr(encoder_module, "with_tags", lambda data, encoder, color: (data, b""))
    found = flaw_of(way, stand_in(size=SELF_TEST_SIZE), BT709, HdrMetadata(), SELF_TEST_FRAMES)
    assert found.startswith(said) if said.startswith(("it", "frame")) else said in found
    assert bool(found) == bool(said)


@pytest.mark.parametrize(
    ("way", "said"), [("crash", "it was ended by SIGSEGV"), ("hang", "hung: it was ended after 5 s")]
)
def test_a_driver_that_crashes_or_hangs_ends_with_its_own_process(way: str, said: str) -> None:
    """Case 88."""
    with pytest.raises(ChildFailedError, match=said):
        call_in_child(
            "tests.helpers.stand_in_encoders:flaw_of", way, stand_in(), BT709, HdrMetadata(), 3, seconds=5
        )


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_tags_siting_and_hdr_metadata_are_written_whatever_the_encoder_wrote(codec: str) -> None:
    """Case 89."""
    encoder = stand_in(codec, pix_fmt="yuv420p10le", container="mp4", tag="hvc1" if codec == "hevc" else "")
    assert encoder_flaw(encoder, HDR10, METADATA, frames=4) == ""
    chunk = encoded(encoder, HDR10, METADATA)
    with open_memory(chunk.data) as container:
        stream = container.streams.video[0]
        assert chroma_siting(stream) == HDR10.siting
        if codec == "hevc":
            assert stream.codec_context.codec_tag == "hvc1"
        frames = list(container.decode(stream))
    assert len(frames) == 6
    assert equal_within_units(static_metadata(frames[0]), METADATA)
    assert all(
        (int(f.colorspace), int(f.color_range), int(f.color_primaries), int(f.color_trc)) == (9, 1, 9, 16)
        for f in frames
    )
    plain = encode_chunk(
        frames_of(encoder),
        0,
        Encoder(**vars(encoder)),
        time_base=Fraction(1, 12800),
        rate=Fraction(25),
        sar=Fraction(1),
        color=replace(HDR10, siting=1),
    )
    with open_memory(plain.data) as container:
        assert not any(static_metadata(frame) for frame in container.decode(video=0)), (
            "the encoder has it from elsewhere"
        )


@pytest.mark.parametrize("codec", ["hevc", "av1"])
def test_metadata_of_every_frame_outlives_the_rewriting_of_headers(codec: str, tmp_path: Path) -> None:
    """Case 36."""
    encoder = stand_in(codec, pix_fmt="yuv420p10le", container="matroska")
    rpus = [
        media.dolby_vision_unit(8, n)[4:] if codec == "hevc" else media.dolby_vision_message(n)
        for n in range(6)
    ]
    carrying = [
        replace(frame, dynamic_hdr=DynamicHdr(media.hdr10_plus_message(n), rpus[n]))
        for n, frame in enumerate(frames_of(encoder))
    ]
    chunk = encode_chunk(
        carrying, 0, encoder, time_base=Fraction(1, 12800), rate=Fraction(25), sar=Fraction(1), color=HDR10
    )
    (tmp_path / "chunk.mkv").write_bytes(chunk.data)
    order = sorted(range(6), key=lambda place: chunk.pts[place])
    found = [messages for _, *messages in carried(tmp_path / "chunk.mkv")]  # chunks are in decode order
    assert [found[place] for place in order] == [[media.hdr10_plus_message(n), rpus[n]] for n in range(6)]


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_what_a_driver_says_of_colour_is_written_over(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 89."""

    class Deaf(encoder_module._Muxer):
        def __init__(
            self, encoder: Encoder, time_base: Fraction, rate: Fraction, sar: Fraction, color: ColorTags
        ) -> None:
            super().__init__(encoder, time_base, rate, sar, ColorTags(6, 1, 6, 6, 1))

    monkeypatch.setattr(encoder_module, "_Muxer", Deaf)
    chunk = encoded(stand_in(codec, pix_fmt="yuv420p10le", container="mp4"), HDR10)
    with open_memory(chunk.data) as container:
        stream = container.streams.video[0]
        assert chroma_siting(stream) == HDR10.siting
        frame = next(container.decode(stream))
    assert (
        int(frame.colorspace),
        int(frame.color_range),
        int(frame.color_primaries),
        int(frame.color_trc),
    ) == (9, 1, 9, 16)


def test_chunks_share_a_header_and_begin_with_a_key_frame() -> None:
    for codec in ("h264", "hevc"):
        once, other = encoded(stand_in(codec)), encoded(stand_in(codec), first=3)
        assert once.header_sha256 == other.header_sha256
        with open_memory(other.data) as container:
            assert next(p for p in container.demux(video=0) if p.size).is_keyframe


def test_a_worker_waits_for_a_free_session_and_for_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 89."""
    waits: list[float] = []
    steps: list[None] = []
    told = ["OpenEncodeSessionEx failed: out of memory (10): (no details)"] * 2

    class Busy(encoder_module._Muxer):
        def __init__(self, *given: object) -> None:
            if told:
                av.logging.log(av.logging.ERROR, "hevc_nvenc", told.pop())
                raise OSError("no session")
            super().__init__(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(encoder_module, "_Muxer", Busy)
    monkeypatch.setattr(encoder_module.time, "sleep", waits.append)
    monkeypatch.setattr(encoder_module, "_WAITING_SECONDS", 1.5)
    chunk = encode_chunk(
        frames_of(stand_in()),
        0,
        stand_in(),
        time_base=Fraction(1, 12800),
        rate=Fraction(25),
        sar=Fraction(1),
        color=BT709,
        step=lambda: steps.append(None),
    )
    assert len(chunk.pts) == 6
    assert waits == [1.5, 1.5]
    told.append("Cannot load libcuda.so.1")
    with pytest.raises(ResourceError, match=r"can't be opened: Cannot load libcuda.so.1"):
        encoded(stand_in())
    assert waits == [1.5, 1.5]
    assert len(steps) >= 2


def test_the_self_test_does_not_wait_for_a_session_until_it_counts_as_hung(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Case 88."""
    from pipelines.encoders.encoder_choice import _SECONDS
    from tests.helpers.stand_in_encoders import flaw_of

    waits: list[float] = []
    monkeypatch.setattr(encoder_module.time, "sleep", waits.append)
    found = flaw_of("busy", stand_in(), BT709, HdrMetadata(), 3)
    assert "can't be opened: OpenEncodeSessionEx failed: out of memory" in found
    assert 0 < sum(waits) < _SECONDS / 2


def test_hardware_that_is_not_here_is_said_by_the_words_of_its_driver() -> None:
    options = {"rc": "constqp"}
    with pytest.raises(
        ResourceError, match="the encoder hevc_nvenc can't be opened: .*(libcuda|nvcuda|capable|session)"
    ):
        encoded(Encoder("hevc", "hevc_nvenc", 128, 96, "yuv420p", options))
