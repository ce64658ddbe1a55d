"""Random access to the bytes of a file, and flaws of a file as a whole."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FileBytes", "Flaw", "broken_at", "cut_short", "find_box", "sample_entry"]


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


def cut_short(size: int, declared: int) -> Flaw:
    """The flaw of a file with missing bytes at the end."""
    return Flaw(f"ends early: {size} of at least {declared} bytes are there", at_the_end=True)


def broken_at(at: int) -> Flaw:
    """The flaw of a file with unknown data at a position."""
    return Flaw(f"is broken at byte {at}; what stood there is lost")


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
