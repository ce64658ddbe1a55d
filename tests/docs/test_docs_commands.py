"""Checks that commands and programs in README.md and docs/ work: each is run on tiny media.

Blocks that can't be run (clouds, hours of training) are preceded by `<!-- not run: REASON -->`.
"""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from models.catalog import lookup
from pipelines.planner import network_choice
from pipelines.settings import run_settings as settings
from tests import media
from tests.helpers.command import ROOT
from tests.helpers.inline import without_processes
from vsr.cli.main import main

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ELSEWHERE = {
    "cluster.md": "tests/end_to_end/test_cluster_hosts.py runs its commands on hosts of their own",
    "scaling.md": "figures",
    "benchmarks.md": "figures, with the commands that made them",
    "models.md": "figures, made by tests.benchmarks.networks_page",
    "reliability.md": "a table of cases and their tests",
    "judging.md": "tests/vsr/cli/commands/test_training.py",
    "reference.md": "the help",
}
"""Pages that other tests are there for."""
NOT_OURS = {"git", "make", "pip", "python", "python3", "eval", "cd", "export", "_VSR_COMPLETE=fish_source"}
OWN_TESTS = {"doctor", "bench", "preview", "compare", "watch", "serve", "submit", "jobs"}
"""Commands that start processes, and have tests of their own; here only their options are checked."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str
    marked: bool

    @property
    def commands(self) -> list[list[str]]:
        """Its commands, word by word, without comments."""
        joined = re.sub(r"\\\n\s*", " ", self.text)
        return [
            words for words in (shlex.split(line, comments=True) for line in joined.splitlines()) if words
        ]


def blocks() -> list[Block]:
    found = []
    for page in PAGES:
        if page.name in ELSEWHERE:
            continue
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(
            r"^(<!-- not run: .+ -->\n)?```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
        ):
            found.append(
                Block(page.name, text[: match.start()].count("\n") + 1, match[2], match[3], bool(match[1]))
            )
    return found


BLOCKS = blocks()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shelf: Path) -> Path:
    """A folder with the files that pages speak of.

    Runs stay in this process, and what is 4K there is small here.
    """
    without_processes(monkeypatch)
    for name, size in (("8k", (192, 144)), ("4k", (160, 120)), ("1440p", (144, 108)), ("1080p", (128, 96))):
        monkeypatch.setitem(settings.BOXES, name, size)
    monkeypatch.setattr(network_choice, "default_model", lambda **_: "lanczos")
    ready = shelf / "docs-media"
    if not ready.exists():
        ready.mkdir()
        media.cfr(ready / "film.mp4", frames=6)
        shutil.copy(ready / "film.mp4", ready / "game.mp4")
        media.cfr(ready / "film.mkv", frames=6)
        for name in ("a.mp4", "deep/b.mp4"):
            (ready / "holiday" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ready / "film.mp4", ready / "holiday" / name)
        (ready / "photo.jpg").write_bytes(media.jpeg(48, 32))
    shutil.copytree(ready, tmp_path, dirs_exist_ok=True)
    (tmp_path / "my.toml").write_text("crop_bars = true\n")
    (tmp_path / "shot").mkdir()
    from PIL import Image

    for number in range(1, 4):
        Image.new("RGB", (48, 32), (40 * number, 90, 120)).save(tmp_path / "shot" / f"frame_{number:05d}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ran(words: list[str]) -> int:
    """The exit code of a command in this process."""
    if words[0] in OWN_TESTS:
        words = [*words, "--help"]
    if "--range" in words:
        words[words.index("--range") + 1] = "0:00-0:15"
    try:
        main(words)
    except SystemExit as exit_:
        return int(exit_.code or 0)
    return 0


@pytest.mark.parametrize(
    "block",
    [b for b in BLOCKS if b.language != "python" and not b.marked],
    ids=lambda b: f"{b.page}:{b.line}",
)
def test_commands_do_what_they_say(block: Block, place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("PIL", reason="numbered pictures are made by pillow")
    for words in block.commands:
        if words[0] in NOT_OURS:
            continue
        assert words[0] == "vsr", (
            f"{' '.join(words)}: mark its block as not run, or write it so that it can be"
        )
        assert ran(words[1:]) == 0, f"{' '.join(words)}\n{capfd.readouterr().err}"


@pytest.mark.parametrize(
    "block",
    [b for b in BLOCKS if b.language == "python" and not b.marked],
    ids=lambda b: f"{b.page}:{b.line}",
)
def test_programs_run(block: Block, place: Path) -> None:
    exec(compile(block.text, f"{block.page}:{block.line}", "exec"), {})


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.marked], ids=lambda b: f"{b.page}:{b.line}")
def test_commands_that_are_not_run_are_at_least_known(block: Block) -> None:
    for words in block.commands:
        if words[0] == "vsr":
            known = [p for p in (words[1:2], words[1:3]) if p]
            assert any(help_of(p) for p in known), " ".join(words)


def help_of(words: list[str]) -> str:
    from vsr.cli.main import cli

    command = cli.commands.get(words[0])
    return command.help or "" if command is not None else ""


def test_pages_have_blocks_and_no_mark_lost_its_block() -> None:
    assert len(BLOCKS) > 15
    assert lookup.default_model()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert text.count("<!-- not run:") == len(re.findall(r"<!-- not run: .+ -->\n```", text)), page
