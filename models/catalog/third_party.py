"""Third-party checkpoints, loaded through spandrel.

Any file that spandrel recognises becomes an RGB network with our contract. Pickles are read by spandrel's
restricted unpickler, which knows only tensors and can't run code. The receptive field is measured with an
impulse, and low precision is allowed only if its error was measured to be small.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from models.catalog.card import Card, sha256_of
from models.catalog.safetensors_header import tensor_shapes
from models.errors import MediaError
from models.layers.activations import Prelu
from models.network import Contract, LoadedNetwork
from models.sandbox import with_bounded_memory, without_network

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["FlopCounter", "describe", "load_third_party", "write_tensors"]


_PROBE_PX = 128
_LOW_PRECISION_DB = 50.0
_DEEP_LOW_PRECISION_DB = 60.0
"""Least PSNR for more than 8 bits: corresponds to an error of one 10-bit value."""


class _Foreign(nn.Module):
    """A spandrel model as a plain module: RGB in, RGB out."""

    def __init__(self, path: str) -> None:
        super().__init__()
        from spandrel import ImageModelDescriptor, ModelLoader

        if path.endswith(".safetensors"):
            tensor_shapes(path)
        try:
            descriptor = ModelLoader(device="cpu").load_from_file(path)
        except Exception as error:
            raise MediaError(
                f"{path}: is not a checkpoint that spandrel knows"
                f" ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
            ) from error
        if (
            not isinstance(descriptor, ImageModelDescriptor)
            or descriptor.input_channels != 3
            or descriptor.output_channels != 3
        ):
            raise MediaError(
                f"{path}: is a {descriptor.architecture.name}, which does not turn one RGB picture into one"
            )
        self.model = descriptor.model.eval().float()
        self.scale = int(descriptor.scale)
        self.architecture = descriptor.architecture.name
        requirements = descriptor.size_requirements
        self.multiple = max(1, requirements.multiple_of or 1)
        self.is_compact = descriptor.architecture.id == "Compact"
        """Whether the network is a plain chain of convolutions."""
        if self.is_compact:
            self._take_prelus_in_place()
        self._keep_last_layer_precise()

    def _take_prelus_in_place(self) -> None:
        """Let PReLU layers work in place, if the network is a plain list of layers.

        In Real-ESRGAN's video networks, each layer is the only user of the output of the one before.
        """
        layers: Any = self.model.body
        for number, layer in enumerate(layers):
            if isinstance(layer, nn.PReLU):
                layers[number] = Prelu(layer.num_parameters)
                layers[number].weight = layer.weight

    def _keep_last_layer_precise(self) -> None:
        """Let the last layer compute in fp32 under autocast too, and with it all sums and shuffles after it.

        bf16 has 8 bits of mantissa: four 10-bit values would become one.
        """
        layers = [
            m for m in self.model.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
        ]
        called: list[nn.Module] = []
        hooks = [m.register_forward_hook(lambda module, _, __: called.append(module)) for m in layers]
        size = -(-16 // self.multiple) * self.multiple
        try:
            with torch.inference_mode():
                self.model(torch.zeros(1, 3, size, size))
        finally:
            for hook in hooks:
                hook.remove()
        if called:
            called[-1].forward = _in_fp32(called[-1].forward)

    def forward(self, rgb: Tensor) -> Tensor:
        """(B,3,H,W) R'G'B' 0..1 -> (B,3,SH,SW)."""
        out: Tensor = self.model(rgb)
        return out


