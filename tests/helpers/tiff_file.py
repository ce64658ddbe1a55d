"""`write_tiff`: TIFF files with sample types that other writers don't offer (TIFF 6.0)."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

__all__ = ["write_tiff"]


def write_tiff(path: Path, samples: np.ndarray, *, order: str = "<") -> Path:
    """samples: (H,W) or (H,W,3); their type says how they are stored. order: "<", or ">" for big-endian."""
    height, width = samples.shape[:2]
    depth = samples.shape[2] if samples.ndim == 3 else 1
    bits, kind = 8 * samples.dtype.itemsize, {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
    data = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    entries = [
        (256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * depth), (259, 3, [1]), (262, 3, [1 if depth == 1 else 2]),
        (273, 4, [0]), (277, 3, [depth]), (278, 4, [height]), (279, 4, [len(data)]), (339, 3, [kind] * depth),
    ]  # fmt: skip
    behind = 8 + 2 + 12 * len(entries) + 4
    more = b""
    table = struct.pack(f"{order}H", len(entries))
    for tag, form, values in entries:
        letter = "H" if form == 3 else "I"
        packed = struct.pack(f"{order}{len(values)}{letter}", *values)
        if tag == 273:
            packed = struct.pack(f"{order}I", behind + 2 * 2 * 3 * (depth > 1))
        if len(packed) > 4:
            packed, more = struct.pack(f"{order}I", behind + len(more)), more + packed
        table += struct.pack(f"{order}HHI", tag, form, len(values)) + packed.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    path.write_bytes(head + table + bytes(4) + more + data)
    return path
