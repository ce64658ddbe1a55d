"""`evaluate`: networks on pictures, videos and data sets, scored against the truth, beside bicubic and
Lanczos.

The protocol, so that figures compare with papers:
- pictures: truth cut to a multiple of the scale (of twice the scale for 4:2:0), R'G'B' shrunk by antialiased
  bicubic (Keys a = -0.5, MATLAB's `imresize`), rounded to 8 bits; luma by BT.601;
- videos: the same on their own luma and chroma planes;
- cases: "h264-23" encodes the small clip and decodes it again, "noise-10" adds noise to it, "blur-1.5" blurs
  the truth before it is shrunk; a picture is a video of one frame then (4:2:0, BT.601);
- luma compared in 8-bit limited-range codes with a peak of 255 and `scale` pixels left out along the border;
  results are rounded to codes first, as a file holds them; PSNR of a clip is the mean over its frames, a
  set's figure the mean over its pictures or clips;
- LPIPS, DISTS and the deep-feature distance see 8-bit R'G'B' of 4:2:0, of result and truth alike, with the
  same border left out (the last every eighth frame), ColorVideoVDP whole clips of it; VMAF and XPSNR the
  whole frame in 8-bit 4:2:0.

What is not named is chosen by what is judged: pictures clean, by PSNR and SSIM; films clean and encoded at a
few qualities, by PSNR, VMAF-NEG, flicker and, where its weights are installed, the deep-feature distance.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from models.architectures.restoring import Restoring
from models.catalog.loader import load_network
from models.catalog.lookup import find
from models.errors import UsageError
from models.losses.deep_distance import LEAST_PX, DeepDistance
from models.losses.dists import Dists
from models.losses.lpips import Lpips
from pipelines.datasets.degradation import read_case
from pipelines.datasets.shards import is_dataset
from pipelines.frames.images import strip, to_pixels, write_png
from pipelines.frames.reference_upscaler import classical, upscale_frames
from pipelines.frames.sample_values import SampleValues, from_values
from pipelines.plan.events import Note
from pipelines.probe.restoration_level import level_of_clip
from pipelines.quality import metrics
from pipelines.quality.evaluation_items import EvaluationItem, Material

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from models.catalog.card import Card
    from models.network import LoadedNetwork, Planes

__all__ = [
    "EvaluateSettings",
    "EvaluationItem",
    "EvaluationRow",
    "Judged",
    "Judging",
    "evaluate",
    "items",
    "judge",
]


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
"""Of films, where none are named."""
AS_MADE = "as-made"
"""The case of data sets."""
PICTURE_METRICS, VIDEO_METRICS = ("psnr", "ssim"), ("psnr", "vmaf-neg", "flicker")
_DEEP_EVERY = 8
"""Frames; films change little from one to the next, and the distance costs as much as a network."""


@dataclass(frozen=True)
class EvaluateSettings:
    """What is compared, and how."""

    scale: int | None = None
    """Which scale; None: every scale the models have."""
    cases: tuple[str, ...] = ()
    """Degradations of videos and pictures: "clean" or CODEC-QUALITY such as "h264-23", "noise-CODES",
    "blur-PX"; none: pictures clean, videos by VIDEO_CASES."""
    metrics: tuple[str, ...] = ()
    """Of METRICS; "flicker" is of clips alone, "energy" gradient energy as a share of the truth's, "vmaf"
    VMAF, VMAF-NEG and XPSNR. None: PICTURE_METRICS or VIDEO_METRICS, and of videos the deep-feature distance
    where it can be had."""
    restore: float | Literal["auto"] = "auto"
    """Level for networks that restore; "auto": what a run would estimate."""
    detail: float = 0.75
    """Of networks with both sets of weights: from the faithful (0) to the crisp ones (1)."""
    frames: int = 48
    """At most so many frames of a video."""
    range: str | None = None
    """The part of a video that they are the first of; None: all of it. See `parse_range`."""
    limit: int = 0
    """At most so many pictures or clips of a set; 0: all."""
    bf16: bool = False
    """Run networks as on a CPU with AMX or a GPU; else in fp32."""
    niqe_model: str = ""
    """BasicSR's niqe_pris_params.npz."""
    lpips_weights: tuple[str, ...] = ()
    """Files of its linear heads and of their backbone; see models.losses.lpips."""
    dists_weights: tuple[str, ...] = ()
    """Files of its alpha and beta and of VGG16; see models.losses.dists."""
    strips: str = ""
    """Folder for picture strips (input, Lanczos, model, truth); empty: none."""

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


