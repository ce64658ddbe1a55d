"""A run deletes or replaces nothing that it did not make, unless this is requested."""

from __future__ import annotations

import json
import re
import shutil
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from models.catalog.lookup import find_cards
from models.errors import Interrupted, UsageError
from models.layers.int8 import int8_is_exact
from pipelines.diagnostics.preview import make_folder
from pipelines.model_files.install import install_model
from pipelines.objectives.settings import TrainSettings
from pipelines.output.journal import Journal, work_folder
from pipelines.plan.events import AlreadyDone, ChunkFinished, Finished, Note, Planned
from pipelines.plan.output_names import refuse_place, report_path
from pipelines.planner.video_planner import plan_video
from pipelines.run.job import upscale_video
from pipelines.run.kept_work import kept_work
from pipelines.training.train import train
from tests import media
from tests.helpers.inline import QUICK, finished_of, planned_of, upscaled
from tests.pipelines.media.test_image_sequence import pictures
from vsr.api import run_settings
from vsr.cli.main import main
from vsr.pages.html import document

pytestmark = pytest.mark.usefixtures("inline")
CHUNKS: dict[str, Any] = {"chunk_seconds": 0.3}


def held(folder: Path, names: str = "*") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob(names) if path.is_file()}


def film_in(folder: Path) -> Path:
    return media.cfr(folder / "in.mp4", frames=40, rate=Fraction(25), size=(64, 48))


def begun(source: Path, output: Path, chunks: int = 2, **settings: Any) -> dict[str, bytes]:
    """What lies in the work directory of a run that was stopped after so many chunks."""
    stop = threading.Event()
    with pytest.raises(Interrupted):
        for event in upscale_video(
            source, output, run_settings(**{**QUICK, **CHUNKS, **settings}), stop=stop
        ):
            chunks -= isinstance(event, ChunkFinished)
            if not chunks:
                stop.set()
    return held(work_folder(output))


# --- numbered pictures


def test_a_part_done_again_replaces_its_pictures_and_no_other(tmp_path: Path) -> None:
    """Case 51: the patch of a shot that was rendered before."""
    source, target = pictures(tmp_path / "in" / "frame_%04d.png", first=10), tmp_path / "out_%04d.png"
    upscaled(source, target, rate="10")
    before = held(tmp_path, "out_*.png")
    events = upscaled(source, target, rate="10", range="0.2-0.4", overwrite=True, scale=2, model="nearest")
    after = held(tmp_path, "out_*.png")
    assert sorted(after) == sorted(before)
    assert [name for name in before if before[name] != after[name]] == ["out_0012.png", "out_0013.png"]
    said = "4 pictures of the same pattern that this run did not make stay: 10 to 15"
    assert [e.text for e in events if isinstance(e, Note)] == [said]
    assert isinstance(
        upscaled(source, target, rate="10", range="0.2-0.4", scale=2, model="nearest")[-1], AlreadyDone
    )


def test_a_result_that_lost_a_picture_is_not_said_to_be_another(tmp_path: Path) -> None:
    """Case 51."""
    source, target = pictures(tmp_path / "in" / "frame_%04d.png"), tmp_path / "out_%04d.png"
    upscaled(source, target, rate="10")
    next(iter(sorted(tmp_path.glob("out_*.png")))).unlink()
    with pytest.raises(UsageError, match="or some of its pictures are gone; give --overwrite"):
        upscaled(source, target, rate="10")
    with pytest.raises(UsageError, match="made with other settings; give --overwrite"):
        upscaled(source, target, rate="10", scale=2, model="nearest")
    upscaled(source, target, rate="10", overwrite=True)
    assert len([*tmp_path.glob("out_*.png")]) == len([*tmp_path.glob("in/*.png")])


def test_pictures_between_those_that_are_there_need_no_leave(tmp_path: Path) -> None:
    """Case 51."""
    source, target = pictures(tmp_path / "in" / "frame_%04d.png", first=10), tmp_path / "out_%04d.png"
    pictures(target, first=14, count=3)
    before = held(tmp_path, "out_*.png")
    upscaled(source, target, rate="10", range="0-0.4")
    assert held(tmp_path, "out_001[456].png") == before
    with pytest.raises(UsageError, match="already exists and was made with other settings"):
        upscaled(source, target, rate="10", range="0-0.5")
    assert held(tmp_path, "out_001[456].png") == before


def test_input_pictures_that_the_output_s_pattern_means_too_are_never_replaced(tmp_path: Path) -> None:
    """Case 52: with another picture before them, under a number that is the output's alone."""
    source = pictures(tmp_path / "%d.png", first=10)
    (tmp_path / "00.png").write_bytes(b"other")
    before = held(tmp_path)
    with pytest.raises(UsageError, match="input's own pictures"):
        upscaled(source, tmp_path / "%02d.png", overwrite=True)
    assert held(tmp_path) == before


