"""A whole run of one video: every frame once, at its time, whatever the file is like.

Cases 1 to 14, 16, 20.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from models.errors import CorruptError, MediaError, UsageError
from pipelines.media.bitstream import caption_nal, sei_unit
from pipelines.plan.events import AlreadyDone, Note
from pipelines.probe.probe import probe
from tests import media
from tests.helpers.inline import H264, QUICK, finished_of, planned_of, upscaled
from tests.helpers.sameness import (
    MATROSKA_TICK,
    assert_decodable_order,
    assert_same_frames,
    assert_same_passthrough,
    assert_same_times,
    assert_same_timing,
)
from tests.helpers.view import frames, view

pytestmark = pytest.mark.usefixtures("inline")

MANY = 0.25
"""Seconds a chunk: a cut every few frames."""
ONE = 1e6


def many_and_one(source: Path, folder: Path, suffix: str = ".mkv", **settings: object) -> tuple[Path, Path]:
    """The lossless results of many chunks and of one."""
    outputs = []
    for name, seconds in (("many", MANY), ("one", ONE)):
        output = folder / f"{name}{suffix}"
        events = upscaled(source, output, chunk_seconds=seconds, **settings)
        notes = [e.text for e in events if isinstance(e, Note)]
        assert not notes, f"the way round had to be taken: {notes}"
        chunks = len(planned_of(events).plan.chunks)
        assert (chunks > 1) == (name == "many"), chunks
        outputs.append(output)
    return outputs[0], outputs[1]


def assert_exact(source: Path, folder: Path, **settings: object) -> tuple[Path, Path]:
    """Many chunks and one give the source's frames bit for bit, in order and at their times."""
    many, one = many_and_one(source, folder, **settings)
    expected = frames(source)
    for output in (many, one):
        assert_same_frames(frames(output), expected)
        assert_same_timing(output, source)
        assert_decodable_order(view(output))
    assert [f.pts for f in frames(many)] == [f.pts for f in frames(one)]
    return many, one


# --- timing


def test_constant_frame_rate_keeps_every_tick_in_one_chunk_and_in_seven(tmp_path: Path) -> None:
    """Case 1."""
    source = media.cfr(
        tmp_path / "in.mp4", frames=300, rate=Fraction(24000, 1001), time_base=Fraction(1, 24000), gop=6
    )
    outputs = {}
    for name, seconds in (("seven", 1.8), ("one", ONE)):
        output = tmp_path / f"{name}.mp4"
        events = upscaled(source, output, **{**H264, "chunk_seconds": seconds})
        outputs[len(planned_of(events).plan.chunks)] = output
    assert set(outputs) == {7, 1}
    before = view(source).film
    for output in outputs.values():
        after = view(output).film
        assert sorted(after.pts) == sorted(before.pts)
        assert len(after.pts) == 300
    assert (
        [f.seconds for f in frames(outputs[7])]
        == [f.seconds for f in frames(outputs[1])]
        == [n * Fraction(1001, 24000) for n in range(300)]
    )


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_variable_frame_rate_keeps_every_tick_and_the_last_duration(tmp_path: Path, suffix: str) -> None:
    """Case 2."""
    source = media.vfr(tmp_path / "in.mp4")
    output = tmp_path / f"out{suffix}"
    upscaled(source, output, **{**H264, "chunk_seconds": 0.02})
    assert [f.pts for f in frames(output)] == list(media.VFR_PTS)
    with av.open(str(output)) as after, av.open(str(source)) as before:
        film = after.streams.video[0]
        assert film.time_base == Fraction(1, 90000)
        length = before.streams.video[0].duration
        assert length == media.VFR_PTS[-1] + 80990
        assert abs(film.duration - length) <= 90, "the last frame's duration is lost"


def test_matroska_is_said_to_round_to_a_millisecond_and_does_no_worse(tmp_path: Path) -> None:
    """Case 3."""
    source = media.vfr(tmp_path / "in.mp4", pts=(0, 1001, 2002, 2500, 9009, 9110, 90000))
    output = tmp_path / "out.mkv"
    events = upscaled(source, output, chunk_seconds=0.05)
    assert any("1 ms" in note for note in planned_of(events).info.notes)
    assert_same_timing(output, source)


