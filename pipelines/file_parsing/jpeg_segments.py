"""`further_jpegs`: images after the first one of a JPEG file, by its index (CIPA DC-007, "MPF")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import os

__all__ = ["further_jpegs"]

_MOST_HEADERS = 1 << 22
_APP2, _START_OF_SCAN = 0xE2, 0xDA
_IMAGES = 0xB001
"""The index's field NumberOfImages."""


def further_jpegs(path: str | os.PathLike[str]) -> int:
    """How many images follow the first, such as gain maps and second views; decoders read only that one."""
    with open(path, "rb") as file:
        data = file.read(_MOST_HEADERS)
    at = 2 if data.startswith(b"\xff\xd8") else len(data)
    while data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] != bytes([_START_OF_SCAN]):
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == _APP2 and data[at + 4 : at + 8] == b"MPF\0":
            return max(0, _images_in(data[at + 8 : at + 2 + length]) - 1)
        at += 2 + max(2, length)
    return 0


def _images_in(index: bytes) -> int:
    """NumberOfImages of an index, in the form of a TIFF directory; 0 if it has none."""
    order: Literal["little", "big"] = "little" if index[:2] == b"II" else "big"
    first = int.from_bytes(index[4:8], order)
    for entry in range(int.from_bytes(index[first : first + 2], order)):
        field = index[first + 2 + 12 * entry :][:12]
        if int.from_bytes(field[:2], order) == _IMAGES:
            return int.from_bytes(field[8:12], order)
    return 0
