"""`write_onnx`: writes a network as an ONNX file, for other tools and runtimes.

Inputs and outputs are fp32. A YUV-native network has "luma" (B,1,H,W), 0..1 = nominal black..white, and
"chroma" (B,2,H/2,W/2), -0.5..0.5, left-sited (H.273 type 0); planes of neighbouring frames are further
channels, oldest first. A recurrent network also has "state", zero at first and after a scene cut. Other
networks have "rgb" (B,3,H,W), R'G'B' 0..1. Outputs are called "…_out" and are not clamped.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.errors import UsageError, VerificationError, missing_package
from pipelines.storage.atomic_file import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor, nn

    from models.catalog.card import Card
    from models.network import LoadedNetwork

__all__ = ["OnnxExport", "write_onnx"]


_TOLERANCE = 1e-3
"""Largest difference of values, 0..1, between torch and onnxruntime: a quarter of an 8-bit step; sums in
another order differ by 1e-6."""
_CELLS = 12
"""Side of the traced image, in multiples of the size alignment."""


@dataclass(frozen=True)
class OnnxExport:
    """Facts about an exported ONNX file."""

    path: str
    bytes: int
    inputs: dict[str, list[int | str]]
    """Name -> shape; a free side is given by a formula."""
    outputs: dict[str, list[int | str]]
    size_multiple: int
    """H and W must be divisible by it; pad by reflection and crop."""
    difference: float | None
    """Largest difference between torch and onnxruntime on a random image; None: onnxruntime is not
    installed."""


def write_onnx(
    card: Card,
    path: Path,
    *,
    size: tuple[int, int] | None = None,
    restore: float | None = None,
    detail: float = 0.0,
) -> OnnxExport:
    """Write the network of a card as ONNX, and compare onnxruntime with torch.

    size: fixed (width, height) of the input; None: any, if the architecture allows it. restore, detail:
    restoration level and detail of the file, for networks that take them. Raises UsageError if onnx is
    missing, the network can't be exported or the size does not fit, OutputError for the disk,
    VerificationError if the file gives other results.
    """
    if card.architecture == "interpolation":
        raise UsageError(f"{card.name}: a classical scaler has no weights to export; every tool has its own")
    if card.architecture == "onnx":
        raise UsageError(f"{card.name}: is an ONNX file already, {card.path}")
    if card.restores and restore is None:
        raise UsageError(
            f"{card.name}: a file is for one restoration level; give --restore, 0 to 1, such as {card.name}"
            " has in a plan's line"
        )
    try:
        import onnx
        import onnxscript  # noqa: F401 - torch's exporter needs it, and says so less plainly
    except ImportError as error:
        raise missing_package("vsr export", error.name or str(error), "export") from error
    import torch

    from models.catalog.loader import load_network

    network = load_network(card, restore=restore, detail=detail)
    multiple = _multiple(network)
    if size is not None and any(n % multiple or n <= 0 for n in size):
        raise UsageError(f"--size {size[0]} {size[1]}: {card.name} needs sides that {multiple} divides")
    module = _Flat(network).eval()
    width, height = size or (multiple * (_CELLS + 4), multiple * _CELLS)
    inputs = _inputs(network, height, width, seed=0)
    program = _traced(module, inputs, None if size else _free_sides(network, multiple))
    if program is None:
        hint = "" if size else "; maybe for one size only: add --size WIDTH HEIGHT"
        raise UsageError(
            f"{card.name}: torch {torch.__version__} can't export its architecture ({card.architecture}) to"
            f" ONNX{hint}"
        )
    proto = program.model_proto
    onnx.helper.set_model_props(proto, _facts(network, multiple))
    onnx.checker.check_model(proto)
    # Not the traced size; otherwise a size that was frozen by mistake would not be noticed.
    again = inputs if size else _inputs(network, height + 2 * multiple, width + multiple, seed=1)
    difference: float | None = None

    def write(partial: Path) -> None:
        nonlocal difference
        partial.write_bytes(proto.SerializeToString())
        difference = _difference(partial, module, again)
        if difference is not None and not difference <= _TOLERANCE:
            raise VerificationError(
                f"{path}: onnxruntime's values differ from torch's by up to {difference:.3g}; nothing was"
                " kept of it"
            )

    write_atomically(path, write)
    return OnnxExport(
        str(path),
        path.stat().st_size,
        _shapes(proto.graph.input),
        _shapes(proto.graph.output),
        multiple,
        difference,
    )


def _multiple(network: LoadedNetwork) -> int:
    """Alignment of H and W; chroma makes it even."""
    multiple = network.contract.size_multiple
    return multiple * (multiple % 2 + 1) if network.contract.pixels == "yuv420" else multiple


def _Flat(network: LoadedNetwork) -> nn.Module:  # noqa: N802 - a class but for torch, which is loaded late
    """The network with separate tensors instead of tuples, as in ONNX."""
    from torch import nn

    contract = network.contract

    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network: Any = network.module

        def forward(self, *planes: Tensor) -> Any:
            if contract.pixels == "rgb":
                return self.network(planes[0])
            if contract.recurrent:
                (luma, chroma), state = self.network((planes[0], planes[1]), planes[2])
                return luma, chroma, state
            return self.network((planes[0], planes[1]))

    return Flat()


def _inputs(network: LoadedNetwork, height: int, width: int, *, seed: int) -> dict[str, Tensor]:
    """A random image of that size, by name."""
    import torch

    contract = network.contract
    seen = contract.past + 1 + contract.future
    random = torch.Generator().manual_seed(seed)
    if contract.pixels == "rgb":
        return {"rgb": torch.rand(1, 3, height, width, generator=random)}
    luma, chroma = (torch.rand(1, n * seen, height // n, width // n, generator=random) for n in (1, 2))
    made = {"luma": luma, "chroma": chroma - 0.5}
    if contract.recurrent:
        made["state"] = torch.rand(1, network.module.width, height // 2, width // 2, generator=random)  # type: ignore[attr-defined]
    return made


def _free_sides(network: LoadedNetwork, multiple: int) -> tuple[dict[int, Any], ...]:
    """Which sides of each input are free, as multiples of the alignment."""
    from torch.export import Dim

    down, across = Dim("h", min=4, max=8192), Dim("w", min=4, max=8192)

    def sides(by: int) -> dict[int, Any]:
        return {2: by * down, 3: by * across} if by > 1 else {2: down, 3: across}

    if network.contract.pixels == "rgb":
        return (sides(multiple),)
    return (sides(multiple), *[sides(multiple // 2)] * (2 if network.contract.recurrent else 1))


def _traced(module: nn.Module, inputs: dict[str, Tensor], dynamic: tuple[dict[int, Any], ...] | None) -> Any:
    """Torch's ONNX program, or None if it can't create one."""
    import torch

    outputs = [f"{name}_out" for name in inputs]
    with _silent(), torch.inference_mode(mode=False), torch.no_grad():
        try:
            return torch.onnx.export(
                module, tuple(inputs.values()), dynamo=True, input_names=list(inputs), output_names=outputs,
                verbose=False,
                dynamic_shapes=(dynamic,) if dynamic else None,
            )  # fmt: skip
        except Exception:  # noqa: BLE001 - any error that third-party code makes the tracer raise
            return None


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Silence the exporter, which prints on every channel."""
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def _facts(network: LoadedNetwork, multiple: int) -> dict[str, str]:
    """Facts for users of the file, as its metadata."""
    contract = network.contract
    values = (
        "R'G'B' 0..1"
        if contract.pixels == "rgb"
        else "luma 0..1 = nominal black..white; chroma -0.5..0.5, left-sited, half size"
    )
    facts: dict[str, Any] = {
        "name": network.name, "sha256": network.sha256, "scale": contract.scale, "pixels": contract.pixels,
        "values": values, "size_multiple": multiple, "halo_px": contract.halo_px, "past": contract.past,
        "future": contract.future, "recurrent": contract.recurrent,
    }  # fmt: skip
    return {
        f"vsr.{key}": value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()
    }


def _difference(path: Path, module: nn.Module, inputs: dict[str, Tensor]) -> float | None:
    """Largest difference of values between onnxruntime and torch; None without onnxruntime."""
    try:
        import onnxruntime
    except ImportError:
        return None
    import torch

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
    with torch.inference_mode():
        made = module(*inputs.values())
    wanted = made if isinstance(made, tuple) else (made,)
    return max(float((torch.from_numpy(a) - b).abs().max()) for a, b in zip(found, wanted, strict=True))


def _shapes(values: Any) -> dict[str, list[int | str]]:
    return {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}