def test_frames_closer_than_a_millisecond_are_refused_for_matroska(tmp_path: Path) -> None:
    """Case 3: pts 9009 and 9010 would fall on the same tick."""
    source = media.vfr(tmp_path / "in.mp4")
    with pytest.raises(UsageError, match=r"1 ms apart.*mp4"):
        upscaled(source, tmp_path / "out.mkv")
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [("libx264", ".mp4"), ("libx265", ".mp4"), ("mpeg2video", ".mkv"), ("libx264", ".mkv")],
)
def test_open_gops_cut_at_every_key_frame_lose_and_double_nothing(
    tmp_path: Path, codec: str, suffix: str
) -> None:
    """Case 4."""
    source = media.open_gop(tmp_path / f"in{suffix}", codec)
    assert sum(probe(source).index.clean) >= 4, "the file has no inner points to cut at"
    assert_exact(source, tmp_path)


def test_intra_refresh_is_never_entered_in_the_middle(tmp_path: Path) -> None:
    """Case 5: decoding from a recovery point would give pictures that are silently wrong."""
    source = media.intra_refresh(tmp_path / "in.mp4")
    with av.open(str(source)) as container:
        keys = sum(p.is_keyframe for p in container.demux(video=0) if p.size)
    assert keys > 1, "the container marks recovery points as key frames, or the case proves nothing"
    assert_exact(source, tmp_path)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_matroska_s_first_packets_without_dts_are_kept(tmp_path: Path, codec: str) -> None:
    """Case 6."""
    source = media.cfr(tmp_path / "in.mkv", codec=codec, b_frames=3)
    with av.open(str(source)) as container:
        assert any(p.dts is None for p in container.demux(video=0) if p.size), "every packet has a dts"
    many, _ = assert_exact(source, tmp_path)
    assert len(frames(many)) == 24


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_b_frames_at_the_very_end_come_out_of_the_decoder(tmp_path: Path, codec: str) -> None:
    """Case 7."""
    source = media.cfr(tmp_path / "in.mp4", frames=23, gop=60, codec=codec, b_frames=3)
    with av.open(str(source)) as container:
        pts = [p.pts for p in container.demux(video=0) if p.size]
    assert pts[-1] != max(pts), "the last packet is no B-frame"
    many, _ = assert_exact(source, tmp_path)
    assert len(frames(many)) == 23


def test_frames_an_edit_list_hides_stay_hidden(tmp_path: Path) -> None:
    """Case 8."""
    source = media.edit_list(tmp_path / "in.mp4", hidden=5, shown=25)
    assert not probe(source).linear, "its packets tell which frames are shown"
    assert len(view(source).film.pts) == 30
    many, one = assert_exact(source, tmp_path)
    assert len(frames(many)) == len(frames(one)) == 25
    output = tmp_path / "out.mp4"
    upscaled(source, output, **{**H264, "chunk_seconds": MANY})
    assert [f.seconds for f in frames(output)] == [f.seconds for f in frames(source)]
    assert frames(output)[0].seconds == 0


@pytest.mark.parametrize(("name", "container"), [("in.mkv", None), ("in.ts", "mpegts"), ("in.mp4", None)])
def test_a_late_start_is_kept_but_for_that_of_a_broadcast_and_sound_stays_with_the_picture(
    tmp_path: Path, name: str, container: str | None
) -> None:
    """Case 9."""
    source = media.start_offset(tmp_path / name, container=container)
    assert frames(source)[0].seconds > 1
    many, _ = many_and_one(source, tmp_path)
    assert_same_timing(many, source)
    before, after = view(source), view(many)
    between = [v.of("audio")[0].pts[0] - min(v.film.pts) for v in (before, after)]
    assert abs(between[0] - between[1]) <= MATROSKA_TICK, "sound and picture drifted apart"


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_negative_start_keeps_sound_and_picture_together(tmp_path: Path, suffix: str) -> None:
    """Case 9: the clock of this recording begins a second before 0."""
    source = media.ts_wrap(tmp_path / "in.ts")
    assert frames(source)[0].seconds < 0
    output = tmp_path / f"out{suffix}"
    upscaled(source, output, **({**QUICK} if suffix == ".mkv" else {**H264}), chunk_seconds=MANY)
    before, after = view(source), view(output)
    between = [v.of("audio")[0].pts[0] - min(v.film.pts) for v in (before, after)]
    assert abs(between[0] - between[1]) <= MATROSKA_TICK


