"""What `vsr plan` reports about the stored work of earlier runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.diagnostics.estimate import TriedFrames, estimated
from pipelines.diagnostics.run_time import expected_rate, keep_estimate
from pipelines.output.journal import work_folder
from pipelines.planner.video_planner import plan_video
from pipelines.run.kept_work import KeptWork, kept_work
from tests.helpers.inline import QUICK, finished_of, upscaled
from tests.pipelines.diagnostics.test_estimate import SAMPLE
from tests.pipelines.run.test_nothing_lost import CHUNKS, begun, film_in, held
from vsr.api import run_settings
from vsr.cli.main import main

pytestmark = pytest.mark.usefixtures("inline")


def looked(film: Path, output: Path, **more: Any) -> KeptWork:
    settings = run_settings(**{**QUICK, **CHUNKS, **more})
    return kept_work(plan_video(film, output, settings), film, output, settings)


def test_chunks_of_an_earlier_run_are_counted_and_nothing_is_changed(tmp_path: Path) -> None:
    film, output = film_in(tmp_path), tmp_path / "out.mkv"
    assert looked(film, output).planned.chunks_done == 0
    before = begun(film, output)
    found = looked(film, output)
    assert (found.planned.chunks_done, found.planned.frames_done, found.refusal) == (2, 16, "")
    assert held(work_folder(output)) == before
    (work_folder(output) / "000001.chunk").unlink()
    assert looked(film, output).planned.chunks_done == 1


def test_a_finished_output_is_named_and_one_of_other_settings_is_refused_as_a_run_refuses_it(
    tmp_path: Path,
) -> None:
    film, output = film_in(tmp_path), tmp_path / "out.mkv"
    frames = finished_of(upscaled(film, output, **CHUNKS)).frames
    done = looked(film, output).done
    assert done is not None
    assert done.frames == frames
    found = looked(film, output, encoder_options={"slices": "4"})
    assert "already exists and was made with other settings" in found.refusal


def test_chunks_of_another_plan_are_said_to_be_in_the_way(tmp_path: Path) -> None:
    film, output = film_in(tmp_path), tmp_path / "out.mkv"
    begun(film, output)
    found = looked(film, output, model="nearest", scale=2)
    assert found.refusal.startswith(f"{work_folder(output)}: 2 of 5 chunks of an earlier run are kept")
    assert "--fresh" in found.refusal


def test_an_estimate_is_of_the_frames_that_are_left(tmp_path: Path) -> None:
    film, output = film_in(tmp_path), tmp_path / "out.mkv"
    whole = looked(film, output).planned
    begun(film, output)
    rest = looked(film, output).planned
    one, other = (estimated(planned, [TriedFrames(SAMPLE)]) for planned in (whole, rest))
    assert (one.is_rest, other.is_rest) == (False, True)
    assert (other.seconds - 4.0) == pytest.approx((one.seconds - 4.0) * 24 / 40)
    assert other.output_bytes == one.output_bytes
    # The bar of the run begins with the same speed either way.
    rates = []
    for planned, found in ((whole, one), (rest, other)):
        keep_estimate(planned, run_settings(**QUICK).execution, found.seconds)
        rates.append(expected_rate(run_settings(**QUICK).execution, planned.plan))
    assert rates[0] == pytest.approx(rates[1])


def test_plan_says_what_is_kept_what_is_done_and_what_would_be_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film, output = film_in(tmp_path), tmp_path / "out.mkv"
    same: dict[str, Any] = {"model": "identity", "scale": 1, "codec": "ffv1", "device": "cpu"}
    options = [text for name, value in same.items() for text in (f"--{name}", str(value))]

    def said(*more: str) -> str:
        main(["plan", str(film), "-o", str(output), "--chunk-seconds", "0.3", *options, *more])
        return capsys.readouterr().out

    assert "will be kept" not in said()
    begun(film, output, **same)
    assert "2 of 5 chunks are made and will be kept; 24 of 40 frames are left" in said()
    table = json.loads(said("--json"))
    assert (table["chunks_done"], table["already_done"], table["refusal"]) == (2, False, "")
    assert "vsr run would stop: " in said("--model", "nearest", "--scale", "2")
    upscaled(film, output, **{**CHUNKS, **same})
    assert "already done: " in said()
