"""`evaluate`: networks on pictures, videos and data sets, scored against the truth, beside bicubic and Lanczos.

The protocol, so that figures compare with papers:
- pictures: truth cut to a multiple of the scale (of twice the scale for 4:2:0), R'G'B' shrunk by antialiased bicubic
  (Keys a = -0.5, MATLAB's `imresize`), rounded to 8 bits; luma by BT.601;
- videos: the same on their own luma and chroma planes;
- cases: "h264-23" encodes the small clip and decodes it again, "noise-10" adds noise to it, "blur-1.5" blurs the truth before it
  is shrunk; a picture is a video of one frame then (4:2:0, BT.601);
- luma compared in 8-bit limited-range codes with a peak of 255 and `scale` pixels left out along the border; results are
  rounded to codes first, as a file holds them; PSNR of a clip is the mean over its frames, a set's figure the mean over its
  pictures or clips;
- LPIPS and DISTS see 8-bit R'G'B' of 4:2:0, of result and truth alike, with the same border left out; VMAF and XPSNR the whole
  frame in 8-bit 4:2:0.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.architectures.restoring import Restoring
from models.catalog.loader import load_network
from models.catalog.lookup import find
from models.errors import UsageError
from models.layers.resampling import resample
from models.losses.dists import Dists
from models.losses.lpips import Lpips
from pipelines.datasets.degradation import degrade, read_case
from pipelines.datasets.shards import Shards, is_dataset
from pipelines.frames.images import strip, to_pixels, write_png
from pipelines.frames.reference_upscaler import classical, upscale
from pipelines.frames.sample_values import Codes, from_values, rgb_to_planes, to_values
from pipelines.frames.video_reader import Footage
from pipelines.media.file_types import find_inputs
from pipelines.probe.probe import probe
from pipelines.probe.restoration_level import level_of_clip
from pipelines.quality import metrics

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from models.catalog.card import Card
    from models.network import LoadedNetwork, Planes

__all__ = ["DEFAULT_METRICS", "EvaluateSettings", "Item", "Judged", "Row", "evaluate", "items", "judge"]


BASELINES = ("bicubic", "lanczos")
METRICS = ("psnr", "ssim", "flicker", "niqe", "energy", "vmaf", "lpips", "dists")
AS_MADE = "as-made"
"""The case of data sets."""
DEFAULT_METRICS = ("psnr", "ssim", "flicker")


@dataclass(frozen=True)
class EvaluateSettings:
    """What is compared, and how."""

    scale: int | None = None
    """Which scale; None: every scale the models have."""
    cases: tuple[str, ...] = ("clean",)
    """Degradations of videos and pictures: "clean" or CODEC-QUALITY such as "h264-23", "noise-CODES", "blur-PX"."""
    metrics: tuple[str, ...] = DEFAULT_METRICS
    """Of METRICS; "flicker" is of clips alone, "energy" gradient energy as a share of the truth's, "vmaf" VMAF, VMAF-NEG and XPSNR."""
    frames: int = 48
    """At most so many frames of a video."""
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
            raise UsageError("NIQE compares with a model of pristine pictures: give BasicSR's niqe_pris_params.npz (--niqe-model)")
        for name, option in (("lpips", self.lpips_weights), ("dists", self.dists_weights)):
            if name in self.metrics and not option:
                raise UsageError(f"{name.upper()} wants weights that you have: give its own and those of its backbone (--{name}-weights, twice)")
        for case in self.cases:
            read_case(case)


@dataclass(frozen=True, eq=False)
class Item:
    """One picture or clip to judge by."""

    name: str
    low: Codes | Planes
    """Input; pictures as float planes of 8-bit R'G'B', which have no 4:2:0 codes."""
    truth: Codes | Planes
    low_rgb: torch.Tensor | None = None
    """(1,3,h,w) 8-bit R'G'B' of a picture, as floats."""
    matrix: int = 5
    rate: float = 25.0

    @property
    def low_planes(self) -> Planes:
        """Input as float planes."""
        return to_values(self.low) if isinstance(self.low, Codes) else self.low

    @property
    def truth_planes(self) -> Planes:
        """Truth as float planes."""
        return to_values(self.truth) if isinstance(self.truth, Codes) else self.truth


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
class Row:
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


