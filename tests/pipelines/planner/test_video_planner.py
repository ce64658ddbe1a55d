"""The plan that a command makes for a video."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest

from models.errors import UsageError
from pipelines.planner import frame_look, network_choice
from pipelines.planner.network_choice import chosen_model
from pipelines.planner.video_planner import plan_video
from pipelines.probe import restoration_level
from pipelines.probe.probe import open_film
from pipelines.settings.run_settings import EncodeSettings, RunSettings, TargetSettings
from tests import media


@pytest.mark.parametrize(
    ("kind", "settings", "model"),
    [
        ("cpu", {}, "fast"),
        ("cuda", {}, "quality"),
        ("mps", {}, "quality"),
        ("cuda", {"device": "cpu"}, "fast"),
        ("cpu", {"device": "cuda"}, "quality"),
        ("cuda", {"model": "lanczos"}, "lanczos"),
    ],
)
def test_the_default_network_is_larger_on_a_gpu(
    monkeypatch: pytest.MonkeyPatch, kind: str, settings: dict[str, str], model: str
) -> None:
    monkeypatch.setattr(network_choice, "computing_device", lambda d: "cpu" if d == "cpu" else kind)
    assert chosen_model(RunSettings(**settings)) == model  # type: ignore[arg-type]


def test_a_device_that_only_an_environment_variable_names_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As torch sees it: here is no driver."""
    if Path("/proc/driver/nvidia").is_dir():
        pytest.skip("there is a GPU")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert chosen_model(RunSettings()) == "fast"


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return media.cfr(tmp_path / "in.mp4", frames=4, size=(160, 128))


def planned(film: Path, monkeypatch: pytest.MonkeyPatch, level: float | None, **settings: Any) -> Any:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(
        network_choice, "estimate_levels", lambda *_, **__: () if level is None else ((0, level),)
    )
    return plan_video(film, None, RunSettings(target=TargetSettings(scale=2), **settings))


@pytest.mark.parametrize(("level", "network", "told"), [
    (0.7, "real-fast-x2", "restoration level 0.70, estimated: real-fast"),
    (0.05, "fast-x2", "restoration level 0.05, estimated: clean enough for fast"),
    (None, "fast-x2", ""),
])  # fmt: skip
def test_without_a_model_the_level_of_the_frames_chooses_and_the_plan_says_so(
    film: Path, monkeypatch: pytest.MonkeyPatch, level: float | None, network: str, told: str
) -> None:
    found = planned(film, monkeypatch, level)
    assert [s.card.name for s in found.plan.stages] == [network]
    assert [note for note in found.info.notes if note.startswith("restoration level")] == [
        n for n in found.info.notes if told and n.startswith(told)
    ]
    assert found.plan.stages[0].restore == (level if network == "real-fast-x2" else None)


