"""The settings files that come with vsr."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from models.errors import UsageError
from tests import media
from vsr.api import run_settings
from vsr.cli import cli
from vsr.presets import config_file, presets

NAMES = ["anime-4k", "archive-8k", "default", "draft", "game-4k", "movie-4k"]


def test_they_are_listed_with_what_they_are_for() -> None:
    found = [json.loads(line) for line in CliRunner().invoke(cli, ["presets", "--json"]).output.splitlines()]
    assert [f["name"] for f in found] == NAMES
    assert all(f["purpose"].endswith(".") for f in found)
    assert "archive-8k  A master to keep" in CliRunner().invoke(cli, ["presets"]).output


def test_each_says_every_setting() -> None:
    default = next(p.path for p in presets() if p.name == "default").read_text()

    def keys(text: str) -> set[str]:
        return {line.split("=")[0].strip("# ") for line in text.splitlines() if "=" in line.split(" #")[0]}

    for preset in presets():
        assert keys(default) <= keys(preset.path.read_text()), preset.name


@pytest.mark.parametrize("name", NAMES)
def test_each_can_be_run(name: str, shelf: Path) -> None:
    film = shelf / "presets.mp4"
    if not film.exists():
        media.cfr(film, frames=3)
    done = CliRunner().invoke(cli, ["plan", str(film), "--config", name, "--to", "160x120", "--model", "lanczos", "--json"])
    assert done.exit_code == 0, done.exception or done.output
    assert json.loads(done.output)["size"] == [160, 120]


def test_options_go_before_a_preset_and_a_file_before_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_settings("archive-8k").target.to == "8k"
    assert run_settings("archive-8k", scale=2).target.to is None
    monkeypatch.chdir(tmp_path)
    (tmp_path / "draft").write_text("crop_bars = true\n")
    assert run_settings("draft").crop_bars


def test_a_slip_of_the_pen_is_met_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="did you mean movie-4k"):
        config_file("movie-4")
    with pytest.raises(UsageError, match=r"none\.toml"):
        run_settings("none.toml")
