"""`SliceChecksums`: whether a packet of FFV1 is what its encoder wrote.

FFmpeg's decoder puts a piece of the frame before in place of a slice whose checksum is wrong, and marks
nothing.
"""

from __future__ import annotations

import zlib

__all__ = ["SliceChecksums"]


_FOOTER = 8
"""Bytes: 3 of size, 1 of status, 4 of checksum (RFC 9043 section 4.9)."""
_STARTS = (0, 0x79408C7A)
"""What the checksum begins with in version 3 and in version 4; over a whole slice with its footer it ends
with the same."""
_MIRRORED = bytes(int(f"{n:08b}"[::-1], 2) for n in range(256))


class SliceChecksums:
    """Shown all packets of a film, in any order."""

    def __init__(self) -> None:
        self._are_there = False

    def is_damaged(self, packet: bytes) -> bool:
        """Whether a checksum is wrong; False where the film has none, as far as its packets up to
        here tell.
        """
        whole = [_is_whole(piece) for piece in _slices(packet)]
        self._are_there |= any(whole)
        return self._are_there and not (whole and all(whole))


def _slices(packet: bytes) -> list[bytes]:
    """Slices with their footers, the last one first; none where sizes don't add up."""
    found, end = [], len(packet)
    while end:
        start = end - _FOOTER - int.from_bytes(packet[max(0, end - _FOOTER) : end][:3], "big")
        if start < 0:
            return []
        found.append(packet[start:end])
        end = start
    return found


def _is_whole(piece: bytes) -> bool:
    # zlib's CRC-32 takes bits of a byte from the other end, and its register complemented.
    mirrored = piece.translate(_MIRRORED)
    return any(
        zlib.crc32(mirrored, _turned(start) ^ 0xFFFFFFFF) ^ 0xFFFFFFFF == _turned(start) for start in _STARTS
    )


def _turned(value: int) -> int:
    """32 bits from the other end."""
    return int(f"{value:032b}"[::-1], 2)
