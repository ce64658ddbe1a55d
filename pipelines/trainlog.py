"""`TrainLog`: how training went: `log.jsonl`, TensorBoard where it is installed, else `curve.png`, and `samples.png`."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

from models.errors import OutputError
from pipelines.atomic_file import write_atomically
from pipelines.picture import curve, write_png

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

__all__ = ["TrainLog"]


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
        """Drop lines of steps that will be done again, or for the first time in this folder."""
        kept = [line for line in self._lines() if line["step"] <= step and step]
        write_atomically(self._path, "".join(json.dumps(line) + "\n" for line in kept).encode())

    def write(self, line: dict[str, float]) -> None:
        """One more line. Raises OutputError where the disk says no."""
        self.last = time.monotonic()
        try:
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise OutputError(f"{self._path}: can't be written: {error.strerror}; free some space and go on with --resume") from None
        if self._board is not None:
            for key, value in line.items():
                if key != "step":
                    self._board.add_scalar(key, value, line["step"])

    def draw(self, samples: np.ndarray) -> None:
        """Bring the pictures up to date: loss blue, PSNR orange, gain green, each to its own scale."""
        lines = self._lines()
        series = [[(entry["step"], entry[key]) for entry in lines if key in entry] for key in ("loss", "psnr", "gain")]
        write_png(self._folder / "curve.png", curve(series))
        write_png(self._folder / "samples.png", samples)

    def _lines(self) -> list[dict[str, float]]:
        """Whole lines; one that was torn by a kill, a power cut or a full disk is left out, for its step is done again."""
        if not self._path.is_file():
            return []
        found = []
        for text in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                line = json.loads(text)
                if isinstance(line, dict) and isinstance(line.get("step"), int):
                    found.append(line)
        return found
