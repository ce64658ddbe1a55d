"""`tiled_photo`: the grid of a photo that a HEIF file (HEIC, AVIF) stores in tiles.

FFmpeg returns each tile as a separate stream. The layout of the tiles, the crop and the rotation are in the
boxes of the file: ISO/IEC 23008-12 (HEIF) and ISO/IEC 14496-12, clause 8.11.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TiledPhoto", "tiled_photo"]


_MOST_BYTES = 1 << 24
"""Largest box of all items that is read; a phone's photo has a few kilobytes."""
_PICTURES = frozenset(
    {b"hvc1", b"hev1", b"av01", b"avc1", b"jpeg", b"grid", b"iovl", b"iden", b"tmap", b"unci"}
)
Turn: TypeAlias = tuple[bool, bool, bool]


@dataclass(frozen=True)
class TiledPhoto:
    """The grid of a photo: its tiles, row by row, and the crop, rotation and colour of the whole."""

    columns: int
    rows: int
    width: int
    height: int
    """Height of the whole image; tiles are cropped to it."""
    tiles: tuple[int, ...]
    """Item IDs, which FFmpeg makes the IDs of streams."""
    crop: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Rows and columns that are hidden: top, bottom, left, right."""
    turn: Turn = (False, False, False)
    """Transpose, then mirror left to right, then top to bottom."""
    tags: tuple[int, int, int, int] | None = None
    """Primaries, transfer, matrix and range (2: full), as FFmpeg numbers them."""
    lost: tuple[str, ...] = ()
    """Other contents of the file, which are lost, in words."""


def tiled_photo(path: str | os.PathLike[str]) -> TiledPhoto | None:
    """The grid of a file's primary image; None if it has no valid grid."""
    try:
        with open(path, "rb") as file:
            return _grid(_Items(file.fileno()))
    except (OSError, struct.error, IndexError, KeyError, ValueError, ZeroDivisionError):
        return None


def _grid(items: _Items) -> TiledPhoto | None:
    main = items.main
    if items.kinds.get(main) != b"grid":
        return None
    data = items.data(main)
    rows, columns = data[2] + 1, data[3] + 1
    width, height = struct.unpack_from(">II" if data[1] & 1 else ">HH", data, 4)
    tiles = items.parts[main]
    if len(tiles) != rows * columns or not width * height:
        return None
    found = TiledPhoto(columns, rows, width, height, tiles, lost=items.beside())
    for kind, content in items.properties(main):
        found = _with_property(found, kind, content)
    return found


def _with_property(photo: TiledPhoto, kind: bytes, content: bytes) -> TiledPhoto:
    """Apply a property to the photo; properties apply in their order."""
    transposed, across, down = photo.turn
    if kind == b"clap" and not any(photo.turn):
        return replace(photo, crop=_hidden(content, photo.width, photo.height))
    if kind == b"irot":
        for _ in range(content[0] & 3):  # counter-clockwise: transposed, then mirrored top to bottom
            transposed, across, down = not transposed, down, not across
        return replace(photo, turn=(transposed, across, down))
    if kind == b"imir":
        to_left = bool(content[0] & 1)
        return replace(photo, turn=(transposed, across ^ to_left, down ^ (not to_left)))
    if kind == b"colr" and content[:4] == b"nclx":
        primaries, transfer, matrix = struct.unpack_from(">HHH", content, 4)
        return replace(photo, tags=(primaries, transfer, matrix, 1 + (content[10] >> 7)))
    return replace(photo, lost=(*photo.lost, "ICC profile")) if kind == b"colr" else photo


def _hidden(clap: bytes, width: int, height: int) -> tuple[int, int, int, int]:
    """Rows and columns that a clean aperture hides (ISO/IEC 14496-12 clause 12.1.4)."""
    numbers = struct.unpack_from(">IIIIiIiI", clap)
    wide, high, right, down = (Fraction(a, b) for a, b in zip(numbers[::2], numbers[1::2], strict=True))
    left, top = max(0, round((width - wide) / 2 + right)), max(0, round((height - high) / 2 + down))
    found = (top, height - top - round(high), left, width - left - round(wide))
    return found if min(found) >= 0 and wide >= 1 and high >= 1 else (0, 0, 0, 0)


