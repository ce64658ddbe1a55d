"""Several videos in one command: names of results, skipped videos, the table at the end. Case 73."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests import media
from tests.helpers.command import COPIED_AS_FFV1

IDENTITY = (*COPIED_AS_FFV1, "--device", "cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two films and a broken one."""
    (tmp_path / "in").mkdir()
    for name in ("a.mp4", "c.mp4"):
        media.cfr(tmp_path / "in" / name, frames=4)
    (tmp_path / "in" / "b.mp4").write_bytes(b"broken")
    return tmp_path / "in"


def test_a_table_at_the_end_says_what_became_of_each(here, folder: Path, tmp_path: Path) -> None:
    outcome = here("run", folder, "-o", tmp_path / "out", *IDENTITY, "--summary", tmp_path / "list.csv")
    assert outcome.code == 8
    *before, _ = outcome.err.partition("input  ")
    assert f"{folder / 'b.mp4'}: " in before[0]
    assert "not a video" in before[0] or "nvalid data" in before[0]
    rows = {line.split()[0]: line for line in outcome.err.splitlines() if line[:2] in {"a.", "b.", "c."}}
    assert "done" in rows["a.mp4"]
    assert "a.48p.mkv" in rows["a.mp4"]
    assert "failed" in rows["b.mp4"]
    assert "2 of 3 done, 1 failed" in outcome.err
    with open(tmp_path / "list.csv", newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert [(Path(r["input"]).name, r["result"], r["frames"], r["exit_code"]) for r in found] == [
        ("a.mp4", "done", "4", "0"), ("b.mp4", "failed", "0", "3"), ("c.mp4", "done", "4", "0"),
    ]  # fmt: skip
    assert int(found[0]["bytes"]) == (tmp_path / "out" / "a.48p.mkv").stat().st_size


def test_of_several_films_those_as_large_as_the_target_are_skipped(here, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    media.cfr(tmp_path / "in" / "small.mp4", frames=4)
    media.write(tmp_path / "in" / "large.mp4", media.Film(frames=4, size=(128, 96)))
    to_large = ["--to", "128x96", "--model", "lanczos", "--codec", "ffv1"]
    table = tmp_path / "list.csv"
    outcome = here("run", tmp_path / "in", "-o", tmp_path / "out", *to_large, "--summary", table)
    assert outcome.code == 0, outcome.err
    assert (
        f"{tmp_path / 'in' / 'large.mp4'}: skipped: the target 128x96 is not above the source's"
        in outcome.err
    )
    assert "1 of 2 done, 1 skipped" in outcome.err
    with open(table, newline="", encoding="utf-8") as file:
        assert [(r["result"], r["exit_code"]) for r in csv.DictReader(file)] == [
            ("skipped", "0"),
            ("done", "0"),
        ]
    planned = here("plan", tmp_path / "in", "-o", tmp_path / "other", *to_large)
    assert planned.code == 0
    assert "1 of 2 inputs planned, 1 skipped" in planned.out + planned.err
    assert here("run", tmp_path / "in" / "large.mp4", *to_large).code == 2


def test_the_same_command_again_skips_what_is_finished(here, folder: Path, tmp_path: Path) -> None:
    (folder / "b.mp4").unlink()
    assert here("run", folder, *IDENTITY).code == 0
    again = here("run", folder, *IDENTITY, "--summary", tmp_path / "list.json", "--json")
    assert again.code == 0
    found = json.loads((tmp_path / "list.json").read_text())
    assert [(Path(r["input"]).name, r["result"], r["frames"]) for r in found] == [
        ("a.mp4", "already done", 4),
        ("c.mp4", "already done", 4),
    ]
    assert again.events[-1] == {"event": "summary", "files": found}


def test_results_are_called_as_the_template_says(here, folder: Path, tmp_path: Path) -> None:
    outcome = here(
        "run",
        folder / "a.mp4",
        folder / "c.mp4",
        "-o",
        tmp_path / "out",
        *IDENTITY,
        "--output-template",
        "{stem} {width}.mkv",
    )
    assert outcome.code == 0, outcome.err
    assert sorted(p.name for p in (tmp_path / "out").glob("*.mkv")) == ["a 64.mkv", "c 64.mkv"]


@pytest.mark.parametrize("template", ["../{stem}{suffix}", "/{stem}{suffix}", "{stem}"])
def test_a_template_that_leads_elsewhere_is_refused_before_work(here, folder: Path, template: str) -> None:
    before = sorted(folder.parent.rglob("*"))
    here("run", folder, *IDENTITY, "--output-template", template).refused(2, "--output-template")
    assert sorted(folder.parent.rglob("*")) == before


def test_no_two_inputs_get_one_name_even_with_overwrite(here, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    media.cfr(other / "a.mp4", frames=7)
    outcome = here(
        "run", folder / "a.mp4", other / "a.mp4", "-o", tmp_path / "out", *IDENTITY, "--overwrite", "--json"
    )
    assert outcome.code == 8
    assert "the name of the result of" in outcome.err
    assert [e["frames"] for e in outcome.events if e["event"] == "done"] == [4]
    # it was said before the first began
    assert [e["event"] for e in outcome.events if e["event"] in {"error", "plan"}] == ["error", "plan"]


def test_a_name_that_two_outputs_would_get_is_said_at_once(here, tmp_path: Path) -> None:
    films = [media.cfr(tmp_path / name, frames=4) for name in ("a.mp4", "a.mov", "b.mp4", "b.mkv")]
    outcome = here("run", *films, *IDENTITY[:4], "--codec", "h264")
    assert outcome.code == 8
    said = outcome.err.splitlines()
    assert said[0].startswith(
        f"{films[1]}: its result would be {tmp_path / 'a.48p.mp4'}, the name of the result of"
    )
    assert said[0].endswith("give it a command of its own, with another -o")
    assert sorted(p.name for p in tmp_path.glob("*.48p.*") if p.suffix != ".json") == [
        "a.48p.mp4", "b.48p.mkv", "b.48p.mp4"
    ]  # fmt: skip


def test_no_result_takes_the_place_of_an_input(here, folder: Path) -> None:
    before = (folder / "c.mp4").read_bytes()
    outcome = here(
        "run",
        folder / "a.mp4",
        folder / "c.mp4",
        *IDENTITY[:4],
        "--codec",
        "h264",
        "--output-template",
        "c{suffix}",
        "--overwrite",
    )
    assert outcome.code == 8
    assert "the name of that input" in outcome.err
    assert (folder / "c.mp4").read_bytes() == before


def test_a_table_that_could_not_be_written_is_refused_before_work(here, folder: Path, tmp_path: Path) -> None:
    here("run", folder, *IDENTITY, "--summary", tmp_path / "list.xls").refused(2, ".csv or .json")
    here("run", folder, *IDENTITY, "--summary", tmp_path / "none" / "list.csv").refused(2, "no such folder")
    assert not list(folder.glob("*.mkv"))
