"""Sizes and durations as text."""

from __future__ import annotations

import re

__all__ = ["duration", "printable", "size_text", "speed_text"]


_START_SECONDS = 30.0
"""The speed of shorter work is mostly that of starting processes and loading networks."""


_NOT_PRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters (C0, DEL, C1), line separators, direction overrides, and invalid UTF-8 of names."""


def printable(text: str) -> str:
    r"""Make one line of text safe to print on a terminal.

    Control characters, line separators, direction overrides and surrogates are replaced by U+FFFD.

    >>> printable("\x1b]0;title")
    '�]0;title'
    """
    return _NOT_PRINTABLE.sub("\ufffd", text)


def size_text(count: float) -> str:
    """Bytes as text: "1.5 MB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    """Seconds as text: "2 h 05 min", "3 min 20 s", "12 s"."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def speed_text(fps: float, seconds: float) -> str:
    """Speed of work that took these seconds: "2.35 fps"; "in 11 s" if starting took much of that time."""
    return f"{fps:.2f} fps" if seconds >= _START_SECONDS else f"in {duration(max(1.0, seconds))}"