class _Items:
    """The items of a file: kinds, properties, the items they are made of, and their bytes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        meta = next((box for kind, box in self._top() if kind == b"meta"), b"\0\0\0\0")
        self._boxes = dict(_boxes(meta[4:]))
        self.main = _number(self._boxes[b"pitm"], 4, 2 if self._boxes[b"pitm"][0] == 0 else 4)
        self.kinds = dict(self._kinds())
        self.parts = dict(self._parts())
        """Items that each derived image is made of, in order."""

    def beside(self) -> tuple[str, ...]:
        """Describe the contents other than the primary image."""
        used = {self.main, *(part for parts in self.parts.values() for part in parts)}
        more = {item for item, kind in self.kinds.items() if kind in _PICTURES} - used
        pictures = f"further pictures ({len(more)}: alpha, depth, a thumbnail)"
        exif = "Exif data (camera, date, author, place)"
        return (*[pictures] * bool(more), *[exif] * (b"Exif" in self.kinds.values()))

    def _top(self) -> Iterator[tuple[bytes, bytes]]:
        at, end = 0, os.fstat(self._descriptor).st_size
        while at + 8 <= end:
            head = os.pread(self._descriptor, 16, at)
            size, kind, start = _number(head, 0, 4), head[4:8], 8
            if size == 1:
                size, start = _number(head, 8, 8), 16
            size = size or end - at
            if size < start:
                return
            if kind == b"meta" and size <= _MOST_BYTES:
                yield kind, os.pread(self._descriptor, size - start, at + start)
            at += size

    def _kinds(self) -> Iterator[tuple[int, bytes]]:
        """Item ID -> kind (clause 8.11.6)."""
        infos = self._boxes[b"iinf"]
        for kind, entry in _boxes(infos[6 if infos[0] == 0 else 8 :]):
            if kind == b"infe" and entry[0] >= 2:
                wide = 2 if entry[0] == 2 else 4
                yield _number(entry, 4, wide), entry[6 + wide : 10 + wide]

    def _parts(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Item ID -> items it is derived from (clause 8.11.12)."""
        refers = self._boxes.get(b"iref", b"\0\0\0\0")
        wide = 2 if refers[0] == 0 else 4
        for kind, entry in _boxes(refers[4:]):
            if kind == b"dimg":
                count = _number(entry, wide, 2)
                yield (
                    _number(entry, 0, wide),
                    tuple(_number(entry, wide + 2 + wide * n, wide) for n in range(count)),
                )

    def properties(self, item: int) -> Iterator[tuple[bytes, bytes]]:
        """Kind and content of an item's properties, in their order (clause 8.11.14)."""
        boxes = dict(_boxes(self._boxes[b"iprp"]))
        all_of_them, links = list(_boxes(boxes[b"ipco"])), boxes[b"ipma"]
        wide_id, wide_index = 2 if links[0] == 0 else 4, 2 if links[3] & 1 else 1
        at = 8
        for _ in range(_number(links, 4, 4)):
            owner, count = _number(links, at, wide_id), links[at + wide_id]
            at += wide_id + 1
            for place in range(at, at + count * wide_index, wide_index):
                index = _number(links, place, wide_index) & (0x7F if wide_index == 1 else 0x7FFF)
                if owner == item and 0 < index <= len(all_of_them):
                    yield all_of_them[index - 1]
            at += count * wide_index

    def data(self, item: int) -> bytes:
        """The bytes of an item (clause 8.11.3)."""
        places = self._boxes[b"iloc"]
        version, at = places[0], 6
        offset_size, length_size = places[4] >> 4, places[4] & 15
        base_size, index_size = places[5] >> 4, places[5] & 15 if version else 0
        wide = 4 if version == 2 else 2
        count, at = _number(places, at, wide), at + wide
        for _ in range(count):
            owner, at = _number(places, at, wide), at + wide
            method = _number(places, at, 2) & 15 if version else 0
            at += (2 if version else 0) + 2
            base, at = _number(places, at, base_size), at + base_size
            extents, at = _number(places, at, 2), at + 2
            found = b""
            for _ in range(extents):
                at += index_size
                start, at = base + _number(places, at, offset_size), at + offset_size
                length, at = _number(places, at, length_size), at + length_size
                if owner == item:
                    found += self._bytes(method, start, min(length, _MOST_BYTES))
            if owner == item:
                return found
        raise KeyError(item)

    def _bytes(self, method: int, start: int, length: int) -> bytes:
        if method == 1:
            return self._boxes[b"idat"][start : start + length]
        return os.pread(self._descriptor, length, start) if method == 0 else b""


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of consecutive boxes."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < 8:
            return
        yield kind, data[at + 8 : at + size]
        at += size


def _number(data: bytes, at: int, size: int) -> int:
    if at + size > len(data):
        raise IndexError(at)
    return int.from_bytes(data[at : at + size], "big")
