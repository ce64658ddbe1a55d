"""Reads a media file as a player does: with a plain loop of PyAV, without our code."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition


@dataclass
class Track:
    """A stream's packets."""

    index: int
    type: str
    codec: str
    metadata: dict[str, str]
    disposition: int
    pts: list[Fraction] = field(default_factory=list)
    dts: list[Fraction] = field(default_factory=list)
    durations: list[Fraction] = field(default_factory=list)
    payloads: list[str] = field(default_factory=list)
    keys: list[bool] = field(default_factory=list)

    @property
    def is_cover(self) -> bool:
        return bool(self.disposition & Disposition.attached_pic)


@dataclass
class View:
    """All tracks of a file, its tags and chapters."""

    tracks: list[Track]
    metadata: dict[str, str]
    chapters: list[tuple[Fraction, Fraction, str]]

    def of(self, kind: str) -> list[Track]:
        return [t for t in self.tracks if t.type == kind and not t.is_cover]

    @property
    def film(self) -> Track:
        return self.of("video")[0]


def view(path: Path) -> View:
    """Demux everything; empty packets at the end are no packets."""
    with av.open("file:" + str(path.absolute()), metadata_errors="replace") as container:
        tracks = [
            Track(s.index, s.type, _codec(s), dict(s.metadata), int(s.disposition)) for s in container.streams
        ]
        for packet in container.demux():
            if not packet.size:
                continue
            track = tracks[packet.stream_index]
            if track.codec == "mov_text" and bytes(packet) == b"\0\0":
                continue  # nothing to read between two subtitles
            base = Fraction(packet.time_base)
            track.pts.append(packet.pts * base if packet.pts is not None else Fraction(-1))
            track.dts.append(packet.dts * base if packet.dts is not None else Fraction(-1))
            track.durations.append((packet.duration or 0) * base)
            track.payloads.append(hashlib.sha256(_payload(bytes(packet), track.codec)).hexdigest())
            track.keys.append(packet.is_keyframe)
        chapters = [
            (
                c["start"] * Fraction(c["time_base"]),
                c["end"] * Fraction(c["time_base"]),
                c["metadata"].get("title", ""),
            )
            for c in container.chapters()
        ]
        return View(tracks, dict(container.metadata), chapters)


def _payload(data: bytes, codec: str) -> bytes:
    """AAC without the ADTS header it has in broadcasts only."""
    adts = codec == "aac" and data[:1] == b"\xff" and data[1] & 0xF6 == 0xF0
    return data[7 if data[1] & 1 else 9 :] if adts else data


def _codec(stream: object) -> str:
    context = getattr(stream, "codec_context", None)
    return getattr(context, "name", "") or getattr(stream, "name", "") or ""


@dataclass(frozen=True)
class Shown:
    """A decoded frame: when, and a hash of its pixels."""

    seconds: Fraction
    pts: int | None
    digest: str
    format: str
    size: tuple[int, int]
    tags: tuple[int, int, int, int]
    corrupt: bool
    captions: bytes = b""


def frames(path: Path, stream: int | None = None) -> list[Shown]:
    """Decode the film from start to end, as a player does."""
    return [_shown(f) for f in decoded(path, stream)]


def decoded(path: Path, stream: int | None = None) -> list[av.VideoFrame]:
    """The film's decoded frames."""
    with av.open("file:" + str(path.absolute()), metadata_errors="replace") as container:
        films = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        film = films[0] if stream is None else container.streams[stream]
        found = []
        for packet in container.demux(film):
            for frame in packet.decode():
                if frame.time_base is None:
                    frame.time_base = film.time_base
                found.append(frame)
        return found


def planes(frame: av.VideoFrame) -> list[np.ndarray]:
    """A planar frame's planes without padding."""
    deep = frame.format.components[0].bits > 8
    result = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, np.uint16 if deep else np.uint8).reshape(plane.height, -1)
        result.append(rows[:, : plane.width].copy())
    return result


def _shown(frame: av.VideoFrame) -> Shown:
    digest = hashlib.sha256(b"".join(p.tobytes() for p in planes(frame))).hexdigest()
    seconds = frame.pts * Fraction(frame.time_base) if frame.pts is not None else Fraction(-1)
    tags = (int(frame.colorspace), int(frame.color_range), int(frame.color_primaries), int(frame.color_trc))
    try:
        data = frame.side_data.get(av.sidedata.sidedata.Type.A53_CC)
    except ValueError:  # side data that PyAV has no name for
        data = None
    captions = bytes(data) if data is not None else b""
    return Shown(
        seconds,
        frame.pts,
        digest,
        frame.format.name,
        (frame.width, frame.height),
        tags,
        frame.is_corrupt,
        captions,
    )
