"""`heard`: what FFmpeg says on its log while something is done, in this thread."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import av.logging

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["heard"]


_LOUD = threading.Lock()
"""How much is said is one setting of the whole process."""


@contextlib.contextmanager
def heard(level: int) -> Iterator[list[tuple[int, str, str]]]:
    """(level, what speaks, text) of all that is said at this level or a graver one, in order."""
    with _LOUD, av.logging.Capture() as said:
        before, skips = av.logging.get_level(), av.logging.get_skip_repeated()
        av.logging.set_level(level)
        av.logging.set_skip_repeated(False)
        try:
            yield said
        finally:
            av.logging.set_level(before)
            av.logging.set_skip_repeated(skips)
