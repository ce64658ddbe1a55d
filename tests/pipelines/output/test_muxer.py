"""The other tracks of a file, and the joining of chunks. Cases 16, 17, 21 to 29."""

from __future__ import annotations

import hashlib
import json
from array import array
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import UsageError, VerificationError
from pipelines.containers.container_support import incompatible_streams
from pipelines.media.demuxer import open_source
from pipelines.output import muxer
from pipelines.output.film_packets import decode_times
from pipelines.output.journal import work_folder
from pipelines.output.track_shift import start_shift
from pipelines.probe.probe import probe
from tests import media
from tests.helpers.inline import H264, QUICK, finished_of, planned_of, upscaled
from tests.helpers.sameness import assert_same_passthrough, assert_same_timing
from tests.helpers.view import decoded, frames, planes, view

HEVC = {**H264, "codec": "hevc"}
CUT = {"chunk_seconds": 0.4}


# --- decode times


@st.composite
def _chunks(draw: st.DrawFn) -> list[list[int]]:
    """Chunks of ascending times with reordered packets, spaced very differently."""
    now, chunks = draw(st.integers(-1000, 1000)), []
    for _ in range(draw(st.integers(1, 5))):
        step = draw(st.sampled_from([1, 10, 900, 45000]))
        shown = []
        for _ in range(draw(st.integers(1, 9))):
            now += draw(st.integers(1, step))
            shown.append(now)
        # Decode order: a picture may come up to three places before the ones it is shown behind.
        order = sorted(range(len(shown)), key=lambda i: (i - draw(st.integers(0, 3)) * (i % 3 == 0), i))
        chunks.append([shown[i] for i in order])
    return chunks


@given(_chunks())
@settings(max_examples=200, deadline=None)
def test_decode_times_ascend_and_come_before_showing_whatever_the_spacing(chunks: list[list[int]]) -> None:
    """Case 16."""
    shown, lead = decode_times(chunks)
    decoded_order = [p for chunk in chunks for p in chunk]
    assert shown.tolist() == sorted(decoded_order)
    for number in range(lead, len(shown)):
        assert shown[number - lead] <= decoded_order[number]


def test_decode_times_of_pictures_in_order_need_no_lead() -> None:
    shown, lead = decode_times([[0, 1, 2], [3, 9]])
    assert (shown.tolist(), lead) == ([0, 1, 2, 3, 9], 0)


def test_decode_times_lead_by_the_deepest_reordering_of_any_chunk() -> None:
    assert decode_times([[0, 1, 2], [3, 9, 5, 7]])[1] == 1
    assert decode_times([[0, 1, 2], [3, 9, 7, 5]])[1] == 2


# --- chunks that do not fit together


@pytest.mark.usefixtures("inline")
def test_a_chunk_with_another_header_is_noticed_before_anything_is_muxed(tmp_path: Path) -> None:
    """Case 17."""
    source = media.cfr(tmp_path / "in.mp4", frames=36)
    output = tmp_path / "out.mp4"
    with pytest.raises(VerificationError, match="different headers"):
        upscaled(source, output, worker="tests.pipelines.pool.failing_workers:OtherHeader", **{**H264, **CUT})
    assert not output.exists()
    assert not (work_folder(output) / "result").exists()


# --- passthrough


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_every_other_track_comes_through_bit_for_bit_with_its_tags(tmp_path: Path, suffix: str) -> None:
    """Case 21."""
    source = media.company(tmp_path / f"in{suffix}")
    output = tmp_path / f"out{suffix}"
    upscaled(source, output, **{**HEVC, **CUT})
    before, after = view(source), view(output)
    assert_same_passthrough(after, before)
    assert len(after.of("audio")) == 2
    assert len(after.of("subtitle")) == (3 if suffix == ".mkv" else 2)
    assert [t.metadata["language"] for t in after.of("audio")] == ["eng", "ger"]
    assert after.chapters == before.chapters
    assert [c[2] for c in after.chapters] == ["Prolog", "Rest"]
    assert after.metadata["title"] == "Ein Film"
    assert after.metadata.get("comment", after.metadata.get("COMMENT")) == "für Tests"
    for kind in ("audio", "subtitle"):
        for a, b in zip(after.of(kind), before.of(kind), strict=True):
            assert a.pts == b.pts, kind
    if suffix == ".mkv":
        assert _attachments(output) == _attachments(source)
        assert {name for name, _ in _attachments(output)} >= {"font.ttf"}
        (cover,) = [t for t in after.tracks if t.is_cover]
        (original,) = [t for t in before.tracks if t.is_cover]
        assert cover.payloads == original.payloads