def test_a_folder_under_a_picture_s_name_is_said_before_work(tmp_path: Path) -> None:
    source = pictures(tmp_path / "in" / "a_%02d.png", count=2)
    (tmp_path / "b_02.png").mkdir()
    with pytest.raises(UsageError, match=r"b_02\.png: is a folder"):
        upscaled(source, tmp_path / "b_%02d.png", overwrite=True)


# --- what is kept of earlier runs


def test_a_device_that_is_not_seen_this_time_costs_no_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 42: then `--model auto` takes another network."""
    film, output = film_in(tmp_path), tmp_path / "out.mkv"
    auto = {"scale": 2, "model": "auto", "device": "auto"}
    monkeypatch.setattr("pipelines.planner.network_choice.computing_device", lambda _: "cuda")
    before = begun(film, output, **auto)
    monkeypatch.setattr("pipelines.planner.network_choice.computing_device", lambda _: "cpu")
    with pytest.raises(UsageError) as error:
        upscaled(film, output, **auto, **CHUNKS)
    assert error.value.exit_code == 2
    for words in (
        "2 of 5 chunks",
        "the model (quality-x2 before, fast-x2 now)",
        "--model quality --device ",
        "--fresh",
        "another -o",
    ):
        assert words in str(error.value), words
    assert held(work_folder(output)) == before
    assert planned_of(upscaled(film, output, **{**auto, "model": "quality"}, **CHUNKS)).chunks_done == 2


@pytest.mark.parametrize(("now", "model"), [(0.53, ""), (0.02, "--model real-fast --device ")])
def test_the_level_of_an_earlier_run_is_named_as_the_option_that_goes_on_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: float, model: str
) -> None:
    """Case 42: another version estimates another level, and maybe that no network is needed for it."""
    film, output = film_in(tmp_path), tmp_path / "out.mkv"
    auto = {"scale": 2, "model": "auto"}
    where = "pipelines.planner.network_choice.estimate_levels"
    monkeypatch.setattr(where, lambda *_, **__: ((0, 0.51),))
    begun(film, output, **auto)
    monkeypatch.setattr(where, lambda *_, **__: ((0, now),))
    with pytest.raises(UsageError, match="2 of 5 chunks of an earlier run are kept") as error:
        upscaled(film, output, **auto, **CHUNKS)
    options = re.search(r"go on with the earlier command \((.*?)\)", str(error.value))
    assert options is not None
    assert options[1].startswith(model)
    assert options[1].endswith("--restore 0.51")
    named = {"restore": 0.51, **({"model": "real-fast"} if model else {})}
    assert planned_of(upscaled(film, output, **{**auto, **named}, **CHUNKS)).chunks_done == 2


@pytest.mark.parametrize("before", [6.0, 0.4, 2.0])
def test_the_length_of_an_earlier_run_s_chunks_is_named_as_the_option_that_goes_on_with_it(
    tmp_path: Path, before: float
) -> None:
    """Case 42: versions before 0.2.0 made no shorter chunks at the beginning."""
    film = media.cfr(tmp_path / "in.mp4", frames=360, rate=Fraction(25), size=(64, 48))
    output, same = tmp_path / "out.mkv", {"scale": 2, "model": "nearest"}
    begun(film, output, **same, chunk_seconds=before)
    with pytest.raises(UsageError, match="how the video is cut") as error:
        upscaled(film, output, **same)
    option = re.search(r"go on with the earlier command \(--chunk-seconds (\S+)\)", str(error.value))
    assert option is not None
    settings = run_settings(**QUICK | same)
    kept = kept_work(plan_video(film, output, settings), film, output, settings)
    assert kept.refusal == str(error.value)
    assert planned_of(upscaled(film, output, **same, chunk_seconds=float(option[1]))).chunks_done == 2


@pytest.mark.skipif(not int8_is_exact(), reason="needs a CPU with VNNI, AMX or their like")
def test_an_int8_run_resumes_on_a_cpu_with_int8_and_another_cpu_gets_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film, output = film_in(tmp_path), tmp_path / "out.mkv"
    fast = {"scale": 2, "model": "fast", "device": "cpu"}
    before = begun(film, output, **fast)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.setattr("pipelines.inference.device.int8_is_exact", lambda: False)
    with pytest.raises(UsageError, match="2 of 5 chunks of an earlier run are kept") as error:
        upscaled(film, output, **fast, **CHUNKS)
    assert "--precision (int8 before, the device's default now)" in str(error.value)
    assert "(--precision int8 on a CPU with VNNI or AMX)" in str(error.value)
    with pytest.raises(
        UsageError, match="--precision int8 is for CPUs with VNNI or AMX, and this cpu has no"
    ):
        upscaled(film, output, **fast, precision="int8", **CHUNKS)
    assert held(work_folder(output)) == before
    monkeypatch.undo()
    assert planned_of(upscaled(film, output, **fast, **CHUNKS)).chunks_done == 2


def test_weights_by_their_file_are_named_by_it(tmp_path: Path) -> None:
    """Case 42."""
    film, output, weights = film_in(tmp_path), tmp_path / "out.mkv", tmp_path / "mine-x2.safetensors"
    for suffix in (".safetensors", ".toml"):
        shutil.copy(Path(find_cards("fast-x2")[0].path).with_suffix(suffix), weights.with_suffix(suffix))
    begun(film, output, scale=2, model=str(weights))
    with pytest.raises(UsageError) as error:
        upscaled(film, output, scale=2, model="lanczos", **CHUNKS)
    assert f"(--model {weights} --device cpu" in str(error.value)


def test_another_target_size_is_said_to_be_one(tmp_path: Path) -> None:
    """Case 42."""
    film, output = film_in(tmp_path), tmp_path / "out.mkv"
    begun(film, output, scale=2, model="nearest")
    with pytest.raises(
        UsageError,
        match="other bits: the target size; go on with the earlier command, choose another -o",
    ):
        upscaled(film, output, scale=3, model="nearest", **CHUNKS)


@pytest.mark.parametrize("how", ["done", "fresh", "clean"])
def test_what_others_put_into_a_work_directory_stays(
    tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Case 62."""
    film, output = film_in(tmp_path), tmp_path / "out.mkv"
    begun(film, output)
    work = work_folder(output)
    (work / "2024-notes.json").write_text("mine")
    (work / "folder").mkdir()
    (work / "folder" / "000000.chunk").write_text("mine")
    if how == "clean":
        main(["clean", str(tmp_path), "--yes"])
        assert "contains files that vsr did not create; these were not deleted" in capsys.readouterr().out
    else:
        upscaled(film, output, fresh=how == "fresh", **CHUNKS)
    assert sorted(str(p.relative_to(work)) for p in work.rglob("*")) == [
        "2024-notes.json",
        "folder",
        "folder/000000.chunk",
    ]


