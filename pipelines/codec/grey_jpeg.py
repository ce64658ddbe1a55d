"""`grey_jpeg`: baseline JPEG of one component (ITU-T T.81), which FFmpeg's encoder doesn't write.

All arithmetic is on integers, so the bytes are the same on every machine.
"""

from __future__ import annotations

import numpy as np

__all__ = ["grey_jpeg"]


_BITS = 13
"""Binary places of the cosines."""
_ANGLES = np.cos(np.outer(np.arange(8), 2 * np.arange(8) + 1) * np.pi / 16) / 2
_ANGLES[0] /= np.sqrt(2)
_DCT = np.rint(_ANGLES * (1 << _BITS)).astype(np.int64)
"""Rows are the basis functions of T.81 A.3.3."""
_ZIGZAG = np.array(sorted(range(64), key=lambda n: (
    n // 8 + n % 8, n // 8 if (n // 8 + n % 8) % 2 else n % 8
)))  # fmt: skip
_MATRIX = np.array(
    [
        8, 16, 19, 22, 26, 27, 29, 34, 16, 16, 22, 24, 27, 29, 34, 37, 19, 22, 26, 27, 29, 34, 34, 38,
        22, 22, 26, 27, 29, 34, 37, 40, 22, 26, 27, 29, 32, 35, 40, 48, 26, 27, 29, 32, 35, 40, 48, 58,
        26, 27, 29, 34, 38, 46, 56, 69, 27, 29, 35, 38, 46, 56, 69, 83,
    ]
)  # fmt: skip
"""FFmpeg's matrix (that of MPEG-1): steps are this times the scale, over 8."""
_DC_COUNTS = bytes([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0])
_AC_COUNTS = bytes([0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7D])
_AC_SYMBOLS = bytes.fromhex(
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a"
    "3435363738393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a929394"
    "95969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8"
    "e9eaf1f2f3f4f5f6f7f8f9fa"
)
"""T.81 tables K.3 and K.5: codes per length, and their symbols."""
_END, _SIXTEEN_ZEROS = 0x00, 0xF0
_ROWS = 64
"""Rows of blocks that are coded together, which bounds the memory."""


def _codes(counts: bytes, symbols: bytes) -> tuple[np.ndarray, np.ndarray]:
    """(code, length) of every symbol, T.81 annex C."""
    codes, lengths = np.zeros(256, np.int64), np.zeros(256, np.int64)
    code, place = 0, 0
    for length, count in enumerate(counts, start=1):
        for symbol in symbols[place : place + count]:
            codes[symbol], lengths[symbol] = code, length
            code += 1
        place, code = place + count, code << 1
    return codes, lengths


_DC, _AC = _codes(_DC_COUNTS, bytes(range(12))), _codes(_AC_COUNTS, _AC_SYMBOLS)


def grey_jpeg(plane: np.ndarray, scale: int) -> bytes:
    """Encode a grey image as a JPEG file.

    plane: (H,W) uint8, 0 is black. scale: as FFmpeg's option `q`, 1 (best) to 31.
    """
    height, width = plane.shape
    steps = np.clip(_MATRIX * scale >> 3, 1, 255)
    bits = _BitWriter()
    last = 0
    for top in range(0, height, 8 * _ROWS):
        blocks = _blocks(plane[top : top + 8 * _ROWS], steps)
        bits.add(*_tokens(blocks, last))
        last = int(blocks[-1, 0])
    segments = (
        (0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
        (0xDB, b"\0" + bytes(steps[_ZIGZAG].tolist())),
        (0xC0, b"\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big") + b"\1\1\x11\0"),
        (0xC4, b"\0" + _DC_COUNTS + bytes(range(12))),
        (0xC4, b"\x10" + _AC_COUNTS + _AC_SYMBOLS),
        (0xDA, b"\1\1\0\0\x3f\0"),
    )
    head = b"".join(
        b"\xff" + bytes([kind]) + (len(data) + 2).to_bytes(2, "big") + data for kind, data in segments
    )
    return b"\xff\xd8" + head + bits.finished() + b"\xff\xd9"