def test_the_wrap_of_a_33_bit_clock_goes_unnoticed(tmp_path: Path) -> None:
    """Case 10."""
    source = media.ts_wrap(tmp_path / "in.ts")
    with av.open(str(source), container_options={"correct_ts_overflow": "0"}) as container:
        clock = [p.pts for p in container.demux(video=0) if p.size]
    assert max(clock) - min(clock) > 1 << 32, "the clock does not wrap in this file"
    many, one = many_and_one(source, tmp_path)
    expected = frames(source)
    shift = -expected[0].seconds
    for output in (many, one):
        found = frames(output)
        assert_same_frames(found, expected)
        assert_same_times(
            [f.seconds - found[0].seconds for f in found],
            [f.seconds + shift for f in expected],
            matroska=True,
        )
        film = view(output).film
        assert max(film.pts) - min(film.pts) == Fraction(47, 25)


def test_joined_recordings_go_on_where_the_first_ends_with_sound_in_step(tmp_path: Path) -> None:
    """Case 11: `cat a.ts b.ts`, both of which begin at 0."""
    source = media.ts_concatenated(tmp_path / "in.ts")
    expected = frames(source)
    assert len(expected) == 48
    assert len({f.pts for f in expected}) == 24, "the clock of this file does not jump back"
    many, one = many_and_one(source, tmp_path)
    for output in (many, one):
        found = frames(output)
        assert_same_frames(found, expected)
        times = [f.seconds for f in found]
        assert all(a < b for a, b in zip(times, times[1:], strict=False))
        for part in (times[:24], times[24:]):
            assert_same_times(
                [t - part[0] for t in part], [Fraction(n, 25) for n in range(24)], matroska=True
            )
        assert Fraction(1, 25) - MATROSKA_TICK <= times[24] - times[23] <= Fraction(1, 5)
        sound, original = view(output).of("audio")[0], view(source).of("audio")[0]
        assert sound.payloads == original.payloads
        half = next(n for n in range(1, len(original.pts)) if original.pts[n] < original.pts[n - 1])
        film = sorted(view(source).film.pts)
        before = [original.pts[0] - film[0], original.pts[half] - film[0]]
        after = [sound.pts[0] - times[0], sound.pts[half] - times[24]]
        assert abs((after[0] - after[1]) - (before[0] - before[1])) <= 2 * MATROSKA_TICK, (
            "sound is shifted in the second part"
        )


def test_a_recording_whose_clock_jumps_back_by_minutes_is_joined_as_well(tmp_path: Path) -> None:
    """Case 11: the demuxer takes such a jump for a wrap."""
    source = media.ts_concatenated(tmp_path / "in.ts", starts=(Fraction(144), Fraction(3)))
    many, _ = many_and_one(source, tmp_path)
    found = frames(many)
    assert_same_frames(found, frames(source))
    assert found[-1].seconds - found[0].seconds < 3


@pytest.mark.parametrize(("name", "codec"), [("in.h264", "libx264"), ("in.hevc", "libx265")])
def test_a_raw_stream_without_timestamps_gets_one_frame_a_period(
    tmp_path: Path, name: str, codec: str
) -> None:
    """Case 12."""
    source = media.raw(tmp_path / name, codec)
    expected = frames(source)
    many, one = many_and_one(source, tmp_path)
    for output in (many, one):
        found = frames(output)
        assert_same_frames(found, expected)
        assert_same_times([f.seconds for f in found], [Fraction(n, 25) for n in range(24)], matroska=True)


def test_packed_b_frames_of_an_avi_come_one_by_one(tmp_path: Path) -> None:
    """Case 12: some packets hold two pictures, the ones behind them none."""
    source = media.packed_b_frames(tmp_path / "in.avi")
    expected = frames(source)
    assert len(expected) == 21
    many, one = many_and_one(source, tmp_path)
    for output in (many, one):
        found = frames(output)
        assert_same_frames(found, expected)
        times = [f.seconds for f in found]
        assert_same_times([t - times[0] for t in times], [Fraction(n, 25) for n in range(21)], matroska=True)


def test_a_hole_of_ten_seconds_stays_a_hole(tmp_path: Path) -> None:
    """Case 13."""
    source = media.hole(tmp_path / "in.mp4")
    assert_exact(source, tmp_path)
    output = tmp_path / "out.mp4"
    upscaled(source, output, **{**H264, "chunk_seconds": MANY})
    times = [f.seconds for f in frames(output)]
    assert len(times) == 24
    assert times[12] - times[11] == 10 + Fraction(1, 25)


