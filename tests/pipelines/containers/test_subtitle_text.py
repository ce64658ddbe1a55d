"""Subtitles that MP4 and MOV can't hold become plain timed text if requested. Case 23."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from models.errors import UsageError
from pipelines.containers.subtitle_text import ConsecutiveEvents, coded_text, plain_text
from tests import media
from tests.helpers.inline import finished_of, planned_of, upscaled


def shown(path: Path, number: int) -> list[tuple[float, float, str]]:
    """(from, to, text) of the events of a track of subtitles, in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[number]
        assert stream.codec_context.name == "mov_text"
        packets = [p for p in container.demux(stream) if p.size > 2]
    return [
        (
            round(float(p.pts * p.time_base), 3),
            round(float((p.pts + p.duration) * p.time_base), 3),
            bytes(p)[2 : 2 + bytes(p)[1]].decode(),
        )
        for p in packets
        if p.pts is not None
    ]


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_subrip_and_ass_become_text_with_their_times_and_that_is_said(tmp_path: Path, suffix: str) -> None:
    one = media.Subtitle(
        events=((100, 300, "<i>one</i>"), (500, 300, "zwei\nZeilen \u00fc")), language="eng", title="Full"
    )
    two = media.Subtitle(
        codec="ass",
        events=(
            (200, 400, r"{\an8\b1}above\Nbelow, and more"),
            (400, 300, "both"),
            (450, 100, r"{\p1}m 0 0 l 9 9"),
        ),
        language="ger",
    )
    source = media.write(tmp_path / "in.mkv", media.Film(frames=24, rate=Fraction(24)), subtitles=(one, two))
    output = tmp_path / f"out.{suffix}"
    with pytest.raises(
        UsageError,
        match="make plain text of them with --convert-subtitles, or leave them out with --drop-incompatible",
    ):
        upscaled(source, output, codec="h264")
    events = upscaled(source, output, codec="h264", convert_subtitles=True)
    assert shown(output, 0) == [(0.1, 0.4, "one"), (0.5, 0.8, "zwei\nZeilen \u00fc")]
    assert shown(output, 1) == [
        (0.2, 0.4, "above\nbelow, and more"),
        (0.4, 0.6, "above\nbelow, and more\nboth"),
        (0.6, 0.7, "both"),
    ]
    notes = planned_of(events).info.notes
    assert "subtitle stream 1 (srt) becomes mov_text, plain text" in notes
    assert any(
        n.startswith("subtitle stream 2 (ssa) becomes mov_text")
        and "fonts, colours, positions and drawings are lost" in n
        for n in notes
    )
    assert planned_of(events).dropped == ()
    assert "2 subtitle tracks" in finished_of(events).kept
    with av.open(str(output)) as container:
        assert [s.metadata["language"] for s in container.streams.subtitles] == ["eng", "ger"]
        assert all(len(s.codec_context.extradata or b"") >= 40 for s in container.streams.subtitles)


@pytest.mark.usefixtures("inline")
def test_a_part_of_a_film_has_the_subtitles_of_that_part(tmp_path: Path) -> None:
    source = media.write(
        tmp_path / "in.mkv", media.Film(frames=24, rate=Fraction(24)), subtitles=(media.Subtitle(),)
    )
    upscaled(source, tmp_path / "out.mp4", codec="h264", convert_subtitles=True, range="0.25-0.75")
    assert shown(tmp_path / "out.mp4", 0) == [(0.0, 0.15, "one"), (0.25, 0.5, "two")]


@pytest.mark.usefixtures("inline")
def test_where_they_can_be_kept_they_stay_what_they_are(tmp_path: Path) -> None:
    source = media.write(tmp_path / "in.mkv", media.Film(frames=12), subtitles=(media.Subtitle(),))
    events = upscaled(source, tmp_path / "out.mkv", convert_subtitles=True)
    assert not any("mov_text" in n for n in planned_of(events).info.notes)
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert container.streams.subtitles[0].codec_context.name == "srt"


WEBVTT = media.Subtitle(codec="webvtt", events=((100, 300, "<v Ann>one</v> &amp; two"), (200, 400, "three")))


@pytest.mark.usefixtures("inline")
def test_webvtt_becomes_timed_text(tmp_path: Path) -> None:
    source = media.write(tmp_path / "in.mkv", media.Film(frames=24, rate=Fraction(24)), subtitles=(WEBVTT,))
    upscaled(source, tmp_path / "out.mp4", codec="h264", convert_subtitles=True)
    assert shown(tmp_path / "out.mp4", 0) == [
        (0.1, 0.2, "one & two"),
        (0.2, 0.4, "one & two\nthree"),
        (0.4, 0.6, "three"),
    ]


def text_events(path: Path) -> tuple[str, list[tuple[int, int, bytes]]]:
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[0]
        return stream.codec_context.name, [
            (p.pts or 0, p.duration or 0, bytes(p)) for p in container.demux(stream) if p.size
        ]


