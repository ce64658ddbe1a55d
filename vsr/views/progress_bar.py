"""`bar`: a tqdm bar on a terminal; in a file or a pipe, a plain line now and then."""

from __future__ import annotations

import os
import threading
from typing import Any, TextIO

from tqdm import tqdm

from vsr.views.remaining_time import SpeedMeter

__all__ = ["bar"]


_LINE_EVERY_SECONDS = 30.0
_TICK_SECONDS = 1.0
_UNKNOWN_WIDTH = 80
_FIRST_LINE = "  {desc}{n_fmt} of {total_fmt} UNITS{postfix}"
"""Format before the pace is known."""
_LINE = "  {desc}{n_fmt} of {total_fmt} UNITS, {rate_fmt}{postfix}, {remaining} left"


class _Lines:
    """A stream that prints whole lines instead of overwriting one line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = ""

    def write(self, text: str) -> None:
        """Write a text without cursor movements, if it is not empty and differs from the last one."""
        text = text.replace("\r", "").replace("\x1b[A", "").strip("\n")
        if text.strip() and text != self._last:
            self._last = text
            print(text.rstrip(), file=self._stream, flush=True)

    def flush(self) -> None:
        """Do nothing; nothing is buffered."""


class _Paced(tqdm):  # type: ignore[type-arg, misc]
    """A bar with rate and remaining time from `SpeedMeter`; on a terminal its clock runs between reports."""

    def __init__(
        self,
        *args: Any,
        ticking: bool = False,
        expected: float | None = None,
        first_format: str = "",
        **options: Any,
    ) -> None:
        self._pace, self._first_format = SpeedMeter(expected), first_format
        self._ended = threading.Event()
        super().__init__(*args, **options)
        if ticking:
            threading.Thread(target=self._tick, daemon=True).start()

    def _tick(self) -> None:
        while not self._ended.wait(_TICK_SECONDS):
            self.refresh()

    def close(self) -> None:
        """Close the bar."""
        self._ended.set()
        super().close()

    def update(self, n: float | None = 1) -> bool | None:
        """Add finished units."""
        self._pace.add(self._time(), self.n + (n or 0))
        return super().update(n)  # type: ignore[no-any-return]

    @property
    def format_dict(self) -> dict[str, Any]:
        """The values of the line."""
        found, rate = super().format_dict, self._pace.rate
        if rate is None and found["bar_format"]:
            found["bar_format"] = self._first_format
        # with None tqdm takes the mean since the start, with 0 it says "?"
        return {**found, "rate": rate or 0.0}


def _has_width(stream: TextIO) -> bool:
    """Whether a terminal says how wide it is; some consoles and containers say 0."""
    try:
        return os.get_terminal_size(stream.fileno()).columns > 0
    except (OSError, ValueError):
        return True


def bar(
    total: int, unit: str, stream: TextIO, label: str = "", *, done: int = 0, expected: float | None = None
) -> tqdm[Any]:
    """Make a bar over units (a noun in the singular).

    done: units of an earlier run, which don't count for the speed. expected: estimated units per second.
    """
    if stream.isatty():
        return _Paced(
            total=total,
            initial=done,
            desc=label or None,
            unit=unit,
            file=stream,
            dynamic_ncols=_has_width(stream),
            ncols=None if _has_width(stream) else _UNKNOWN_WIDTH,
            ticking=True,
            expected=expected,
        )
    every, units = _LINE_EVERY_SECONDS, unit if total == 1 else f"{unit}s"
    return _Paced(
        total=total,
        initial=done,
        desc=f"{label}: " if label else None,
        unit=unit,
        file=_Lines(stream),
        bar_format=_LINE.replace("UNITS", units),
        first_format=_FIRST_LINE.replace("UNITS", units),
        leave=False,
        delay=every,
        mininterval=every,
        maxinterval=every,
        expected=expected,
    )
