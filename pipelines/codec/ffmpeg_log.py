"""`captured_log`: captures FFmpeg's log messages of this thread."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import av.logging

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["captured_log"]


_LOUD = threading.Lock()
"""Held because the log level is a global setting of the process."""


@contextlib.contextmanager
def captured_log(level: int) -> Iterator[list[tuple[int, str, str]]]:
    """Collect (level, component, text) of all messages of this level or a more severe one, in order."""
    with _LOUD, av.logging.Capture() as said:
        before, skips = av.logging.get_level(), av.logging.get_skip_repeated()
        av.logging.set_level(level)
        av.logging.set_skip_repeated(False)
        try:
            yield said
        finally:
            av.logging.set_level(before)
            av.logging.set_skip_repeated(skips)