def test_chunks_of_a_plan_that_can_not_be_read_outlive_a_finished_result(tmp_path: Path) -> None:
    """Case 44."""
    film, output = film_in(tmp_path), tmp_path / "out.mkv"
    upscaled(film, output)
    shutil.copytree(output.parent, tmp_path / "aside", ignore=lambda *_: ["in.mp4", "aside"])
    for path in (output, report_path(output)):
        path.unlink()
    begun(film, output, range="0-1")
    (work_folder(output) / "plan.json").write_text("{")
    for path in (tmp_path / "aside").iterdir():
        shutil.move(path, tmp_path)
    before = held(work_folder(output))
    assert isinstance(upscaled(film, output)[-1], AlreadyDone)
    assert held(work_folder(output)) == before


def test_clean_follows_no_link(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Case 74."""
    film, output = (
        film_in(tmp_path / "elsewhere") if (tmp_path / "elsewhere").mkdir() is None else Path(),
        tmp_path / "elsewhere" / "out.mkv",
    )
    before = begun(film, output)
    (tmp_path / "here" / "deeper").mkdir(parents=True)
    (tmp_path / "here" / ".out.mkv.vsr-work").symlink_to(work_folder(output))
    (tmp_path / "here" / "linked").symlink_to(tmp_path / "elsewhere")
    fake = tmp_path / "here" / "deeper" / ".b.mkv.vsr-work"
    fake.mkdir()
    (fake / "result").symlink_to(tmp_path / "elsewhere")
    (fake / "lock").symlink_to(output.parent / "in.mp4")
    main(["clean", str(tmp_path / "here"), "--yes"])
    assert held(work_folder(output)) == before
    assert film.is_file()
    assert "not deleted" in capsys.readouterr().out


# --- what lies where the result goes


def test_what_takes_the_result_s_name_during_the_run_stays(tmp_path: Path) -> None:
    """Case 51."""
    film, output = film_in(tmp_path), tmp_path / "out.mkv"

    for taken in (output, report_path(output)):
        with pytest.raises(UsageError, match=f"{taken.name}: already exists"):
            for event in upscale_video(film, output, run_settings(**{**QUICK, **CHUNKS})):
                if isinstance(event, Planned):
                    taken.write_bytes(b"mine")
        assert taken.read_bytes() == b"mine"
        taken.unlink()
    again = upscaled(film, output, **CHUNKS)
    assert planned_of(again).chunks_done == 5
    assert isinstance(again[-1], Finished)


def test_a_link_that_leads_nowhere_is_something_too(tmp_path: Path) -> None:
    """Case 51."""
    film, output = film_in(tmp_path), tmp_path / "out.mkv"
    output.symlink_to(tmp_path / "a disk that is not mounted" / "film.mkv")
    with pytest.raises(UsageError, match="already exists"):
        upscaled(film, output)
    assert output.is_symlink()
    upscaled(film, output, overwrite=True)
    assert not output.is_symlink()


@pytest.mark.parametrize("content", ["mine", "[]", '{"name": "mine"}'])
def test_a_file_in_the_place_of_the_report_is_not_replaced(tmp_path: Path, content: str) -> None:
    """Case 51."""
    film, output = film_in(tmp_path), tmp_path / "out.mkv"
    report_path(output).write_text(content)
    with pytest.raises(UsageError, match="is not the report of a result; give --overwrite"):
        upscaled(film, output)
    assert report_path(output).read_text() == content
    assert finished_of(upscaled(film, output, overwrite=True))
    assert json.loads(report_path(output).read_text())["frames"] == 40


def test_the_report_of_a_result_that_is_gone_is_in_nobody_s_way(tmp_path: Path) -> None:
    film, output = film_in(tmp_path), tmp_path / "out.mkv"
    upscaled(film, output)
    output.unlink()
    assert finished_of(upscaled(film, output))


def test_a_folder_in_the_place_of_the_report_is_said_before_work(tmp_path: Path) -> None:
    film, output = film_in(tmp_path), tmp_path / "out.mkv"
    report_path(output).mkdir()
    with pytest.raises(UsageError, match="is a folder, and the report"):
        upscaled(film, output, overwrite=True)


# --- other files that are written


@pytest.mark.parametrize("command", ["compare", "run", "bench"])
def test_no_report_is_written_over_an_input(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Case 52."""
    film = film_in(tmp_path)
    (tmp_path / "link.json").symlink_to(film)
    before, link = film.read_bytes(), str(tmp_path / "link.json")
    given = {
        "compare": ["compare", str(film), str(film), "--report", link],
        "run": [
            "run",
            str(film),
            "-o",
            str(tmp_path / "out.mkv"),
            "--model",
            "identity",
            "--scale",
            "1",
            "--summary",
            link,
        ],
        "bench": ["bench", str(film), "--timeline", link],
    }[command]
    with pytest.raises(SystemExit) as ended:
        main(given)
    assert ended.value.code == 2
    assert "link.json: is an input itself; choose another name" in capsys.readouterr().err
    assert film.read_bytes() == before


def test_an_output_that_is_not_there_yet_is_no_input(tmp_path: Path) -> None:
    film = film_in(tmp_path)
    refuse_place("--report", tmp_path / "new.html", (film, None, tmp_path / "gone"))
    refuse_place("--report", None, (film,))


def test_weights_that_lie_without_a_card_are_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VSR_DATA_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    lost = tmp_path / "models" / "mine-x2.safetensors"
    lost.write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"mine-x2\.safetensors: already exists, without a card"):
        install_model(find_cards("fast-x2")[0].path, name="mine")
    assert lost.read_bytes() == b"mine"


