"""`tune`: fine-tunes a network on the film it is for; kept only if it beats the original on held-out shots.

The film's own frames are the ground truth; downscaled copies (encoded like the film, if that can be
determined) are the input. What is learned there applies to upscaling the film itself, as far as detail
repeats across scales (Shocher et al. 2018, arXiv:1712.06087).
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from models.catalog.loader import load_network
from models.catalog.lookup import find_cards
from models.errors import Interrupted, UsageError, counted
from pipelines.datasets.batch_loader import BatchSettings
from pipelines.datasets.builder import make_dataset
from pipelines.datasets.crop_selection import CropSettings
from pipelines.datasets.degradation import DegradeSettings
from pipelines.datasets.events import DatasetDone, few_pairs
from pipelines.datasets.recompression import coding_of
from pipelines.datasets.settings import DatasetSettings
from pipelines.datasets.shards import Shards
from pipelines.objectives.settings import OptimizerSettings, TrainSettings
from pipelines.plan.events import Note
from pipelines.probe.probe import probe
from pipelines.storage.atomic_file import write_atomically
from pipelines.training.train import TrainOptions, refuse_existing_training, train
from pipelines.training.training_events import Trained
from pipelines.training.validation import Validation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from models.catalog.card import Card

__all__ = ["FineTuningResult", "tune"]


_MINUTES = 10.0
"""Default training time."""
_LEAST_GAIN_DB = 0.05


@dataclass(frozen=True)
class FineTuningResult:
    """Event: the tuned network was compared with the original."""

    weights: str
    """Path of the tuned network's weights; empty if it was not kept."""
    gain_db: float
    """PSNR-Y on held-out shots, tuned minus original."""
    kept: bool
    pairs: int
    """Held-out pairs of the comparison."""
    original: str = ""
    """Name of the original network."""


def tune(
    video: str | Path,
    folder: str | Path,
    *,
    init: str = "fast-x2",
    least_gain_db: float = _LEAST_GAIN_DB,
    **options: Unpack[TrainOptions],
) -> Iterator[Any]:
    """Fine-tune `init` on `video`, into `folder`.

    Yields the events of both stages, then FineTuningResult. options: of `train`; `minutes` is 10 by default,
    and with `resume` it continues where an earlier call was stopped. Raises UsageError if `init` is not one
    of our networks, and what `make_dataset` and `train` raise.
    """
    options["more_pairs"] = "a longer film has more; it is kept only if it is better"
    card = _card(init)
    target = Path(folder)
    begun = options.get("resume", False) and (target / "run" / "checkpoint.pt").is_file()
    if not begun:
        options["minutes"] = options.get("minutes") or _MINUTES
    if not options.get("resume", False):
        refuse_existing_training(target / "run")  # before minutes are spent on the data
    data = target / "data"
    settings = _data_settings(video, card)
    if not begun and (note := _few_frames(video, settings)) is not None:
        yield note
    minutes = f"{options['minutes']:g} min" if options.get("minutes") else "as long as it began with"
    yield Note(f"first pairs are made of the whole film; after that it trains for {minutes}")
    stop = options.get("stop")
    for made in make_dataset([video], data, settings):
        if isinstance(made, DatasetDone) and not made.validation_pairs:
            rejected = ", ".join(f"{count} {reason}" for reason, count in made.rejected.items() if count)
            raise UsageError(
                f"{video}: no crop of the part that is held out to judge by is worth it (rejected of the"
                f" film: {rejected or 'none'}); take a longer film, or one with more detail"
            )
        yield made
        if stop is not None and stop():
            raise Interrupted("stopped while pairs were made; the same command makes what is missing")
    weights = ""
    for event in train(_train_settings(video, card, init), [data], target / "run", **options):
        yield event
        if isinstance(event, Trained):
            weights = event.weights
    yield _judge(card, Path(weights), data, target, least_gain_db)


def _few_frames(video: str | Path, settings: DatasetSettings) -> Note | None:
    """A note if a film is too short to give enough pairs, before time is spent on them."""
    info = probe(video)
    most = info.frame_count // settings.every_frames * settings.crops.per_frame
    if few_pairs(most) is None:
        return None
    return Note(
        f"{video}: {counted(info.frame_count, 'frame')} give at most {counted(most, 'pair')}, which are few:"
        " expect a network that is no better; a longer film has more"
    )


def _card(init: str) -> Card:
    cards = [c for c in find_cards(init) if c.architecture not in {"interpolation", "foreign", "onnx"}]
    if not cards or cards[0].restores:
        raise UsageError(
            f"--init {init}: can't be fine-tuned; expected a built-in network for clean sources, such as"
            " fast-x2"
        )
    return min(cards, key=lambda c: c.scale)


def _data_settings(video: str | Path, card: Card) -> DatasetSettings:
    info = probe(video)
    try:
        coding_of(info)
        degrade = DegradeSettings(
            clean=0.5, kernels=("bicubic",), blur=0.0, noise=0.0, ringing=0.0, codec=1.0, crf="like-source"
        )
    except UsageError:
        degrade = DegradeSettings(
            clean=0.5, kernels=("bicubic",), blur=0.0, noise=0.0, ringing=0.0, codec=1.0
        )
    return DatasetSettings(
        scale=card.scale,
        truth_px=64 * card.scale,
        every_frames=6,
        shrink=1,
        most_pairs=1200,
        turn=False,
        validation=0.15,
        degrade=degrade,
        crops=CropSettings(per_frame=8, duplicate_bits=2),
    )


def _train_settings(video: str | Path, card: Card, init: str) -> TrainSettings:
    return TrainSettings(
        name=f"{_plain(Path(video).stem)}-x{card.scale}",
        scale=card.scale,
        architecture=card.architecture,
        network=card.settings,
        description=f"{card.name} tuned on {Path(video).name}",
        init=init,
        # only the last weights are scored: choosing the best of many on the same shots would be biased
        validate_every=sys.maxsize,
        ema_decay=0.995,
        batch=BatchSettings(truth_px=64 * card.scale, orientations=2),
        optimizer=OptimizerSettings(learning_rate=2e-4, warmup_steps=50),
    )


def _plain(name: str) -> str:
    """A name for weights in valid UTF-8, as the format requires, whatever bytes the film's name has."""
    return os.fsencode(name).decode(errors="replace").replace(" ", "-").replace("\ufffd", "_")


def _judge(card: Card, weights: Path, data: Path, folder: Path, least_gain_db: float) -> FineTuningResult:
    """Score both stored networks on every held-out pair."""
    held_out = Shards([data], "validation")
    judge = Validation(held_out, len(held_out))
    tuned = find_cards(str(weights))[0]
    before, after = (judge(load_network(c).module)["psnr"] for c in (card, tuned))  # type: ignore[arg-type]
    gain = after - before
    kept = gain >= least_gain_db
    if kept:
        for suffix in (".safetensors", ".toml"):
            write_atomically(folder / (weights.stem + suffix), weights.with_suffix(suffix).read_bytes())
    return FineTuningResult(str(folder / weights.name) if kept else "", gain, kept, len(held_out), card.name)
