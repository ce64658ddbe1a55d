"""`VariationalObjective`: reconstruction from a sampled latent, plus β·KL (Higgins et al. 2017 for β)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from models.architectures.vae import Vae
from models.errors import UsageError
from models.losses.functions import SAMPLES, kl_divergence
from pipelines.objectives.reconstruction import Reconstruction

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from pipelines.datasets.batch_loader import Batch
    from pipelines.objectives.settings import TrainSettings

__all__ = ["VariationalObjective"]


class VariationalObjective(Reconstruction):
    """`loss` of the decoder's result for μ + σ·ε, plus `kl` times the divergence of the latents."""

    repeats = False

    def __init__(
        self, settings: TrainSettings, network: nn.Module, device: torch.device, autocast: Callable[[], Any]
    ) -> None:
        super().__init__(settings, network, device, autocast)
        if not isinstance(network, Vae) or settings.loss not in SAMPLES:
            raise UsageError(
                "objective.kind = 'variational': is for the architecture vae and one of the losses"
                f" {', '.join(SAMPLES)}"
            )
        self._vae = network

    def prepare(self, batch: Batch) -> Batch:
        """Compute the classical upscale outside the step."""
        return self._with_target(batch, self._vae)

    def loss(self, batch: Batch, step: int) -> Tensor:
        """Reconstruction and divergence."""
        assert batch.target is not None
        near, mean, log_variance = self._vae.encode(*batch.low)
        drawn = self.noise(mean.shape, self.drawn(step))
        residual = self._vae.decode(near, mean + (0.5 * log_variance).exp() * drawn)
        objective = self.settings.objective
        return objective.pixel * self._of_residual(residual, batch.target) + objective.kl * kl_divergence(
            mean, log_variance
        )
