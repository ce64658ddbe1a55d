"""Compares an output with its source, with PyAV alone.

None of our code is used, so that a mistake of ours can't hide in both.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition

_MILLISECOND = Fraction(1, 1000)
_GRID = 6
"""Cells a picture is compared by, across and down."""
_SAME_PICTURE = 14.0
"""Codes of 255 by which a cell's mean may be off: a lossy encoder and an enlargement, but no other
picture."""
_SAME_CODEC = {
    "mp1": "mp3",
    "mp2": "mp3",
    "text": "subrip",
    "mp1float": "mp3",
    "mp2float": "mp3",
    "mp3float": "mp3",
}
_BACK = Fraction(1, 10)
"""Seconds that a broadcast clock may step back before it is taken to have jumped."""


@dataclass
class Track:
    """One stream: its packets and their times."""

    index: int
    kind: str
    codec: str
    cover: bool
    metadata: dict[str, str]
    payload: Any = field(default_factory=hashlib.sha256)
    packets: int = 0
    size: int = 0
    shown: list[Fraction] = field(default_factory=list)
    end: Fraction = Fraction(0)
    jumps: int = 0
    """How often its clock jumps."""
    hidden: int = 0
    """Packets that an edit list hides."""


@dataclass
class Media:
    """A file as PyAV reads it."""

    tracks: list[Track]
    format: str
    film: int
    """Index of the film's stream; -1 where there is none."""
    times: list[Fraction] = field(default_factory=list)
    """Of the film's decoded frames, in order."""
    size: tuple[int, int] = (0, 0)
    tags: tuple[int, int, int, int] = (2, 0, 2, 2)
    sar: Fraction = Fraction(1)
    turn: int = 0
    matrix: tuple[int, ...] = ()
    """How a player places the picture (ISO/IEC 14496-12 clause 8.3.2): its nine numbers; empty: as it is."""
    cells: list[np.ndarray] = field(default_factory=list)
    errors: int = 0
    chapters: int = 0
    said: str = ""
    """Why it can't be opened."""

    def of(self, kind: str) -> list[Track]:
        return [t for t in self.tracks if t.kind == kind and t.packets and not t.cover]


def read(path: Path, film: int | None = None, pictures: int = 60) -> Media:
    """Demux and decode everything.

    film: index of the film's stream; None: FFmpeg's best. pictures: maximum number of frames that are
    examined.
    """
    try:
        container = av.open("file:" + str(path.absolute()), metadata_errors="replace")
    except (av.error.FFmpegError, ValueError) as error:
        return Media([], "", -1, said=str(error))
    with container:
        films = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        best = container.streams.best("video")
        chosen = next(
            (s for s in films if s.index == (film if film is not None else best.index if best else -1)),
            films[0] if films else None,
        )
        tracks = [_track(s) for s in container.streams]
        seen = Media(
            tracks,
            container.format.name,
            chosen.index if chosen is not None else -1,
            chapters=len(container.chapters()),
        )
        if chosen is not None:
            of_codec = getattr(chosen.codec_context, "sample_aspect_ratio", None)  # no decoder, no context
            seen.sar = Fraction(chosen.sample_aspect_ratio or of_codec or 1)
        last: dict[int, Fraction] = {}
        for packet in container.demux():
            index = packet.stream.index  # an empty packet at the end has no index of its own
            if packet.size:
                _note(tracks[index], packet, last)
            if chosen is not None and index == chosen.index:
                for frame in _frames(packet, seen):
                    _look(seen, frame, chosen, pictures)
    seen.times.sort()
    return seen


def _track(stream: Any) -> Track:
    context = getattr(stream, "codec_context", None)
    codec = getattr(context, "name", "") or ""
    return Track(
        stream.index, stream.type, codec,
        bool(stream.disposition & Disposition.attached_pic), dict(stream.metadata),
    )  # fmt: skip


def _note(track: Track, packet: Any, last: dict[int, Fraction]) -> None:
    data, base = bytes(packet), Fraction(packet.time_base)
    if track.codec == "mov_text" and data == b"\0\0":
        return
    if track.codec == "aac" and len(data) > 7 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0:
        data = data[7 if data[1] & 1 else 9 :]
    if packet.is_discard and track.kind == "subtitle" and packet.pts + (packet.duration or 0) <= 0:
        return  # over before the film begins
    if packet.is_discard:
        track.hidden += 1
    track.payload.update(data)
    track.packets, track.size = track.packets + 1, track.size + len(data)
    time = packet.pts if packet.pts is not None else packet.dts
    if time is not None:
        track.shown.append(time * base)
        track.end = max(track.end, (time + (packet.duration or 0)) * base)
    if packet.dts is not None:
        now = packet.dts * base
        if track.index in last and not last[track.index] - _BACK <= now <= last[track.index] + 3600:
            track.jumps += 1
        last[track.index] = now


