"""The encoder that a plan names: its chunks can be joined, and its output is reproducible."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from models.errors import UsageError
from pipelines.codec.encoder import encode_chunk, try_encoder
from pipelines.encoders.encoder_options import EncoderTarget, choose_encoder
from pipelines.media.cicp import ColorTags
from pipelines.media.pixel_format import PixelFormat
from pipelines.media.video_info import Frame
from pipelines.settings.encoder_spec import Encoder
from pipelines.settings.run_settings import EncodeSettings
from tests import media
from tests.helpers.command import vsr

TAGS = ColorTags(1, 1, 1, 1, 1)


def chosen(
    codec: str,
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (64, 48),
    container: str = "matroska",
    **settings: object,
) -> Encoder:
    return choose_encoder(
        EncodeSettings(codec=codec, **settings),
        PixelFormat.parse(pix_fmt),
        EncoderTarget(*size, container),
    )  # type: ignore[arg-type]


def chunk(encoder: Encoder, first: int = 0, count: int = 12, index: int = 0) -> object:
    frames = (
        Frame(n * 512, media.planes_of(n, encoder.width, encoder.height, encoder.pix_fmt))
        for n in range(first, first + count)
    )
    return encode_chunk(
        frames, index, encoder, time_base=Fraction(1, 12800), rate=Fraction(25), sar=Fraction(1), color=TAGS
    )


def payloads(made: object) -> list[bytes]:
    """The packets; the file around them has a random number in it."""
    with av.open(io.BytesIO(made.data)) as container:  # type: ignore[attr-defined]
        return [bytes(p) for p in container.demux(video=0) if p.size]


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "prores", "ffv1"])
def test_chunks_repeat_bit_for_bit_share_a_header_and_begin_with_a_key(codec: str) -> None:
    encoder = chosen(
        codec, container="mov" if codec == "prores" else "matroska", preset="draft", size=(128, 96)
    )
    once, again, other = chunk(encoder), chunk(encoder), chunk(encoder, first=30, count=9, index=1)
    assert payloads(once) == payloads(again)
    assert once.header_sha256 == other.header_sha256  # type: ignore[attr-defined]
    assert sorted(once.pts) == [n * 512 for n in range(12)]  # type: ignore[attr-defined]
    with av.open(io.BytesIO(other.data)) as container:  # type: ignore[attr-defined]
        packets = [p for p in container.demux(video=0) if p.size]
        assert packets[0].is_keyframe
        assert len(packets) == 9


@pytest.mark.parametrize(
    ("codec", "source", "expected"),
    [
        ("hevc", "yuv420p10le", "yuv420p10le"), ("h264", "yuv422p10le", "yuv422p10le"), ("ffv1", "yuv444p", "yuv444p"), ("av1", "yuv420p10le", "yuv420p10le"),
        ("prores", "yuv420p", "yuv422p10le"), ("hevc", "yuv420p", "yuv420p"),
    ],
)  # fmt: skip
def test_depth_and_subsampling_are_kept_where_the_codec_can(codec: str, source: str, expected: str) -> None:
    assert chosen(codec, source, container="mov" if codec == "prores" else "matroska").pix_fmt == expected


def test_what_a_codec_or_container_can_t_is_refused() -> None:
    """Case 67."""
    for codec, more in (
        ("ffv1", {"container": "mp4"}),
        ("prores", {"container": "mp4"}),
        ("prores", {"crf": 9.0, "container": "mov"}),
        ("h264", {"size": (20000, 9000)}),
    ):
        with pytest.raises(UsageError):
            chosen(codec, **more)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="can't hold"):
        chosen("av1", "yuv444p")


@pytest.mark.parametrize(
    ("codec", "size", "said"),
    [
        ("h264", (16384, 8192), "choose a smaller --to, or --codec hevc or av1 or prores or ffv1"),
        ("hevc", (16384, 9216), "choose a smaller --to, or --codec prores or ffv1"),
        ("prores", (16386, 1080), "choose a smaller --to, or --codec ffv1"),
        ("ffv1", (32770, 1080), "choose a smaller --to"),
        ("hevc", (48, 40), "use --codec h264 or av1 or prores or ffv1"),
    ],
)
def test_the_codecs_named_for_a_size_are_those_that_hold_it(
    codec: str, size: tuple[int, int], said: str
) -> None:
    """Case 67."""
    with pytest.raises(UsageError) as caught:
        chosen(codec, size=size)
    assert str(caught.value).endswith(f"{size[0]}x{size[1]}; {said}")


def test_an_encoder_is_proven_by_opening_it() -> None:
    encoder = chosen("h264", options={"tune": "nonsense"})
    with pytest.raises(UsageError, match="refuses.*nonsense"):
        try_encoder(encoder, TAGS)
    try_encoder(chosen("h264"), TAGS)


def test_an_option_of_the_user_s_joins_ours() -> None:
    found = chosen("hevc", options={"x265-params": "ref=2", "tune": "grain"}).options
    assert found["x265-params"].endswith(":ref=2")
    assert "open-gop=0" in found["x265-params"]
    assert found["tune"] == "grain"


@pytest.mark.parametrize(
    ("size", "preset", "held"),
    [
        ((1280, 720), "fast", "frame-threads=3"),
        ((3840, 2160), "fast", "frame-threads=2"),
        ((7680, 4320), "fast", "frame-threads=1:rc-lookahead=10"),
        ((7680, 4320), "draft", "frame-threads=1:rc-lookahead=5"),
    ],
)
def test_x265_holds_fewer_frames_the_larger_they_are(size: tuple[int, int], preset: str, held: str) -> None:
    """And never more than a preset asks for: ultrafast, behind draft, looks five frames ahead."""
    assert chosen("hevc", size=size, preset=preset).options["x265-params"].endswith(f":{held}")


def test_hevc_is_tagged_hvc1_in_mp4_and_mov() -> None:
    """Case 28."""
    assert [chosen("hevc", container=c).tag for c in ("mp4", "mov", "matroska")] == ["hvc1", "hvc1", ""]


@pytest.mark.parametrize("size", [(853, 479), (1, 1), (33, 17), (1919, 1079)])
def test_ffv1_opens_at_odd_sizes(size: tuple[int, int]) -> None:
    """Case 66."""
    try_encoder(chosen("ffv1", size=size), TAGS)


def test_quality_that_a_preset_promises_reaches_the_encoder() -> None:
    """JPEG at quantiser 2, and ProRes for an archive: their options are words that the encoders know."""
    noise = np.random.default_rng(0).integers(0, 256, (96, 128), dtype=np.uint8)
    jpeg = choose_encoder(
        EncodeSettings(), PixelFormat.parse("yuv444p"), EncoderTarget(128, 96, "image2", "jpg")
    )
    made = encode_chunk(
        [Frame(0, [noise, *(np.full((96, 128), 128, np.uint8) for _ in range(2))])],
        0, jpeg, time_base=Fraction(1, 25), rate=Fraction(25), sar=Fraction(1), color=TAGS,
    )  # fmt: skip
    with av.open(io.BytesIO(made.data)) as container:
        seen = next(container.decode(video=0)).to_ndarray()[0]
    assert np.abs(seen.astype(int) - noise).mean() < 3
    sizes = [
        len(
            chunk(
                chosen("prores", "yuv422p10le", container="mov", preset=preset, size=(128, 96)), count=2
            ).data
        )
        for preset in ("draft", "archive")
    ]  # type: ignore[attr-defined]
    assert sizes[1] > sizes[0]
    try_encoder(chosen("prores", container="mov", preset="archive"), TAGS)
    try_encoder(jpeg, TAGS)


def test_x264_makes_the_same_bytes_whatever_is_in_unset_memory(tmp_path: Path) -> None:
    """Case 1: 20 macroblocks a row, which x264's AVX-512 code does not divide into whole steps."""
    source = media.cfr(tmp_path / "in.mp4", frames=24, size=(160, 96))
    made = []
    for byte in ("37", "74"):
        output = tmp_path / f"{byte}.mp4"
        done = vsr(
            "run", source, "-o", output, "--scale", "2", "--model", "lanczos", "--codec", "h264",
            "--device", "cpu", MALLOC_PERTURB_=byte,
        )  # fmt: skip
        assert done.code == 0, done.err
        made.append(output.read_bytes())
    assert made[0] == made[1]
