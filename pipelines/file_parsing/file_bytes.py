"""Random access to the bytes of a file, and flaws of a file as a whole."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "FileBytes",
    "Flaw",
    "box_within",
    "find_box",
    "movie_tracks",
    "sample_entry",
    "sample_format",
    "top_boxes",
    "truncation_flaw",
    "unknown_data_flaw",
]


@dataclass(frozen=True)
class Flaw:
    """A flaw of a file as a whole."""

    text: str
    """Follows the file's name in messages: "ends early: …"."""
    at_the_end: bool = False
    """Cut short, or followed by something else: the missing part may be unimportant."""
    spared: bool = False
    """According to the container, every frame that was begun is complete."""
    cut_track: int = -1
    """Number of the truncated track in the container (the PID in a TS), if it is only one; -1 if unknown."""


class FileBytes:
    """Random access to a file's bytes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def read(self, at: int, count: int) -> bytes:
        """Read so many bytes at a position, fewer at the end."""
        return os.pread(self._descriptor, count, at)

    def blocks(self, at: int, stop: int) -> Iterator[bytes]:
        """Read a range in blocks of at most a mebibyte."""
        while at < stop and (data := self.read(at, min(1 << 20, stop - at))):
            yield data
            at += len(data)


def truncation_flaw(size: int, declared: int) -> Flaw:
    """The flaw of a file with missing bytes at the end."""
    return Flaw(f"ends early: {size} of at least {declared} bytes are there", at_the_end=True)


def unknown_data_flaw(at: int) -> Flaw:
    """The flaw of a file with unknown data at a position."""
    return Flaw(f"is broken at byte {at}; what stood there is lost")


def top_boxes(file: FileBytes) -> Iterator[tuple[bytes, int, int]]:
    """(kind, first byte, length) of an MP4 or MOV file's boxes, as far as they are valid."""
    at = 0
    while at + 8 <= file.size:
        head = file.read(at, 16)
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        size = size or file.size - at
        if size < 8:
            return
        yield head[4:8], at, size
        at += size


def movie_tracks(path: str | os.PathLike[str]) -> dict[int, bytes]:
    """Track ID -> `trak` box of an MP4 or MOV, in order; empty for another file, or a compressed index.

    Raises OSError.
    """
    found: dict[int, bytes] = {}
    with open(path, "rb", buffering=0) as handle:
        file = FileBytes(handle.fileno())
        for kind, start, size in top_boxes(file):
            if kind != b"moov" or found:
                continue
            moov, at = file.read(start, size), 8
            while at + 8 <= len(moov):
                length, name = struct.unpack_from(">I4s", moov, at)
                header = box_within(moov[at : at + length], b"tkhd") if name == b"trak" else b""
                if len(header) >= 32:
                    found[_track_id(header)] = moov[at : at + length]
                at += max(length, 8)
    return found


def _track_id(header: bytes) -> int:
    """The track ID in a `tkhd` box, which has 32-bit or 64-bit times (ISO/IEC 14496-12 clause 8.3.2)."""
    return int.from_bytes(header[28:32] if header[8] else header[20:24], "big")


def box_within(data: bytes | bytearray, *way: bytes) -> bytes:
    """The box inside another box to which a path of names leads; empty if there is none."""
    begin, end = 0, len(data)
    try:
        for name in way:
            begin, end = find_box(data, name, begin + 8, end)
    except ValueError:
        return b""
    return bytes(data[begin:end])


def sample_format(trak: bytes) -> str:
    """Four characters that name the format of a track's samples, safe to print in one line of text."""
    name = box_within(trak, b"mdia", b"minf", b"stbl", b"stsd")[20:24]
    return (
        name.decode("ascii", "replace").strip() if name.isascii() and name.strip().isalnum() else name.hex()
    )


def find_box(data: bytes | bytearray, name: bytes, start: int, end: int) -> tuple[int, int]:
    """(first byte, one past the last) of the box with that name."""
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        if kind == name:
            return start, start + size
        if size < 8:
            break
        start += size
    raise ValueError(name)


def sample_entry(data: bytes | bytearray) -> list[int]:
    """Offsets of the boxes that lead to the first sample entry of an MP4 or MOV, and of the entry itself.

    Raises ValueError if there is none (ISO/IEC 14496-12 clause 8.5.2).
    """
    start, end, way = 0, len(data), []
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"):
        start, end = find_box(data, name, start, end)
        way.append(start)
        start += 8 if name != b"stsd" else 16
    return [*way, start]
