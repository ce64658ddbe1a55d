"""Elements of Matroska by their path (RFC 8794, sections 5 and 6), and the names it has for codecs.

RFC 9559, section 5.1.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

__all__ = ["codec_ids", "elements"]


_TRACK_ENTRY = (0x18538067, 0x1654AE6B, 0xAE)
"""Segment, Tracks, TrackEntry."""
_CODEC_ID = 0x86
_HEAD_BYTES = 1 << 20
"""Of a file, in which its tracks are looked for."""


def elements(data: bytes, *path: int) -> Iterator[bytes]:
    """The content of every element that a path of IDs leads to; what the data ends in is cut off."""
    at = 0
    while at < len(data) and data[at]:
        length = 9 - data[at].bit_length()
        kind, at = int.from_bytes(data[at : at + length], "big"), at + length
        if at >= len(data) or not data[at]:
            return
        length = 9 - data[at].bit_length()
        size, at = int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1), at + length
        content = data[at:] if size == (1 << 7 * length) - 1 else data[at : at + size]
        if kind == path[0]:
            yield from elements(content, *path[1:]) if path[1:] else (content,)
        at += len(content)


def codec_ids(path: str | os.PathLike[str]) -> list[str]:
    """The CodecID of every track of a Matroska file, in its order; none where they lie behind the film.

    Raises OSError.
    """
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    entries = elements(head, *_TRACK_ENTRY)
    return [
        next((str(name, "ascii", "replace") for name in elements(entry, _CODEC_ID)), "") for entry in entries
    ]
