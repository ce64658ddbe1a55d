"""glibc's malloc: settings for worker processes, and memory returned between chunks."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import re
import sys
from pathlib import Path

__all__ = ["TRIM_FRAMES", "give_back_memory", "keep_freed_memory", "oom_kills", "trim_heap"]


def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory.

    Returning and mapping large blocks at every layer would cost more than the arithmetic.
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
"""Number of frames after which the allocator returns free memory; otherwise holes between long-lived blocks
would add up."""


def give_back_memory() -> None:
    """Return the memory of a finished encoder to the system (glibc).

    While a chunk runs, the allocator is configured to keep memory.
    """
    # an encoder and its container refer to each other; without this, hundreds of megabytes would stay until
    # some later collection
    gc.collect()
    trim_heap()


def trim_heap() -> None:
    """Return free pages anywhere in the heap (malloc_trim(3)).

    Does nothing if the C library has no such call.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def oom_kills() -> int:
    """Number of processes that the kernel has killed for lack of memory since it started.

    0 if the kernel doesn't report it.
    """
    try:
        found = re.search(r"^oom_kill (\d+)$", Path("/proc/vmstat").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return 0
    return int(found.group(1)) if found else 0
