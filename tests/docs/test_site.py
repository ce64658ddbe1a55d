"""Checks that `make docs` builds the documentation site without a warning."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.command import ROOT


def built(project: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """What `make docs` runs, in another project and into another folder.

    Under `--quiet` mkdocs sees no warning that `--strict` could refuse.
    """
    pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
    pytest.importorskip("material", reason="the extra `docs` is not installed")
    recipe = re.search(
        r"^docs:.*\n\t(.+)\n(?!\t)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert recipe is not None
    command = f"{recipe[1].replace('$(BIN)/mkdocs', f'{shlex.quote(sys.executable)} -m mkdocs')} --site-dir {shlex.quote(str(site))}"
    return subprocess.run(
        ["sh", "-c", command], cwd=project, capture_output=True, text=True, timeout=280, check=False
    )


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    done = built(ROOT, tmp_path / "site")
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    for page in (
        "index.html",
        "first-ten-minutes/index.html",
        "reference/index.html",
        "images/how-it-works.svg",
    ):
        assert (tmp_path / "site" / page).is_file(), page
    first = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "fonts.googleapis.com" not in first
    assert not list((tmp_path / "site").rglob("*.py*"))


def test_tests_are_named_on_the_site_though_it_does_not_have_them(tmp_path: Path) -> None:
    assert built(ROOT, tmp_path / "site").returncode == 0
    page = (tmp_path / "site" / "reliability" / "index.html").read_text(encoding="utf-8")
    assert "<code>test_the_reader_gives_every_packet_by_its_row_and_reads_again_on_request</code>" in page
    assert "../tests/" not in page


@pytest.mark.parametrize("link", ["nowhere.md", "index.md/../nowhere.md", "nowhere/../images/nowhere.png"])
def test_a_link_that_leads_nowhere_stops_the_build(tmp_path: Path, link: str) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    with open(tmp_path / "docs" / "index.md", "a", encoding="utf-8") as page:
        page.write(f"\n[nowhere]({link})\n")
    done = built(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    assert "nowhere" in done.stderr
