"""JPEG of one component: what decoders read is the picture, at FFmpeg's quality and size."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest

from models.errors import UsageError
from pipelines.codec.grey_jpeg import grey_jpeg
from pipelines.probe.probe import probe
from tests.helpers.inline import planned_of, upscaled
from tests.pipelines.run.test_pixel_formats_run import notes, written

ROWS, COLUMNS = np.mgrid[:150, :203]
SMOOTH = (np.sin(ROWS / 9) * np.cos(COLUMNS / 13) * 100 + 128).astype(np.uint8)
NOISE = np.random.default_rng(0).integers(0, 256, (150, 203)).astype(np.uint8)
DOTS = np.where((ROWS % 2 == 0) & (COLUMNS % 2 == 0), 255, 0).astype(np.uint8)


def read(data: bytes) -> tuple[str, np.ndarray]:
    with av.open(io.BytesIO(data), format="jpeg_pipe") as container:
        frame = next(container.decode(video=0))
    return frame.format.name, np.asarray(frame.to_ndarray())


def error(plane: np.ndarray, data: bytes) -> float:
    return float(np.square(read(data)[1][: len(plane)].astype(float) - plane).mean())


@pytest.mark.parametrize("scale", [1, 2, 9, 31])
@pytest.mark.parametrize("plane", [SMOOTH, NOISE, DOTS, 255 - DOTS], ids=["smooth", "noise", "dots", "holes"])
def test_the_picture_is_as_near_as_quantisation_allows(plane: np.ndarray, scale: int) -> None:
    data = grey_jpeg(plane, scale)
    kind, shown = read(data)
    assert kind == "gray"
    assert shown.shape == plane.shape
    step = 83 * scale / 8  # the largest of the quantiser's
    assert error(plane, data) <= step**2 / 12 + 0.5


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (8, 8), (65, 513), (521, 16)])
def test_every_size_is_written_whole(size: tuple[int, int]) -> None:
    """Also where it ends inside a block, or needs more than one pass."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    plane = (128 + 90 * np.sin(rows / 20 + columns / 30)).astype(np.uint8)
    shown = read(grey_jpeg(plane, 1))[1]
    assert shown.shape == size
    assert np.abs(shown.astype(int) - plane).max() <= 2


def test_bytes_of_ones_are_no_markers() -> None:
    for seed in range(6):
        plane = np.random.default_rng(seed).choice([0, 255], (64, 64)).astype(np.uint8)
        assert error(plane, grey_jpeg(plane, 1)) < 2


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("output", ["out.jpg", "out_%02d.jpg"])
@pytest.mark.parametrize("pix_fmt", ["gray", "gray16le", "ya8"])
def test_a_grey_picture_becomes_a_grey_jpeg(tmp_path: Path, output: str, pix_fmt: str) -> None:
    encoded = "gray16be" if pix_fmt == "gray16le" else ""
    numbered = "%" in output
    for n in (1, 2):
        name = f"in_{n:02d}.png" if numbered else "in.png"
        written(tmp_path / name, pix_fmt, "png", frames=1, encoded=encoded)
    source = tmp_path / ("in_%02d.png" if numbered else "in.png")
    events = upscaled(source, tmp_path / output, model="lanczos", scale=2)
    for made in sorted(tmp_path.glob("out*.jpg")):
        assert probe(made).pix_fmt == "gray"
    assert ("its alpha is left out" in notes(events)) is (pix_fmt == "ya8")
    assert planned_of(events).plan.encoder.pix_fmt == "gray"


@pytest.mark.usefixtures("inline")
def test_options_that_jpeg_does_not_know_are_refused(tmp_path: Path) -> None:
    written(tmp_path / "in.png", "gray", "png", frames=1)
    small, large = tmp_path / "small.jpg", tmp_path / "large.jpg"
    how = {"model": "lanczos", "scale": 2}
    with pytest.raises(UsageError, match="nonsense=1"):
        upscaled(tmp_path / "in.png", small, encoder_options={"nonsense": "1"}, **how)
    upscaled(tmp_path / "in.png", small, encoder_options={"global_quality": "1180"}, **how)
    upscaled(tmp_path / "in.png", large, **how)
    assert small.stat().st_size < large.stat().st_size
