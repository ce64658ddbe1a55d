"""Matroska: checks of a file, its elements by path, and its own codec names.

RFC 9559 and RFC 8794 (EBML).
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.file_parsing.file_bytes import FileBytes, Flaw, truncation_flaw, unknown_data_flaw

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

__all__ = [
    "CLUSTER",
    "EBML",
    "children",
    "codec_ids",
    "elements",
    "joined_films",
    "matroska_flaw",
    "top_elements",
    "track_entries_with",
    "track_headers",
    "track_languages",
]


EBML, _SEGMENT, CLUSTER, _CRC, _VOID = 0x1A45DFA3, 0x18538067, 0x1F43B675, 0xBF, 0xEC
_TRACKS, _TRACK_ENTRY, _TRACK_NUMBER = 0x1654AE6B, 0xAE, 0xD7
_SIMPLE_BLOCK, _BLOCK_GROUP, _BLOCK = 0xA3, 0xA0, 0xA1
_TOP = frozenset(
    {CLUSTER, 0x114D9B74, 0x1549A966, _TRACKS, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367, _CRC, _VOID}
)
_IN_CLUSTER = frozenset({_SIMPLE_BLOCK, _BLOCK_GROUP, 0xE7, 0xA7, 0xAB, 0x5854, 0xAF, _CRC, _VOID})


def _element(file: FileBytes, at: int) -> tuple[int, int, int | None] | None:
    """(ID, start of its content, its length or None if unknown).

    None if there is no element.
    """
    head = file.read(at, 12)
    if not head or not head[0]:
        return None
    id_length = 9 - head[0].bit_length()
    if id_length > 4 or len(head) <= id_length or not head[id_length]:
        return None
    first = head[id_length]
    size_length = 9 - first.bit_length()
    if len(head) < id_length + size_length:
        return None
    size = int.from_bytes(head[id_length : id_length + size_length], "big") & ((1 << 7 * size_length) - 1)
    unknown = size == (1 << 7 * size_length) - 1
    return int.from_bytes(head[:id_length], "big"), at + id_length + size_length, None if unknown else size


def matroska_flaw(file: FileBytes) -> Flaw | None:
    """The first flaw of a file; None if its lengths and checksums are correct."""
    return _walk(file)[0]


def joined_films(path: str | os.PathLike[str]) -> list[int]:
    """Positions of the EBML headers of further films that were appended to the first one byte by byte."""
    with open(path, "rb", buffering=0) as file:
        return _walk(FileBytes(file.fileno()))[1]


def _walk(file: FileBytes) -> tuple[Flaw | None, list[int]]:
    """(the first flaw, where the second film and further ones begin)."""
    at = 0
    begins: list[int] = []
    while at < file.size:
        found = _element(file, at)
        if found is None or found[0] not in {EBML, _SEGMENT, _VOID}:
            # A film may be followed by a few bytes; this many were cut off by a wrong length.
            return unknown_data_flaw(at) if file.size - at > file.size // 64 else None, begins
        name, start, size = found
        if name == _SEGMENT:
            flaw, at = _segment(file, start, None if size is None else start + size)
            if flaw is not None:
                return flaw, begins
            continue
        if size is None:
            return unknown_data_flaw(at), begins
        if name == EBML and at:
            begins.append(at)
        at = start + size
    return None, begins


def _segment(file: FileBytes, at: int, declared: int | None) -> tuple[Flaw | None, int]:
    """The flaw of a segment, if any, and where it ends."""
    stop = min(declared or file.size, file.size)
    tracks: frozenset[int] = frozenset()
    while at < stop:
        found = _element(file, at)
        if found is not None and found[0] == EBML and declared is None:
            return None, at
        if found is None or found[0] not in _TOP:
            # An element that is cut by the end of the file is a truncation, not damage.
            return truncation_flaw(
                file.size, declared or at + 12
            ) if file.size - at < 12 else unknown_data_flaw(at), stop
        name, start, size = found
        end = file.size if size is None else start + size
        if declared is not None and end > declared:
            return unknown_data_flaw(at), stop
        if name == _TRACKS:
            tracks |= _track_numbers(file, start, end)
        if name == CLUSTER:
            flaw, end = _cluster(file, start, None if size is None else end, tracks)
            if flaw is not None:
                return flaw, end
        if end > file.size:
            return truncation_flaw(file.size, declared or end), end
        at = end
    return truncation_flaw(
        file.size, declared
    ) if declared is not None and declared > file.size else None, stop


def top_elements(file: FileBytes) -> Iterator[tuple[int, int]]:
    """(ID, length) of the elements of the first segment, up to the first cluster."""
    at = 0
    while at < file.size and (found := _element(file, at)) is not None:
        name, start, size = found
        if name == _SEGMENT:
            at = start
            continue
        yield name, size or 0
        if name == CLUSTER or size is None:
            return
        at = start + size


def _track_numbers(file: FileBytes, at: int, stop: int) -> frozenset[int]:
    """Track numbers of the entries in a range."""
    numbers = set()
    while at < stop and (found := _element(file, at)) is not None:
        name, start, size = found
        if size is None:
            break
        if name == _TRACK_NUMBER:
            numbers.add(int.from_bytes(file.read(start, min(size, 8)), "big"))
        at = start if name == _TRACK_ENTRY else start + size
    return frozenset(numbers)


def _is_of_no_track(file: FileBytes, name: int, at: int, tracks: frozenset[int]) -> bool:
    """Whether a block belongs to a track that doesn't exist.

    Demuxers ignore such a block.
    """
    if name == _BLOCK_GROUP and (inner := _element(file, at)) is not None and inner[0] == _BLOCK:
        name, at = _SIMPLE_BLOCK, inner[1]
    if name != _SIMPLE_BLOCK or not tracks:
        return False
    head = file.read(at, 2)
    number = head[0] & 0x7F if head[:1] >= b"\x80" else int.from_bytes(head, "big") & 0x3FFF
    return number not in tracks


def _cluster(
    file: FileBytes, at: int, declared: int | None, tracks: frozenset[int]
) -> tuple[Flaw | None, int]:
    """The flaw of a cluster, if any, and where it ends."""
    begin, stop = at, min(declared or file.size, file.size)
    while at < stop:
        found = _element(file, at)
        if found is None and file.size - at < 12:
            return replace(truncation_flaw(file.size, declared or at + 12), at_the_end=False), file.size
        if found is not None and declared is None and found[0] in (_TOP | {EBML}) - _IN_CLUSTER:
            return None, at  # of unknown length: it ends where the next one begins
        if found is None or found[0] not in _IN_CLUSTER or found[2] is None:
            return unknown_data_flaw(at), stop
        name, start, size = found
        assert size is not None
        beyond = declared is not None and start + size > declared
        if not beyond and start + size > file.size:
            return replace(truncation_flaw(file.size, declared or start + size), at_the_end=False), file.size
        if beyond or _is_of_no_track(file, name, start, tracks):
            return unknown_data_flaw(at), stop
        if (name, at, size) == (_CRC, begin, 4) and declared is not None and declared <= file.size:
            flaw = _checksum_flaw(file, start, declared)
            if flaw is not None:
                return flaw, declared
        at = start + size
    return None, at


def _checksum_flaw(file: FileBytes, start: int, stop: int) -> Flaw | None:
    """The flaw if the data after a CRC-32 element, with its value at `start`, has another checksum."""
    value = 0
    for data in file.blocks(start + 4, stop):
        value = zlib.crc32(data, value)
    if value.to_bytes(4, "little") == file.read(start, 4):
        return None
    return Flaw(f"is damaged between byte {start} and byte {stop}: the checksum there is wrong")


_TRACK_PATH = (0x18538067, 0x1654AE6B, 0xAE)
"""Segment, Tracks, TrackEntry."""
_CODEC_ID, _CODEC_PRIVATE, _TRACK_TYPE = 0x86, 0x63A2, 0x83
_HEAD_BYTES = 1 << 20
"""Part of a file in which its tracks are searched for."""


def children(data: bytes, at: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (ID, start, start of the content, end) of the elements between two positions.

    The last one may end after the end of the data.
    """
    while at < stop and data[at]:
        begin, length = at, 9 - data[at].bit_length()
        kind, at = int.from_bytes(data[at : at + length], "big"), at + length
        if at >= stop or not data[at]:
            return
        length = 9 - data[at].bit_length()
        size, at = int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1), at + length
        end = stop if size == (1 << 7 * length) - 1 else at + size
        yield kind, begin, at, end
        at = end


