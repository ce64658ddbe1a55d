"""What can be refused early is refused before frames are decoded, and before work starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.catalog.lookup import read_third_party
from models.errors import MediaError, OutputError, UsageError
from pipelines.diagnostics import preview
from pipelines.hardware import resources
from pipelines.planner import frame_look, network_choice, video_planner
from pipelines.run import chunk_loop, job
from pipelines.training.fine_tuning import tune
from tests import media
from tests.helpers.inline import H264, QUICK, upscaled
from vsr.api import run_settings
from vsr.cli.main import main

pytestmark = pytest.mark.usefixtures("inline")
LOOKS = (
    (network_choice, "estimate_levels"),
    (frame_look, "find_bars"),
    (frame_look, "measure_grain"),
    (video_planner, "try_encoder"),
    (video_planner, "fitting_container"),
)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return media.cfr(tmp_path / "in.mp4", frames=8)


def no_look(*_: object, **__: object) -> Any:
    raise AssertionError("frames were looked at, or an encoder was opened, before a check that costs nothing")


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may look at frames."""
    for module, name in LOOKS:
        monkeypatch.setattr(module, name, no_look)


@pytest.mark.usefixtures("blind")
@pytest.mark.parametrize(
    ("output", "settings", "said"),
    [
        ("out.mp4", {"codec": "ffv1"}, "ffv1 does not go into MP4"),
        ("out.avi", {}, "an output that ends in .avi is not written"),
        ("out.mkv", {"scale": None, "to": "32x24"}, "not above"),
        (
            "out.mkv",
            {"scale": None, "to": "20000x20000", "codec": "h264", "model": "lanczos"},
            "h264 can't hold",
        ),
        ("out.mkv", {"model": "qualty"}, "qualty"),
        ("out.mkv", {"range": "9-"}, "there is no frame in it"),
        ("in.mp4", {}, "is the input itself"),
    ],
    ids=str,
)
def test_what_needs_no_look_at_frames_is_refused_before_one(
    film: Path, tmp_path: Path, output: str, settings: dict[str, Any], said: str
) -> None:
    given = {"scale": 2, "keep_grain": True, **settings}
    with pytest.raises(UsageError, match=said):
        video_planner.plan_video(film, tmp_path / output, run_settings(**given))


def test_a_file_in_the_output_s_place_is_refused_before_the_film_is_read(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out.mkv").write_bytes(b"mine")
    monkeypatch.setattr(job, "plan_video", no_look)
    with pytest.raises(UsageError, match="already exists, and vsr did not make it; give --overwrite"):
        upscaled(film, tmp_path / "out.mkv")
    with pytest.raises(AssertionError):
        upscaled(film, tmp_path / "out.mkv", overwrite=True)


@pytest.mark.usefixtures("blind")
def test_a_file_under_the_usual_name_is_refused_before_frames_are_looked_at(film: Path) -> None:
    settings = {**QUICK, "scale": 2, "model": "nearest", "keep_grain": True}
    wanted = video_planner.expected_output(film, None, run_settings(**settings))
    assert wanted is not None
    wanted.write_bytes(b"mine")
    with pytest.raises(UsageError, match="already exists, and vsr did not make it; give --overwrite"):
        upscaled(film, None, **settings)
    wanted.unlink()


def test_the_name_that_is_expected_is_the_one_that_a_plan_gives(tmp_path: Path) -> None:
    film = media.cfr(tmp_path / "in.mov", frames=12, size=(64, 48))
    given: list[tuple[Path | None, dict[str, Any]]] = [
        (None, {"scale": 2}),
        (None, {"scale": 2, "range": "0-0.2"}),
        (None, {"scale": 2, "codec": "ffv1"}),
        (tmp_path / "up", {"to": "720p", "output_template": "{stem} {width}x{height}{suffix}"}),
        (tmp_path / "named.mkv", {"scale": 3}),
    ]
    for output, settings in given:
        own = run_settings(**{"model": "nearest", "codec": "h264", **settings})
        planned = video_planner.plan_video(film, output, own)
        assert video_planner.expected_output(film, output, own) == Path(planned.output)
    unknown = run_settings(scale=2, output_template="{stem}.{model}{suffix}")
    assert video_planner.expected_output(film, None, unknown) is None


def test_a_disk_that_is_too_small_is_refused_before_a_crf_is_searched(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_loop, "find_crf", no_look)
    monkeypatch.setattr(chunk_loop, "_LEAST_FREE_BYTES", 1 << 62)
    with pytest.raises(OutputError, match="GB free"):
        upscaled(film, tmp_path / "out.mkv", **{**H264, "crf": None, "target_vmaf": 90.0})


@pytest.mark.parametrize(("at", "said"), [("99", "is behind the end"), ("1x", "expected seconds")])
def test_a_moment_that_is_not_in_the_film_is_refused_before_frames_are_looked_at(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str, said: str
) -> None:
    monkeypatch.setattr(preview, "plan_video", no_look)
    with pytest.raises(UsageError, match=said):
        list(preview.preview(film, tmp_path / "p", run_settings(scale=2), at=[at]))
    assert not (tmp_path / "p").exists()


def test_a_page_that_is_no_preview_s_is_refused_before_the_film_is_read(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("<p>mine")
    monkeypatch.setattr(preview, "probe", no_look)
    with pytest.raises(UsageError, match="is not the page of a preview"):
        list(preview.preview(film, tmp_path / "site", run_settings(scale=2)))


def test_a_training_that_was_begun_is_refused_before_pairs_are_made(tmp_path: Path) -> None:
    (tmp_path / "tuned" / "run").mkdir(parents=True)
    (tmp_path / "tuned" / "run" / "log.jsonl").write_text("{}")
    with pytest.raises(UsageError, match="this folder holds a training; give --resume"):
        next(tune(tmp_path / "no film at all", tmp_path / "tuned"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["compare", "in.mp4", "in.mp4", "--report", "{0}"], "is a folder; name a file in it"),
        (["compare", "in.mp4", "in.mp4", "--report", "in.mp4/a.html"], "is a file; choose another place"),
        (["bench", "in.mp4", "--share", "in.mp4/a.json"], "is a file; choose another place"),
        (["run", "in.mp4", "--summary", "in.mp4/a.csv"], "is a file; choose another place"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_report_that_can_not_be_written_is_refused_before_the_work_it_is_of(
    film: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: list[str],
    said: str,
) -> None:
    assert film.exists()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main([text.format(tmp_path) for text in given])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_device_that_is_not_there_is_refused_before_anything_is_made(
    film: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(resources, "computing_device", lambda _: "cpu")
    monkeypatch.setattr(video_planner, "open_film", no_look)
    with pytest.raises(SystemExit) as ended:
        main([command, str(film), "-o", str(tmp_path / "out.mkv"), "--device", "cuda"])
    assert ended.value.code == 2
    assert "--device cuda: no CUDA device can be used here" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4"]


@pytest.mark.parametrize("command", ["preview", "probe"])
def test_an_address_where_only_files_go_is_said_to_be_one(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "https://example.org/film.mp4"])
    assert ended.value.code == 2
    assert "https://example.org/film.mp4: only vsr run and vsr plan take addresses" in capsys.readouterr().err


def test_a_film_is_no_weights_file(film: Path) -> None:
    with pytest.raises(
        MediaError, match=r"is no weights file; expected one that ends in \.bin, \.ckpt, \.onnx"
    ):
        read_third_party(film)
