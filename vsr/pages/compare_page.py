"""A `Compared` as lines of text, as plain values, and as a self-contained page."""

from __future__ import annotations

import html
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from models.errors import counted
from pipelines.plan.timeline import clock_text
from pipelines.quality.comparison import METRICS
from vsr.pages.html import document, overview, slider
from vsr.pages.svg_chart import binned, curve, histogram, scale

if TYPE_CHECKING:
    from pipelines.quality.comparison import Compared, Figures, Metric, WorstMoment
    from pipelines.quality.frame_alignment import Misaligned

__all__ = ["compare_page", "compare_table", "compare_text", "finding_table"]


_MOST_DB = 100.0
"""Value of equal images in a curve."""


def finding_table(finding: Misaligned) -> dict[str, Any]:
    """A mismatch as JSON values."""
    return {"kind": finding.kind, "file": finding.file, "frames": finding.frames, "text": finding.text}


def compare_table(found: Compared) -> dict[str, Any]:
    """Results of a comparison as JSON values; null for equal images (infinite decibels)."""
    return {
        "reference": found.reference,
        "size": list(found.size),
        "frames": len(found.seconds),
        "vmaf_model": found.model,
        "aligned": not found.findings,
        "findings": [finding_table(f) for f in found.findings],
        "notes": list(found.notes),
        "results": [
            {"file": f.file, "metrics": {name: _summary(f, name) for name in f.overall}}
            for f in found.figures
        ],
        "worst_moments": [m.seconds for m in found.moments],
    }


def _summary(figures: Figures, name: str) -> dict[str, float | None]:
    low, worst = _low(figures, name)
    return {"overall": _plain(figures.overall[name]), "worst_5_percent": _plain(low), "worst": _plain(worst)}