@pytest.mark.usefixtures("inline")
def test_timed_text_becomes_subrip_in_matroska_and_webvtt_in_webm(tmp_path: Path) -> None:
    text = media.Subtitle(codec="mov_text", events=((100, 300, "a < b"), (500, 300, "two")))
    source = media.write(tmp_path / "in.mp4", media.Film(frames=24, rate=Fraction(24)), subtitles=(text,))
    with pytest.raises(UsageError, match="--convert-subtitles"):
        upscaled(source, tmp_path / "out.mkv", codec="h264")
    events = upscaled(source, tmp_path / "out.mkv", codec="h264", convert_subtitles=True)
    assert "subtitle stream 1 (mov_text) becomes subrip, plain text" in planned_of(events).info.notes
    assert text_events(tmp_path / "out.mkv") == ("srt", [(100, 300, b"a < b"), (500, 300, b"two")])
    upscaled(source, tmp_path / "out.webm", codec="av1", convert_subtitles=True)
    assert text_events(tmp_path / "out.webm") == ("webvtt", [(100, 300, b"a &lt; b"), (500, 300, b"two")])


@pytest.mark.usefixtures("inline")
def test_webvtt_by_matroska_s_own_name_which_ffmpeg_does_not_know_is_converted(tmp_path: Path) -> None:
    source = media.write(
        tmp_path / "in.mkv", media.Film(frames=24, rate=Fraction(24)), subtitles=(media.Subtitle(),)
    )
    # The same track under the longer name, in the place of its language, which is the default; a Void (0xEC) fills what is left.
    data = source.read_bytes()
    language, short = b'"\xb5\x9c\x83eng', b"\x86\x8bS_TEXT/UTF8"
    assert (data.count(language), data.count(short)) == (1, 1)
    source.write_bytes(data.replace(language, b"\xec\x83\0\0\0").replace(short, b"\x86\x8dS_TEXT/WEBVTT"))
    with pytest.raises(UsageError, match=r"S_TEXT/WEBVTT.*--convert-subtitles"):
        upscaled(source, tmp_path / "out.mkv")
    upscaled(source, tmp_path / "out.mkv", convert_subtitles=True)
    assert text_events(tmp_path / "out.mkv") == ("srt", [(100, 300, b"one"), (500, 300, b"two")])


@pytest.mark.parametrize(("codec", "data", "text"), [
    ("subrip", b'<font color="red">a</font> <b>b</b>\r\n{\\an8}c ', "a b\nc"),
    ("subrip", b"2 < 3, and 4 > 3", "2 < 3, and 4 > 3"),
    ("ass", b"7,0,Default,Name,0,0,0,,a, b{\\i1}c{\\i0}\\hx\\nd", "a, bc\u00a0x\nd"),
    ("ass", b"7,0,Default,,0,0,0,,{\\an7\\p1}m 0 0 l 10 0", ""),
    ("subrip", b"\xff\xfe broken", "\ufffd\ufffd broken"),
    ("subrip", b"up to the zero\0\0left over", "up to the zero"),
    ("webvtt", b"<v Ann>one</v> &amp; <c.red>two</c> &lt;x&gt;\n<00:00:01.500>three ", "one & two <x>\nthree"),
    ("S_TEXT/WEBVTT", b"<i>as in Matroska</i>\0", "as in Matroska"),
    ("mov_text", b"\0\5words\0\0\0\x16styl", "words"),
    ("mov_text", b"\0\6" + "\ufeff\u00fc!".encode("utf-16-be"), "\u00fc!"),
])  # fmt: skip
def test_the_words_are_what_is_left(codec: str, data: bytes, text: str) -> None:
    assert plain_text(codec, data) == text


def test_what_is_shown_at_once_is_one_sample_and_nothing_is_shown_twice() -> None:
    track = ConsecutiveEvents(Fraction(1, 1000))
    made = [
        e
        for event in ((0, 100, "a"), (50, 100, "b"), (50, 10, "c"), (300, 0, "d"), (400, 10, ""))
        for e in track.add(*event)
    ]
    made += track.rest()
    assert made == [(0, 50, "a"), (50, 10, "a\nb\nc"), (60, 40, "a\nb"), (100, 50, "b"), (300, 5000, "d")]


def test_a_text_too_long_for_a_sample_is_cut_between_letters() -> None:
    data = coded_text("\u00fc" * 40_000, "mov_text")
    assert len(data) == 2 + 65_534
    data[2:].decode()


@pytest.mark.usefixtures("inline")
def test_titles_of_chapters_are_no_subtitle_that_is_converted(tmp_path: Path) -> None:
    source = media.write(
        tmp_path / "in.mp4",
        media.Film(frames=24, rate=Fraction(24)),
        chapters=((0, 500, "one"), (500, 1000, "two")),
    )
    events = upscaled(source, tmp_path / "out.mp4", codec="h264")
    assert any(stream.type == "data" for stream in planned_of(events).info.streams)
    assert not [note for note in planned_of(events).info.notes if "becomes" in note]