def test_a_run_that_is_refused_leaves_no_lock(tmp_path: Path) -> None:
    """Case 46."""
    film, output = film_in(tmp_path), tmp_path / "out.mkv"
    begun(film, output)
    with pytest.raises(UsageError, match="--fresh"):
        upscaled(film, output, range="0-1", **CHUNKS)
    Journal(work_folder(output)).close()


@pytest.mark.parametrize(("folder", "page", "is_ours"), [
    ("site", "<html>mine</html>", False), ("site", '<meta name="generator" content="vsr">', True),
    ("film.preview", "<html>of a former version</html>", True), ("new", None, True),
])  # fmt: skip
def test_a_page_that_is_no_preview_s_is_not_replaced(
    tmp_path: Path, folder: str, page: str | None, is_ours: bool
) -> None:
    if page is not None:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "index.html").write_text(page)
    if is_ours:
        make_folder(tmp_path / folder)
        assert (tmp_path / folder).is_dir()
    else:
        with pytest.raises(
            UsageError, match=r"index\.html: already exists, and is not the page of a preview"
        ):
            make_folder(tmp_path / folder)


def test_our_pages_are_known_to_be_ours() -> None:
    assert '<meta name="generator" content="vsr">' in document("title", "body")


def test_a_log_without_its_checkpoint_is_not_begun_anew(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1, "loss": 0.5}\n')
    with pytest.raises(UsageError, match=r"log\.jsonl: this folder holds a training; give --resume"):
        next(train(TrainSettings(name="mine", scale=2), [], tmp_path))
    assert log.read_text() == '{"step": 1, "loss": 0.5}\n'
