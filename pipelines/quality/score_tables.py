"""`as_table`, `as_grid`: rows of an evaluation as text for a terminal, as Markdown or as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.quality.evaluation import EvaluationRow

__all__ = ["as_grid", "as_table", "gain_over"]


_DIGITS = {
    "psnr": 2,
    "gain": 2,
    "ssim": 4,
    "vmaf": 1,
    "vmaf_neg": 1,
    "xpsnr": 2,
    "niqe": 2,
    "energy": 3,
    "flicker": 3,
    "deep_distance": 4,
    "lpips": 4,
    "dists": 4,
    "cvvdp": 2,
}


def gain_over(baseline: str, row: EvaluationRow, rows: Sequence[EvaluationRow]) -> float | None:
    """PSNR of a row minus that of a baseline on the same data, in dB."""
    for other in rows:
        same = (other.scale, other.set, other.case) == (row.scale, row.set, row.case)
        if same and other.model == baseline and "psnr" in row.scores:
            return row.scores["psnr"] - other.scores["psnr"]
    return None


def as_table(rows: Sequence[EvaluationRow], style: str) -> str:
    """Format evaluation results as text; PSNR is shown with its gain over bicubic.

    style: "terminal", "markdown" or "json".
    """
    if style == "json":
        return json.dumps([_plain(r, gain_over("bicubic", r, rows)) for r in rows], indent=1, allow_nan=False)
    names = [n for n in _DIGITS if any(n in r.scores for r in rows)]
    head = ["set", "case", "scale", "model"] + [
        h for n in names for h in ([n, "over bicubic"] if n == "psnr" else [n])
    ]
    lines = [[r.set, r.case, f"x{r.scale}", r.model, *_figures(r, rows, names)] for r in rows]
    return _markdown(head, lines, 4) if style == "markdown" else _terminal(head, lines, 4)


def as_grid(rows: Sequence[EvaluationRow], style: str, metric: str = "psnr") -> str:
    """Data sets by degradations: a line for each model and set, a column for each case.

    PSNR is shown with its gain.
    """
    cases = list(dict.fromkeys(r.case for r in rows))
    found = {(r.set, r.scale, r.model, r.case): r for r in rows}
    head = ["set", "scale", "model", *(f"{metric} {case}" for case in cases)]
    lines = []
    for where in dict.fromkeys(key[:3] for key in found):
        cells = [
            " ".join(filter(None, _figures(r, rows, [metric]))) if (r := found.get((*where, case))) else ""
            for case in cases
        ]
        lines.append([where[0], f"x{where[1]}", where[2], *cells])
    return _markdown(head, lines, 3) if style == "markdown" else _terminal(head, lines, 3)


def _plain(row: EvaluationRow, gain: float | None) -> dict[str, Any]:
    """For JSON, which has no infinity: null if result and ground truth are equal."""
    scores = {name: value if math.isfinite(value) else None for name, value in row.scores.items()}
    return {
        **asdict(row),
        "scores": scores,
        "gain_over_bicubic_db": gain if gain is None or math.isfinite(gain) else None,
    }


def _figures(row: EvaluationRow, rows: Sequence[EvaluationRow], names: Sequence[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        value = row.scores.get(name)
        found.append("" if value is None else f"{value:.{_DIGITS[name]}f}")
        if name == "psnr":
            gain = gain_over("bicubic", row, rows)
            found.append("" if gain is None or row.model == "bicubic" else f"{gain:+.2f}")
    return found


def _markdown(head: list[str], lines: list[list[str]], names: int) -> str:
    """names: number of leading text columns."""
    rule = ["---"] * names + ["---:"] * (len(head) - names)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *lines])


def _terminal(head: list[str], lines: list[list[str]], names: int) -> str:
    widths = [max(len(c[i]) for c in [head, *lines]) for i in range(len(head))]
    shown = [
        [c.ljust(w) if i < names else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
        for cells in [head, *lines]
    ]
    return "\n".join("  ".join(cells).rstrip() for cells in shown)
