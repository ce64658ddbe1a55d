"""`evaluate`: scores networks on images, videos and data sets, with bicubic and Lanczos as baselines.

The protocol, so that scores are comparable with papers:
- images: ground truth cropped to a multiple of the scale (of twice the scale for 4:2:0), R'G'B' downscaled by
  antialiased bicubic (Keys a = -0.5, MATLAB's `imresize`), rounded to 8 bits; luma by BT.601;
- videos: the same on their own luma and chroma planes;
- cases: "h264-23" encodes and decodes the downscaled clip, "noise-10" adds noise to it, "blur-1.5" blurs the
  ground truth before downscaling; an image is then a video of one frame (4:2:0, BT.601);
- luma compared in 8-bit limited range with a peak of 255 and a border of `scale` pixels excluded; results are
  rounded to integers first, as in a file; PSNR of a clip is the mean over its frames, a set's score the mean
  over its images or clips;
- LPIPS, DISTS and the deep-feature distance use 8-bit R'G'B' made from 4:2:0, for result and ground truth,
  with the same border excluded (the last every eighth frame), ColorVideoVDP whole clips of it; VMAF and XPSNR
  the whole frame in 8-bit 4:2:0.

Defaults depend on the data: images clean, by PSNR and SSIM; films clean and encoded at a few qualities, by
PSNR, VMAF-NEG, flicker and, if its weights are installed, the deep-feature distance.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from models.architectures.restoring import Restoring
from models.catalog.loader import load_network
from models.catalog.lookup import find_cards
from models.errors import UsageError
from models.losses.deep_distance import DeepDistance
from pipelines.datasets.shards import is_dataset
from pipelines.frames.images import strip, write_png
from pipelines.frames.level_estimator import level_of_clip
from pipelines.frames.reference_upscaler import classical, upscale_frames
from pipelines.frames.sample_values import SampleValues
from pipelines.plan.events import Note
from pipelines.quality.evaluation_items import EvaluationItem, EvaluationSource
from pipelines.quality.judgement import BASELINES, VIDEO_CASES, EvaluateSettings, judge, luma_codes
from pipelines.settings.run_settings import detail_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from models.catalog.card import Card
    from models.network import LoadedNetwork, Planes

__all__ = ["EvaluationItem", "EvaluationRow", "Judged", "Judging", "evaluate", "evaluation_items"]


AS_MADE = "as-made"
"""The case of data sets."""
PICTURE_METRICS, VIDEO_METRICS = ("psnr", "ssim"), ("psnr", "vmaf-neg", "flicker")


@dataclass(frozen=True)
class Judging:
    """Event: progress of the work."""

    frames: int
    """Frames of all networks, weighted by their cost, so that the remaining time can be estimated."""
    total: int
    text: str
    """The current step."""


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
    """Final event: one result row, with mean scores over a data set."""

    model: str
    scale: int
    set: str
    case: str
    count: int = 0
    scores: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    """Items in the mean of each score: images have no flicker."""

    def add(self, scores: dict[str, float]) -> None:
        """Add the scores of one more item to the means."""
        for key, value in scores.items():
            seen = self.counts.get(key, 0)
            self.scores[key] = (self.scores.get(key, 0.0) * seen + value) / (seen + 1)
            self.counts[key] = seen + 1
        self.count += 1


def evaluate(
    models: Iterable[str], data: Iterable[str | Path], settings: EvaluateSettings
) -> Iterator[Note | Judging | Judged | EvaluationRow]:
    """Score models on data: folders of images, videos, data sets made by `vsr dataset`.

    Yields a Note for skipped files, a Judging for every frame, a Judged for every item and model, then all
    EvaluationRows. Raises UsageError for unknown names, and for data sets with other cases than "clean":
    their pairs were degraded when they were made.
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


def _cases_of(material: EvaluationSource, settings: EvaluateSettings) -> tuple[str, ...]:
    """The cases for this material."""
    if material.pairs is not None:
        return (AS_MADE,)
    return settings.cases or (VIDEO_CASES if material.has_videos else ("clean",))


def _by_scale(models: Iterable[str], scale: int | None) -> dict[int, dict[str, Card]]:
    """Scale -> the cards to judge at it; classical scalers are always included as baselines."""
    found: dict[int, dict[str, Card]] = {scale: {}} if scale else {}
    named: dict[int, list[tuple[str, Card]]] = {}
    for name in models:
        cards = [c for c in find_cards(name) if c.architecture != "interpolation"]
        if name not in BASELINES and not any(scale in {None, c.scale} for c in cards):
            raise UsageError(
                f"{name}: has no network of scale {scale}; its scales are"
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
            # A user's own network is labelled by its file if a shipped one with its name is judged, too.
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
    """Score one item: result by result, so that only one of them is in memory."""
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
    """Default metrics for an item."""
    if not item.is_video:
        return PICTURE_METRICS
    return (*VIDEO_METRICS, "deep-distance") if DeepDistance.is_installed() else VIDEO_METRICS


def _as_it_runs(network: LoadedNetwork, item: EvaluationItem, settings: EvaluateSettings) -> LoadedNetwork:
    """A restoring network at the level that a run would use for the item."""
    if not isinstance(network.module, Restoring):
        return network
    level = settings.restore
    if level == "auto":
        luma = item.low.luma if isinstance(item.low, SampleValues) else luma_codes(item.low).numpy()
        level = level_of_clip(luma, item.low.bits if isinstance(item.low, SampleValues) else 8) or 0.0
    detail = detail_at(float(level), "auto" if settings.detail is None else settings.detail)
    return replace(network, module=network.module.at(float(level), detail).eval())


def evaluation_items(
    source: Path, scale: int, case: str, settings: EvaluateSettings
) -> Iterator[EvaluationItem]:
    """Items of a folder of images, a video or the held-out part of a data set."""
    yield from _material(source, settings).items(scale, case)


def _material(source: Path, settings: EvaluateSettings) -> EvaluationSource:
    return EvaluationSource.read(source, limit=settings.limit, frames=settings.frames, range_=settings.range)


_COST_OF_JUDGING = 40.0
"""Approximate cost of decoding, scalers, PSNR and SSIM in GFLOP per megapixel, in addition to the
networks."""


class _Work:
    """Total and finished work, in megapixels of input times the cost of each network."""

    def __init__(
        self, cards: dict[int, dict[str, Card]], material: list[tuple[EvaluationSource, tuple[str, ...]]]
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
        """Progress after one more frame like those of `low` through that network."""
        if low is not None:
            self._done += low[0].shape[-2] * low[0].shape[-1] / 1e6 * self._costs[scale, name]
        return Judging(
            min(self._frames, int(self._frames * self._done / self._all)) if self._all else 0,
            self._frames,
            text,
        )
