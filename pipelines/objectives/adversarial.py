"""`AdversarialObjective`: generator and discriminator learn in turns (Goodfellow et al. 2014)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from models.losses.discriminator import DISCRIMINATORS
from models.losses.functions import ADVERSARIAL
from pipelines.objectives.reconstruction import Reconstruction, forward

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from models.network import Planes
    from pipelines.datasets.batch_loader import Batch
    from pipelines.objectives.settings import TrainSettings

__all__ = ["AdversarialObjective"]


_RATE = 2.0
"""Learning rate of the discriminator relative to the generator's: it must stay ahead to be useful (TTUR,
Heusel et al. 2017, arXiv:1706.08500)."""


class AdversarialObjective(Reconstruction):
    """Reconstruction, plus `adversarial` times the loss given by a discriminator.

    The discriminator learns to distinguish results from ground truth.
    """

    repeats = False

    def __init__(
        self, settings: TrainSettings, network: nn.Module, device: torch.device, autocast: Callable[[], Any]
    ) -> None:
        super().__init__(settings, network, device, autocast)
        torch.manual_seed(settings.seed + 1)
        self.discriminator = (
            DISCRIMINATORS[settings.objective.discriminator]()
            .to(device)
            .to(memory_format=torch.channels_last)
        )
        choice = settings.optimizer
        self._optimizer = torch.optim.Adam(
            self.discriminator.parameters(), lr=choice.learning_rate, betas=(0.5, 0.99)
        )
        self._of_discriminator, self._of_generator = ADVERSARIAL[settings.objective.form]
        self._made: Planes | None = None

    def prepare(self, batch: Batch) -> Batch:
        """Leave the batch as it is: the discriminator needs the full result."""
        return batch

    def loss(self, batch: Batch, step: int) -> Tensor:
        """Loss of the generator."""
        del step
        luma, chroma = forward(self.network, batch.low, batch.frames, batch.levels)
        made = luma.float(), chroma.float()
        self._made = made[0].detach(), made[1].detach()
        # Spectral normalisation updates its estimate in training mode only, and there is one update per step,
        # that of the discriminator.
        self.discriminator.eval().requires_grad_(requires_grad=False)
        return self._of_planes(made, batch) + self.settings.objective.adversarial * self._of_generator(
            self.discriminator(made)
        )

    def after(self, batch: Batch, rate: float) -> None:
        """Make the discriminator's step, on the same images."""
        assert self._made is not None
        self.discriminator.train().requires_grad_(requires_grad=True)
        both = torch.cat([batch.truth[0], self._made[0]]), torch.cat([batch.truth[1], self._made[1]])
        with self.autocast():
            real, made = self.discriminator(both).chunk(2)
            loss = self._of_discriminator(real, made)
        for group in self._optimizer.param_groups:
            group["lr"] = self.settings.optimizer.learning_rate * rate * _RATE
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._made = None

    def state_dict(self) -> dict[str, Any]:
        """The discriminator and its optimizer."""
        return {"discriminator": self.discriminator.state_dict(), "optimizer": self._optimizer.state_dict()}

    def load_state_dict(self, content: dict[str, Any]) -> None:
        """Restore from a checkpoint."""
        self.discriminator.load_state_dict(content["discriminator"])
        self._optimizer.load_state_dict(content["optimizer"])