def evaluate(models: Iterable[str], data: Iterable[str | Path], settings: EvaluateSettings) -> Iterator[Judged | Row]:
    """Score models on data: folders of pictures, videos, data sets made by `dataset`.

    Yields a Judged for every picture or clip and model, then all Rows. Raises UsageError for names that mean nothing, and for
    data sets where other cases than "clean" are asked for: their pairs were degraded when they were made.
    """
    sources = {source: (AS_MADE,) if is_dataset(source) else settings.cases for source in map(Path, data)}
    fixed = [source for source, cases in sources.items() if cases == (AS_MADE,)]
    if fixed and settings.cases != ("clean",):
        raise UsageError(f"{fixed[0]}: is a data set, whose pairs are degraded as they were made; judge by it without --case")
    names = Counter(source.name for source in sources)
    labels = {source: source.name if names[source.name] == 1 else str(source) for source in sources}
    rows: dict[tuple[str, int, str, str], Row] = {}
    for scale, cards in _by_scale(models, settings.scale).items():
        networks = {label: load_network(card) for label, card in cards.items()}
        for source, cases in sources.items():
            for case in cases:
                for item in items(source, scale, case, settings):
                    for judged in _judge_all(networks, item, (scale, labels[source], case), settings):
                        key = (judged.model, scale, judged.set, case)
                        rows.setdefault(key, Row(judged.model, scale, judged.set, case)).add(judged.scores)
                        yield judged
    yield from rows.values()


def _by_scale(models: Iterable[str], scale: int | None) -> dict[int, dict[str, Card]]:
    """Scale -> the cards to judge at it; classical scalers are always there as baselines."""
    found: dict[int, dict[str, Card]] = {scale: {}} if scale else {}
    named: dict[int, list[tuple[str, Card]]] = {}
    for name in models:
        cards = [c for c in find(name) if c.architecture != "interpolation"]
        if name not in BASELINES and not any(scale in {None, c.scale} for c in cards):
            raise UsageError(f"{name}: is no network of scale {scale}; it has {', '.join(str(c.scale) for c in cards) or 'none'}")
        for card in cards:
            if scale in {None, card.scale} and all(other.path != card.path for _, other in named.get(card.scale, [])):
                named.setdefault(card.scale, []).append((name, card))
    for size, ones in named.items():
        inner = found.setdefault(size, {})
        common = Counter(card.name for _, card in ones)
        for name, card in ones:
            # A network of one's own goes by its file beside the one that it has its name from.
            label = card.name if common[card.name] == 1 or Path(name).suffix not in {".safetensors", ".toml"} else name
            inner[label if label not in inner else f"{label} ({len(inner) + 1})"] = card
    if not found:
        raise UsageError("only classical scalers were named, which reach any size; give --scale")
    return found


