"""`judge`: the scores of one result against its ground truth, by the protocol of `evaluation`."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from models.errors import UsageError
from models.losses.deep_distance import LEAST_PX, DeepDistance
from models.losses.dists import Dists
from models.losses.lpips import Lpips
from pipelines.datasets.degradation import read_case
from pipelines.frames.images import to_pixels
from pipelines.frames.sample_values import from_values
from pipelines.quality import metrics

if TYPE_CHECKING:
    from models.network import Planes

__all__ = ["BASELINES", "METRICS", "VIDEO_CASES", "EvaluateSettings", "judge", "luma_codes", "rgb_of"]


BASELINES = ("bicubic", "lanczos")
METRICS = (
    "psnr",
    "ssim",
    "flicker",
    "niqe",
    "energy",
    "vmaf",
    "vmaf-neg",
    "deep-distance",
    "lpips",
    "dists",
    "cvvdp",
)
VIDEO_CASES = ("clean", "h264-18", "h264-24", "h264-30", "hevc-28")
"""Default cases of films."""
_DEEP_EVERY = 8
"""Frame interval; films change little from frame to frame, and the distance costs as much as a network."""


@dataclass(frozen=True)
class EvaluateSettings:
    """What is scored, and how."""

    scale: int | None = None
    """Only this scale; None: every scale of the models."""
    cases: tuple[str, ...] = ()
    """Degradations of videos and images: "clean" or CODEC-QUALITY such as "h264-23", "noise-SIGMA",
    "blur-SIGMA"; none: images clean, videos by VIDEO_CASES."""
    metrics: tuple[str, ...] = ()
    """A subset of METRICS; "flicker" is for clips only, "energy" gradient energy relative to the ground
    truth, "vmaf" VMAF, VMAF-NEG and XPSNR. None: PICTURE_METRICS or VIDEO_METRICS, and for videos the
    deep-feature distance if available."""
    restore: float | Literal["auto"] = "auto"
    """Level for networks that restore; "auto": what a run would estimate."""
    detail: float | None = None
    """For networks with both sets of weights: from the faithful (0) to the crisp ones (1); None: as in a
    run."""
    frames: int = 48
    """Most frames of a video."""
    range: str | None = None
    """The part of a video that they are the first frames of; None: all of it. See `parse_range`."""
    limit: int = 0
    """Most images or clips of a set; 0: all."""
    bf16: bool = False
    """Run networks as on a CPU with AMX or a GPU; else in fp32."""
    niqe_model: str = ""
    """BasicSR's niqe_pris_params.npz."""
    lpips_weights: tuple[str, ...] = ()
    """Files of its linear heads and of their backbone; see models.losses.lpips."""
    dists_weights: tuple[str, ...] = ()
    """Files of its alpha and beta and of VGG16; see models.losses.dists."""
    strips: str = ""
    """Folder for image strips (input, Lanczos, model, ground truth); empty: none."""

    def __post_init__(self) -> None:
        unknown = [m for m in self.metrics if m not in METRICS]
        if unknown:
            raise UsageError(f"metric {unknown[0]!r}: expected one of {', '.join(METRICS)}")
        if "niqe" in self.metrics and not self.niqe_model:
            raise UsageError(
                "NIQE compares with a model of pristine pictures: give BasicSR's niqe_pris_params.npz"
                " (--niqe-model)"
            )
        for name, option in (("lpips", self.lpips_weights), ("dists", self.dists_weights)):
            if name in self.metrics and not option:
                raise UsageError(
                    f"{name.upper()} wants weights that you have: give its own and those of its backbone"
                    f" (--{name}-weights, twice)"
                )
        for case in self.cases:
            read_case(case)


def judge(
    result: Planes,
    truth: Planes,
    scale: int,
    settings: EvaluateSettings,
    *,
    rate: float = 25.0,
    matrix: int = 5,
) -> dict[str, float]:
    """Scores of one result (T,1,H,W) and (T,2,H/2,W/2) by the protocol of `evaluation`.

    matrix: matrix coefficients of its colour (H.273).
    """
    ours, theirs = (
        metrics.crop_border(luma_codes(result).round(), scale),
        metrics.crop_border(luma_codes(truth), scale),
    )
    scores: dict[str, float] = {}
    if "psnr" in settings.metrics:
        scores["psnr"] = float(np.mean([metrics.psnr(a, b) for a, b in zip(ours, theirs, strict=True)]))
    if "ssim" in settings.metrics:
        scores["ssim"] = metrics.ssim(ours, theirs)
    if "flicker" in settings.metrics and len(ours) > 1:
        scores["flicker"] = metrics.flicker(ours, theirs)
    if "energy" in settings.metrics:
        scores["energy"] = metrics.gradient_energy(ours, theirs)
    if "niqe" in settings.metrics:
        scores["niqe"] = metrics.niqe(ours[len(ours) // 2], metrics.NiqeModel.read(settings.niqe_model))
    if {"vmaf", "vmaf-neg"} & set(settings.metrics):
        codes = (from_values(_even(planes), 8) for planes in (result, truth))
        found = metrics.vmaf_and_xpsnr(*codes, rate=max(1, round(rate)))
        scores |= found if "vmaf" in settings.metrics else {"vmaf_neg": found["vmaf_neg"]}
    for name, measure in _learned(settings).items():
        if name == "deep_distance" and min(ours.shape[1:]) < LEAST_PX:
            continue
        every = _DEEP_EVERY if name == "deep_distance" else 1
        chosen = range(min(every // 2, len(ours) - 1), len(ours), every)
        pairs = ([rgb_of(planes, index, matrix, scale) for planes in (result, truth)] for index in chosen)
        with torch.inference_mode():
            scores[name] = float(np.mean([measure(a, b).item() for a, b in pairs]))
    if "cvvdp" in settings.metrics:
        clips = (
            torch.cat([rgb_of(planes, index, matrix, 0) for index in range(len(ours))])
            for planes in (result, truth)
        )
        scores["cvvdp"] = metrics.cvvdp(*clips, rate=rate)
    return {k: v for k, v in scores.items() if not math.isnan(v)}


@functools.cache
def _read_learned(name: str, paths: tuple[str, ...]) -> Lpips | Dists | DeepDistance:
    if name == "deep_distance":
        return DeepDistance.read()
    return Lpips.read(paths) if name == "lpips" else Dists.read(paths)


def _learned(settings: EvaluateSettings) -> dict[str, Lpips | Dists | DeepDistance]:
    """The metrics with learned weights."""
    weights = {"lpips": settings.lpips_weights, "dists": settings.dists_weights, "deep_distance": ()}
    return {
        name: _read_learned(name, paths)
        for name, paths in weights.items()
        if name.replace("_", "-") in settings.metrics
    }


def rgb_of(planes: Planes, index: int, matrix: int, border_px: int) -> torch.Tensor:
    """A frame as (1,3,H,W) of 8-bit R'G'B', 0..1, without its border."""
    pixels = torch.from_numpy(to_pixels(planes, index, matrix)).permute(2, 0, 1)
    return metrics.crop_border(pixels, border_px)[None].float() / 255


def _even(planes: Planes) -> Planes:
    """Without the last row or column of odd sides, which 4:2:0 does not support."""
    height, width = (side // 2 * 2 for side in planes[0].shape[-2:])
    return planes[0][..., :height, :width], planes[1][..., : height // 2, : width // 2]


def luma_codes(planes: Planes) -> torch.Tensor:
    """Return (T,H,W) luma in 8-bit limited range, not rounded."""
    return (planes[0][:, 0] * 219 + 16).clamp(0, 255)
