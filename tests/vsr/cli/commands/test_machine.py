"""The command without a video: version, doctor, typing mistakes, completion."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
from click.testing import CliRunner

from pipelines.diagnostics import doctor
from pipelines.diagnostics.doctor import Finding
from tests.helpers.command import arguments, environment, vsr
from vsr import __version__
from vsr.cli.main import cli

WELL, ODD, ILL = (
    Finding("disk", "room"),
    Finding("cpu", "slow", "advice", "wait"),
    Finding("library", "av is old", "problem", "pip install av"),
)


def test_the_version_comes_with_those_of_the_libraries() -> None:
    done = CliRunner().invoke(cli, ["--version"])
    assert done.output.startswith(f"vsr, version {__version__}\n")
    for name in ("Python", "av", "torch", "ray", "numpy"):
        assert re.search(rf"\b{name} \d+\.\d+", done.output), name


@pytest.mark.parametrize(("findings", "code"), [([WELL, ODD], 0), ([WELL, ILL, ODD], 6)])
def test_doctor_ends_with_0_where_a_run_works(
    monkeypatch: pytest.MonkeyPatch, findings: list[Finding], code: int
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda folder: iter(findings))
    text = CliRunner().invoke(cli, ["doctor"])
    told = CliRunner().invoke(cli, ["doctor", "--json"])
    assert (text.exit_code, told.exit_code) == (code, code)
    assert "-> wait" in text.output
    assert ("PROBLEM  library" in text.output) == bool(code)
    *rows, end = map(json.loads, told.output.splitlines())
    assert [r["subject"] for r in rows] == [f.subject for f in findings]
    assert end == {"event": "done", "works": not code, "problems": bool(code)}


def test_doctor_runs_a_clip_in_real_processes() -> None:
    outcome = vsr("doctor", "--json")
    assert outcome.code == 0, outcome.out + outcome.err
    (test,) = [e for e in outcome.events if e.get("subject") == "self-test"]
    assert test["facts"]["frames"] == 12
    assert outcome.event("done")["works"]


@pytest.mark.parametrize(
    ("given", "meant"),
    [(["docter"], "doctor"), (["models", "ad"], "add"), (["run", "film.mp4", "--modle", "fast"], "--model")],
)
def test_a_slip_of_the_pen_is_met_with_the_nearest_word(given: list[str], meant: str) -> None:
    outcome = vsr(*given)
    assert outcome.code == 2
    assert re.search(rf"[Dd]id you mean.*'{meant}'", outcome.err), outcome.err


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("vsr do", "doctor"),
        ("vsr run --crop", "--crop-bars"),
        ("vsr run --model lan", "lanczos"),
        ("vsr plan --codec pro", "prores"),
    ],
)
def test_a_shell_is_offered_what_was_begun(words: str, offered: str) -> None:
    asked = environment(_VSR_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(words.count(" ")))
    done = subprocess.run(arguments(), env=asked, capture_output=True, text=True, timeout=60, check=False)
    assert f"plain,{offered}" in done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize("given", [["--help"], ["models"], ["run", "none.mp4"], ["docter"]])
def test_nothing_is_coloured_in_a_pipe(given: list[str]) -> None:
    outcome = vsr(*given, FORCE_COLOR="", TERM="xterm-256color")
    assert "\x1b" not in outcome.out + outcome.err
