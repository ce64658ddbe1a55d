"""A server that tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import media
from tests.helpers.serving import Server

pytest.importorskip("fastapi", reason="the extra serve is not installed")
pytest.importorskip("uvicorn", reason="the extra serve is not installed")

HOSTILE = "<script>alert('x')<!--.mp4"


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with films, and links that lead out of it."""
    root = tmp_path_factory.mktemp("serve") / "films"
    (root / "deep").mkdir(parents=True)
    media.cfr(root / "a.mp4", frames=24)
    media.cfr(root / "deep" / "b.mkv", frames=24)
    media.cfr(root / HOSTILE, frames=4)
    (root / "broken.mp4").write_bytes(b"no film")
    (root / "notes.txt").write_text("private")
    outside = root.parent / "outside"
    outside.mkdir()
    media.cfr(outside / "secret.mp4", frames=4)
    (root / "link.mp4").symlink_to(outside / "secret.mp4")
    (root / "linked").symlink_to(outside)
    (root / ".hidden.mp4").symlink_to(root / "a.mp4")
    return root


@pytest.fixture(scope="module")
def server(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that takes small uploads."""
    started = Server([films], tmp_path_factory.mktemp("data"), ["--uploads", "0.001"]).start()
    yield started
    started.stop()
