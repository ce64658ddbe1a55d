"""`Reconstruction`: the plain objective: difference from the ground truth, in pixels and deep features.

Other objectives extend it (`registry`). Everything random follows from the seed and the step number.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch.nn import functional as F

from models.architectures.recurrent import Recurrent
from models.architectures.restoring import Restoring
from models.layers.yuv_residual import BicubicSkip, bicubic, pack
from models.losses.features import Features, load_features
from models.losses.functions import (
    LOSSES,
    SAMPLES,
    cosine_distance,
    information_loss,
    l1,
    perceptual,
    sharpened,
    ssim_loss,
    statistics_distance,
)
from pipelines.datasets.batch_loader import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

    from models.network import Planes
    from pipelines.objectives.settings import TrainSettings

__all__ = ["Reconstruction", "forward"]


class Reconstruction:
    """`loss` of luma and chroma, and terms on deep features and structure."""

    repeats: ClassVar[bool] = True
    """Whether a step runs the same kernels for every batch, without random draws, so that a CUDA graph can
    record it."""

    def __init__(
        self, settings: TrainSettings, network: nn.Module, device: torch.device, autocast: Callable[[], Any]
    ) -> None:
        """autocast: a context for forward passes in the training's precision.

        Raises UsageError for an unsuitable network.
        """
        self.settings, self.network, self.device, self.autocast = settings, network, device, autocast
        self.share = (0, 1)
        """(number, count) of this process's part of each batch, if several processes train together."""
        objective = settings.objective
        self._features: Features | None = None
        if objective.cosine or objective.perceptual or objective.statistics:
            self._features = load_features(objective.features, device, objective.stages)

    def prepare(self, batch: Batch) -> Batch:
        """Compute everything that doesn't depend on weights outside the step: the bicubic upscale.

        If the loss is a mean over samples, their order does not matter, so the difference is brought into the
        channel order of the last layer, and the step contains neither resampling nor shuffling.
        """
        objective = self.settings.objective
        if (
            self.settings.loss not in SAMPLES
            or not isinstance(self.network, BicubicSkip | Recurrent)
            or self._features is not None
            or objective.ssim
            or objective.tone
            or objective.information
            or objective.sharpen
        ):
            return batch
        return self._with_target(batch, self.network)

    def _with_target(self, batch: Batch, network: BicubicSkip | Recurrent) -> Batch:
        luma, chroma = bicubic(batch.low, self.settings.scale)
        target = pack((batch.truth[0] - luma, batch.truth[1] - chroma), network.packing)
        return replace(batch, target=target.contiguous(memory_format=torch.channels_last))

    def loss(self, batch: Batch, step: int) -> Tensor:
        """The loss to minimise."""
        del step  # nothing is drawn here
        if batch.target is None:
            return self._of_planes(forward(self.network, batch.low, batch.frames, batch.levels), batch)
        if isinstance(self.network, Recurrent):
            residual = self.network.residuals(batch.low, batch.frames)
        elif isinstance(self.network, Restoring):
            residual = self.network.residual(*batch.low, batch.levels)
        else:
            assert isinstance(self.network, BicubicSkip)
            residual = self.network.residual(*batch.low)
        return self.settings.objective.pixel * self._of_residual(residual, batch.target)

    def _of_planes(self, result: Planes, batch: Batch) -> Tensor:
        """All terms of a full result."""
        settings, objective, loss_of = self.settings, self.settings.objective, LOSSES[self.settings.loss]
        luma, chroma = result[0].float(), result[1].float()
        wanted = sharpened(batch.truth[0], self._amount(batch)) if objective.sharpen else batch.truth[0]
        loss = loss_of(luma, wanted)
        if settings.chroma_weight:
            loss = loss + settings.chroma_weight * loss_of(chroma, batch.truth[1])
        loss = objective.pixel * loss
        if objective.tone:
            loss = loss + objective.tone * sum(
                l1(F.avg_pool2d(a, n), F.avg_pool2d(b, n))
                for a, b, n in ((luma, batch.truth[0], 8), (chroma, batch.truth[1], 4))
            )
        if objective.ssim:
            loss = loss + objective.ssim * ssim_loss(luma, batch.truth[0])
        if objective.information:
            loss = loss + objective.information * information_loss(luma, batch.truth[0])
        if self._features is not None:
            with torch.no_grad():
                true = self._features(batch.truth)
            found = self._features((luma, chroma))
            if objective.perceptual:
                loss = loss + objective.perceptual * perceptual(found, true)
            if objective.statistics:
                loss = loss + objective.statistics * statistics_distance(found, true)
            if objective.cosine:
                loss = loss + objective.cosine * cosine_distance(found, true)
        return loss

    def _amount(self, batch: Batch) -> float | Tensor:
        """Amount of sharpening: more for degraded inputs, as their results are softer."""
        objective = self.settings.objective
        if batch.levels is None:
            return objective.sharpen
        each = batch.levels.repeat_interleave(len(batch.truth[0]) // len(batch.levels))[:, None, None, None]
        return objective.sharpen * (1 + objective.sharpen_ruined * each)

    def _of_residual(self, residual: Tensor, target: Tensor) -> Tensor:
        """`loss` by the channels of the last layer: two thirds luma, one third chroma."""
        # Channels lie innermost, so this is a view; a matrix keeps the loops over it simple and fast.
        found, wanted = (x.permute(0, 2, 3, 1).reshape(-1, x.shape[1]) for x in (residual.float(), target))
        means = SAMPLES[self.settings.loss](found - wanted).mean(0)  # (6·packing²,)
        split = len(means) * 2 // 3
        return means[:split].mean() + self.settings.chroma_weight * means[split:].mean()

    def after(self, batch: Batch, rate: float) -> None:
        """Update other learned parts, after the network's step.

        rate: this step's learning rate, relative to the highest one.
        """

    def state_dict(self) -> dict[str, Any]:
        """State of other learned parts, for a checkpoint."""
        return {}

    def load_state_dict(self, content: dict[str, Any]) -> None:
        """Restore from a checkpoint."""

    def part(self, whole: Tensor) -> Tensor:
        """The part of a tensor, with an entry for each image of the batch, that belongs to this process."""
        number, count = self.share
        return whole.chunk(count)[number]

    def noise(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Normal noise, (B,...) for this process's images.

        Drawn for the whole batch, so that it doesn't depend on the number of processes.
        """
        whole = torch.randn((shape[0] * self.share[1], *shape[1:]), generator=generator, device=self.device)
        return self.part(whole)

    def drawn(self, step: int) -> torch.Generator:
        """Random generator of a step."""
        seed = np.random.Philox(key=[self.settings.seed, step]).random_raw()
        return torch.Generator(self.device).manual_seed(int(seed) % (1 << 63))


def forward(network: nn.Module, low: Planes, frames: int, levels: Tensor | None = None) -> Planes:
    """Run clips through a network in training.

    Luma (B·T,1,H,W), chroma (B·T,2,H/2,W/2) -> the same at `scale` times the size. T frames per clip, as the
    fastest index; a recurrent network gets them one after another, with the ends repeated.
    """
    contract: Any = network.contract
    if isinstance(network, Restoring):
        return network(low, levels)  # type: ignore[no-any-return]
    if not (contract.past or contract.future or contract.recurrent):
        result: Planes = network(low)
        return result
    # (B,T,1,H,W), (B,T,2,h,w)
    luma, chroma = (
        low[0].reshape(-1, frames, *low[0].shape[1:]),
        low[1].reshape(-1, frames, *low[1].shape[1:]),
    )
    state, outputs = None, []
    for now in range(frames):
        seen = [min(max(now + step, 0), frames - 1) for step in range(-contract.past, contract.future + 1)]
        window = (luma[:, seen, 0], chroma[:, seen].flatten(1, 2))
        if contract.recurrent:
            planes, state = network(window, state)
        else:
            planes = network(window)
        outputs.append(planes)
    return torch.stack([o[0] for o in outputs], 1).flatten(0, 1), torch.stack(
        [o[1] for o in outputs], 1
    ).flatten(0, 1)
