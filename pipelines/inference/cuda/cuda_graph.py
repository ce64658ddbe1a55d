"""`GraphedNetwork`: a YUV-native network between integer samples on a device, recorded once per shape.

It processes batches of equal tiles. Samples are unpacked, upscaled and rounded on the device, so only 8 or 10
bits per sample are transferred. On CUDA everything between is one CUDA graph per shape, as a launch from
Python takes longer than a small layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from models.layers.convolution import pack_weights
from models.layers.resampling import upscale_in_graph
from models.layers.yuv_residual import LEFT_SITED
from pipelines.frames.color_conversion import codes_to_values, values_to_codes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from models.network import LoadedNetwork

__all__ = ["STATISTICS_PER_TILE", "GraphedNetwork", "record_cuda_graph"]


STATISTICS_PER_TILE = 4
"""Number of values by which a tile is checked: a sum that is finite if all values are; mean of luma before;
mean and maximum after."""
_WARM_UP = 3
"""Calls before a recording, in which libraries choose algorithms and allocate."""


class GraphedNetwork:
    """Integer samples of tiles -> integer samples of their upscale."""

    def __init__(
        self,
        network: LoadedNetwork,
        bits: int,
        *,
        full: bool,
        dtype: torch.dtype,
        record: Callable[
            [Callable[..., tuple[Tensor, ...]], Sequence[Tensor]], Callable[..., tuple[Tensor, ...]]
        ]
        | None = None,
        finer: int = 0,
    ) -> None:
        """bits, full: format of the samples. dtype: precision, if the network allows it.

        record: makes a graph of a call; None: no graphs. finer: bits that the result has beyond `bits`.
        """
        self._network, self._bits, self._full, self._dtype = network, bits, full, dtype
        self._finer = finer
        self._record = record
        self._graphs: dict[Any, Callable[..., tuple[Tensor, ...]]] = {}
        if dtype == torch.float16:
            pack_weights(network.module, dtype)  # type: ignore[arg-type]

    def __call__(
        self,
        luma: Tensor,
        chroma: Tensor,
        state: Tensor | None = None,
        *,
        precise: bool = False,
        classical: bool = False,
    ) -> tuple[Tensor, ...]:
        """Process a batch of tiles of one shape.

        luma: (B,n,H,W) integers of the frames that the network uses, uint8 or int16. chroma: (B,2n,H/2,W/2).
        state: (B,C,H/2,W/2), for a recurrent network. precise: compute in fp32. classical: use only the
        network's classical kernel. Returns integers (B,1,SH,SW) and (B,2,SH/2,SW/2), (B,STATISTICS_PER_TILE)
        float32, and the next state of a recurrent network. The outputs are overwritten by the next call of
        the same shape.
        """
        inputs = [luma, chroma] if state is None else [luma, chroma, state]
        key = (precise, classical, *((tuple(t.shape), t.dtype) for t in inputs))
        call = self._graphs.get(key)
        if call is None:

            def plain(*tensors: Tensor) -> tuple[Tensor, ...]:
                return self._plain(*tensors, precise=precise, classical=classical)

            # A frame is rarely computed again in fp32, so a graph is not worth its memory.
            call = plain if self._record is None or precise else self._record(plain, inputs)
            self._graphs[key] = call
        return call(*inputs)

    @property
    def state_dtype(self) -> torch.dtype:
        """The dtype of a recurrent network's state."""
        return self._dtype if self._network.contract.low_precision_at(self._bits) else torch.float32

    def _plain(
        self, luma: Tensor, chroma: Tensor, state: Tensor | None = None, *, precise: bool, classical: bool
    ) -> tuple[Tensor, ...]:
        contract, bits, full = self._network.contract, self._bits, self._full
        seen = codes_to_values(luma, bits, full, chroma=False)
        planes = (seen, codes_to_values(chroma, bits, full, chroma=True))
        now = contract.past
        left: tuple[Tensor, ...] = ()
        if classical:
            own = (seen[:, now : now + 1], planes[1][:, 2 * now : 2 * now + 2])
            made = (
                upscale_in_graph(own[0], contract.scale, contract.kernel),
                upscale_in_graph(own[1], contract.scale, contract.kernel, LEFT_SITED),
            )
        else:
            low = not precise and self._dtype is not torch.float32 and contract.low_precision_at(bits)
            # The cache of cast weights would be allocated in the memory of a recording.
            with torch.autocast(
                luma.device.type, self._dtype if low else torch.bfloat16, enabled=low, cache_enabled=False
            ):
                if contract.recurrent:
                    made = self._network.module(planes, state)  # type: ignore[call-arg]
                else:
                    made = self._network.module(planes)
            if contract.recurrent:
                made, next_state = made  # type: ignore[assignment]
                left = (next_state,)  # type: ignore[assignment]
        values = [m.float() for m in made]
        codes = (
            values_to_codes(values[0], bits, full, chroma=False, finer=self._finer),
            values_to_codes(values[1], bits, full, chroma=True, finer=self._finer),
        )
        shown = values_to_codes(values[0], bits, full, chroma=False) if self._finer else codes[0]
        after = codes_to_values(shown, bits, full, chroma=False)
        statistics = torch.stack(
            [
                values[0].sum((1, 2, 3)) + values[1].sum((1, 2, 3)),
                seen[:, now].mean((1, 2)),
                after.mean((1, 2, 3)),
                after.amax((1, 2, 3)),
            ],
            1,
        )
        return (*codes, statistics, *left)


def record_cuda_graph(
    call: Callable[..., tuple[Tensor, ...]], inputs: Sequence[Tensor]
) -> Callable[..., tuple[Tensor, ...]]:
    """Record a call as a CUDA graph, which is replayed on the current contents of the given tensors.

    Other threads may use the device meanwhile. Raises torch.OutOfMemoryError like the call itself.
    """
    kept = [t.clone() for t in inputs]
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UP):
            call(*kept)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        results = call(*kept)

    def replay(*tensors: Tensor) -> tuple[Tensor, ...]:
        for static, tensor in zip(kept, tensors, strict=True):
            static.copy_(tensor, non_blocking=True)
        graph.replay()
        return results

    return replay
