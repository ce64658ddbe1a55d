"""`vsr plan` of several inputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import media
from vsr.cli.main import main

pytestmark = pytest.mark.usefixtures("inline")

OPTIONS = ["--scale", "2", "--model", "nearest", "--codec", "h264", "--preset", "ultrafast"]


@pytest.fixture
def shows(tmp_path: Path) -> Path:
    """Two films, one of them in a folder below, whose name looks like a file's, and one broken file."""
    folder = tmp_path / "shows"
    (folder / "Season.1").mkdir(parents=True)
    media.cfr(folder / "a.mp4", frames=6)
    media.cfr(folder / "Season.1" / "b.mp4", frames=8)
    (folder / "broken.mkv").write_bytes(b"no film" * 100)
    return folder


def plan(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    code = 0
    try:
        main(["plan", *map(str, arguments), *OPTIONS])
    except SystemExit as ended:
        code = int(ended.code or 0)
    told = capsys.readouterr()
    return code, told.out, told.err


def test_a_folder_is_planned_film_by_film_with_totals(
    shows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said, errors = plan(capsys, shows, "-r", "-o", tmp_path / "up")
    assert code == 8
    assert f"output: {tmp_path / 'up' / 'a.96p.mp4'}" in said
    assert f"output: {tmp_path / 'up' / 'Season.1' / 'b.96p.mp4'}" in said
    assert "2 of 3 inputs planned, 1 failed, 14 frames left, up to " in said
    assert errors.count("broken.mkv") == 1
    assert not (tmp_path / "up").exists()
    assert "vsr preview FILE shows what it would look like" in said


def test_json_has_a_line_for_each_input_and_one_for_all(
    shows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["run", str(shows / "a.mp4"), *OPTIONS])
    capsys.readouterr()
    code, said, _ = plan(
        capsys, shows / "Season.1", shows / "a.mp4", shows / "broken.mkv", "--json", "--measure"
    )
    lines: list[dict[str, Any]] = [json.loads(line) for line in said.splitlines()]
    assert [line["event"] for line in lines] == ["plan", "plan", "error", "summary"]
    assert [line.get("input") for line in lines[:2]] == [
        str(shows / "Season.1" / "b.mp4"), str(shows / "a.mp4"),
    ]  # fmt: skip
    total = lines[-1]
    assert (code, total["inputs"], total["planned"], total["failed"]) == (8, 3, 2, 1)
    measured = [line["estimated_seconds"] for line in lines[:2] if "estimated_seconds" in line]
    assert [line["already_done"] for line in lines[:2]] == [False, True]
    assert (total["already done"], total["frames"], len(measured)) == (1, 8, 1)
    assert total["estimated_seconds"] == pytest.approx(sum(measured), abs=0.11)
    assert total["estimated_disk_bytes"] > total["estimated_output_bytes"]


def test_two_films_whose_outputs_would_have_one_name_are_reported_as_by_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        media.cfr(tmp_path / name / "a.mp4", frames=4)
    code, said, errors = plan(capsys, tmp_path / "one", tmp_path / "two", "-o", tmp_path / "up")
    assert code == 8
    assert "the name of the result of" in errors
    assert "1 of 2 inputs planned, 1 failed, 4 frames left" in said
