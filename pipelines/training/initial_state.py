"""`initial_state`: the weights that a training starts from, seeded or those of `init`, and its optimizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from models.architectures.restoring import Restoring
from models.catalog.loader import load_network
from models.catalog.lookup import find_cards
from models.errors import UsageError
from pipelines.model_files.card_writer import build
from pipelines.training.checkpoint import TrainingState
from pipelines.training.weight_transfer import transfer_weights

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pipelines.objectives.settings import TrainSettings

__all__ = ["initial_state"]


def initial_state(settings: TrainSettings, device: torch.device) -> TrainingState:
    """Seeded weights, or those of `init` transferred to the network; their average; a new optimizer."""
    torch.manual_seed(settings.seed)
    network = build(settings.architecture, settings.scale, settings.network)
    if settings.init:
        old = _weights_of(settings.init, settings.scale)
        weights, taken = transfer_weights(
            network, network.begun_from(old) if isinstance(network, Restoring) else old
        )
        if not taken:
            raise UsageError(
                f"init = {settings.init!r}: none of its tensors fits {settings.architecture}"
                f" {settings.network}; leave it out"
            )
        if settings.changes:
            weights = _changed(network, weights, settings)
        network.load_state_dict(weights)
    network.to(device).to(memory_format=torch.channels_last)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not name.startswith(settings.frozen))
    choice, parameters = settings.optimizer, list(network.parameters())
    optimizer: torch.optim.Optimizer
    if choice.kind == "adam":
        optimizer = torch.optim.Adam(
            parameters, lr=choice.learning_rate, betas=(choice.betas[0], choice.betas[1]), fused=True
        )
    else:
        optimizer = torch.optim.RMSprop(parameters, lr=choice.learning_rate, alpha=choice.betas[1])
    return TrainingState(network, optimizer, {k: v.detach().clone() for k, v in network.state_dict().items()})


def _changed(network: nn.Module, weights: dict[str, Tensor], settings: TrainSettings) -> dict[str, Tensor]:
    """Weights with `changes` added. Raises UsageError if either network doesn't support this."""
    cards = [c for c in find_cards(settings.changes) if c.restores]
    if not isinstance(network, Restoring) or not cards:
        raise UsageError(
            f"changes = {settings.changes!r}: expected a network that restores, for one that is to restore;"
            " leave it out"
        )
    module: Any = load_network(cards[0]).module
    return network.changed_as(weights, module)


def _weights_of(name: str, scale: int) -> dict[str, Tensor]:
    """Weights of a network by name or file; for a family, those of this scale or else of the smallest."""
    cards = sorted(
        (c for c in find_cards(name) if c.architecture not in {"interpolation", "foreign", "onnx"}),
        key=lambda c: (c.scale != scale, c.scale),
    )
    if not cards:
        raise UsageError(
            f"init = {name!r}: training can't start from it; expected a built-in network, such as fast-x2"
        )
    module: Any = load_network(cards[0]).module
    weights: dict[str, Tensor] = module.state_dict()
    return weights
