"""A run that is ended anywhere, by a kill or a power cut, costs time and nothing else. Cases 38, 44 and 62."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from models.errors import VerificationError
from pipelines import job
from pipelines.journal import work_folder
from tests import media
from tests.helpers.command import ROOT, environment
from tests.helpers.figures import record
from tests.helpers.inline import upscaled
from tests.helpers.step_by_step import SETTINGS


@pytest.fixture
def kept(tmp_path: Path, inline: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a film, and all chunks of a run that failed in the end."""

    def failing(*_: object, **__: object) -> None:
        raise VerificationError("a fault")

    media.cfr(tmp_path / "film.mp4", frames=24, rate=Fraction(25))
    with monkeypatch.context() as patch:
        patch.setattr(job, "verify", failing)
        with pytest.raises(VerificationError, match="a fault"):
            upscaled(tmp_path / "film.mp4", tmp_path / "out.mp4", **SETTINGS)
    shutil.move(work_folder(tmp_path / "out.mp4"), tmp_path / "kept")
    assert len(list((tmp_path / "kept").glob("*.chunk"))) == 3
    return tmp_path


def test_ended_at_any_step_on_the_disk_a_run_goes_on_and_leaves_nothing_over(kept: Path) -> None:
    """Cases 38, 44 and 62: before each file it opens, renames or deletes, by SIGKILL and as a power cut would, torn files and all."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.step_by_step", str(kept), "1", os.environ.get("VSR_STEPS", "4")],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["kill"] == figures["power cut"] > 30
    record(steps=figures["steps"], ended=figures["kill"] + figures["power cut"])