def _frames(packet: Any, seen: Media) -> Iterator[Any]:
    try:
        yield from packet.decode()
    except av.error.EOFError:
        return
    except (av.error.FFmpegError, ValueError, AttributeError, NotImplementedError):
        seen.errors += 1


def _look(seen: Media, frame: Any, stream: Any, pictures: int) -> None:
    if not seen.times and not seen.cells:
        seen.size = (frame.width, frame.height)
        full = frame.format.name.startswith("yuvj")
        seen.tags = (
            int(frame.colorspace),
            2 if full else int(frame.color_range),
            int(frame.color_primaries),
            int(frame.color_trc),
        )
        seen.turn = int(frame.rotation)
        seen.matrix = _matrix(frame)
    seen.errors += bool(frame.is_corrupt)
    seen.times.append(
        frame.pts * Fraction(frame.time_base or stream.time_base) if frame.pts is not None else Fraction(-1)
    )
    if len(seen.cells) < pictures:
        seen.cells.append(_cells(frame))


def _cells(frame: Any) -> np.ndarray:
    """Mean brightness of the cells of a picture, 0 to 255, full range."""
    grey = frame.reformat(
        width=_GRID * 8, height=_GRID * 8, format="gray", interpolation="AREA", dst_color_range=2
    )
    values = np.asarray(grey.to_ndarray(), np.float32)
    means: np.ndarray = values.reshape(_GRID, 8, _GRID, 8).mean((1, 3))
    return means


def _matrix(frame: Any) -> tuple[int, ...]:
    try:
        found = [bytes(d) for d in frame.side_data if "DISPLAYMATRIX" in str(d.type)]
    except ValueError:  # PyAV does not know every kind, such as Exif
        found = []
    return struct.unpack("<9i", found[0]) if found else ()


