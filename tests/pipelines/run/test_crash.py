"""A run that is ended anywhere, by a kill or a power cut, loses time but nothing else.

Cases 38, 44 and 62.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from models.errors import OutputError, VerificationError
from pipelines.output.journal import work_folder
from pipelines.output.muxer import assemble
from pipelines.plan.events import ChunkFinished
from pipelines.run import publishing
from pipelines.run.job import upscale_video
from tests import media
from tests.helpers.command import ROOT, environment
from tests.helpers.figures import record
from tests.helpers.inline import upscaled
from tests.helpers.step_by_step import SETTINGS, Replayed
from tests.helpers.view import view
from vsr.api import run_settings


@pytest.fixture
def kept(tmp_path: Path, inline: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a film, and all chunks of a run that failed in the end."""

    def failing(*_: object, **__: object) -> None:
        raise VerificationError("a fault")

    media.cfr(tmp_path / "film.mp4", frames=24, rate=Fraction(25))
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "verify", failing)
        with pytest.raises(VerificationError, match="a fault"):
            upscaled(tmp_path / "film.mp4", tmp_path / "out.mp4", **SETTINGS)
    shutil.move(work_folder(tmp_path / "out.mp4"), tmp_path / "kept")
    assert len(list((tmp_path / "kept").glob("*.chunk"))) == 3
    return tmp_path


@pytest.mark.timeout(900)
def test_ended_at_any_step_on_the_disk_a_run_goes_on_and_leaves_nothing_over(kept: Path) -> None:
    """Cases 38, 44 and 62: before each file it opens, renames or deletes, by SIGKILL and as a power cut
    would, torn files and all.
    """
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.helpers.step_by_step",
            str(kept),
            "1",
            os.environ.get("VSR_STEPS", "4"),
        ],
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


def test_files_torn_at_any_length_cost_their_chunk_and_nothing_else(kept: Path) -> None:
    """Case 44: every file of the work directory cut anywhere, or filled with zeros from there on, as file
    systems do after a power cut.
    """
    dice = random.Random(5)
    work, output = work_folder(kept / "out.mp4"), kept / "out.mp4"
    workers = Replayed(kept / "kept")
    whole = None
    for path in sorted((kept / "kept").iterdir()):
        for zeros in (False, True):
            shutil.copytree(kept / "kept", work)
            data = path.read_bytes()
            length = dice.randint(0, len(data))
            (work / path.name).write_bytes(data[:length] + bytes(zeros * (len(data) - length)))
            events = list(upscale_video(kept / "film.mp4", output, run_settings(**SETTINGS), workers=workers))
            harmed = path.name != "lock" and (work / path.name).exists() is False and len(data) > length
            made = [e.index for e in events if isinstance(e, ChunkFinished)]
            assert made in ([], [0, 1, 2], *([n] for n in range(3))), path.name
            assert made or not harmed or not path.stem.isdecimal(), f"{path.name} was torn and not made again"
            whole = whole or output.read_bytes()
            assert output.read_bytes() == whole
            for left in kept.glob("out.mp4*"):
                left.unlink()
            assert not work.exists()


def test_a_disk_that_is_full_at_any_byte_ends_with_5_and_leaves_nothing_next_to_its_work(kept: Path) -> None:
    """Cases 49 and 62: room for nothing, for a part of the result, for all but its trailer, for all but its
    report.
    """
    place = kept / "disk"
    place.mkdir()
    if (
        os.geteuid()
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(place)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("a small file system can't be mounted here (not root, or no right to)")
    workers, ballast, output = Replayed(kept / "kept"), place / "ballast", place / "out.mp4"
    try:
        endings = []
        for pages in range(24):

            def assembled(*given: Any, room: int = pages * 4096, **more: Any) -> Any:
                ballast.write_bytes(bytes(shutil.disk_usage(place).free - room))
                return assemble(*given, **more)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(publishing, "assemble", assembled)
                try:
                    list(upscale_video(kept / "film.mp4", output, run_settings(**SETTINGS), workers=workers))
                except OutputError as error:
                    assert "free some space" in str(error)
                    endings.append(5)
                    assert set(os.listdir(place)) <= {"ballast", work_folder(output).name, "out.mp4"}
                    assert not (work_folder(output) / "result").exists()
                else:
                    endings.append(0)
            ballast.unlink()
            list(upscale_video(kept / "film.mp4", output, run_settings(**SETTINGS), workers=workers))
            assert set(os.listdir(place)) == {"out.mp4", "out.mp4.vsr.json"}
            for path in place.iterdir():
                path.unlink()
        assert endings == sorted(endings, reverse=True)
        assert set(endings) == {0, 5}
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_chunk_that_is_made_twice_counts_once(kept: Path) -> None:
    """Case 41: the first that came stays; what the second worker made changes nothing."""
    workers = Replayed(kept / "kept", times=2)
    output = kept / "out.mp4"
    events = list(upscale_video(kept / "film.mp4", output, run_settings(**SETTINGS), workers=workers))
    assert [e.index for e in events if isinstance(e, ChunkFinished)] == [0, 1, 2]
    assert len(view(output).film.pts) == 24
