"""What is copied to a result in addition to the film, or refused before work starts.

Timestamps, PCM, tags of other containers, second films, covers.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import imageio_ffmpeg
import numpy as np
import pytest
from av.stream import Disposition

from models.errors import UsageError, VerificationError
from pipelines.codec.encoder import EncodedChunk, encode_chunk
from pipelines.containers.mov_boxes import disable_tracks
from pipelines.containers.track_times import clip_start
from pipelines.media.timestamps import convert_timecode
from pipelines.media.video_info import Frame
from pipelines.output import trial
from pipelines.output.result_contents import check_copied_packets
from pipelines.output.stream_copy import CopiedStream
from pipelines.planner import container_choice
from pipelines.planner.video_planner import plan_video
from pipelines.probe.packet_index import pcm_samples
from pipelines.probe.probe import probe
from pipelines.settings.encoder_spec import Encoder
from tests import media
from tests.helpers.inline import H264, QUICK, planned_of, upscaled
from tests.helpers.mlp import access_unit
from tests.helpers.view import frames, view
from vsr.api import run_settings

pytestmark = pytest.mark.usefixtures("inline")

PAL = Fraction(25)
SMALL = media.Film(frames=12, rate=PAL)


def settings_for(suffix: str) -> dict[str, object]:
    """MP4 holds no FFV1."""
    return H264 if suffix in {".mp4", ".mov"} else QUICK


def joined(path: Path, index: int = 0) -> bytes:
    """All bytes of a sound track."""
    with av.open(str(path)) as container:
        return b"".join(bytes(p) for p in container.demux(audio=index))


def with_sound(
    path: Path,
    codec: str,
    block: int = 1024,
    container: str | None = None,
    layout: str = "stereo",
    **options: str,
) -> Path:
    """A film of half a second and a sine in packets of `block` samples."""
    output = media._open(path, container, options)
    content = replace(SMALL, codec="mpeg2video") if container == "vob" else SMALL
    film = media._add_film(output, content)
    track = output.add_stream(codec, rate=48000, layout=layout)
    track.bit_rate = 128000
    output.start_encoding()
    packets = media.packets_of(film, content)
    sine = (20000 * np.sin(np.arange(24000) / 17)).astype(np.int16)
    for start in range(0, len(sine), block):
        planes = np.repeat(sine[start : start + block], track.channels)[None]
        frame = av.AudioFrame.from_ndarray(planes, format="s16", layout=layout)
        if track.format.name == "fltp":
            floats = np.ascontiguousarray(planes.reshape(-1, track.channels).T / np.float32(32768))
            frame = av.AudioFrame.from_ndarray(floats, format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        packets += track.encode(frame)
    packets += track.encode(None)
    media._mux(output, packets)
    output.close()
    return path


def two_films(path: Path, container: str | None = None, codec: str = "libx264") -> Path:
    """Two films with B-frames, as of two cameras."""
    output = media._open(path, container)
    films = [
        media.Film(frames=16, rate=PAL, codec=codec, size=size, first_number=n)
        for n, size in ((0, (96, 64)), (40, (64, 48)))
    ]
    streams = [media._add_film(output, film) for film in films]
    output.start_encoding()
    media._mux(
        output,
        [p for stream, film in zip(streams, films, strict=True) for p in media.packets_of(stream, film)],
    )
    output.close()
    return path


# --- clocks


def stepping_back(path: Path) -> Path:
    """FLV whose sound steps back by 60 ms once, as of a stream that stumbled; no muxer writes that."""
    media.write(
        path, media.Film(frames=25, rate=PAL, b_frames=0), audio=(media.Audio(seconds=0.9),), container="flv"
    )
    data, place, heard = bytearray(path.read_bytes()), 13, 0
    while place + 11 < len(data):
        size = int.from_bytes(data[place + 1 : place + 4], "big")
        if data[place] == 8 and size > 8:
            heard += 1
            if heard >= 12:
                time = int.from_bytes(data[place + 4 : place + 7], "big") - 60
                data[place + 4 : place + 7] = time.to_bytes(3, "big")
        place += 11 + size + 4
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_sound_whose_clock_steps_back_is_put_forward_and_said(tmp_path: Path, suffix: str) -> None:
    """Case 21."""
    source = stepping_back(tmp_path / "in.flv")
    output = tmp_path / f"out{suffix}"
    events = upscaled(source, output, **settings_for(suffix))
    assert any(
        "audio stream 1: its clock steps back 1 time, by up to" in note
        for note in planned_of(events).info.notes
    )
    before, after = view(source).of("audio")[0], view(output).of("audio")[0]
    assert after.payloads == before.payloads
    shown = after.pts
    assert all(a <= b for a, b in zip(shown, shown[1:], strict=False))
    kept = sum(
        abs((a - shown[0]) - (b - before.pts[0])) <= Fraction(1, 1000)
        for a, b in zip(shown, before.pts, strict=True)
    )
    assert kept >= len(shown) - 5, "only what lies in the past is moved"


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_second_film_with_b_frames_keeps_its_times(tmp_path: Path, suffix: str) -> None:
    """Case 21."""
    source = two_films(tmp_path / "in.mkv")
    with av.open(str(source)) as container:
        assert any(p.dts is None for p in container.demux(video=1) if p.size), (
            "Matroska gives every packet a decode time"
        )
    output = tmp_path / f"out{suffix}"
    upscaled(source, output, **settings_for(suffix))
    before, after = view(source).of("video")[1], view(output).of("video")[1]
    assert after.payloads == before.payloads
    assert max(
        abs((a - min(after.pts)) - (b - min(before.pts))) for a, b in zip(after.pts, before.pts, strict=True)
    ) <= Fraction(1, 1000)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_the_whole_file_with_all_its_tracks_has_the_same_bytes_every_time(
    tmp_path: Path, suffix: str
) -> None:
    source = media.company(tmp_path / ("in.mkv" if suffix == ".mkv" else "in.mp4"), frames=12)
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        upscaled(source, tmp_path / folder / f"out{suffix}", drop_incompatible=True, **settings_for(suffix))
    one, other = ((tmp_path / folder / f"out{suffix}").read_bytes() for folder in ("one", "other"))
    assert one == other


def test_a_webm_file_has_the_same_bytes_every_time(tmp_path: Path) -> None:
    source = media.cfr(tmp_path / "in.webm", frames=4, codec="libvpx-vp9")
    for name in ("one.webm", "other.webm"):
        upscaled(source, tmp_path / name, model="lanczos", scale=2, codec="av1", preset="13")
    assert (tmp_path / "one.webm").read_bytes() == (tmp_path / "other.webm").read_bytes()


def test_webm_keeps_times_that_are_no_whole_milliseconds(tmp_path: Path) -> None:
    """Case 3."""
    source = media.cfr(tmp_path / "in.mp4", frames=4, size=(64, 64))
    output = tmp_path / "out.webm"
    upscaled(source, output, **{**H264, "codec": "av1", "crf": 40.0, "preset": "12"})
    assert len(frames(output)) == 4


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_recording_whose_clock_has_run_for_hours_begins_at_0_with_its_sound_in_step(
    tmp_path: Path, suffix: str
) -> None:
    """Case 9."""
    source = media.start_offset(tmp_path / "in.ts", Fraction(52000), container="mpegts")
    assert frames(source)[0].seconds > 50000
    output = tmp_path / f"out{suffix}"
    upscaled(source, output, **settings_for(suffix))
    with av.open(str(output)) as container:
        assert container.duration < 5_000_000, "players would show hours"
    before, after = view(source), view(output)
    between = [v.of("audio")[0].pts[0] - min(v.film.pts) for v in (before, after)]
    assert abs(between[0] - between[1]) <= Fraction(1, 1000)
    assert min(*after.film.pts, *after.of("audio")[0].pts) == pytest.approx(0, abs=0.001)


# --- sound


@pytest.mark.parametrize(
    ("name", "codec"),
    [("in.avi", "pcm_s16le"), ("in.mkv", "pcm_s24le"), ("in.nut", "pcm_s16le"), ("in.mkv", "pcm_s16be")],
)
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_pcm_whose_channels_have_no_names_goes_into_mp4_and_mov(
    tmp_path: Path, name: str, codec: str, suffix: str
) -> None:
    """Case 21."""
    source = with_sound(tmp_path / name, codec)
    with av.open(str(source)) as container:
        assert container.streams.audio[0].layout.name == "2 channels"
    output = tmp_path / f"out{suffix}"
    upscaled(source, output, **H264)
    assert joined(output) == joined(source)
    with av.open(str(output)) as container:
        assert container.streams.audio[0].layout.name == "stereo"


@pytest.mark.parametrize("block", [1152, 1920])
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_pcm_that_a_muxer_cuts_anew_is_compared_by_its_bytes(tmp_path: Path, block: int, suffix: str) -> None:
    """Case 21."""
    source = with_sound(tmp_path / "in.mkv", "pcm_s16le", block)
    output = tmp_path / f"out{suffix}"
    upscaled(source, output, **H264)
    assert joined(output) == joined(source)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_pcm_whose_packets_overlap_keeps_its_end_in_mp4(tmp_path: Path, suffix: str) -> None:
    """Case 21: as recorded where sound and computer have different clocks."""
    plain = media.write(tmp_path / "plain.mkv", SMALL, audio=(media.Audio("pcm_s16le", seconds=1.0),))
    output = media._open(source := tmp_path / "in.mkv", None)
    with av.open(str(plain)) as container:
        tracks = [output.add_stream_from_template(s, opaque=True) for s in container.streams]
        for packet in container.demux():
            if packet.size:
                if packet.stream.type == "audio":
                    packet.pts = packet.dts = round(packet.pts * 0.97)
                packet.stream = tracks[packet.stream_index]
                output.mux(packet)
    output.close()
    upscaled(source, tmp_path / f"out{suffix}", **H264)
    assert joined(tmp_path / f"out{suffix}") == joined(source)


def test_pcm_with_a_hole_is_kept_out_of_mp4_which_would_close_it(tmp_path: Path) -> None:
    """Case 23."""
    source = tmp_path / "in.mkv"
    media.write(source, media.Film(frames=50, rate=PAL), audio=(media.Audio("pcm_s16le", seconds=0.5),))
    late = media._open(source := tmp_path / "hole.mkv", None)
    with av.open(str(tmp_path / "in.mkv")) as container:
        tracks = [late.add_stream_from_template(s, opaque=True) for s in container.streams]
        for packet in container.demux():
            if packet.size:
                if packet.stream.type == "audio" and packet.pts > 250:
                    packet.pts, packet.dts = packet.pts + 1000, packet.dts + 1000
                packet.stream = tracks[packet.stream_index]
                late.mux(packet)
    late.close()
    with pytest.raises(UsageError, match=r"PCM end to end.*name an output that ends in \.mkv, or leave"):
        upscaled(source, tmp_path / "out.mp4", **H264)
    upscaled(source, tmp_path / "out.mkv")


@pytest.mark.parametrize(
    ("name", "codec", "muxer"),
    [("in.m2ts", "pcm_bluray", "mpegts"), ("in.vob", "pcm_dvd", "vob"), ("in.ts", "s302m", "mpegts")],
)
def test_lpcm_with_a_hole_is_kept_out_of_mov_which_would_close_it(
    tmp_path: Path, name: str, codec: str, muxer: str
) -> None:
    """Case 23: its packets say how many samples they hold, in a header of their own."""
    options = {"mpegts_m2ts_mode": "1"} if codec == "pcm_bluray" else {}
    whole = (
        s302(tmp_path / name)
        if codec == "s302m"
        else with_sound(tmp_path / name, codec, 1920, muxer, **options)
    )
    assert probe(whole).streams[0].drift < 0.02
    with av.open(str(whole)) as container:
        track = container.streams.audio[0]
        told = sum(pcm_samples(track.codec_context, p) for p in container.demux(track) if p.size)
    assert 0 <= told - sum(f.samples for f in _heard(whole)) < 1
    drifted = replace(probe(whole), streams=(replace(probe(whole).streams[0], drift=0.2),))
    for suffix, refused in ((".mov", True), (".mkv", False)):
        planned = plan_video(
            whole,
            tmp_path / f"out{suffix}",
            run_settings(**{**settings_for(suffix), "drop_incompatible": True}),
            drifted,
        )
        assert bool(planned.dropped) == refused


def s302(path: Path, bits: int = 16) -> Path:
    """A broadcast with sound as in SMPTE ST 302, whose packets no encoder here makes.

    Of more than 16 bits, the lowest are in use.
    """
    output = media._open(path, "mpegts")
    film, track = media._add_film(output, SMALL), output.add_stream("mp2", rate=48000, layout="stereo")
    output.start_encoding()
    packets = media.packets_of(film, SMALL)
    sine = (20000 * np.sin(np.arange(24000) / 17)).astype(np.int64) * (1 << bits - 16) + (
        np.arange(24000) % 13 if bits > 16 else 0
    )
    for start in range(0, 24000, 1920):
        data = _aes3(sine[start : start + 1920] & (1 << bits) - 1, bits)
        packet = av.Packet(len(data))
        packet.update(data)
        packet.stream, packet.time_base, packet.is_keyframe = track, media.TICKS, True
        packet.pts = packet.dts = round(start / 48000 / media.TICKS)
        packets.append(packet)
    media._mux(output, packets)
    output.close()
    path.write_bytes(_named_anew(path.read_bytes(), 0x03, b"\x06", b"\x05\x04BSSD"))
    return path


def _named_anew(content: bytes, kind: int, other: bytes, descriptor: bytes) -> bytes:
    """A TS whose tracks of a stream type are said to be of another one, with a descriptor (ISO/IEC 13818-1,
    clause 2.4.4.8).
    """
    made = []
    for at in range(0, len(content), 188):
        packet = content[at : at + 188]
        if int.from_bytes(packet[1:3], "big") & 0x1FFF == 0x1000:
            section = packet[5 : 8 + (int.from_bytes(packet[6:8], "big") & 0xFFF) - 4]
            place = section.index(bytes([kind]) + b"\xe1\x01", 12)
            section = (
                section[:place]
                + other
                + section[place + 1 : place + 3]
                + bytes([0xF0, len(descriptor)])
                + descriptor
                + section[place + 5 :]
            )
            section = section[:1] + (0xB000 | len(section) + 1).to_bytes(2, "big") + section[3:]
            packet = (packet[:5] + section + _mpeg_crc(section)).ljust(188, b"\xff")
        made.append(packet)
    return b"".join(made)


def _mpeg_crc(data: bytes) -> bytes:
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
    return value.to_bytes(4, "big")


def _aes3(samples: np.ndarray, bits: int) -> bytes:
    """A packet of two equal channels.

    Each sample with its lowest bit first, behind it four flags, which are 0 here.
    """
    size = len(samples) * (bits + 4) * 2 // 8
    head = (size << 16 | (bits - 16) // 4 << 4).to_bytes(4, "big")
    text = "".join(
        f"{value:0{bits}b}"[::-1] + "0000" for sample in samples.tolist() for value in (sample, sample)
    )
    return head + int(text, 2).to_bytes(size, "big")


@pytest.mark.parametrize("bits", [16, 20, 24])
@pytest.mark.parametrize("suffix", [".mkv", ".mov"])
def test_sound_of_smpte_302_is_rewrapped_with_the_same_samples(
    tmp_path: Path, bits: int, suffix: str
) -> None:
    """Case 21."""
    source = s302(tmp_path / "in.ts", bits)
    output = tmp_path / f"out{suffix}"
    upscaled(source, output, **settings_for(suffix))
    assert view(output).of("audio")[0].codec == ("pcm_s16le" if bits == 16 else "pcm_s24le")
    assert samples(output) == samples(source)
    assert len(samples(output)) >= 24000 * 2 * 2


def _heard(path: Path) -> list[av.AudioFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(audio=0))


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [("in.m2ts", "pcm_bluray", {"mpegts_m2ts_mode": "1"}), ("in.vob", "pcm_dvd", {})],
)
@pytest.mark.parametrize("suffix", [".mkv", ".mov"])
def test_lpcm_of_discs_is_rewrapped_with_the_same_samples(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], suffix: str
) -> None:
    """Case 21."""
    source = with_sound(
        tmp_path / name, codec, 1920, {".m2ts": "mpegts", ".vob": "vob"}[Path(name).suffix], **options
    )
    output = tmp_path / f"out{suffix}"
    upscaled(source, output, **settings_for(suffix))
    assert view(output).of("audio")[0].codec == "pcm_s16le"
    assert samples(output) == samples(source)


def samples(path: Path) -> bytes:
    """Of the first sound track, decoded."""
    with av.open(str(path)) as container:
        return b"".join(f.to_ndarray().tobytes() for f in container.decode(audio=0))


def test_sound_that_mov_would_hold_under_a_tag_nobody_reads_is_refused_before_work(tmp_path: Path) -> None:
    """Case 23."""
    source = with_sound(tmp_path / "in.asf", "wmav2", 2048, "asf")
    with pytest.raises(
        UsageError,
        match=r"wmav2\): audio stream 1: is of no known codec in the result, expected wmav2; name an output that ends in \.mkv",
    ):
        upscaled(source, tmp_path / "out.mov", **H264)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.asf"]


def renamed(path: Path, source: Path, *names: tuple[bytes, bytes]) -> Path:
    """The same MOV or MP4 with other names where they stand last, which is in its `moov`."""
    content = bytearray(source.read_bytes())
    for old, new in names:
        at = content.rindex(old)
        content[at : at + 4] = new
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["in.nut", "in.avi"])
def test_adpcm_that_mov_would_end_too_early_is_refused_before_work_with_a_remedy_that_works(
    tmp_path: Path, name: str
) -> None:
    """Case 23: MOV counts one sample for each packet of it."""
    source = with_sound(tmp_path / name, "adpcm_yamaha")
    with pytest.raises(
        UsageError,
        match=r"adpcm_yamaha\): audio stream 1 ends \d+\.\d+ ms off; name an output that ends in \.mkv, or leave",
    ):
        upscaled(source, tmp_path / "out.mov", **H264)
    upscaled(source, tmp_path / "out.mkv")
    assert joined(tmp_path / "out.mkv") == joined(source)


@pytest.mark.parametrize(
    ("name", "codec", "tag"),
    [
        ("in.mov", "pcm_mulaw", b""),
        ("in.mov", "pcm_alaw", b""),
        ("in.mov", "pcm_mulaw", b"ms\0\x02"),
        ("in.nut", "pcm_s64le", b""),
    ],
)
def test_sound_under_a_fourcc_goes_into_matroska_under_its_wave_format_tag(
    tmp_path: Path, name: str, codec: str, tag: bytes
) -> None:
    """Case 23: QuickTime's and NUT's tags; Microsoft's ADPCM in MOV."""
    source = with_sound(tmp_path / name, codec)
    if tag:
        source = renamed(tmp_path / "in2.mov", source, (b"ulaw", tag))
    output = tmp_path / "out.mkv"
    upscaled(source, output)
    assert joined(output) == joined(source)
    before, after = (view(path).of("audio")[0] for path in (source, output))
    assert after.codec == before.codec == ("adpcm_ms" if tag else codec)
    with av.open(str(output)) as container:
        assert container.streams.audio[0].codec_context.codec_tag.endswith("\0\0")


