"""Edits the index of a finished MP4 or MOV in ways that FFmpeg's muxer does not support."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, TypeAlias

from pipelines.file_parsing.file_bytes import box_within

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path
    from typing import BinaryIO

__all__ = ["add_to_sample_entry", "describe_tracks", "disable_tracks"]


Box: TypeAlias = "tuple[bytes, bytes | list[Box]]"
"""(kind, content): the boxes inside, for kinds that are opened here."""

_OPENED = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl"})
_MEDIA_HEADERS = frozenset({b"gmhd", b"nmhd", b"sthd", b"vmhd", b"smhd", b"hmhd"})
_OFFSETS = {b"stco": ">I", b"co64": ">Q"}
"""Tables of chunk offsets in the file (ISO/IEC 14496-12 clause 8.7.5)."""
_BLOCK = 1 << 24


def add_to_sample_entry(path: Path, box: bytes, track: int) -> None:
    """Append a box to the only sample entry of a track, given by its position among the tracks.

    Raises OSError; ValueError if the file was not written by FFmpeg.
    """

    def change(traks: list[list[Box]]) -> None:
        stbl = _inside(traks[track], b"mdia", b"minf", b"stbl")
        entries = _content(stbl, b"stsd")
        size = struct.unpack_from(">I", entries, 8)[0] + len(box)
        _put(stbl, b"stsd", entries[:8] + struct.pack(">I", size) + entries[12:] + box)

    _edit(path, change)


def describe_tracks(path: Path, sources: Mapping[int, bytes], ids: Mapping[int, int]) -> None:
    """Copy handler, media header, sample description and references from the tracks of another file.

    FFmpeg's muxer leaves the sample description of a format that it does not know empty, and no program can
    make sense of the samples. sources: position among the tracks -> `trak` box. ids: track ID in the other
    file -> position here, of every track that both files have. Raises OSError; ValueError if the file was not
    written by FFmpeg.
    """

    def change(traks: list[list[Box]]) -> None:
        numbers = {old: _content(traks[place], b"tkhd") for old, place in ids.items()}
        new = {old: header[20:24] if header[0] else header[12:16] for old, header in numbers.items()}
        for place, source in sources.items():
            _describe(traks[place], source, new)

    if sources:
        _edit(path, change)


def _describe(trak: list[Box], source: bytes, new_ids: Mapping[int, bytes]) -> None:
    media = _inside(trak, b"mdia")
    info = _inside(media, b"minf")
    kind = box_within(source, b"mdia", b"hdlr")[16:20]
    own = _content(media, b"hdlr")
    _put(media, b"hdlr", own[:8] + kind + own[12:])
    headers = [
        (name, data[8:])
        for name in sorted(_MEDIA_HEADERS)
        if (data := box_within(source, b"mdia", b"minf", name))
    ]
    if headers:
        info[:] = [*headers, *(box for box in info if box[0] not in _MEDIA_HEADERS)]
    _put(_inside(info, b"stbl"), b"stsd", box_within(source, b"mdia", b"minf", b"stbl", b"stsd")[8:])
    references = _references(box_within(source, b"tref"), new_ids)
    trak[:] = [box for box in trak if box[0] != b"tref"]
    if references:
        trak.insert(1, (b"tref", references))  # after `tkhd`


def _references(tref: bytes, new_ids: Mapping[int, bytes]) -> bytes:
    """The boxes of a `tref`, with new track IDs; those of tracks that are missing are left out."""
    found, at = b"", 8
    while at + 8 <= len(tref):
        size, kind = struct.unpack_from(">I4s", tref, at)
        old = (int.from_bytes(tref[n : n + 4], "big") for n in range(at + 8, at + size, 4))
        kept = b"".join(new_ids[number] for number in old if number in new_ids)
        found += struct.pack(">I4s", 8 + len(kept), kind) + kept if kept else b""
        at += max(size, 8)
    return found


def disable_tracks(path: Path, tracks: Collection[int]) -> None:
    """Clear the flag `track_enabled` (ISO/IEC 14496-12 clause 8.3.2) of tracks, given by their positions.

    FFmpeg's muxer enables the first track of each kind, so players would show subtitles that are off in the
    source. Raises OSError; ValueError if the file was not written by FFmpeg.
    """

    def change(traks: list[list[Box]]) -> None:
        for track in tracks:
            header = _content(traks[track], b"tkhd")
            _put(traks[track], b"tkhd", header[:3] + bytes([header[3] & ~1]) + header[4:])

    if tracks:
        _edit(path, change)


def _edit(path: Path, change: Callable[[list[list[Box]]], None]) -> None:
    """Change the boxes inside the `trak` boxes of a file; data after the index is moved in place."""
    with open(path, "r+b") as file:
        start, size = _index(file)
        file.seek(start)
        moov = _parsed(file.read(size)[8:])
        traks = [inside for kind, inside in moov if kind == b"trak" and isinstance(inside, list)]
        change(traks)
        grown = 8 + len(_written(moov)) - size
        if grown < 0:  # unused space becomes a `free` box, which has at least eight bytes
            moov.append((b"free", bytes(-grown - 8 if grown <= -8 else 0)))
            grown = 8 + len(_written(moov)) - size
        for trak in traks:
            _move_chunks(_inside(trak, b"mdia", b"minf", b"stbl"), start, grown)
        _move_back(file, start + size, grown)
        file.seek(start)
        file.write(_box(b"moov", _written(moov)))


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


def _parsed(data: bytes) -> list[Box]:
    """The boxes in some data."""
    found: list[Box] = []
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        content = data[at + 8 : at + max(size, 8)]
        found.append((kind, _parsed(content) if kind in _OPENED else content))
        at += max(size, 8)
    return found


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _written(boxes: list[Box]) -> bytes:
    return b"".join(_box(kind, c if isinstance(c, bytes) else _written(c)) for kind, c in boxes)


def _inside(boxes: list[Box], *way: bytes) -> list[Box]:
    """The boxes inside the first one that a path of names leads to. Raises ValueError."""
    for name in way:
        boxes = next((inside for kind, inside in boxes if kind == name and isinstance(inside, list)), [])
        if not boxes:
            raise ValueError(name)
    return boxes


def _content(boxes: list[Box], name: bytes) -> bytes:
    """The content of the first box of that name. Raises ValueError."""
    for kind, content in boxes:
        if kind == name and isinstance(content, bytes):
            return content
    raise ValueError(name)


def _put(boxes: list[Box], name: bytes, content: bytes) -> None:
    """Replace the content of the boxes of that name."""
    boxes[:] = [(kind, content if kind == name else old) for kind, old in boxes]


def _move_chunks(stbl: list[Box], index: int, by: int) -> None:
    """Add `by` to the chunk offsets of a track that are after the index."""
    for name, kind in _OFFSETS.items():
        for content in [content for box, content in stbl if box == name and isinstance(content, bytes)]:
            table = bytearray(content)
            for at in range(
                8, 8 + struct.calcsize(kind) * struct.unpack_from(">I", table, 4)[0], struct.calcsize(kind)
            ):
                place = struct.unpack_from(kind, table, at)[0]
                struct.pack_into(kind, table, at, place + by if place > index else place)
            _put(stbl, name, bytes(table))


def _move_back(file: BinaryIO, start: int, by: int) -> None:
    """Make room for `by` bytes at `start`, working from the end."""
    end = file.seek(0, 2)
    while by and end > start:
        begin = max(start, end - _BLOCK)
        file.seek(begin)
        block = file.read(end - begin)
        file.seek(begin + by)
        file.write(block)
        end = begin