def test_two_field_packets_make_one_frame_and_interlacing_is_reported(tmp_path: Path) -> None:
    """Case 14."""
    source = media.paff(tmp_path / "in.ts")
    assert len(view(source).film.pts) == 40
    many, _ = assert_exact(source, tmp_path, deinterlace="off")
    assert len(frames(many)) == 20
    events = upscaled(source, tmp_path / "again.mkv")
    assert any("interlaced" in note for note in planned_of(events).info.notes)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_decode_times_ascend_where_ten_milliseconds_meet_five_hundred(tmp_path: Path, suffix: str) -> None:
    """Case 16."""
    source = media.two_speeds(tmp_path / "in.mp4")
    output = tmp_path / f"out{suffix}"
    events = upscaled(source, output, **{**H264, "preset": "veryfast", "chunk_seconds": 0.2})
    assert len(planned_of(events).plan.chunks) > 3
    film = view(output).film
    assert film.dts != film.pts, "without B-frames there is nothing to prove"
    assert_same_timing(output, source)
    if suffix == ".mp4":  # Matroska stores no decode times
        assert_decodable_order(view(output))


def test_a_change_of_picture_size_is_refused_with_its_place(tmp_path: Path) -> None:
    """Case 20."""
    source = media.ts_size_change(tmp_path / "in.ts")
    with pytest.raises(MediaError, match=r"64x48.*80x64.*frame 16"):
        upscaled(source, tmp_path / "out.mkv", chunk_seconds=MANY)
    assert not (tmp_path / "out.mkv").exists()


# --- a part of a film


def test_a_range_takes_its_frames_sound_subtitles_and_chapters(tmp_path: Path) -> None:
    source = media.company(tmp_path / "in.mkv")
    output = tmp_path / "out.mkv"
    events = upscaled(source, output, range="0.5-1.25", chunk_seconds=MANY)
    assert "2 chapters" in finished_of(events).kept
    assert (
        "1 chapter"
        in finished_of(upscaled(source, tmp_path / "rest.mkv", range="1-", chunk_seconds=MANY)).kept
    )
    expected = [f for f in frames(source) if Fraction(1, 2) <= f.seconds < Fraction(5, 4)]
    found = frames(output)
    assert_same_frames(found, expected)
    assert_same_times(
        [f.seconds for f in found], [f.seconds - expected[0].seconds for f in expected], matroska=True
    )
    after, before = view(output), view(source)
    for a, b in zip(after.of("audio"), before.of("audio"), strict=True):
        inside = [h for h, t in zip(b.payloads, b.pts, strict=True) if Fraction(1, 2) <= t < Fraction(5, 4)]
        assert a.payloads == inside
        assert 0 <= a.pts[0] < Fraction(1, 20)
    assert after.chapters == [
        (Fraction(0), Fraction(2, 5), "Prolog"),
        (Fraction(2, 5), Fraction(3, 4), "Rest"),
    ]
    assert len(after.of("subtitle")[0].payloads) == 1


def test_a_range_without_a_frame_is_refused(tmp_path: Path) -> None:
    source = media.cfr(tmp_path / "in.mp4")
    with pytest.raises(UsageError, match="no frame in it"):
        upscaled(source, tmp_path / "out.mkv", range="5-6")


# --- lossless means lossless


@pytest.mark.parametrize(
    "pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"]
)
def test_identity_into_ffv1_keeps_every_bit(tmp_path: Path, pix_fmt: str) -> None:
    source = media.cfr(tmp_path / "in.mkv", frames=9, codec="ffv1", pix_fmt=pix_fmt, gop=1)
    many, one = many_and_one(source, tmp_path)
    for output in (many, one):
        found = frames(output)
        assert_same_frames(found, frames(source))
        assert {f.format for f in found} == {pix_fmt}
    first = view(many).film
    assert first.codec == "ffv1"


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_a_long_gop_is_cut_too_and_decoded_exactly(tmp_path: Path, codec: str) -> None:
    source = media.long_gop(tmp_path / "in.mp4", codec=codec)
    assert_exact(source, tmp_path)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_every_chunk_begins_with_a_key_frame_and_all_share_one_header(tmp_path: Path, codec: str) -> None:
    source = media.cfr(tmp_path / "in.mp4", frames=36)
    output = tmp_path / "out.mp4"
    events = upscaled(source, output, **{**H264, "codec": codec, "chunk_seconds": 0.5})
    plan = planned_of(events).plan
    film = view(output).film
    shown = sorted(film.pts)
    keys = {p for p, key in zip(film.pts, film.keys, strict=True) if key}
    assert len(plan.chunks) > 2
    assert {shown[c.start_frame] for c in plan.chunks} <= keys
    assert len(frames(output)) == 36


# --- one command twice


