"""`TrainSettings`: a network and its training, as in a file under configs/train."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from models.errors import UsageError
from models.losses.functions import ADVERSARIAL, LOSSES
from pipelines.datasets.batch_loader import BatchSettings

__all__ = ["ObjectiveSettings", "OptimizerSettings", "TrainSettings", "learning_rate"]


@dataclass(frozen=True)
class OptimizerSettings:
    """Settings of the optimizer."""

    kind: Literal["adam", "rmsprop"] = "adam"
    learning_rate: float = 1e-3
    """Maximum, after the warm-up; then it decreases to a thousandth along a half cosine."""
    warmup_steps: int = 300
    betas: tuple[float, ...] = (0.9, 0.99)
    """Coefficients of Adam; the second one is also RMSprop's smoothing."""
    clip_norm: float = 1.0
    """Longer gradients are shortened to it."""


@dataclass(frozen=True)
class ObjectiveSettings:
    """Terms of the objective, with weights; 0 leaves a term out."""

    kind: Literal["reconstruction", "adversarial", "variational", "denoising", "distillation"] = (
        "reconstruction"
    )
    """One of pipelines.objectives.registry."""
    pixel: float = 1.0
    """Weight of `loss`."""
    sharpen: float = 0.0
    """Amount of an unsharp mask on the luma that `loss` is compared with: a soft result needs it to look like
    the ground truth."""
    sharpen_ruined: float = 0.0
    """Relative increase of it at restoration level 1."""
    ssim: float = 0.0
    """Weight of 1 - SSIM of luma."""
    cosine: float = 0.0
    """Weight of the cosine distance between deep features."""
    perceptual: float = 0.0
    """Weight of the difference of deep features."""
    statistics: float = 0.0
    """Weight of the distance of means and deviations of deep features, in the form of DISTS."""
    information: float = 0.0
    """Weight of the share of luma's information that is lost."""
    features: str = ""
    """Source of the features: name or file of an autoencoder, or a file with weights of VGG19 or VGG16."""
    stages: int = 3
    """Number of VGG16's stages that are compared."""
    tone: float = 0.0
    """Weight of the difference of means over 8x8 pixels: added detail must not change brightness and
    colour."""
    discriminator: Literal["patch", "unet"] = "patch"
    """One of models.losses.discriminator.DISCRIMINATORS."""
    adversarial: float = 0.0
    """Weight of the discriminator's loss."""
    form: str = "non-saturating"
    """One of models.losses.functions.ADVERSARIAL."""
    kl: float = 0.0
    """β: weight of the divergence of latents from the normal distribution."""
    teacher: str = ""
    """Name or file of a diffusion network that is distilled."""
    keep: Literal["best", "last"] = "best"
    """Which average weights become the result: those with the highest PSNR, or the last ones, if PSNR is not
    the aim."""

    def __post_init__(self) -> None:
        if self.form not in ADVERSARIAL:
            raise UsageError(f"objective.form = {self.form!r}: expected one of {', '.join(ADVERSARIAL)}")
        if (self.cosine or self.perceptual or self.statistics) and not self.features:
            raise UsageError(
                "objective.cosine, objective.perceptual and objective.statistics want objective.features,"
                " such as autoencoder-x2"
            )
        if (
            min(
                self.pixel,
                self.sharpen,
                self.ssim,
                self.cosine,
                self.perceptual,
                self.statistics,
                self.information,
                self.tone,
                self.adversarial,
                self.kl,
            )
            < 0
        ):
            raise UsageError("objective: weights can't be negative")


@dataclass(frozen=True)
class TrainSettings:
    """A network and its training."""

    name: str
    """Name of the resulting network: FAMILY-xSCALE."""
    scale: int
    architecture: str = "compact"
    network: dict[str, Any] = field(default_factory=dict)
    """The architecture's arguments besides the scale."""
    description: str = ""
    init: str = ""
    """Name or file of a network to start from; a smaller one of the family is extended to this one."""
    changes: str = ""
    """Name or file of a restoring network of another scale: what it learned beyond its level 0 is added to
    the initial weights."""
    frozen: tuple[str, ...] = ()
    """Prefixes of names of weights that are not trained."""
    steps: int = 60_000
    loss: str = "l1"
    """One of models.losses.functions.LOSSES, on luma and chroma."""
    chroma_weight: float = 0.25
    ema_decay: float = 0.999
    validate_every: int = 2_500
    validation_pairs: int = 48
    checkpoint_seconds: float = 180.0
    seed: int = 0
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Precision of the forward and backward pass; weights and sums are fp32. "auto": bf16 if the device
    multiplies it faster."""
    threads: int = 0
    """torch's threads on the CPU; 0: torch's default. Affects bits."""
    batch: BatchSettings = field(default_factory=BatchSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise UsageError(f"loss = {self.loss!r}: expected one of {', '.join(LOSSES)}")
        if not 0 <= self.ema_decay < 1:
            raise UsageError(f"ema_decay = {self.ema_decay}: expected 0 to 1, below 1")
        if min(self.steps, self.validate_every, self.validation_pairs) < 1:
            raise UsageError("steps, validate_every and validation_pairs: expected at least 1")

    def identity(self) -> dict[str, Any]:
        """Everything that a checkpoint depends on, as plain values.

        The plain objective is left out.
        """
        table = asdict(self)
        if self.objective == ObjectiveSettings():
            del table["objective"]
        else:
            # came later
            for name in (
                "stages",
                "tone",
                "discriminator",
                "statistics",
                "information",
                "sharpen",
                "sharpen_ruined",
            ):
                if getattr(self.objective, name) == getattr(ObjectiveSettings(), name):
                    del table["objective"][name]
        if not self.batch.levels:
            del table["batch"]["levels"]
        for name in ("frozen", "changes"):
            if not table[name]:
                del table[name]
        return table


def learning_rate(settings: TrainSettings, step: int) -> float:
    """Linear warm-up, then a half cosine down to a thousandth of the maximum."""
    choice = settings.optimizer
    warm = min(1.0, (step + 1) / max(1, choice.warmup_steps))
    return choice.learning_rate * max(1e-3, warm * (0.5 + 0.5 * math.cos(math.pi * step / settings.steps)))