def _attachments(path: Path) -> list[tuple[str, str]]:
    with av.open(str(path)) as container:
        return [
            (s.metadata["filename"], hashlib.sha256(s.data).hexdigest())
            for s in container.streams
            if s.type == "attachment"
        ]


@pytest.mark.usefixtures("inline")
def test_the_priming_of_aac_stays_hidden_and_the_sound_decodes_to_the_same_samples(tmp_path: Path) -> None:
    """Case 22."""
    source = media.company(tmp_path / "in.mp4")
    output = tmp_path / "out.mp4"
    upscaled(source, output, **{**HEVC, **CUT})
    assert view(source).of("audio")[0].pts[0] == Fraction(-1024, 48000)
    assert view(output).of("audio")[0].pts[0] == Fraction(-1024, 48000)
    for path in (source, output):
        with av.open(str(path)) as container:
            assert next(p for p in container.demux(audio=0)).is_discard
    assert _samples(output) == _samples(source)


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("sar", [Fraction(1), Fraction(12, 11)])
def test_sound_that_an_edit_list_hides_before_0_keeps_its_time_in_matroska(
    tmp_path: Path, sar: Fraction
) -> None:
    """Case 9: by the delay in its track's header, as where FFmpeg encodes AAC into Matroska."""
    source, output = media.company(tmp_path / "in.mp4", sar=sar), tmp_path / "out.mkv"
    events = upscaled(source, output, convert_subtitles=True, **{**HEVC, **CUT})
    assert finished_of(events).report["shift_seconds"] == 0
    before, after = view(source), view(output)
    assert before.of("audio")[0].pts[0] == Fraction(-1024, 48000)
    assert after.of("audio")[0].pts[0] == Fraction(-21, 1000)
    for kind in ("audio", "subtitle"):
        for a, b in zip(before.of(kind), after.of(kind), strict=True):
            assert all(abs(x - y) <= Fraction(1, 1000) for x, y in zip(a.pts, b.pts, strict=True)), kind
    for a, b in zip(frames(source), frames(output), strict=True):
        assert abs(a.seconds - b.seconds) <= Fraction(1, 2000)
    assert _chapter_starts(output) == _chapter_starts(source) == [0, Fraction(9, 10)]
    with av.open(str(output)) as container:
        assert [s.metadata["title"] for s in container.streams.audio] == ["Stereo", "Kommentar"]
    again = tmp_path / "again.mkv"
    upscaled(output, again, **QUICK)
    assert [t.pts for t in view(again).of("audio")] == [t.pts for t in after.of("audio")]


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_film_that_begins_before_0_moves_its_chapters_with_it(tmp_path: Path, suffix: str) -> None:
    """Case 9: for its first frames neither container has times."""
    source = media.company(tmp_path / "in.mp4")
    planned = planned_of(upscaled(source, tmp_path / f"out{suffix}", drop_incompatible=True, **HEVC))
    early = array("q", (pts - 1000 for pts in planned.info.pts))
    info = replace(planned.info, pts=early)
    shift = start_shift(planned.plan, info)
    assert shift == -1000 * info.time_base
    with open_source(str(source)) as container:
        chapters = muxer._chapters(container, planned.plan, info)
        starts = [c["start"] * c["time_base"] for c in chapters]
    assert all(
        abs(a - b + shift) <= Fraction(1, 2000) for a, b in zip(starts, (0, Fraction(9, 10)), strict=True)
    )


