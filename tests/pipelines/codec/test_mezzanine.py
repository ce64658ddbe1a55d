"""Production codecs: ProRes, DNxHR, CineForm, FFV1.

Alpha is kept if the result can hold it; otherwise this is reported.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from models.errors import UsageError
from pipelines.media.pixel_format import planar_format
from pipelines.probe.probe import probe
from tests import media
from tests.helpers.inline import H264, planned_of, upscaled
from tests.helpers.sameness import assert_same_frames, assert_same_timing
from tests.helpers.view import decoded, frames, planes

pytestmark = pytest.mark.usefixtures("inline")

KINDS = {
    "prores-422": ("mov", "prores_ks", "yuv422p10le", {"profile": "hq"}),
    "prores-4444": ("mov", "prores_ks", "yuva444p10le", {"profile": "4444", "alpha_bits": "16"}),
    "dnxhr-sq": ("mov", "dnxhd", "yuv422p", {"profile": "dnxhr_sq"}),
    "dnxhr-hqx": ("mov", "dnxhd", "yuv422p10le", {"profile": "dnxhr_hqx"}),
    "dnxhr-444": ("mov", "dnxhd", "gbrp10le", {"profile": "dnxhr_444"}),
    "cineform-422": ("mov", "cfhd", "yuv422p10le", {}),
    "cineform-rgba": ("mov", "cfhd", "gbrap12le", {}),
    "ffv1-rgba-16": ("mkv", "ffv1", "gbrap16le", {}),
    "ffv1-alpha-8": ("mkv", "ffv1", "yuva420p", {}),
}


def made(folder: Path, name: str) -> Path:
    suffix, codec, pix_fmt, options = KINDS[name]
    return media.mezzanine(folder / f"in.{suffix}", codec, pix_fmt, **options)


@pytest.mark.parametrize("name", KINDS)
def test_every_bit_and_alpha_come_through_however_it_is_cut(tmp_path: Path, name: str) -> None:
    source = made(tmp_path, name)
    for cut, seconds in (("many", 0.1), ("one", 1e6)):
        output = tmp_path / f"{cut}.mkv"
        events = upscaled(source, output, chunk_seconds=seconds)
        assert (len(planned_of(events).plan.chunks) > 2) == (cut == "many")
        assert_same_frames(frames(output), frames(source))
        assert_same_timing(output, source)


@pytest.mark.parametrize("name", ["prores-4444", "cineform-rgba", "ffv1-alpha-8"])
def test_alpha_stays_in_prores(tmp_path: Path, name: str) -> None:
    source = made(tmp_path, name)
    output = tmp_path / "out.mov"
    events = upscaled(source, output, codec="prores")
    plan = planned_of(events).plan
    assert (plan.encoder.options["profile"], plan.out_pix_fmt) == ("4444", "yuva444p10le")
    deep = planar_format(probe(source).pix_fmt).bits
    for before, after in zip(decoded(source), decoded(output), strict=True):
        alpha = planes(after)[3] / ((1 << after.format.components[0].bits) - 1) - planes(before)[3] / (
            (1 << deep) - 1
        )
        assert np.abs(alpha).max() < 0.004
    assert any(f"{deep} bits become 10" in n for n in planned_of(events).info.notes) == (deep > 10)


def test_alpha_is_resized_with_the_picture(tmp_path: Path) -> None:
    source = made(tmp_path, "ffv1-alpha-8")
    upscaled(source, tmp_path / "out.mkv", scale=2, model="lanczos")
    small, large = (planes(decoded(p)[3])[3].astype(float) for p in (source, tmp_path / "out.mkv"))
    assert np.abs(large.reshape(128, 2, 256, 2).mean((1, 3)) - small).max() < 2.5


def test_a_sample_s_shape_that_ffv1_keeps_in_its_slices_is_no_mistake(tmp_path: Path) -> None:
    """Matroska's header does not say it; with H.264 there it is found."""
    source = media.cfr(tmp_path / "in.mp4", frames=4, sar=Fraction(11, 12))
    upscaled(source, tmp_path / "out.mkv")
    upscaled(source, tmp_path / "h264.mkv", **H264)
    assert probe(tmp_path / "h264.mkv").sar == Fraction(11, 12)


@pytest.mark.parametrize("codec", ["hevc", "h264", "av1"])
def test_alpha_that_cannot_be_kept_is_said(tmp_path: Path, codec: str) -> None:
    source = made(tmp_path, "ffv1-alpha-8")
    notes = planned_of(
        upscaled(source, tmp_path / "out.mkv", codec=codec, preset="draft", crf=30.0)
    ).info.notes
    assert any("its alpha is left out" in n and "--codec prores or ffv1" in n for n in notes)


def test_sixteen_bits_that_cannot_be_kept_are_refused_with_a_remedy(tmp_path: Path) -> None:
    source = made(tmp_path, "ffv1-rgba-16")
    with pytest.raises(
        UsageError, match=r"hevc can't hold gbrap16le; choose --codec ffv1, or .*--pixel-format yuv420p10le"
    ):
        upscaled(source, tmp_path / "out.mkv", codec="hevc")


def test_prores_says_its_own_profile_by_what_it_holds(tmp_path: Path) -> None:
    for name, profile in (("prores-422", "hq"), ("dnxhr-444", "4444")):
        (tmp_path / name).mkdir()
        source = made(tmp_path / name, name)
        assert (
            planned_of(upscaled(source, tmp_path / name / "out.mov", codec="prores")).plan.encoder.options[
                "profile"
            ]
            == profile
        )