@dataclass(frozen=True)
class Judging:
    """Event: how far the work is."""

    frames: int
    """Of all networks, weighed by what each costs, so that what is left is as far as they say."""
    total: int
    text: str
    """What is under way."""


@dataclass(frozen=True)
class Judged:
    """Event: one model was scored on one item."""

    model: str
    scale: int
    set: str
    case: str
    item: str
    scores: dict[str, float]


@dataclass
class EvaluationRow:
    """Event at the end: one line of the table, means over a set."""

    model: str
    scale: int
    set: str
    case: str
    count: int = 0
    scores: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    """Items that each score is the mean of: a picture has no flicker."""

    def add(self, scores: dict[str, float]) -> None:
        """Take one more item into the means."""
        for key, value in scores.items():
            seen = self.counts.get(key, 0)
            self.scores[key] = (self.scores.get(key, 0.0) * seen + value) / (seen + 1)
            self.counts[key] = seen + 1
        self.count += 1


def evaluate(
    models: Iterable[str], data: Iterable[str | Path], settings: EvaluateSettings
) -> Iterator[Note | Judging | Judged | EvaluationRow]:
    """Score models on data: folders of pictures, videos, data sets made by `dataset`.

    Yields a Note of what is left out, a Judging for every frame, a Judged for every picture or clip and
    model, then all Rows. Raises UsageError for names that mean nothing, and for data sets where other cases
    than "clean" are asked for: their pairs were degraded when they were made.
    """
    sources = list(map(Path, data))
    fixed = [source for source in sources if is_dataset(source)]
    if fixed and settings.cases not in {(), ("clean",)}:
        raise UsageError(
            f"{fixed[0]}: is a data set, whose pairs are degraded as they were made; judge by it without"
            " --case"
        )
    names = Counter(source.name for source in sources)
    labels = {source: source.name if names[source.name] == 1 else str(source) for source in sources}
    rows: dict[tuple[str, int, str, str], EvaluationRow] = {}
    by_scale = _by_scale(models, settings.scale)
    material = {source: _material(source, settings) for source in sources}
    chosen = {source: _cases_of(found, settings) for source, found in material.items()}
    yield from (Note(text) for m in material.values() for text in m.notes)
    work = _Work(by_scale, [(material[source], cases) for source, cases in chosen.items()])
    for scale, cards in by_scale.items():
        networks = {label: load_network(card) for label, card in cards.items()}
        for source, cases in chosen.items():
            for case in cases:
                for item in material[source].items(
                    scale, case, pictures=bool(settings.cases) or case == "clean"
                ):
                    for event in _judge_all(networks, item, (scale, labels[source], case), settings, work):
                        if isinstance(event, Judged):
                            key = (event.model, scale, event.set, case)
                            rows.setdefault(key, EvaluationRow(event.model, scale, event.set, case)).add(
                                event.scores
                            )
                        yield event
    yield from rows.values()


def _cases_of(material: Material, settings: EvaluateSettings) -> tuple[str, ...]:
    """In which cases it is judged."""
    if material.pairs is not None:
        return (AS_MADE,)
    return settings.cases or (VIDEO_CASES if material.has_videos else ("clean",))