@pytest.mark.parametrize(
    ("scale", "networks"),
    [
        (3, ["real-fast-x2", "lanczos"]),
        (4, ["real-fast-x2", "lanczos"]),
        (6, ["real-fast-x2", "fast-x3"]),
    ],
    ids=["x3", "x4", "x6"],
)
def test_beyond_the_crisp_network_its_result_is_scaled_classically_up_to_twice(
    film: Path, monkeypatch: pytest.MonkeyPatch, scale: int, networks: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(network_choice, "estimate_levels", lambda *_, **__: ((0, 0.7),))
    found = plan_video(film, None, RunSettings(target=TargetSettings(scale=scale)))
    assert [s.card.name for s in found.plan.stages] == networks
    assert found.plan.stages[0].detail is not None
    assert any(note.startswith("restoration level 0.70, estimated: real-fast") for note in found.info.notes)


def test_a_level_that_is_given_is_not_estimated(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = planned(film, monkeypatch, 0.9, model="real", restore=0.25)
    assert found.plan.stages[0].restore == 0.25
    assert any(note.startswith("restoration level 0.25, as given") for note in found.info.notes)


@pytest.mark.parametrize(
    ("part", "own"),
    [
        ("0-0.04", ((0, 0.2),)),
        ("0.04-0.16", ((1, 0.2), (2, 0.71), (3, 0.45))),
        ("0.08-0.12", ((2, 0.71),)),
        ("0.12-", ((3, 0.45),)),
    ],
)
def test_a_part_of_a_film_gets_the_network_and_the_levels_it_has_in_the_whole_film(
    film: Path, monkeypatch: pytest.MonkeyPatch, part: str, own: tuple[tuple[int, float], ...]
) -> None:
    """A trial with --range looks as the film will, and says that all of it was looked at."""
    monkeypatch.setattr(network_choice, "estimate_levels", lambda *_, **__: PARTS)
    found = plan_video(film, None, RunSettings(target=TargetSettings(scale=2), range=part))
    assert found.plan.stages[0].card.family == "real-fast"
    assert (found.plan.stages[0].restore, found.plan.restore_levels) == (
        own[0][1],
        own if len(own) > 1 else (),
    )
    assert any("estimated from the whole film: real-fast" in note for note in found.info.notes)


def test_the_level_is_estimated_of_the_whole_film_as_the_networks_see_it(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(
        network_choice, "estimate_levels", lambda _, **options: asked.append(options) or ((0, 0.5),)
    )
    monkeypatch.setattr(frame_look, "measure_grain", lambda _: ((2.0,) * 8, (1.0,), (1.0,)))
    for settings in ({"range": "0.04-0.12", "prefilter": "deblock"}, {"keep_grain": True}):
        found = plan_video(film, None, RunSettings(target=TargetSettings(scale=2), **settings))  # type: ignore[arg-type]
        assert f"filtered before the networks: {found.plan.prefilter}" in found.info.notes
    assert [(a.get("part"), a["prefilter"]) for a in asked] == [(None, "deblock"), (None, "denoise")]


def test_the_level_is_in_the_plan_and_its_id(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (planned(film, monkeypatch, level, model="real-fast").plan for level in (0.5, 0.51))
    assert one.to_json()["stages"][0]["restore"] == 0.5
    assert one.id != other.id


def test_a_network_that_takes_no_level_has_the_plan_it_always_had(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = [
        planned(film, monkeypatch, level, model="fast", restore=restore).plan
        for level, restore in ((0.1, "auto"), (0.9, 0.4))
    ]
    assert plans[0].id == plans[1].id
    assert plans[0].to_json()["stages"][0].keys() == {"card", "width", "height"}


@pytest.mark.parametrize(("pixels", "settings", "through"), [
    ("yuv444p", {}, True),
    ("yuv444p", {"chroma": "classical"}, False),
    ("yuv444p", {"model": "lanczos"}, False),
    ("yuv444p", {"encode": EncodeSettings(pixel_format="yuv420p")}, False),
    ("yuv422p", {}, False),
    ("yuv420p", {}, False),
])  # fmt: skip
def test_full_chroma_goes_through_networks_where_the_result_has_it_and_the_plan_says_what_it_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixels: str, settings: dict[str, Any], through: bool
) -> None:
    film = media.cfr(tmp_path / "in.mkv", frames=2, size=(160, 128), pix_fmt=pixels)
    found = planned(film, monkeypatch, 0.0, **{"model": "fast", **settings})
    assert found.plan.full_chroma is through
    assert ("full_chroma" in found.plan.to_json()) is through
    assert any("--chroma classical" in note for note in found.info.notes) is through


def test_behind_a_restoring_network_come_those_for_clean_sources(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_choice, "estimate_levels", lambda *_, **__: ((0, 0.8),))
    for model, following in (("real-fast", "fast"), ("real", "quality")):
        plan = plan_video(film, None, RunSettings(target=TargetSettings(scale=6), model=model)).plan
        assert [s.card.family for s in plan.stages] == [model, following]
        assert [s.restore for s in plan.stages] == [0.8, None]


@pytest.mark.parametrize("settings", [{"restore": 1.5}, {"restore": -0.1}, {"detail": 2.0}, {"detail": -0.1}])
def test_levels_and_detail_outside_0_to_1_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="expected"):
        RunSettings(**settings)  # type: ignore[arg-type]


def test_a_film_of_nothing_has_no_level_and_goes_through_the_usual_network(tmp_path: Path) -> None:
    with open_film(media.cfr(tmp_path / "tiny.mp4", frames=2, size=(32, 32))) as film:
        assert restoration_level.estimate_levels(film, full=False) == ()


def test_a_range_is_in_the_name_and_one_beyond_the_end_is_said_to_end_there(tmp_path: Path) -> None:
    source = media.cfr(tmp_path / "in.mp4", frames=48, size=(64, 64))
    settings = RunSettings(
        target=TargetSettings(scale=1), model="identity", encode=EncodeSettings(codec="h264")
    )
    plan = {
        part: plan_video(source, None, replace(settings, range=part))
        for part in ("0-1", "0.5-9", "1-", "0-2")
    }
    assert [Path(p.output).name for p in plan.values()] == [
        f"in.64p.{t}.mp4" for t in ("0m00s-0m01s", "0m00.5s-0m02s", "0m01s-0m02s", "0m00s-0m02s")
    ]
    said = {part: [n for n in p.info.notes if "ends at" in n] for part, p in plan.items()}
    assert said == {
        "0-1": [],
        "0.5-9": ["--range 0.5-9: the video ends at 0:00:02.000, and so does the result"],
        "1-": [],
        "0-2": [],
    }
    with pytest.raises(UsageError, match="the video is 2.000 s long"):
        plan_video(source, None, replace(settings, range="3-4"))


@pytest.mark.parametrize(("source_format", "options", "made"), [
    ("rgb24", {}, "yuv420p"), ("gray", {}, "yuv420p"), ("rgb48be", {}, "yuv420p10le"), ("rgb24", {"pixel_format": "yuv444p"}, "yuv444p"),
    ("rgb24", {"codec": "h264"}, "yuv420p"), ("rgb24", {"codec": "prores"}, "yuv444p10le"), ("rgb24", {"codec": "ffv1"}, "gbrp"),
])  # fmt: skip
def test_a_film_of_pictures_is_what_televisions_and_phones_show(
    tmp_path: Path, source_format: str, options: dict[str, str], made: str
) -> None:
    for number in range(3):
        with av.open(str(tmp_path / f"p_{number}.png"), "w", format="image2") as output:
            stream = output.add_stream("png", rate=1)
            stream.width, stream.height, stream.pix_fmt = 72, 64, source_format
            output.mux(stream.encode(media.picture(number, 72, 64).reformat(format=source_format)))
            output.mux(stream.encode(None))
    settings = RunSettings(target=TargetSettings(scale=1), model="identity", encode=EncodeSettings(**options))  # type: ignore[arg-type]
    output = tmp_path / ("out.mkv" if "ffv1" in options.values() else "out.mov")
    found = plan_video(tmp_path / "p_%d.png", output, settings)
    assert found.plan.out_pix_fmt == made
    if made != "gbrp":
        color = found.plan.out_color
        assert (color.matrix, color.primaries, color.transfer, color.range) == (1, 1, 1, 1)
    said = [n for n in found.info.notes if n.startswith("a film of pictures is 4:2:0")]
    assert bool(said) == made.startswith("yuv420p")
    assert all("--pixel-format yuv444p" in n for n in said)


PARTS = ((0, 0.2), (2, 0.71), (3, 0.45))


def test_levels_of_parts_stand_in_the_plan_and_are_reported(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_choice, "estimate_levels", lambda *_, **__: PARTS)
    found = plan_video(film, None, RunSettings(target=TargetSettings(scale=2)))
    assert found.plan.to_json()["restore_levels"] == [list(part) for part in PARTS]
    assert any(
        note.startswith("restoration level 0.20 to 0.71 over 3 parts, estimated: real-fast")
        for note in found.info.notes
    )
    alike = planned(film, monkeypatch, 0.2, model="real-fast").plan
    assert "restore_levels" not in alike.to_json()
    assert alike.id != found.plan.id


def test_networks_are_crisp_only_as_far_as_there_is_something_to_restore(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clean source gets the weights of the network for clean sources, unless --detail asks for others."""

    def made(**settings: float) -> Any:
        return planned(film, monkeypatch, 0.5, model="real-fast", **settings).plan

    details = {level: made(restore=level).stages[0].detail for level in (0.0, 0.2, 0.4, 1.0)}
    assert details == {0.0: 0.0, 0.2: 0.375, 0.4: 0.75, 1.0: 0.75}
    assert made(restore=0.0, detail=0.75).stages[0].detail == 0.75
    assert made(restore=0.0, detail=0.0).id == made(restore=0.0).id != made(restore=0.0, detail=0.75).id


def test_parts_have_the_detail_of_their_level(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_choice, "estimate_levels", lambda *_, **__: ((0, 0.04), (2, 0.4)))
    settings = RunSettings(target=TargetSettings(scale=2))
    plan = plan_video(film, None, settings).plan
    assert (plan.stages[0].detail, plan.detail_levels) == (0.075, (0.075, 0.75))
    asked = plan_video(film, None, replace(settings, detail=0.075)).plan
    assert (asked.stages[0].detail, asked.detail_levels) == (0.075, ())
    assert "detail_levels" not in asked.to_json()
    assert asked.id != plan.id


def test_one_part_that_is_damaged_is_enough_for_a_network_that_restores(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for levels, name in ((((0, 0.02), (2, 0.4)), "real-fast-x2"), (((0, 0.02), (2, 0.08)), "fast-x2")):
        monkeypatch.setattr(network_choice, "estimate_levels", lambda *_, levels=levels, **__: levels)
        plan = plan_video(film, None, RunSettings(target=TargetSettings(scale=2))).plan
        assert [s.card.name for s in plan.stages] == [name]
        assert bool(plan.restore_levels) == (name == "real-fast-x2")


def test_a_level_that_is_given_holds_for_all_parts(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_choice, "estimate_levels", lambda *_, **__: PARTS)
    plan = plan_video(film, None, RunSettings(target=TargetSettings(scale=2), model="real", restore=0.5)).plan
    assert (plan.stages[0].restore, plan.restore_levels) == (0.5, ())
