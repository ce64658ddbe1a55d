"""FFmpeg's filters before the networks, and the share of the networks' detail in the result."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest

from models.errors import UsageError
from pipelines.codec.prefilters import BitDepthRaiser, decomb, dehalo
from pipelines.diagnostics.preview import preview_prefilters
from pipelines.media.pixel_format import PixelFormat
from pipelines.media.video_info import Frame
from pipelines.settings.option_values import PREFILTERS
from pipelines.settings.run_settings import RunSettings
from tests import media
from tests.helpers.inline import QUICK, planned_of, upscaled
from tests.helpers.patches import write_planes
from tests.helpers.view import decoded, frames, planes
from vsr.api import run_settings

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


def png_values(data: bytes) -> np.ndarray:
    """The green of a PNG file."""
    with av.open(io.BytesIO(data)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")[..., 1].astype(float)


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


@pytest.mark.parametrize(
    ("kind", "deinterlace"),
    [
        ("denoise", "auto"),
        ("deblock", "off"),
        ("decomb,deblock,deband,dehalo", "off"),
        ("dehalo,denoise,deband", "auto"),
    ],
)
def test_filtered_frames_do_not_depend_on_the_cuts(kind: str, deinterlace: str, tmp_path: Path) -> None:
    """Case 103."""
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
@pytest.mark.parametrize("kind", ["denoise", "decomb,deblock,deband,dehalo"])
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
        depths = [f.format.components[0].bits for f in (one, other)]
        for a, b in zip(planes(one), planes(other), strict=True):
            shown = [float(p.mean()) / (1 << bits) for p, bits in zip((a, b), depths, strict=True)]
            assert abs(shown[0] - shown[1]) < 2 / 256


# --- dehalo, deband, decomb


def edges(number: int, height: int = 80, width: int = 96) -> np.ndarray:
    """Grey steps at a slant that moves, without halos."""
    y, x = np.mgrid[0:height, 0:width]
    return np.where((x + y // 3 + 2 * number) // 24 % 2 > 0, 180.0, 70.0)


def sharpened(values: np.ndarray) -> np.ndarray:
    """With an overshoot of a few pixels on either side of edges, as cheap sharpening makes."""
    soft = sum(np.roll(np.roll(values, i, 0), j, 1) for i in (-1, 0, 1) for j in (-1, 0, 1)) / 9
    return values + 0.35 * (values - soft)


@pytest.mark.parametrize("bits", [8, 10])
def test_dehalo_takes_halos_away_and_leaves_lines_and_noise(bits: int) -> None:
    """Case 103."""
    unit = 1 << (bits - 8)
    dtype = np.uint8 if bits == 8 else np.uint16
    clean, rng = edges(0) * unit, np.random.default_rng(0)
    haloed = np.rint(sharpened(edges(0)) * unit).astype(dtype)
    made = dehalo(haloed, bits, 0)
    errors = [float(np.sqrt(np.mean((a.astype(float) - clean)[8:-8, 8:-8] ** 2))) for a in (haloed, made)]
    assert errors[1] < 0.5 * errors[0]
    lines = np.full((80, 96), 60 * unit, dtype)
    lines[:, ::12] = 200 * unit
    assert np.array_equal(dehalo(lines, bits, 0), lines)
    noise = np.rint(rng.normal(120, 3, (80, 96)) * unit).astype(dtype)
    noise[:, 80:] = 200 * unit  # an edge, far from where noise is looked at
    assert np.array_equal(dehalo(noise, bits, 0)[:, :70], noise[:, :70])
    assert dehalo(haloed, bits, 1) is haloed


def test_deband_brings_a_gradient_back_in_ten_bits(tmp_path: Path) -> None:
    """Case 103."""
    x = np.mgrid[0:80, 0:192][1]
    true = 60 + 10 * x / 192
    grey = np.full((40, 96), 128, np.uint8)
    source = write_planes(
        tmp_path / "in.mkv", [[np.rint(true).astype(np.uint8), grey, grey]] * 2, "yuv420p", TAGS
    )
    events = upscaled(source, tmp_path / "out.mkv", prefilter="deband")
    assert planned_of(events).plan.out_pix_fmt == "yuv420p10le"
    (found, _), *_ = [planes(f) for f in decoded(tmp_path / "out.mkv")], None
    luma = found[0].astype(float)

    def seen(error: np.ndarray) -> float:
        """Root mean square of what an eye that blurs sees of an error."""
        soft = sum(np.roll(np.roll(error, i, 0), j, 1) for i in range(-4, 5) for j in range(-4, 5)) / 81
        return float(np.sqrt(np.mean(soft[8:-8, 36:-36] ** 2)))

    assert seen(luma - 4 * true) < 0.5 * seen(4 * np.rint(true) - 4 * true)
    assert set(np.unique(found[1])) == {512}


@pytest.mark.parametrize("full", [False, True])
def test_ten_bits_mean_what_eight_bits_meant(full: bool) -> None:
    """Case 103: black, white and no colour stay what they are, in both ranges."""
    raising = BitDepthRaiser(PixelFormat.parse("yuva420p"), full=full)
    codes = np.array([[0, 16, 128, 235, 255]], np.uint8)
    made = raising(Frame(0, [codes] * 4))
    luma, colour, _, alpha = (p[0].tolist() for p in made.planes)
    assert (luma[0], luma[4]) == ((0, 1023) if full else (0, 1020))
    assert (luma[1], luma[3]) == ((64, 943) if full else (64, 940))
    assert colour[2] == 512
    assert (alpha[0], alpha[4]) == (0, 1023)


@pytest.mark.parametrize("bits", [8, 10])
def test_decomb_makes_one_moment_of_two_and_leaves_texture(bits: int) -> None:
    """Case 103."""
    unit = 1 << (bits - 8)
    dtype = np.uint8 if bits == 8 else np.uint16
    top, bottom = (np.rint((soft(n, 192, 96) + 40 * (edges(n, 96, 192) > 100)) * 0.6 * unit) for n in (0, 4))
    combed = top.copy()
    combed[1::2] = bottom[1::2]
    made = decomb(combed.astype(dtype), bits, 0)
    errors = [float(np.sqrt(np.mean((a.astype(float) - top) ** 2))) / unit for a in (combed, made)]
    assert errors[1] < 0.5 * errors[0]
    whole = top.astype(dtype)
    assert decomb(whole, bits, 0) is whole
    rng = np.random.default_rng(0)
    texture = np.rint(rng.normal(120, 8, (96, 192)) * unit).clip(0, 256 * unit - 1).astype(dtype)
    assert np.array_equal(decomb(texture, bits, 0), texture)


def test_prefilters_work_in_the_order_in_which_they_are_named(tmp_path: Path) -> None:
    """Case 103."""
    source, _ = film(
        tmp_path / "in.mkv", lambda c, unit: c + np.random.default_rng(1).normal(0, 6, c.shape), count=2
    )
    found = {}
    for names in ("deblock,denoise", "denoise,deblock", "denoise, deblock", "denoise", "deblock"):
        made = tmp_path / f"{len(found)}.mkv"
        events = upscaled(source, made, prefilter=names)
        found[names] = planes(decoded(made)[0])[0]
        assert planned_of(events).plan.prefilter == names.replace(" ", "")
    assert np.array_equal(found["denoise,deblock"], found["denoise, deblock"])
    assert not np.array_equal(found["denoise,deblock"], found["deblock,denoise"])
    upscaled(tmp_path / "4.mkv", tmp_path / "twice.mkv", prefilter="denoise")
    assert np.array_equal(planes(decoded(tmp_path / "twice.mkv")[0])[0], found["deblock,denoise"])


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("denoise,sharpen", "--prefilter sharpen: expected one or several of"),
        ("denoise,deblock,denoise", "denoise comes twice"),
    ],
)
def test_unknown_and_repeated_prefilters_are_refused(names: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        RunSettings(prefilter=names)


def test_preview_shows_one_network_behind_each_prefilter(tmp_path: Path) -> None:
    """Case 103."""
    source, _ = film(
        tmp_path / "in.mkv", lambda c, unit: c + np.random.default_rng(1).normal(0, 8, c.shape), count=4
    )
    settings = run_settings(**{**QUICK, "prefilter": "denoise,deblock"})
    *_, shown = preview_prefilters(source, tmp_path / "shown", settings, at=["0"])
    assert [c.model for c in shown.choices] == ["no prefilter", *PREFILTERS, "denoise,deblock"]
    pictures = [png_values(data) for data in shown.moments[0].pictures]
    upscaled(source, tmp_path / "out.mkv", prefilter="denoise")
    luma = planes(decoded(tmp_path / "out.mkv")[0])[0].astype(float)
    assert pictures[1].std() == pytest.approx(luma.std() * 255 / 219, rel=0.02)
    assert pictures[0].std() > pictures[1].std()


# --- strength


def test_strength_lies_between_the_classical_result_and_the_network_s(tmp_path: Path) -> None:
    source = media.cfr(tmp_path / "in.mkv", frames=2, size=(64, 48))
    results = {}
    for name, settings in {
        "none": {"model": "fast-x2", "strength": 0.0}, "half": {"model": "fast-x2", "strength": 0.5}, "all": {"model": "fast-x2", "strength": 1.0},
        "network": {"model": "fast-x2"}, "bicubic": {"model": "bicubic"},
    }.items():  # fmt: skip
        upscaled(source, tmp_path / f"{name}.mkv", scale=2, precision="fp32", **settings)
        results[name] = [p.astype(int) for f in decoded(tmp_path / f"{name}.mkv") for p in planes(f)]
    assert all(np.array_equal(a, b) for a, b in zip(results["all"], results["network"], strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(results["none"], results["bicubic"], strict=True))
    assert max(np.abs(a - b).max() for a, b in zip(results["all"], results["bicubic"], strict=True)) > 4
    for a, half, b in zip(results["none"], results["half"], results["all"], strict=True):
        inner = (a > 0) & (a < 255) & (b > 0) & (b < 255)
        assert np.abs(half - (a + b) / 2)[inner].max() <= 2


@pytest.mark.parametrize("settings", [{"strength": 1.5}, {"strength": -0.1}, {"prefilter": "sharpen"}])
def test_settings_out_of_range_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="expected"):
        RunSettings(**settings)  # type: ignore[arg-type]
