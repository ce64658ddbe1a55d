"""Parsing of compressed packets.

The functions find where decoding may start, which headers packets carry, and where captions are inserted.
Clauses: H.264 = ITU-T H.264 table 7-1 and annex D, HEVC = ITU-T H.265 table 7-1, MPEG-2 = ISO/IEC 13818-2
clause 6.2.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from av.sidedata.sidedata import Type as SideData

from pipelines.media.hdr_metadata import frame_side_data

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from pipelines.media.cicp import HdrMetadata

__all__ = [
    "CAPTIONS",
    "caption_message",
    "caption_nal",
    "captions_of",
    "escaped",
    "film_header",
    "insert_captions",
    "insert_hdr",
    "is_clean_point",
    "metadata_obu",
    "nal_length_size",
    "nal_units",
    "obus_at",
    "sei_messages",
    "sei_unit",
    "with_unit",
]


_H264_IDR, _H264_SEI = 5, 6
_HEVC_IRAP = range(16, 22)
CAPTIONS = b"GA94\x03"
"""Before the triplets, in user data of every codec (ATSC A/53 part 4)."""
_SEI_T35, _SEI_RECOVERY_POINT, _SEI_MASTERING_DISPLAY, _SEI_LIGHT_LEVEL = 4, 6, 137, 144
_MPEG2_SEQUENCE_HEADER = b"\x00\x00\x01\xb3"


def nal_length_size(codec: str, extradata: bytes | None) -> int:
    """Size of the length before each NAL unit (avcC, hvcC) in bytes, or 0 for start codes (Annex B)."""
    if not extradata or extradata[0] != 1:
        return 0
    if codec == "h264" and len(extradata) > 4:
        return (extradata[4] & 3) + 1
    if codec == "hevc" and len(extradata) > 21:
        return (extradata[21] & 3) + 1
    return 0


def nal_units(data: bytes, length_size: int) -> Iterator[bytes]:
    """Split an access unit into NAL units; stops at damaged lengths."""
    if length_size:
        position = 0
        while position + length_size < len(data):
            length = int.from_bytes(data[position : position + length_size], "big")
            position += length_size
            if length:
                yield data[position : position + length]
            position += length
        return
    start = data.find(b"\x00\x00\x01")
    while start >= 0:
        end = data.find(b"\x00\x00\x01", start + 3)
        unit = data[start + 3 : end if end >= 0 else len(data)]
        if unit:
            yield unit
        start = end


def is_clean_point(codec: str, data: bytes, length_size: int) -> bool:
    """Whether everything shown from this key packet on can be decoded by starting at it.

    True for IDR and other IRAP frames, H.264 recovery points that recover at once, and MPEG-2 intra frames
    after a sequence header. False for periodic intra refresh: its first frames would be silently wrong.
    """
    if codec == "h264":
        for unit in nal_units(data, length_size):
            kind = unit[0] & 31
            if kind == _H264_IDR or (kind == _H264_SEI and _recovers_at_once(unit)):
                return True
            if 1 <= kind <= 4:
                return False
        return False
    if codec == "hevc":
        return any((unit[0] >> 1) & 63 in _HEVC_IRAP for unit in nal_units(data, length_size))
    if codec in {"mpeg2video", "mpeg1video"}:
        return _MPEG2_SEQUENCE_HEADER in data
    return True


_H264_SPS, _HEVC_FIRST_HEADER, _HEVC_SPS, _HEVC_SEI = 7, 32, 33, 39
_AV1_SEQUENCE, _AV1_METADATA = 1, 5
_AV1_LIGHT_LEVEL, _AV1_MASTERING_DISPLAY = 1, 2
_AV1_OF_THE_FILM = bytes([_AV1_LIGHT_LEVEL]), bytes([_AV1_MASTERING_DISPLAY])
"""Metadata of the whole film; T.35 messages and timecodes belong to single frames."""
_SEI_OF_THE_FILM = frozenset({47, _SEI_MASTERING_DISPLAY, _SEI_LIGHT_LEVEL, 147})
"""Display orientation, mastering display, content light level, alternative transfer characteristics (H.265
annex D)."""
_HEADER_AT = {
    "vp8": slice(3, 10),
    "vp9": slice(0, 10),
    "prores": slice(8, 28),
    "dnxhd": slice(0x18, 0x2C),
    "png": slice(8, 33),
}
"""Position of size, format and colour in packets of a codec."""
_JPEG2000_SIZE = b"\xff\x4f\xff\x51"
"""Start of codestream and the segment SIZ (ITU-T T.800, annex A)."""
_CFHD_SHAPE = frozenset({b"\x00\x14", b"\x00\x15", b"\x00\x46", b"\x00\x54"})
"""Tags of width, height, precision and encoded format (SMPTE ST 2073-1)."""


def film_header(codec: str, data: bytes, length_size: int) -> bytes:
    """The part of a key packet that describes the whole film (size, format, colour, SAR), for comparisons.

    Empty if the packet contains none. Two headers may differ although all of these properties are equal.
    """
    if codec == "h264":
        heads = itertools.takewhile(lambda u: not 1 <= u[0] & 31 <= _H264_IDR, nal_units(data, length_size))
        return b"".join(
            u for u in heads if u[0] & 31 == _H264_SPS or (u[0] & 31 == _H264_SEI and _is_of_the_film(u[1:]))
        )
    if codec == "hevc":
        units = itertools.takewhile(
            lambda u: (u[0] >> 1) & 63 >= _HEVC_FIRST_HEADER, nal_units(data, length_size)
        )
        return b"".join(
            u
            for u in units
            if (u[0] >> 1) & 63 == _HEVC_SPS or ((u[0] >> 1) & 63 == _HEVC_SEI and _is_of_the_film(u[2:]))
        )
    if codec == "av1":
        return b"".join(
            u
            for kind, u in _obus(data)
            if kind == _AV1_SEQUENCE or (kind == _AV1_METADATA and u[:1] in _AV1_OF_THE_FILM)
        )
    if codec in {"mpeg1video", "mpeg2video"}:
        start = data.find(_MPEG2_SEQUENCE_HEADER)
        ends = [
            at
            for at in (
                data.find(code, start + 4)
                for code in (b"\x00\x00\x01\x00", b"\x00\x00\x01\xb8", b"\x00\x00\x01\xb2")
            )
            if at > 0
        ]
        return data[start : min(ends, default=len(data))] if start >= 0 else b""
    if codec == "mpeg4":
        start = data.find(b"\x00\x00\x01\x20")
        return data[start : data.find(b"\x00\x00\x01", start + 4)] if start >= 0 else b""
    if codec == "vc1":
        start = data.find(b"\x00\x00\x01\x0f")
        return data[start : data.find(b"\x00\x00\x01", start + 4)] if start >= 0 else b""
    if codec == "mjpeg":
        return _jpeg_frame_header(data)
    if codec == "jpeg2000":
        start = data.find(_JPEG2000_SIZE)
        return (
            data[start : start + 4 + int.from_bytes(data[start + 4 : start + 6], "big")]
            if start >= 0
            else b""
        )
    if codec == "cfhd":
        pairs = (data[at : at + 4] for at in range(0, min(len(data), 1024), 4))
        return b"".join(pair for pair in pairs if pair[:2] in _CFHD_SHAPE)
    return data[_HEADER_AT.get(codec, slice(0, 0))]


def _is_of_the_film(payload: bytes) -> bool:
    return bool(payload) and payload[0] in _SEI_OF_THE_FILM


def _obus(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, content) of the units of an AV1 temporal unit."""
    return ((kind, data[start:end]) for kind, start, end in obus_at(data))