def _placed(cells: np.ndarray, source: Media) -> np.ndarray:
    """Cells where a player shows them, rotated by quarter turns and mirrored."""
    if not source.matrix:
        return np.rot90(cells, source.turn // 90)
    a, b, _, c, d = source.matrix[:5]
    if not a and not d:
        cells, a, d = cells.T, c, b
    return cells[:: 1 if d >= 0 else -1, :: 1 if a >= 0 else -1]


def beginning(source: Media, seconds: Fraction) -> Media:
    """Only the film's frames before a time, and no other track."""
    times = [t for t in source.times if t - min(source.times) < seconds]
    return replace(
        source, times=times, tracks=[t for t in source.tracks if t.index == source.film], chapters=0
    )


def wrong_with(source: Media, result: Media, scale: int, said: str) -> list[str]:
    """Describe what in an output differs from its source.

    said: the text printed by the command; a difference that it reports is accepted.
    """
    found = [*_of_film(source, result, scale, said), *_of_tracks(source, result, said)]
    if result.chapters != source.chapters and len(source.tracks) > 1:
        found.append(f"{result.chapters} chapters of {source.chapters}")
    return found


def _of_film(source: Media, result: Media, scale: int, said: str) -> Iterator[str]:
    if len(result.times) != len(source.times):
        yield f"{len(result.times)} frames of {len(source.times)}"
        return
    rounded = _MILLISECOND if result.format.startswith("matroska") else Fraction(0)
    a, b = ([t - min(m.times) for t in m.times] for m in (source, result))
    # Frames that are all shown at once are counted, and given a rate.
    jumps = "jumps back" in said or "no times" in said or len(set(a)) < len(a)
    off = max((abs(x - y) for x, y in zip(a, b, strict=True)), default=Fraction(0))
    if off > rounded and not jumps and -1 not in source.times:
        yield f"times off by up to {float(off) * 1000:.3f} ms"
    width, height = source.size if source.turn % 180 == 0 else source.size[::-1]
    if result.size != (width * scale, height * scale) and "cropped" not in said:
        yield f"{result.size[0]}x{result.size[1]}, expected {width * scale}x{height * scale}"
    sar = source.sar if source.turn % 180 == 0 else 1 / source.sar
    if abs(result.sar / sar - 1) > 0.01:
        yield f"sample aspect ratio {result.sar}, expected {sar}"
    if "_pipe" in result.format:  # a picture is full-range R'G'B' or JPEG, whatever it was made of
        source.tags = result.tags
    for name, before, after in zip(
        ("matrix", "range", "primaries", "transfer"), source.tags, result.tags, strict=True
    ):
        if before != after and before not in {0, 2, 3} and "becomes limited" not in said:
            yield f"{name} {after}, expected {before}"
    if source.tags[1] == 2 != result.tags[1] and "becomes limited" not in said:
        yield "full range is lost"
    if "deinterlaced" not in said and "cropped" not in said:
        turned = (_placed(c, source) for c in source.cells)
        for number, (one, other) in enumerate(zip(turned, result.cells, strict=False)):
            ways = (
                (one, one[:, ::-1], one[::-1]) if source.format in {"jpeg_pipe", "image2"} else (one,)
            )  # FFmpeg does not tell that Exif mirrors a photo
            if (worst := min(float(abs(way - other).max()) for way in ways)) > _SAME_PICTURE:
                yield f"frame {number} is another picture, by {worst:.0f} of 255"
                break


def _of_tracks(source: Media, result: Media, said: str) -> Iterator[str]:
    for kind in ("audio", "subtitle", "video"):
        ours = [t for t in result.of(kind) if t.index != result.film]
        for before in source.of(kind):
            if before.index == source.film or f"stream {before.index} (" in said:
                continue
            after = next(iter(ours), None)
            if after is None:
                yield f"{kind} stream {before.index} ({before.codec}) is gone"
                continue
            ours.remove(after)
            yield from _of_track(before, after, source, result, said)
    for before in source.tracks:
        if before.kind in {"data", "attachment"} or before.cover:
            kept = sum(t.kind == before.kind and t.cover == before.cover for t in result.tracks)
            had = sum(t.kind == before.kind and t.cover == before.cover for t in source.tracks)
            if kept < had and f"stream {before.index} (" not in said and not _is_remade(before, result):
                yield f"{before.kind} stream {before.index} is gone without a word"


def _is_remade(track: Track, result: Media) -> bool:
    """A cover as a Matroska attachment comes back as a cover.

    Titles of chapters and a timecode are written by muxers themselves.
    """
    return track.kind == "data" and (
        not track.packets or any(k.lower() == "timecode" for t in result.tracks for k in t.metadata)
    )


def _of_track(before: Track, after: Track, source: Media, result: Media, said: str) -> Iterator[str]:
    name = f"{before.kind} stream {before.index} ({before.codec})"
    disc = before.codec in {"pcm_dvd", "pcm_bluray", "s302m", "aac_latm"}
    if not disc and _SAME_CODEC.get(after.codec, after.codec) != _SAME_CODEC.get(before.codec, before.codec):
        yield f"{name}: is {after.codec or 'unknown'} in the result"
    if (
        not disc
        and before.payload.digest() != after.payload.digest()
        and not (before.kind == "video" and before.packets == after.packets)
    ):
        # In MP4, what an edit list hides in the middle is no part of what is heard.
        hidden = f", {before.hidden} of them hidden" if before.hidden else ""
        yield f"{name}: its {before.size} bytes in {before.packets} packets{hidden} became {after.size} in {after.packets}"
    if (
        before.shown
        and after.shown
        and source.times
        and result.times
        and not before.jumps
        and "jumps back" not in said
        and -1 not in source.times
    ):
        gaps = [min(t.shown) - min(m.times) for t, m in ((before, source), (after, result))]
        allowed = 2 * _MILLISECOND if result.format.startswith("matroska") else Fraction(1, 4000)
        if abs(gaps[0] - gaps[1]) > allowed:
            yield f"{name}: begins {float(gaps[1] - gaps[0]) * 1000:.3f} ms off"
        # The last packet may not tell how long it lasts, and PCM may be cut into other packets.
        off = [
            f(after) - max(result.times) - f(before) + max(source.times)
            for f in (lambda t: t.end, lambda t: max(t.shown))
        ]
        if min(map(abs, off)) > Fraction(1, 20):
            yield f"{name}: ends {float(off[0]) * 1000:.3f} ms off"
