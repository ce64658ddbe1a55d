"""`Validation`: quality of a network on held-out pairs, compared with Lanczos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from models.architectures.restoring import at_level
from pipelines.frames.images import contact_sheet, to_pixels
from pipelines.frames.reference_upscaler import classical, upscale
from pipelines.frames.sample_values import to_values
from pipelines.quality import metrics

if TYPE_CHECKING:
    from torch import Tensor, nn

    from models.network import Planes
    from pipelines.datasets.shards import Shards

__all__ = ["Validation"]


_SHOWN = 6


class Validation:
    """Scores networks on the same pairs, evenly spread over the held-out ones."""

    def __init__(self, shards: Shards, pairs: int) -> None:
        """pairs: most pairs to use."""
        self._shards, self._chosen = shards, _spread(len(shards), pairs)
        self._plain: dict[int, float] = {}
        """Scores of Lanczos, which do not change."""

    def __len__(self) -> int:
        """Number of held-out pairs."""
        return len(self._shards)

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """PSNR-Y in dB ("psnr"), and the gain over Lanczos: of all ("gain"), of the clean, of the degraded.

        They are computed in fp32, whatever the precision of training.
        """
        device = next(network.parameters()).device
        results: list[tuple[float, float, bool]] = []
        for index in self._chosen:
            pair = self._shards[index]
            low, truth = to_values(pair.low), to_values(pair.truth)
            ours = self._score(
                upscale(at_level(network, pair.record.get("level", 0.0)), _on(low, device)), truth
            )
            if index not in self._plain:
                self._plain[index] = self._score(classical(low, self._shards.scale, "lanczos"), truth)
            stages = pair.record["degradation"]["stages"]
            results.append((ours, self._plain[index], len(stages) == 1 and set(stages[0]) == {"kernel"}))
        found = {"psnr": _mean([r[0] for r in results]), "gain": _mean([r[0] - r[1] for r in results])}
        for name, clean in (("gain_clean", True), ("gain_degraded", False)):
            some = [r[0] - r[1] for r in results if r[2] == clean]
            if some:
                found[name] = _mean(some)
        return found

    def _score(self, result: Planes, truth: Planes) -> float:
        scale = self._shards.scale
        ours, true = (_codes(planes) for planes in (result, truth))
        return min(
            metrics.psnr(metrics.crop_border(ours.round(), scale), metrics.crop_border(true, scale)), 100.0
        )

    def pictures(self, network: nn.Module) -> Any:
        """Some pairs as a sheet of pixels: rows of input, Lanczos, network, ground truth."""
        device, scale, rows = next(network.parameters()).device, self._shards.scale, []
        for index in _spread(len(self._shards), _SHOWN):
            pair = self._shards[index]
            low, truth = to_values(pair.low), to_values(pair.truth)
            made = _on(
                upscale(at_level(network, pair.record.get("level", 0.0)), _on(low, device)),
                torch.device("cpu"),
            )
            shown = (classical(low, scale, "nearest"), classical(low, scale, "lanczos"), made, truth)
            rows.append(
                [to_pixels(p, len(pair.low.luma) // 2, int(pair.record.get("matrix", 5))) for p in shown]
            )
        return contact_sheet(rows, ("input", "Lanczos", "network", "truth"))


def _codes(planes: Planes) -> Tensor:
    """Luma on the CPU in 8-bit values, not rounded."""
    return (planes[0][:, 0].cpu() * 219 + 16).clamp(0, 255)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _spread(count: int, most: int) -> list[int]:
    """Up to `most` numbers below `count`, evenly spread."""
    return sorted({i * count // min(most, count) for i in range(min(most, count))})


def _on(planes: Planes, device: torch.device) -> Planes:
    return planes[0].to(device), planes[1].to(device)
