from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from models.catalog.lookup import cards
from models.catalog.purposes import PURPOSES, YOURS
from models.errors import UsageError
from pipelines.plan.events import Note
from pipelines.quality.evaluation import EvaluationRow, Judging
from pipelines.quality.evaluation import evaluate as evaluate_models
from pipelines.quality.judgement import EvaluateSettings
from tests.helpers.footage import film, pictures
from vsr.cli.commands.evaluate import evaluate
from vsr.cli.commands.models import add_model, export, models, remove_model
from vsr.cli.commands.training import dataset, train

COMMANDS = [dataset, train, evaluate, add_model, remove_model, export]
SMALL = [
    "--set",
    "truth_px=32",
    "--set",
    "shrink=1",
    "--set",
    "crops.per_frame=8",
    "--set",
    "crops.duplicate_bits=1",
    "--set",
    "degrade.clean=1.0",
]
SHORT = ["steps=4", "validate_every=2", "threads=1", "batch.pairs=2", "batch.truth_px=32", "network.depth=1"]
FAST = Path(__file__).parents[4] / "configs" / "train" / "fast-x2.toml"


def run(command: click.Command, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.name)
def test_every_command_has_help_with_an_example(command: click.Command) -> None:
    assert command.help is not None
    assert "Example:" in command.help
    assert run(command, "--help").exit_code == 0


def test_four_commands_lead_from_footage_to_a_judged_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VSR_DATA_HOME", str(tmp_path / "home"))
    stills = pictures(tmp_path / "stills", 6, 120, 160)
    made = run(dataset, stills, "-o", tmp_path / "pairs", *SMALL)
    assert made.exit_code == 0
    assert "pairs to train on" in made.stderr
    assert "pairs to learn from are few" in made.stderr.splitlines()[-1]
    trained = run(
        train,
        FAST,
        "--data",
        tmp_path / "pairs",
        "-o",
        tmp_path / "out",
        "--device",
        "cpu",
        "--json",
        *(a for s in SHORT for a in ("--set", s)),
    )
    events = [json.loads(line) for line in trained.stdout.splitlines()]
    assert [e["event"] for e in events] == ["note", "note", "validated", "stepped", "validated", "trained"]
    assert events[0]["text"].startswith("loads the pairs of ")
    assert "are few" in events[1]["text"]
    assert run(add_model, events[-1]["weights"], "--name", "mine").stdout.startswith("mine-x2: x2, compact")
    judged = run(evaluate, "mine", "--data", stills, "--limit", 1, "--format", "json")
    assert {row["model"] for row in json.loads(judged.stdout)} == {"bicubic", "lanczos", "mine-x2"}


