"""`vsr bench` measures the same work as a run does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.errors import UsageError
from pipelines.diagnostics.benchmark import (
    Bench,
    Step,
    bench,
    estimate_seconds,
    lower_bound_seconds,
    make_clip,
)
from pipelines.diagnostics.shared_figures import shared_figures
from pipelines.planner.video_planner import plan_video
from pipelines.workers.messages import StageSeconds
from tests.helpers.command import ROOT
from tests.helpers.inline import without_processes
from vsr.api import run_settings
from vsr.views.benchmark_view import bench_text, draw_timeline

SETTINGS = {"scale": 2, "model": "fast-x2", "codec": "h264", "preset": "ultrafast", "device": "cpu"}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    with pytest.MonkeyPatch.context() as patch:
        without_processes(patch)
        clip = make_clip(tmp_path_factory.mktemp("bench") / "clip.mp4", 1.5, width=128, height=96)
        *steps, result = bench(clip, run_settings(**SETTINGS), seconds=1)
    assert all(isinstance(s, Step) for s in steps)
    assert isinstance(result, Bench)
    return result


def test_every_stage_is_timed_and_the_bound_follows_from_them(measured: Bench) -> None:
    assert list(measured.stages) == ["decode", "check", "network", "encode"]
    assert all(seconds > 0 for seconds in measured.stages.values())
    assert measured.bound_s == pytest.approx(sum(measured.cpu.values()) / measured.cores)
    assert measured.ratio == pytest.approx(measured.run_s / measured.bound_s)
    assert measured.fps == pytest.approx(1 / measured.run_s)


def test_the_network_is_compared_with_its_own_convolutions(measured: Bench) -> None:
    assert measured.gflop == pytest.approx(41.18 * 128 * 96 / 1e6)
    assert measured.network_floor_s > 0


def test_the_keys_that_scripts_read_are_there(measured: Bench) -> None:
    assert {"stages", "bound_s", "run_s", "ratio", "fps"} <= set(measured.to_json())


def test_the_table_names_the_stages_and_the_ratio(measured: Bench) -> None:
    text = bench_text(measured)
    assert all(
        name in text for name in ("decode", "check", "network", "encode", "bound", "whole run", "TFLOP/s")
    )


def test_the_timeline_is_a_picture(measured: Bench, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    draw_timeline(measured, tmp_path / "t.png")
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")


def test_a_device_that_is_slower_than_the_cores_is_the_bound() -> None:
    stages = StageSeconds(
        {"network": 0.5},
        {"decode": 0.1, "network": 0.1},
        cores=4,
        cuda=True,
        bus_bytes=0,
        convolution_tflops=0,
        tiles=0,
        reused=0,
    )
    assert lower_bound_seconds(stages) == 0.5


def test_a_longer_film_takes_longer(tmp_path: Path) -> None:
    stages = StageSeconds(
        {"network": 0.1},
        {"network": 0.2},
        cores=2,
        cuda=False,
        bus_bytes=0,
        convolution_tflops=0,
        tiles=0,
        reused=0,
    )
    seconds = []
    for length in (1, 2):
        clip = make_clip(tmp_path / f"{length}.mp4", length, width=64, height=48)
        seconds.append(estimate_seconds(plan_video(clip, tmp_path, run_settings(**SETTINGS)), stages))
    assert seconds[1] - seconds[0] == pytest.approx(24 * (0.1 + 0.0025) * 1.1)


def test_a_target_that_can_not_be_met_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "c.mp4", 1, width=64, height=48)
    with pytest.raises(UsageError):
        list(bench(clip, run_settings(**{**SETTINGS, "codec": "hevc", "scale": 1}), seconds=1))


def test_what_is_shared_fits_the_schema_and_says_nothing_of_its_user(
    measured: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    without_processes(monkeypatch)
    clip = make_clip(tmp_path / "my holiday.mp4", 0.5, width=384, height=384)
    settings = run_settings(**{**SETTINGS, "crf": 20})
    found = shared_figures(clip, settings, measured, load=1.26, version="9.9")
    text = json.dumps(found)
    jsonschema.validate(json.loads(text), json.loads((ROOT / "docs" / "speed" / "schema.json").read_text()))
    assert not any(word in text for word in ("holiday", str(tmp_path), tmp_path.name, "/home", "/tmp"))
    assert (found["versions"]["vsr"], found["machine"]["load_before"]) == ("9.9", 1.3)
    assert (found["settings"]["networks"], found["settings"]["size"]) == (["fast-x2"], [768, 768])
    assert (found["quality"]["size"], found["quality"]["frames"]) == ([384, 384], 12)
    coarse = shared_figures(clip, run_settings(**{**SETTINGS, "crf": 45}), measured, load=0, version="9.9")
    for figure in ("vmaf_neg", "megabits_a_second"):
        assert coarse["quality"][figure] < found["quality"][figure] - 0.1, figure