def _plain(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def _low(figures: Figures, name: str) -> tuple[float, float]:
    """The value that 95 % of frames exceed, and that of the worst frame."""
    values = np.sort(figures.values[name][~np.isnan(figures.values[name])])
    if not _metric(name).higher_is_better:
        values = values[::-1]
    return float(values[len(values) // 20]), float(values[0])


def _metric(name: str) -> Metric:
    return next(m for m in METRICS if m.name == name)


def _text(value: float, metric: Metric) -> str:
    return "equal" if math.isinf(value) else f"{value:.{metric.digits}f}"


def compare_text(found: Compared) -> str:
    """One line per metric and output."""
    lines = []
    for figures in found.figures:
        lines.append(
            f"{figures.file} against {found.reference}: {counted(len(found.seconds), 'frame')} at"
            f" {found.size[0]}x{found.size[1]}, {found.model}"
        )
        for name, value in figures.overall.items():
            metric = _metric(name)
            low, worst = (_text(v, metric) for v in _low(figures, name))
            beyond = "below" if metric.higher_is_better else "above"
            lines.append(
                f"  {metric.label:<27} {_text(value, metric):>8} {metric.unit:<6} 5 % {beyond} {low:>8},"
                f" worst frame {worst:>8}"
            )
    return "\n".join([*lines, *(f"  {n}" for n in found.notes)])


def compare_page(found: Compared) -> str:
    """The HTML page of a comparison."""
    files = [f.file for f in found.figures]
    title = f"{' and '.join(files)} against {found.reference}"
    sure = "".join(f"<li>{html.escape(f.text)}</li>" for f in found.findings)
    # the last frame as long as the one before
    lasts = np.diff(found.seconds)[-1] if len(found.seconds) > 1 else 0.0
    length = (
        f"{counted(len(found.seconds), 'frame')},"
        f" {clock_text(float(found.seconds[-1] - found.seconds[0] + lasts))} long"
    )
    parts = [
        f"<header><h1>{html.escape(title)}</h1>",
        f'<p class="soft">{length}, measured at {found.size[0]}×{found.size[1]}</p></header>',
        (
            '<aside class="finding" role="alert"><strong>These files do not line'
            f" up.</strong><ul>{sure}</ul></aside>"
            if sure
            else ""
        ),
        _scores(found),
        "".join(f'<p class="soft">{html.escape(n)}</p>' for n in found.notes),
        "<h2>Over time</h2>",
        _charts(found),
    ]
    if found.moments:
        parts.append(
            '<h2>The worst moments</h2><p class="soft">Cut out where they differ most. Drag the line, or use'
            " the arrow keys.</p>"
        )
        parts.append(f'<div class="pair">{"".join(_moment(m, files) for m in found.moments)}</div>')
    return document(title, "\n".join(parts), assets=("compare.css", "compare.js"))


def _scores(found: Compared) -> str:
    several = len(found.figures) > 1
    head = "".join(
        f'<th scope="col"><i class="key s{n}"></i>{html.escape(f.file)}</th>'
        for n, f in enumerate(found.figures)
    )
    rows = []
    for name in found.figures[0].overall:
        metric = _metric(name)
        values = [f.overall[name] for f in found.figures]
        best = max(values) if metric.higher_is_better else min(values)
        words = ("5 % below", "lowest") if metric.higher_is_better else ("5 % above", "highest")
        cells = []
        for figures, value in zip(found.figures, values, strict=True):
            low, worst = (_text(v, metric) for v in _low(figures, name))
            mark = ' class="best"' if several and value == best and min(values) != max(values) else ""
            unit = f" <small>{metric.unit}</small>" if metric.unit and not math.isinf(value) else ""
            cells.append(
                f"<td{mark}><b>{_text(value, metric)}</b>{unit}<br><small><span>{words[0]} {low}</span>"
                f" <span>{words[1]} {worst}</span></small></td>"
            )
        better = "" if metric.higher_is_better else "<br><small>lower is better</small>"
        model = f"<br><small>{found.model}</small>" if name == "vmaf" else ""
        rows.append(f'<tr><th scope="row">{metric.label}{model}{better}</th>{"".join(cells)}</tr>')
    return (
        '<div class="wide"><table'
        f' class="scores"><thead><tr><td></td>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _charts(found: Compared) -> str:
    names = [n for n in found.figures[0].overall if n != "consistency" or not _is_psnr(found.figures[0])]
    tabs = "".join(f'<button role="tab" data-metric="{n}">{_metric(n).label}</button>' for n in names)
    return (
        '<div class="tabs" role="tablist"'
        f" hidden>{tabs}</div>{''.join(_chart(found, _metric(n)) for n in names)}"
    )


def _is_psnr(figures: Figures) -> bool:
    """Whether a metric is a PSNR at the source's size."""
    return figures.values["consistency"] is figures.values["psnr"]


def _chart(found: Compared, metric: Metric) -> str:
    series = [
        np.minimum(f.values[metric.name], _MOST_DB) if metric.unit == "dB" else f.values[metric.name]
        for f in found.figures
    ]
    low, high = scale(series, metric.least, metric.most)
    steps = [binned(found.seconds, s) for s in series]
    data = {
        "at": [round(float(t), 3) for t in steps[0].at],
        "values": [[round(float(v), metric.digits) for v in s.mean] for s in steps],
        "names": [f.file for f in found.figures],
        "digits": metric.digits,
    }
    labels = "".join(f"<span>{v:.{min(metric.digits, 3)}f}</span>" for v in (high, (low + high) / 2, low))
    unit = f" <small>{metric.unit}</small>" if metric.unit else ""
    end = clock_text(float(steps[0].at[-1]))
    script = json.dumps(data).replace("<", "\\u003c")
    plot = (
        f'<div class="plot">{curve(steps, low, high)}<i'
        f' class="cross"></i></div>{histogram(series, low, high)}'
    )
    below = (
        f'<div class="x"><span>0:00:00.000</span><span>{end}</span></div><div class="x'
        ' often"><span>frames</span></div>'
    )
    return (
        f'<figure data-metric="{metric.name}"><figcaption><b>{metric.label}</b>{unit} <output'
        ' class="soft"></output></figcaption><div class="chart"><div'
        f' class="y">{labels}</div>{plot}{below}</div><script'
        f' type="application/json">{script}</script></figure>'
    )


def _moment(moment: WorstMoment, files: list[str]) -> str:
    said = []
    for file, scores in zip(files, moment.scores, strict=True):
        figures = ", ".join(
            f"{_metric(n).label} {_text(scores[n], _metric(n))}" for n in ("vmaf", "psnr", "ssim")
        )
        said.append(f"{html.escape(file)}: {figures}" if len(files) > 1 else figures)
    text = f'<p class="soft"><small>{"<br>".join(said)}</small></p>'
    return (
        f"<section><h3>{clock_text(moment.seconds)}</h3>{slider(moment.names, moment.pictures)}{text}"
        f"{overview(moment.overview)}</section>"
    )