@pytest.mark.parametrize(
    ("codec", "container", "last", "end", "lengths", "right"),
    [
        ("aac", "mp4", 0, 0, True, True),
        ("aac", "mp4", 5, 5, True, False),
        ("aac", "matroska", 0, -15, True, True),
        ("aac", "matroska", 0, -40, True, False),
        ("pcm_s16le", "mov", 30, 30, True, True),
        ("pcm_s16le", "mov", 50, 50, True, False),
        ("pcm_s16le", "matroska", 7, 2, True, True),
        ("pcm_s16le", "matroska", 5, 5, True, False),
        ("adpcm_ima_qt", "mov", 5, 5, True, False),
        ("adpcm_ms", "matroska", 0, -21, False, True),
        ("adpcm_ms", "matroska", -21, -21, False, False),
    ],
)
def test_every_sound_track_ends_when_its_source_does(
    codec: str, container: str, last: int, end: int, lengths: bool, right: bool
) -> None:
    """Case 23: last, end: milliseconds by which the last packet begins and ends off."""
    entry = CopiedStream(1, 1, "audio", 50, 0.0, 0.98, 1.0, 0.02, codec=codec)
    found = SimpleNamespace(
        counts={1: 50}, digests={}, codecs={1: codec}, firsts={1: 0.0}, lasts={1: 0.98 + last / 1000},
        ends={1: 1.0 + end / 1000}, without_length=set() if lengths else {1},
    )  # fmt: skip
    plan = SimpleNamespace(encoder=SimpleNamespace(container=container))
    with nullcontext() if right else pytest.raises(VerificationError, match="audio stream 1 ends"):
        check_copied_packets(found, [entry], Fraction(0), plan)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [b"apac", b"mhm1"])
