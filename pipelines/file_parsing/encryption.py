"""`encrypted_tracks`: which tracks of a file can't be decoded without a key.

FFmpeg returns encrypted packets like any others, and decoders produce noise from them or refuse them.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from pipelines.file_parsing.file_bytes import box_within, movie_tracks
from pipelines.file_parsing.matroska import track_entries_with

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

__all__ = ["encrypted_tracks", "is_scrambled"]


_SAMPLE_ENTRIES = frozenset({b"encv", b"enca", b"enct", b"encs", b"encm", b"drmi", b"drms"})
"""Names that Common Encryption (ISO/IEC 14496-12 clause 8.12) and FairPlay use."""
_CONTENT_ENCRYPTION = 0x6D80, 0x6240, 0x5035
"""IDs of ContentEncodings, ContentEncoding, ContentEncryption (RFC 9559 section 5.1.4.1.31)."""
_TS_PACKET, _TS_SYNC = 188, 0x47
_HEAD_BYTES = 1 << 22


def encrypted_tracks(path: str | os.PathLike[str], format_name: str) -> frozenset[int]:
    """Return the IDs of encrypted tracks of an MP4 or MOV, or the positions of those of a Matroska file.

    Positions are counted among the file's tracks, from 0. Empty for other formats. Raises OSError.
    """
    if format_name.startswith("mov"):
        tracks = movie_tracks(path).items()
        return frozenset(number for number, trak in tracks if _SAMPLE_ENTRIES.intersection(_entries(trak)))
    if format_name.startswith("matroska"):
        return frozenset(track_entries_with(path, *_CONTENT_ENCRYPTION))
    return frozenset()


def _entries(trak: bytes) -> Iterator[bytes]:
    """The names of all sample entries of a track; an unencrypted beginning has a separate entry."""
    stsd, at = box_within(trak, b"mdia", b"minf", b"stbl", b"stsd"), 16
    while at + 8 <= len(stsd):
        size, name = struct.unpack_from(">I4s", stsd, at)
        yield name
        at += max(size, 8)


def is_scrambled(path: str | os.PathLike[str]) -> bool:
    """Whether packets of a TS are scrambled (transport_scrambling_control, ISO/IEC 13818-1 clause 2.4.3.2).

    Only the first 4 MiB are examined. Raises OSError.
    """
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    start = next((n for n in range(_TS_PACKET) if head[n : n + 3 * _TS_PACKET : _TS_PACKET] == b"GGG"), None)
    return start is not None and any(
        head[at] == _TS_SYNC and head[at + 3] & 0xC0 for at in range(start, len(head) - 3, _TS_PACKET)
    )
