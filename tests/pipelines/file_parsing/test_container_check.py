"""Files that are truncated or damaged in the middle. Cases 63, 65."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from models.errors import CorruptError, MediaError
from pipelines.file_parsing.container_check import flaw_of
from pipelines.media.demuxer import open_source
from pipelines.planner.video_planner import plan_video
from pipelines.probe.probe import probe
from tests import media
from tests.helpers.inline import QUICK, finished_of, upscaled
from tests.helpers.view import frames
from vsr.api import run_settings

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
@pytest.mark.parametrize("suffix", ["mkv", "mp4", "avi", "flv"])
def test_a_film_that_is_cut_short_is_refused_or_upscaled_as_far_as_it_goes(
    tmp_path: Path, suffix: str, share: float
) -> None:
    """Case 63: seen before work starts by the container's own lengths.

    Exit 4, and with --on-corrupt conceal what is there, reported.
    """
    whole = (
        _whole(tmp_path / f"whole.{suffix}", b_frames=0)
        if suffix in {"avi", "flv"}
        else _whole(tmp_path / f"whole.{suffix}")
    )
    assert probe(whole).flaw == ""
    content = whole.read_bytes()
    cut = tmp_path / f"cut.{suffix}"
    with open_source(whole) as container:
        end = max(p.pos + p.size for p in container.demux(video=0) if p.size)
    cut.write_bytes(content[: round(share * end)])
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
    "behind",
    [
        bytes(7),
        b"\0\0\0\2&",
        b"\0\0\0\7" + bytes(100),
        b"\0\0\0\5" * 300,
        b"\xff" * 40,
        b"8db42d694ccc418790edff439fe026bf",
    ],
)
def test_what_a_camera_writes_behind_the_last_box_is_no_damage(tmp_path: Path, behind: bytes) -> None:
    """Case 63: whatever its first word happens to be. Behind a fragment another one may have followed."""
    film = _whole(tmp_path / "film.mp4")
    whole = film.read_bytes()
    film.write_bytes(whole + behind)
    info = probe(film)
    assert (info.flaw, info.frame_count) == ("", 48)
    if len(behind) >= 8 and 2 <= int.from_bytes(behind[:4], "big") < 8:
        fragments = media.write(
            tmp_path / "fragments.mp4",
            media.Film(frames=48, gop=12),
            muxer_options={"movflags": "frag_keyframe+empty_moov"},
        )
        fragments.write_bytes(fragments.read_bytes() + behind)
        assert "broken at byte" in probe(fragments).flaw


def _last_packet(path: Path) -> tuple[int, bool]:
    """(PID, whether it begins a picture or block of sound) of the last packet of a TS."""
    flags = int.from_bytes(path.read_bytes()[-187:-185], "big")
    return flags & 0x1FFF, bool(flags & 0x4000)


@pytest.mark.usefixtures("inline")
def test_a_recording_that_ends_inside_a_packet_of_sound_or_of_a_picture_not_begun_is_done(
    tmp_path: Path,
) -> None:
    """Case 63: all frames that had begun are whole, which the last frames are decoded for.

    What is cut is said.
    """
    whole = _whole(
        tmp_path / "whole.ts", codec="libx265"
    )  # of which no decoder says that a picture lacks its end
    content = whole.read_bytes()
    tried = set()
    for end in range(len(content), len(content) // 2, -188):
        cut = tmp_path / "cut.ts"
        cut.write_bytes(content[:end])
        pid, begins = _last_packet(cut)
        if pid not in {0x100, 0x101} or (pid, begins) in tried:
            continue
        tried.add((pid, begins))
        cut.write_bytes(content[: end - 88])
        info = probe(cut)
        if pid == 0x100 and not begins:
            assert "ends early: in the middle of a packet, 100 of 188 bytes are there" in info.flaw
            continue
        assert info.flaw == ""
        assert any("all frames that had begun are whole" in note for note in info.notes)
        upscaled(cut, tmp_path / f"{pid}{begins}.mkv")
        assert len(frames(tmp_path / f"{pid}{begins}.mkv")) == len(frames(cut)) == info.frame_count
    assert len(tried) == 4


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("ts", "libx264"), ("ts", "mpeg2video"), ("mpg", "mpeg2video"), ("vob", "mpeg2video")],
)
def test_a_recording_whose_last_picture_breaks_off_is_refused_before_work(
    tmp_path: Path, suffix: str, codec: str
) -> None:
    """Case 63: at the end of a packet, too, where no length tells it.

    The last one decoded may be shown before others.
    """
    film = media.Film(frames=40, rate=Fraction(25), codec=codec, gop=10, size=(128, 96))
    whole = media.write(tmp_path / f"in.{suffix}", film)
    content = whole.read_bytes()
    middle = round(len(content) * 0.7)
    if suffix == "ts":  # two packets of its last key frame are left
        with open_source(whole) as container:
            middle = max(p.pos for p in container.demux(video=0) if p.size and p.is_keyframe) + 2 * 188
    whole.write_bytes(content[:middle])
    info = probe(whole)
    assert "ends early: its last frame" in info.flaw or "of its video did not arrive whole" in info.flaw
    with pytest.raises(CorruptError, match="--on-corrupt conceal"):
        upscaled(whole, tmp_path / "out.mkv")
    upscaled(whole, tmp_path / "out.mkv", on_corrupt="conceal")
    assert len(frames(tmp_path / "out.mkv")) == info.frame_count


def _pictures(path: Path, codec: str, pix_fmt: str, frames: int = 10) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        for number in range(frames):
            frame = media.picture(number, 64, 48)
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    "name", ["in.mkv", "in.webm", "in.ogv", "in.asf", "in.mxf", "in.gif", "in.y4m", "in.ivf", "in.obu"]
)
def test_a_container_that_was_cut_by_its_last_frames_does_not_look_whole(tmp_path: Path, name: str) -> None:
    """Case 63: B-frames that are lost leave the film as long as it was.

    Pages, fixed packets, a footer and blocks tell that something is missing.
    """
    codec = {
        "mkv": "libx264",
        "webm": "libvpx-vp9",
        "ogv": "libvpx",
        "asf": "wmv2",
        "mxf": "mpeg2video",
        "gif": "gif",
        "y4m": "wrapped_avframe",
        "ivf": "libvpx-vp9",
        "obu": "libsvtav1",
    }[name[3:]]
    if codec in {"gif", "wrapped_avframe"}:
        whole = _pictures(tmp_path / name, codec, "rgb8" if codec == "gif" else "yuv420p")
    else:
        film = media.Film(
            frames=40, rate=Fraction(25), codec=codec, gop=10, b_frames=2 if codec == "libx264" else 0
        )
        whole = media.write(
            tmp_path / name, film, container={"ogv": "ogg", "mkv": "matroska"}.get(name[3:], name[3:])
        )
    assert probe(whole).flaw == ""
    content = whole.read_bytes()
    # the last packet of ASF is padded
    part = {"mxf": 0.6, "asf": 0.6}.get(name[3:], 0.97)
    whole.write_bytes(content[: round(len(content) * part)])
    try:
        found = probe(whole).flaw
    except MediaError as error:  # of AV1 alone, FFmpeg reads nothing then
        found = str(error)
    assert "ends early" in found


def test_asf_that_lacks_nothing_but_padding_is_whole_and_said_to_be_cut(tmp_path: Path) -> None:
    """Case 63: packets are filled up to one size; 1405 bytes of the last one here."""
    film = media.Film(frames=9, rate=Fraction(25), codec="wmv2", b_frames=0)
    whole = media.write(tmp_path / "in.asf", film, container="asf")
    content = whole.read_bytes()
    data = int.from_bytes(content[16:24], "little")
    end = data + int.from_bytes(content[data + 16 : data + 24], "little")
    padding = int.from_bytes(content[end - 3200 + 5 : end - 3200 + 7], "little")
    assert padding > 1000
    whole.write_bytes(content[: end - padding])
    found = probe(whole)
    assert found.flaw == ""
    assert any("ends early" in note and "are whole" in note for note in found.notes)
    whole.write_bytes(content[: end - padding - 1])
    assert "ends early" in probe(whole).flaw


def test_frames_that_are_counted_and_damaged_are_refused_before_work_where_they_are_wanted(
    tmp_path: Path,
) -> None:
    """Case 65: a stream without a container is decoded for that, and need not be upscaled up to the
    damage.
    """
    film = media.raw(tmp_path / "in.h264")
    content = film.read_bytes()
    end = content.find(b"\0\0\1", len(content) * 3 // 4)
    film.write_bytes(content[: end - 100] + content[end:])
    with pytest.raises(CorruptError, match=r"frames? \d+.* damaged .*--on-corrupt conceal would keep"):
        plan_video(film, tmp_path / "out.mkv", run_settings(**QUICK))
    assert plan_video(film, tmp_path / "out.mkv", run_settings(**QUICK, range="0-0.4")).plan.frame_count == 10


@pytest.mark.parametrize("suffix", ["h264", "ts"])
def test_a_film_that_ends_early_is_refused_before_work_where_its_end_is_wanted(
    tmp_path: Path, suffix: str
) -> None:
    """Cases 63 and 65: what lies before the damage can be upscaled."""
    if suffix == "h264":
        film = media.raw(tmp_path / "in.h264")
    else:
        kind = media.Film(frames=40, rate=Fraction(25), codec="libx264", gop=5, size=(128, 96))
        film = media.write(tmp_path / "in.ts", kind)
    film.write_bytes(film.read_bytes()[: -100 if suffix == "h264" else -188 * 2])
    with pytest.raises(CorruptError, match="ends early.*--on-corrupt conceal"):
        plan_video(film, tmp_path / "out.mkv", run_settings(**QUICK))
    assert plan_video(film, tmp_path / "out.mkv", run_settings(**QUICK, range="0-0.16")).plan.frame_count == 4


@pytest.mark.parametrize("suffix", ["mkv", "flv", "ts"])
def test_a_hole_in_the_middle_is_noticed(tmp_path: Path, suffix: str) -> None:
    """Case 65: demuxers look for the next thing they know behind a hole, and say nothing.

    Packets would be lost in silence.
    """
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
@pytest.mark.parametrize(
    ("codec", "suffix"), [("libx264", "mp4"), ("libx265", "mp4"), ("mpeg2video", "mp4"), ("mpeg4", "avi")]
)
def test_flipped_bits_are_named_by_frame_or_concealed_with_every_frame_kept(
    tmp_path: Path, codec: str, suffix: str
) -> None:
    """Case 65: exit 4 with the numbers of the damaged frames.

    With --on-corrupt conceal all frames are there, and the report counts them.
    """
    source = media.cfr(
        tmp_path / f"in.{suffix}", frames=48, codec=codec, gop=12, b_frames=0 if codec == "mpeg4" else 2
    )
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
    with pytest.raises(
        CorruptError, match=r"in\.[a-z0-9]+: .*(frames? \d+|at \d+\.\d+ s|packets? of its video)"
    ) as raised:
        upscaled(source, tmp_path / "out.mkv")
    assert raised.value.exit_code == 4
    report = finished_of(upscaled(source, tmp_path / "out.mkv", on_corrupt="conceal")).report
    assert report["concealed"]
    assert len(frames(tmp_path / "out.mkv")) == expected == 48


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_recording_that_ended_before_its_index_is_named_as_such_with_what_helps(
    tmp_path: Path, suffix: str
) -> None:
    whole = media.cfr(tmp_path / f"whole{suffix}", frames=12)
    data = whole.read_bytes()
    (tmp_path / f"cut{suffix}").write_bytes(data[: data.index(b"moov") - 4])
    with pytest.raises(
        MediaError, match=r"cut off before its index \(no moov box\).*untrunc.*Hybrid MP4 or MKV"
    ):
        probe(tmp_path / f"cut{suffix}")
    (tmp_path / "text.mp4").write_text("no film at all, but some text")
    with pytest.raises(MediaError, match="is not a video file we can open"):
        probe(tmp_path / "text.mp4")


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_damage_within_the_last_frames_is_no_early_end(tmp_path: Path, codec: str) -> None:
    """Case 65: the message names what to look for."""
    kind = media.Film(frames=20, rate=Fraction(25), codec=codec, gop=10, size=(128, 96), b_frames=0)
    film = media.write(tmp_path / "in.ts", kind)
    with open_source(film) as container:
        places = [p.pos for p in container.demux(video=0) if p.size]
    content = bytearray(film.read_bytes())
    for at in range(places[13] + 60, places[14] - 188, 7):
        if at % 188 > 60:
            content[at] ^= 0x55
    film.write_bytes(content)
    assert probe(film).flaw == "is damaged near its end, though its last frame is whole"


def test_a_film_appended_to_an_mp4_is_reported(tmp_path: Path) -> None:
    """Case 63: `cat a.mp4 b.mp4` plays as a.mp4, everywhere."""
    first = media.cfr(tmp_path / "a.mp4", 6).read_bytes()
    both = tmp_path / "both.mp4"
    both.write_bytes(first + media.cfr(tmp_path / "b.mp4", 9).read_bytes())
    info = probe(both)
    assert info.frame_count == 6
    assert any(f"a second film stands behind the first, from byte {len(first)} on" in n for n in info.notes)
    assert not any("second film" in n for n in probe(tmp_path / "a.mp4").notes)


@pytest.mark.parametrize("rest", [1, 2, 3, 100])
@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_a_ts_that_ends_inside_a_packet_is_taken_where_its_last_frame_is_whole(
    tmp_path: Path, codec: str, rest: int
) -> None:
    """Case 85: of a packet of one or two bytes even its track is unknown; the last frame tells."""
    film = media.Film(frames=8, codec=codec, b_frames=0, gop=4, size=(96, 64))
    whole = media.write(tmp_path / "in.ts", film, container="mpegts")
    data = whole.read_bytes()
    # More packets, of nothing, and a part of one more.
    filler = b"\x47\x1f\xff\x10" + b"\xff" * 184
    cut = tmp_path / "cut.ts"
    cut.write_bytes(data + filler + filler[:rest])
    info = probe(cut)
    assert info.flaw == ""
    assert info.frame_count == 8
    assert any(f"in the middle of a packet, {rest} of 188 bytes" in note for note in info.notes)
    with av.open(str(whole)) as container:
        last = max(p.pos for p in container.demux(video=0) if p.size)
    for at in range((last // 188 + 1) * 188, len(data) - 188, 188):
        cut.write_bytes(data[:at] + data[at : at + rest])
        info = probe(cut)
        assert info.flaw or info.frame_count == 7, at
