"""What a probe finds out about a file before any frame is upscaled."""

from __future__ import annotations

import itertools
import struct
from array import array
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from models.errors import UsageError
from pipelines.media.pixel_format import Orientation
from pipelines.media.video_info import NO_PTS
from pipelines.probe.frame_times import _filled, _nudged, even_rate
from pipelines.probe.probe import probe
from tests import media
from tests.helpers.view import frames

KINDS: dict[str, Callable[[Path], Path]] = {
    "cfr.mp4": media.cfr,
    "vfr.mp4": media.vfr,
    "open.mkv": lambda p: media.open_gop(p, "libx264"),
    "open.ts": lambda p: media.open_gop(p, "libx265"),
    "refresh.mp4": media.intra_refresh,
    "long.mp4": media.long_gop,
    "raw.h264": media.raw,
    "edit.mp4": media.edit_list,
    "wrap.ts": media.ts_wrap,
    "joined.ts": media.ts_concatenated,
    "hole.mp4": media.hole,
    "fields.ts": media.paff,
    "packed.avi": media.packed_b_frames,
    "cover.mp4": media.cover_first,
    "one.mp4": lambda p: media.cfr(p, frames=1),
}


@pytest.mark.parametrize("name", KINDS)
def test_the_predicted_frames_are_those_a_player_shows(tmp_path: Path, name: str) -> None:
    info = probe(KINDS[name](tmp_path / name))
    shown = frames(tmp_path / name)
    assert info.frame_count == len(shown)
    assert all(a < b for a, b in zip(info.pts, info.pts[1:], strict=False))
    assert len(info.durations) == len(info.pts)
    if name not in {"raw.h264", "joined.ts", "packed.avi"}:
        assert [p * info.time_base for p in info.pts] == [f.seconds for f in shown]


@pytest.mark.parametrize("name", ["cfr.mp4", "edit.mp4", "open.ts"])
def test_counting_by_decoding_agrees(tmp_path: Path, name: str) -> None:
    path = KINDS[name](tmp_path / name)
    assert list(probe(path, exact=True).pts) == list(probe(path).pts)


def test_a_frame_lasts_until_the_next_and_the_last_as_its_packet_says(tmp_path: Path) -> None:
    """Case 2."""
    info = probe(media.vfr(tmp_path / "in.mp4"))
    assert list(info.durations) == [1001, 1001, 498, 6509, 1, 80990, 80990]
    assert info.vfr


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(24000, 1001), Fraction(25), Fraction(60000, 1001)])
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_constant_rate_whose_times_were_rounded_is_that_rate(
    tmp_path: Path, rate: Fraction, suffix: str
) -> None:
    times = tuple(round(n * 1000 / rate) * 90 for n in range(120))
    info = probe(media.vfr(tmp_path / f"in.{suffix}", pts=times))
    assert not info.vfr
    assert info.rate == rate
    assert info.seconds == (info.pts[-1] + info.durations[-1] - info.pts[0]) * info.time_base
    assert float(info.seconds) == pytest.approx(float(120 / rate), abs=0.002)


@pytest.mark.parametrize("place", [1, 60, 118])
def test_one_frame_that_lasts_twice_as_long_is_a_variable_rate(tmp_path: Path, place: int) -> None:
    times = tuple((n + (n > place)) * 3750 for n in range(120))
    assert probe(media.vfr(tmp_path / "in.mp4", pts=times)).vfr


def test_of_a_few_frames_the_rate_that_the_container_names_comes_first() -> None:
    times = array("q", (round(n * 1001 / 24) for n in range(6)))
    assert even_rate(times, Fraction(1, 1000), [Fraction(24000, 1001)]) == Fraction(24000, 1001)
    assert even_rate(times, Fraction(1, 1000), [Fraction(24)]) == Fraction(24)
    assert even_rate(array("q", (0, 41, 83, 500)), Fraction(1, 1000)) is None
    assert even_rate(array("q", (0,)), Fraction(1, 1000)) is None


def test_a_frame_of_two_field_packets_lasts_as_long_as_both(tmp_path: Path) -> None:
    """Case 14."""
    assert set(probe(media.paff(tmp_path / "in.ts")).durations) == {3600}


def test_facts_of_a_plain_file(tmp_path: Path) -> None:
    info = probe(media.company(tmp_path / "in.mkv"))
    assert (info.width, info.height, info.pix_fmt, info.codec, info.sar, info.chapters) == (
        64,
        48,
        "yuv420p",
        "h264",
        1,
        2,
    )
    assert not info.interlaced
    assert not info.orientation
    assert [(s.type, s.language) for s in info.streams][:5] == [
        ("audio", "eng"),
        ("audio", "ger"),
        ("subtitle", "eng"),
        ("subtitle", "ger"),
        ("subtitle", "jpn"),
    ]
    assert (info.color.matrix, info.color.range, info.color.primaries, info.color.transfer) == (1, 1, 1, 1)


