"""A Matroska film whose frames are stored otherwise: without their common first bytes, compressed, encrypted.

mkvmerge strips headers (`--compression TRACK:mpeg4_p2` and others) and compresses subtitles; FFmpeg writes none.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TypeAlias

from pipelines.file_parsing.matroska import children
from tests.helpers.matroska_chapters import element

__all__ = ["compressed", "encrypted", "stripped"]


_SEGMENT, _TRACKS, _TRACK, _NUMBER, _CLUSTER = 0x18538067, 0x1654AE6B, 0xAE, 0xD7, 0x1F43B675
_SIMPLE_BLOCK, _GROUP, _BLOCK = 0xA3, 0xA0, 0xA1
_STALE = frozenset({0x114D9B74, 0x1C53BB6B, 0xBF, 0xEC})
"""Tables of places, checksums and fillers, which would be wrong."""
_ZLIB, _HEADER_STRIPPING = 0, 3
_FRAME = 4
"""Where a frame begins in a block without lacing: behind number, time and flags."""


Change: TypeAlias = Callable[[bytes], bytes]
Way: TypeAlias = Callable[[list[bytes]], tuple[bytes, Change]]


def compressed(path: Path, source: Path, tracks: Collection[int] = ()) -> Path:
    """The same film with frames compressed by zlib. tracks: numbers, from 1; all if empty."""
    return _stored(path, source, tracks, lambda _: (_compression(_ZLIB), zlib.compress))


def stripped(path: Path, source: Path, tracks: Collection[int] = ()) -> Path:
    """The same film without the first bytes that all frames of a track share."""

    def way(frames: list[bytes]) -> tuple[bytes, Change]:
        count = next(n for n in range(len(min(frames, key=len)) + 1) if len({f[: n + 1] for f in frames}) > 1)
        head = frames[0][:count]
        return _compression(_HEADER_STRIPPING, head), lambda frame: frame[len(head) :]

    return _stored(path, source, tracks, way)


def encrypted(path: Path, source: Path, tracks: Collection[int] = ()) -> Path:
    """A film whose frames look encrypted as in WebM, with a key that nobody has."""
    aes = element(0x47E1, 5) + element(0x47E2, b"k" * 16) + element(0x47E7, element(0x47E8, 1))
    settings = element(0x5033, 1) + element(0x5035, aes)
    return _stored(
        path,
        source,
        tracks,
        lambda _: (settings, lambda frame: b"\x01" + bytes(8) + bytes(byte ^ 0x5A for byte in frame)),
    )


def _compression(algorithm: int, settings: bytes = b"") -> bytes:
    inside = element(0x4254, algorithm) + (element(0x4255, settings) if settings else b"")
    return element(0x5033, 0) + element(0x5034, inside)


def _stored(path: Path, source: Path, tracks: Collection[int], way: Way) -> Path:
    """way: frames of a track -> (what stands in its ContentEncoding, what a frame becomes)."""
    made = b""
    for kind, content, whole in _inside(source.read_bytes()):
        made += element(_SEGMENT, _segment(content, tracks, way)) if kind == _SEGMENT else whole
    path.write_bytes(made)
    return path


def _segment(content: bytes, tracks: Collection[int], way: Way) -> bytes:
    frames: dict[int, list[bytes]] = {}

    def note(number: int, frame: bytes) -> bytes:
        frames.setdefault(number, []).append(frame)
        return frame

    def change(number: int, frame: bytes) -> bytes:
        return ways[number][1](frame) if number in ways else frame

    for kind, cluster, _ in _inside(content):
        if kind == _CLUSTER:
            _with_frames(cluster, note)
    ways = {number: way(of) for number, of in frames.items() if not tracks or number in tracks}
    parts = []
    for kind, inside, whole in _inside(content):
        if kind == _CLUSTER:
            parts.append(element(_CLUSTER, _with_frames(inside, change)))
        elif kind == _TRACKS:
            parts.append(element(_TRACKS, b"".join(_entry(track, ways) for _, track, _ in _inside(inside))))
        else:
            parts.append(whole)
    return b"".join(parts)


def _inside(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """(ID, content, the whole element) of the elements that stay."""
    for kind, begin, start, end in children(data, 0, len(data)):
        if kind not in _STALE:
            yield kind, data[start:end], data[begin:end]


def _with_frames(cluster: bytes, change: Callable[[int, bytes], bytes]) -> bytes:
    made = []
    for kind, content, whole in _inside(cluster):
        if kind == _GROUP:
            made.append(element(_GROUP, _with_frames(content, change)))
        elif kind in {_SIMPLE_BLOCK, _BLOCK}:
            made.append(element(kind, content[:_FRAME] + change(content[0] & 127, content[_FRAME:])))
        else:
            made.append(whole)
    return b"".join(made)


def _entry(track: bytes, ways: dict[int, tuple[bytes, Change]]) -> bytes:
    number = next(int.from_bytes(content, "big") for kind, content, _ in _inside(track) if kind == _NUMBER)
    if number in ways:
        encoding = element(0x5031, 0) + element(0x5032, 1) + ways[number][0]
        track += element(0x6D80, element(0x6240, encoding))
    return element(_TRACK, track)