def test_sound_that_has_no_decoder_here_is_passed_on_or_refused_before_work(
    tmp_path: Path, name: bytes
) -> None:
    """Case 23: spatial sound of phones, MPEG-H."""
    plain = media.write(tmp_path / "plain.mp4", SMALL, audio=(media.Audio(seconds=0.48),))
    source = renamed(tmp_path / "in.mp4", plain, (b"esds", b"free"), (b"mp4a", name))
    for suffix in (".mp4", ".mov", ".mkv", ""):
        target = tmp_path / f"out{suffix}" if suffix else tmp_path
        try:
            events = upscaled(source, target, **settings_for(suffix or ".mp4"))
        except UsageError as error:
            assert "can't hold audio stream 1" in str(error)
        else:
            before, after = view(source).of("audio")[0], view(Path(planned_of(events).output)).of("audio")[0]
            assert after.payloads == before.payloads


def with_packets(path: Path, codec: str, packets: list[tuple[int, int, bytes]], container: str) -> Path:
    """A film beside a track of a codec without an encoder. packets: (ms, ms, data)."""
    output = media._open(path, container)
    film = media._add_film(output, replace(SMALL, b_frames=0))
    track = output.add_mux_stream(codec, **({"rate": 48000} if codec in {"truehd", "mlp"} else {}))
    track.time_base = Fraction(1, 48000)
    output.start_encoding()
    others = []
    for pts, duration, data in packets:
        packet = av.Packet(len(data))
        packet.update(data)
        packet.stream, packet.time_base, packet.is_keyframe = track, track.time_base, True
        packet.pts = packet.dts = pts * 48
        packet.duration = duration * 48
        others.append(packet)
    media._mux(output, [*media.packets_of(film, replace(SMALL, b_frames=0)), *others])
    output.close()
    return path


