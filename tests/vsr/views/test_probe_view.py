"""The text that `vsr probe` prints is understandable without a manual."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from pipelines.media.pixel_format import Orientation
from pipelines.probe.probe import probe
from tests import media
from vsr.views.probe_view import info_text


def test_a_film_is_described_without_words_that_only_experts_know(tmp_path: Path) -> None:
    """Square pixels and an unknown language are worth no word."""
    film = media.Film(frames=3, rate=Fraction(25))
    info = probe(media.write(tmp_path / "film.mp4", film, audio=(media.Audio(language="und"),)))
    text = info_text(info)
    assert "h264 64x48, 25 fps, 8 bits 4:2:0 (yuv420p)" in text
    assert "3 in 0.120 s; time base" in text
    assert "SAR" not in text
    assert "und" not in text.splitlines()[-1]
    wide = info_text(replace(info, sar=Fraction(64, 45), pix_fmt="yuv422p10le", rate=Fraction(24000, 1001)))
    assert "pixels not square (SAR 64:45), 23.976 fps, 10 bits 4:2:2 (yuv422p10le)" in wide


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        (Orientation(), ""),
        (Orientation(transpose=True, flip_x=True), "a quarter to the right"),
        (Orientation(transpose=True, flip_y=True), "a quarter to the left"),
        (Orientation(flip_x=True, flip_y=True), "upside down"),
        (Orientation(flip_x=True), "mirrored"),
        (Orientation(transpose=True), "a quarter, and mirrored,"),
    ],
)
def test_a_photo_has_no_rate_and_says_how_it_is_turned(tmp_path: Path, turn: Orientation, said: str) -> None:
    photo = tmp_path / "photo.jpg"
    media.write(photo, media.Film(frames=1, codec="mjpeg", pix_fmt="yuvj420p"))
    text = info_text(replace(probe(photo), orientation=turn))
    assert "picture   mjpeg 64x48, 8 bits 4:2:0" in text
    assert not re.search(r"fps|frames|time base", text)
    assert (f"turned    {said} when it is shown" in text) == bool(said)
    assert ("turned" in text) == bool(said)


def test_colour_is_named_once_where_it_is_of_one_standard(tmp_path: Path) -> None:
    info = probe(media.cfr(tmp_path / "film.mp4", frames=3))
    one = replace(info, color=replace(info.color, matrix=1, primaries=1, transfer=1))
    assert "colour    BT709, limited range, chroma sited left" in info_text(one)
    mixed = replace(info, color=replace(info.color, matrix=6, primaries=1, transfer=1))
    assert "matrix SMPTE170M, primaries BT709, transfer BT709, limited range" in info_text(mixed)


def test_tracks_of_mp4_have_their_titles_and_chapters_are_no_track(tmp_path: Path) -> None:
    text = info_text(probe(media.company(tmp_path / "film.mp4", frames=24)))
    assert 'audio     aac eng "Stereo"' in text
    assert 'subtitle  mov_text eng "Full"' in text
    assert "chapters  2" in text
    assert "data" not in text