def _chapter_starts(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [c["start"] * c["time_base"] for c in container.chapters()]


def _samples(path: Path) -> list[tuple[float, str]]:
    with av.open(str(path)) as container:
        return [
            (float(f.pts * f.time_base), hashlib.sha256(f.to_ndarray().tobytes()).hexdigest())
            for f in container.decode(audio=0)
        ]


def test_what_mp4_can_t_hold_is_refused_before_work_starts_with_both_remedies(tmp_path: Path) -> None:
    """Case 23."""
    source = media.company(tmp_path / "in.mkv")
    with pytest.raises(UsageError, match=r"(?s)subtitle stream 3.*font\.ttf.*\.mkv.*--drop-incompatible"):
        upscaled(source, tmp_path / "out.mp4", **HEVC)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mkv"]


@pytest.mark.usefixtures("inline")
def test_what_mp4_can_t_hold_is_left_out_and_named_on_request(tmp_path: Path) -> None:
    """Case 23."""
    source = media.company(tmp_path / "in.mkv")
    output = tmp_path / "out.mp4"
    events = upscaled(source, output, drop_incompatible=True, **{**HEVC, **CUT})
    dropped = planned_of(events).dropped
    assert any("subtitle stream 3" in d for d in dropped)
    assert any("font.ttf" in d for d in dropped)
    assert json.loads((tmp_path / "out.mp4.vsr.json").read_text())["dropped"] == list(dropped)
    after = view(output)
    assert [t.payloads for t in after.of("audio")] == [t.payloads for t in view(source).of("audio")]
    assert not after.of("subtitle")


@pytest.mark.usefixtures("inline")
def test_cover_art_that_stands_first_is_not_taken_for_the_film(tmp_path: Path) -> None:
    """Case 24."""
    source = media.cover_first(tmp_path / "in.mp4")
    assert view(source).tracks[0].is_cover
    assert probe(source).stream_index == 1
    for suffix, more in ((".mp4", H264), (".mkv", {})):
        output = tmp_path / f"out{suffix}"
        upscaled(
            source,
            output,
            scale=2,
            model="nearest",
            **{k: v for k, v in more.items() if k not in {"scale", "model"}},
        )
        found = frames(output)
        assert len(found) == 16
        assert found[0].size == (128, 96)
        (cover,) = [t for t in view(output).tracks if t.is_cover]
        assert cover.payloads == [hashlib.sha256(media.jpeg()).hexdigest()]


def test_a_file_with_nothing_but_cover_art_has_no_film(tmp_path: Path) -> None:
    """Case 24."""
    from models.errors import MediaError

    path = tmp_path / "song.mkv"
    with av.open(str(path), "w") as output:
        output.add_attachment("cover.jpg", "image/jpeg", media.jpeg())
        track = output.add_stream("aac", rate=48000, layout="stereo")
        output.start_encoding()
        for packet in media._audio_packets(track, media.Audio(seconds=0.2)):
            output.mux(packet)
    with pytest.raises(MediaError, match="no video stream"):
        probe(path)


@pytest.mark.usefixtures("inline")
def test_sound_that_nobody_can_decode_is_passed_on(tmp_path: Path) -> None:
    """Case 25."""
    source = media.undecodable_audio(tmp_path / "in.mp4")
    with av.open(str(source)) as container:
        assert container.streams[1].codec_context is None
    output = tmp_path / "out.mp4"
    events = upscaled(source, output, **{**H264, **CUT})
    assert planned_of(events).dropped == ()
    assert_same_passthrough(output, source)


@pytest.mark.usefixtures("inline")
def test_a_timecode_track_is_passed_on_in_mov(tmp_path: Path) -> None:
    """Case 25."""
    source = media.timecode(tmp_path / "in.mov")
    before = view(source)
    assert [t.type for t in before.tracks].count("data") == 1
    moved = tmp_path / "out.mov"
    assert [s for s, _ in incompatible_streams(probe(source), "mov")] == []
    upscaled(source, moved, **{**H264, **CUT})
    assert [t.payloads for t in view(moved).of("data")] == [t.payloads for t in before.of("data")]


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_clip_comes_out_upright_without_the_tag(tmp_path: Path, degrees: int) -> None:
    """Case 26."""
    import numpy as np

    source = media.rotated(tmp_path / "in.mp4", degrees)
    output = tmp_path / "out.mkv"
    events = upscaled(source, output)
    assert any("rotation" in note for note in planned_of(events).info.notes)
    found = decoded(output)
    assert (found[0].width, found[0].height) == ((48, 64) if degrees != 180 else (64, 48))
    assert found[0].rotation == 0
    for before, after in zip(decoded(source), found, strict=True):
        (luma, *chroma), (stored, *stored_chroma) = planes(after), planes(before)
        assert np.array_equal(luma, np.rot90(stored, -degrees // 90)), (
            "turned clockwise, as a player would show it"
        )
        for a, b in zip(
            chroma, stored_chroma, strict=True
        ):  # its samples lie left of luma's again, where they lay on another side
            assert np.abs(a.astype(int) - np.rot90(b, -degrees // 90)).mean() < 4


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_sample_aspect_ratio_is_kept(tmp_path: Path, suffix: str) -> None:
    """Case 27."""
    source = media.cfr(tmp_path / f"in{suffix}", sar=Fraction(16, 15))
    output = tmp_path / f"out{suffix}"
    upscaled(source, output, **{**H264, "scale": 2, "model": "nearest"})
    with av.open(str(output)) as container:
        film = container.streams.video[0]
        assert film.sample_aspect_ratio == Fraction(16, 15)
        assert (film.width, film.height) == (128, 96)
        assert film.display_aspect_ratio == Fraction(64, 48) * Fraction(16, 15)


@pytest.mark.usefixtures("inline")
def test_hevc_in_mp4_is_hvc1_and_carries_its_colour(tmp_path: Path) -> None:
    """Case 28."""
    source = media.cfr(tmp_path / "in.mp4", tags=(5, 2, 5, 6))
    output = tmp_path / "out.mp4"
    upscaled(source, output, **{**HEVC, **CUT})
    with av.open(str(output)) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"
    content = output.read_bytes()
    at = content.find(b"colrnclx")
    assert at > 0, "the container says nothing of colour"
    assert content[at + 8 : at + 15] == bytes([0, 5, 0, 6, 0, 5, 0x80])
    assert {f.tags for f in frames(output)} == {(5, 2, 5, 6)}


@pytest.mark.usefixtures("inline")
def test_untagged_video_gets_the_stated_tags_and_says_so(tmp_path: Path) -> None:
    """Case 28: up to 576 lines BT.601."""
    source = media.cfr(tmp_path / "in.mp4", tags=(2, 0, 2, 2))
    output = tmp_path / "out.mp4"
    events = upscaled(source, output, **H264)
    assert any("assumed matrix SMPTE170M" in note for note in planned_of(events).info.notes)
    assert {f.tags for f in frames(output)} == {(6, 1, 6, 1)}


@pytest.mark.usefixtures("inline")
def test_huge_and_broken_tags_do_no_harm(tmp_path: Path) -> None:
    """Case 29."""
    source = media.write(
        tmp_path / "in.mkv",
        media.Film(frames=12),
        audio=(media.Audio(seconds=0.4, title="\u202eעברית right to left"),),
        metadata={"COMMENT": "x" * 65536, "TITLE": "ä日本語\N{PILE OF POO}", "BROKEN": "@@@@"},
    )
    content = source.read_bytes()
    source.write_bytes(content.replace(b"@@@@", b"\xff\xfe\x80\xc3"))
    output = tmp_path / "out.mkv"
    upscaled(source, output, **CUT)
    after = view(output)
    assert after.metadata["COMMENT"] == "x" * 65536
    assert after.metadata["title"] == "ä日本語\N{PILE OF POO}"
    assert after.of("audio")[0].metadata["title"] == "\u202eעברית right to left"
    assert_same_timing(output, source)


@pytest.mark.usefixtures("inline")
def test_cover_art_is_kept_next_to_tags_that_mp4_has_no_place_for(tmp_path: Path) -> None:
    """Case 24: FFmpeg writes cover art beside iTunes tags, or tags of any name, not both."""
    source = media.write(
        tmp_path / "in.mkv",
        media.Film(frames=4, size=(64, 48)),
        attachments=(("cover.jpg", "image/jpeg", media.jpeg()),),
        metadata={"title": "kept", "mood": "calm"},
    )
    output = tmp_path / "out.mp4"
    events = upscaled(source, output, **H264)
    (cover,) = [t for t in view(output).tracks if t.is_cover]
    assert cover.payloads == [hashlib.sha256(media.jpeg()).hexdigest()]
    assert any("can't hold these tags: " in note and "calm" in note for note in planned_of(events).info.notes)
    with av.open(str(output)) as container:
        assert container.metadata["title"] == "kept"