@pytest.mark.parametrize("codec", ["truehd", "mlp"])
def test_lossless_sound_of_discs_is_passed_on_or_refused_with_a_remedy_that_works(
    tmp_path: Path, codec: str
) -> None:
    units = [(n, 1, access_unit(codec, n)) for n in range(480)]
    source = with_packets(tmp_path / "in.mkv", codec, units, "matroska")
    for suffix in (".mp4", ".mov"):
        with pytest.raises(
            UsageError, match=f"can't hold audio stream 1 .{codec}.; name an output that ends in .mkv"
        ):
            upscaled(source, tmp_path / f"out{suffix}", **H264)
    upscaled(source, tmp_path / "out.mkv", **QUICK)
    assert view(tmp_path / "out.mkv").of("audio")[0].payloads == view(source).of("audio")[0].payloads


def test_speex_of_flash_is_passed_on_or_refused_with_a_remedy_that_works(tmp_path: Path) -> None:
    source = with_sound(tmp_path / "in.flv", "libmp3lame", container="flv", layout="mono")
    data, at = bytearray(source.read_bytes()), 13
    while at < len(data):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        if data[at] == 8:
            data[at + 11] = 0xB6  # format 11 (FLV and F4V specification 10.1, section E.4.2.1)
        at += 15 + size
    source.write_bytes(data)
    with pytest.raises(
        UsageError, match=r"can't hold audio stream \d .speex.; name an output that ends in .mkv"
    ):
        upscaled(source, tmp_path / "out.mp4", **H264)
    upscaled(source, tmp_path / "out.mkv", **QUICK)
    before, after = (view(path).of("audio")[0] for path in (source, tmp_path / "out.mkv"))
    assert (after.codec, after.payloads) == ("speex", before.payloads)


