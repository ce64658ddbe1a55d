"""Film grain: measured, and synthesised so that no chunk boundary is visible."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from models.errors import Interrupted
from pipelines.inference.grain_synthesis import GrainMaker
from pipelines.media.pixel_format import PixelFormat
from pipelines.media.video_info import Frame
from pipelines.probe.grain_measurement import LEVELS, grain_of, measure_grain
from pipelines.probe.probe import open_film
from tests import media
from tests.helpers.inline import planned_of, upscaled
from tests.pipelines.inference.test_pixel_formats import plan_for

pytestmark = pytest.mark.usefixtures("inline")

SIZE = (128, 96)


def film(path: Path, noise: float, *, frames: int = 24, pix_fmt: str = "yuv420p", pan: int = 1) -> Path:
    """Lossless: a ramp with a moving stripe pattern, and so much grain in codes of 8 bits."""
    rng = np.random.default_rng(1)
    width, height = SIZE
    pixels = PixelFormat.parse(pix_fmt)
    unit = 1 << (pixels.bits - 8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        for number in range(frames):
            x = np.arange(width) + number * pan
            luma = np.tile(60 + x * 100 / width + 5 * np.sin(x / 9), (height, 1))
            frame = av.VideoFrame(width, height, pix_fmt)
            for place, plane in enumerate(frame.planes):
                clean = luma if not place else np.full((height // 2, width // 2), 120.0)
                values = np.clip(
                    np.rint((clean + rng.normal(0, noise / (1 + place), clean.shape)) * unit),
                    0,
                    256 * unit - 1,
                ).astype(pixels.dtype)
                rows = np.frombuffer(memoryview(plane), pixels.dtype).reshape(
                    -1, plane.line_size // np.dtype(pixels.dtype).itemsize
                )
                rows[:, : values.shape[1]] = values
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def planes(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [f.to_ndarray()[: f.height] for f in container.decode(video=0)]


def grain_in(path: Path) -> tuple[tuple[float, ...], ...]:
    with open_film(path) as film:
        return measure_grain(film)


@pytest.mark.parametrize(("pix_fmt", "noise"), [("yuv420p", 4.0), ("yuv420p10le", 2.0)])
def test_the_strength_that_is_there_is_found(tmp_path: Path, pix_fmt: str, noise: float) -> None:
    luma, *chroma = grain_in(film(tmp_path / "a.mkv", noise, pix_fmt=pix_fmt))
    assert len(luma) == LEVELS
    assert np.allclose(luma, noise, rtol=0.2)
    assert np.allclose([c[0] for c in chroma], [noise / 2, noise / 3], rtol=0.25)


def test_what_moves_is_no_grain(tmp_path: Path) -> None:
    assert grain_in(film(tmp_path / "a.mkv", 0.0, pan=3)) == ()
    assert grain_in(media.cfr(tmp_path / "b.mp4", frames=30)) == ()


def test_grain_of_dark_places_is_not_that_of_light_ones() -> None:
    rng = np.random.default_rng(2)
    clean = np.where(np.arange(256)[None, :] < 128, 40.0, 200.0) * np.ones((128, 1))
    strength = np.where(clean < 100, 1.5, 6.0)
    one, two = (np.rint(clean + rng.normal(0, 1, clean.shape) * strength).astype(np.uint8) for _ in range(2))
    found = grain_of([one], [two], PixelFormat.parse("gray"))[0]
    assert found[1] == pytest.approx(1.5, rel=0.15)
    assert found[6] == pytest.approx(6.0, rel=0.15)
    assert np.isnan(found[3])


def test_as_much_is_added_back(tmp_path: Path) -> None:
    source = film(tmp_path / "in.mkv", 4.0)
    events = upscaled(source, tmp_path / "out.mkv", keep_grain=True)
    assert any("film grain of up to 4" in note for note in planned_of(events).info.notes)
    assert planned_of(events).plan.prefilter == "denoise"
    assert np.allclose(grain_in(tmp_path / "out.mkv")[0], 4.0, rtol=0.25)
    before, after = planes(film(tmp_path / "clean.mkv", 0.0)), planes(tmp_path / "out.mkv")
    added = np.stack([b.astype(float) - a for a, b in zip(before, after, strict=True)])
    assert added.std() == pytest.approx(4.0, rel=0.2)
    assert abs(added.mean()) < 0.1
    assert abs(np.corrcoef(added[0].ravel(), added[1].ravel())[0, 1]) < 0.1, "the pattern stands still"


def test_a_clean_source_gets_none(tmp_path: Path) -> None:
    source = film(tmp_path / "in.mkv", 0.0)
    events = upscaled(source, tmp_path / "out.mkv", keep_grain=True)
    assert planned_of(events).plan.grain == ()
    assert not planned_of(events).plan.is_filtered
    assert any("no film grain was found" in note for note in planned_of(events).info.notes)
    assert all(
        np.array_equal(a, b) for a, b in zip(planes(source), planes(tmp_path / "out.mkv"), strict=True)
    )


def test_no_way_of_cutting_or_resuming_changes_it(tmp_path: Path) -> None:
    source = film(tmp_path / "in.mkv", 3.0)
    made = {}
    for name, settings in {"whole": {}, "cut": {"chunk_seconds": 0.2}, "part": {"range": "0.5-1"}}.items():
        upscaled(source, tmp_path / f"{name}.mkv", keep_grain=True, scale=2, model="lanczos", **settings)
        made[name] = planes(tmp_path / f"{name}.mkv")
    assert len(made["whole"]) == 24
    assert all(np.array_equal(a, b) for a, b in zip(made["whole"], made["cut"], strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(made["whole"][12:24], made["part"], strict=True))


def test_interrupted_it_goes_on_with_the_same_grain(tmp_path: Path) -> None:
    from threading import Event

    from pipelines.plan.events import ChunkFinished
    from pipelines.run.job import upscale_video
    from tests.helpers.inline import QUICK
    from vsr.api import run_settings

    source = film(tmp_path / "in.mkv", 3.0)
    settings = run_settings(**QUICK, keep_grain=True, chunk_seconds=0.2)
    stop = Event()
    with pytest.raises(Interrupted):
        for event in upscale_video(source, tmp_path / "b.mkv", settings, stop=stop):
            if isinstance(event, ChunkFinished):
                stop.set()
    list(upscale_video(source, tmp_path / "b.mkv", settings))
    list(upscale_video(source, tmp_path / "a.mkv", settings))
    made = [planes(tmp_path / name) for name in ("a.mkv", "b.mkv")]
    assert all(np.array_equal(a, b) for a, b in zip(*made, strict=True))


def test_grain_of_a_float_picture_is_that_of_codes() -> None:
    """Added to values as they are: no table of 2^32 codes, no clipping of light above white."""
    made = []
    for pix_fmt in ("gbrp", "gbrp16le", "gbrpf32le"):
        plan = replace(
            plan_for("gbrp", (64, 48), (128, 96), ("lanczos",), out=pix_fmt),
            grain=((1.0, 2.0, 4.0, 6.0),) * 3,
        )
        pixels = PixelFormat.parse(pix_fmt)
        most = 1.0 if pixels.is_float else (1 << pixels.bits) - 1
        ramp = np.tile(np.linspace(0.1, 0.9, 128), (96, 1)) * most
        planes = [(ramp if pixels.is_float else np.rint(ramp)).astype(pixels.dtype)] * 3
        grainy = GrainMaker(plan)(Frame(7, planes)).planes
        assert all(p.dtype == pixels.dtype for p in grainy)
        made.append([(g.astype(np.float64) - p) / most * 255 for g, p in zip(grainy, planes, strict=True)])
    assert 1 < made[2][0][:, :32].std() < made[2][0][:, 96:].std() < 7
    for one, other in zip(made[1], made[2], strict=True):
        assert np.abs(one - other).max() < 0.1
    bright = [np.full((96, 128), 3.0, np.float32)] * 3
    plan = replace(plan_for("gbrp", (64, 48), (128, 96), ("lanczos",), out="gbrpf32le"), grain=((2.0,),) * 3)
    assert GrainMaker(plan)(Frame(7, bright)).planes[0].max() > 3.0