def test_a_finished_job_is_not_done_again(tmp_path: Path) -> None:
    """Case 45."""
    source = media.cfr(tmp_path / "in.mp4")
    output = tmp_path / "out.mkv"
    upscaled(source, output)
    before = (output.stat().st_mtime_ns, output.read_bytes())
    events = upscaled(source, output)
    assert events == [AlreadyDone(str(output), frames=24, bytes=output.stat().st_size)]
    assert (output.stat().st_mtime_ns, output.read_bytes()) == before


def test_fresh_does_a_finished_job_again(tmp_path: Path) -> None:
    """Case 45."""
    source = media.cfr(tmp_path / "in.mp4")
    output = tmp_path / "out.mkv"
    upscaled(source, output)
    before = output.stat().st_ino
    finished_of(upscaled(source, output, fresh=True))
    assert output.stat().st_ino != before


def test_a_result_that_was_cut_short_later_is_not_taken_for_done(tmp_path: Path) -> None:
    """Case 45: the report names the size the result had."""
    source = media.cfr(tmp_path / "in.mp4")
    output = tmp_path / "out.mkv"
    upscaled(source, output)
    output.write_bytes(output.read_bytes()[:-100])
    with pytest.raises(UsageError, match="already exists"):
        upscaled(source, output)


def test_nothing_but_the_result_and_its_report_is_left(tmp_path: Path) -> None:
    source = media.cfr(tmp_path / "in.mp4")
    upscaled(source, tmp_path / "out.mkv", chunk_seconds=MANY)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4", "out.mkv", "out.mkv.vsr.json"]


# --- damage


def test_damage_is_refused_and_nothing_is_left_under_the_final_name(tmp_path: Path) -> None:
    source = media.cfr(tmp_path / "in.mp4", frames=48, gop=12)
    content = bytearray(source.read_bytes())
    start, size = next((at, size) for at, size, kind in media.boxes(bytes(content)) if kind == b"mdat")
    for place in range(start + size // 2, start + size // 2 + 400, 7):
        content[place] ^= 0x55
    source.write_bytes(content)
    with pytest.raises(CorruptError):
        upscaled(source, tmp_path / "out.mkv", chunk_seconds=MANY)
    assert not (tmp_path / "out.mkv").exists()
    events = upscaled(source, tmp_path / "kept.mkv", chunk_seconds=MANY, on_corrupt="conceal")
    assert len(frames(tmp_path / "kept.mkv")) == 48
    assert any(isinstance(e, Note) and "concealed" in e.text for e in events)


def test_captions_inside_the_video_stay_in_it(tmp_path: Path) -> None:
    source = media.captioned(tmp_path / "in.mp4")
    expected = [media.caption_of(n) for n in range(16)]
    for codec, preset in (("h264", "ultrafast"), ("hevc", "ultrafast"), ("av1", "12")):
        output = tmp_path / f"{codec}.mp4"
        upscaled(source, output, **{**H264, "codec": codec, "preset": preset, "chunk_seconds": MANY})
        assert [f.captions for f in frames(output)] == expected
    again = tmp_path / "again.mkv"
    upscaled(tmp_path / "av1.mp4", again, **{**H264, "chunk_seconds": MANY})
    assert [f.captions for f in frames(again)] == expected


def test_side_data_that_pyav_can_not_name_hides_no_captions_and_no_hdr_metadata(tmp_path: Path) -> None:
    """LCEVC, which FFmpeg 8 passes on (as user data of V-Nova) and PyAV 18 can't name."""
    layer = sei_unit("hevc", [(4, b"\xb4\x00\x50\x00" + b"\x01" * 20)])

    def units(number: int) -> bytes:
        own = (layer, caption_nal("hevc", media.caption_of(number)))
        return b"".join(b"\0\0\0\1" + unit for unit in own)

    source = media.hdr10(tmp_path / "in.mkv", prefix=units)
    found = probe(source)
    assert any("without its enhancement layer (LCEVC)" in note for note in found.notes)
    assert found.hdr.light == media.HDR_LIGHT
    output = tmp_path / "out.mkv"
    upscaled(source, output, **{**H264, "codec": "hevc", "chunk_seconds": MANY})
    assert [f.captions for f in frames(output)] == [media.caption_of(n) for n in range(16)]
    assert probe(output).hdr == found.hdr


def test_sound_is_passed_on_bit_for_bit_while_the_picture_is_cut_into_chunks(tmp_path: Path) -> None:
    source = media.company(tmp_path / "in.mkv")
    output = tmp_path / "out.mkv"
    upscaled(source, output, chunk_seconds=MANY)
    assert_same_passthrough(output, source)
