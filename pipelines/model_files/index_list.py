"""`read_index`: a list of networks from a file or an https URL, or the shipped one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from models.catalog.model_index import parse_index, shipped_index
from models.errors import UsageError
from pipelines.storage.download import read_text

if TYPE_CHECKING:
    from models.catalog.model_index import IndexEntry

__all__ = ["read_index"]


_MOST_BYTES = 4 << 20


def read_index(place: str = "") -> tuple[IndexEntry, ...]:
    """Entries of a list of networks: from a file, an https URL, or by default the shipped one.

    Raises the errors of both.
    """
    if not place:
        return shipped_index()
    if "://" in place:
        return parse_index(read_text(place, most=_MOST_BYTES), place)
    try:
        return parse_index(Path(place).read_text(encoding="utf-8"), place)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--index {place}: can't be read: {getattr(error, 'strerror', None) or error}"
        ) from error
