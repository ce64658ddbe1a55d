"""Files that are cut short, or broken on the way. Cases 63, 65."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.errors import CorruptError, MediaError
from pipelines.media.container_check import flaw_of
from pipelines.media.demuxer import open_source
from pipelines.probe.probe import probe
from tests import media
from tests.helpers.inline import finished_of, upscaled
from tests.helpers.view import frames

SOUND = (media.Audio(seconds=2.0),)


def _whole(path: Path, **film: object) -> Path:
    """A film of two seconds with sound, its index in front where the container has one."""
    front = {"movflags": "faststart"} if path.suffix in {".mp4", ".mov"} else None
    return media.write(path, media.Film(frames=48, gop=12, **film), audio=SOUND, muxer_options=front)  # type: ignore[arg-type]


def _flaw(path: Path) -> str:
    with open_source(path) as container:
        flaw = flaw_of(path, container.format.name)
    return "" if flaw is None else flaw.text


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("share", [0.5, 0.97])
@pytest.mark.parametrize("suffix", ["mkv", "mp4", "ts", "avi", "flv"])
def test_a_film_that_is_cut_short_is_refused_or_upscaled_as_far_as_it_goes(tmp_path: Path, suffix: str, share: float) -> None:
    """Case 63: seen before work starts by the container's own lengths; exit 4, and with --on-corrupt conceal what is there, reported."""
    whole = _whole(tmp_path / f"whole.{suffix}", b_frames=0) if suffix in {"avi", "flv"} else _whole(tmp_path / f"whole.{suffix}")
    assert probe(whole).flaw == ""
    content = whole.read_bytes()
    cut = tmp_path / f"cut.{suffix}"
    with open_source(whole) as container:
        end = max(p.pos + p.size for p in container.demux(video=0) if p.size)
    cut.write_bytes(content[: round(share * end) // 188 * 188 + 100])
    info = probe(cut)
    assert "ends early" in info.flaw
    assert 48 * share * 0.8 < info.frame_count <= 48 * share + 2
    with pytest.raises(CorruptError, match=r"cut\.[a-z0-9]+: ends early.*--on-corrupt conceal") as raised:
        upscaled(cut, tmp_path / "out.mkv")
    assert raised.value.exit_code == 4
    done = finished_of(upscaled(cut, tmp_path / "out.mkv", on_corrupt="conceal"))
    assert "ends early" in str(done.report["flaw"])
    assert len(frames(tmp_path / "out.mkv")) == info.frame_count


def test_what_is_cut_off_behind_the_film_is_no_loss(tmp_path: Path) -> None:
    """Case 63: an index at the end of a Matroska file, padding at the end of an MP4."""
    matroska = _whole(tmp_path / "film.mkv")
    matroska.write_bytes(matroska.read_bytes()[:-12])
    assert "ends early" in _flaw(matroska)
    assert probe(matroska).flaw == ""
    mp4 = _whole(tmp_path / "film.mp4")
    mp4.write_bytes(mp4.read_bytes() + (1000).to_bytes(4, "big") + b"free" + bytes(8))
    assert "ends early" in _flaw(mp4)
    assert probe(mp4).flaw == ""


@pytest.mark.parametrize(
    "behind", [bytes(7), b"\0\0\0\2&", b"\0\0\0\7" + bytes(100), b"\0\0\0\5" * 300, b"\xff" * 40, b"8db42d694ccc418790edff439fe026bf"]
)
def test_what_a_camera_writes_behind_the_last_box_is_no_damage(tmp_path: Path, behind: bytes) -> None:
    """Case 63: whatever its first word happens to be. Behind a fragment another one may have followed."""
    film = _whole(tmp_path / "film.mp4")
    whole = film.read_bytes()
    film.write_bytes(whole + behind)
    info = probe(film)
    assert (info.flaw, info.frame_count) == ("", 48)
    if len(behind) >= 8 and 2 <= int.from_bytes(behind[:4], "big") < 8:
        fragments = media.write(tmp_path / "fragments.mp4", media.Film(frames=48, gop=12), muxer_options={"movflags": "frag_keyframe+empty_moov"})
        fragments.write_bytes(fragments.read_bytes() + behind)
        assert "broken at byte" in probe(fragments).flaw


@pytest.mark.parametrize("suffix", ["mkv", "flv", "ts"])
def test_a_hole_in_the_middle_is_noticed(tmp_path: Path, suffix: str) -> None:
    """Case 65: demuxers look for the next thing they know behind a hole, and say nothing; packets would be lost in silence."""
    film = _whole(tmp_path / f"film.{suffix}", b_frames=0)
    content = film.read_bytes()
    middle = len(content) // 2
    film.write_bytes(content[:middle] + content[middle + 6 * 188 + 77 :])
    info = probe(film)
    assert info.flaw
    assert info.frame_count < 48


def test_a_flipped_bit_under_a_checksum_is_noticed(tmp_path: Path) -> None:
    """Case 65: the decoder itself would not notice such a bit of sound, or of the times of a packet."""
    film = _whole(tmp_path / "film.mkv")
    content = bytearray(film.read_bytes())
    content[len(content) // 2] ^= 1
    film.write_bytes(content)
    assert "checksum" in probe(film).flaw


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize(("codec", "suffix"), [("libx264", "mp4"), ("libx265", "mp4"), ("mpeg2video", "mp4"), ("mpeg4", "avi")])
def test_flipped_bits_are_named_by_frame_or_concealed_with_every_frame_kept(tmp_path: Path, codec: str, suffix: str) -> None:
    """Case 65: exit 4 with the numbers of the damaged frames; with --on-corrupt conceal all frames are there, and the report counts them."""
    source = media.cfr(tmp_path / f"in.{suffix}", frames=48, codec=codec, gop=12, b_frames=0 if codec == "mpeg4" else 2)
    expected = probe(source).frame_count
    content = bytearray(source.read_bytes())
    rng = np.random.default_rng(7)
    packets = []
    with open_source(source) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    for at, size in packets[13:30]:
        # The entropy decoder of HEVC reads on whatever it gets; a slice's header is what it can't do without.
        span = (at + 6, at + 9) if codec == "libx265" else (at + size // 2, at + size)
        for place in rng.integers(*span, 4):
            content[place] ^= 1 << int(rng.integers(8))
    source.write_bytes(content)
    with pytest.raises(CorruptError, match=r"in\.[a-z0-9]+: .*(frames? \d+|at pts \d+|packets of its video)") as raised:
        upscaled(source, tmp_path / "out.mkv")
    assert raised.value.exit_code == 4
    report = finished_of(upscaled(source, tmp_path / "out.mkv", on_corrupt="conceal")).report
    assert report["concealed"]
    assert len(frames(tmp_path / "out.mkv")) == expected == 48


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_recording_that_ended_before_its_index_is_named_as_such_with_what_helps(tmp_path: Path, suffix: str) -> None:
    whole = media.cfr(tmp_path / f"whole{suffix}", frames=12)
    data = whole.read_bytes()
    (tmp_path / f"cut{suffix}").write_bytes(data[: data.index(b"moov") - 4])
    with pytest.raises(MediaError, match=r"cut off before its index \(no moov box\).*untrunc.*Hybrid MP4 or MKV"):
        probe(tmp_path / f"cut{suffix}")
    (tmp_path / "text.mp4").write_text("no film at all, but some text")
    with pytest.raises(MediaError, match="is not a video file we can open"):
        probe(tmp_path / "text.mp4")
