"""Access units of TrueHD and MLP, as far as parsers and muxers read them: each with a major sync."""

from __future__ import annotations

__all__ = ["access_unit"]


_SYNC = {"truehd": 0xF8726FBA_00008001, "mlp": 0xF8726FBB_0F0F0001}
"""Format sync, rate 48 kHz, stereo."""


def access_unit(codec: str, number: int) -> bytes:
    """The unit of 40 samples with that number."""
    head = _SYNC[codec].to_bytes(8, "big") + b"\xb7\x52" + bytes(4) + b"\x80\x10\x10" + bytes(9)
    head += (_checksum(head[:24]) ^ int.from_bytes(head[24:26], "little")).to_bytes(2, "little")
    body = head + bytes([number & 255]) * 30
    return ((len(body) + 4) // 2).to_bytes(2, "big") + (number * 40 & 0xFFFF).to_bytes(2, "big") + body


def _checksum(data: bytes) -> int:
    """CRC-16 with the polynomial 0x2D, its bytes swapped."""
    value = 0
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 & 0xFFFF) ^ (0x2D if value & 0x8000 else 0)
    return value >> 8 | (value & 255) << 8
