"""The objectives a configuration can name, in one literal table."""

from __future__ import annotations

from pipelines.objectives.adversarial import Rivalry
from pipelines.objectives.diffusion import Denoising, Distillation
from pipelines.objectives.reconstruction import Reconstruction
from pipelines.objectives.variational import Variation

__all__ = ["OBJECTIVES"]


OBJECTIVES: dict[str, type[Reconstruction]] = {
    "reconstruction": Reconstruction,
    "adversarial": Rivalry,
    "variational": Variation,
    "denoising": Denoising,
    "distillation": Distillation,
}
