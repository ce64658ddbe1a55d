"""Bytes of a file by their place, and what can be wrong with a file as a whole."""

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
    """What is wrong with a file as a whole."""

    text: str
    """Behind the file's name: "ends early: …"."""
    at_the_end: bool = False
    """Cut short, or followed by something else: what is missing may be of no account."""
    spared: bool = False
    """What is missing had not begun: as far as the container tells, all that did is whole."""
    cut_track: int = -1
    """Its number in the container (the PID of a TS packet), where only one is cut; -1 where there is no
    telling."""


class FileBytes:
    """Random access to a file's bytes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def read(self, at: int, count: int) -> bytes:
        """So many bytes from a place on, fewer at the end."""
        return os.pread(self._descriptor, count, at)

    def blocks(self, at: int, stop: int) -> Iterator[bytes]:
        """The bytes of a stretch in blocks of a mebibyte at most."""
        while at < stop and (data := self.read(at, min(1 << 20, stop - at))):
            yield data
            at += len(data)


def cut_short(size: int, declared: int) -> Flaw:
    """The flaw of a file of which bytes are missing at the end."""
    return Flaw(f"ends early: {size} of at least {declared} bytes are there", at_the_end=True)


def broken_at(at: int) -> Flaw:
    """The flaw of a file in which something unknown stands at a place."""
    return Flaw(f"is broken at byte {at}; what stood there is lost")


def find_box(data: bytes | bytearray, name: bytes, start: int, end: int) -> tuple[int, int]:
    """(first byte, one past the last) of the box of that name."""
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        if kind == name:
            return start, start + size
        if size < 8:
            break
        start += size
    raise ValueError(name)


def sample_entry(data: bytes | bytearray) -> list[int]:
    """Where the boxes begin that lead to the first sample entry of an MP4 or MOV, and the entry itself.

    Raises ValueError where there is none (ISO/IEC 14496-12 clause 8.5.2).
    """
    start, end, way = 0, len(data), []
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"):
        start, end = find_box(data, name, start, end)
        way.append(start)
        start += 8 if name != b"stsd" else 16
    return [*way, start]