def obus_at(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(type, first byte and one past the last of the content) of the units (AV1 clause 5.3).

    Stops at a unit without a length.
    """
    at = 0
    while at < len(data):
        head = data[at]
        at += 2 if head & 4 else 1
        size = shift = 0
        while head & 2 and at < len(data) and shift < 56:
            byte, at = data[at], at + 1
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        end = at + size if head & 2 else len(data)
        yield (head >> 3) & 15, at, end
        at = end


def _jpeg_frame_header(data: bytes) -> bytes:
    """The segments SOF0 to SOF3 of a JPEG picture (ITU-T T.81, table B.1)."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] in range(0xC0, 0xC4):
            return data[at : at + 2 + size]
        at += 2 + size
    return b""


def _recovers_at_once(sei: bytes) -> bool:
    """Whether an H.264 SEI unit has a recovery point with recovery_frame_cnt 0 (clause D.1.8, ue(v))."""
    return any(
        kind == _SEI_RECOVERY_POINT and payload[:1] >= b"\x80" for kind, payload in sei_messages(sei[1:])
    )


def sei_messages(body: bytes) -> Iterator[tuple[int, bytes]]:
    """(payload type, payload) of the messages of an SEI unit (H.264 clause 7.3.2.3.1, H.265 clause 7.3.5).

    body: the unit without its header.
    """
    payload = body.replace(b"\x00\x00\x03", b"\x00\x00")
    position = 0
    while position + 2 < len(payload):
        numbers = [0, 0]
        for place in range(2):
            while position < len(payload) and payload[position] == 255:
                numbers[place], position = numbers[place] + 255, position + 1
            if position >= len(payload):
                return
            numbers[place], position = numbers[place] + payload[position], position + 1
        kind, size = numbers
        yield kind, payload[position : position + size]
        position += size


def caption_nal(codec: str, cc_data: bytes) -> bytes:
    """A prefix SEI unit with CEA-608/708 triplets as user data registered by ITU-T T.35 (ATSC A/53 part 4).

    codec: "h264" or "hevc". cc_data: whole triplets, at most 31.
    """
    return sei_unit(codec, [(_SEI_T35, caption_message(cc_data))])


def caption_message(cc_data: bytes) -> bytes:
    """A T.35 message of CEA-608/708 triplets, from its country code on; of at most 31."""
    count = min(len(cc_data) // 3, 31)
    return b"\xb5\x00\x31" + CAPTIONS + bytes([0x40 | count, 0xFF]) + cc_data[: 3 * count] + b"\xff"


def sei_unit(codec: str, messages: Iterable[tuple[int, bytes]]) -> bytes:
    """A prefix SEI unit of (payload type, payload)."""
    body = b"".join(
        bytes([kind]) + b"\xff" * (len(message) // 255) + bytes([len(message) % 255]) + message
        for kind, message in messages
    )
    header = b"\x06" if codec == "h264" else b"\x4e\x01"
    return header + escaped(body + b"\x80")


def escaped(body: bytes) -> bytes:
    """Add emulation prevention to the content of a NAL unit (H.264 clause 7.4.1, H.265 clause 7.4.2)."""
    made = bytearray()
    zeros = 0
    for byte in body:
        if zeros >= 2 and byte <= 3:
            made.append(3)
            zeros = 0
        made.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(made)


def insert_captions(codec: str, data: bytes, cc_data: bytes) -> bytes:
    """Insert a caption SEI before the first slice of an Annex B access unit."""
    return with_unit(codec, data, caption_nal(codec, cc_data))


def with_unit(codec: str, data: bytes, nal: bytes) -> bytes:
    """Insert a unit before the first slice of an Annex B access unit."""
    unit = b"\x00\x00\x00\x01" + nal
    position = data.find(b"\x00\x00\x01")
    while position >= 0:
        first = data[position + 3] if position + 3 < len(data) else 0
        is_slice = 1 <= first & 31 <= 5 if codec == "h264" else (first >> 1) & 63 < 32
        if is_slice:
            start = position - 1 if position > 0 and data[position - 1] == 0 else position
            return data[:start] + unit + data[start:]
        position = data.find(b"\x00\x00\x01", position + 3)
    return data


def insert_hdr(codec: str, data: bytes, metadata: HdrMetadata) -> bytes:
    """Insert the metadata before the picture of a key packet (Annex B, or an AV1 temporal unit).

    Packets of other codecs are returned as they are.
    """
    if codec in {"h264", "hevc"}:
        messages = []
        if metadata.display:
            red, green, blue, white, luminance = (metadata.display[n : n + 2] for n in range(0, 10, 2))
            messages.append(
                (_SEI_MASTERING_DISPLAY, struct.pack(">8H2I", *green, *blue, *red, *white, *luminance))
            )
        if metadata.light:
            messages.append((_SEI_LIGHT_LEVEL, struct.pack(">2H", *metadata.light)))
        return with_unit(codec, data, sei_unit(codec, messages))
    if codec != "av1":
        return data
    units = b""
    if metadata.display:  # AV1 clause 6.7.4: chromaticities in 2^-16, luminances in 2^-8 and 2^-14
        points = [round(v * 65536 / 50000) for v in metadata.display[:8]]
        luminance = round(metadata.display[8] * 256 / 10000), round(metadata.display[9] * 16384 / 10000)
        units += metadata_obu(_AV1_MASTERING_DISPLAY, struct.pack(">8H2I", *points, *luminance))
    if metadata.light:
        units += metadata_obu(_AV1_LIGHT_LEVEL, struct.pack(">2H", *metadata.light))
    at = 0
    for kind, _, end in obus_at(data):
        if kind == _AV1_SEQUENCE:
            at = end
    return data[:at] + units + data[at:]


def metadata_obu(kind: int, payload: bytes) -> bytes:
    """A metadata OBU with its size (leb128, AV1 clause 4.10.5) and trailing bits (AV1 clause 5.8)."""
    content = bytes([kind]) + payload + b"\x80"
    size, length = b"", len(content)
    while length > 127:
        size, length = size + bytes([length & 127 | 128]), length >> 7
    return bytes([_AV1_METADATA << 3 | 2]) + size + bytes([length]) + content


def captions_of(frame: VideoFrame) -> bytes:
    """The closed captions (A/53 cc_data) a decoded frame carries."""
    return frame_side_data(frame, SideData.A53_CC) or b""
