"""Compares our networks on 8-bit integers with OpenVINO and onnxruntime.

`make peers`, or `python -m tests.benchmarks.integer_peers --data PICTURES`. Each tool gets the same fp32
weights, exported to ONNX, and quantizes them with its own method after training, with its defaults: nncf for
OpenVINO, static quantization to QDQ for onnxruntime. Every other image is used for calibration; the others
show the distance from fp32. One thread, one frame of 960x544. `convolutions`: packed samples in and residuals
out. `frame`: 8-bit planes in and out; the other tools' samples are packed, their residuals added to torch's
bicubic upscale and rounded, by torch. `--quick` uses a tiny frame.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from models.catalog.loader import load_network
from models.catalog.lookup import find_cards
from models.layers.int8 import Int8Chain, read_layers
from models.layers.yuv_residual import bicubic, pack, unpack
from pipelines.inference.fused_cpu import FusedNetwork
from pipelines.model_files.quantization import calibration_frames, code_ranges, packed_codes
from pipelines.plan.tiling import cut_tiles
from tests.benchmarks.report import table, tell
from tests.helpers.integers import pictures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.network import LoadedNetwork

Run = Callable[[torch.Tensor], np.ndarray]
"""Packed codes (1,6,H,W) -> residual (1,C,H,W)."""
Frame = Callable[[list[np.ndarray]], list[np.ndarray]]
"""Luma, U and V, 8 bits, narrow range -> the same twice as large."""
_TILE = (272, 480)
_TRIES = 7


class Trunk(nn.Module):
    """The convolutions of a network, as something that can be exported."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(1,6,H,W) -> (1,C,H,W)."""
        made: torch.Tensor = self.network.trunk(x)  # type: ignore[operator]
        return made


def values(codes: torch.Tensor) -> torch.Tensor:
    """What a network in fp32 sees."""
    offsets, spans = (x.reshape(-1, 1, 1) for x in code_ranges(full=False))
    return (codes - offsets) / spans


def ours(network: LoadedNetwork) -> Run:
    """`Int8Chain` with the layers that are shipped."""
    chain = Int8Chain(
        read_layers(network.int8, [n for n in network.module.integer_layers if n != "head.full"])  # type: ignore[attr-defined]
    )
    black = code_ranges(full=False)[0].to(torch.uint8).reshape(1, -1, 1, 1)

    def run(codes: torch.Tensor) -> np.ndarray:
        height, width = codes.shape[-2:]
        padded = black.expand(1, -1, height + 2, width + 2).contiguous(memory_format=torch.channels_last)
        padded[..., 1:-1, 1:-1] = codes.to(torch.uint8)
        return chain(padded).numpy()

    return run


def our_frame(network: LoadedNetwork) -> Frame:
    """The way of `vsr run`."""
    fused = FusedNetwork(network, 8, full=False, dtype=torch.uint8)

    def run(planes: list[np.ndarray]) -> list[np.ndarray]:
        made = [np.empty((2 * p.shape[0], 2 * p.shape[1]), np.uint8) for p in planes]
        [whole] = cut_tiles(planes[0].shape, planes[0].shape, 0)
        fused.run([planes], None, planes, whole, made)
        return made

    return run


def frame_around(run: Run) -> Frame:
    """What is left to do around another tool's convolutions."""

    def frame(planes: list[np.ndarray]) -> list[np.ndarray]:
        luma, chroma = torch.from_numpy(planes[0])[None, None], torch.from_numpy(np.stack(planes[1:]))[None]
        codes = pack((luma, chroma)).float()
        residual = unpack(torch.from_numpy(run(codes)))
        upscaled = bicubic(((luma.float() - 16) / 219, (chroma.float() - 128) / 224), 2)
        made = [
            ((plane + more) * span + offset).round_().clamp_(0, 255).to(torch.uint8)
            for plane, more, span, offset in zip(upscaled, residual, (219, 224), (16, 128), strict=True)
        ]
        return [made[0][0, 0].numpy(), *made[1][0].numpy()]

    return frame


def openvino(path: Path, seen: Sequence[torch.Tensor]) -> Run:
    """nncf's defaults, on one thread."""
    import nncf
    import openvino as ov

    core = ov.Core()
    made = nncf.quantize(
        core.read_model(str(path)), nncf.Dataset([values(c).numpy() for c in seen]), subset_size=len(seen)
    )
    compiled: dict[tuple[int, ...], Any] = {}

    def run(codes: torch.Tensor) -> np.ndarray:
        shape = tuple(codes.shape)
        if shape not in compiled:
            made.reshape(list(shape))
            compiled[shape] = core.compile_model(made, "CPU", {"INFERENCE_NUM_THREADS": 1})
        return compiled[shape](values(codes).numpy())[0]  # type: ignore[no-any-return]

    return run


