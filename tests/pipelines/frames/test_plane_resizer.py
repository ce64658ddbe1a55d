"""Integer planes resized by a classical kernel.

The values are the same however rows are divided and whichever implementation computes them.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from models.layers.resampling import resample, upscale_plane
from pipelines.frames import plane_resizer
from pipelines.frames.plane_resizer import PlaneResizer, between_bits

LEFT = (0.0, -0.25)
SIZES = [
    ((48, 64), (72, 96)),
    ((48, 64), (96, 128)),
    ((94, 130), (141, 195)),
    ((50, 66), (57, 131)),
    ((135, 93), (90, 62)),
    ((4, 6), (9, 13)),
]


def planes_of(size: tuple[int, int], bits: int, seed: int = 0) -> list[np.ndarray]:
    """Noise over all values, in 16 bits as they come from a network."""
    rng = np.random.default_rng(seed)
    half = (-(-size[0] // 2), -(-size[1] // 2))
    peak = ((1 << bits) - 1) << min(6, 16 - bits)
    return [rng.integers(0, peak + 1, shape).astype(np.uint16) for shape in (size, half, half)]


@pytest.mark.parametrize(("size", "target"), SIZES)
@pytest.mark.parametrize("kernel", ["lanczos", "bicubic", "bilinear", "nearest"])
@pytest.mark.parametrize("bits", [8, 10, 16])
def test_samples_are_those_of_the_same_filter_in_floats(
    size: tuple[int, int], target: tuple[int, int], kernel: str, bits: int
) -> None:
    given = planes_of(size, bits)
    resizer = PlaneResizer(size, target, kernel, bits, LEFT)
    assert between_bits(bits) == min(6, 16 - bits)
    luma, *chroma = (torch.from_numpy(p.astype(np.float64)) / 2 ** between_bits(bits) for p in given)
    exact = [
        resample(luma, *target, kernel),
        *(upscale_plane(plane, size, target, kernel, LEFT, (2, 2)) for plane in chroma),
    ]
    for made, values in zip(resizer(given), exact, strict=True):
        assert made.dtype == (np.uint8 if bits == 8 else np.uint16)
        wanted = values.clamp(0, (1 << bits) - 1).numpy()
        assert made.shape == wanted.shape
        assert np.abs(made - wanted).max() <= 0.5 + 2e-6 * (1 << bits)


@pytest.mark.parametrize(("size", "target"), SIZES)
def test_rows_one_by_one_are_the_bits_of_all_at_once(
    size: tuple[int, int], target: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The defined reference: numpy, in float32, with sums in the order of the taps."""
    given = planes_of(size, 8)
    by_rows = PlaneResizer(size, target, "lanczos", 8, LEFT)(given)
    monkeypatch.setattr(plane_resizer, "COMPILED", False)
    at_once = PlaneResizer(size, target, "lanczos", 8, LEFT)(given)
    assert all(np.array_equal(a, b) for a, b in zip(by_rows, at_once, strict=True))


@pytest.mark.parametrize("band", [1, 7, 40])
def test_bits_do_not_depend_on_bands_and_threads(band: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given = planes_of((94, 130), 8)
    resizer = PlaneResizer((94, 130), (141, 195), "lanczos", 8, LEFT)
    whole = resizer(given)
    monkeypatch.setattr(plane_resizer, "_BAND", band)
    with ThreadPoolExecutor(3) as threads:
        banded = resizer(given, threads.map)
    assert all(np.array_equal(a, b) for a, b in zip(whole, banded, strict=True))


def test_what_overshoots_is_clipped_and_flat_planes_stay() -> None:
    for code in (0, 1, 128, 254, 255):
        flat = [np.full(p.shape, code << 6, np.uint16) for p in planes_of((48, 64), 8)]
        for plane in PlaneResizer((48, 64), (72, 96), "lanczos", 8, LEFT)(flat):
            assert (plane == code).all()
    edge = planes_of((48, 64), 8)
    for plane in edge:
        plane[:, : plane.shape[1] // 2], plane[:, plane.shape[1] // 2 :] = 0, 255 << 6
    luma = PlaneResizer((48, 64), (96, 128), "lanczos", 8, LEFT)(edge)[0]
    assert (luma[:, :60] <= 10).all()
    assert (luma[:, 68:] >= 245).all()


def digest() -> str:
    made = PlaneResizer((94, 130), (141, 195), "lanczos", 8, LEFT)(planes_of((94, 130), 8))
    return hashlib.sha256(b"".join(p.tobytes() for p in made)).hexdigest()


def test_another_kind_of_cpu_gives_the_same_bits() -> None:
    text = "from tests.pipelines.frames.test_plane_resizer import digest; print(digest())"
    environment = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    told = subprocess.run(
        [sys.executable, "-c", text], env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == digest()