def _blocks(plane: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """(blocks, 64) quantised coefficients in zigzag order; edges are repeated to whole blocks."""
    height, width = plane.shape
    whole = np.pad(plane, ((0, -height % 8), (0, -width % 8)), mode="edge").astype(np.int64) - 128
    tiles = whole.reshape(whole.shape[0] // 8, 8, -1, 8).transpose(0, 2, 1, 3).reshape(-1, 8, 8)
    waves = np.matmul(np.matmul(_DCT, tiles), _DCT.T).reshape(-1, 64)
    unit = steps << 2 * _BITS
    quantised = np.sign(waves) * ((np.abs(waves) + unit // 2) // unit)
    return np.asarray(quantised[:, _ZIGZAG])


def _tokens(blocks: np.ndarray, last: int) -> tuple[np.ndarray, np.ndarray]:
    """(values, lengths) of the bit strings of all blocks, in order. last: the DC before the first block."""
    count = len(blocks)
    dc = np.diff(blocks[:, 0], prepend=last)
    block, place = np.nonzero(blocks[:, 1:])
    values = blocks[block, place + 1]
    is_first = np.diff(block, prepend=-1) != 0
    run = np.where(is_first, place, place - np.concatenate(([0], place[:-1])) - 1)
    zeros = np.repeat(np.arange(len(run)), run >> 4)
    ends = np.full(count, -1)
    ends[block] = place  # the last one stays
    open_ends = np.flatnonzero(ends < 62)
    parts = [
        (np.arange(count) * 256, *_coded(dc, np.zeros(count, np.int64), _DC)),
        (block * 256 + 2 * place + 2, *_coded(values, (run & 15) << 4, _AC)),
        (block[zeros] * 256 + 2 * place[zeros] + 1, *_symbols(_SIXTEEN_ZEROS, len(zeros))),
        (open_ends * 256 + 255, *_symbols(_END, len(open_ends))),
    ]
    keys, codes, lengths = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(keys, kind="stable")
    return codes[order], lengths[order]


def _coded(
    values: np.ndarray, upper: np.ndarray, table: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Code of each size category with the bits of the value behind it (T.81 F.1.2). upper: of the symbol."""
    sizes = np.frexp(np.abs(values).astype(np.float64))[1].astype(np.int64)
    bits = np.where(values < 0, values + (1 << sizes) - 1, values)
    symbols = upper | sizes
    return table[0][symbols] << sizes | bits, table[1][symbols] + sizes


def _symbols(symbol: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full(count, _AC[0][symbol]), np.full(count, _AC[1][symbol])


class _BitWriter:
    """Joins bit strings of up to 27 bits to bytes."""

    def __init__(self) -> None:
        self._done: list[bytes] = []
        self._rest, self._rest_bits = 0, 0

    def add(self, values: np.ndarray, lengths: np.ndarray) -> None:
        """Append bit strings."""
        values, lengths = (
            np.concatenate(([first], rest))
            for first, rest in ((self._rest, values), (self._rest_bits, lengths))
        )
        stops = np.cumsum(lengths)
        starts = stops - lengths
        words = np.zeros(int(stops[-1]) // 32 + 2, np.uint64)
        placed = values.astype(np.uint64) << (64 - lengths - (starts & 31)).astype(np.uint64)
        # strings do not overlap, so that adding them is joining them
        for part, shift in ((placed >> np.uint64(32), 0), (placed & np.uint64(0xFFFFFFFF), 1)):
            np.add.at(words, (starts >> 5) + shift, part)
        data = words.astype(">u4").tobytes()
        whole, self._rest_bits = divmod(int(stops[-1]), 8)
        self._rest = data[whole] >> 8 - self._rest_bits
        self._done.append(data[:whole].replace(b"\xff", b"\xff\0"))

    def finished(self) -> bytes:
        """All bytes, the last one filled up with ones."""
        if self._rest_bits:
            room = 8 - self._rest_bits
            end = bytes([self._rest << room | (1 << room) - 1])
            self._done.append(end.replace(b"\xff", b"\xff\0"))
            self._rest = self._rest_bits = 0
        return b"".join(self._done)
