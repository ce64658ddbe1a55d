"""`bar`: a tqdm bar on a terminal; in a file or a pipe, a plain line now and then."""

from __future__ import annotations

from typing import Any, TextIO

from tqdm import tqdm

__all__ = ["bar"]

_LINE_EVERY_SECONDS = 30.0
_LINE = "  {desc}{n_fmt} of {total_fmt} {unit}s, {rate_fmt}{postfix}, {remaining} left"


class _Lines:
    """A stream that gets whole lines instead of a line written over and over."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write what is left of a text without cursor movements, if anything is."""
        text = text.replace("\r", "").replace("\x1b[A", "").strip("\n")
        if text.strip():
            print(text.rstrip(), file=self._stream, flush=True)

    def flush(self) -> None:
        """Nothing is held back."""


def bar(total: int, unit: str, stream: TextIO, label: str = "") -> tqdm[Any]:
    """Make a bar of so many units (a word in the singular)."""
    if stream.isatty():
        return tqdm(total=total, desc=label or None, unit=unit, file=stream, dynamic_ncols=True, smoothing=0.1)
    every = _LINE_EVERY_SECONDS
    return tqdm(
        total=total,
        desc=label or None,
        unit=unit,
        file=_Lines(stream),
        bar_format=_LINE,
        leave=False,
        delay=every,
        mininterval=every,
        maxinterval=every,
    )
