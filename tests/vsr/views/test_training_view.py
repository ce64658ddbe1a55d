"""What a training shows while it runs."""

from __future__ import annotations

import pytest

from pipelines.training.fine_tuning import FineTuningResult
from pipelines.training.training_events import Stepped, Stepping, Trained
from vsr.views.training_view import JsonView, TerminalView


def test_the_bar_moves_between_the_steps_that_are_logged() -> None:
    view = TerminalView()
    for event in (Stepping(1, 250), Stepping(40, 250), Stepped(100, 240, 0.01, 5.0), Stepping(120, 240)):
        view.show(event)
        bar = view._bar
        assert bar is not None
        assert (bar.n, bar.total) == (event.step, event.steps)
    view.close()


def test_scheduler_lines_are_those_of_logged_steps_alone(capsys: pytest.CaptureFixture[str]) -> None:
    view = JsonView()
    view.show(Stepping(1, 250))
    view.show(Stepped(100, 250, 0.01, 5.0))
    (line,) = capsys.readouterr().out.splitlines()
    assert '"step": 100' in line


def test_a_tuning_that_is_not_kept_says_what_to_use_instead(capsys: pytest.CaptureFixture[str]) -> None:
    view = TerminalView(advises=False)
    view.show(Trained("w", 900, {"psnr": 30.0, "gain": 0.1}, 60.0, "fast-x2", -0.2, "fast-x2", last_step=900))
    view.show(FineTuningResult("", -0.04, False, 32, "fast-x2"))
    said = capsys.readouterr().err
    assert "not worth keeping; use --model fast-x2, or fine-tune on a longer film" in said
    assert "more training may help" not in said


@pytest.mark.parametrize(
    ("best", "init", "expected"),
    [
        (900, "", "more training may help (the same command with --resume and more --minutes), and"),
        (
            300,
            "",
            "got worse after step 300 of 900; in another folder (-o), try more footage or a start from it:",
        ),
        (300, "fast-x2", "got worse after step 300 of 900; in another folder (-o), try more footage\n"),
    ],
)
def test_more_training_is_advised_only_if_the_last_step_was_the_best(
    best: int, init: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = {"psnr": 30.0, "gain": 0.1}
    TerminalView().show(Trained("w", best, scores, 60.0, "fast-x2", -0.2, init, last_step=900))
    said = capsys.readouterr().err
    assert "on these pairs fast-x2 is better" in said
    assert expected in said
    assert ("more training may help" in said) == (best == 900)