def _judge_all(networks: dict[str, LoadedNetwork], item: Item, where: tuple[int, str, str], settings: EvaluateSettings) -> Iterator[Judged]:
    scale, set_name, case = where
    low, truth = item.low_planes, item.truth_planes
    results: dict[str, Planes] = {name: classical(low, scale, name) for name in BASELINES}
    for name, loaded in networks.items():
        network = _as_it_runs(loaded, item)
        results[name] = upscale(network.module, low, contract=network.contract, bf16=settings.bf16, matrix=item.matrix, rgb=item.low_rgb)
    height, width = truth[0].shape[-2:]
    cut = {name: (luma[..., :height, :width], chroma[..., : height // 2, : width // 2]) for name, (luma, chroma) in results.items()}
    for name, result in cut.items():
        yield Judged(name, scale, set_name, case, item.name, judge(result, truth, scale, settings, rate=item.rate, matrix=item.matrix))
        if settings.strips and name not in BASELINES:
            blocks = classical(low, scale, "nearest")
            picture = strip([(blocks[0][..., :height, :width], blocks[1]), cut["lanczos"], result, truth], item.matrix)
            write_png(Path(settings.strips) / f"{name}_{set_name}_{case}_{item.name}.png", picture)


def _as_it_runs(network: LoadedNetwork, item: Item) -> LoadedNetwork:
    """A network that restores as it is at the level that a run would estimate for the item."""
    if not isinstance(network.module, Restoring):
        return network
    luma = item.low.luma if isinstance(item.low, Codes) else _luma_codes(item.low).numpy()
    level = level_of_clip(luma, item.low.bits if isinstance(item.low, Codes) else 8)
    return replace(network, module=network.module.at(level or 0.0).eval())


def judge(result: Planes, truth: Planes, scale: int, settings: EvaluateSettings, *, rate: float = 25.0, matrix: int = 5) -> dict[str, float]:
    """Scores of one result (T,1,H,W) and (T,2,H/2,W/2) by the protocol of this module. matrix: of its colour (H.273)."""
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
    if "vmaf" in settings.metrics:
        scores |= metrics.by_ffmpeg(*(from_values(_even(planes), 8) for planes in (result, truth)), rate=max(1, round(rate)))
    for name, measure in _learned(settings).items():
        pairs = ([_rgb(planes, index, matrix, scale) for planes in (result, truth)] for index in range(len(ours)))
        with torch.inference_mode():
            scores[name] = float(np.mean([measure(a, b).item() for a, b in pairs]))
    return {k: v for k, v in scores.items() if not math.isnan(v)}


@functools.cache
def _read_learned(name: str, paths: tuple[str, ...]) -> Lpips | Dists:
    return Lpips.read(paths) if name == "lpips" else Dists.read(paths)


def _learned(settings: EvaluateSettings) -> dict[str, Lpips | Dists]:
    """The metrics that have weights of their own."""
    weights = {"lpips": settings.lpips_weights, "dists": settings.dists_weights}
    return {name: _read_learned(name, paths) for name, paths in weights.items() if name in settings.metrics}


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


def items(source: Path, scale: int, case: str, settings: EvaluateSettings) -> Iterator[Item]:
    """What there is to judge by in a folder of pictures, a video or the held-out part of a data set."""
    limit = settings.limit or None
    if is_dataset(source):
        yield from _dataset_items(source, scale, limit)
        return
    for path in find_inputs([source])[:limit]:
        footage = Footage(probe(path))
        if footage.info.is_picture:
            yield _picture_item(footage, scale, case)
        else:
            yield _video_item(footage, scale, case, settings.frames)


def _picture_item(footage: Footage, scale: int, case: str) -> Item:
    name = Path(footage.info.path).stem
    frame = next(footage.frames())
    rgb = footage.rgb(frame)
    step = 2 * scale if case != "clean" else scale
    rgb = (rgb[..., : rgb.shape[-2] // step * step, : rgb.shape[-1] // step * step] * 255).round() / 255
    luma = 0.299 * rgb[:, :1] + 0.587 * rgb[:, 1:2] + 0.114 * rgb[:, 2:]
    planes = rgb_to_planes(rgb[..., : rgb.shape[-2] // 2 * 2, : rgb.shape[-1] // 2 * 2])
    truth = (luma, planes[1])
    if case != "clean":
        return Item(name, degrade(from_values(planes, 8), read_case(case), scale=scale), truth)
    height, width = rgb.shape[-2] // scale, rgb.shape[-1] // scale
    low_rgb = (resample(rgb.double(), height, width, "bicubic") * 255).round().clamp(0, 255).float() / 255
    even = torch.nn.functional.pad(low_rgb, (0, width % 2, 0, height % 2), mode="reflect")
    return Item(name, rgb_to_planes(even), truth, even)


def _video_item(footage: Footage, scale: int, case: str, frames: int) -> Item:
    step = 2 * scale
    height, width = footage.height // step * step, footage.width // step * step
    clip = [footage.codes(f).crop(0, 0, height, width) for f in footage.frames(frames)]
    truth = Codes(np.concatenate([c.luma for c in clip]), np.concatenate([c.chroma for c in clip]), footage.bits)
    low = degrade(truth, read_case(case), scale=scale)
    return Item(Path(footage.info.path).stem, low, truth, matrix=footage.tags.matrix, rate=float(footage.info.rate))


def _dataset_items(source: Path, scale: int, limit: int | None) -> Iterator[Item]:
    shards = Shards([source], "validation")
    if shards.scale != scale:
        raise UsageError(f"{source}: its pairs are of scale {shards.scale}, the model's is {scale}")
    for index in range(len(shards))[slice(limit)]:
        pair = shards[index]
        yield Item(pair.key, pair.low, pair.truth, matrix=int(pair.record.get("matrix", 5)))