def _by_scale(models: Iterable[str], scale: int | None) -> dict[int, dict[str, Card]]:
    """Scale -> the cards to judge at it; classical scalers are always there as baselines."""
    found: dict[int, dict[str, Card]] = {scale: {}} if scale else {}
    named: dict[int, list[tuple[str, Card]]] = {}
    for name in models:
        cards = [c for c in find(name) if c.architecture != "interpolation"]
        if name not in BASELINES and not any(scale in {None, c.scale} for c in cards):
            raise UsageError(
                f"{name}: is no network of scale {scale}; it has"
                f" {', '.join(str(c.scale) for c in cards) or 'none'}"
            )
        for card in cards:
            if scale in {None, card.scale} and all(
                other.path != card.path for _, other in named.get(card.scale, [])
            ):
                named.setdefault(card.scale, []).append((name, card))
    for size, ones in named.items():
        inner = found.setdefault(size, {})
        common = Counter(card.name for _, card in ones)
        for name, card in ones:
            # A network of one's own goes by its file beside the one that it has its name from.
            label = (
                card.name
                if common[card.name] == 1 or Path(name).suffix not in {".safetensors", ".toml"}
                else name
            )
            inner[label if label not in inner else f"{label} ({len(inner) + 1})"] = card
    if not found:
        raise UsageError("only classical scalers were named, which reach any size; give --scale")
    return found


