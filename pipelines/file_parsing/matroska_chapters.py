"""`lost_chapters`: the parts of a Matroska file's chapters that FFmpeg does not read, so no output has them.

RFC 9559 section 5.1.7 (Chapters) and section 17 (linked segments). FFmpeg reads the chapters of all editions
as one list, one level deep, with one name each, and plays the file from its first frame to its last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.file_parsing.matroska import children, elements

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

__all__ = ["lost_chapters"]


_SEGMENT, _SEEK_HEAD, _CHAPTERS, _INFO = 0x18538067, 0x114D9B74, 0x1043A770, 0x1549A966
_SEEK, _SEEK_ID, _SEEK_POSITION = 0x4DBB, 0x53AB, 0x53AC
_PREVIOUS_FILE, _NEXT_FILE = 0x3CB923, 0x3EB923
_EDITION, _ORDERED, _ATOM, _DISPLAY, _LINKED, _COMMANDS = 0x45B9, 0x45DD, 0xB6, 0x80, 0x6E67, 0x6944
_HEAD_BYTES = 1 << 20
"""Part of a file that is searched for chapters, or for the table with their position."""
_MOST_BYTES = 1 << 24


def lost_chapters(path: str | os.PathLike[str]) -> list[str]:
    """Describe the chapters that the output will lack; empty if FFmpeg reads all of them.

    Raises OSError.
    """
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
        begin = next((a for k, _, a, _ in children(head, 0, len(head)) if k == _SEGMENT), len(head))
        place = _place(head, begin)
        file.seek(begin if place is None else place)
        chapters = next(elements(file.read(_MOST_BYTES), _CHAPTERS), b"")
    about = next(elements(head[begin:], _INFO), b"")
    return list(_losses(chapters, about))


def _place(head: bytes, segment: int) -> int | None:
    """Where the chapters begin, by the table at the start of a segment."""
    for entry in elements(head[segment:], _SEEK_HEAD, _SEEK):
        if next(elements(entry, _SEEK_ID), b"") == _CHAPTERS.to_bytes(4, "big"):
            return segment + int.from_bytes(next(elements(entry, _SEEK_POSITION), b""), "big")
    return None


def _losses(chapters: bytes, about: bytes) -> Iterator[str]:
    editions = list(elements(chapters, _EDITION))
    atoms = [atom for edition in editions for atom in elements(edition, _ATOM)]
    if any(int.from_bytes(next(elements(e, _ORDERED), b""), "big") for e in editions):
        yield "the order of play of its ordered edition: the result plays from the first frame to the last"
    linked = sum(any(elements(atom, _LINKED)) for atom in atoms)
    if linked:
        yield f"what {linked} of its chapters take from other files (linked segments)"
    if any(next(elements(about, name), b"").strip(b"\0") for name in (_PREVIOUS_FILE, _NEXT_FILE)):
        yield "the link to the file that comes before or behind it"
    if len(editions) > 1:
        yield f"the division into {len(editions)} editions: the result has one list of chapters"
    if any(any(elements(atom, _ATOM)) for atom in atoms):
        yield "chapters within chapters"
    if any(sum(1 for _ in elements(atom, _DISPLAY)) > 1 for atom in atoms):
        yield "names of chapters in further languages"
    if any(any(elements(atom, _COMMANDS)) for atom in atoms):
        yield "commands of chapters (DVD menus)"
