"""Image sequences as films: `frame_%05d.png` names all images, for input and output.

A name with one %d or %0Nd and the suffix of an image means a sequence, unless there is a file with exactly
this name.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import MediaError, VerificationError
from pipelines.storage.atomic_file import rename_over, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from fractions import Fraction

__all__ = ["Pattern", "pack", "pattern_of", "publish", "unpack"]


_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".exr", ".dpx", ".jpg", ".jpeg", ".webp", ".bmp"})
_PLACE = re.compile(r"%(?:0(\d{1,2}))?d")
_LENGTH_BYTES = 8


@dataclass(frozen=True)
class Pattern:
    """The name of a sequence."""

    folder: Path
    head: str
    digits: int
    """Minimum number of digits, padded with zeros; 1 for %d."""
    tail: str

    def path(self, number: int) -> Path:
        """The image with that number."""
        return self.folder / f"{self.head}{number:0{self.digits}d}{self.tail}"

    def numbers(self) -> list[int]:
        """Numbers of the existing images, ascending."""
        shape = re.compile(re.escape(self.head) + r"(\d+)" + re.escape(self.tail))
        found = []
        with contextlib.suppress(OSError):
            for name in os.listdir(self.folder):
                match = shape.fullmatch(name)
                if match and match[1] == f"{int(match[1]):0{self.digits}d}":
                    found.append(int(match[1]))
        return sorted(found)

    def readable(self) -> list[int]:
        """Numbers of the images up to the first gap, which FFmpeg reads as a film.

        Raises MediaError if there is none, or if one of them is empty.
        """
        numbers = self._to_gap(self.numbers())
        if not numbers:
            raise MediaError(f"{self}: there is no picture of that name")
        bad = next(
            (n for n in numbers if not self.path(n).is_file() or self.path(n).stat().st_size == 0), None
        )
        if bad is not None:
            raise MediaError(f"{self.path(bad)}: is empty, or no regular file")
        return numbers

    def refuse_gap(self, rate: Fraction, until: Fraction | None) -> None:
        """Raise MediaError if an image is missing before `until`; None: the end of the sequence.

        rate: images per second. until: seconds from the first image on.
        """
        numbers = self.numbers()
        before = self._to_gap(numbers)
        count = len(before)
        if count == len(numbers) or (until is not None and until <= count / rate):
            return
        # Rounded down to whole milliseconds, which is still after the last image.
        end = f"{math.floor(count / rate * 1000) / 1000:.3f}".rstrip("0").rstrip(".")
        raise MediaError(
            f"{self}: {self.path(before[-1] + 1).name} is missing; --range 0-{end} takes the {count} before"
            f" it, and those from {self.path(numbers[count]).name} on can be taken from a folder of their own"
        )

    @staticmethod
    def _to_gap(numbers: list[int]) -> list[int]:
        return [n for place, n in enumerate(numbers) if n == numbers[0] + place]

    def ffmpeg_url(self) -> str:
        """The name in the syntax of FFmpeg's image2, with every other per cent sign doubled."""
        folder = os.path.abspath(self.folder).replace("%", "%%")
        return f"file:{folder}/{self.head.replace('%', '%%')}%0{self.digits}d{self.tail.replace('%', '%%')}"

    def fingerprint(self) -> str:
        """SHA-256 over the images' names and contents."""
        total = hashlib.sha256()
        for number in self.numbers():
            with open(self.path(number), "rb") as file:
                total.update(
                    os.fsencode(self.path(number).name) + hashlib.file_digest(file, "sha256").digest()
                )
        return total.hexdigest()

    def bytes(self, numbers: Iterable[int]) -> int:
        """Size of the images with these numbers. Raises OSError if one is missing."""
        return sum(self.path(n).stat().st_size for n in numbers)

    def __str__(self) -> str:
        return str(self.folder / f"{self.head}{f'%0{self.digits}d' if self.digits > 1 else '%d'}{self.tail}")


def pattern_of(path: str | os.PathLike[str]) -> Pattern | None:
    """The sequence that a path means; None for a plain path.

    >>> pattern_of("shots/frame_%05d.png").path(7).name
    'frame_00007.png'
    """
    name = os.path.basename(os.fspath(path))
    places = list(_PLACE.finditer(name)) if isinstance(name, str) else []
    if len(places) != 1 or os.path.splitext(name)[1].lower() not in _SUFFIXES or os.path.lexists(path):
        return None
    return Pattern(
        Path(os.path.dirname(os.fspath(path))),
        name[: places[0].start()],
        int(places[0][1] or 1) or 1,
        name[places[0].end() :],
    )


def pack(pictures: Iterable[bytes]) -> bytes:
    """Join images: each after its length, 8 bytes little-endian."""
    return b"".join(len(p).to_bytes(_LENGTH_BYTES, "little") + p for p in pictures)


def unpack(data: bytes) -> Iterator[bytes]:
    """Reverse `pack`. Raises VerificationError if lengths don't match."""
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at : at + _LENGTH_BYTES], "little")
        at += _LENGTH_BYTES
        if at + length > len(data):
            raise VerificationError("a chunk of pictures is cut short; give the same command again")
        yield data[at : at + length]
        at += length


def publish(made: Path, target: Pattern, mark: Path, word: str) -> int:
    """Rename all images of a folder, each named by its number, to the names of the target.

    Returns their size. Images of the same pattern with other numbers are kept: a range of a film may be made
    again between the others. mark: file that records, with `word`, which run made these images, in case it is
    interrupted. Raises OSError, OutputError.
    """
    write_atomically(mark, word.encode())
    numbers = sorted(int(name) for name in os.listdir(made))
    size = 0
    for number in numbers:
        size += (made / str(number)).stat().st_size
        rename_over(made / str(number), target.path(number))
    shutil.rmtree(made, ignore_errors=True)
    return size