def test_teletext_is_called_by_its_name(tmp_path: Path) -> None:
    """FFmpeg has no decoder for it here, and PyAV does not tell its name."""
    pages = [(100, 300, b"\x10" + bytes(46)), (500, 300, b"\x10" + bytes(46))]
    source = with_packets(tmp_path / "in.ts", "dvb_teletext", pages, "mpegts")
    (stream,) = probe(source).streams
    assert (stream.type, stream.codec) == ("subtitle", "dvb_teletext")
    with pytest.raises(UsageError, match=r"matroska can't hold subtitle stream 1 \(dvb_teletext\)"):
        upscaled(source, tmp_path / "out.mkv", **QUICK)


@pytest.mark.parametrize("name", [b"gpmd", b"djmd", b"mebx"])
def test_data_of_cameras_is_passed_on_or_refused_before_work(tmp_path: Path, name: bytes) -> None:
    """Case 25: places, exposure and movement beside the film."""
    plain = media.timecode(tmp_path / "plain.mov")
    source = renamed(tmp_path / "in.mov", plain, (b"tmcd", name))
    with av.open(str(source)) as container:
        assert [s.type for s in container.streams].count("data") == 1
    for suffix in (".mov", ".mkv"):
        try:
            upscaled(source, tmp_path / f"out{suffix}", **settings_for(suffix))
        except UsageError as error:
            assert "can't hold data stream" in str(error)
        else:
            assert [t.payloads for t in view(tmp_path / f"out{suffix}").of("data")] == [
                t.payloads for t in view(source).of("data")
            ]


def test_a_track_without_packets_that_does_not_fit_is_left_out_and_said(tmp_path: Path) -> None:
    """Case 23."""
    output = media._open(tmp_path / "in.ts", "mpegts")
    film, _ = media._add_film(output, SMALL), output.add_stream("aac", rate=48000, layout="stereo")
    output.start_encoding()
    media._mux(output, media.packets_of(film, SMALL))
    output.close()
    events = upscaled(tmp_path / "in.ts", tmp_path / "out.mkv")
    assert planned_of(events).dropped == ("audio stream 1 (aac): it holds nothing",)


def test_timed_text_without_a_word_does_not_keep_a_film_out_of_matroska(tmp_path: Path) -> None:
    """Case 23: MP4 fills the time without text with an empty sample."""
    source = media.write(tmp_path / "in.mp4", SMALL, subtitles=(media.Subtitle("mov_text", ()),))
    with av.open(str(source)) as container:
        assert [bytes(p) for p in container.demux(subtitles=0) if p.size] == [b"\0\0"]
    events = upscaled(source, tmp_path / "out.mkv")
    assert planned_of(events).dropped == ("subtitle stream 1 (mov_text): it holds nothing",)


# --- timecode


def timecodes(path: Path) -> set[str]:
    """All that a file says of its timecode."""
    with av.open(str(path)) as container:
        tags = [container.metadata, *(s.metadata for s in container.streams)]
        return {value for one in tags for key, value in one.items() if key.lower() == "timecode"}


@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".mkv"])
@pytest.mark.parametrize("name", ["in.mov", "in.mp4", "in.mkv", "in.mxf"])
def test_a_timecode_is_kept_as_a_track_or_a_tag(tmp_path: Path, name: str, suffix: str) -> None:
    """Case 25."""
    film = replace(SMALL, codec="mpeg2video", b_frames=0) if name == "in.mxf" else SMALL
    source = media.write(tmp_path / name, film, metadata={"timecode": "10:00:00:20"})
    upscaled(source, tmp_path / f"out{suffix}", **settings_for(suffix))
    assert timecodes(tmp_path / f"out{suffix}") == {"10:00:00:20"}


def test_a_timecode_track_that_no_film_refers_to_is_kept_and_one_without_a_timecode_is_named(
    tmp_path: Path,
) -> None:
    """Case 25."""
    source = media.write(tmp_path / "in.mov", SMALL, metadata={"timecode": "10:00:00:20"})
    content = source.read_bytes()
    source.write_bytes(content.replace(b"tref", b"free", 1))
    with av.open(str(source)) as container:
        assert "timecode" not in container.streams.video[0].metadata
    upscaled(source, tmp_path / "out.mov", **H264)
    assert timecodes(tmp_path / "out.mov") == {"10:00:00:20"}
    entry = content.index(b"tmcd", content.index(b"gmhd") + 24)
    frames_a_second = content.index(b"tmcd", content.rindex(b"stsd")) + 28
    assert entry
    source.write_bytes(content[:frames_a_second] + b"\0" + content[frames_a_second + 1 :])
    assert not timecodes(source)
    with pytest.raises(UsageError, match="can't hold data stream 1"):
        upscaled(source, tmp_path / "other.mov", **H264)


def test_a_part_begins_at_its_own_timecode(tmp_path: Path) -> None:
    """Case 25."""
    source = media.write(tmp_path / "in.mov", replace(SMALL, frames=25), metadata={"timecode": "10:00:00:20"})
    upscaled(source, tmp_path / "out.mov", **H264, range="0.4-0.8")
    assert timecodes(tmp_path / "out.mov") == {"10:00:01:05"}


def said_by_ffmpeg(path: Path) -> set[str]:
    """Timecodes as FFmpeg's own program prints them."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    return set(re.findall(r"timecode *: (\S+)", printed, re.IGNORECASE))


@pytest.mark.parametrize(("name", "suffix"), [("in.ts", ".mov"), ("in.mpg", ".mkv"), ("in.ts", ".mp4")])
def test_a_timecode_that_the_pictures_bear_becomes_a_track_or_a_tag(
    tmp_path: Path, name: str, suffix: str
) -> None:
    """Case 25: that of MPEG-2's GOP headers."""
    film = replace(SMALL, codec="mpeg2video", b_frames=0, options={"gop_timecode": "10:00:00:20"})
    source = media.write(tmp_path / name, film)
    assert not timecodes(source)
    upscaled(source, tmp_path / f"out{suffix}", **settings_for(suffix))
    assert (
        timecodes(tmp_path / f"out{suffix}") == said_by_ffmpeg(tmp_path / f"out{suffix}") == {"10:00:00:20"}
    )


