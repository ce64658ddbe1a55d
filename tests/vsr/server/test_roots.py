"""Names in place of paths: pages that are served contain no paths."""

from __future__ import annotations

from pathlib import Path

from vsr.server.roots import Roots


def test_a_page_loses_its_paths_and_keeps_its_pictures_and_scripts(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    roots = Roots([tmp_path / "films"])
    picture = '<img src="data:image/png;base64,iVBO+/abc/def/gh==">'
    kept = f"<script>let a = b /c/d/e;</script>{picture}"
    page = f"<h1>{tmp_path}/films/a.mp4</h1>{kept}<p>/home/somebody/b.mp4</p>"
    assert roots.redacted_page(page) == f"<h1>films/a.mp4</h1>{kept}<p>…/b.mp4</p>"
    assert roots.redacted(kept) != kept
