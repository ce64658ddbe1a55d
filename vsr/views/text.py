"""Sizes and durations as text."""

from __future__ import annotations

__all__ = ["counted", "duration", "size_text"]


def size_text(count: float) -> str:
    """Bytes as people say them: "1.5 MB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    """Seconds as people say them: "2 h 05 min", "3 min 20 s", "12 s"."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def counted(count: int, noun: str) -> str:
    """A number with its noun: "1 frame", "2 frames"."""
    return f"{count} {noun}{'s' * (count != 1)}"