def elements(data: bytes, *path: int) -> Iterator[bytes]:
    """The content of every element with a path of IDs; incomplete at the end of the data."""
    for kind, _, start, end in children(data, 0, len(data)):
        if kind == path[0]:
            content = data[start:end]
            yield from elements(content, *path[1:]) if path[1:] else (content,)


def codec_ids(path: str | os.PathLike[str]) -> list[str]:
    """The CodecID of every track of a Matroska file, in order; none if they are stored after the frames.

    Raises OSError.
    """
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    entries = elements(head, *_TRACK_PATH)
    return [
        next((str(name, "ascii", "replace") for name in elements(entry, _CODEC_ID)), "") for entry in entries
    ]


def track_entries_with(path: str | os.PathLike[str], *within: int) -> list[int]:
    """Positions of those tracks of a Matroska file that contain an element with that path of IDs.

    Counted from 0. Raises OSError.
    """
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    return [
        number
        for number, entry in enumerate(elements(head, *_TRACK_PATH))
        if any(map(len, elements(entry, *within)))
    ]


_LANGUAGE, _LANGUAGE_BCP47 = 0x22B59C, 0x22B59D


def track_languages(path: str | os.PathLike[str]) -> list[tuple[str, str]]:
    """(Language, LanguageBCP47) of every track of a Matroska file, in order; empty strings for absent ones.

    Raises OSError.
    """
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    texts = (
        [next(elements(entry, name), b"").rstrip(b"\0") for name in (_LANGUAGE, _LANGUAGE_BCP47)]
        for entry in elements(head, *_TRACK_PATH)
    )
    return [(old.decode("ascii", "replace"), new.decode("ascii", "replace")) for old, new in texts]


_FLAC_SHAPE = slice(18, 21)
"""Rate, channels and bits in FLAC's header; its other contents differ from file to file."""


def track_headers(path: str | os.PathLike[str], at: int, stop: int) -> list[tuple[bytes, bytes]]:
    """CodecID and CodecPrivate of the video and audio tracks of the film between two bytes of a file.

    Empty if they are stored after the frames. Raises OSError.
    """
    with open(path, "rb") as file:
        file.seek(at)
        head = file.read(min(_HEAD_BYTES, stop - at))
    found = []
    for entry in elements(head, *_TRACK_PATH):
        codec, private = (next(elements(entry, name), b"") for name in (_CODEC_ID, _CODEC_PRIVATE))
        if next(elements(entry, _TRACK_TYPE), b"") in {b"\1", b"\2"}:
            found.append((codec, private[_FLAC_SHAPE] if codec == b"A_FLAC" else private))
    return found
