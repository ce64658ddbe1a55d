"""Compares the CPU time of networks on 8-bit integers with bf16 and fp32: one thread, one tile.

`python -m tests.benchmarks.integers [MODEL...]`. `ONEDNN_MAX_CPU_ISA=AVX512_CORE_VNNI` in the environment
disables AMX; bf16 is measured if the CPU uses it by default.
"""

from __future__ import annotations

import copy
import os
import sys
import time
from typing import TYPE_CHECKING

import torch

from models.catalog.loader import load_network
from models.catalog.lookup import find_cards
from models.layers.convolution import pack_weights
from models.layers.int8 import Int8Chain, Int8Layer, int8_is_exact
from pipelines.inference.device import low_precision

if TYPE_CHECKING:
    from collections.abc import Callable

_TRIES = 8


def milliseconds(work: Callable[[], object]) -> float:
    """CPU milliseconds of this thread, the least of several tries."""
    work()
    found = []
    for _ in range(_TRIES):
        begun = time.thread_time()
        work()
        found.append(time.thread_time() - begun)
    return 1e3 * min(found)


@torch.inference_mode()
def main() -> None:
    """Print a line for each network. Integer weights are simply rounded, as they don't affect the time."""
    torch.set_num_threads(1)
    if not int8_is_exact():
        sys.exit("this CPU has no exact 8-bit integers")
    low = low_precision(torch.device("cpu"))
    dtypes = (
        [torch.float32] if "ONEDNN_MAX_CPU_ISA" in os.environ else list(dict.fromkeys([low, torch.float32]))
    )
    for name in sys.argv[1:] or ["fast-x2", "quality-x2"]:
        network = load_network(find_cards(name)[0]).module
        layers = [layer for kind, layer in network.integer_layers.items() if kind != "head.full"]  # type: ignore[attr-defined]
        whole = [(layer.weight * 200).round().clamp(-127, 127).to(torch.int8) for layer in layers]
        chain = Int8Chain(
            [
                Int8Layer(w, torch.full((len(w),), 0.005), layer.bias * 100)
                for w, layer in zip(whole, layers, strict=True)
            ]
        )
        codes = torch.randint(0, 256, (1, 6, 274, 482), dtype=torch.uint8).contiguous(
            memory_format=torch.channels_last
        )
        figures = {"int8": milliseconds(lambda chain=chain, codes=codes: chain(codes))}  # type: ignore[misc]
        for dtype in dtypes:
            made = copy.deepcopy(network)
            pack_weights(made, dtype)  # type: ignore[arg-type]
            values = (codes[..., 1:-1, 1:-1] / 255).to(dtype).contiguous(memory_format=torch.channels_last)
            figures[str(dtype).removeprefix("torch.")] = milliseconds(
                lambda made=made, values=values: made.trunk(values)
            )  # type: ignore[misc, attr-defined]
        print(name, *(f"{kind} {figure:.1f} ms" for kind, figure in figures.items()), flush=True)


if __name__ == "__main__":
    main()
