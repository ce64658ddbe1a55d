"""Dolby Vision: parsing of RPUs, and the configuration record of containers.

The active area of an RPU can be adapted to another frame size. Syntax: ETSI GS CCM 001 V1.1.1
(rpu_data_header, vdr_rpu_data_payload, vdr_dm_data_payload), as in libavcodec/dovi_rpudec.c; record and
levels: "Dolby Vision Streams Within the ISO Base Media File Format", "Dolby Vision Profiles and Levels".
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipelines.media.bitstream import escaped
from pipelines.media.cicp import Transfer
from pipelines.media.dynamic_hdr import DOLBY_VISION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from fractions import Fraction

__all__ = ["COMPATIBILITY", "RPU", "configuration_record", "parse_rpu", "with_active_area"]


COMPATIBILITY = {Transfer.PQ: 1, Transfer.HLG: 4}
"""Transfer of a base layer that any player shows correctly -> bl_signal_compatibility_id: HDR10 and HLG."""
_PREFIX = 25
"""rpu_nal_prefix, before an RPU in HEVC."""
_EMDF_HEADER, _EMDF_BITS = 0x01BE6841, 27
"""Header of the AV1 wrapper around an RPU, as in libavcodec; the RPU does not begin at a byte boundary."""
_RPU_TYPE, _LEVEL_OF_AREA, _OFFSET_BITS, _AREA_BITS = 2, 5, 13, 4 * 13
_REVERSED = bytes(int(f"{n:08b}"[::-1], 2) for n in range(256))


@dataclass(frozen=True)
class RPU:
    """Parsed fields of an RPU."""

    profile: int
    """4, 7 or 8 for HEVC, 10 for AV1; 5, for both: a base layer that only Dolby Vision players show
    correctly; 0: another."""
    is_chained: bool
    """Whether its mapping refers to an earlier frame in decoding order."""
    areas: tuple[tuple[int, int, int, int], ...] = ()
    """Margins of the active areas (level 5): left, right, top, bottom, in pixels."""
    places: tuple[int, ...] = field(default=(), repr=False)
    """Bit positions in `_payload` at which `areas` begin."""


class _Bits:
    """A bit reader. Raises ValueError after the last bit."""

    def __init__(self, data: bytes) -> None:
        self._value, self._count, self.at = int.from_bytes(data, "big"), 8 * len(data), 0

    @property
    def left(self) -> int:
        return self._count - self.at

    def u(self, count: int) -> int:
        """Read an unsigned integer of so many bits."""
        self.at += count
        if self.at > self._count:
            raise ValueError("it ends early")
        return self._value >> (self._count - self.at) & ((1 << count) - 1)

    def ue(self) -> int:
        """Read an Exp-Golomb code (H.265 clause 9.2)."""
        zeros = 0
        while not self.u(1):
            zeros += 1
        return (1 << zeros) - 1 + self.u(zeros)

    def align(self) -> None:
        """Continue at the next byte boundary."""
        self.at += -self.at % 8


def parse_rpu(unit: bytes) -> RPU:
    """Parse an RPU as stored in `DynamicHdr.dolby_vision`.

    Raises ValueError for a damaged or unsupported one.
    """
    payload, _ = _payload(unit)
    if payload[-5:-1] != _crc32(payload[:-5]):
        raise ValueError("its CRC-32 is wrong")
    bits = _Bits(payload)
    if bits.u(6) != _RPU_TYPE:
        raise ValueError("its type is unknown")
    header = _Header(bits)
    has_display, is_chained = bits.u(1), bool(bits.u(1))
    if is_chained:
        bits.ue()
    else:
        _skip_mapping(bits, header)
    profile = header.profile if not unit.startswith(DOLBY_VISION) or header.profile == 5 else 10
    if not has_display:
        return RPU(profile, is_chained)
    found = list(_areas(bits))
    return RPU(profile, is_chained, tuple(area for _, area in found), tuple(at for at, _ in found))


class _Header:
    """rpu_data_header, as far as parsing of the rest depends on it."""

    def __init__(self, bits: _Bits) -> None:
        layered = bits.u(11) & 0x700 == 0
        vdr_profile = bits.u(4)
        bits.u(4)
        if not bits.u(1):
            raise ValueError("it has no sequence information")
        bits.u(1)
        is_float = bits.u(2) == 1
        self.coefficient_bits = 32 if is_float else bits.ue()
        self.has_integers = not is_float
        bits.u(2)
        full_range = bits.u(1)
        self.base_bits = self.residual_bits = vdr_bits = 8
        resampled = has_residual = 0
        if layered:
            self.base_bits, self.residual_bits, vdr_bits = (8 + bits.ue() for _ in range(3))
            bits.u(4)
            resampled, has_residual = bits.u(1), 1 - bits.u(1)
        self.has_residual = bool(has_residual)
        self.profile = {0: 5 if full_range else 0, 1: 8}.get(vdr_profile, 0)
        if vdr_profile == 1 and resampled and has_residual:
            self.profile = 7 if vdr_bits == 12 else 4


def _skip_mapping(bits: _Bits, header: _Header) -> None:
    """The rest of rpu_data_header, and vdr_rpu_data_payload."""
    for _ in range(3):
        bits.ue()
    pieces = []
    for _ in range(3):
        pivots = bits.ue() + 2
        bits.u(pivots * header.base_bits)
        pieces.append(pivots - 1)
    method = bits.u(3) if header.has_residual else 0
    if header.has_residual:
        bits.u(2 * header.base_bits)
    bits.ue()
    bits.ue()
    for _ in range(sum(pieces)):
        _skip_curve(bits, header)
    for _ in range(3 if header.has_residual else 0):
        bits.u(header.residual_bits)
        _skip_coefficients(bits, header, 3 if method == 0 else 1)


def _skip_curve(bits: _Bits, header: _Header) -> None:
    kind = bits.ue()
    if kind == 0:
        order = bits.ue() + 1
        if order == 1 and bits.u(1):
            raise ValueError("it interpolates")
        _skip_coefficients(bits, header, order + 1)
    elif kind == 1:
        _skip_coefficients(bits, header, 1 + 7 * (bits.u(2) + 1))
    else:
        raise ValueError("its mapping is unknown")


def _skip_coefficients(bits: _Bits, header: _Header, count: int) -> None:
    for _ in range(count):
        if header.has_integers:
            bits.ue()
        bits.u(header.coefficient_bits)


def _areas(bits: _Bits) -> Iterator[tuple[int, tuple[int, int, int, int]]]:
    """(position, margins) of the active areas in vdr_dm_data_payload."""
    for _ in range(3):
        bits.ue()
    bits.u(9 * 16 + 3 * 32 + 9 * 16)  # matrices
    bits.u(3 * 16 + 32 + 5 + 3 * 2 + 2 * 12 + 10)  # signal and source
    yield from _extension_blocks(bits)
    if bits.left > 8 * 6:  # more than padding, CRC-32 and the last byte
        yield from _extension_blocks(bits)


def _extension_blocks(bits: _Bits) -> Iterator[tuple[int, tuple[int, int, int, int]]]:
    count = bits.ue()
    bits.align()
    for _ in range(count):
        length = 8 * bits.ue()
        level, start = bits.u(8), bits.at
        if level == _LEVEL_OF_AREA:
            left, right, top, bottom = (bits.u(_OFFSET_BITS) for _ in range(4))
            yield start, (left, right, top, bottom)
        bits.u(start + length - bits.at)


def with_active_area(
    unit: bytes, fit: Callable[[tuple[int, int, int, int]], tuple[int, int, int, int]]
) -> bytes:
    """Apply `fit` to the margins (left, right, top, bottom) of an RPU's active areas.

    Returned unchanged if nothing changes. Raises ValueError for an unsupported RPU, one that refers to
    another, and an area that it can't express.
    """
    rpu = parse_rpu(unit)
    if rpu.is_chained:
        raise ValueError("it refers to that of an earlier frame")
    wanted = [fit(area) for area in rpu.areas]
    if wanted == list(rpu.areas):
        return unit
    payload, wrap = _payload(unit)
    count, value = 8 * len(payload), int.from_bytes(payload, "big")
    for place, area in zip(rpu.places, wanted, strict=True):
        if max(area) >> _OFFSET_BITS:
            raise ValueError(f"an active area that begins {max(area)} pixels from an edge can't be written")
        shift, packed = count - place - _AREA_BITS, 0
        for offset in area:
            packed = packed << _OFFSET_BITS | offset
        value = value & ~((1 << _AREA_BITS) - 1 << shift) | packed << shift
    body = value.to_bytes(len(payload), "big")[:-5]
    return wrap(body + _crc32(body) + payload[-1:])


def _payload(unit: bytes) -> tuple[bytes, Callable[[bytes], bytes]]:
    """(an RPU from its type to its last byte 0x80, a function that wraps another RPU of the same length)."""
    if unit.startswith(DOLBY_VISION):
        return _emdf_payload(unit)
    body = unit[2:].replace(b"\x00\x00\x03", b"\x00\x00").rstrip(b"\0")
    if len(body) < 8 or body[0] != _PREFIX or body[-1] != 0x80:
        raise ValueError("it is no RPU")
    return body[1:], lambda payload: unit[:2] + escaped(body[:1] + payload)


def _emdf_payload(message: bytes) -> tuple[bytes, Callable[[bytes], bytes]]:
    bits = _Bits(message)
    bits.u(8 * len(DOLBY_VISION))
    if bits.u(_EMDF_BITS) != _EMDF_HEADER:
        raise ValueError("it is no RPU")
    size = bits.u(8)
    while bits.u(1):
        size = (size + 1 << 8) | bits.u(8)
    payload = bits.u(8 * size).to_bytes(size, "big")
    shift = bits.left
    if size < 8 or payload[-1] != 0x80:
        raise ValueError("it is no RPU")

    def wrap(other: bytes) -> bytes:
        change = int.from_bytes(other, "big") ^ int.from_bytes(payload, "big")
        return (int.from_bytes(message, "big") ^ change << shift).to_bytes(len(message), "big")

    return payload, wrap


def _crc32(data: bytes) -> bytes:
    """CRC-32/MPEG-2 (ISO/IEC 13818-1 annex A): that of zlib, with reversed bits."""
    value = ~zlib.crc32(data.translate(_REVERSED)) & 0xFFFFFFFF
    return value.to_bytes(4, "little").translate(_REVERSED)


_LEVELS = (
    (1280, 1280 * 720 * 24), (1280, 1280 * 720 * 30),
    (1920, 1920 * 1080 * 24), (2560, 1920 * 1080 * 30), (3840, 1920 * 1080 * 60),
    (3840, 3840 * 2160 * 24), (3840, 3840 * 2160 * 30), (3840, 3840 * 2160 * 48), (3840, 3840 * 2160 * 60),
    (3840, 3840 * 2160 * 120), (7680, 3840 * 2160 * 120), (7680, 7680 * 4320 * 60), (7680, 7680 * 4320 * 120),
)  # fmt: skip
"""Largest width and pixels per second of levels 1 to 13 ("Dolby Vision Profiles and Levels", as in
libavcodec/dovi_rpuenc.c)."""


def configuration_record(codec: str, transfer: int, width: int, height: int, rate: Fraction) -> bytes:
    """DOVIDecoderConfigurationRecord of a film with one layer: profile 8 in HEVC, 10 in AV1.

    width, height, rate: size and frames per second, which determine the level.
    """
    pixels = width * height * rate
    holding = (n for n, (widest, most) in enumerate(_LEVELS, 1) if width <= widest and pixels <= most)
    level = next(holding, len(_LEVELS))
    profile = {"hevc": 8, "av1": 10}[codec]
    rpu_and_base = 0b101
    head = 1 << 32 | profile << 17 | level << 11 | rpu_and_base << 8 | COMPATIBILITY[Transfer(transfer)] << 4
    return head.to_bytes(5, "big") + bytes(19)
