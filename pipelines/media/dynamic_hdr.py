"""`DynamicHdr`: HDR metadata of single frames, read from packets and written into packets unchanged.

HDR10+ (SMPTE ST 2094-40) is user data registered by ITU-T T.35: an SEI message in H.264 and HEVC, a metadata
OBU in AV1 (AV1 clause 5.8.2), side data in Matroska and WebM. Dolby Vision (ETSI GS CCM 001) is NAL unit type
62 at the end of an access unit in HEVC, and a T.35 message in AV1.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.media.bitstream import metadata_obu, nal_units, obus_at, sei_messages, sei_unit, with_unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["DynamicHdr", "dynamic_hdr_of", "hdr10_plus_windows", "insert_dynamic_hdr", "insert_t35_obus"]


HDR10_PLUS = b"\xb5\x00\x3c\x00\x01\x04"
"""Country, provider, its code and application 4 of ST 2094-40 (CTA-861-H, table S.1)."""
DOLBY_VISION = b"\xb5\x00\x3b\x00\x00\x08\x00"
"""T.35 header of a Dolby Vision RPU in AV1."""
_T35 = 4
"""Type of a T.35 message, as SEI payload (H.264, H.265 annex D) and as AV1 metadata (AV1 clause 6.7.1)."""
_H264_SEI, _HEVC_SEI, _HEVC_RPU = 6, 39, 62
_AV1_METADATA, _AV1_FRAME_HEADER, _AV1_FRAME = 5, 3, 6


@dataclass(frozen=True, slots=True)
class DynamicHdr:
    """The dynamic HDR metadata of one frame; either kind may be missing."""

    hdr10_plus: bytes = b""
    """A T.35 message, from its country code on."""
    dolby_vision: bytes = b""
    """An RPU as its codec stores it: for HEVC a NAL unit with header and emulation prevention, for AV1 a T.35
    message."""

    def __bool__(self) -> bool:
        return bool(self.hdr10_plus or self.dolby_vision)

    @property
    def mark(self) -> int:
        """CRC-32 to compare metadata; 0 if there is none."""
        return (
            zlib.crc32(len(self.hdr10_plus).to_bytes(4, "big") + self.hdr10_plus + self.dolby_vision)
            if self
            else 0
        )


def dynamic_hdr_of(
    codec: str, data: bytes, length_size: int, side: Iterable[tuple[str, bytes]] = ()
) -> DynamicHdr:
    """The metadata of a packet; empty if it has none.

    length_size: from `nal_length_size`. side: (FFmpeg's name, content) of the packet's side data; HDR10+ is
    read from it if the bitstream has none.
    """
    hdr10_plus = dolby_vision = b""
    for kind, message in _messages(codec, data, length_size):
        if kind == _HEVC_RPU:
            dolby_vision = message
        elif message.startswith(HDR10_PLUS):
            hdr10_plus = hdr10_plus or message
        elif message.startswith(DOLBY_VISION) and codec == "av1":
            dolby_vision = message
    if not hdr10_plus:
        hdr10_plus = next(
            (_message_of(content) for kind, content in side if kind == "dynamic_hdr10_plus"), b""
        )
    return DynamicHdr(hdr10_plus, dolby_vision)


def _messages(codec: str, data: bytes, length_size: int) -> Iterator[tuple[int, bytes]]:
    """(`_T35` or `_HEVC_RPU`, message or NAL unit) of a packet."""
    if codec == "av1":
        for obu, start, end in obus_at(data):
            if obu == _AV1_METADATA and data[start : start + 1] == bytes([_T35]):
                yield _T35, data[start + 1 : end].rstrip(b"\0").removesuffix(b"\x80")
    elif codec in {"h264", "hevc"}:
        for unit in nal_units(data, length_size):
            if codec == "hevc" and (unit[0] & 1 or unit[1:2] >= b"\x08"):
                continue  # another view or layer
            kind = unit[0] & 31 if codec == "h264" else (unit[0] >> 1) & 63
            if kind == (_H264_SEI if codec == "h264" else _HEVC_SEI):
                yield from (
                    found for found in sei_messages(unit[1 if codec == "h264" else 2 :]) if found[0] == _T35
                )
            elif kind == _HEVC_RPU and codec == "hevc":
                yield _HEVC_RPU, unit.rstrip(b"\0")


def insert_dynamic_hdr(codec: str, data: bytes, metadata: DynamicHdr) -> bytes:
    """Write the metadata of a packet's frame into the packet, for HEVC (Annex B) or AV1.

    Packets of other codecs are returned unchanged. In AV1 the metadata precedes the header of the shown
    frame, the last one of its temporal unit.
    """
    if codec == "hevc":
        if metadata.hdr10_plus:
            data = with_unit(codec, data, sei_unit(codec, [(_T35, metadata.hdr10_plus)]))
        return _with_rpu(data, metadata.dolby_vision) if metadata.dolby_vision else data
    if codec != "av1":
        return data
    return insert_t35_obus(data, (metadata.hdr10_plus, metadata.dolby_vision))


def insert_t35_obus(data: bytes, messages: Iterable[bytes]) -> bytes:
    """Write T.35 messages into an AV1 packet, before the header of its shown frame; empty ones are none."""
    begin = at = 0
    for kind, _, end in obus_at(data):
        if kind in {_AV1_FRAME, _AV1_FRAME_HEADER}:
            at = begin
        begin = end
    units = b"".join(metadata_obu(_T35, message) for message in messages if message)
    return data[:at] + units + data[at:]


_ENDS = re.compile(rb"(?:\x00*\x00\x00\x01[\x48\x4a]\x01)+\Z")
"""NAL units that end a sequence or a bitstream."""


def _with_rpu(data: bytes, unit: bytes) -> bytes:
    """Append an RPU to an access unit, before NAL units that end a sequence."""
    ends = _ENDS.search(data, max(0, len(data) - 16))
    at = ends.start() if ends else len(data)
    return data[:at] + b"\x00\x00\x00\x01" + unit + data[at:]


def hdr10_plus_windows(message: bytes) -> int:
    """Number of image regions that an HDR10+ message treats separately, 1 to 3; 0 if it is broken."""
    return message[len(HDR10_PLUS) + 1] >> 6 if len(message) > len(HDR10_PLUS) + 1 else 0


class _Writer:
    """A bit writer, most significant bit first."""

    def __init__(self) -> None:
        self._value, self._count = 0, 0

    def put(self, value: int, count: int) -> None:
        self._value, self._count = self._value << count | value, self._count + count

    def bytes(self) -> bytes:
        """Whole bytes, the last one padded with zeros."""
        missing = -self._count % 8
        return (self._value << missing).to_bytes((self._count + missing) // 8, "big")


_STRUCT_BYTES, _WINDOW_BYTES, _FIRST_WINDOW, _BEHIND_WINDOWS = 11304, 428, 4, 1288
"""Sizes and offsets of libavutil's AVDynamicHDRPlus, and of an AVHDRPlusColorTransformParams in it."""


def _message_of(content: bytes) -> bytes:
    """The T.35 message of an AVDynamicHDRPlus made by FFmpeg's Matroska demuxer; empty if there is none.

    Syntax: CTA-861-H, annex S. A rational of the struct is an integer of the message divided by the constant
    in libavutil/hdr_dynamic_metadata.c.
    """
    if len(content) < _STRUCT_BYTES or content[2] not in {1, 2, 3}:
        return b""
    windows = [content[_FIRST_WINDOW + n * _WINDOW_BYTES :][:_WINDOW_BYTES] for n in range(content[2])]
    made = _Writer()
    made.put(content[1], 8)
    made.put(len(windows), 2)
    for window in windows[1:]:
        for corner in range(4):
            made.put(_ratio(window, 8 * corner, 1), 16)
        x, y, angle, *axes, overlap = struct.unpack_from("<2HBx3HI", window, 32)
        for value, bits in ((x, 16), (y, 16), (angle, 8), *((axis, 16) for axis in axes), (overlap, 1)):
            made.put(value, bits)
    made.put(_ratio(content, _BEHIND_WINDOWS, 1), 27)
    _put_peaks(made, content[_BEHIND_WINDOWS + 8 :])
    for window in windows:
        _put_distribution(made, window)
    _put_peaks(made, content[_BEHIND_WINDOWS + 12 + 5000 :])
    for window in windows:
        _put_curve(made, window)
    return HDR10_PLUS + made.bytes()


def _ratio(data: bytes, at: int, unit: int) -> int:
    numerator, denominator = struct.unpack_from("<2i", data, at)
    return round(numerator * unit / denominator) if denominator else 0


def _put_all(made: _Writer, data: bytes, places: Iterable[int], unit: int, bits: int) -> None:
    for at in places:
        made.put(_ratio(data, at, unit), bits)


def _put_peaks(made: _Writer, data: bytes) -> None:
    """Actual peak luminances of a display: flag, rows, columns and up to 25 × 25 values."""
    flag, rows, columns = data[:3]
    made.put(flag, 1)
    if flag:
        made.put(rows, 5)
        made.put(columns, 5)
        _put_all(
            made,
            data,
            (4 + 8 * (25 * row + column) for row in range(rows) for column in range(columns)),
            15,
            4,
        )


def _put_distribution(made: _Writer, window: bytes) -> None:
    _put_all(made, window, range(48, 80, 8), 100000, 17)
    made.put(window[80], 4)
    for at in range(84, 84 + 12 * window[80], 12):
        made.put(window[at], 7)
        made.put(_ratio(window, at + 4, 100000), 17)
    made.put(_ratio(window, 264, 1000), 10)


def _put_curve(made: _Writer, window: bytes) -> None:
    made.put(window[272], 1)
    if window[272]:
        _put_all(made, window, (276, 284), 4095, 12)
        made.put(window[292], 4)
        _put_all(made, window, range(296, 296 + 8 * window[292], 8), 1023, 10)
    made.put(window[416], 1)
    if window[416]:
        made.put(_ratio(window, 420, 8), 6)
