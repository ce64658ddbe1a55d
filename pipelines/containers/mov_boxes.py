"""`add_to_sample_entry` and `disable_tracks`: edit a finished MOV as FFmpeg's muxer does not."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from pipelines.media.file_bytes import find_box

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path
    from typing import BinaryIO

__all__ = ["add_to_sample_entry", "disable_tracks"]


_WAY = (b"mdia", b"minf", b"stbl", b"stsd")
_OFFSETS = {b"stco": ">I", b"co64": ">Q"}
"""Tables of chunk offsets in the file (ISO/IEC 14496-12 clause 8.7.5)."""
_BLOCK = 1 << 24


def add_to_sample_entry(path: Path, box: bytes, track: int) -> None:
    """Append a box to the sample entry of a track, given by its position among the tracks.

    Data after the index is moved in place, block by block. Raises OSError; ValueError if the file was not
    written by FFmpeg.
    """
    with open(path, "r+b") as file:
        start, size = _index(file)
        file.seek(start)
        moov = bytearray(file.read(size))
        traks = _children(moov, b"trak", 8, len(moov))
        begin, end = traks[track]
        ways = [0, begin]
        for name in _WAY:
            begin, end = find_box(moov, name, begin + 8, end)
            ways.append(begin)
        entry = begin + 16
        ways.append(entry)
        at = entry + struct.unpack_from(">I", moov, entry)[0]
        for trak_begin, trak_end in traks:
            _move_chunks(moov, trak_begin, trak_end, start, len(box))
        for way in ways:
            struct.pack_into(">I", moov, way, struct.unpack_from(">I", moov, way)[0] + len(box))
        moov[at:at] = box
        _move_back(file, start + size, len(box))
        file.seek(start)
        file.write(moov)


def disable_tracks(path: Path, tracks: Collection[int]) -> None:
    """Clear the flag `track_enabled` (ISO/IEC 14496-12 clause 8.3.2) of tracks, by their places.

    FFmpeg's muxer enables the first of each kind, with which players show subtitles unasked. Raises OSError;
    ValueError where the file is not as FFmpeg writes it.
    """
    if not tracks:
        return
    with open(path, "r+b") as file:
        start, size = _index(file)
        file.seek(start)
        moov = bytearray(file.read(size))
        traks = _children(moov, b"trak", 8, len(moov))
        for track in tracks:
            begin, end = traks[track]
            header, _ = find_box(moov, b"tkhd", begin + 8, end)
            file.seek(start + header + 11)
            file.write(bytes([moov[header + 11] & ~1]))


def _index(file: BinaryIO) -> tuple[int, int]:
    """(first byte, size) of the box `moov`."""
    at = 0
    while True:
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            raise ValueError("the result has no moov box")
        size = struct.unpack_from(">I", head)[0]
        size = struct.unpack_from(">Q", head, 8)[0] if size == 1 else size
        if head[4:8] == b"moov":
            return at, size
        if size < 8:
            raise ValueError("the result has no moov box")
        at += size


def _children(data: bytearray, name: bytes, start: int, end: int) -> list[tuple[int, int]]:
    """(first byte, one past the last) of the boxes with that name."""
    found = []
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        if kind == name:
            found.append((start, start + size))
        start += max(size, 8)
    return found


def _move_chunks(moov: bytearray, begin: int, end: int, index: int, by: int) -> None:
    """Add `by` to the chunk offsets of a track that are after the index."""
    for name in _WAY[:-1]:
        begin, end = find_box(moov, name, begin + 8, end)
    for name, kind in _OFFSETS.items():
        for start, _ in _children(moov, name, begin + 8, end):
            count, width = struct.unpack_from(">I", moov, start + 12)[0], struct.calcsize(kind)
            for at in range(start + 16, start + 16 + width * count, width):
                place = struct.unpack_from(kind, moov, at)[0]
                if place > index:
                    struct.pack_into(kind, moov, at, place + by)


def _move_back(file: BinaryIO, start: int, by: int) -> None:
    """Make room for `by` bytes at `start`, working from the end."""
    end = file.seek(0, 2)
    while end > start:
        begin = max(start, end - _BLOCK)
        file.seek(begin)
        block = file.read(end - begin)
        file.seek(begin + by)
        file.write(block)
        end = begin
