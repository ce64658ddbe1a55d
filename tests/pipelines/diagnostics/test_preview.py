"""A preview shows, for each network, the image that a run would make of that frame."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from models.errors import UsageError
from pipelines.diagnostics import partial_preview
from pipelines.diagnostics.preview import Preview, PreviewMoment, preview
from pipelines.frames.sample_values import to_rgb
from pipelines.inference.temporal_windows import Window
from pipelines.inference.upscaler import Upscaler
from pipelines.media.pixel_format import PixelFormat
from pipelines.media.video_info import Frame
from pipelines.planner import network_choice
from pipelines.planner.video_planner import plan_video
from tests import media
from tests.helpers import patches
from tests.helpers.inline import upscaled, without_processes
from tests.helpers.view import planes
from vsr.api import run_settings

SETTINGS = {"scale": 2, "codec": "ffv1", "device": "cpu"}


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    without_processes(monkeypatch)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media.cfr(tmp_path_factory.mktemp("film") / "film.mkv", frames=50, rate=Fraction(25))


def shown(
    film: Path,
    folder: Path,
    *,
    models: tuple[str, ...] = (),
    at: tuple[str, ...] = (),
    shots: int = 3,
    **settings: object,
) -> tuple[list[PreviewMoment], Preview]:
    *moments, result = preview(
        film, folder, run_settings(**{**SETTINGS, **settings}), models=models, at=at, shots=shots
    )
    assert isinstance(result, Preview)
    return [m for m in moments if isinstance(m, PreviewMoment)], result


def pixels(path: str) -> np.ndarray:
    pillow = pytest.importorskip("PIL.Image")
    with pillow.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_a_picture_is_that_frame_of_a_run(film: Path, tmp_path: Path) -> None:
    (moment,), _ = shown(film, tmp_path, models=("bicubic", "fast-x2"), at=("1.2",), pixel_format="gbrp")
    for model, file in zip(("bicubic", "fast-x2"), moment.files, strict=False):
        output = tmp_path / f"{model}.mkv"
        upscaled(film, output, model=model, codec="ffv1", scale=2, pixel_format="gbrp")
        with av.open(str(output)) as container:
            made = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
        assert np.abs(pixels(file) - made[30]).max() <= 1
        assert np.abs(pixels(file) - made[31]).max() > 8


@pytest.mark.parametrize("model", ["lanczos", "fast-x2"])
def test_of_a_large_frame_only_what_is_shown_and_encoded_is_made_with_the_same_pixels(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = media.cfr(tmp_path / "large.mkv", frames=4, size=(640, 400))
    followed: list[int] = []
    follow = Upscaler.follow

    def counted(upscaler: Upscaler, window: Window) -> Frame:
        followed.append(window.frame.planes[0].size)
        return follow(upscaler, window)

    monkeypatch.setattr(Upscaler, "follow", counted)
    moments, _ = shown(large, tmp_path / "out", models=(model,), shots=2)
    assert followed.count(640 * 400) - 5 in range(2, 6)  # those that are timed; five are the estimate's
    assert len(followed) > 4
    upscaled(large, tmp_path / "run.mkv", model=model, codec="ffv1", scale=2)
    plan = plan_video(large, tmp_path / "run.mkv", run_settings(**SETTINGS, model=model)).plan
    with av.open(str(tmp_path / "run.mkv")) as container:
        made = [
            to_rgb(planes(f), PixelFormat.parse("yuv420p"), plan.out_color)[0]
            for f in container.decode(video=0)
        ]
    for moment in moments:
        whole = (
            (made[round(moment.seconds * 24)].clamp(0, 1) * 255)
            .round()
            .numpy()
            .transpose(1, 2, 0)
            .astype(int)
        )
        picture = pixels(moment.files[0])[8:-8, 8:-8]  # colour is interpolated from what lies beside it
        places = (
            (y, x) for y in range(8, 800 - picture.shape[0], 8) for x in range(8, 1280 - picture.shape[1], 8)
        )
        assert any(
            np.abs(whole[y : y + 8, x : x + 8] - picture[:8, :8]).max() <= 1  # most differ there already
            and np.abs(whole[y : y + picture.shape[0], x : x + picture.shape[1]] - picture).max() <= 1
            for y, x in places
        )


def test_every_network_is_shown_at_the_same_place_in_the_requested_order(film: Path, tmp_path: Path) -> None:
    (moment,), result = shown(film, tmp_path, models=("nearest", "fast", "lanczos"), at=("0:01",))
    assert [c.model for c in result.choices] == ["nearest", "fast", "lanczos"]
    assert [Path(f).name for f in moment.files] == [
        f"00-00-01.000.{n}.png" for n in ("nearest", "fast", "lanczos", "side-by-side")
    ]
    *each, together = map(pixels, moment.files)
    width = each[0].shape[1]
    for number, picture in enumerate(each):
        assert np.array_equal(together[:, number * (width + 4) : number * (width + 4) + width], picture)
    assert [Path(f).read_bytes() for f in moment.files[:-1]] == list(moment.pictures)


@pytest.mark.parametrize(("level", "usual"), [(0.7, "real-fast"), (0.02, "fast")])
def test_the_network_that_a_run_would_use_is_shown_by_default(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: float, usual: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(network_choice, "estimate_levels", lambda *_, **__: ((0, level),))
    _, result = shown(film, tmp_path, shots=1)
    assert [c.model for c in result.choices] == ["lanczos", usual]


def test_moments_lie_all_over_the_film(film: Path, tmp_path: Path) -> None:
    moments, _ = shown(film, tmp_path, models=("nearest",), shots=4)
    assert len(moments) == 4
    for number, moment in enumerate(sorted(moments, key=lambda m: m.seconds)):
        assert number * 0.48 <= moment.seconds < (number + 1) * 0.52


def test_no_moment_is_near_black_where_another_shows_something(tmp_path: Path) -> None:
    """Black with noise, whose key frames take the most bytes, but for a quarter of each half."""
    rng = np.random.default_rng(1)
    frames = []
    for number in range(48):
        luma = (
            rng.integers(16, 40, (48, 64))
            if number % 24 < 18
            else np.add.outer(np.arange(48), 2 * np.arange(64)) + 40
        )
        frames.append(
            [luma.astype(np.uint8), np.full((24, 32), 128, np.uint8), np.full((24, 32), 128, np.uint8)]
        )
    source = patches.write_planes(
        tmp_path / "in.mkv", frames, "yuv420p", (1, 1, 1, 1), codec="libx264", g="12"
    )
    moments, _ = shown(source, tmp_path / "out", models=("nearest",), shots=2)
    assert [round(m.seconds * 25) % 24 >= 18 for m in moments] == [True, True]


def test_a_moment_shows_the_whole_frame_with_its_place_marked(tmp_path: Path) -> None:
    source = media.cfr(tmp_path / "in.mkv", frames=2, size=(640, 400))
    ((moment,), _) = shown(source, tmp_path / "out", models=("nearest",), at=("0",), scale=4)
    pillow = pytest.importorskip("PIL.Image")
    with pillow.open(io.BytesIO(moment.overview)) as image:
        small = np.asarray(image.convert("RGB")).astype(int)
    assert small.shape == (200, 320, 3)
    red = np.argwhere((small == (200, 30, 30)).all(-1))
    (top, left), (bottom, right) = red.min(0), red.max(0)
    assert (bottom - top + 3, right - left + 3) == pytest.approx((540 / 8, 960 / 8), abs=3)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "gbrp10le"])
def test_the_whole_frame_has_the_colours_of_the_film(tmp_path: Path, pix_fmt: str) -> None:
    depth = 1023 if "10" in pix_fmt else 255
    codes = {"gbrp10le": (40, 30, 200)}.get(pix_fmt, (81, 90, 240))  # red, of BT.601
    sub_y, sub_x = {"yuv420p": (2, 2), "yuv422p10le": (1, 2)}.get(pix_fmt, (1, 1))
    planes = [
        np.full(
            (64 // (sub_y if n else 1), 96 // (sub_x if n else 1)),
            code * (depth + 1) // 256,
            np.uint16 if depth > 255 else np.uint8,
        )
        for n, code in enumerate(codes)
    ]
    tags = (1, 13, 0, 2) if pix_fmt == "gbrp10le" else (6, 6, 6, 1)
    source = patches.write_planes(tmp_path / "in.mkv", [planes] * 2, pix_fmt, tags, codec="ffv1")
    ((moment,), _) = shown(source, tmp_path / "out", models=("nearest",), at=("0",))
    pillow = pytest.importorskip("PIL.Image")
    with pillow.open(io.BytesIO(moment.overview)) as image:
        red, green, blue = np.median(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)
    assert (red > 190, green < 60, blue < 60) == (True, True, True), (red, green, blue)


def test_a_film_shorter_than_requested_is_shown_completely(tmp_path: Path) -> None:
    moments, result = shown(
        media.cfr(tmp_path / "in.mkv", frames=2), tmp_path / "out", models=("nearest",), shots=9
    )
    assert [m.number for m in moments] == [0, 1]
    assert result.choices[0].frames == 2


def test_frames_known_by_their_order_are_shown_too(tmp_path: Path) -> None:
    moments, _ = shown(media.raw(tmp_path / "in.h264"), tmp_path / "out", models=("nearest",), shots=2)
    assert len(moments) == 2


def test_what_it_costs_grows_with_the_film_and_the_quality(film: Path, tmp_path: Path) -> None:
    longer = media.cfr(tmp_path / "longer.mkv", frames=100, rate=Fraction(25))
    bytes_of = {}
    for name, source, crf in (("short", film, 20), ("long", longer, 20), ("fine", film, 4)):
        _, result = shown(source, tmp_path / name, models=("lanczos",), codec="h264", crf=crf, at=("0",))
        bytes_of[name] = result.choices[0].bytes
        assert result.choices[0].seconds > 0
    assert bytes_of["long"] > 1.5 * bytes_of["short"]
    assert bytes_of["fine"] > bytes_of["short"]


def test_a_wide_result_is_encoded_in_part_and_judged_as_a_whole(tmp_path: Path) -> None:
    wide = media.cfr(tmp_path / "wide.mkv", frames=2, size=(1280, 64))
    _, part = shown(wide, tmp_path / "a", models=("nearest",), at=("0",), codec="ffv1", scale=2)
    output = tmp_path / "whole.mkv"
    upscaled(wide, output, model="nearest", codec="ffv1", scale=2)
    assert part.choices[0].bytes == pytest.approx(output.stat().st_size, rel=0.4)


def test_telecined_film_is_shown_in_film_frames(tmp_path: Path) -> None:
    """Case 97: a source frame that gives none shows the next one, at the end the one before."""
    source = media.telecined(tmp_path / "in.mp4")
    at = tuple(f"{(n + 0.5) * 1001 / 30000:.4f}" for n in (10, 11, 12, 13, 14))
    moments, _ = shown(source, tmp_path / "out", models=("nearest",), at=at)
    pictures = [m.pictures[0] for m in moments]
    assert len(pictures) == 5
    assert [n for n in range(4) if pictures[n] == pictures[n + 1]] == [2]
    part = f"0-{12.5 * 1001 / 30000:.4f}"
    moments, _ = shown(source, tmp_path / "part", models=("nearest",), at=at[2:3], range=part)
    assert moments[0].pictures[0] == pictures[1]


def test_what_is_made_so_far_is_found_in_the_source_by_its_letters() -> None:
    plan = {"pulldown": {"first_field": "top", "first_frame": 0, "letters": "AB-CD" * 4}}
    assert [partial_preview._source_frame(plan, 5, n) for n in range(5)] == [5, 6, 8, 9, 10]
    assert partial_preview._source_frame({"deinterlacing": {"bob": True}}, 5, 3) == 6


def test_a_moment_behind_the_end_is_refused(film: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--at 0:02: is behind the end; the video is 2\.000 s long"):
        shown(film, tmp_path, at=("0:02",))
    with pytest.raises(UsageError, match="--at soon: expected"):
        shown(film, tmp_path, at=("soon",))


def test_a_folder_that_can_not_be_made_is_refused(film: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="choose another -o"):
        shown(film, tmp_path / "file" / "in", models=("nearest",))