def test_a_count_from_zero_is_no_timecode(tmp_path: Path) -> None:
    """Case 25: every encoder of MPEG-2 writes one."""
    source = media.write(tmp_path / "in.ts", replace(SMALL, codec="mpeg2video", b_frames=0))
    upscaled(source, tmp_path / "out.mov", **H264)
    assert not timecodes(tmp_path / "out.mov")


def test_a_picture_of_each_field_is_counted_twice_as_fast(tmp_path: Path) -> None:
    """Case 25."""
    film = replace(
        SMALL,
        frames=8,
        rate=Fraction(25),
        woven=tuple((2 * n, 2 * n + 1) for n in range(8)),
        field_flags="tff",
    )
    source = media.write(tmp_path / "in.mov", film, metadata={"timecode": "10:00:00:20"})
    upscaled(source, tmp_path / "out.mov", **H264, deinterlace="bob")
    assert said_by_ffmpeg(tmp_path / "out.mov") == {"10:00:00:40"}
    assert convert_timecode("00:01:00;02", Fraction(30000, 1001), Fraction(60000, 1001)) == "00:01:00;04"
    assert convert_timecode("00:01:00;02", Fraction(30000, 1001), Fraction(24000, 1001)) == "00:01:00:01"


def test_a_tag_that_is_no_timecode_stops_no_run(tmp_path: Path) -> None:
    """Case 25: MP4 and MOV would not be written."""
    source = media.write(tmp_path / "in.mkv", SMALL, metadata={"TIMECODE": "hello"})
    events = upscaled(source, tmp_path / "out.mp4", **H264)
    assert any(
        "mp4 can't hold these tags: TIMECODE = hello" in note for note in planned_of(events).info.notes
    )
    assert not timecodes(tmp_path / "out.mp4")


# --- video beside


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_second_film_of_a_broadcast_is_passed_on_though_its_start_codes_become_lengths(
    tmp_path: Path, codec: str, suffix: str
) -> None:
    """Case 21."""
    source = two_films(tmp_path / "in.ts", "mpegts", codec)
    output = tmp_path / f"out{suffix}"
    upscaled(source, output, **settings_for(suffix))
    assert shown(output, 1) == shown(source, 1)


def shown(path: Path, index: int) -> list[str]:
    """Pictures of a film, by hash."""
    with av.open(str(path)) as container:
        return [hashlib.sha256(f.to_ndarray().tobytes()).hexdigest() for f in container.decode(video=index)]


@pytest.mark.parametrize(
    ("codec", "mime", "name"), [("tiff", "image/tiff", "cover.tif"), ("png", "image/png", "cover.png")]
)
def test_a_cover_keeps_its_type(tmp_path: Path, codec: str, mime: str, name: str) -> None:
    """Case 21."""
    context = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt, context.time_base = 32, 32, "rgb24", Fraction(1, 25)
    frame = av.VideoFrame(32, 32, "rgb24")
    frame.pts = 0
    cover = b"".join(bytes(p) for p in [*context.encode(frame), *context.encode(None)])
    source = media.write(tmp_path / "in.mkv", SMALL, attachments=((name, mime, cover),))
    upscaled(source, tmp_path / "out.mkv")
    assert mime.encode() in (tmp_path / "out.mkv").read_bytes()
    (kept,) = [t for t in view(tmp_path / "out.mkv").tracks if t.is_cover]
    assert kept.payloads == [hashlib.sha256(cover).hexdigest()]


# --- the trial


def test_a_remedy_is_named_only_where_it_was_tried_and_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 23."""
    text = media.Subtitle("mov_text", ((100, 200, "one"),))
    source = media.write(tmp_path / "in.mp4", SMALL, subtitles=(text,))
    with pytest.raises(
        UsageError,
        match=r"subtitle stream.*name an output that ends in \.mp4, or .*leave it out with --drop-incompatible",
    ):
        upscaled(source, tmp_path / "out.mkv", **H264)
    with_font = media.write(
        tmp_path / "in.mkv",
        SMALL,
        audio=(media.Audio("pcm_s16le", 0.4),),
        attachments=(("a.ttf", "application/x-truetype-font", b"0" * 99),),
    )
    with pytest.raises(
        UsageError,
        match=r"mp4 can't hold attachment stream 2 [^;]*; name an output that ends in \.mkv, or leave",
    ):
        upscaled(with_font, tmp_path / "out.mp4", **H264)
    monkeypatch.setattr(
        container_choice, "tracks_that_fail", lambda _, info, **__: [(s, "no room") for s in info.streams]
    )
    with pytest.raises(
        UsageError, match=r"mp4 can't hold [^;]*: no room; leave them out with --drop-incompatible"
    ):
        upscaled(with_font, tmp_path / "out.mp4", **H264)


def test_without_a_suffix_the_result_goes_where_every_track_fits_and_says_so(tmp_path: Path) -> None:
    """Case 23."""
    source = with_sound(tmp_path / "in.mov", "adpcm_ima_qt", 64)
    planned = plan_video(source, None, run_settings(**H264))
    assert not planned.left_out
    assert Path(planned.output).suffix != ".mp4"
    assert any(
        "mp4 can't hold" in note and "audio stream 1 (adpcm_ima_qt)" in note for note in planned.info.notes
    )


@pytest.mark.parametrize("output", ["out.mkv", "out.mp4", "out.tif"])
def test_what_verification_would_find_at_the_end_is_said_before_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    """Case 23."""
    source = media.cfr(tmp_path / "in.mp4", frames=1 if output.endswith("tif") else 4)
    if output.endswith("tif"):
        source = tmp_path / "in.png"
        media.picture(0, 64, 48).reformat(format="rgb24").save(str(source))

    def wrong(*_: object, **__: object) -> None:
        raise VerificationError("a sample of the result is 1 wide for its height, expected 2")

    monkeypatch.setattr(trial, "verify", wrong)
    with pytest.raises(UsageError, match="the result can't be made: a sample of the result is 1 wide"):
        plan_video(
            source,
            tmp_path / output,
            run_settings(**(H264 if output != "out.tif" else {"scale": 2, "model": "nearest"})),
        )


def test_a_muxer_that_fails_only_at_its_trailer_is_found_before_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 23."""
    from pipelines.containers import copied_tracks

    source = with_sound(tmp_path / "in.mkv", "pcm_s16le")
    monkeypatch.setattr(copied_tracks, "_complete_layout", lambda _: None)
    with pytest.raises(
        UsageError, match=r"mp4 can't hold audio stream 1 \(pcm_s16le\).*name an output that ends in \.mkv"
    ):
        upscaled(source, tmp_path / "out.mp4", **H264)


