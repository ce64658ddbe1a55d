"""Films that can't be decoded without a key, in every container that says so."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import pytest

from models.errors import MediaError, UsageError
from pipelines.probe.probe import probe
from tests import media
from tests.helpers.inline import H264, QUICK, planned_of, upscaled
from tests.helpers.matroska_encodings import compressed, encrypted, stripped
from tests.helpers.view import view

pytestmark = pytest.mark.usefixtures("inline")

_KEY = "76a6c65c5ea762046bd749a2e632ccbb"
_COMMON_ENCRYPTION = {
    "encryption_scheme": "cenc-aes-ctr",
    "encryption_key": _KEY,
    "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
}
_FILM = media.Film(frames=24, rate=Fraction(25))
_SOUND = (media.Audio(seconds=0.9), media.Audio("ac3", seconds=0.9))


@pytest.mark.parametrize("fragments", ["", "frag_keyframe+empty_moov"])
def test_an_encrypted_film_is_refused_with_what_decrypts_it(tmp_path: Path, fragments: str) -> None:
    """Case 64."""
    options = {**_COMMON_ENCRYPTION, **({"movflags": fragments} if fragments else {})}
    source = media.write(tmp_path / "in.mp4", _FILM, audio=_SOUND[:1], muxer_options=options)
    with pytest.raises(
        MediaError, match=r"its video is encrypted.*`ffmpeg -decryption_key KEY -i IN.mp4 -c copy"
    ):
        probe(source)
    way = ["-decryption_key", _KEY, "-i", str(source), "-c", "copy", str(tmp_path / "plain.mp4")]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *way], check=True)
    assert probe(tmp_path / "plain.mp4").frame_count == 24


def test_a_film_of_another_scheme_is_refused_as_well(tmp_path: Path) -> None:
    """Case 64: FairPlay has names of its own; in Matroska the track says it."""
    bought = media.write(tmp_path / "in.m4v", _FILM, container="mp4")
    bought.write_bytes(bought.read_bytes().replace(b"avc1", b"drmi"))
    webm = encrypted(tmp_path / "in.mkv", media.write(tmp_path / "plain.mkv", _FILM))
    for source in (bought, webm):
        with pytest.raises(MediaError, match="its video is encrypted"):
            probe(source)


def test_a_scrambled_broadcast_is_called_so(tmp_path: Path) -> None:
    """Case 64: FFmpeg finds no packets in what is scrambled."""
    source = media.write(
        tmp_path / "in.ts", _FILM, audio=(media.Audio("mp2", seconds=0.9),), container="mpegts"
    )
    data = bytearray(source.read_bytes())
    for at in range(0, len(data), 188):
        if int.from_bytes(data[at + 1 : at + 3], "big") & 0x1FFF == 0x100:
            data[at + 3] |= 0x80
            begin = at + (5 + data[at + 4] if data[at + 3] & 0x20 else 4)
            data[begin : at + 188] = bytes(byte ^ 0xA5 for byte in data[begin : at + 188])
    source.write_bytes(data)
    with pytest.raises(MediaError, match="is scrambled"):
        probe(source)


def test_an_encrypted_track_next_to_the_film_is_refused_before_work_or_left_out(tmp_path: Path) -> None:
    """Case 23."""
    source = encrypted(tmp_path / "in.mkv", media.write(tmp_path / "plain.mkv", _FILM, audio=_SOUND), {3})
    with pytest.raises(UsageError, match=r"audio stream 2 \(ac3\): it is encrypted.*--drop-incompatible"):
        upscaled(source, tmp_path / "out.mkv", **QUICK)
    events = upscaled(source, tmp_path / "out.mkv", **QUICK, drop_incompatible=True)
    assert "audio stream 2 (ac3): it is encrypted" in planned_of(events).dropped[0]
    assert [track.codec for track in view(tmp_path / "out.mkv").of("audio")] == ["aac"]


@pytest.mark.parametrize("stored", [compressed, stripped])
def test_frames_that_matroska_stores_otherwise_are_those_of_the_film(tmp_path: Path, stored: object) -> None:
    """Case 21: mkvmerge leaves out first bytes that all frames share, and compresses subtitles."""
    plain = media.write(tmp_path / "plain.mkv", _FILM, audio=_SOUND, subtitles=(media.Subtitle(),))
    source = stored(tmp_path / "in.mkv", plain)  # type: ignore[operator]
    assert source.read_bytes() != plain.read_bytes()
    upscaled(source, tmp_path / "out.mkv", **QUICK)
    for kind in ("audio", "subtitle"):
        for before, after in zip(view(plain).of(kind), view(tmp_path / "out.mkv").of(kind), strict=True):
            assert after.payloads == before.payloads


def test_a_film_of_a_broadcast_server_is_read(tmp_path: Path) -> None:
    """Case 21: GXF (SMPTE ST 360)."""
    film = media.Film(frames=8, rate=Fraction(25), size=(720, 576), codec="mpeg2video", b_frames=0)
    source = media.write(tmp_path / "in.gxf", film, container="gxf")
    upscaled(source, tmp_path / "out.mp4", **H264)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert len(list(container.decode(video=0))) == 8