def onnxruntime(path: Path, seen: Sequence[torch.Tensor]) -> Run:
    """Static quantization to QDQ, weights per channel, on one thread."""
    import onnxruntime as ort
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(seen)

        def get_next(self) -> dict[str, np.ndarray] | None:
            codes = next(self.left, None)
            return None if codes is None else {"x": values(codes).numpy()}

    out = path.with_suffix(".int8.onnx")
    quantize_static(
        str(path),
        str(out),
        Reader(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(out), options, providers=["CPUExecutionProvider"])
    return lambda codes: session.run(None, {"x": values(codes).numpy()})[0]


TOOLS = {"openvino": openvino, "onnxruntime": onnxruntime}


@torch.inference_mode()
def main() -> None:
    """Print a row for each network and tool."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder of pictures; default: waves made by code")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--frames", type=int, default=24, help="pictures of each kind")
    parser.add_argument("--write", type=Path, metavar="FILE")
    parser.add_argument("--only", nargs="*", choices=[*TOOLS], default=[*TOOLS])
    given = parser.parse_args()
    torch.set_num_threads(1)
    tile = (16, 24) if given.quick else _TILE
    rows, missing = [], []
    for name in ("fast-x2",) if given.quick else ("fast-x2", "quality-x2"):
        network = load_network(find_cards(name)[0])
        frames = calibration_frames([given.data], 2) if given.data else pictures(2 * given.frames)
        codes = [packed_codes(frame) for frame in frames[: 2 * given.frames]]
        seen, judged = codes[::2], codes[1::2]
        trunk = Trunk(network.module).eval()  # type: ignore[arg-type]
        ways: dict[str, Run] = {"vsr": ours(network)}
        with tempfile.TemporaryDirectory(prefix="vsr-peers-") as place:
            path = Path(place) / "trunk.onnx"
            torch.onnx.export(
                trunk,
                (values(codes[0]),),
                str(path),
                input_names=["x"],
                output_names=["y"],
                dynamic_axes={"x": {2: "h", 3: "w"}, "y": {2: "h", 3: "w"}},
                dynamo=False,
            )
            for tool in given.only:
                try:
                    ways[tool] = TOOLS[tool](path, seen)
                except Exception as error:
                    missing.append(f"{tool}, {name}: {error!s:.200}")
            noise = _noise(tile)
            codes_of_noise = pack((noise[0][None, None], torch.stack(noise[1:])[None])).float()
            planes = [p.numpy() for p in noise]
            frame_of = {tool: frame_around(run) for tool, run in ways.items()} | {"vsr": our_frame(network)}
            spent = _alternated({tool: partial(run, codes_of_noise) for tool, run in ways.items()})
            whole = _alternated({tool: partial(run, planes) for tool, run in frame_of.items()})
            rows += [
                (
                    f"`{name}`",
                    tool,
                    f"{spent[tool]:.1f} ms",
                    f"{spent[tool] / spent['vsr']:.2f}",
                    f"{whole[tool]:.1f} ms",
                    f"{whole[tool] / whole['vsr']:.2f}",
                    _near(run, trunk, judged),
                )
                for tool, run in ways.items()
            ]
    heads = (
        "network",
        "tool",
        "convolutions",
        "times vsr's",
        "frame",
        "times vsr's",
        "luma PSNR against fp32",
    )
    text = table(heads, rows)
    tell("integer peers", text + "".join(f"\n\n{m}" for m in missing), given.write)


def _noise(tile: tuple[int, int]) -> list[torch.Tensor]:
    """Planes of a frame; tile: height and width of its chroma."""
    generator = np.random.default_rng(0)
    sizes = [(2 * tile[0], 2 * tile[1]), tile, tile]
    return [torch.from_numpy(generator.integers(16, 236, size, dtype=np.uint8)) for size in sizes]


def _alternated(works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The least CPU milliseconds of this process, of several rounds."""
    best = dict.fromkeys(works, math.inf)
    for number in range(_TRIES + 1):
        for tool, work in works.items():
            begun = time.process_time()
            work()
            if number:
                best[tool] = min(best[tool], 1e3 * (time.process_time() - begun))
    return best


def _near(run: Run, trunk: nn.Module, judged: Sequence[torch.Tensor]) -> str:
    """PSNR of the residual of luma, in 8-bit codes, before rounding to them."""
    errors = [
        float(np.square((run(codes) - trunk(values(codes)).numpy())[:, :16] * 219).mean()) for codes in judged
    ]
    return f"{10 * math.log10(255**2 / float(np.mean(errors))):.1f} dB"


if __name__ == "__main__":
    main()
