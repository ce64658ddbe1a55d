"""Fixtures that tests of the command share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.command import Outcome
from tests.helpers.inline import without_processes
from vsr.cli.main import main


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> object:
    """The command in this process: `here("run", …)` gives its outcome."""
    without_processes(monkeypatch)

    def call(*given: str | Path) -> Outcome:
        code = 0
        try:
            main([str(g) for g in given])
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        out, err = capfd.readouterr()
        return Outcome(code, out, err)

    return call
