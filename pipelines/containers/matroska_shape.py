"""Writes the sample aspect ratio and the delay of codecs into a finished Matroska file.

FFmpeg's muxer does so only for tracks that FFmpeg encodes itself. `reserve` makes room in a track before the
header is written, and `write_reserved` fills it. RFC 9559 sections 5.1.4.1.28.12 and 14: DisplayWidth,
DisplayHeight; 5.1.4.1.25: CodecDelay.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

from models.errors import VerificationError
from pipelines.file_parsing.matroska import children

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction
    from pathlib import Path
    from typing import Any

__all__ = ["reserve", "write_reserved"]


_ROOM = re.compile("\u00b7room for its shape, delay ([0-9]+) ns\u00b7".encode())
"""Placeholder after the title of a track, until aspect ratio or delay replace it."""
_SEGMENT, _TRACKS, _TRACK_ENTRY, _NAME, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0x536E, 0xE0
_CODEC_DELAY = 0x56AA
_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT, _CRC, _VOID = 0x54B0, 0x54BA, 0x54B2, 0xBF, 0xEC
_HEAD_BYTES = 1 << 20
"""Part of a file in which its tracks begin."""


def reserve(track: Any, delay: Fraction | None = None) -> None:
    """Reserve room in a Matroska track that is not written yet. delay: of its codec, in seconds."""
    room = f"\u00b7room for its shape, delay {round((delay or 0) * 1_000_000_000)} ns\u00b7"
    track.metadata["title"] = track.metadata.get("title", "") + room


def write_reserved(path: Path, width: int, height: int, sar: Fraction) -> None:
    """Write aspect ratio and delays into a finished file with frames of that size.

    Only the width is stretched, to whole pixels, as other muxers do. If that is not exact, both sides are
    written as larger numbers with the exact ratio. Raises OSError, VerificationError.
    """
    shown_width, shown_height = width * sar, height
    if shown_width.denominator != 1 and max(width, height) < _SMALL:
        shown_width, shown_height = width * sar * sar.denominator, height * sar.denominator
    with open(path, "r+b") as file:
        head = file.read(_HEAD_BYTES)
        for start, end in _contents(head, _SEGMENT, 0, len(head)):
            for first, last in _contents(head, _TRACKS, start, min(end, len(head))):
                file.seek(first)
                tracks = file.read(last - first)  # headers of subtitles may hold fonts
                made = _filled(tracks, round(shown_width), shown_height)
                file.seek(first)
                file.write(made)
                return
    raise VerificationError(f"{path}: its tracks are not where they should be")


_SMALL = 1000
"""Smallest sides at which rounding to a whole pixel is negligible."""


def _contents(data: bytes, wanted: int, at: int, stop: int) -> Iterator[tuple[int, int]]:
    """Start and end of the content of each element with an ID."""
    return ((start, end) for kind, _, start, end in children(data, at, stop) if kind == wanted)


def _filled(tracks: bytes, width: int, height: int) -> bytes:
    """The content of Tracks with aspect ratio and delays, at the same length."""
    parts = []
    has_checksum = False
    for kind, at, start, end in children(tracks, 0, len(tracks)):
        if kind == _CRC:
            has_checksum = True
        elif kind == _TRACK_ENTRY and _ROOM.search(tracks[start:end]):
            entry = _entry(tracks[start:end], width, height)
            parts.append(tracks[at:start] + entry)
        else:
            parts.append(tracks[at:end])
    body = b"".join(parts)
    return _element(_CRC, zlib.crc32(body).to_bytes(4, "little")) + body if has_checksum else body


def _entry(entry: bytes, width: int, height: int) -> bytes:
    """The content of a TrackEntry with aspect ratio or delay in place of the reserved bytes."""
    parts = []
    for kind, at, start, end in children(entry, 0, len(entry)):
        content = entry[start:end]
        if kind == _NAME:
            name = _ROOM.sub(b"", content)
            delay = sum(int(found) for found in _ROOM.findall(content))
            parts += [_element(_NAME, name)] if name else []
            parts += [_element(_CODEC_DELAY, _number(delay))] if delay else []
        elif kind == _VIDEO:
            kept = [
                content[a:e]
                for k, a, _, e in children(content, 0, len(content))
                if k not in {_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT}  # without a shape: unit unknown
            ]
            shape = [_element(_DISPLAY_WIDTH, _number(width)), _element(_DISPLAY_HEIGHT, _number(height))]
            parts.append(_element(_VIDEO, b"".join(kept + shape)))
        else:
            parts.append(entry[at:end])
    body = b"".join(parts)
    room = len(entry) - len(body) - 2
    return body + _element(_VOID, bytes(room))


def _element(kind: int, content: bytes) -> bytes:
    """An element with its length in as few bytes as possible (RFC 8794, section 4)."""
    name = kind.to_bytes((kind.bit_length() + 7) // 8, "big")
    count = next(n for n in range(1, 9) if len(content) < (1 << 7 * n) - 1)
    return name + (len(content) | 1 << 7 * count).to_bytes(count, "big") + content


def _number(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
