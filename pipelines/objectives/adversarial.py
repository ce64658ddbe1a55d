"""`AdversarialObjective`: the adversarial objective: generator and discriminator learn in turns, a step each
(Goodfellow et al. 2014).
"""

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
"""Of the discriminator, over the generator's: it must keep ahead to have something to say (TTUR, Heusel et
al. 2017, arXiv:1706.08500)."""


class AdversarialObjective(Reconstruction):
    """Reconstruction, and `adversarial` times what a discriminator says of the result.

    The discriminator learns to tell.
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
        """Leave the batch as it is: the discriminator wants to see the result in full."""
        return batch

    def loss(self, batch: Batch, step: int) -> Tensor:
        """The generator's."""
        del step
        luma, chroma = forward(self.network, batch.low, batch.frames, batch.levels)
        made = luma.float(), chroma.float()
        self._made = made[0].detach(), made[1].detach()
        # Spectral normalisation estimates in training mode only, and there is one estimate a step: the
        # discriminator's own.
        self.discriminator.eval().requires_grad_(requires_grad=False)
        return self._of_planes(made, batch) + self.settings.objective.adversarial * self._of_generator(
            self.discriminator(made)
        )

    def after(self, batch: Batch, rate: float) -> None:
        """The discriminator's step, on the same pictures."""
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
        """Go on from a checkpoint."""
        self.discriminator.load_state_dict(content["discriminator"])
        self._optimizer.load_state_dict(content["optimizer"])
