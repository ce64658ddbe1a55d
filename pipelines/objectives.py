"""The objectives a configuration can name, in one literal table."""

from __future__ import annotations

from pipelines.denoising import Denoising, Distillation
from pipelines.reconstruction import Reconstruction
from pipelines.rivalry import Rivalry
from pipelines.variation import Variation

__all__ = ["OBJECTIVES"]

OBJECTIVES: dict[str, type[Reconstruction]] = {
    "reconstruction": Reconstruction,
    "adversarial": Rivalry,
    "variational": Variation,
    "denoising": Denoising,
    "distillation": Distillation,
}