def test_evaluation_reports_progress_and_uses_the_requested_part(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4", (12,), width=128, height=96)
    settings = EvaluateSettings(scale=2, cases=("clean",), range="0.1-", frames=6, metrics=("psnr",))
    events = list(evaluate_models(["fast-x2"], [source], settings))
    assert [e.text.partition(": ")[2] for e in events if isinstance(e, Note)] == [
        "6 of 9 frames are judged; --frames 9 takes all, --range others"
    ]
    steps = [e for e in events if isinstance(e, Judging)]
    assert [e.frames for e in steps] == [
        0,
        0,
        0,
        1,
        2,
        3,
        4,
        5,
        6,
    ]  # two scalers and the network, then its frames
    assert {e.total for e in steps} == {6}
    whole = [
        e
        for e in evaluate_models(["fast-x2"], [source], replace(settings, range=None))
        if isinstance(e, EvaluationRow)
    ]
    assert [r.scores for r in events if isinstance(r, EvaluationRow)] != [r.scores for r in whole]
    told = run(evaluate, "fast-x2", "--data", source, "--range", "0.1-", "--frames", 6, "--metric", "psnr")
    assert "6 of 9 frames are judged" in told.stderr
    with pytest.raises(UsageError, match="--range 9-: there is no frame in it"):
        run(evaluate, "fast-x2", "--data", source, "--range", "9-")


def test_a_training_is_held_against_the_network_of_its_size_that_ships(tmp_path: Path) -> None:
    made = run(dataset, pictures(tmp_path / "stills", 4, 120, 160), "-o", tmp_path / "pairs", *SMALL)
    assert made.exit_code == 0
    options = [
        "steps=2",
        "validate_every=2",
        "threads=1",
        "batch.pairs=2",
        "batch.truth_px=32",
        "validation_pairs=2",
    ]
    told = run(
        train,
        FAST,
        "--data",
        tmp_path / "pairs",
        "-o",
        tmp_path / "out",
        "--device",
        "cpu",
        *(a for o in options for a in ("--set", o)),
    )
    lines = told.stderr.strip().splitlines()
    assert re.search(
        r"pairs to learn from are few: .*: vsr dataset INPUT\.\.\. -o DIR --set passes=4$", lines[2]
    )
    assert re.search(
        r"over Lanczos.*, -\d+\.\d\d against the shipped fast-x2 \(best of this training so far\)",
        told.stderr,
    )
    assert lines[-1].startswith("on these pairs fast-x2 is better; ")
    assert "(the same command with --resume and more --minutes)" in lines[-1]
    assert lines[0] == "loads the training libraries"
    assert lines[-1].endswith("a start from it: --init fast-x2")


def test_per_title_says_the_gain_either_way(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mp4", (24,), width=256, height=192)
    told = run(train, "--per-title", source, "--minutes", "0.05", "-o", tmp_path / "tuned", "--device", "cpu")
    last = told.stderr.strip().splitlines()[-1]
    assert "held-out pairs" in last
    assert "passes" not in told.stderr, "a setting of data sets, which --per-title does not take"
    assert ("; use it with --model " in last) == (tmp_path / "tuned" / "film-x2.safetensors").exists()
    # The network was trained, so only the judging is left to go on with.
    again = run(
        train,
        "--per-title",
        source,
        "--minutes",
        "0.05",
        "-o",
        tmp_path / "tuned",
        "--device",
        "cpu",
        "--resume",
    )
    assert again.stderr.strip().splitlines()[-1] == last


@pytest.mark.parametrize(("command", "arguments", "said"), [
    (train, [FAST], "--data DIR"),
    (train, [FAST, "--data", "nowhere", "--minutes", "1"], "expected a data set, as `vsr dataset"),
    (train, [FAST, "--data", "nowhere", "--set", "stepps=3"], "unknown key 'stepps'"),
    (train, [FAST, "--data", "nowhere", "--set", "steps"], "expected KEY=VALUE"),
    (train, [FAST, "--per-title", "film.mp4", "--data", "pairs"], "leave out CONFIG, --data"),
    (train, ["--per-title", "film.mp4", "--set", "steps=9", "--cluster", "local"], "leave out --set, --cluster"),
    (train, ["--per-title", "film.mp4", "--workers", 2], "leave out --workers"),
    (train, [FAST, "--data", "nowhere", "--workers", 2], "give --cluster, too"),
    (dataset, ["nowhere", "-o", "out"], "no such file or folder"),
])  # fmt: skip
def test_wrong_usage_is_one_line_that_says_what_to_do(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: click.Command,
    arguments: list[object],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=said) as caught:
        run(command, *arguments)
    assert "\n" not in str(caught.value)


def test_networks_are_listed_by_what_they_are_for_and_ones_own_can_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VSR_DATA_HOME", str(tmp_path))
    assert {c.family for c in cards()} <= {family for families in PURPOSES.values() for family in families}
    weights = next(c.path for c in cards() if c.name == "fast-x2")
    run(add_model, weights, "--name", "mine")
    told = run(models).stdout
    headings = [line for line in told.splitlines() if line.endswith(":")]
    assert headings == [f"{heading}:" for heading in (*PURPOSES, YOURS)]
    lines = {line.split()[0]: line for line in told.replace("*", " ").splitlines() if line.startswith("  ")}
    assert "x2 x3 x4" in lines["fast"]
    assert told.index("mine") > told.index(YOURS)
    assert told.index("srcnn") > told.index("research")
    with pytest.raises(UsageError, match="comes with vsr and stays"):
        run(remove_model, "fast-x2")
    with pytest.raises(UsageError, match="no such network of your own; there are: mine-x2"):
        run(remove_model, "nine")
    assert run(remove_model, "mine").stdout.count("deleted") == 2
    assert "mine" not in run(models).stdout
    assert Path(weights).exists()


def test_a_network_is_exported_and_an_earlier_file_kept(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    file = tmp_path / "fast.onnx"
    told = run(export, "fast-x2", "-o", file, "--size", 32, 16)
    assert told.exit_code == 0
    assert "input luma (1, 1, 16, 32)" in told.stdout
    assert "onnxruntime's values lie within" in told.stdout
    for arguments, said in (
        (["fast-x2", "-o", file], "--overwrite"),
        (["fast", "-o", tmp_path / "other.onnx"], "fast-x2, fast-x3, fast-x4"),
    ):
        with pytest.raises(UsageError, match=said):
            run(export, *arguments)
