"""glibc's malloc: settings for worker processes, and memory given back between chunks."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import re
import sys
from pathlib import Path

__all__ = ["TRIM_FRAMES", "give_back_memory", "keep_freed_memory", "oom_kills", "trim_heap"]


def keep_freed_memory() -> None:
    """Tell glibc to keep what is freed.

    Large maps given back and fetched again at every layer cost more than the arithmetic.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
        for option, value in (
            (-4, 0),
            (-1, (1 << 31) - 1),
            (-2, 256 << 20),
        ):
            libc.mallopt(option, value)


TRIM_FRAMES = 24
"""After so many frames the allocator gives back what lies free, or holes between long-lived blocks would add
up."""


def give_back_memory() -> None:
    """Hand what a finished encoder held back to the system (glibc).

    The allocator is told to keep memory while a chunk runs.
    """
    # an encoder and its container hold each other; hundreds of megabytes would wait for a chance collection
    gc.collect()
    trim_heap()


def trim_heap() -> None:
    """Give free pages back, wherever in the heap they lie (malloc_trim(3)).

    Nothing where the C library has no such call.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def oom_kills() -> int:
    """How many processes the kernel has ended for want of memory since it started.

    0 where it does not tell.
    """
    try:
        found = re.search(r"^oom_kill (\d+)$", Path("/proc/vmstat").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return 0
    return int(found.group(1)) if found else 0
