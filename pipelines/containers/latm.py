"""The access units of AAC in LATM (ISO/IEC 14496-3, clause 1.7), as MP4 and Matroska store them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ADTS_SILENCE", "LatmReader", "decoder_config"]


_SYNC = 0x2B7
_ESCAPE = 31
_SBR, _PS = 5, 29
_GENERAL_AUDIO = frozenset({1, 2, 3, 4, 6, 7, 17, 19, 20, 21, 22, 23})


class _Bits:
    """Reads bit fields. Raises ValueError at the end of the data."""

    def __init__(self, data: bytes) -> None:
        self._value, self.size, self.at = int.from_bytes(data, "big"), 8 * len(data), 0

    def take(self, count: int) -> int:
        self.at += count
        if self.at > self.size:
            raise ValueError("LATM ends early")
        return self._value >> (self.size - self.at) & ((1 << count) - 1)

    def span(self, start: int, stop: int) -> bytes:
        """The bits between two positions, padded to whole bytes."""
        count = stop - start
        value = self._value >> (self.size - stop) & ((1 << count) - 1)
        return (value << (-count % 8)).to_bytes(-(-count // 8), "big")

    def number(self) -> int:
        """Read a LatmGetValue, which begins with its length in bytes."""
        return self.take(8 * (self.take(2) + 1))


@dataclass(frozen=True)
class _Mux:
    """A StreamMuxConfig of one program and one layer."""

    config: bytes
    """AudioSpecificConfig."""
    units: int
    """Access units in each element."""


class LatmReader:
    """Extracts access units from the packets of one track; only some packets repeat the configuration."""

    def __init__(self) -> None:
        self._mux: _Mux | None = None

    @property
    def config(self) -> bytes:
        """The AudioSpecificConfig of the latest packet that has one; empty before the first."""
        return self._mux.config if self._mux is not None else b""

    def units(self, data: bytes) -> list[bytes]:
        """The access units of a packet; none before the first configuration.

        Raises ValueError for a damaged packet, and for features that broadcasts don't use.
        """
        bits = _Bits(data)
        if bits.take(11) != _SYNC or 8 * bits.take(13) > bits.size - 24:
            raise ValueError("no LATM")
        if not bits.take(1):
            self._mux = _mux(bits)
        if self._mux is None:
            return []
        found = []
        for _ in range(self._mux.units):
            length = part = bits.take(8)
            while part == 0xFF:
                part = bits.take(8)
                length += part
            bits.take(8 * length)
            found.append(bits.span(bits.at - 8 * length, bits.at))
        return found


def _mux(bits: _Bits) -> _Mux:
    """Read a StreamMuxConfig (table 1.42). Raises ValueError for features that broadcasts don't use."""
    version = bits.take(1)
    if version and bits.take(1):
        raise ValueError("LATM of a later version")
    if version:
        bits.number()  # taraBufferFullness
    same_framing, units, programs, layers = bits.take(1), bits.take(6) + 1, bits.take(4), bits.take(3)
    if not same_framing or programs or layers:
        raise ValueError("LATM of several programs or layers")
    if version:
        length = bits.number()
        bits.take(length)
        config = bits.span(bits.at - length, bits.at)
    else:
        start = bits.at
        _skip_config(bits)
        config = bits.span(start, bits.at)
    if bits.take(3):
        raise ValueError("LATM frames of one length")
    bits.take(8)  # latmBufferFullness
    if bits.take(1):  # other data
        raise ValueError("LATM with other data")
    if bits.take(1):  # a checksum
        bits.take(8)
    return _Mux(config, units)


def _skip_config(bits: _Bits) -> None:
    """Read an AudioSpecificConfig (table 1.15), which does not contain its length."""
    kind, _ = _kind(bits), _rate(bits)
    channels = bits.take(4)
    if kind in {_SBR, _PS}:
        _rate(bits)
        kind = _kind(bits)
        if kind == 22:
            bits.take(4)
    if kind not in _GENERAL_AUDIO or not channels:
        raise ValueError("LATM of another kind of AAC")
    bits.take(1)  # 960 or 1024 samples
    if bits.take(1):  # depends on a core coder
        bits.take(14)
    extended = bits.take(1)
    if kind in {6, 20}:
        bits.take(3)
    if extended:
        bits.take(16 if kind == 22 else 0)
        bits.take(3 if kind in {17, 19, 20, 23} else 0)
        bits.take(1)


def _kind(bits: _Bits) -> int:
    kind = bits.take(5)
    return 32 + bits.take(6) if kind == _ESCAPE else kind


def _rate(bits: _Bits) -> int:
    index = bits.take(4)
    return bits.take(24) if index == 15 else index


def decoder_config(packets: list[bytes]) -> bytes:
    """The AudioSpecificConfig of the first packet that has one; empty if none has."""
    reader = LatmReader()
    for data in packets:
        try:
            reader.units(data)
        except ValueError:
            continue
        if reader.config:
            return reader.config
    return b""


ADTS_SILENCE = (bytes.fromhex("fff14c8002fffc") + bytes(16)) * 4
"""AAC without content, of which FFmpeg makes a track."""
