"""The finished part of a run can be viewed while the run continues."""

from __future__ import annotations

import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from models.errors import Interrupted, UsageError
from pipelines.diagnostics.partial_preview import PartialPreview, preview_finished_chunks
from pipelines.diagnostics.preview import PreviewMoment
from pipelines.output.journal import work_folder
from pipelines.plan.events import ChunkFinished
from pipelines.run.job import upscale_video
from tests import media
from tests.helpers.inline import QUICK, without_processes
from vsr.api import run_settings


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A film, and the output of a run that was stopped after two of its three chunks."""
    without_processes(monkeypatch)
    film, output, stop = (
        media.cfr(tmp_path / "film.mkv", frames=48, rate=Fraction(24)),
        tmp_path / "out.mkv",
        threading.Event(),
    )
    settings = run_settings(
        **{**QUICK, "scale": 2, "model": "lanczos", "codec": "h264", "crf": 4.0, "chunk_seconds": 0.6}
    )
    with pytest.raises(Interrupted):
        for event in upscale_video(film, output, settings, stop=stop):
            if isinstance(event, ChunkFinished) and event.chunks_done == 2:
                stop.set()
    return film, output


def test_finished_chunks_are_shown_next_to_their_source(begun: tuple[Path, Path], tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    film, output = begun
    before = sorted(p.name for p in work_folder(output).iterdir())
    *moments, found = preview_finished_chunks(work_folder(output), None, tmp_path / "shown")
    assert isinstance(found, PartialPreview)
    assert (found.input, found.chunks_done) == (str(film), 2)
    assert found.chunks > 2
    assert len(moments) == 2
    for moment in moments:
        assert isinstance(moment, PreviewMoment)
        source, result = (np.asarray(pillow.open(f).convert("L")).astype(float) for f in moment.files[:2])
        assert source.shape == result.shape == (96, 128)
        assert np.abs(source - result).mean() < 3
    assert sorted(p.name for p in work_folder(output).iterdir()) == before


def test_the_output_names_the_job_as_well(begun: tuple[Path, Path], tmp_path: Path) -> None:
    assert len(list(preview_finished_chunks(begun[1], begun[0], tmp_path / "shown", shots=1))) == 2


def test_another_source_or_no_run_is_refused(begun: tuple[Path, Path], tmp_path: Path) -> None:
    other = media.cfr(tmp_path / "other.mkv", frames=48)
    with pytest.raises(UsageError, match="is not what"):
        list(preview_finished_chunks(begun[1], other, tmp_path / "shown"))
    with pytest.raises(UsageError, match="is not the work directory of a run"):
        list(preview_finished_chunks(tmp_path / "none.mkv", None, None))
    for chunk in work_folder(begun[1]).glob("[0-9]*.json"):
        chunk.unlink()
    with pytest.raises(UsageError, match="none of . chunks is finished yet"):
        list(preview_finished_chunks(begun[1], None, tmp_path / "shown"))
