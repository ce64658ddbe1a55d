"""Files that were joined byte by byte are read as one film if they are one, and refused otherwise."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from models.errors import MediaError
from pipelines.probe.probe import probe
from tests import media
from tests.helpers.inline import upscaled
from tests.helpers.view import frames, view

_FIRST, _SECOND = 12, 9
_KINDS: dict[str, tuple[str, dict[str, object], dict[str, str]]] = {
    "WMV": ("wmv", {"codec": "wmv2", "b_frames": 0}, {}),
    "NUT": ("nut", {}, {}),
    "NUT of MPEG-4": ("nut", {"codec": "mpeg4", "b_frames": 0}, {}),
    "FLV": ("flv", {"b_frames": 0}, {}),
    "IVF": ("ivf", {"codec": "libvpx", "b_frames": 0}, {}),
    "Y4M": ("y4m", {"codec": "wrapped_avframe", "b_frames": 0}, {}),
    "animated PNG": ("apng", {"codec": "apng", "pix_fmt": "gray", "b_frames": 0}, {}),
    "WTV": ("wtv", {"codec": "mpeg2video", "rate": Fraction(25)}, {}),
    "MXF": ("mxf", {"codec": "mpeg2video", "rate": Fraction(25)}, {}),
    "fragments": ("mp4", {}, {"movflags": "frag_keyframe+empty_moov"}),
    "CMAF": ("mp4", {}, {"movflags": "cmaf"}),
    "other headers in Matroska": ("mkv", {}, {}),
    "other headers of sound in Matroska": ("mkv", {}, {}),
}


def _joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.mark.parametrize("kind", _KINDS)
def test_a_second_film_that_ffmpeg_does_not_read_is_refused_with_how_to_part_the_two(
    tmp_path: Path, kind: str
) -> None:
    """The demuxer ends behind the first film without a word, or returns garbage."""
    suffix, traits, muxer = _KINDS[kind]
    other = {"pix_fmt": "yuv444p"} if "other headers in" in kind else {}
    sounds = ("aac", "flac") if "sound" in kind else ("", "")
    first, second = (
        media.write(
            tmp_path / f"{frames}.{suffix}",
            media.Film(**{"frames": frames, "gop": 6, **traits, **more}),  # type: ignore[arg-type]
            audio=(media.Audio(codec=sound),) if sound else (),
            muxer_options=muxer or None,
        )
        for frames, more, sound in ((_FIRST, {}, sounds[0]), (_SECOND, other, sounds[1]))
    )
    size = first.stat().st_size
    both = _joined(tmp_path / f"both.{suffix}", first, second)
    with pytest.raises(MediaError) as refused:
        probe(both)
    ways = f"from byte {size} on, which is not read with it; make two files, by `head -c {size}` and"
    assert f"{ways} `tail -c +{size + 1}`" in str(refused.value)
    (tmp_path / f"tail.{suffix}").write_bytes(both.read_bytes()[size:])
    assert probe(first).frame_count == _FIRST
    assert probe(tmp_path / f"tail.{suffix}").frame_count == _SECOND


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("live", [False, True], ids=["lengths", "live"])
@pytest.mark.parametrize(
    ("suffix", "codec", "sound"),
    [("mkv", "libx264", "aac"), ("webm", "libvpx-vp9", "libopus"), ("mkv", "libx264", "flac")],
)
def test_matroska_joined_byte_by_byte_keeps_every_picture_with_its_sound(
    tmp_path: Path, suffix: str, codec: str, sound: str, *, live: bool
) -> None:
    """FFmpeg reads on behind the second header, where all times begin anew."""
    film = media.Film(frames=48, gop=12, codec=codec, b_frames=2 if codec == "libx264" else 0)
    parts = [
        media.write(
            tmp_path / f"{number}.{suffix}",
            media.with_film(film, first_number=number * 100),
            audio=(media.Audio(codec=sound, seconds=2.0),),
            muxer_options={"live": "1"} if live else None,
        )
        for number in range(2)
    ]
    both = _joined(tmp_path / f"both.{suffix}", *parts)
    upscaled(both, tmp_path / "out.mkv")
    assert not probe(both).flaw
    assert any("its clock jumps back 1 time;" in note for note in probe(both).notes)
    found = frames(tmp_path / "out.mkv")
    assert [f.digest for f in found] == [f.digest for part in parts for f in frames(part)]
    result, again = view(tmp_path / "out.mkv"), [view(part).of("audio")[0] for part in parts]
    (track,) = result.of("audio")
    assert track.payloads == [payload for part in again for payload in part.payloads]
    begins = found[48].seconds
    lag = [view(part).of("audio")[0].pts[0] - frames(part)[0].seconds for part in parts]
    assert abs(track.pts[len(again[0].pts)] - begins - lag[1]) < Fraction(3, 100)
    assert all(b >= a for a, b in zip(track.dts, track.dts[1:], strict=False))
    assert track.pts[-1] - begins > Fraction(19, 10)


def test_fragments_that_repeat_their_header_and_go_on_are_one_film(tmp_path: Path) -> None:
    """As downloaded from servers that send the header again."""
    film = media.Film(frames=24, gop=12, b_frames=0)
    whole = media.write(
        tmp_path / "whole.mp4", film, muxer_options={"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    )
    content = whole.read_bytes()
    places = {
        kind: [at for at, _, name in media.boxes(content) if name == kind] for kind in (b"moof", b"moov")
    }
    head, second = places[b"moof"][0], places[b"moof"][1]
    again = tmp_path / "again.mp4"
    again.write_bytes(content[:second] + content[:head] + content[second:])
    assert probe(again).frame_count == 24
    assert [f.digest for f in frames(again)] == [f.digest for f in frames(whole)]