def _in_fp32(forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def precise(x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return forward(x.float())

    return precise


class FlopCounter:
    """Counts the compute of single images (a multiply-add is two), of all layers and of attention."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}

    def __call__(self, module: nn.Module, picture: Tensor) -> Tensor:
        """Run the module once, counted."""
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter:
            made: Tensor = module(picture)
        self._seen[picture.shape[-1] * picture.shape[-2]] = counter.get_total_flops()
        return made

    @property
    def gflop_per_megapixel(self) -> float:
        """Compute per megapixel, without the part that doesn't grow with the image.

        Needs runs at two sizes: some networks fold their weights first, at any size.
        """
        (small, few), (large, many) = min(self._seen.items()), max(self._seen.items())
        return few / small / 1e3 if small == large else (many - few) / (large - small) / 1e3


def _halo_px(module: _Foreign, counted: FlopCounter) -> int | None:
    """Number of input pixels that a changed pixel affects.

    None if the effect reaches the border of the test image. For a chain of convolutions, the sum of their
    radii; for any other network, measured.
    """
    if module.is_compact:
        return sum(layer.kernel_size[0] // 2 for layer in module.modules() if isinstance(layer, nn.Conv2d))
    torch.manual_seed(0)
    size = -(-_PROBE_PX // module.multiple) * module.multiple
    picture = torch.rand(1, 3, size, size)
    changed = picture.clone()
    changed[..., size // 2, size // 2] = 1 - changed[..., size // 2, size // 2]
    with torch.no_grad():
        difference = (counted(module, picture) - module(changed)).abs().amax((0, 1)) > 1e-7
    rows = torch.nonzero(difference.any(1)).flatten() // module.scale
    columns = torch.nonzero(difference.any(0)).flatten() // module.scale
    if not len(rows):
        return 0
    reach = max(
        size // 2 - int(rows[0]),
        int(rows[-1]) - size // 2,
        size // 2 - int(columns[0]),
        int(columns[-1]) - size // 2,
    )
    # An impulse may miss paths that a dead ReLU blocks; half as much again covers them, and a halo never
    # hurts.
    return None if reach >= size // 2 - 1 else reach + max(4, reach // 2)


def _bf16_db(module: _Foreign, counted: FlopCounter) -> float:
    """PSNR of the bf16 result against the fp32 one on a smooth picture with noise."""
    torch.manual_seed(0)
    size = -(-64 // module.multiple) * module.multiple
    ramp = torch.linspace(0, 1, size)
    picture = (0.8 * (ramp[:, None] + ramp[None]) / 2 + 0.1 * torch.rand(1, 3, size, size)).clamp(0, 1)
    with torch.no_grad():
        exact = counted(module, picture)
        with torch.autocast("cpu", torch.bfloat16):
            rough = module(picture).float()
    return float(-10 * torch.log10((exact - rough).square().mean() + 1e-12))


def describe(path: str) -> Card:
    """Return the card of a third-party checkpoint. Raises MediaError if spandrel does not know it."""
    module = _Foreign(path)
    parameters = sum(p.numel() for p in module.parameters())
    counted = FlopCounter()
    low_db, halo_px = _bf16_db(module, counted), _halo_px(module, counted)
    return Card(
        name=Path(path).stem,
        scale=module.scale,
        architecture="foreign",
        description=f"{module.architecture}, by spandrel",
        parameters=parameters,
        pixels="rgb",
        sha256=sha256_of(path),
        path=path,
        settings={
            "size_multiple": module.multiple,
            "low_precision": low_db >= _LOW_PRECISION_DB,
            "deep_low_precision": low_db >= _DEEP_LOW_PRECISION_DB,
        },
        gflop_per_megapixel=round(counted.gflop_per_megapixel, 1),
        halo_px=halo_px,
        more={"bf16_db": round(low_db, 1)},
    )


def write_tensors(source: str, target: str) -> None:
    """Write the tensors of a pickle as safetensors, which can't run code."""
    from safetensors.torch import save_file
    from spandrel import ModelLoader

    state = ModelLoader(device="cpu").load_state_dict_from_file(source)
    save_file({k: v.contiguous() for k, v in state.items()}, target)


def load_third_party(card: Card) -> LoadedNetwork:
    """The network of a card made by `describe`."""
    if sha256_of(card.path) != card.sha256:
        raise MediaError(f"{card.path}: changed since it was described; start again")
    module = _Foreign(card.path)
    contract = Contract(
        scale=card.scale,
        pixels="rgb",
        halo_px=card.halo_px,
        size_multiple=card.settings["size_multiple"],
        low_precision=card.settings["low_precision"],
        deep_low_precision=card.settings["deep_low_precision"],
    )
    return LoadedNetwork(card.name, module, contract, card.sha256, card.more)  # type: ignore[arg-type]


if __name__ == "__main__":
    without_network()
    with_bounded_memory()
    try:
        if sys.argv[2:]:
            write_tensors(*sys.argv[1:])
        else:
            print(json.dumps(asdict(describe(sys.argv[1]))))
    except MediaError as error:
        sys.exit(str(error))
