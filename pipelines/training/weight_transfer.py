"""`transfer_weights`: initialises a larger network with the weights of a smaller one.

Wider layers have the old weights in their first channels, and new layers pass their input on, so the function
is the same before training (Net2Net, Chen et al. 2016, arXiv:1511.05641; new channels keep their own initial
weights instead of copies, which leaves no symmetry to break).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

__all__ = ["transfer_weights"]


def transfer_weights(network: nn.Module, old: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], set[str]]:
    """Return (the network's weights with those of `old` in them, names of the transferred tensors).

    old: tensors by name, as stored by a smaller network of the family. A tensor fits if no side of it is
    larger; one with another output layout (a `tail` of another scale) is skipped. If the network has more
    inputs than the old one, its `old_inputs` says which input channels of which layer correspond to the old
    ones.
    """
    own = {k: v.clone() for k, v in network.state_dict().items()}
    inputs: Mapping[str, list[int]] = getattr(network, "old_inputs", {})
    width = max((v.shape[0] for k, v in old.items() if "body." in k and v.dim() == 4), default=0)
    taken = set()
    for name, start in own.items():
        before = old.get(name)
        if before is not None and _fits(name, before, start):
            own[name] = _wider(start, before, inputs.get(name))
            taken.add(name)
    if taken:
        for name, start in own.items():
            if (
                "body." in name
                and name not in old
                and start.dim() == 4
                and start.shape[0] == start.shape[1] >= width
            ):
                own[name] = _passing_on(start, width)
    return own, taken


def _fits(name: str, before: Tensor, start: Tensor) -> bool:
    if before.dim() != start.dim() or before.shape[2:] != start.shape[2:]:
        return False
    if "tail." in name and before.shape[0] != start.shape[0]:
        return False
    return all(b <= s for b, s in zip(before.shape, start.shape, strict=True))


def _wider(start: Tensor, before: Tensor, places: list[int] | None) -> Tensor:
    """`before` in the first output channels, which ignore new inputs."""
    result, rows = start.clone(), before.shape[0]
    if before.dim() < 2:
        result[:rows] = before
        return result
    result[:rows] = 0
    result[
        :rows,
        places if places is not None and len(places) == before.shape[1] else list(range(before.shape[1])),
    ] = before
    return result


def _passing_on(start: Tensor, width: int) -> Tensor:
    """Pass the first `width` channels on; they are after a ReLU, so another one doesn't change them."""
    result = start.clone()
    result[:width] = 0
    channels = torch.arange(width)
    result[channels, channels, start.shape[2] // 2, start.shape[3] // 2] = 1
    return result
