"""Chapters of a Matroska file as mkvmerge, but not FFmpeg, writes them."""

from __future__ import annotations

from pathlib import Path

from pipelines.file_parsing.matroska import children
from tests import media

__all__ = ["atom", "display", "edition", "element", "with_chapters"]


_SEGMENT, _CHAPTERS, _VOID = 0x18538067, 0x1043A770, 0xEC
_EDITION, _ATOM, _DISPLAY, _TEXT, _LANGUAGE = 0x45B9, 0xB6, 0x80, 0x85, 0x437C


def element(kind: int, content: bytes | int) -> bytes:
    if isinstance(content, int):
        content = content.to_bytes(8, "big")
    name = kind.to_bytes((kind.bit_length() + 7) // 8, "big")
    return name + (len(content) | 1 << 56).to_bytes(8, "big") + content


def display(text: str, language: str = "eng") -> bytes:
    return element(_DISPLAY, element(_TEXT, text.encode()) + element(_LANGUAGE, language.encode()))


def atom(number: int, *more: bytes) -> bytes:
    times = element(0x91, number * 400_000_000) + element(0x92, (number + 1) * 400_000_000)
    return element(_ATOM, element(0x73C4, number + 1) + times + display(f"part {number}") + b"".join(more))


def edition(*atoms: bytes, ordered: int = 0) -> bytes:
    return element(_EDITION, element(0x45DD, ordered) + b"".join(atoms))


def with_chapters(path: Path, *editions: bytes, at_the_end: bool = False) -> Path:
    """A film whose chapters are those; as long as it was, or with the chapters behind the pictures."""
    media.write(path, media.Film(), chapters=((0, 400, "x" * 2000), (400, 800, "y" * 2000)))
    data = path.read_bytes()
    start = next(a for k, _, a, _ in children(data, 0, len(data)) if k == _SEGMENT)
    begin, stop = next((a, e) for k, a, _, e in children(data, start, len(data)) if k == _CHAPTERS)
    room = stop - begin
    made = element(_CHAPTERS, b"".join(editions))
    if at_the_end:
        segment = start - 12
        place = data.index(bytes.fromhex("53ac"), data.index(_CHAPTERS.to_bytes(4, "big"), start))
        count = data[place + 2] & 127
        there = len(data) - start
        data = (
            data[: segment + 4] + (there + len(made) | 1 << 56).to_bytes(8, "big") + data[start : place + 3]
            + there.to_bytes(count, "big") + data[place + 3 + count : begin]
            + element(_VOID, bytes(room - 9)) + data[begin + room :] + made
        )  # fmt: skip
    else:
        filler = element(_VOID, bytes(room - len(made) - 9))
        data = data[:begin] + made + filler + data[begin + room :]
    path.write_bytes(data)
    return path
