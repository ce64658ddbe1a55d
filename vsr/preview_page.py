"""A `Preview` for people: a table, and one page that opens from disk and fetches nothing."""

from __future__ import annotations

import base64
import html
from typing import TYPE_CHECKING, Any

from pipelines.video import HDR_TRANSFERS
from vsr.progress import duration, size_text

if TYPE_CHECKING:
    from pipelines.preview import Moment, Preview

__all__ = ["page", "preview_table", "preview_text"]


def preview_table(preview: Preview) -> dict[str, Any]:
    """As plain values."""
    return {
        "input": preview.input,
        "models": [
            {"model": c.model, "frames": c.frames, "size": list(c.size), "fps": round(c.fps, 3), "seconds": round(c.seconds, 1), "bytes": c.bytes}
            for c in preview.choices
        ],
        "moments": [{"seconds": m.seconds, "files": list(m.files)} for m in preview.moments],
    }


def preview_text(preview: Preview) -> str:
    """One line a network."""
    wide = max(len(c.model) for c in preview.choices)
    return "\n".join(
        f"{c.model:<{wide}}  {c.size[0]}x{c.size[1]}  about {c.fps:.2f} fps, {duration(c.seconds)} in all, {size_text(c.bytes)}"
        for c in preview.choices
    )


def page(preview: Preview) -> str:
    """The whole page, pictures and all."""
    names = [html.escape(c.model) for c in preview.choices]
    rows = "".join(
        f"<tr><th>{name}<td>{c.size[0]}×{c.size[1]}<td>{c.fps:.2f}<td>{duration(c.seconds)}<td>{size_text(c.bytes)}"
        for name, c in zip(names, preview.choices, strict=True)
    )
    notes = ["Speed and size are foretold from these moments, for this machine and the whole film."]
    if preview.planned.plan.out_color.transfer in HDR_TRANSFERS:
        notes.append("The film is HDR: pictures here show its code values as they are, flatter than a display would.")
    title = html.escape(preview.input.rpartition("/")[2])
    return _PAGE.format(
        title=title,
        style=_STYLE,
        script=_SCRIPT.replace("</", "<\\/"),
        rows=rows,
        notes=" ".join(notes),
        moments="".join(_section(m, names) for m in preview.moments),
        encoder=html.escape(preview.planned.plan.encoder.name),
    )


def _section(moment: Moment, names: list[str]) -> str:
    pictures = "".join(
        f'<img alt="{name}" src="data:image/png;base64,{base64.b64encode(data).decode()}">' for name, data in zip(names, moment.pictures, strict=True)
    )
    return f"<section><h2>{clock(moment.seconds)}</h2><before-after>{pictures}</before-after></section>\n"


def clock(seconds: float) -> str:
    """Like 0:12:30.500."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{seconds % 60:06.3f}"


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{title}: preview</title>
<style>{style}</style>
<h1>{title}</h1>
<div class="wide"><table>
<tr><th>network<th>size<th>fps<th>whole film<th>video, {encoder}
{rows}
</table></div>
<p>{notes} Drag the line, or use the arrow keys.</p>
{moments}<script>{script}</script>
</html>
"""

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.4 system-ui, sans-serif }
body { margin: 1rem auto; padding: 0 .75rem; max-width: 1320px }
h1 { font-size: 1.3rem; overflow-wrap: anywhere } h2 { font-size: 1rem; margin: 1.5rem 0 .25rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; white-space: nowrap }
before-after { display: block; max-width: 640px }
before-after > img { max-width: 100%; display: block }
before-after .stage { position: relative; line-height: 0; touch-action: pan-y }
before-after .stage img { max-width: 100%; height: auto }
before-after .stage img + img { position: absolute; inset: 0; clip-path: inset(0 0 0 var(--at)) }
before-after .line { position: absolute; top: 0; bottom: 0; left: var(--at); width: 2px; margin-left: -1px; background: #fff; box-shadow: 0 0 2px }
before-after input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: ew-resize }
before-after input:focus-visible ~ .line { background: #f80; width: 4px; margin-left: -2px }
before-after .names { display: flex; justify-content: space-between; gap: 1rem; margin-top: .25rem }
before-after select { font: inherit; max-width: 45% }
"""

_SCRIPT = """
// Two of several pictures, one above the other, with a line to drag. Without scripts the pictures just follow each other.
customElements.define("before-after", class extends HTMLElement {
  connectedCallback() {
    const pictures = [...this.querySelectorAll("img")];
    const make = (name, properties = {}) => Object.assign(document.createElement(name), properties);
    const stage = make("div", { className: "stage" }), names = make("div", { className: "names" });
    const shown = [0, pictures.length - 1].map(n => pictures[n].cloneNode());
    const range = make("input", { type: "range", min: 0, max: 100, step: 0.1, value: 50, ariaLabel: "Left of the line or right of it" });
    const move = () => stage.style.setProperty("--at", range.value + "%");
    range.addEventListener("input", move);
    for (const [side, label] of ["left of the line", "right of the line"].entries()) {
      const select = make("select", { ariaLabel: label });
      pictures.forEach((picture, n) => select.add(new Option(picture.alt, n)));
      select.value = side ? pictures.length - 1 : 0;
      select.addEventListener("change", () => {
        shown[side].src = pictures[select.value].src;
        shown[side].alt = pictures[select.value].alt;
      });
      names.append(select);
    }
    stage.append(...shown, range, make("div", { className: "line" }));
    this.replaceChildren(stage, names);
    move();
  }
});
"""
