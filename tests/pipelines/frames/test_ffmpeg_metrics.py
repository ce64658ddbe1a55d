"""FFmpeg's metrics, frame by frame, of images that are passed to it one after the other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.errors import MediaError
from pipelines.frames.ffmpeg_metrics import MetricsProcess, pooled, vmaf_model
from pipelines.frames.sample_values import SampleValues
from tests import media


def clip(frames: int, bits: int = 8) -> list[SampleValues]:
    pixels = "yuv420p" if bits == 8 else "yuv420p10le"
    made = []
    for number in range(frames):
        luma, *chroma = media.planes_of(number, 96, 64, pixels)
        made.append(SampleValues(luma[None], np.stack(chroma)[None], bits))
    return made


def worse(codes: SampleValues) -> SampleValues:
    return SampleValues(
        ((codes.luma.astype(np.uint32) + np.roll(codes.luma, 9, 2)) // 2).astype(codes.luma.dtype),
        codes.chroma,
        codes.bits,
    )


@pytest.mark.parametrize("bits", [8, 10])
def test_each_result_has_its_own_figures_of_each_frame(bits: int) -> None:
    truth = clip(5, bits)
    with MetricsProcess(96, 64, bits, results=2) as meter:
        for number, frame in enumerate(truth):
            meter.add([frame, worse(frame) if number == 3 else frame, frame])
        same, one_bad = meter.figures()
    assert all(len(values) == 5 for values in same.values())
    assert same["vmaf"].mean() >= 97
    assert np.isinf(same["xpsnr"]).all()
    assert math.isinf(pooled("xpsnr", same["xpsnr"]))
    assert (same["ssim"] == 1).all()
    for name in ("ssim", "xpsnr", "vmaf_neg"):
        assert int(one_bad[name].argmin()) == 3, name
    assert pooled("ssim", one_bad["ssim"]) == one_bad["ssim"].mean()


def test_the_level_of_a_clip_is_that_of_its_mean_distortion() -> None:
    assert pooled("xpsnr", np.array([40.0, 40.0])) == pytest.approx(40)
    assert pooled("xpsnr", np.array([math.inf, 40.0])) == pytest.approx(40 + 20 * math.log10(2))


def test_large_pictures_are_judged_as_on_a_4k_screen() -> None:
    assert vmaf_model(3840, 2160) == vmaf_model(2160, 3840) == "vmaf_4k_v0.6.1"
    assert vmaf_model(1920, 1080) == vmaf_model(2560, 1440) == "vmaf_v0.6.1"


def test_pictures_of_another_size_than_promised_are_an_error() -> None:
    (frame,) = clip(1)
    half = SampleValues(frame.luma[:, :32], frame.chroma[:, :, :16], 8)
    with MetricsProcess(96, 64, 8) as meter:
        meter.add([half, half])
        with pytest.raises(MediaError, match="FFmpeg"):
            meter.figures()


def test_an_ended_ffmpeg_is_an_error_of_the_medium() -> None:
    (frame,) = clip(1)
    with MetricsProcess(96, 64, 8) as meter:
        meter._process.kill()
        meter._process.wait()
        with pytest.raises(MediaError, match="failed"):
            meter.add([frame, frame])
