"""FFmpeg's filters before the networks, and how much of the networks' result is taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.errors import UsageError
from pipelines.plan.settings import RunSettings
from tests import media
from tests.helpers.inline import planned_of, upscaled
from tests.helpers.patches import write_planes
from tests.helpers.view import decoded, frames, planes

pytestmark = pytest.mark.usefixtures("inline")

TAGS = (1, 1, 1, 1)


def soft(number: int, width: int = 96, height: int = 80) -> np.ndarray:
    """A smooth picture that moves, 40..200."""
    y, x = np.mgrid[0:height, 0:width]
    return 120 + 60 * np.sin(x / 17 + number / 3) * np.cos(y / 13)


def film(path: Path, spoil: object, bits: int = 8, count: int = 12) -> tuple[Path, list[np.ndarray]]:
    """A film of spoilt pictures, and the clean ones. spoil: what is done to the values of a picture."""
    unit, dtype = 1 << (bits - 8), np.uint8 if bits == 8 else np.uint16
    clean = [soft(n) * unit for n in range(count)]
    grey = np.full((40, 48), 128 * unit, dtype)
    pictures = [
        [np.rint(np.clip(spoil(c, unit), 0, 256 * unit - 1)).astype(dtype), grey, grey] for c in clean
    ]  # type: ignore[operator]
    return write_planes(path, pictures, "yuv420p" if bits == 8 else f"yuv420p{bits}le", TAGS), clean


def error(path: Path, clean: list[np.ndarray], unit: int = 1) -> float:
    """Root mean square error in codes of 8 bits, the edge left out."""
    found = [planes(f)[0].astype(float) for f in decoded(path)]
    return float(
        np.sqrt(np.mean([((a - b)[8:-8, 8:-8] / unit) ** 2 for a, b in zip(found, clean, strict=True)]))
    )


@pytest.mark.parametrize("bits", [8, 10])
def test_denoising_takes_away_most_of_the_noise(bits: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    source, clean = film(tmp_path / "in.mkv", lambda c, unit: c + rng.normal(0, 5 * unit, c.shape), bits)
    unit = 1 << (bits - 8)
    upscaled(source, tmp_path / "out.mkv", prefilter="denoise")
    assert error(tmp_path / "out.mkv", clean, unit) < 0.55 * error(source, clean, unit)


@pytest.mark.parametrize("bits", [8, 10])
def test_deblocking_smooths_the_borders_of_blocks(bits: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def blocky(values: np.ndarray, unit: int) -> np.ndarray:
        return values + np.kron(rng.normal(0, 3 * unit, (10, 12)), np.ones((8, 8)))

    def steps(path: Path) -> float:
        """How much larger steps at block borders are than elsewhere."""
        luma = np.stack([planes(f)[0].astype(float) for f in decoded(path)])
        across = np.abs(np.diff(luma, axis=2)).mean((0, 1))
        return float(across[7::8].mean() / np.delete(across, np.s_[7::8]).mean())

    source, _ = film(tmp_path / "in.mkv", blocky, bits)
    upscaled(source, tmp_path / "out.mkv", prefilter="deblock")
    assert steps(source) > 1.3
    assert steps(tmp_path / "out.mkv") < 0.75 * steps(source)


@pytest.mark.parametrize("kind", ["denoise", "deblock"])
@pytest.mark.parametrize("deinterlace", ["off", "auto"])
def test_filtered_frames_do_not_depend_on_the_cuts(kind: str, deinterlace: str, tmp_path: Path) -> None:
    source = media.interlaced(tmp_path / "in.mp4")
    found = []
    for name, seconds in (("many", 0.2), ("one", 1e6)):
        events = upscaled(
            source, tmp_path / f"{name}.mkv", prefilter=kind, deinterlace=deinterlace, chunk_seconds=seconds
        )
        assert (len(planned_of(events).plan.chunks) > 1) == (name == "many")
        found.append([(f.pts, f.digest) for f in frames(tmp_path / f"{name}.mkv")])
    assert found[0] == found[1]
    assert len(found[0]) == 16
    upscaled(source, tmp_path / "bare.mkv", deinterlace=deinterlace)
    assert [f.digest for f in frames(tmp_path / "bare.mkv")] != [d for _, d in found[0]]


@pytest.mark.parametrize("pix_fmt", ["yuv422p10le", "yuv444p", "gray", "gbrp"])
@pytest.mark.parametrize("kind", ["denoise", "deblock"])
def test_every_kind_of_pixels_goes_through(kind: str, pix_fmt: str, tmp_path: Path) -> None:
    source = media.cfr(
        tmp_path / "in.mkv",
        frames=3,
        codec="ffv1",
        pix_fmt=pix_fmt if pix_fmt != "gbrp" else "yuv444p",
        b_frames=0,
    )
    upscaled(source, tmp_path / "out.mkv", prefilter=kind)
    before, after = decoded(source), decoded(tmp_path / "out.mkv")
    for one, other in zip(before, after, strict=True):
        for a, b in zip(planes(one), planes(other), strict=True):
            assert abs(float(a.mean()) - float(b.mean())) < 2 << (one.format.components[0].bits - 8)


# --- strength


def test_strength_lies_between_the_classical_result_and_the_network_s(tmp_path: Path) -> None:
    source = media.cfr(tmp_path / "in.mkv", frames=2, size=(64, 48))
    results = {}
    for name, settings in {
        "none": {"model": "fast-x2", "strength": 0.0}, "half": {"model": "fast-x2", "strength": 0.5}, "all": {"model": "fast-x2", "strength": 1.0},
        "network": {"model": "fast-x2"}, "bicubic": {"model": "bicubic"},
    }.items():  # fmt: skip
        upscaled(source, tmp_path / f"{name}.mkv", scale=2, **settings)
        results[name] = [p.astype(int) for f in decoded(tmp_path / f"{name}.mkv") for p in planes(f)]
    assert all(np.array_equal(a, b) for a, b in zip(results["all"], results["network"], strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(results["none"], results["bicubic"], strict=True))
    assert max(np.abs(a - b).max() for a, b in zip(results["all"], results["bicubic"], strict=True)) > 4
    for a, half, b in zip(results["none"], results["half"], results["all"], strict=True):
        inner = (a > 0) & (a < 255) & (b > 0) & (b < 255)
        assert np.abs(half - (a + b) / 2)[inner].max() <= 2  # bf16 on either side of a half


@pytest.mark.parametrize("settings", [{"strength": 1.5}, {"strength": -0.1}, {"prefilter": "sharpen"}])
def test_settings_out_of_range_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="expected"):
        RunSettings(**settings)  # type: ignore[arg-type]