def _judge_all(
    networks: dict[str, LoadedNetwork],
    item: EvaluationItem,
    where: tuple[int, str, str],
    settings: EvaluateSettings,
    work: _Work,
) -> Iterator[Judging | Judged]:
    """Score one item: result by result, so that no more than one of them is held."""
    scale, set_name, case = where
    chosen = replace(settings, metrics=settings.metrics or _metrics_of(item))
    low, truth = item.low_planes, item.truth_planes
    height, width = truth[0].shape[-2:]
    for name in (*BASELINES, *networks):
        label = f"{item.name} {case} {name}"
        yield work.judging(label)
        if name in networks:
            frames = []
            network = _as_it_runs(networks[name], item, settings)
            for frame in upscale_frames(
                network.module,
                low,
                contract=network.contract,
                bf16=settings.bf16,
                matrix=item.matrix,
                rgb=item.low_rgb,
            ):
                frames.append(frame)
                yield work.judging(label, scale, name, low)
            result = torch.cat([f[0] for f in frames]), torch.cat([f[1] for f in frames])
        else:
            result = classical(low, scale, name)
        result = result[0][..., :height, :width], result[1][..., : height // 2, : width // 2]
        yield Judged(
            name,
            scale,
            set_name,
            case,
            item.name,
            judge(result, truth, scale, chosen, rate=item.rate, matrix=item.matrix),
        )
        if settings.strips and name not in BASELINES:
            simple = [classical(low, scale, kernel) for kernel in ("nearest", "lanczos")]
            shown = [*((luma[..., :height, :width], chroma) for luma, chroma in simple), result, truth]
            write_png(
                Path(settings.strips) / f"{name}_{set_name}_{case}_{item.name}.png", strip(shown, item.matrix)
            )


def _metrics_of(item: EvaluationItem) -> tuple[str, ...]:
    """Which ones, where none are named."""
    if not item.is_video:
        return PICTURE_METRICS
    return (*VIDEO_METRICS, "deep-distance") if DeepDistance.is_installed() else VIDEO_METRICS


def _as_it_runs(network: LoadedNetwork, item: EvaluationItem, settings: EvaluateSettings) -> LoadedNetwork:
    """A network that restores as a run would have it for the item."""
    if not isinstance(network.module, Restoring):
        return network
    level = settings.restore
    if level == "auto":
        luma = item.low.luma if isinstance(item.low, SampleValues) else _luma_codes(item.low).numpy()
        level = level_of_clip(luma, item.low.bits if isinstance(item.low, SampleValues) else 8) or 0.0
    return replace(network, module=network.module.at(float(level), settings.detail).eval())


def judge(
    result: Planes,
    truth: Planes,
    scale: int,
    settings: EvaluateSettings,
    *,
    rate: float = 25.0,
    matrix: int = 5,
) -> dict[str, float]:
    """Scores of one result (T,1,H,W) and (T,2,H/2,W/2) by the protocol of this module.

    matrix: of its colour (H.273).
    """
    ours, theirs = metrics.trim(_luma_codes(result).round(), scale), metrics.trim(_luma_codes(truth), scale)
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
        found = metrics.by_ffmpeg(*codes, rate=max(1, round(rate)))
        scores |= found if "vmaf" in settings.metrics else {"vmaf_neg": found["vmaf_neg"]}
    for name, measure in _learned(settings).items():
        if name == "deep_distance" and min(ours.shape[1:]) < LEAST_PX:
            continue
        every = _DEEP_EVERY if name == "deep_distance" else 1
        chosen = range(min(every // 2, len(ours) - 1), len(ours), every)
        pairs = ([_rgb(planes, index, matrix, scale) for planes in (result, truth)] for index in chosen)
        with torch.inference_mode():
            scores[name] = float(np.mean([measure(a, b).item() for a, b in pairs]))
    if "cvvdp" in settings.metrics:
        clips = (
            torch.cat([_rgb(planes, index, matrix, 0) for index in range(len(ours))])
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
    """The metrics that have weights of their own."""
    weights = {"lpips": settings.lpips_weights, "dists": settings.dists_weights, "deep_distance": ()}
    return {
        name: _read_learned(name, paths)
        for name, paths in weights.items()
        if name.replace("_", "-") in settings.metrics
    }


def _rgb(planes: Planes, index: int, matrix: int, border_px: int) -> torch.Tensor:
    """A frame as (1,3,H,W) of 8-bit R'G'B', 0..1, without its border."""
    pixels = torch.from_numpy(to_pixels(planes, index, matrix)).permute(2, 0, 1)
    return metrics.trim(pixels, border_px)[None].float() / 255


def _even(planes: Planes) -> Planes:
    """Without the last row or column of odd sides, which 4:2:0 can't hold."""
    height, width = (side // 2 * 2 for side in planes[0].shape[-2:])
    return planes[0][..., :height, :width], planes[1][..., : height // 2, : width // 2]


def _luma_codes(planes: Planes) -> torch.Tensor:
    """(T,H,W) luma in 8-bit limited-range codes, not rounded."""
    return (planes[0][:, 0] * 219 + 16).clamp(0, 255)


def items(source: Path, scale: int, case: str, settings: EvaluateSettings) -> Iterator[EvaluationItem]:
    """What there is to judge by in a folder of pictures, a video or the held-out part of a data set."""
    yield from _material(source, settings).items(scale, case)


def _material(source: Path, settings: EvaluateSettings) -> Material:
    return Material.read(source, limit=settings.limit, frames=settings.frames, range_=settings.range)


_COST_OF_JUDGING = 40.0
"""GFLOP a megapixel that decoding, scalers and PSNR and SSIM come to, beside those of the networks; rough."""


class _Work:
    """How much there is to do, and how much is done, in megapixels of input times what each network costs."""

    def __init__(
        self, cards: dict[int, dict[str, Card]], material: list[tuple[Material, tuple[str, ...]]]
    ) -> None:
        self._costs = {
            (scale, name): card.gflop_per_megapixel + _COST_OF_JUDGING
            for scale, ones in cards.items()
            for name, card in ones.items()
        }
        self._all = sum(
            m.work() * len(cases) / scale**2 * cost
            for m, cases in material
            for (scale, _), cost in self._costs.items()
        )
        self._frames = sum(m.frames() * len(cases) for m, cases in material) * len(self._costs)
        self._done = 0.0

    def judging(self, text: str, scale: int = 1, name: str = "", low: Planes | None = None) -> Judging:
        """How far it is, with one more frame like those of `low` through that network."""
        if low is not None:
            self._done += low[0].shape[-2] * low[0].shape[-1] / 1e6 * self._costs[scale, name]
        return Judging(
            min(self._frames, int(self._frames * self._done / self._all)) if self._all else 0,
            self._frames,
            text,
        )
