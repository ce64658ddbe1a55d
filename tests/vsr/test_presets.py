"""The presets that come with vsr."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from models.errors import UsageError
from pipelines.datasets.settings import DatasetSettings
from pipelines.objectives.settings import TrainSettings
from pipelines.settings.settings_file import read_settings
from tests import media
from tests.benchmarks.presets import PAGE, documented, write
from vsr.api import run_settings
from vsr.cli.main import cli
from vsr.presets import config_file, presets

NAMES = ["anime-4k", "archive-8k", "default", "draft", "game-4k", "movie-4k"]


def test_they_are_listed_with_what_they_are_for() -> None:
    found = [json.loads(line) for line in CliRunner().invoke(cli, ["presets", "--json"]).output.splitlines()]
    assert [f["name"] for f in found] == NAMES
    assert all(f["purpose"].endswith(".") for f in found)
    assert "archive-8k  Archive masters" in CliRunner().invoke(cli, ["presets"]).output


def test_what_each_costs_is_said_in_frames_a_second_and_gigabytes_an_hour() -> None:
    told = CliRunner().invoke(cli, ["presets"]).output
    assert "MB a minute" not in told
    assert "VMAF" not in told
    movie = next(p for p in presets() if p.name == "movie-4k")
    fps, size = re.search(r"([\d.]+) fps, ([\d.]+) MB", "".join(movie.measured)).groups()  # type: ignore[union-attr]
    assert (
        movie.cost
        == f"{fps} frames a second and {float(size) * 0.06:.2g} GB an hour (1280x720, 2 cores, no GPU)"
    )
    assert movie.cost in told
    assert "1 frames" not in told


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
    done = CliRunner().invoke(
        cli, ["plan", str(film), "--config", name, "--to", "160x120", "--model", "lanczos", "--json"]
    )
    assert done.exit_code == 0, done.exception or done.output
    assert json.loads(done.output)["size"] == [160, 120]


def test_figures_on_the_page_are_those_in_the_headers() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert "<!-- measured -->" in text
    assert documented(text) == text, "run `python -m tests.benchmarks.presets --write CLIP`"


def test_what_was_measured_gets_into_the_header_and_from_there_onto_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = tmp_path / "run"
    shutil.copytree(presets()[0].path.parent, copies)
    monkeypatch.setattr("vsr.presets._FOLDERS", (tmp_path,))
    for text in ("old.mp4: 1.00 fps", "film.mp4: 2.00 fps"):
        write(copies / "draft.toml", [text, "on 2 cores"])
    assert next(p.measured for p in presets() if p.name == "draft") == ("film.mp4: 2.00 fps", "on 2 cores")
    page = documented("a\n<!-- measured -->\n- `draft`: old.\n<!-- end -->\nb\n")
    assert "\n- `draft`: film.mp4: 2.00 fps; on 2 cores.\n" in page
    assert page.endswith("\n\n<!-- end -->\nb\n")
    assert "old" not in page.split("`draft`")[1]
    assert documented(page) == page
    assert run_settings("draft").encode.preset == "draft"


def test_options_go_before_a_preset_and_a_file_before_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_settings_of_trainings_and_data_sets_are_found_by_name_in_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fast-x2").mkdir()  # where vsr train fast-x2 writes without -o
    assert read_settings(TrainSettings, config_file("fast-x2", "train")).name == "fast-x2"
    assert read_settings(DatasetSettings, config_file("real", "dataset")).degrade.levels
    for text, kind, said in (
        ("fast-x9", "train", r"^fast-x9: .*did you mean fast-x"),
        ("?", "dataset", r"^--config \?: .* one of default, real, restoration, shipped$"),
        ("configs/train/fast-x2.toml", "train", "give fast-x2 for the one that comes with vsr"),
    ):
        with pytest.raises(UsageError, match=said):
            config_file(text, kind)  # type: ignore[arg-type]
    for command, said in (
        (["train", "fast-x2", "--data", "nowhere"], "nowhere.*expected a data set"),
        (["dataset", "nowhere", "-o", "out", "--config", "real"], "no such file or folder"),
    ):
        done = CliRunner().invoke(cli, command)
        assert re.search(said, str(done.exception)), done.exception
