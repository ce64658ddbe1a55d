"""Hooks of the site.

In the repository a page may link to files beside docs/, such as tests; the site does not have them.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

_LINK = re.compile(r"(?<!!)\[([^]]*)\]\(([^)\s]+)\)")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Turn links that lead out of docs/ into their text.

    Others stay, so that a broken one is still noticed.
    """
    folder = posixpath.dirname(page.file.src_uri)

    def shown(link: re.Match[str]) -> str:
        is_outside = "://" not in link[2] and posixpath.normpath(posixpath.join(folder, link[2])).startswith(
            "../"
        )
        return link[1] if is_outside else link[0]

    return _LINK.sub(shown, markdown)