def test_interlacing_captions_and_turns_are_seen(tmp_path: Path) -> None:
    assert probe(media.interlaced(tmp_path / "i.mp4")).interlaced
    assert probe(media.captioned(tmp_path / "c.mp4")).captions
    turned = probe(media.rotated(tmp_path / "r.mp4", 90))
    assert turned.orientation == Orientation(transpose=True, flip_x=True)
    assert turned.upright_size == (48, 64)


def test_a_display_matrix_of_zeros_is_none_and_any_other_one_is_mentioned(tmp_path: Path) -> None:
    path = media.cfr(tmp_path / "in.mp4", frames=2)
    content = bytearray(path.read_bytes())
    at = content.find(b"tkhd") + 4 + 40
    for matrix, is_mentioned in ((bytes(36), False), (struct.pack(">9i", 1, 2, 0, 3, 4, 0, 0, 0, 1), True)):
        content[at : at + 36] = matrix
        path.write_bytes(content)
        info = probe(path)
        assert not info.orientation
        assert any("display matrix" in note for note in info.notes) == is_mentioned


def test_a_changed_byte_changes_the_fingerprint(tmp_path: Path) -> None:
    """Case 42."""
    path = media.cfr(tmp_path / "in.mp4")
    before = probe(path).fingerprint
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    assert probe(path).fingerprint != before


def test_a_film_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = media.cfr(tmp_path / "in.mp4")
    with pytest.raises(UsageError, match="--video-stream 1"):
        probe(path, video_stream=1)
    assert probe(path, video_stream=0).rate == Fraction(24)


@pytest.mark.parametrize("name", ["in.mkv", "in.flv"])
def test_one_time_that_stands_twice_leaves_the_others_as_they_are(tmp_path: Path, name: str) -> None:
    """Case 12: frames 0.01 ms apart where times are whole milliseconds."""
    times = [0, 3003, 6006, 9009, 9010, 12012, 45045, 48048, 90090]
    film = media.Film(frames=len(times), pts=tuple(times), time_base=media.TICKS, b_frames=0, gop=4)
    path = media.write(tmp_path / name, film)
    info = probe(path)
    seconds = [float((p - info.pts[0]) * info.time_base) for p in info.pts]
    assert len(seconds) == len(times)
    assert all(b > a for a, b in itertools.pairwise(seconds))
    assert max(abs(s - t / 90000) for s, t in zip(seconds, times, strict=True)) < 0.0016
    assert "1 of their times do not ascend" in " ".join(info.notes)


def test_times_that_mostly_stand_still_are_those_of_the_rate() -> None:
    """Case 12."""
    seen = array("q", [0, 0, 40, 40, 80, 80, 120, 120, 160, 160])
    assert _nudged(seen, least=1, most=Fraction(40)) == (None, 0)
    jumping = array("q", [*range(0, 800, 40), 400])
    assert _nudged(jumping, least=1, most=Fraction(40)) == (None, 0)
    assert _nudged(array("q", [0, 40, 40, 80, 79, 81, 160]), least=20, most=Fraction(40)) == (None, 0)
    assert _nudged(array("q", [0, 40, 40, 80]), least=50, most=Fraction(40)) == (
        array("q", [0, 40, 60, 80]),
        1,
    )


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg2video"])
@pytest.mark.parametrize("kept", ["every third", "key frames", "the first", "all but the first"])
def test_pictures_of_a_recording_without_a_time_of_their_own_get_the_one_they_have_by_the_rate(
    tmp_path: Path, codec: str, kept: str
) -> None:
    """Case 12."""
    keep = {
        "every third": lambda n: n % 3 == 0,
        "key frames": lambda n: n % 12 == 0,
        "the first": lambda n: n == 0,
        "all but the first": lambda n: n > 0,
    }[kept]
    options = {"bf": "2", "g": "12", **({"x265-params": "log-level=none"} if codec == "libx265" else {})}
    film = {"rate": Fraction(25), "size": (96, 64), "codec": codec, "options": options}
    every = probe(media.cfr(tmp_path / "every.ts", **film))
    few = probe(media.ts_with_few_times(tmp_path / "few.ts", keep, **film))
    assert (few.pts, few.durations) == (every.pts, every.durations)


def test_pictures_without_a_time_lie_evenly_between_those_that_have_one() -> None:
    """Case 12: where the rate does not tell."""
    none = NO_PTS
    assert _filled(array("q", [none, 100, none, none, 700, 900, none]), Fraction(100)) == array(
        "q", [0, 100, 300, 500, 700, 900, 1000]
    )
    assert _filled(array("q", [none, 5, none, 5]), Fraction(1)) is None
