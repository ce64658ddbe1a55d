"""`DiffusionObjective` and `Distillation`: objectives of a diffusion network.

The first learns to predict the noise in an image; the second, to do in one step what took several.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from models.architectures.diffusion import Diffusion
from models.catalog.loader import load_network
from models.catalog.lookup import find_cards
from models.errors import UsageError
from models.layers.yuv_residual import pack
from pipelines.objectives.reconstruction import Reconstruction

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from pipelines.datasets.batch_loader import Batch
    from pipelines.objectives.settings import TrainSettings

__all__ = ["DiffusionObjective", "Distillation"]


class DiffusionObjective(Reconstruction):
    """Mean squared error of v = cos·ε - sin·x, or of ε, at a random time for each image.

    Ho et al. 2020, arXiv:2006.11239. Times are those used by `Diffusion.sample`, with equal shares: each of
    the few steps is a separate task, and a network this small has no capacity for times between them.
    """

    repeats = False

    def __init__(
        self, settings: TrainSettings, network: nn.Module, device: torch.device, autocast: Callable[[], Any]
    ) -> None:
        super().__init__(settings, network, device, autocast)
        if not isinstance(network, Diffusion):
            raise UsageError(
                f"objective.kind = {settings.objective.kind!r}: is for the architecture diffusion, not"
                f" {settings.architecture}"
            )
        self._diffusion = network

    def prepare(self, batch: Batch) -> Batch:
        """Compute the classical upscale outside the step."""
        return self._with_target(batch, self._diffusion)

    def loss(self, batch: Batch, step: int) -> Tensor:
        """Loss of the prediction."""
        network, generator = self._diffusion, self.drawn(step)
        assert batch.target is not None
        clean = batch.target / network.deviation
        noise = self.noise(clean.shape, generator)
        turn = torch.randint(network.steps, (1,), generator=generator, device=self.device)
        places = self.part(torch.arange(len(clean) * self.share[1], device=self.device))
        time = 1 - ((places + turn) % network.steps) / network.steps
        signal, hidden = ((f(math.pi / 2 * time))[:, None, None, None] for f in (torch.cos, torch.sin))
        wanted = signal * noise - hidden * clean if network.prediction == "v" else noise
        return self._mean(network.predict(signal * clean + hidden * noise, pack(batch.low), time) - wanted)

    def _mean(self, difference: Tensor) -> Tensor:
        """Mean of squares, with weighted chroma."""
        means = difference.square().mean((0, 2, 3))
        split = len(means) * 2 // 3
        return means[:split].mean() + self.settings.chroma_weight * means[split:].mean()


class Distillation(DiffusionObjective):
    """One step of the network should give the result of the teacher's steps from the same noise.

    Luhman & Luhman 2021, arXiv:2101.02388.
    """

    def __init__(
        self, settings: TrainSettings, network: nn.Module, device: torch.device, autocast: Callable[[], Any]
    ) -> None:
        super().__init__(settings, network, device, autocast)
        cards = [
            c
            for c in find_cards(settings.objective.teacher or "none")
            if c.architecture == "diffusion" and c.scale == settings.scale
        ]
        if not cards:
            raise UsageError(
                f"objective.teacher = {settings.objective.teacher!r}: expected a diffusion network of scale"
                f" {settings.scale}"
            )
        teacher: Any = load_network(cards[0]).module
        self._teacher: Diffusion = teacher.to(device).to(memory_format=torch.channels_last)

    def prepare(self, batch: Batch) -> Batch:
        """Leave the batch as it is: the target is the teacher's result."""
        return batch

    def loss(self, batch: Batch, step: int) -> Tensor:
        """Difference of both results."""
        network, frame = self._diffusion, pack(batch.low)
        shape = (frame.shape[0], network.deviation.shape[1], *frame.shape[2:])
        # As in later use: the noise of both has the student's temperature.
        noise = self.noise(shape, self.drawn(step)) * network.temperature
        with torch.no_grad():
            wanted = self._teacher.sample(frame, noise, self._teacher.steps)
        return self._mean(network.sample(frame, noise, network.steps) - wanted)
