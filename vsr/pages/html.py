"""The common parts of pages: a self-contained document, its style, and the before/after slider."""

from __future__ import annotations

import base64
import html
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["clip", "document", "overview", "picture", "slider"]


def document(title: str, body: str, *, assets: Sequence[str] = ()) -> str:
    """A complete HTML page.

    title: plain text. body: markup. assets: further style sheets and scripts of `vsr/pages/assets`.
    """
    names = ["page.css", *(["slider.css", "slider.js"] if "<before-after>" in body else []), *assets]
    texts = [((files("vsr.pages") / "assets" / name).read_text(encoding="utf-8"), name) for name in names]
    style = "".join(text for text, name in texts if name.endswith(".css"))
    code = "".join(
        f"<script>\n{text.replace('</', '<' + chr(92) + '/')}</script>\n"
        for text, name in texts
        if name.endswith(".js")
    )
    return _PAGE.format(policy=_POLICY, title=html.escape(title), style=style, body=body, code=code)


def picture(name: str, data: bytes) -> str:
    """A PNG file as an element."""
    return f'<img alt="{html.escape(name)}" src="data:image/png;base64,{base64.b64encode(data).decode()}">'


def clip(name: str, data: bytes) -> str:
    """An MP4 file as an element that plays in a loop, without sound."""
    address = f"data:video/mp4;base64,{base64.b64encode(data).decode()}"
    return (
        f'<video aria-label="{html.escape(name)}" loop muted playsinline preload="auto"'
        f' src="{address}"></video>'
    )


def slider(names: Sequence[str], pictures: Sequence[bytes]) -> str:
    """Images of one size on top of each other, with a draggable divider.

    Without scripts they are shown one after another.
    """
    return f"<before-after>{''.join(map(picture, names, pictures))}</before-after>"


def overview(data: bytes) -> str:
    """A small image of the whole frame, with the sampled area marked; empty without data."""
    return (
        f'<p class="whole">{picture("the whole frame, with the part shown marked", data)}</p>' if data else ""
    )


_POLICY = (
    "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src"
    " 'unsafe-inline'"
)
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="vsr">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>{style}</style>
<main>
{body}
</main>
{code}</html>
"""
