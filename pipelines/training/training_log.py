"""`TrainLog`: the log of a training: `log.jsonl`, TensorBoard or `curve.png`, and `samples.png`."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from models.errors import OutputError
from pipelines.frames.images import write_png
from pipelines.storage.atomic_file import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["TrainLog", "curve"]


class TrainLog:
    """The log of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / "log.jsonl"
        self._board: Any = None
        self.last = time.monotonic()
        with contextlib.suppress(ImportError):
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / "tensorboard"))

    def forget_after(self, step: int) -> None:
        """Drop lines of steps that will be repeated."""
        kept = [line for line in self._lines() if line["step"] < step + ("steps" not in line) and step]
        write_atomically(self._path, "".join(json.dumps(line) + "\n" for line in kept).encode())

    def write(self, line: dict[str, float]) -> None:
        """Append a line. Raises OutputError if it can't be written."""
        self.last = time.monotonic()
        try:
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise OutputError(
                f"{self._path}: can't be written: {error.strerror}; free some space and continue with"
                " --resume"
            ) from error
        if self._board is not None:
            for key, value in line.items():
                if key != "step":
                    self._board.add_scalar(key, value, line["step"])

    def draw(self, samples: np.ndarray) -> None:
        """Update the images: loss blue, PSNR orange, gain green, each with its own scale."""
        lines = self._lines()
        series = [
            [(entry["step"], entry[key]) for entry in lines if key in entry]
            for key in ("loss", "psnr", "gain")
        ]
        write_png(self._folder / "curve.png", curve(series))
        write_png(self._folder / "samples.png", samples)

    def _lines(self) -> list[dict[str, float]]:
        """Complete lines; an incomplete last one is dropped, as its step is repeated.

        It can remain after a kill, a power cut or a full disk.
        """
        if not self._path.is_file():
            return []
        found = []
        for text in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                line = json.loads(text)
                if isinstance(line, dict) and isinstance(line.get("step"), int):
                    found.append(line)
        return found


_COLOURS = ((31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40))


def curve(
    series: Sequence[Sequence[tuple[float, float]]], *, width: int = 800, height: int = 400
) -> np.ndarray:
    """Lines through (x, y) points, each series scaled to its own range, as (H,W,3) uint8.

    The numbers are in the log; the image shows the shape.
    """
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[:: max(1, height // 4)], pixels[:, :: max(1, width // 8)] = 225, 225
    longest = max((p[0] for s in series for p in s), default=1.0) or 1.0
    for number, points in enumerate(series):
        if not points:
            continue
        xs, ys = (np.array(v, float) for v in zip(*points, strict=True))
        low, high = ys.min(), ys.max()
        across = xs / longest * (width - 1)
        columns = np.arange(int(across.min()), int(across.max()) + 1)
        level = np.interp(columns, across, (ys - low) / (high - low or 1))
        rows = ((1 - level) * (height - 9)).round().astype(int) + 4
        for column, row, before in zip(columns, rows, [rows[0], *rows[:-1]], strict=True):
            pixels[min(row, before) - 1 : max(row, before) + 1, column] = _COLOURS[number % len(_COLOURS)]
    return pixels