def test_the_trial_of_a_slow_encoder_takes_small_frames_and_all_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 23."""
    tried = []

    def encoded(frames: list[Frame], index: int, encoder: Encoder, **facts: object) -> EncodedChunk:
        tried.append((encoder, facts["sar"], [plane.shape for plane in frames[0].planes]))
        return encode_chunk(frames, index, encoder, **facts)  # type: ignore[arg-type]

    monkeypatch.setattr(trial, "encode_chunk", encoded)
    source = media.cfr(tmp_path / "in.mp4", frames=4, size=(192, 108), sar=Fraction(4, 3))
    settings = {"to": "3840x2160", "model": "nearest", "codec": "hevc", "preset": "ultrafast"}
    planned = plan_video(source, tmp_path / "out.mp4", run_settings(**settings))
    ((encoder, sar, shapes),) = tried
    assert planned.plan.encoder == replace(
        encoder, width=planned.plan.out_width, height=planned.plan.out_height
    )
    assert planned.plan.out_width > 2 * encoder.width
    assert shapes[0] == (encoder.height, encoder.width)
    assert encoder.width * encoder.height <= 1280 * 720
    assert sar == planned.plan.sar


@pytest.mark.parametrize("suffix", [".mov", ".mp4"])
def test_timed_text_from_before_the_film_does_not_move_what_comes_after(tmp_path: Path, suffix: str) -> None:
    """Case 21."""
    source = tmp_path / f"in{suffix}"
    output = media._open(source, None)
    film = media._add_film(output, SMALL)
    text = output.add_mux_stream("mov_text")
    text.time_base = Fraction(1, 1000)
    output.start_encoding()
    events = ((-400, 100, "before"), (100, 50, "one"), (300, 100, "two"))
    packets = media._subtitle_packets(text, media.Subtitle("mov_text", events))
    media._mux(output, [*media.packets_of(film, SMALL), *packets])
    output.close()
    upscaled(source, tmp_path / f"out{suffix}", **settings_for(suffix))

    def told(path: Path) -> list[tuple[int, bytes]]:
        with av.open(str(path)) as container:
            packets = [p for p in container.demux(subtitles=0) if p.size > 2]
        return [(max(0, p.pts or 0), bytes(p)) for p in packets if (p.pts or 0) + (p.duration or 0) > 0]

    assert len(told(source)) == 2
    assert told(tmp_path / f"out{suffix}") == told(source)


def test_a_subtitle_that_is_up_when_the_film_begins_keeps_its_end() -> None:
    """Case 21."""
    packet = av.Packet(b"one")
    for shown, length, kept in (
        (-400, 450, (0, 50)),
        (-400, 400, None),
        (-400, 0, (0, 0)),
        (10, 5, (10, 5)),
    ):
        packet.pts, packet.dts, packet.duration = shown, shown, length
        assert clip_start(packet, 0) == (kept is not None)
        assert kept is None or (packet.pts, packet.duration) == kept


def test_subtitles_that_were_off_stay_off_and_lost_flags_are_said(tmp_path: Path) -> None:
    """Case 23: FFmpeg's muxer of MP4 and MOV enables the first track of each kind."""
    texts = tuple(
        media.Subtitle("mov_text", disposition=int(flags))
        for flags in (Disposition.forced, Disposition.default, Disposition.hearing_impaired)
    )
    source = media.write(tmp_path / "in.mp4", SMALL, audio=(media.Audio(seconds=0.4),), subtitles=texts[:1])
    off = tmp_path / "off.mp4"
    upscaled(source, off, **H264)
    three = media.write(tmp_path / "three.mp4", SMALL, subtitles=texts)
    upscaled(three, tmp_path / "on.mp4", **H264)

    def flags(path: Path) -> list[Disposition]:
        with av.open(str(path)) as container:
            return [s.disposition for s in container.streams]

    with av.open(str(source)) as container:
        given = container.streams[2].disposition & ~Disposition.default
    assert flags(source)[2] & Disposition.default  # by FFmpeg's muxer, which was not asked
    assert flags(off) == flags(source)
    assert flags(tmp_path / "on.mp4") == flags(three)
    assert not flags(tmp_path / "on.mp4")[1] & Disposition.default
    disable_tracks(source, [2])
    upscaled(source, tmp_path / "off2.mp4", **H264)
    assert flags(tmp_path / "off2.mp4")[2] == given
    notes = plan_video(source, tmp_path / "out.mov", run_settings(**H264)).info.notes
    assert any("forced (flag of subtitle stream 2)" in note for note in notes)


def test_a_remedy_for_rounded_times_is_named_only_where_every_track_fits(tmp_path: Path) -> None:
    """Case 23."""
    for fits in (True, False):
        source = tmp_path / f"in-{fits}.m2ts"
        output = media._open(source, "mpegts", {"mpegts_m2ts_mode": "1"})
        film = media._add_film(output, SMALL)
        text = None if fits else output.add_mux_stream("hdmv_pgs_subtitle")
        output.start_encoding()
        packets = media.packets_of(film, SMALL)
        if text is not None:
            event = av.Packet(b"\x80\0\0")
            event.stream, event.time_base, event.pts, event.dts = text, Fraction(1, 1000), 100, 100
            packets.append(event)
        media._mux(output, packets)
        output.close()
        notes = plan_video(source, tmp_path / "out.mkv", run_settings(**H264)).info.notes
        (said,) = [note for note in notes if "keeps times to 1 ms" in note]
        assert ("an output that ends in .mp4" in said) == fits


