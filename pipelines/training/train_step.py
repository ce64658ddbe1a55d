"""`Gradients`: the forward and backward pass of a training step.

On CUDA it is captured as a CUDA graph, to avoid the overhead of launching many small kernels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from pipelines.datasets.batch_loader import Batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from pipelines.objectives.reconstruction import Reconstruction

    Record = Callable[[Callable[[], Tensor]], Callable[[], Tensor]]

__all__ = ["Gradients", "record_cuda_graph"]


_WARM_UP = 3
"""Passes before a recording, in which libraries choose algorithms and allocate."""


class Gradients:
    """Computes gradients of an objective in the network's parameters."""

    def __init__(self, objective: Reconstruction, autocast: Callable[[], Any], record: Record | None) -> None:
        """autocast: a context for the forward pass.

        record: captures a pass as a graph, if the objective allows it; None: no graphs.
        """
        self._objective, self._autocast = objective, autocast
        self._record = record if objective.repeats else None
        self._kept: Batch | None = None
        self._replay: Callable[[], Tensor] | None = None

    def __call__(self, batch: Batch, step: int) -> Tensor:
        """Return the loss, a scalar on the device that the next call may overwrite.

        The gradients are those of this batch alone.
        """
        # Without a target made beforehand, tensors of the CPU take part in a pass: filters, indices.
        if self._record is None or batch.target is None:
            return self._pass(batch, step)
        if self._kept is None or self._replay is None:
            kept = _copy(batch)
            self._replay = self._record(lambda: self._pass(kept, step))
            self._kept = kept
        else:
            for static, tensor in zip(_tensors(self._kept), _tensors(batch), strict=True):
                static.copy_(tensor, non_blocking=True)
        return self._replay()

    def _pass(self, batch: Batch, step: int) -> Tensor:
        self._objective.network.zero_grad(set_to_none=True)
        with self._autocast():
            loss = self._objective.loss(batch, step)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()


def _tensors(batch: Batch) -> list[Tensor]:
    return [*batch.low, *batch.truth, *(t for t in (batch.levels, batch.target) if t is not None)]


def _copy(batch: Batch) -> Batch:
    low, truth = ((p[0].clone(), p[1].clone()) for p in (batch.low, batch.truth))
    levels, target = (None if t is None else t.clone() for t in (batch.levels, batch.target))
    return Batch(low, truth, batch.frames, levels, target)


def record_cuda_graph(work: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Capture a pass as a CUDA graph; every replay overwrites its result and gradients.

    There must be no gradients before, as every replay would add to them. Other threads may use the device
    meanwhile. Raises torch.OutOfMemoryError like the pass itself.
    """
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UP):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        result = work()

    def replay() -> Tensor:
        graph.replay()
        return result

    return replay
