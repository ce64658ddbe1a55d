"""Generates videos of every kind: one function per trait, which writes a file and returns its path.

Images are small and all different: a moving wave, and the frame's number as bars. The other functions use
`write`.
"""

from __future__ import annotations

import dataclasses
import io
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.packet import PacketSideData, packet_sidedata_type_from_literal
from av.stream import Disposition

TICKS = Fraction(1, 90000)


# --- pictures


def planes_of(number: int, width: int, height: int, pix_fmt: str = "yuv420p") -> list[np.ndarray]:
    """The planes of frame `number`: uint8, or uint16 above 8 bits, where the lowest bits are in use too."""
    bits = 10 if "10" in pix_fmt else 8
    sub_x, sub_y = {"420": (1, 1), "422": (1, 0), "444": (0, 0)}.get(
        pix_fmt.replace("yuvj", "yuv")[3:6], (0, 0)
    )
    sizes = (
        [(height, width)]
        if pix_fmt.startswith("gray")
        else [(height, width), *[(-(-height >> sub_y), -(-width >> sub_x))] * 2]
    )
    planes = []
    for place, (rows, columns) in enumerate(sizes):
        y, x = np.mgrid[0:rows, 0:columns]
        phase = (x / max(1, columns) + 0.5 * y / max(1, rows)) * (2 - 0.5 * place) + number * (
            0.13 + 0.05 * place
        )
        wave = np.abs(phase % 2 - 1)
        codes = (40 + 170 * wave) if place == 0 else (64 + 120 * wave)
        codes = codes * (1 << (bits - 8))
        if bits > 8:
            codes = codes + (x + y + number) % (1 << (bits - 8))
        codes = codes.astype(np.int64)
        if place == 0 and rows >= 8 and columns >= 16:
            bar = columns // 16
            for bit in range(16):
                codes[: rows // 8, bit * bar : (bit + 1) * bar] = (220 if number >> bit & 1 else 30) << (
                    bits - 8
                )
        planes.append(codes.astype(np.uint8 if bits == 8 else np.uint16))
    return planes


def picture(number: int, width: int, height: int, pix_fmt: str = "yuv420p") -> av.VideoFrame:
    """Frame `number` for an encoder, of a planar YUV or grey format."""
    frame = av.VideoFrame(width, height, pix_fmt)
    for plane, values in zip(frame.planes, planes_of(number, width, height, pix_fmt), strict=True):
        rows = np.frombuffer(plane, values.dtype).reshape(-1, plane.line_size // values.itemsize)
        rows[: values.shape[0], : values.shape[1]] = values
    return frame


def woven(film: Film, number: int) -> av.VideoFrame:
    """Frame `number` of a film, woven from the lines of two images."""
    assert film.woven is not None
    fields = [planes_of(n, *film.size, film.pix_fmt) for n in film.woven[number]]
    frame = av.VideoFrame(*film.size, film.pix_fmt)
    for plane, top, bottom in zip(frame.planes, *fields, strict=True):
        rows = np.frombuffer(plane, top.dtype).reshape(-1, plane.line_size // top.itemsize)[
            : top.shape[0], : top.shape[1]
        ]
        rows[0::2], rows[1::2] = top[0::2], bottom[1::2]
    return frame


# --- the film and its company


@dataclass(frozen=True)
class Film:
    """A video track; by default x264 with closed GOPs of 8 frames and two B-frames."""

    frames: int = 24
    size: tuple[int, int] = (64, 48)
    rate: Fraction = Fraction(24)
    pts: tuple[int, ...] | None = None
    """Ticks of `time_base`; None: constant rate from 0."""
    time_base: Fraction | None = None
    """None: one over the rate."""
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    gop: int = 8
    b_frames: int = 2
    options: dict[str, str] = field(default_factory=dict)
    sar: Fraction | None = None
    tags: tuple[int, int, int, int] = (1, 1, 1, 1)
    """Matrix, range, primaries, transfer."""
    first_number: int = 0
    """Of its pictures, to tell two films apart."""
    still: bool = False
    """All its pictures are the same."""
    woven: tuple[tuple[int, int], ...] | None = None
    """Which pictures the top and the bottom field of each frame come from."""
    field_flags: str = ""
    """tff or bff: what each frame tells its encoder."""

    @property
    def base(self) -> Fraction:
        return self.time_base or 1 / self.rate

    @property
    def times(self) -> tuple[int, ...]:
        if self.pts is not None:
            return self.pts
        return tuple(round(n / self.rate / self.base) for n in range(self.frames))


@dataclass(frozen=True)
class Audio:
    """A sine; its frequency identifies the track."""

    codec: str = "aac"
    seconds: float = 1.0
    hertz: float = 440.0
    language: str = "eng"
    title: str = ""
    start: Fraction = Fraction(0)


@dataclass(frozen=True)
class Subtitle:
    """Text events of (start ms, duration ms, text)."""

    codec: str = "subrip"
    events: tuple[tuple[int, int, str], ...] = ((100, 300, "one"), (500, 300, "two"))
    language: str = "eng"
    title: str = ""
    disposition: int = 0


_FAST = {"libx264": {"preset": "ultrafast", "crf": "20"}, "libx265": {"preset": "ultrafast", "crf": "20"}}
_ASS_FILE = (
    b"[Script Info]\r\nScriptType: v4.00+\r\n\r\n[V4+ Styles]\r\nFormat: Name, Fontname, Fontsize\r\nStyle: Default,Arial,20\r\n\r\n"
    b"[Events]\r\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\r\n"
    b"Dialogue: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,x\r\n"
)


def _codec_options(film: Film) -> dict[str, str]:
    options = {"g": str(film.gop), **_FAST.get(film.codec, {})}
    if film.codec == "libx264":
        params = [
            f"keyint={film.gop}",
            "min-keyint=1",
            "scenecut=0",
            f"bframes={film.b_frames}",
            "b-adapt=0",
            "weightp=0",
        ]
        if "x264-params" in film.options:
            params.append(film.options["x264-params"])
        options["x264-params"] = ":".join(params)
    elif film.codec == "libx265":
        params = [
            f"keyint={film.gop}",
            "min-keyint=1",
            "scenecut=0",
            f"bframes={film.b_frames}",
            "b-adapt=0",
            "log-level=none",
            "pools=none",
            "frame-threads=1",
        ]
        params.append(film.options.get("x265-params", "open-gop=0"))
        options["x265-params"] = ":".join(params)
    elif film.codec in {"mpeg2video", "mpeg4"}:
        options |= {"bf": str(film.b_frames), "q:v": "3"}
    return {**options, **{k: v for k, v in film.options.items() if k not in {"x264-params", "x265-params"}}}


def _open(
    path: Path, container: str | None, options: dict[str, str] | None = None
) -> av.container.OutputContainer:
    return av.open("file:" + str(path.absolute()), "w", format=container, container_options=options or {})


def _add_film(output: av.container.OutputContainer, film: Film) -> av.VideoStream:
    stream = output.add_stream(film.codec, rate=film.rate, options=_codec_options(film))
    context = stream.codec_context
    context.width, context.height = film.size
    context.pix_fmt = film.pix_fmt
    context.time_base = film.base
    stream.time_base = film.base
    context.thread_count = 1
    context.colorspace, context.color_range, context.color_primaries, context.color_trc = film.tags
    if film.sar is not None:
        context.sample_aspect_ratio = film.sar
    return stream


def packets_of(stream: av.VideoStream, film: Film) -> list[av.Packet]:
    """The encoded packets of a film, in decode order."""
    times = film.times
    ends = [
        *times[1:],
        times[-1] + (times[-1] - times[-2] if len(times) > 1 else max(1, round(1 / film.rate / film.base))),
    ]
    lengths = {t: e - t for t, e in zip(times, ends, strict=True)}
    packets = []
    mark = _marker(film)
    for number, pts in enumerate(times):
        frame = (
            picture(film.first_number + number * (not film.still), *film.size, film.pix_fmt)
            if film.woven is None
            else woven(film, number)
        )
        frame.pts, frame.time_base = pts, film.base
        frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc = film.tags
        packets += stream.encode(mark(frame))
    packets += stream.encode(None)
    for packet in packets:
        packet.duration = lengths.get(packet.pts, 1)
    return packets


def _marker(film: Film) -> Callable[[av.VideoFrame], av.VideoFrame]:
    """Sets the field flags of frames, which only a filter can."""
    if not film.field_flags:
        return lambda frame: frame
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=film.size[0],
        height=film.size[1],
        format=av.VideoFormat(film.pix_fmt, *film.size),
        time_base=film.base,
    )
    node, sink = graph.add("setfield", film.field_flags), graph.add("buffersink")
    source.link_to(node)
    node.link_to(sink)
    graph.configure()

    def mark(frame: av.VideoFrame) -> av.VideoFrame:
        assert graph.configured  # its nodes don't keep it alive
        source.push(frame)
        return sink.pull()

    return mark


