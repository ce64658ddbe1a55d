"""`TransferRing`: frames in flight through a device: upload, networks, download, each in a stream of its own.

Three frames are in flight. Each has a slot with pinned host memory and device memory, allocated once. Events
keep the order: computation waits for the upload, the download for the computation, and a slot is reused after
its download. Results are copied into pinned memory owned by the caller: at 4K, another copy would take longer
than the network.
"""

from __future__ import annotations

import contextlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from pipelines.frames.color_conversion import as_tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    Work = Callable[[list[Tensor], list[Tensor], list[Tensor] | None], None]

__all__ = ["Accelerator", "DownloadedResult", "Layout", "StreamAccelerator", "TransferRing"]


SLOTS = 3
"""One frame in upload, one in computation, one in download."""

Layout = tuple[tuple[int, ...], torch.dtype]
"""Shape and dtype of a buffer."""


class Accelerator(Protocol):
    """Device operations that the ring needs.

    A test has an implementation without a device that does everything as late as possible.
    """

    def stream(self) -> Any:
        """Create a queue."""
        ...

    def event(self) -> Any:
        """Create an event; its `synchronize()` blocks until the event has passed."""
        ...

    def on(self, stream: Any) -> contextlib.AbstractContextManager[Any]:
        """Context in which work is queued in that stream."""
        ...

    def wait(self, event: Any) -> None:
        """Make the current queue wait for an event."""
        ...

    def record(self, event: Any) -> None:
        """Append an event to the current queue."""
        ...

    def run(self, work: Callable[[], None]) -> None:
        """Append work to the current queue."""
        ...

    def empty(self, layout: Layout, *, pinned: bool) -> Tensor:
        """Allocate memory on the device, or pinned memory on the host."""
        ...


class StreamAccelerator:
    """An `Accelerator` with streams: NVIDIA and AMD (torch.cuda), Intel (torch.xpu).

    `torch.Stream` and `torch.Event` are not used: their events only spin, and CUDA's events don't accept
    those streams.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._api: Any = getattr(torch, device.type)

    def stream(self) -> Any:
        """Create a queue; see `Accelerator.stream`."""
        return self._api.Stream(self._device)

    def event(self) -> Any:
        """Create an event without timing; waiting for it sleeps, as the encoder needs the cores."""
        return self._api.Event(blocking=True)

    def on(self, stream: Any) -> contextlib.AbstractContextManager[Any]:
        """Context in which work is queued; see `Accelerator.on`."""
        found: contextlib.AbstractContextManager[Any] = self._api.stream(stream)
        return found

    def wait(self, event: Any) -> None:
        """Make the current queue wait for an event; see `Accelerator.wait`."""
        self._api.current_stream(self._device).wait_event(event)

    def record(self, event: Any) -> None:
        """Append an event to the current queue; see `Accelerator.record`."""
        event.record(self._api.current_stream(self._device))

    def run(self, work: Callable[[], None]) -> None:
        """Launch work at once; the stream executes it in order."""
        work()

    def empty(self, layout: Layout, *, pinned: bool) -> Tensor:
        """Allocate memory; see `Accelerator.empty`."""
        shape, dtype = layout
        return (
            torch.empty(shape, dtype=dtype, pin_memory=True)
            if pinned
            else torch.empty(shape, dtype=dtype, device=self._device)
        )


@dataclass(frozen=True, eq=False)
class DownloadedResult:
    """A downloaded result."""

    ticket: Any
    """The ticket that was given to `put`."""
    arrays: list[np.ndarray]
    """Owned by the caller."""


@dataclass(eq=False)
class _Slot:
    up_here: list[Tensor]
    up: list[Tensor]
    down: list[Tensor]
    uploaded: Any
    computed: Any
    downloaded: Any
    ticket: Any = None
    down_here: Sequence[Tensor] = ()


def _slot(accelerator: Accelerator, up: Sequence[Layout], down: Sequence[Layout]) -> _Slot:
    kinds = [(up, True), (up, False), (down, False)]
    buffers = [[accelerator.empty(layout, pinned=pinned) for layout in layouts] for layouts, pinned in kinds]
    return _Slot(*buffers, *(accelerator.event() for _ in range(3)))


class TransferRing:
    """A few frames in flight; results come in the order in which frames were put."""

    def __init__(self, accelerator: Accelerator, up: Sequence[Layout], down: Sequence[Layout]) -> None:
        """up, down: buffers of a frame's input and output."""
        self._accelerator, self._down = accelerator, down
        self._copy_in, self._compute, self._copy_out = (accelerator.stream() for _ in range(3))
        self._free = deque(_slot(accelerator, up, down) for _ in range(SLOTS))
        self._flying: deque[_Slot] = deque()
        self._last: _Slot | None = None

    def put(self, ticket: Any, arrays: Sequence[np.ndarray], work: Work) -> DownloadedResult | None:
        """Send a frame; returns the oldest result if the ring was full.

        arrays: input, which may be changed afterwards. work: called with the uploaded input, the buffers to
        fill, and those filled for the frame before (None for the first one); it must not block.
        """
        landed = self.land() if not self._free else None
        accelerator, slot = self._accelerator, self._free.popleft()
        slot.ticket = ticket
        # Memory that the caller has released is available again immediately: torch keeps pinned memory.
        slot.down_here = [accelerator.empty(layout, pinned=True) for layout in self._down]
        for buffer, array in zip(slot.up_here, arrays, strict=True):
            buffer.copy_(as_tensor(array))
        with accelerator.on(self._copy_in):
            accelerator.run(lambda: _copy(slot.up_here, slot.up))
            accelerator.record(slot.uploaded)
        before = self._last.down if self._last is not None else None
        try:
            with accelerator.on(self._compute):
                accelerator.wait(slot.uploaded)
                accelerator.run(lambda: work(slot.up, slot.down, before))
                accelerator.record(slot.computed)
        except BaseException:
            slot.uploaded.synchronize()
            self._free.appendleft(slot)
            raise
        with accelerator.on(self._copy_out):
            accelerator.wait(slot.computed)
            accelerator.run(lambda: _copy(slot.down, slot.down_here))
            accelerator.record(slot.downloaded)
        self._flying.append(slot)
        self._last = slot
        return landed

    def land(self) -> DownloadedResult | None:
        """Wait for the oldest frame in flight; None if there is none."""
        if not self._flying:
            return None
        slot = self._flying.popleft()
        slot.downloaded.synchronize()
        arrays = [_unsigned(buffer.numpy()) for buffer in slot.down_here]
        slot.down_here = ()
        self._free.append(slot)
        return DownloadedResult(slot.ticket, arrays)

    def drain(self) -> Iterator[DownloadedResult]:
        """Yield all results in flight, oldest first."""
        while (landed := self.land()) is not None:
            yield landed


def _unsigned(array: np.ndarray) -> np.ndarray:
    """Integers of 16 bits as they are meant: torch has the bits of uint16 in int16."""
    return array.view(np.uint16) if array.dtype == np.int16 else array


def _copy(sources: Sequence[Tensor], targets: Sequence[Tensor]) -> None:
    for source, target in zip(sources, targets, strict=True):
        target.copy_(source, non_blocking=True)
