"""What a command asks of a video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.errors import UsageError
from pipelines.plan.settings import RunSettings, TargetSettings
from pipelines.planner import video_planner
from pipelines.planner.video_planner import chosen_model, plan_video
from pipelines.probe import restoration_level
from pipelines.probe.probe import probe
from tests import media


@pytest.mark.parametrize(
    ("devices", "settings", "model"),
    [
        ("", {}, "fast"),
        ("0,1", {}, "quality"),
        ("0", {"device": "cpu"}, "fast"),
        ("", {"device": "cuda"}, "quality"),
        ("0", {"model": "lanczos"}, "lanczos"),
    ],
)
def test_the_default_network_is_larger_on_a_gpu(monkeypatch: pytest.MonkeyPatch, devices: str, settings: dict[str, str], model: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", devices)
    assert chosen_model(RunSettings(**settings)) == model  # type: ignore[arg-type]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return media.cfr(tmp_path / "in.mp4", frames=4, size=(160, 128))


def planned(film: Path, monkeypatch: pytest.MonkeyPatch, level: float | None, **settings: Any) -> Any:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(video_planner, "estimate_level", lambda *_, **__: level)
    return plan_video(film, None, RunSettings(target=TargetSettings(scale=2), **settings))[0]


@pytest.mark.parametrize(("level", "network", "told"), [
    (0.7, "real-fast-x2", "restoration level 0.70, by its frames: real-fast"),
    (0.05, "fast-x2", "restoration level 0.05, by its frames: clean enough for fast"),
    (None, "fast-x2", ""),
])  # fmt: skip
def test_without_a_model_the_level_of_the_frames_chooses_and_the_plan_says_so(
    film: Path, monkeypatch: pytest.MonkeyPatch, level: float | None, network: str, told: str
) -> None:
    found = planned(film, monkeypatch, level)
    assert [s.card.name for s in found.plan.stages] == [network]
    assert [note for note in found.info.notes if note.startswith("restoration level")] == [n for n in found.info.notes if told and n.startswith(told)]
    assert found.plan.stages[0].restore == (level if network == "real-fast-x2" else None)


def test_beyond_twice_the_size_the_choice_stays_and_the_other_network_is_named(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(video_planner, "estimate_level", lambda *_, **__: 0.7)
    found = plan_video(film, None, RunSettings(target=TargetSettings(scale=3)))[0]
    assert [s.card.name for s in found.plan.stages] == ["fast-x3"]
    assert any(note.endswith("fast, for real-fast doubles sizes at most; --model real-fast takes it all the same") for note in found.info.notes)


def test_a_level_that_is_given_is_not_estimated(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = planned(film, monkeypatch, 0.9, model="real", restore=0.25)
    assert found.plan.stages[0].restore == 0.25
    assert any(note.startswith("restoration level 0.25, as given") for note in found.info.notes)


def test_the_level_is_in_the_plan_and_its_id(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (planned(film, monkeypatch, level, model="real-fast").plan for level in (0.5, 0.51))
    assert one.to_json()["stages"][0]["restore"] == 0.5
    assert one.id != other.id


def test_a_network_that_takes_no_level_has_the_plan_it_always_had(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plans = [planned(film, monkeypatch, level, model="fast", restore=restore).plan for level, restore in ((0.1, "auto"), (0.9, 0.4))]
    assert plans[0].id == plans[1].id
    assert plans[0].to_json()["stages"][0].keys() == {"card", "width", "height"}


def test_behind_a_restoring_network_come_those_for_clean_sources(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_planner, "estimate_level", lambda *_, **__: 0.8)
    for model, following in (("real-fast", "fast"), ("real", "quality")):
        plan = plan_video(film, None, RunSettings(target=TargetSettings(scale=4), model=model))[0].plan
        assert [s.card.family for s in plan.stages] == [model, following]
        assert [s.restore for s in plan.stages] == [0.8, None]


@pytest.mark.parametrize("settings", [{"restore": 1.5}, {"restore": -0.1}, {"detail": 2.0}])
def test_levels_and_detail_outside_0_to_1_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="expected"):
        RunSettings(**settings)  # type: ignore[arg-type]


def test_a_film_of_nothing_has_no_level_and_goes_through_the_usual_network(tmp_path: Path) -> None:
    assert restoration_level.estimate_level(probe(media.cfr(tmp_path / "tiny.mp4", frames=2, size=(32, 32))), full=False) is None