def _audio_packets(stream: av.AudioStream, audio: Audio) -> list[av.Packet]:
    rate, packets = 48000, []
    count = int(audio.seconds * rate)
    samples = (0.3 * np.sin(2 * np.pi * audio.hertz * np.arange(count) / rate)).astype(np.float32)
    for start in range(0, count, 1024):
        block = samples[start : start + 1024]
        layout = "stereo"
        if audio.codec.startswith("pcm"):
            pcm = (block * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(np.repeat(pcm, 2)[None], format="s16", layout=layout)
        else:
            frame = av.AudioFrame.from_ndarray(np.stack([block, block]), format="fltp", layout=layout)
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = start + round(audio.start * rate)
        packets += stream.encode(frame)
    return [*packets, *stream.encode(None)]


def _subtitle_packets(stream: av.stream.Stream, subtitle: Subtitle) -> list[av.Packet]:
    packets = []
    for number, (start, length, text) in enumerate(subtitle.events):
        data = text.encode()
        if subtitle.codec == "ass":
            data = f"{number},0,Default,,0,0,0,,{text}".encode()
        elif subtitle.codec == "mov_text":
            data = struct.pack(">H", len(data)) + data
        packet = av.Packet(len(data))
        packet.update(data)
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = start
        packet.duration = length
        packet.is_keyframe = True
        packets.append(packet)
    return packets


def write(
    path: Path,
    film: Film,
    *,
    audio: tuple[Audio, ...] = (),
    subtitles: tuple[Subtitle, ...] = (),
    chapters: tuple[tuple[int, int, str], ...] = (),
    attachments: tuple[tuple[str, str, bytes], ...] = (),
    metadata: dict[str, str] | None = None,
    container: str | None = None,
    muxer_options: dict[str, str] | None = None,
    shift: Fraction = Fraction(0),
) -> Path:
    """Encode a film and its other tracks, and mux them in order of time.

    chapters: (start ms, end ms, title). attachments: (name, MIME type, data). shift: seconds added to all
    tracks.
    """
    output = _open(path, container, muxer_options)
    stream = _add_film(output, film)
    sounds = []
    for sound in audio:
        track = output.add_stream(sound.codec, rate=48000, layout="stereo")
        track.metadata["language"] = sound.language
        if sound.title:
            track.metadata["title"] = sound.title
        sounds.append(track)
    texts = []
    for subtitle in subtitles:
        if subtitle.codec == "ass":  # its header has to come from somewhere
            with av.open(io.BytesIO(_ASS_FILE), format="ass") as template:
                text = output.add_stream_from_template(template.streams[0], opaque=True)
        else:
            text = output.add_mux_stream(subtitle.codec)
        text.time_base = Fraction(1, 1000)
        text.metadata["language"] = subtitle.language
        if subtitle.title:
            text.metadata["title"] = subtitle.title
        if subtitle.disposition:
            text.disposition = Disposition(subtitle.disposition)
        texts.append(text)
    for name, mime, data in attachments:
        output.add_attachment(name, mime, data)
    if chapters:
        output.set_chapters(
            [
                {
                    "id": n + 1,
                    "start": start,
                    "end": end,
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": title},
                }
                for n, (start, end, title) in enumerate(chapters)
            ]
        )
    output.metadata.update(metadata or {})
    output.start_encoding()
    packets = packets_of(stream, film)
    for track, sound in zip(sounds, audio, strict=True):
        packets += _audio_packets(track, sound)
    for text, subtitle in zip(texts, subtitles, strict=True):
        packets += _subtitle_packets(text, subtitle)
    _mux(output, packets, shift)
    output.close()
    return path


def _mux(
    output: av.container.OutputContainer, packets: list[av.Packet], shift: Fraction = Fraction(0)
) -> None:
    for packet in packets:
        if shift:
            ticks = round(shift / packet.time_base)
            packet.pts += ticks
            packet.dts += ticks
    for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
        output.mux_one(packet)


# --- one function a trait


def cfr(path: Path, frames: int = 24, rate: Fraction = Fraction(24), **film: object) -> Path:
    """Constant frame rate."""
    return write(path, Film(frames=frames, rate=rate, **film))  # type: ignore[arg-type]


VFR_PTS = (0, 1001, 2002, 2500, 9009, 9010, 90000)
"""Ticks of 1/90000 s; two of them are 11 µs apart."""


def vfr(path: Path, pts: tuple[int, ...] = VFR_PTS, time_base: Fraction = TICKS, **film: object) -> Path:
    """Variable frame rate with given timestamps."""
    return write(
        path,
        Film(
            **{
                "frames": len(pts),
                "rate": Fraction(30),
                "pts": pts,
                "time_base": time_base,
                "b_frames": 0,
                **film,
            }
        ),
    )  # type: ignore[arg-type]


def open_gop(path: Path, codec: str, frames: int = 36) -> Path:
    """Leading frames after every key frame belong to the GOP before it in time."""
    options = {"libx264": {"x264-params": "open-gop=1"}, "libx265": {"x265-params": "open-gop=1"}}.get(
        codec, {}
    )
    return write(
        path, Film(frames=frames, rate=Fraction(25), codec=codec, gop=9, b_frames=2, options=options)
    )


def intra_refresh(path: Path, frames: int = 40) -> Path:
    """H.264 with a single IDR frame: a column of intra blocks moves through the image."""
    return write(path, Film(frames=frames, gop=10, b_frames=0, options={"x264-params": "intra-refresh=1"}))


def long_gop(path: Path, frames: int = 48, **film: object) -> Path:
    """One key frame, at the start."""
    return write(path, Film(frames=frames, gop=1000, **film))  # type: ignore[arg-type]


def raw(path: Path, codec: str = "libx264", frames: int = 24) -> Path:
    """An elementary stream without a container; B-frames, no timestamps."""
    return write(
        path,
        Film(frames=frames, rate=Fraction(25), codec=codec),
        container={"libx264": "h264", "libx265": "hevc"}[codec],
    )


def start_offset(path: Path, seconds: Fraction = Fraction(3, 2), *, container: str | None = None) -> Path:
    """Film and sound both begin later than 0."""
    film = Film(frames=24, rate=Fraction(25), time_base=TICKS if container == "mpegts" else None)
    return write(path, film, audio=(Audio(seconds=0.96),), shift=seconds, container=container)


def edit_list(path: Path, hidden: int = 5, shown: int = 25) -> Path:
    """MP4 with an edit list that hides the first frames, which have to be decoded."""
    film = Film(
        frames=hidden + shown,
        rate=Fraction(25),
        gop=50,
        pts=tuple(range(-hidden, shown)),
        time_base=Fraction(1, 25),
    )
    return write(path, film)


def ts_wrap(path: Path, frames: int = 48) -> Path:
    """MPEG-TS whose 33-bit clock wraps in the middle."""
    start = (1 << 33) - 90000
    film = Film(frames=frames, rate=Fraction(25), time_base=TICKS)
    return write(
        path,
        film,
        audio=(Audio(seconds=1.92),),
        shift=start * TICKS,
        container="mpegts",
        muxer_options={"mpegts_copyts": "1"},
    )


def ts_with_few_times(path: Path, keep: Callable[[int], bool], **film: object) -> Path:
    """A transport stream in which only the frames selected by `keep` (by number) have a PTS.

    H.222.0 clause 2.7.4 requires one every 0.7 s.
    """
    data, number = bytearray(cfr(path, **film).read_bytes()), 0
    for at in range(0, len(data), 188):
        begins = at + 4 + (1 + data[at + 4] if data[at + 3] & 0x20 else 0)
        if data[at + 1] & 0x40 and data[begins : begins + 3] == b"\0\0\1" and data[begins + 3] & 0xF0 == 0xE0:
            if not keep(number):
                length = data[begins + 8]
                data[begins + 7] &= 0x3F  # PTS_DTS_flags
                data[begins + 9 : begins + 9 + length] = b"\xff" * length
            number += 1
    path.write_bytes(data)
    return path


def ts_concatenated(
    path: Path, frames: int = 24, starts: tuple[Fraction, ...] = (Fraction(0), Fraction(0))
) -> Path:
    """`cat a.ts b.ts`: the clock starts again in the second part."""
    parts = []
    for number, start in enumerate(starts):
        part = path.with_name(f"{path.stem}-{number}.ts")
        film = Film(frames=frames, rate=Fraction(25), time_base=TICKS, first_number=number * frames)
        write(
            part,
            film,
            audio=(Audio(seconds=frames / 25, hertz=300 + 200 * number),),
            shift=start,
            container="mpegts",
        )
        parts.append(part.read_bytes())
        part.unlink()
    path.write_bytes(b"".join(parts))
    return path


def ts_size_change(path: Path) -> Path:
    """Two joined TS recordings of different frame sizes."""
    parts = []
    for number, size in enumerate(((64, 48), (80, 64))):
        part = path.with_name(f"{path.stem}-{number}.ts")
        write(
            part,
            Film(frames=16, rate=Fraction(25), time_base=TICKS, size=size),
            shift=Fraction(number * 16, 25),
            container="mpegts",
        )
        parts.append(part.read_bytes())
        part.unlink()
    path.write_bytes(b"".join(parts))
    return path


def hole(path: Path, seconds: int = 10) -> Path:
    """A gap of ten seconds in the middle."""
    first = tuple(range(12))
    return write(
        path,
        Film(
            frames=24,
            rate=Fraction(25),
            time_base=Fraction(1, 25),
            pts=first + tuple(n + 25 * seconds + 12 for n in first),
        ),
    )


def two_speeds(path: Path, container: str | None = None) -> Path:
    """10 ms between frames, then 500 ms: naive decode times of one half overlap the other's."""
    pts = tuple(range(0, 40 * 900, 900)) + tuple(40 * 900 + n * 45000 for n in range(12))
    return write(
        path,
        Film(frames=len(pts), rate=Fraction(50), pts=pts, time_base=TICKS, b_frames=3),
        container=container,
    )


def misdated(path: Path, frames: int = 40) -> Path:
    """Two packets in the middle have each other's timestamp, so frames come out of order.

    Nothing is damaged.
    """
    film = Film(frames=frames, rate=Fraction(25), time_base=Fraction(1, 25), gop=8)
    output = _open(path, None)
    stream = _add_film(output, film)
    output.start_encoding()
    packets = packets_of(stream, film)
    one, other = packets[frames // 2 - 1 : frames // 2 + 1]
    one.pts, other.pts = other.pts, one.pts
    _mux(output, packets)
    output.close()
    return path


def interlaced(path: Path, frames: int = 16) -> Path:
    """H.264 with interlaced macroblocks, top field first."""
    return fields(path, frames=frames, size=(64, 48))


def fields(path: Path, first: str = "top", frames: int = 16, *, flagged: bool = True, **film: object) -> Path:
    """Interlaced video with motion between the fields, flagged as such or not."""
    flags = {"flags": "+ildct+ilme"} if flagged else {}
    woven = tuple((2 * n, 2 * n + 1) if first == "top" else (2 * n + 1, 2 * n) for n in range(frames))
    made = {
        "frames": frames,
        "rate": Fraction(25),
        "size": (128, 96),
        "options": flags,
        "woven": woven,
        "field_flags": f"{first[0]}ff" if flagged else "",
        **film,
    }
    return write(path, Film(**made))  # type: ignore[arg-type]


def telecined(path: Path, frames: int = 40) -> Path:
    """Film telecined by 3:2 pulldown: of every five frames, two are woven from different film frames."""
    woven = tuple(
        (4 * (n // 5) + t, 4 * (n // 5) + b)
        for n in range(frames)
        for t, b in [((0, 0), (1, 1), (1, 2), (2, 3), (3, 3))[n % 5]]
    )
    return write(path, Film(frames=frames, rate=Fraction(30000, 1001), size=(128, 96), woven=woven))


def soft_telecined(path: Path, frames: int = 24) -> Path:
    """MPEG-2 in TS with film frames shown for three and two fields alternately (repeat_first_field)."""
    lengths = [4505 if n % 2 == 0 else 3003 for n in range(frames)]
    pts = tuple(sum(lengths[:n]) for n in range(frames))
    film = Film(frames=frames, rate=Fraction(30000, 1001), codec="mpeg2video", size=(128, 96), b_frames=0)
    output = _open(path, "mpegts")
    stream = _add_film(output, film)
    output.start_encoding()
    for number, packet in enumerate(packets_of(stream, film)):
        data = bytearray(bytes(packet))
        at = data.find(b"\x00\x00\x01\xb5")
        while at >= 0:  # ISO/IEC 13818-2 clauses 6.2.2.3 and 6.2.3.1
            kind = data[at + 4] >> 4
            if kind == 1:
                data[at + 5] &= ~0x08  # progressive_sequence
            elif kind == 8:
                data[at + 7] &= 0x7D  # top_field_first, repeat_first_field
                data[at + 7] |= (0x80 if number % 4 in {0, 3} else 0) | (0x02 if number % 2 == 0 else 0)
            at = data.find(b"\x00\x00\x01\xb5", at + 4)
        made = av.Packet(len(data))
        made.update(bytes(data))
        made.stream, made.time_base, made.is_keyframe = stream, TICKS, packet.is_keyframe
        made.pts = made.dts = 90000 + pts[number]
        made.duration = lengths[number]
        output.mux_one(made)
    output.close()
    return path


def captioned(path: Path, frames: int = 16) -> Path:
    """H.264 with CEA-608 triplets as A/53 user data in every frame."""
    output = _open(path, None)
    film = Film(frames=frames, rate=Fraction(25), b_frames=0)
    stream = _add_film(output, film)
    output.start_encoding()
    for number, packet in enumerate(packets_of(stream, film)):
        body = (
            bytes([4, 14, 0xB5, 0, 0x31])
            + b"GA94\x03"
            + bytes([0x41, 0xFF])
            + caption_of(number)
            + b"\xff\x80"
        )
        unit = b"\x06" + body
        data = b"\x00\x00\x00\x01" + unit + bytes(packet)
        made = av.Packet(len(data))
        made.update(data)
        made.stream, made.time_base = stream, packet.time_base
        made.pts, made.dts, made.duration, made.is_keyframe = (
            packet.pts,
            packet.dts,
            packet.duration,
            packet.is_keyframe,
        )
        output.mux_one(made)
    output.close()
    return path


def caption_of(number: int) -> bytes:
    """The triplet of frame `number` in `captioned`: two printable characters of field 1."""
    return bytes([0xFC, 0x41 + number % 20, 0x42 + number % 20])


HDR_DISPLAY = (34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450, 10000000, 50)
"""The mastering display of `hdr10`, as `HdrMetadata` counts: a P3 screen of 1000 cd/m²."""
HDR_LIGHT = (1000, 400)


Units = bytes | Callable[[int], bytes]
"""NAL units for every frame, or for the frame of a number in display order."""


def hdr10(
    path: Path,
    frames: int = 16,
    *,
    transfer: int = 16,
    prefix: Units = b"",
    suffix: Units = b"",
    sound: Audio | None = None,
    **film: object,
) -> Path:
    """HEVC in 10 bits, BT.2020, PQ (or `transfer`), with its metadata.

    prefix, suffix: NAL units put into every access unit.
    """
    params = "open-gop=0"
    if transfer == 16:
        params += ":hdr10=1:repeat-headers=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"
    made = Film(**{"frames": frames, "size": (80, 64), "rate": Fraction(25), "codec": "libx265", "pix_fmt": "yuv420p10le", "tags": (9, 1, 9, transfer),
                   "options": {"x265-params": params}, **film})  # type: ignore[arg-type]  # fmt: skip
    output = _open(path, None)
    stream = _add_film(output, made)
    track = output.add_stream(sound.codec, rate=48000, layout="stereo") if sound else None
    output.start_encoding()
    for packet in _audio_packets(track, sound) if sound else ():
        output.mux_one(packet)
    for packet in packets_of(stream, made):
        data = bytes(packet)
        start = next(at for at in _start_codes(data) if data[at + 3] >> 1 < 32)
        number = round(packet.pts * packet.time_base * made.rate)
        before, behind = (units(number) if callable(units) else units for units in (prefix, suffix))
        data = data[:start] + before + data[start:] + behind
        output.mux_one(_like(packet, data, stream))
    output.close()
    return path


def _start_codes(data: bytes) -> list[int]:
    found, at = [], data.find(b"\x00\x00\x01")
    while at >= 0:
        found.append(at)
        at = data.find(b"\x00\x00\x01", at + 3)
    return found


def hdr10_plus_message(number: int = 0, *, windows: int = 1) -> bytes:
    """A T.35 message of HDR10+ (SMPTE ST 2094-40, application version 1; CTA-861-H annex S), another one for each frame `number`.

    Some are longer than 255 bytes, and some hold what looks like a start code.
    """
    bits = _Bits().u(0xB5, 8).u(0x3C, 16).u(1, 16).u(4, 8).u(1, 8).u(windows, 2)
    for _ in range(windows - 1):
        bits.u(8, 16).u(8, 16).u(40, 16).u(30, 16).u(20, 16).u(16, 16).u(30, 8).u(4, 16).u(9, 16).u(8, 16).u(
            1, 1
        )
    bits.u(400, 27)
    _peaks(bits, number % 3 == 1)
    for window in range(windows):
        for value in (1000 + number, 0, 800 + window, 300):  # MaxSCL of R, G, B and the average
            bits.u(value, 17)
        percentiles = number % 16
        bits.u(percentiles, 4)
        for place in range(percentiles):
            bits.u(place * 7, 7).u(number * 100 + place, 17)
        bits.u(100, 10)
    _peaks(bits, number % 5 == 2)
    for _ in range(windows):
        has_curve = number % 2
        bits.u(has_curve, 1)
        if has_curve:
            bits.u(number, 12).u(2048, 12).u(9, 4)
            for place in range(9):
                bits.u(place * 100, 10)
        bits.u(number % 7 == 3, 1)
        if number % 7 == 3:
            bits.u(9, 6)
    return bits.align().bytes()


def _peaks(bits: _Bits, there: bool) -> None:
    bits.u(there, 1)
    if there:
        bits.u(25, 5).u(24, 5)
        for place in range(25 * 24):
            bits.u(place % 16 if place < 40 else 0, 4)


def messages_av1(path: Path, message: Callable[[int], bytes], frames: int = 16, **film: object) -> Path:
    """AV1 with a T.35 message for every frame, before the shown frame of its temporal unit."""
    made = Film(**{"frames": frames, "size": (80, 64), "rate": Fraction(25), "codec": "libsvtav1",
                   "pix_fmt": "yuv420p10le", "tags": (9, 1, 9, 16), **film})  # type: ignore[arg-type]  # fmt: skip
    output = _open(path, None)
    stream = _add_film(output, made)
    output.start_encoding()
    for packet in packets_of(stream, made):
        data, at, place = bytes(packet), 0, 0
        while at < len(data):
            place = at if data[at] >> 3 & 15 in (3, 6) else place
            size = shift = 0
            at += 1
            while True:
                size, shift, at = size | (data[at] & 127) << shift, shift + 7, at + 1
                if data[at - 1] < 128:
                    break
            at += size
        content = b"\x04" + message(round(packet.pts * packet.time_base * made.rate)) + b"\x80"
        unit = bytes([5 << 3 | 2, len(content) & 127 | 128, len(content) >> 7]) + content
        output.mux_one(_like(packet, data[:place] + unit + data[place:], stream))
    output.close()
    return path


def hdr10_plus_webm(path: Path, beside: list[bytes]) -> Path:
    """VP9, PQ. beside: an AVDynamicHDRPlus of FFmpeg for each frame, which its muxer makes a BlockAddition of."""
    film = Film(frames=len(beside), size=(80, 64), rate=Fraction(25), codec="libvpx-vp9", tags=(9, 1, 9, 16))
    output = _open(path, None)
    stream = _add_film(output, film)
    output.start_encoding()
    for packet in packets_of(stream, film):
        made = _like(packet, bytes(packet), stream)
        content = beside[round(packet.pts * packet.time_base * film.rate)]
        side = PacketSideData(packet_sidedata_type_from_literal("dynamic_hdr10_plus"), len(content))
        side.update(content)
        made.set_sidedata(side, move=True)
        output.mux_one(made)
    output.close()
    return path


def together(path: Path, *films: Path) -> Path:
    """A file with the film of each given file as a stream, packet for packet."""
    output = _open(path, "mpegts" if path.suffix == ".ts" else None)
    sources = [av.open(str(film)) for film in films]
    streams = [output.add_stream_from_template(source.streams.video[0], opaque=True) for source in sources]
    output.start_encoding()
    for packets in zip(*(source.demux(video=0) for source in sources), strict=True):
        for packet, stream in zip(packets, streams, strict=True):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    output.close()
    return path


def _like(packet: av.Packet, data: bytes, stream: av.VideoStream) -> av.Packet:
    """A packet with other bytes."""
    made = av.Packet(len(data))
    made.update(data)
    made.stream, made.time_base, made.is_keyframe = stream, packet.time_base, packet.is_keyframe
    made.pts, made.dts, made.duration = packet.pts, packet.dts, packet.duration
    return made


def hdr10_plus_unit(number: int = 0, **more: int) -> bytes:
    """The message of a frame as an SEI unit of HEVC, with a start code."""
    message = hdr10_plus_message(number, **more)
    size = b"\xff" * (len(message) // 255) + bytes([len(message) % 255])
    return b"\x00\x00\x00\x01\x4e\x01" + _escaped(b"\x04" + size + message + b"\x80")


def dolby_vision_unit(
    profile: int, number: int = 0, *, area: tuple[int, int, int, int] | None = None, chained: bool = False
) -> bytes:
    """A Dolby Vision RPU (ETSI GS CCM 001) as unit 62 of HEVC: profile 5 (full-range IPT, no other base), 7 (two layers) or 8.

    number: of the frame, for its brightness (level 1). area: left, right, top, bottom outside the picture (level 5). chained: it refers
    to the mapping of an earlier one.
    """
    body = dolby_vision_rpu(profile, number, area=area, chained=chained)
    return b"\x00\x00\x00\x01\x7c\x01" + _escaped(b"\x19" + body)


def dolby_vision_message(
    number: int = 0, *, profile: int = 8, area: tuple[int, int, int, int] | None = None
) -> bytes:
    """The RPU of profile 10 as AV1 has it: a T.35 message with an EMDF container (ETSI TS 102 366, annex H).

    profile: 8, or 5 without a base layer, as it would be in HEVC.
    """
    rpu = dolby_vision_rpu(profile, number, area=area)
    bits = _Bits().u(0xB5, 8).u(0x3B, 16).u(0x800, 32).u(0, 2).u(6, 3).u(31, 5)  # version, key, payload
    bits.u(6, 5).u(1, 1).u(1, 5).u(0, 1)  # and its extension, 225 in groups of five bits
    bits.u(0, 1).u(0, 1).u(0, 1).u(0, 1).u(1, 1)
    if len(rpu) > 255:
        bits.u((len(rpu) >> 8) - 1, 8).u(1, 1)
    bits.u(len(rpu) & 255, 8).u(0, 1).octets(rpu)
    return bits.u(0, 5).u(1, 2).u(0, 2).u(0, 8).align().bytes()


def dolby_vision_rpu(
    profile: int, number: int = 0, *, area: tuple[int, int, int, int] | None = None, chained: bool = False
) -> bytes:
    """An RPU without prefix, from its type to the last byte after the CRC-32."""
    alone, layered = profile == 5, profile == 7
    bits = _Bits().u(2, 6).u(18, 11).u(0 if alone else 1, 4).u(0, 4).u(1, 1)
    bits.u(0, 1).u(0, 2).ue(23).u(1, 2).u(alone, 1).ue(2).ue(2).ue(4)  # depths 10, 10, 12
    bits.u(0, 1).u(0, 3).u(layered, 1).u(not layered, 1).u(1, 1).u(chained, 1).ue(0)
    if not chained:
        _mapping(bits, layered=layered)
    _display_management(bits, number, area)
    body = bits.align().bytes()
    crc = 0xFFFFFFFF
    for byte in body:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return body + crc.to_bytes(4, "big") + b"\x80"


def _mapping(bits: _Bits, *, layered: bool) -> None:
    """Luma in two pieces (a line, a parabola), chroma by a polynomial and by multiple regression; a residual where there are two layers."""
    bits.ue(0).ue(0)
    bits.ue(1).u(0, 10).u(512, 10).u(511, 10)
    for _ in range(2):
        bits.ue(0).u(0, 10).u(1023, 10)
    if layered:
        bits.u(0, 3).u(0, 10).u(1023, 10)
    bits.ue(0).ue(0)
    bits.ue(0).ue(0).u(0, 1).se(0).u(0, 23).se(1).u(0, 23)
    bits.ue(0).ue(1).se(0).u(5, 23).se(1).u(0, 23).se(-1).u(77, 23)
    bits.ue(0).ue(0).u(0, 1).se(0).u(0, 23).se(1).u(0, 23)
    bits.ue(1).u(0, 2)
    for place in range(8):
        bits.se(place - 3).u(1000 * place, 23)
    if layered:
        for _ in range(3):
            bits.u(512, 10).ue(1).u(0, 23).ue(0).u(0, 23).ue(0).u(0, 23)


def _display_management(bits: _Bits, number: int, area: tuple[int, int, int, int] | None) -> None:
    bits.ue(0).ue(0).ue(1)
    for value in (9574, 0, 13802, 9574, 65536 - 1540, 65536 - 5348, 9574, 17610, 0):
        bits.u(value, 16)
    for value in (16777216, 134217728, 134217728):
        bits.u(value, 32)
    for value in (7222, 8771, 390, 2654, 12430, 1300, 0, 422, 15962):
        bits.u(value, 16)
    bits.u(65535, 16).u(0, 16).u(0, 16).u(0, 32).u(12, 5).u(0, 2).u(0, 2).u(1, 2).u(7, 12).u(3079, 12).u(
        42, 10
    )
    bits.ue(2 if area else 1).align()
    bits.ue(5).u(1, 8).u(0, 12).u(2081 + number, 12).u(819, 12).u(0, 4)
    if area:
        bits.ue(7).u(5, 8)
        for offset in area:
            bits.u(offset, 13)
        bits.u(0, 4)


def company(path: Path, frames: int = 48, sar: Fraction = Fraction(1)) -> Path:
    """Two languages, subtitles, chapters, tags; in Matroska also a font and a cover, in MP4 mov_text."""
    matroska = path.suffix == ".mkv"
    kinds = (
        (("subrip", "eng", "Full"), ("ass", "ger", "Schilder"), ("subrip", "jpn", ""))
        if matroska
        else (("mov_text", "eng", "Full"), ("mov_text", "ger", ""))
    )
    film = Film(frames=frames, rate=Fraction(24), sar=sar)
    sound = (
        Audio(seconds=frames / 24, language="eng", title="Stereo"),
        Audio(seconds=frames / 24, hertz=660, language="ger", title="Kommentar"),
    )
    texts = tuple(
        Subtitle(
            codec=codec, language=language, title=title, disposition=int(Disposition.forced) if n == 1 else 0
        )
        for n, (codec, language, title) in enumerate(kinds)
    )
    attachments = (
        (
            ("font.ttf", "font/ttf", b"\x00\x01\x00\x00" + bytes(range(200))),
            ("cover.jpg", "image/jpeg", jpeg()),
        )
        if matroska
        else ()
    )
    return write(
        path, film, audio=sound, subtitles=texts, chapters=((0, 900, "Prolog"), (900, 2000, "Rest")), attachments=attachments,
        metadata={"title": "Ein Film", "comment": "für Tests"},
    )  # fmt: skip


def jpeg(width: int = 32, height: int = 32) -> bytes:
    """A small JPEG picture."""
    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt, context.time_base = (
        width,
        height,
        "yuvj420p",
        Fraction(1, 25),
    )
    frame = picture(3, width, height, "yuvj420p")
    frame.pts = 0
    return b"".join(bytes(p) for p in [*context.encode(frame), *context.encode(None)])


def cover_first(path: Path, frames: int = 16) -> Path:
    """MP4 with cover art as stream 0: the box with the image is before the tracks."""
    output = _open(path, "mp4", {"movflags": "+faststart"})
    film = Film(frames=frames, rate=Fraction(24))
    stream = _add_film(output, film)
    cover = output.add_stream("mjpeg", rate=1)
    cover.codec_context.width = cover.codec_context.height = 32
    cover.codec_context.pix_fmt = "yuvj420p"
    cover.disposition = Disposition.attached_pic
    output.start_encoding()
    data = jpeg()
    still = av.Packet(len(data))
    still.update(data)
    still.stream, still.time_base, still.pts, still.dts, still.is_keyframe = (
        cover,
        Fraction(1, 90000),
        0,
        0,
        True,
    )
    output.mux_one(still)
    _mux(output, packets_of(stream, film))
    output.close()
    content = path.read_bytes()
    start, size = next((at, size) for at, size, kind in boxes(content) if kind == b"moov")
    inner = content[start + 8 : start + size]
    children = [(inner[at : at + length], kind) for at, length, kind in boxes(inner)]
    children.sort(key=lambda c: {b"mvhd": 0, b"udta": 1}.get(c[1], 2))
    path.write_bytes(content[: start + 8] + b"".join(c[0] for c in children) + content[start + size :])
    return path


def boxes(data: bytes) -> list[tuple[int, int, bytes]]:
    """(position, size, type) of the consecutive ISO BMFF boxes in `data`."""
    found, at = [], 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        size = int.from_bytes(data[at + 8 : at + 16], "big") if size == 1 else size or len(data) - at
        found.append((at, size, data[at + 4 : at + 8]))
        at += size
    return found


def rotated(path: Path, degrees: int = 90, frames: int = 12, **film: object) -> Path:
    """A phone's clip: stored sideways, with a display matrix that rotates it clockwise."""
    write(path, Film(**{"frames": frames, "rate": Fraction(25), "size": (64, 48), **film}))  # type: ignore[arg-type]
    turn = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[degrees]
    a, b, c, d = (n << 16 for n in turn)
    content = bytearray(path.read_bytes())
    at = content.find(b"tkhd") + 4 + 40  # version 0: flags, times, id, duration, layer, volume
    struct.pack_into(">9i", content, at, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def timecode(path: Path) -> Path:
    """MOV with a tmcd track, a data stream without a decoder."""
    return write(
        path,
        Film(frames=16, rate=Fraction(25)),
        audio=(Audio(seconds=0.64),),
        metadata={"timecode": "10:00:00:00"},
        container="mov",
    )


def undecodable_audio(path: Path, frames: int = 16) -> Path:
    """MP4 with MPEG-H audio, for which FFmpeg has a name but no decoder."""
    write(path, Film(frames=frames, rate=Fraction(25)), audio=(Audio(seconds=frames / 25),))
    content = bytearray(path.read_bytes())
    for old, new in ((b"mp4a", b"mhm1"), (b"esds", b"free")):
        at = content.index(old)
        content[at : at + 4] = new
    path.write_bytes(content)
    return path


def mezzanine(
    path: Path, codec: str, pix_fmt: str, frames: int = 8, size: tuple[int, int] = (256, 128), **options: str
) -> Path:
    """Production material: waves in every plane, including alpha, that use all bits of a planar format."""
    bits = av.VideoFormat(pix_fmt, *size).components[0].bits
    with _open(path, None) as output:
        stream = output.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        for number in range(frames):
            frame = av.VideoFrame(*size, pix_fmt)
            for place, plane in enumerate(frame.planes):
                y, x = np.mgrid[0 : plane.height, 0 : plane.line_size // (2 if bits > 8 else 1)]
                codes = ((np.sin(x / 17 + number / 3) + np.cos(y / 13 + place)) * 0.2 + 0.5) * (1 << bits)
                plane.update(codes.astype(np.uint16 if bits > 8 else np.uint8).tobytes())
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


# --- field pictures and packed B-frames, which no encoder here makes


class _Bits:
    """A writer of H.264 syntax elements (clause 7.2, 9.1)."""

    def __init__(self) -> None:
        self.text: list[str] = []

    def u(self, value: int, count: int) -> _Bits:
        self.text.append(format(value, f"0{count}b"))
        return self

    def ue(self, value: int) -> _Bits:
        code = format(value + 1, "b")
        self.text.append("0" * (len(code) - 1) + code)
        return self

    def se(self, value: int) -> _Bits:
        return self.ue(2 * value - 1 if value > 0 else -2 * value)

    def align(self) -> _Bits:
        self.text.append("0" * (-len("".join(self.text)) % 8))
        return self

    def octets(self, data: bytes) -> _Bits:
        self.text.append("".join(format(b, "08b") for b in data))
        return self

    def bytes(self) -> bytes:
        """Whole octets."""
        text = "".join(self.text)
        return int(text, 2).to_bytes(len(text) // 8, "big")

    def unit(self, header: int) -> bytes:
        """As a NAL unit with its stop bit, start code and emulation prevention."""
        return b"\x00\x00\x00\x01" + bytes([header]) + _escaped(self.u(1, 1).align().bytes())


def _escaped(body: bytes) -> bytes:
    """With emulation prevention (H.264 clause 7.4.1)."""
    escaped = bytearray()
    zeros = 0
    for byte in body:
        if zeros >= 2 and byte <= 3:
            escaped.append(3)
            zeros = 0
        escaped.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(escaped)


def _field(planes: list[np.ndarray], frame: int, *, bottom: bool) -> bytes:
    """One field as an I slice of I_PCM macroblocks (H.264 clauses 7.3.3, 7.3.5)."""
    idr = frame == 0 and not bottom
    bits = _Bits().ue(0).ue(7).ue(0)  # first macroblock, I slices only, parameter set 0
    bits.u(frame % 16, 4).u(1, 1).u(bottom, 1)  # frame_num, field_pic_flag, bottom_field_flag
    if idr:
        bits.ue(0)
    bits.u((2 * frame + bottom) % 64, 6)  # pic_order_cnt_lsb
    if idr:
        bits.u(0, 2)
    else:
        bits.u(0, 1)  # no adaptive marking
    bits.se(0).ue(1)  # slice QP, no deblocking
    lines = [p[bottom::2] for p in planes]
    for row in range(lines[0].shape[0] // 16):
        for column in range(lines[0].shape[1] // 16):
            bits.ue(25).align()
            bits.octets(lines[0][row * 16 : row * 16 + 16, column * 16 : column * 16 + 16].tobytes())
            for chroma in lines[1:]:
                bits.octets(chroma[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8].tobytes())
    return bits.unit(0x65 if idr else 0x61)


def paff(path: Path, frames: int = 20, size: tuple[int, int] = (64, 64)) -> Path:
    """H.264 in MPEG-TS with a packet for each field.

    Twice as many packets as frames (I_PCM, so pictures are exact).
    """
    width, height = size
    sequence = _Bits().u(77, 8).u(0, 8).u(30, 8).ue(0)  # Main profile, level 3
    sequence.ue(0).ue(0).ue(2).ue(1).u(0, 1)  # 4-bit frame_num, 6-bit order count, one reference
    sequence.ue(width // 16 - 1).ue(height // 32 - 1).u(0, 1).u(0, 1).u(1, 1).u(0, 1).u(
        0, 1
    )  # fields, no MBAFF
    parameters = (
        _Bits()
        .ue(0)
        .ue(0)
        .u(0, 1)
        .u(0, 1)
        .ue(0)
        .ue(0)
        .ue(0)
        .u(0, 1)
        .u(0, 2)
        .se(0)
        .se(0)
        .se(0)
        .u(1, 1)
        .u(0, 1)
        .u(0, 1)
    )
    head = sequence.unit(0x67) + parameters.unit(0x68)
    output = _open(path, "mpegts")
    stream = output.add_mux_stream("h264", rate=25, width=width, height=height)
    stream.time_base = TICKS
    output.start_encoding()
    for frame in range(frames):
        for bottom in (False, True):
            planes = planes_of(2 * frame + bottom, width, height)
            data = (
                b"\x00\x00\x00\x01\x09\x10" + (b"" if bottom else head) + _field(planes, frame, bottom=bottom)
            )
            packet = av.Packet(len(data))
            packet.update(data)
            packet.stream, packet.time_base = stream, TICKS
            packet.pts = packet.dts = 90000 + frame * 3600 + bottom * 1800
            packet.is_keyframe = not bottom
            output.mux_one(packet)
    output.close()
    return path


def packed_b_frames(path: Path, frames: int = 21) -> Path:
    """AVI in the style of DivX: two frames in one packet, then a packet without a frame."""
    film = Film(frames=frames, rate=Fraction(25), codec="mpeg4", gop=10, b_frames=1)
    scratch = path.with_suffix(".m4v")
    output = _open(scratch, "m4v")
    stream = _add_film(output, film)
    packets = [bytes(p) for p in packets_of(stream, film)]
    output.close()
    scratch.unlink(missing_ok=True)
    mark = b"\x00\x00\x01\xb2DivX503b1393p"
    packed: list[tuple[bytes, bool]] = []
    for data in packets:
        vop = data.find(b"\x00\x00\x01\xb6")
        kind = data[vop + 4] >> 6
        if kind == 2:  # a B-VOP rides with the picture before it, and its own packet says "not coded"
            packed[-1] = (packed[-1][0] + data[vop:], packed[-1][1])
            packed.append((b"\x00\x00\x01\xb6" + bytes([0x51, 0x00, 0x7F]), False))
        else:
            at = data.find(b"\x00\x00\x01\xb6")
            packed.append((data[:at] + mark + data[at:] if kind == 0 else data, kind == 0))
    output = _open(path, "avi")
    track = output.add_mux_stream("mpeg4", rate=25, width=film.size[0], height=film.size[1])
    track.time_base = Fraction(1, 25)
    output.start_encoding()
    for number, (data, key) in enumerate(packed):
        packet = av.Packet(len(data))
        packet.update(data)
        packet.stream, packet.time_base, packet.is_keyframe = track, Fraction(1, 25), key
        packet.pts = packet.dts = number
        output.mux_one(packet)
    output.close()
    return path


def with_film(base: Film, **changes: object) -> Film:
    """A film with some of its traits changed."""
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]
