"""What a compressed packet says of itself: whether decoding may start there, and where closed captions go in.

Clauses: H.264 = ITU-T H.264 table 7-1 and annex D, HEVC = ITU-T H.265 table 7-1, MPEG-2 = ISO/IEC 13818-2 clause 6.2.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["caption_nal", "insert_captions", "is_clean_point", "nal_length_size", "nal_units"]

_H264_IDR, _H264_SEI = 5, 6
_HEVC_IRAP = range(16, 22)
_SEI_RECOVERY_POINT = 6
_MPEG2_SEQUENCE_HEADER = b"\x00\x00\x01\xb3"


def nal_length_size(codec: str, extradata: bytes | None) -> int:
    """Bytes of the length in front of each NAL unit (avcC, hvcC), or 0 where start codes divide them (Annex B)."""
    if not extradata or extradata[0] != 1:
        return 0
    if codec == "h264" and len(extradata) > 4:
        return (extradata[4] & 3) + 1
    if codec == "hevc" and len(extradata) > 21:
        return (extradata[21] & 3) + 1
    return 0


def nal_units(data: bytes, length_size: int) -> Iterator[bytes]:
    """Split an access unit into NAL units; damaged lengths end the walk."""
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

    True for IDR and other IRAP pictures, H.264 recovery points that recover at once, and MPEG-2 intra pictures behind a
    sequence header. False for periodic intra refresh, whose first pictures would be silently wrong.
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


def _recovers_at_once(sei: bytes) -> bool:
    """Whether an H.264 SEI unit holds a recovery point with recovery_frame_cnt 0 (clause D.1.8, ue(v): a leading 1 bit)."""
    payload = sei[1:].replace(b"\x00\x00\x03", b"\x00\x00")
    position = 0
    while position + 2 < len(payload):
        kind = size = 0
        while position < len(payload) and payload[position] == 255:
            kind, position = kind + 255, position + 1
        if position >= len(payload):
            return False
        kind, position = kind + payload[position], position + 1
        while position < len(payload) and payload[position] == 255:
            size, position = size + 255, position + 1
        if position >= len(payload):
            return False
        size, position = size + payload[position], position + 1
        if kind == _SEI_RECOVERY_POINT and position < len(payload):
            return payload[position] & 0x80 != 0
        position += size
    return False


def caption_nal(codec: str, cc_data: bytes) -> bytes:
    """A prefix SEI unit with CEA-608/708 triplets as user data registered by ITU-T T.35 (ATSC A/53 part 4).

    codec: "h264" or "hevc". cc_data: whole triplets, at most 31.
    """
    count = min(len(cc_data) // 3, 31)
    message = b"\xb5\x00\x31GA94\x03" + bytes([0x40 | count, 0xFF]) + cc_data[: 3 * count] + b"\xff"
    body = bytes([4, len(message)]) + message + b"\x80"
    escaped = bytearray()
    zeros = 0
    for byte in body:
        if zeros >= 2 and byte <= 3:
            escaped.append(3)
            zeros = 0
        escaped.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    header = b"\x06" if codec == "h264" else b"\x4e\x01"
    return header + bytes(escaped)


def insert_captions(codec: str, data: bytes, cc_data: bytes) -> bytes:
    """An Annex B access unit with a caption SEI in front of its first slice."""
    unit = b"\x00\x00\x00\x01" + caption_nal(codec, cc_data)
    position = data.find(b"\x00\x00\x01")
    while position >= 0:
        first = data[position + 3] if position + 3 < len(data) else 0
        is_slice = 1 <= first & 31 <= 5 if codec == "h264" else (first >> 1) & 63 < 32
        if is_slice:
            start = position - 1 if position > 0 and data[position - 1] == 0 else position
            return data[:start] + unit + data[start:]
        position = data.find(b"\x00\x00\x01", position + 3)
    return data
