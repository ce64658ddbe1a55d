"""`damage_check`: detects damage inside packets that FFmpeg's decoders don't report, by codec."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any, Protocol

import av

from pipelines.media.demuxer import open_decoder

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PacketCheck", "damage_check"]


class PacketCheck(Protocol):
    """Gets all packets of a film, in any order; each contains one frame."""

    def is_damaged(self, packet: bytes) -> bool:
        """Whether the frame in a packet differs from what the encoder wrote."""


def damage_check(codec: str) -> PacketCheck | None:
    """The check for a codec; None if the decoder itself reports damage."""
    made = _CHECKS.get(codec)
    return made() if made is not None else None


class _SliceCheck:
    """FFV1: FFmpeg replaces a slice with a wrong checksum by the same part of the previous frame."""

    def __init__(self) -> None:
        self._are_there = False

    def is_damaged(self, packet: bytes) -> bool:
        """Whether a checksum is wrong; False if the packets so far show that the film has none."""
        whole = [_is_whole(piece) for piece in _slices(packet)]
        self._are_there |= any(whole)
        return self._are_there and not (whole and all(whole))


_FOOTER = 8
"""Bytes: 3 of size, 1 of status, 4 of checksum (RFC 9043 section 4.9)."""
_STARTS = (0, 0x79408C7A)
"""Initial values of the checksum in version 3 and in version 4; the checksum over a whole slice with its
footer equals them."""
_MIRRORED = bytes(int(f"{n:08b}"[::-1], 2) for n in range(256))


def _slices(packet: bytes) -> list[bytes]:
    """Slices with their footers, the last one first; none if sizes don't add up."""
    found, end = [], len(packet)
    while end:
        start = end - _FOOTER - int.from_bytes(packet[max(0, end - _FOOTER) : end][:3], "big")
        if start < 0:
            return []
        found.append(packet[start:end])
        end = start
    return found


def _is_whole(piece: bytes) -> bool:
    # zlib's CRC-32 processes the bits of a byte in reverse order, with a complemented register.
    mirrored = piece.translate(_MIRRORED)
    return any(
        zlib.crc32(mirrored, _turned(start) ^ 0xFFFFFFFF) ^ 0xFFFFFFFF == _turned(start) for start in _STARTS
    )


def _turned(value: int) -> int:
    """32 bits, reversed."""
    return int(f"{value:032b}"[::-1], 2)


class _JpegCheck:
    """JPEG: a file that is cut short decodes to grey from there on."""

    def is_damaged(self, packet: bytes) -> bool:
        """Whether the last scan of a JPEG is cut: other bytes after it would change the image.

        Checked only if there is no end marker (ITU-T T.81 B.1.1.3), which some cameras omit.
        """
        if packet.rfind(_END_OF_IMAGE) > packet.rfind(_START_OF_SCAN):
            return False
        return _picture(packet) != _picture(packet + _OTHER_BITS)


_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
_OTHER_BITS = b"\x55" * 64


def _picture(jpeg: bytes) -> list[bytes]:
    decoder = open_decoder("mjpeg")
    decoder.thread_count = 1
    packet: av.Packet[Any] = av.Packet(len(jpeg))
    packet.update(jpeg)
    try:
        frames = [*decoder.decode(packet), *decoder.decode(None)]
    except av.error.FFmpegError:
        return []
    return [bytes(plane) for frame in frames for plane in frame.planes]


class _ExrCheck:
    """OpenEXR: an image that is cut short decodes to black lines."""

    def is_damaged(self, packet: bytes) -> bool:
        """Whether the offset table of an image names blocks that are missing ("OpenEXR File Layout").

        For images of one part with one sample per pixel, as FFmpeg reads them.
        """
        try:
            (version,) = struct.unpack_from("<I", packet, 4)
            if version & (_SEVERAL_PARTS | _DEEP):
                return False
            size_at = 16 if version & _TILED else 4  # after the block's position in the image
            return any(
                at + size_at + 4 + struct.unpack_from("<I", packet, at + size_at)[0] > len(packet)
                for at in _blocks(packet)
            )
        except (struct.error, ValueError):
            return True


_TILED, _DEEP, _SEVERAL_PARTS = 0x200, 0x800, 0x1000


def _blocks(exr: bytes) -> list[int]:
    """Offsets of the blocks, from the table after the header.

    Raises ValueError or struct.error if header or table is cut, or the table was never filled in.
    """
    table = 8
    while exr[table : table + 1] != b"\0":  # an attribute: name, kind, size, value; an empty name ends them
        table = exr.index(b"\0", exr.index(b"\0", table) + 1) + 1
        table += 4 + struct.unpack_from("<I", exr, table)[0]
    table += 1
    found: list[int] = []
    while not found or table + 8 * len(found) < min(found):
        found += struct.unpack_from("<Q", exr, table + 8 * len(found))
    if min(found) < table:
        raise ValueError
    return found


_CHECKS: dict[str, Callable[[], PacketCheck]] = {
    "ffv1": _SliceCheck,
    "mjpeg": _JpegCheck,
    "exr": _ExrCheck,
}