# --- parts


def beside(path: Path, codec: str, packets: tuple[tuple[int, int, bytes], ...]) -> Path:
    """Two seconds of film beside packets of (start ms, duration ms, data)."""
    film = replace(SMALL, frames=50)
    options = {"mpegts_m2ts_mode": "1"} if path.suffix == ".m2ts" else {}
    output = media._open(
        path, {".ts": "mpegts", ".m2ts": "mpegts", ".mkv": "matroska"}.get(path.suffix), options
    )
    stream, track = media._add_film(output, film), output.add_mux_stream(codec)
    track.time_base = Fraction(1, 1000)
    output.start_encoding()
    made = media.packets_of(stream, film)
    for start, length, data in packets:
        packet = av.Packet(len(data))
        packet.update(data)
        packet.stream, packet.time_base, packet.is_keyframe = track, Fraction(1, 1000), True
        packet.pts, packet.dts, packet.duration = start, start, length
        made.append(packet)
    media._mux(output, made)
    output.close()
    return path


def lengths(path: Path, kind: str) -> list[tuple[int, int, bytes]]:
    """(start ms, duration ms, payload) of the packets of the first track of a kind that is no film."""
    with av.open(str(path)) as container:
        track = next(s for s in container.streams if s.type == kind and s.index)
        ms = 1000 * Fraction(track.time_base)
        return [
            (round(p.pts * ms), round((p.duration or 0) * ms), bytes(p))
            for p in container.demux(track)
            if p.size
        ]


def test_samples_of_data_that_last_into_a_part_are_kept_and_no_longer_than_it(tmp_path: Path) -> None:
    """Case 25: places and movement of a second, of which the part shows some."""
    source = beside(tmp_path / "in.mp4", "bin_data", tuple((500 * n, 500, bytes([n] * 9)) for n in range(4)))
    upscaled(source, tmp_path / "out.mp4", **H264, range="0.72-1.44")
    assert lengths(tmp_path / "out.mp4", "data") == [(0, 280, bytes([1] * 9)), (280, 440, bytes([2] * 9))]


@pytest.mark.parametrize(
    ("codec", "name", "length"),
    [("hdmv_pgs_subtitle", "in.m2ts", 0), ("dvb_subtitle", "in.ts", 0), ("subrip", "in.mkv", 400)],
)
def test_a_subtitle_that_is_up_when_a_part_begins_is_kept(
    tmp_path: Path, codec: str, name: str, length: int
) -> None:
    """Case 24: those without a duration stay until the next one."""
    given = [f"text {n}".encode() for n in range(4)]
    if codec == "hdmv_pgs_subtitle":
        given = [b"\x16\0\x0b\0\x40\0\x30\x10\0" + bytes([n]) + b"\x80\0\0\0\x80\0\0" for n in range(4)]
    elif codec == "dvb_subtitle":
        given = [b"\x20\0\x0f\x10\0\1\0\2" + bytes([5, n << 4]) + b"\x0f\x80\0\1\0\0\xff" for n in range(4)]
    source = beside(
        tmp_path / name, codec, tuple((100 + 500 * n, length, data) for n, data in enumerate(given))
    )
    whole = [data for _, _, data in lengths(source, "subtitle")]
    for part, shown in (("0.72-1.44", [(0, 1), (380, 2)]), ("1.6-", [(0, 3)]), ("1.72-", [(0, 3)])):
        upscaled(source, tmp_path / f"{part}.mkv", range=part)
        assert [(t, d) for t, _, d in lengths(tmp_path / f"{part}.mkv", "subtitle")] == [
            (t, whole[n]) for t, n in shown
        ]


@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
@pytest.mark.parametrize(
    ("name", "codec", "block"), [("in.mkv", "pcm_s16le", 9600), ("in.mov", "pcm_s24le", 1024)]
)
def test_pcm_of_a_part_is_cut_to_the_sample(
    tmp_path: Path, name: str, codec: str, block: int, suffix: str
) -> None:
    """Case 24: no sound of a long packet is lost, and none goes on after the film."""
    source = with_sound(tmp_path / name, codec, block)
    upscaled(source, tmp_path / f"out{suffix}", **settings_for(suffix), range="0.12-0.32")
    width = 2 * int(codec[5:7]) // 8
    assert joined(tmp_path / f"out{suffix}") == joined(source)[5760 * width : 15360 * width]


def test_a_second_film_of_a_part_begins_with_a_key_frame_and_can_be_decoded(tmp_path: Path) -> None:
    """Case 25."""
    source = two_films(tmp_path / "in.mkv")
    for suffix in (".mkv", ".mp4"):
        output = tmp_path / f"out{suffix}"
        events = upscaled(source, output, **settings_for(suffix), range="0.12-0.52")
        assert "video stream 1 begins with its first key frame in the range" in planned_of(events).info.notes
        with av.open(str(output)) as container:
            packets = [p for p in container.demux(video=1) if p.size]
        assert packets[0].is_keyframe
        assert float(packets[0].pts * packets[0].time_base) == pytest.approx(0.2, abs=1e-3)
        with av.open(str(output)) as container:
            assert [f.pts is not None for f in container.decode(video=1)] == [True] * len(packets)
        with av.open(str(source)) as container:
            wanted = [f.to_ndarray() for f in container.decode(video=1)][8 : 8 + len(packets)]
        with av.open(str(output)) as container:
            assert all(
                (f.to_ndarray() == w).all() for f, w in zip(container.decode(video=1), wanted, strict=True)
            )


def test_sound_in_long_packets_is_said_to_begin_with_a_whole_one(tmp_path: Path) -> None:
    """Case 24."""
    source = with_sound(tmp_path / "in.avi", "adpcm_ms", block_size="8192")
    with av.open(str(source)) as container:
        longest = max(float((p.duration or 0) * p.time_base) for p in container.demux(audio=0))
    events = upscaled(source, tmp_path / "out.mkv", range="0.12-0.4")
    said = any(
        "begins with its first whole one in the range" in note for note in planned_of(events).info.notes
    )
    assert said == (longest > 0.1)
