"""HDR: PQ and HLG are kept with all their metadata.

What can't be kept is reported before work starts. Cases 35 to 37.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import MediaError, UsageError, VerificationError
from pipelines.media.cicp import ColorTags, HdrMetadata
from pipelines.media.hdr_metadata import encoder_options, equal_within_units, static_metadata
from pipelines.media.pixel_format import PixelFormat
from pipelines.output import verification
from pipelines.planner import container_choice
from pipelines.probe.probe import probe
from tests import media
from tests.helpers.inline import finished_of, planned_of, upscaled
from tests.helpers.view import decoded, frames

pytestmark = pytest.mark.usefixtures("inline")

METADATA = HdrMetadata(media.HDR_DISPLAY, media.HDR_LIGHT)


def test_metadata_is_read_in_the_units_of_hevc(tmp_path: Path) -> None:
    assert probe(media.hdr10(tmp_path / "in.mkv")).hdr == METADATA


def test_hdr_metadata_is_written_in_the_option_syntax_of_each_encoder() -> None:
    assert encoder_options(METADATA, "libx265") == {
        "x265-params": "hdr10=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"
    }
    assert encoder_options(METADATA, "libsvtav1") == {
        "svtav1-params": "mastering-display=G(0.265,0.69)B(0.15,0.06)R(0.68,0.32)WP(0.3127,0.329)L(1000,0.005):content-light=1000,400"
    }
    assert encoder_options(HdrMetadata(light=(600, 0)), "libx264") == {"x264-params": "cll=600,0"}
    assert encoder_options(HdrMetadata(), "libx265") == encoder_options(METADATA, "ffv1") == {}


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ("hevc", ".mkv"),
        ("hevc", ".mp4"),
        ("h264", ".mp4"),
        ("av1", ".mkv"),
        ("av1", ".mp4"),
        ("ffv1", ".mkv"),
        ("prores", ".mov"),
    ],
)
def test_hdr10_keeps_its_tags_depth_and_metadata_in_every_chunk(
    tmp_path: Path, codec: str, suffix: str
) -> None:
    """Case 35."""
    source, output = media.hdr10(tmp_path / "in.mkv"), tmp_path / f"out{suffix}"
    made = upscaled(
        source, output, codec=codec, chunk_seconds=0.25, preset="draft" if codec != "ffv1" else "balanced"
    )
    chunks = planned_of(made).plan.chunks
    assert len(chunks) > 1
    assert finished_of(made)
    shown = decoded(output)
    assert len(shown) == 16
    for chunk in chunks:
        first = shown[chunk.start_frame]
        assert equal_within_units(static_metadata(first), METADATA)
        assert (int(first.colorspace), int(first.color_primaries), int(first.color_trc)) == (9, 9, 16)
        assert first.format.components[0].bits >= 10
    written = output.read_bytes()
    assert (b"mdcv" in written and b"clli" in written) if suffix != ".mkv" else b"\x55\xd0" in written


def test_a_result_that_lost_its_metadata_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = media.hdr10(tmp_path / "in.mkv")
    monkeypatch.setattr(verification, "static_metadata", lambda _: HdrMetadata())
    with pytest.raises(
        UsageError, match="the result can't be made: HDR metadata"
    ):  # by the trial before work
        upscaled(source, tmp_path / "out.mkv")
    monkeypatch.setattr(container_choice, "tracks_that_fail", lambda *_, **__: [])
    with pytest.raises(VerificationError, match="HDR metadata"):
        upscaled(source, tmp_path / "out.mkv")


def test_hlg_stays_hlg(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    upscaled(media.hdr10(tmp_path / "in.mp4", transfer=18), output, codec="hevc", preset="draft")
    found = frames(output)
    assert {f.tags for f in found} == {(9, 1, 9, 18)}
    assert {f.format for f in found} == {"yuv420p10le"}


@pytest.mark.parametrize("transfer", [16, 18])
def test_pq_and_hlg_are_never_brought_down_to_eight_bits(tmp_path: Path, transfer: int) -> None:
    """Case 37."""
    source = media.hdr10(tmp_path / "in.mkv", transfer=transfer)
    with pytest.raises(UsageError, match="HDR needs 10 bits"):
        upscaled(source, tmp_path / "out.mkv", codec="h264", pixel_format="yuv420p")
    assert not (tmp_path / "out.mkv").exists()


@pytest.mark.parametrize(
    ("codec", "expected"), [("hevc", "yuv420p10le"), ("h264", "yuv420p10le"), ("ffv1", "yuv420p10le")]
)
def test_pq_of_eight_bits_leaves_in_ten(tmp_path: Path, codec: str, expected: str) -> None:
    source = media.cfr(tmp_path / "in.mp4", frames=4, size=(80, 64), tags=(9, 1, 9, 16))
    upscaled(source, tmp_path / "out.mkv", codec=codec)
    (format_,) = {f.format for f in frames(tmp_path / "out.mkv")}
    assert format_ == expected
    assert PixelFormat.parse(format_).bits == 10


def test_pq_without_other_tags_is_taken_for_bt_2020() -> None:
    from pipelines.plan.color_tags import resolve_tags

    found, assumed = resolve_tags(
        ColorTags(transfer=16), PixelFormat.parse("yuv420p10le"), height=1080, codec="hevc"
    )
    assert (found.matrix, found.primaries) == (9, 9)
    assert any("BT2020" in a for a in assumed)


def test_dolby_vision_without_a_base_layer_is_refused(tmp_path: Path) -> None:
    """Case 36."""
    with pytest.raises(MediaError, match="Dolby Vision without a base layer") as found:
        probe(media.hdr10(tmp_path / "in.mkv", suffix=media.dolby_vision_unit(5)))
    assert found.value.exit_code == 3


def test_dolby_vision_without_a_base_layer_is_refused_where_ffmpeg_does_not_know_it(tmp_path: Path) -> None:
    """Case 36: it reads RPUs of AV1 only where a container says that there are some; and later in a film nobody looks."""
    source = media.messages_av1(tmp_path / "a.mkv", lambda n: media.dolby_vision_message(n, profile=5))
    late = media.hdr10(
        tmp_path / "b.mkv",
        suffix=lambda n: media.dolby_vision_unit(5, n) if n > 11 else b"",
        options={"x265-params": "keyint=4:min-keyint=4"},
    )
    for film in (source, late):
        with pytest.raises(MediaError, match="Dolby Vision without a base layer"):
            probe(film)
