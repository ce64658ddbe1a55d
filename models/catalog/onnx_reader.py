"""ONNX files as networks, through onnxruntime: described in a sandboxed process, run in the worker.

Two kinds are accepted. Third-party files: one input (N,C,H,W) with three channels (R'G'B') or one (luma),
float or uint8, of any size or a fixed one, and one output of the same kind. Files of `vsr export`: luma and
chroma, with neighbouring frames and a state if the network has them. Scale, halo and size alignment are
measured, whatever the file claims.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.catalog.card import Card, sha256_of
from models.catalog.onnx_module import OnnxModule, TensorLayout, first_line
from models.errors import MediaError, UsageError
from models.network import Contract, LoadedNetwork
from models.sandbox import with_bounded_memory, without_network

__all__ = ["describe", "load_onnx"]


_PROBE_PX = 128
_MULTIPLES = (1, 2, 4, 8, 16, 32, 64)


def _probe(module: OnnxModule) -> tuple[int, int, int | None]:
    """Measure (scale, size alignment, halo in input pixels or None). Raises MediaError."""
    form = module.form
    if form.fixed is not None:
        multiple, size = 1, form.fixed
        module.scale = _scale(module, size)
    else:
        least = 2 if form.kind == "planes" else 1
        for multiple in (m for m in _MULTIPLES if m >= least):
            size = (multiple * -(-40 // multiple), multiple * (1 + -(-40 // multiple)))
            try:
                module.scale = _scale(module, size)
            except MediaError:
                if multiple == _MULTIPLES[-1]:
                    raise
            else:
                break
        side = -(-_PROBE_PX // multiple) * multiple
        size = (side, side)
    return module.scale, multiple, _halo_px(module, size)


def _pictures(module: OnnxModule, size: tuple[int, int]) -> list[Tensor]:
    """Random inputs of that height and width."""
    height, width = size
    form = module.form
    generator = torch.Generator().manual_seed(0)

    def made(channels: int, by: int = 1) -> Tensor:
        return torch.rand(1, channels, height // by, width // by, generator=generator)

    if form.kind != "planes":
        return [made(3 if form.kind == "rgb" else 1)]
    return [made(form.frames), made(2 * form.frames, 2) - 0.5, *([made(form.state, 2)] if form.state else [])]


def _scale(module: OnnxModule, size: tuple[int, int]) -> int:
    given = _pictures(module, size)
    try:
        made = module.run(*given)
    except MediaError:
        raise
    except Exception as error:
        raise MediaError(
            f"{module._path}: does not run on a picture of {size[1]}x{size[0]} ({first_line(error)})"
        ) from error
    scale = made[0].shape[-1] // size[1]
    expected = [(1, given[0].shape[1] if module.form.kind == "rgb" else 1, size[0] * scale, size[1] * scale)]
    if module.form.kind == "planes":
        expected.append((1, 2, size[0] * scale // 2, size[1] * scale // 2))
        expected += [tuple(given[2].shape)] if module.form.state else []  # type: ignore[list-item]
    shapes = [tuple(m.shape) for m in made]
    if not 1 <= scale <= 16 or shapes != expected:
        found = ", ".join(map(str, shapes))
        raise MediaError(
            f"{module._path}: gives {found} for a picture of {size[1]}x{size[0]}; expected it enlarged by a"
            " whole factor"
        )
    if not all(bool(m.isfinite().all()) for m in made):
        raise MediaError(f"{module._path}: gives values that are no numbers")
    return scale


def _halo_px(module: OnnxModule, size: tuple[int, int]) -> int | None:
    """Measure how many input pixels a changed pixel affects.

    None if the effect reaches the border of the test image.
    """
    given = _pictures(module, size)
    changed = [g.clone() for g in given]
    middle = (size[0] // 2, size[1] // 2)
    for tensor, was in zip(changed, given, strict=True):
        by = size[0] // tensor.shape[-2]
        place = (..., middle[0] // by, middle[1] // by)
        tensor[place] = 1 - was[place]
    reach = 0
    for before, after in zip(module.run(*given), module.run(*changed), strict=True):
        rows, columns = torch.nonzero((before - after).abs().amax((0, 1)) > 1e-6, as_tuple=True)
        for found, length, at in ((rows, size[0], middle[0]), (columns, size[1], middle[1])):
            if len(found):
                factor = before.shape[-2] / size[0]
                reach = max(reach, at - int(found.min() / factor), int(found.max() / factor) - at)
                if reach >= length // 2 - 1:
                    return None
    # An impulse may miss paths that a dead ReLU blocks; half as much again covers them, and a halo never
    # hurts.
    return reach + max(4, reach // 2)


def describe(path: str) -> Card:
    """Return the card of an ONNX file.

    Raises MediaError if the file can't be used, UsageError if onnxruntime is missing.
    """
    module = OnnxModule(path, probing=True)
    scale, multiple, halo_px = _probe(module)
    form = module.form
    settings: dict[str, Any] = {"kind": form.kind, "size_multiple": multiple}
    if form.fixed is not None:
        least = min(form.fixed)
        settings["margin"] = min(halo_px, least // 4) if halo_px is not None else least // 4
        # Its windows depend on the tile, so tiles would be visible; it gets whole frames.
        halo_px = None
    past, future = _neighbours(module.metadata, form)
    described = f"ONNX, {'luma and chroma' if form.kind == 'planes' else form.kind}"
    if form.fixed is not None:
        described += f", windows of {form.fixed[1]}x{form.fixed[0]}"
    return Card(
        name=Path(path).stem,
        scale=scale,
        architecture="onnx",
        description=described,
        pixels="rgb" if form.kind == "rgb" else "yuv420",
        sha256=sha256_of(path),
        path=path,
        settings=settings,
        halo_px=halo_px,
        past=past,
        future=future,
        recurrent=bool(form.state),
    )


def _neighbours(facts: dict[str, str], form: TensorLayout) -> tuple[int, int]:
    """Numbers of frames before and after, for a file exported by vsr.

    Its metadata must agree with its input.
    """
    if form.frames == 1:
        return 0, 0
    past, future = (int(facts[k]) if facts.get(k, "").isdecimal() else 0 for k in ("vsr.past", "vsr.future"))
    if past + 1 + future != form.frames:
        raise MediaError(
            f"takes {form.frames} frames at once, and does not say how many of them are past and future"
            " (vsr.past, vsr.future)"
        )
    return past, future


def load_onnx(card: Card) -> LoadedNetwork:
    """The network of a card made by `describe`."""
    if sha256_of(card.path) != card.sha256:
        raise MediaError(f"{card.path}: changed since it was described; start again")
    module = OnnxModule(card.path)
    if module.form.kind != card.settings["kind"]:
        raise MediaError(f"{card.path}: is not the file its card describes")
    module.scale, module.margin = card.scale, card.settings.get("margin", 0)
    contract = Contract(
        scale=card.scale,
        pixels="rgb" if module.form.kind == "rgb" else "yuv420",
        past=card.past,
        future=card.future,
        recurrent=card.recurrent,
        halo_px=card.halo_px,
        size_multiple=max(card.settings["size_multiple"], 1 if module.form.kind == "rgb" else 2),
        low_precision=False,
        deep_low_precision=False,
        recordable=False,
    )
    return LoadedNetwork(card.name, module, contract, card.sha256, card.more)  # type: ignore[arg-type]


if __name__ == "__main__":
    without_network()
    with_bounded_memory()
    try:
        print(json.dumps(asdict(describe(sys.argv[1]))))
    except (MediaError, UsageError) as error:
        sys.exit(str(error))
