"""`is_opaque`: whether files that are decoded with alpha have none.

FFmpeg decodes every palette, every GIF and every lossless WebP with alpha, and CMYK as if it had one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.errors import MediaError
from pipelines.media.pixel_format import planar_format

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

__all__ = ["INKS", "is_opaque"]


INKS = "CMYK inks (they become R'G'B', without a colour profile)"
"""What a JPEG of four components loses."""


def is_opaque(codec: str, pix_fmt: str, files: Sequence[str | os.PathLike[str]]) -> bool:
    """Whether no image has alpha, although its decoded format does.

    files: the file, or all images of a sequence. False for formats that tell by their names.
    """
    try:
        if not planar_format(pix_fmt).alpha:
            return False
    except MediaError:
        return False
    if codec == "mjpeg":  # JPEG has four components for CMYK only (ITU-T T.81, T.872)
        return True
    if codec == "webp":
        return not any(_webp_has_alpha(_head(file)) for file in files)
    if codec == "gif":
        return not any(_gif_has_alpha(_head(file, _MOST_BYTES)) for file in files)
    if codec in {"png", "apng"}:
        return pix_fmt == "pal8" and not any(_png_has_alpha(_head(file)) for file in files)
    return pix_fmt == "pal8"


_MOST_BYTES = 1 << 26
"""GIF files are examined up to this size; larger ones count as transparent."""


def _head(file: str | os.PathLike[str], count: int = 1 << 20) -> bytes:
    with open(file, "rb") as opened:
        return opened.read(count)


def _png_has_alpha(data: bytes) -> bool:
    """Whether a palette has transparent colours: a chunk tRNS (PNG specification, 11.3.2.1), before IDAT."""
    at = 8
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind in {b"tRNS", b"IDAT"}:
            return kind == b"tRNS"
        at += length + 12
    return True


def _webp_has_alpha(data: bytes) -> bool:
    """Whether a lossless image has alpha (WebP Lossless Bitstream Specification, 3)."""
    at = data.find(b"VP8L", 12)
    return not 0 < at <= len(data) - 13 or bool(data[at + 12] & 0x10)


def _gif_has_alpha(data: bytes) -> bool:
    """Whether the first frame of a GIF has transparent samples or is smaller, or any is cleared (GIF89a).

    Transparent samples of later frames show the frame before.
    """
    canvas, at = data[6:10], 13 + _table_bytes(data[10:11])
    is_first = True
    while at < len(data):
        block = data[at : at + 1]
        if block == b"\x3b":
            return is_first
        if block == b"\x21":
            disposal = data[at + 3] if data[at + 1 : at + 3] == b"\xf9\x04" else 0
            if (disposal & 1 and is_first) or disposal >> 2 & 7 == _TO_BACKGROUND:
                return True
            at = _behind_blocks(data, at + 2)
        elif block == b"\x2c":
            if is_first and data[at + 1 : at + 9] != bytes(4) + canvas:
                return True
            is_first = False
            at = _behind_blocks(data, at + 11 + _table_bytes(data[at + 9 : at + 10]))
        else:
            return True
    return True


_TO_BACKGROUND = 2
"""Disposal: the place of the frame becomes transparent."""


def _table_bytes(packed: bytes) -> int:
    """Bytes of the colour table that follows a field of flags."""
    flags = packed[0] if packed else 0
    return 3 << (flags % 8 + 1) if flags & 0x80 else 0


def _behind_blocks(data: bytes, at: int) -> int:
    """The offset after a chain of data sub-blocks."""
    while at < len(data) and data[at]:
        at += data[at] + 1
    return at + 1
