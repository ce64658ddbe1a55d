"""`Summary`: the status of each video of a batch, as a table, and as CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from models.errors import Interrupted, NothingToDoError, UsageError, VsrError
from pipelines.plan.events import AlreadyDone, Event, Finished, Planned
from pipelines.storage.atomic_file import write_atomically
from vsr.views.text import printable, size_text, speed_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["Summary", "SummaryRow"]


NOT_BEGUN, STOPPED, FAILED, SKIPPED = "not begun", "stopped", "failed", "skipped"
DONE, ALREADY = "done", "already done"


@dataclass
class SummaryRow:
    """One video."""

    input: str
    result: str = NOT_BEGUN
    """done, already done, skipped, failed, stopped or not begun."""
    output: str = ""
    frames: int = 0
    seconds: float = 0.0
    fps: float = 0.0
    """Frames per second of this call: frames of earlier runs don't count."""
    bytes: int = 0
    exit_code: int = 0
    message: str = ""
    """Message of the error, or why it was skipped."""


def _shared_folder(inputs: Sequence[str]) -> str:
    """The common folder of all inputs.

    Empty if there is none, or if some paths are absolute and others relative.
    """
    try:
        return os.path.commonpath([os.path.dirname(name) for name in inputs])
    except ValueError:
        return ""


class Summary:
    """Collects events; rows stay in the order of the inputs."""

    def __init__(self, inputs: Mapping[Path, str], file: Path | None = None) -> None:
        """inputs: path -> displayed name. file: destination of `write`.

        Raises UsageError before any work if it can't be written.
        """
        self._rows = {path: SummaryRow(name) for path, name in inputs.items()}
        self._file = file
        if file is not None and file.suffix.lower() not in {".csv", ".json"}:
            raise UsageError(f"--summary {file}: expected a name that ends in .csv or .json")
        if file is not None and not file.absolute().parent.is_dir():
            raise UsageError(f"--summary {file}: there is no such folder; make it first")

    def add(self, path: Path, event: Event | VsrError) -> None:
        """Record an event of a video."""
        row = self._rows[path]
        if isinstance(event, Planned):
            row.output, row.result = event.output, STOPPED
        elif isinstance(event, AlreadyDone):
            row.result, row.output, row.frames, row.bytes = ALREADY, event.output, event.frames, event.bytes
        elif isinstance(event, Finished):
            row.result, row.output, row.frames, row.bytes = DONE, event.output, event.frames, event.bytes
            row.seconds, row.fps = round(event.seconds, 3), round(event.fps, 3)
        elif isinstance(event, NothingToDoError) and len(self._rows) > 1:
            row.result, row.message = SKIPPED, str(event)
        elif isinstance(event, VsrError):
            row.result = STOPPED if isinstance(event, Interrupted) else FAILED
            row.exit_code, row.message = event.exit_code, " ".join(str(event).split())

    @property
    def rows(self) -> list[SummaryRow]:
        """One row per video."""
        return list(self._rows.values())

    @property
    def unfinished(self) -> int:
        """Number of videos that were not started; stopped ones are not counted."""
        return sum(row.result == NOT_BEGUN for row in self.rows)

    def text(self) -> str:
        """A table, and a line with counts."""
        rows = self.rows
        shared = _shared_folder([r.input for r in rows])
        cells = [["input", "result", "frames", "speed", "size", "output"]]
        for row in rows:
            made = row.result in {DONE, ALREADY}
            numbers = [
                str(row.frames) if made else "",
                speed_text(row.fps, row.seconds) if row.fps else "",
                size_text(row.bytes) if made else "",
            ]
            cells.append(
                [
                    os.path.relpath(row.input, shared) if shared else row.input,
                    row.result,
                    *numbers,
                    row.output if made else row.message,
                ]
            )
        widths = [max(len(line[n]) for line in cells) for n in range(5)]
        aligned = [
            "  ".join(
                [
                    line[0].ljust(widths[0]),
                    line[1].ljust(widths[1]),
                    *(line[n].rjust(widths[n]) for n in (2, 3, 4)),
                    line[5],
                ]
            ).rstrip()
            for line in cells
        ]
        return "\n".join([*map(printable, aligned), self._count()])

    def _count(self) -> str:
        results = [r.result for r in self.rows]
        done = results.count(DONE) + results.count(ALREADY)
        more = [
            f"{results.count(kind)} {kind}"
            for kind in (SKIPPED, FAILED, STOPPED, NOT_BEGUN)
            if kind in results
        ]
        return ", ".join([f"{done} of {len(results)} done", *more])

    def to_json(self) -> list[dict[str, Any]]:
        """All rows as JSON values."""
        return [asdict(row) for row in self.rows]

    def write(self) -> None:
        """Write the file, in the format of its suffix. Raises OutputError."""
        if self._file is None:
            return
        if self._file.suffix.lower() == ".json":
            data = json.dumps(self.to_json(), indent=1) + "\n"
        else:
            text = io.StringIO()
            table = csv.DictWriter(
                text, fieldnames=list(SummaryRow.__dataclass_fields__), lineterminator="\n"
            )
            table.writeheader()
            table.writerows(self.to_json())
            data = text.getvalue()
        write_atomically(self._file, data.encode("utf-8", "surrogateescape"), parents=True)
