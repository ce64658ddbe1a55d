"""`keep_freed_memory`: what the C library does with memory that large maps gave back."""

from __future__ import annotations

import contextlib
import ctypes

__all__ = ["keep_freed_memory"]


def keep_freed_memory() -> None:
    """Tell glibc to keep what is freed: large maps given back and fetched again at every layer cost more than the arithmetic."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        for option, value in ((-4, 0), (-1, (1 << 31) - 1), (-2, 256 << 20)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
            libc.mallopt(option, value)
