"""`export`: writes a state dict as `NAME.safetensors` (fp16) with its card `NAME.toml`.

`models.catalog.card.read_card` reads the card.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from models.architectures.registry import ARCHITECTURES
from models.architectures.restoring import Restoring
from models.catalog.card import sha256_of
from models.errors import UsageError
from pipelines.storage.atomic_file import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.network import Contract

__all__ = ["NetworkFacts", "build", "export", "gflop_per_megapixel", "parameter_count", "to_toml"]


_COUNTED_PX = 64
"""Side of the image on which operations are counted."""


def build(architecture: str, scale: int, settings: Mapping[str, Any]) -> nn.Module:
    """The untrained network for the three fields of a card.

    Raises UsageError if the architecture does not accept them.
    """
    if architecture not in ARCHITECTURES:
        raise UsageError(
            f"architecture = {architecture!r}: no such architecture; there are {', '.join(ARCHITECTURES)}"
        )
    try:
        network: nn.Module = ARCHITECTURES[architecture](scale=scale, **settings)
    except TypeError as error:
        raise UsageError(
            f"architecture {architecture!r} does not take the settings {dict(settings)}: {error}"
        ) from error
    return network


def parameter_count(network: nn.Module) -> int:
    """Number of learned parameters."""
    return sum(p.numel() for p in network.parameters())


def gflop_per_megapixel(network: nn.Module) -> float:
    """Compute of its convolutions in GFLOP per megapixel of input (a multiply-add is two)."""
    counted = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal counted
        if isinstance(module, nn.Conv2d):
            taps = module.kernel_size[0] * module.kernel_size[1] * module.in_channels // module.groups
            counted += 2 * taps * output.numel()
        elif isinstance(module, nn.ConvTranspose2d):
            taps = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
            counted += 2 * taps * inputs[0].numel()

    network = network.at(0.5) if isinstance(network, Restoring) else network
    hooks = [
        m.register_forward_hook(count)
        for m in network.modules()
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)
    ]
    try:
        with torch.inference_mode():
            _run_once(network)
    finally:
        for hook in hooks:
            hook.remove()
    return counted / _COUNTED_PX**2 / 1e3


def _run_once(network: nn.Module) -> None:
    contract: Contract = network.contract  # type: ignore[assignment]
    side, frames = _COUNTED_PX, contract.past + 1 + contract.future
    if contract.pixels == "rgb":
        network(torch.zeros(1, 3, side, side))
    elif contract.recurrent:
        network((torch.zeros(1, frames, side, side), torch.zeros(1, 2 * frames, side // 2, side // 2)), None)
    else:
        network((torch.zeros(1, frames, side, side), torch.zeros(1, 2 * frames, side // 2, side // 2)))


@dataclass(frozen=True)
class NetworkFacts:
    """Facts for a card, besides those of the architecture."""

    architecture: str
    settings: Mapping[str, Any]
    """Arguments of the architecture besides the scale."""
    scale: int
    description: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)
    """Further tables of the card (training, scores); values that TOML supports."""


def export(state: Mapping[str, Tensor], facts: NetworkFacts, *, folder: str | Path, name: str) -> Path:
    """Write the weights in fp16 and the card; both get their names only when complete.

    state: tensors of the architecture, with the names of `state_dict`. Returns the path of the weights.
    Raises UsageError if the tensors are not those of the architecture.
    """
    architecture, settings, scale = facts.architecture, facts.settings, facts.scale
    network = build(architecture, scale, settings)
    expected = {k: tuple(v.shape) for k, v in network.state_dict().items()}
    found = {k: tuple(v.shape) for k, v in state.items()}
    if expected != found:
        odd = min(set(expected.items()) ^ set(found.items()))[0]
        raise UsageError(
            f"{name}: its tensors are not those of {architecture} {dict(settings)} at scale {scale}; the"
            f" first that differs is {odd}"
        )
    contract: Contract = network.contract  # type: ignore[assignment]
    weights = Path(folder) / f"{name}.safetensors"
    half = {k: v.detach().to("cpu", torch.float16).contiguous() for k, v in state.items()}
    write_atomically(weights, save(half), parents=True)
    card: dict[str, Any] = {
        "scale": scale,
        "architecture": architecture,
        "description": facts.description,
        "parameters": parameter_count(network),
        "pixels": contract.pixels,
        "sha256": sha256_of(weights),
        "gflop_per_megapixel": round(gflop_per_megapixel(network), 2),
        "halo_px": contract.halo_px,
        **(
            {"past": contract.past, "future": contract.future, "recurrent": contract.recurrent}
            if contract.temporal
            else {}
        ),
        "settings": dict(settings),
        **facts.record,
    }
    write_atomically(weights.with_suffix(".toml"), to_toml(card).encode(errors="replace"))
    return weights


def to_toml(table: Mapping[str, Any]) -> str:
    """A nested table as TOML text: plain values first, then tables; None is left out."""
    return "\n".join(_lines(table, ())) + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    plain = {k: v for k, v in table.items() if not isinstance(v, dict) and v is not None}
    lines = [f"{_key(k)} = {_value(v)}" for k, v in plain.items()]
    for key, value in table.items():
        if isinstance(value, dict):
            inner = (*path, _key(key))
            lines += ["", f"[{'.'.join(inner)}]", *_lines(value, inner)]
    return lines


def _key(key: str) -> str:
    return key if key.replace("-", "").replace("_", "").isalnum() and key.isascii() else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return {"inf": "inf", "-inf": "-inf", "nan": "nan"}.get(str(value), repr(value))
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    return json.dumps(str(value), ensure_ascii=False)
