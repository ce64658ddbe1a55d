"""A `Preview` as a table, and as a self-contained page."""

from __future__ import annotations

import html
import shlex
from typing import TYPE_CHECKING, Any

from models.errors import counted
from pipelines.media.cicp import HDR_TRANSFERS
from pipelines.plan.timeline import clock_text
from vsr.pages.html import document, overview, slider
from vsr.views.plan_view import busy_line
from vsr.views.text import duration, size_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.diagnostics.offers import Offer
    from pipelines.diagnostics.partial_preview import PartialPreview
    from pipelines.diagnostics.preview import Preview, PreviewMoment

__all__ = [
    "offer_table",
    "offer_text",
    "page",
    "preview_table",
    "preview_text",
    "unfinished_page",
    "unfinished_table",
    "unfinished_text",
]


def preview_table(preview: Preview) -> dict[str, Any]:
    """A preview as JSON values."""
    return {
        "input": preview.input,
        "models": [
            {
                "model": c.model,
                "frames": c.frames,
                "size": list(c.size),
                "fps": round(c.fps, 3),
                "seconds": round(c.seconds, 1),
                "bytes": c.bytes,
                "licence": c.terms,
            }
            for c in preview.choices
        ],
        "moments": [{"seconds": m.seconds, "files": list(m.files)} for m in preview.moments],
    }


def preview_text(preview: Preview, *, option: str = "--model", given: Sequence[str] = ()) -> str:
    """One line per network, and the commands that use them.

    option: what chooses between them. given: further options of the preview that a run takes too.
    """
    wide = max(len(c.model) for c in preview.choices)
    lines = [
        f"{c.model:<{wide}}  {c.size[0]}x{c.size[1]}  about {c.fps:.2f} fps, {duration(c.seconds)} in all,"
        f" {size_text(c.bytes)}"
        for c in preview.choices
    ]
    lines += dict.fromkeys(c.terms for c in preview.choices if c.terms)
    lines.append("time and size of the whole film are estimated as by vsr plan --measure")
    lines += _busy_lines(preview)
    words = [["vsr", "run", preview.input, option, c.model, *given] for c in preview.choices]
    return "\n".join([*lines, "to use one:", *(f"  {shlex.join(command)}" for command in words)])


def _busy_lines(preview: Preview) -> list[str]:
    """A line if other programs keep the machine busy; it names the network if there are several."""
    last = preview.choices[-1]
    name = f"{last.model}: " if len(preview.choices) > 1 else ""
    return [f"{name}{line}" for line in busy_line(last.seconds, last.share)]


def offer_table(offer: Offer) -> dict[str, Any]:
    """A network that can be downloaded, as JSON values."""
    entry = offer.entry
    return {
        "model": entry.name, "fps": None if offer.fps is None else round(offer.fps, 4),
        "memory_bytes": offer.memory_bytes, "gflop": round(offer.gflop, 1), "bytes": entry.bytes,
        "url": entry.url, "licence": entry.licence, "commercial": entry.commercial,
    }  # fmt: skip


def offer_text(offer: Offer) -> str:
    """The estimate for it, and how to get it."""
    entry = offer.entry
    speed = (
        "speed not known, as nothing but classical scalers was tried"
        if offer.fps is None
        else f"about {_speed(offer.fps)} by its arithmetic"
    )
    return (
        f"{entry.name} is not here: {speed}, {size_text(offer.memory_bytes)} of memory at least;"
        f" {size_text(entry.bytes)} to fetch ({entry.terms}): `vsr models get {entry.name}`, or --yes with"
        " this command"
    )


def _speed(fps: float) -> str:
    return f"{fps:.2f} fps" if fps >= 0.1 else f"{duration(1 / fps)} a frame"


def page(preview: Preview) -> str:
    """The HTML page of a preview, with its images."""
    names = [c.model for c in preview.choices]
    rows = "".join(
        f'<tr><th scope="row">{html.escape(c.model)}</th><td>{c.size[0]}×{c.size[1]}</td>'
        f"<td>{c.fps:.2f}</td><td>{duration(c.seconds)}</td><td>{size_text(c.bytes)}</td></tr>"
        for c in preview.choices
    )
    measured = "<code>vsr plan --measure</code>"
    notes = [f"Time and size of the whole film are estimated for this machine, as by {measured}."]
    notes += [f"{html.escape(line[0].upper() + line[1:])}." for line in _busy_lines(preview)]
    notes += dict.fromkeys(f"{html.escape(c.terms)}." for c in preview.choices if c.terms)
    if preview.planned.plan.out_color.transfer in HDR_TRANSFERS:
        notes.append(
            "The film is HDR: pictures here show its code values as they are, flatter than a display would."
        )
    title = preview.input.rpartition("/")[2]
    encoder = html.escape(preview.planned.plan.encoder.name)
    body = (
        f"<header><h1>{html.escape(title)}</h1></header>\n"
        '<div class="wide"><table><thead><tr><th>network</th><th>size</th><th>fps</th><th>whole'
        f" film</th><th>video, {encoder}</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>\n"
        f'<p class="soft">{" ".join(notes)} Drag the line, or use the arrow keys.</p>\n'
        f'<div class="pair">{"".join(_section(m, names) for m in preview.moments)}</div>'
    )
    return document(f"{title}: preview", body)


def unfinished_page(found: PartialPreview) -> str:
    """Finished parts of a run in progress, compared with the source."""
    title = found.input.rpartition("/")[2]
    body = (
        f"<header><h1>{html.escape(title)}</h1>"
        f'<p class="soft">{found.chunks_done} of {found.chunks} parts are finished. Left: the source,'
        " enlarged by bicubic; right: the result. "
        "Drag the line, or use the arrow keys.</p></header>\n"
        f'<div class="pair">{"".join(_section(m, ["source", "result"]) for m in found.moments)}</div>'
    )
    return document(f"{title}: so far", body)


def unfinished_table(found: PartialPreview) -> dict[str, Any]:
    """Finished parts of a run in progress, as JSON values."""
    moments = [{"seconds": m.seconds, "files": list(m.files)} for m in found.moments]
    return {
        "input": found.input,
        "chunks_done": found.chunks_done,
        "chunks": found.chunks,
        "moments": moments,
    }


def unfinished_text(found: PartialPreview) -> str:
    """How many chunks of a run in progress are finished, in one line."""
    return f"{found.chunks_done} of {counted(found.chunks, 'chunk')} are done"


def _section(moment: PreviewMoment, names: list[str]) -> str:
    return (
        f"<section><h3>{clock_text(moment.seconds)}</h3>{slider(names, moment.pictures)}"
        f"{overview(moment.overview)}</section>\n"
    )
