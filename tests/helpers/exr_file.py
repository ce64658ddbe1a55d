"""Writes uncompressed OpenEXR images with any channels, by the file layout alone."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np


def write_exr(path: Path, channels: dict[str, np.ndarray], size: tuple[int, int]) -> Path:
    """One scan line a block. channels: floats; one with fewer samples than `size` is subsampled."""
    width, height = size
    steps = {name: (width // a.shape[1], height // a.shape[0]) for name, a in sorted(channels.items())}
    listed = b"".join(name.encode() + struct.pack("<xiB3xii", 2, 0, *step) for name, step in steps.items())
    box = struct.pack("<4i", 0, 0, width - 1, height - 1)
    head = struct.pack("<II", 20000630, 2)
    for name, kind, value in (
        ("channels", "chlist", listed + b"\0"),
        ("compression", "compression", b"\0"),
        ("dataWindow", "box2i", box),
        ("displayWindow", "box2i", box),
        ("lineOrder", "lineOrder", b"\0"),
        ("pixelAspectRatio", "float", struct.pack("<f", 1)),
        ("screenWindowCenter", "v2f", bytes(8)),
        ("screenWindowWidth", "float", struct.pack("<f", 1)),
    ):
        head += name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<I", len(value)) + value
    blocks = []
    for y in range(height):
        rows = [channels[name][y // down] for name, (_, down) in steps.items() if y % down == 0]
        data = b"".join(row.astype("<f4").tobytes() for row in rows)
        blocks.append(struct.pack("<iI", y, len(data)) + data)
    place, table = len(head) + 1 + 8 * height, b""
    for block in blocks:
        table += struct.pack("<Q", place)
        place += len(block)
    path.write_bytes(head + b"\0" + table + b"".join(blocks))
    return path
