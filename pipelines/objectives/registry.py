"""The objectives a configuration can name, in one literal table."""

from __future__ import annotations

from pipelines.objectives.adversarial import AdversarialObjective
from pipelines.objectives.diffusion import DiffusionObjective, Distillation
from pipelines.objectives.reconstruction import Reconstruction
from pipelines.objectives.variational import VariationalObjective

__all__ = ["OBJECTIVES"]


OBJECTIVES: dict[str, type[Reconstruction]] = {
    "reconstruction": Reconstruction,
    "adversarial": AdversarialObjective,
    "variational": VariationalObjective,
    "denoising": DiffusionObjective,
    "distillation": Distillation,
}
