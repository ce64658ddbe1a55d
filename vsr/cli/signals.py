"""`Signals`: SIGINT (Ctrl-C), SIGTERM and Windows's Ctrl-Break as a request to stop.

The first signal lets current work finish, the second ends everything immediately.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import Any

__all__ = ["Signals"]


_CTRL_BREAK: tuple[int, ...] = (getattr(signal, "SIGBREAK"),) if hasattr(signal, "SIGBREAK") else ()  # noqa: B009 - typed for Linux


_STANDARD_ERROR = 2


class Signals:
    """A context in which the first signal sets `stop`, and the second raises KeyboardInterrupt."""

    def __init__(self, heard: str) -> None:
        """heard: the message for the first signal."""
        self.stop = threading.Event()
        self.heard = heard
        """The message for the first signal; empty for none."""
        self._number = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        for number in (signal.SIGINT, signal.SIGTERM, *_CTRL_BREAK):
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, _: object) -> None:
        if self.stop.is_set():
            raise KeyboardInterrupt
        self._number = number
        self.stop.set()
        if self.heard:
            # Not through sys.stderr: the signal may have interrupted a write to it, and Python's buffers
            # can't be entered twice.
            with contextlib.suppress(OSError):
                os.write(_STANDARD_ERROR, f"\n{self.heard}; press again to stop immediately\n".encode())

    def translated(self, error: Exception) -> Exception:
        """The error with the exit code of the signal that caused it; SIGTERM has another code than SIGINT."""
        if self._number == signal.SIGTERM:
            error.exit_code = 143  # type: ignore[attr-defined]
        return error
