"""`load_network`: build a network from a card and its weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from models.catalog.card import sha256_of
from models.catalog.safetensors_header import at_most, refuse_huge, tensor_shapes
from models.errors import MediaError

if TYPE_CHECKING:
    from models.catalog.card import Card
    from models.network import LoadedNetwork

__all__ = ["load_network"]


def load_network(
    card: Card,
    *,
    height: int = 0,
    width: int = 0,
    chroma_offset: tuple[float, float] | None = None,
    restore: float | None = None,
    detail: float = 0.0,
) -> LoadedNetwork:
    """Build the network that a card describes, in fp32 on the CPU.

    height, width, chroma_offset: output size and chroma siting, for classical scalers only.
    restore: restoration level, 0 to 1; a network with adjustable levels is fixed at this one. None: it keeps
    all its levels, as training needs them.
    detail: for a network with two sets of weights: 0 for the faithful ones, 1 for the crisp ones, values
    between interpolate.
    Raises MediaError if the weights don't match the card.
    """
    from models.network import LoadedNetwork

    if card.architecture == "interpolation":
        from models.architectures.interpolation import Interpolation

        module = Interpolation(
            card.settings["kernel"], height=height, width=width, chroma_offset=chroma_offset or (0.0, -0.25)
        )
        return LoadedNetwork(card.name, module, module.contract)
    if card.architecture == "foreign":
        from models.catalog.third_party import load_third_party

        return load_third_party(card)
    if card.architecture == "onnx":
        from models.catalog.onnx_reader import load_onnx

        return load_onnx(card)
    from safetensors.torch import load_file

    from models.architectures.registry import ARCHITECTURES
    from models.layers.int8 import INTEGERS

    if card.architecture not in ARCHITECTURES:
        raise MediaError(
            f"{card.path}: its card names the architecture {card.architecture!r}; we know"
            f" {', '.join(ARCHITECTURES)}"
        )
    if card.sha256 and sha256_of(card.path) != card.sha256:
        raise MediaError(f"{card.path}: SHA-256 is not the one on its card; fetch or train it again")
    refuse_huge(card.path, {"scale": card.scale, **card.settings})
    found = tensor_shapes(card.path)
    with at_most(
        sum(math.prod(shape) for shape in found.values()),
        f"{card.path}: its tensors are not those of {card.architecture} {card.settings}",
    ):
        network = ARCHITECTURES[card.architecture](scale=card.scale, **card.settings)
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    if any(name.startswith(INTEGERS) for name in found) and hasattr(network, "integer_shapes"):
        expected |= {f"{INTEGERS}{name}": shape for name, shape in network.integer_shapes.items()}
    if expected != found:
        odd = min(set(expected.items()) ^ set(found.items()))[0]
        raise MediaError(
            f"{card.path}: its tensors are not those of {card.architecture} {card.settings}; the first that"
            f" differs is {odd}"
        )
    tensors = load_file(card.path)
    network.load_state_dict({k: v.float() for k, v in tensors.items() if not k.startswith(INTEGERS)})
    integers = {k.removeprefix(INTEGERS): v for k, v in tensors.items() if k.startswith(INTEGERS)}
    if card.restores:
        by_level = integers and restore is not None
        integers = network.integers_at(integers, restore, detail) if by_level else {}
        network = network if restore is None else network.at(restore, detail)
    return LoadedNetwork(card.name, network.eval(), network.contract, card.sha256, card.more, integers)
