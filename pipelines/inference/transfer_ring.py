"""`Ring`: frames on their way through a device: up, through the networks, and down, each in a stream of its
own.

Three frames are in flight. Each has a slot with page-locked memory on this side and memory on the device,
both made once; events keep the order: nothing is computed before it is up, nothing goes down before it is
computed, and a slot is filled again only when what it held has come down. It comes down into page-locked
memory that is the caller's: at 4K, copying it once more would take longer than the network.
"""

from __future__ import annotations

import contextlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch

from pipelines.frames.color_conversion import as_tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from torch import Tensor

    Work = Callable[[list[Tensor], list[Tensor], list[Tensor] | None], None]

__all__ = ["Accelerator", "Landed", "Layout", "Queues", "Ring"]


SLOTS = 3
"""One that goes up, one that is computed, one that comes down."""

Layout = tuple[tuple[int, ...], torch.dtype]
"""Shape and dtype of a buffer."""


class Accelerator(Protocol):
    """What the ring asks of a device.

    A test has one that needs none, and does everything as late as it may.
    """

    def stream(self) -> Any:
        """A new queue of work."""
        ...

    def event(self) -> Any:
        """A new mark in a queue; `synchronize()` waits here until it is passed."""
        ...

    def on(self, stream: Any) -> contextlib.AbstractContextManager[Any]:
        """Within it, work goes into that queue."""
        ...

    def wait(self, event: Any) -> None:
        """Let the current queue wait for an event."""
        ...

    def record(self, event: Any) -> None:
        """Put an event at the current queue's end."""
        ...

    def run(self, work: Callable[[], None]) -> None:
        """Put work at the current queue's end."""
        ...

    def empty(self, layout: Layout, *, pinned: bool) -> Tensor:
        """Memory on the device, or page-locked on this side."""
        ...


class Queues:
    """An `Accelerator` that has streams: NVIDIA's and AMD's (torch.cuda), Intel's (torch.xpu).

    Both have one interface.

    Not `torch.Stream` and `torch.Event`, which have one for all: their events only spin, and CUDA's own take
    no streams of theirs.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._api: Any = getattr(torch, device.type)

    def stream(self) -> Any:
        """As `Accelerator` says."""
        return self._api.Stream(self._device)

    def event(self) -> Any:
        """An event without a clock; whoever waits for it sleeps, for the encoder needs the cores."""
        return self._api.Event(blocking=True)

    def on(self, stream: Any) -> contextlib.AbstractContextManager[Any]:
        """As `Accelerator` says."""
        found: contextlib.AbstractContextManager[Any] = self._api.stream(stream)
        return found

    def wait(self, event: Any) -> None:
        """As `Accelerator` says."""
        self._api.current_stream(self._device).wait_event(event)

    def record(self, event: Any) -> None:
        """As `Accelerator` says."""
        event.record(self._api.current_stream(self._device))

    def run(self, work: Callable[[], None]) -> None:
        """Launched at once; the stream does it when it comes to it."""
        work()

    def empty(self, layout: Layout, *, pinned: bool) -> Tensor:
        """As `Accelerator` says."""
        shape, dtype = layout
        return (
            torch.empty(shape, dtype=dtype, pin_memory=True)
            if pinned
            else torch.empty(shape, dtype=dtype, device=self._device)
        )


@dataclass(frozen=True, eq=False)
class Landed:
    """What has come down."""

    ticket: Any
    """As it was given to `put`."""
    arrays: list[np.ndarray]
    """The caller's own."""


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


class Ring:
    """A few frames in flight; results come in the order their frames were put."""

    def __init__(self, accelerator: Accelerator, up: Sequence[Layout], down: Sequence[Layout]) -> None:
        """up, down: of what a frame brings and takes."""
        self._accelerator, self._down = accelerator, down
        self._copy_in, self._compute, self._copy_out = (accelerator.stream() for _ in range(3))
        self._free = deque(_slot(accelerator, up, down) for _ in range(SLOTS))
        self._flying: deque[_Slot] = deque()
        self._last: _Slot | None = None

    def put(self, ticket: Any, arrays: Sequence[np.ndarray], work: Work) -> Landed | None:
        """Send a frame on its way; gives back the oldest one in flight where the ring was full.

        arrays: what goes up; may be changed afterwards. work: called on the device with what has come up,
        what is to be filled, and what the frame before was filled with (None for the first one); it must wait
        for nothing.
        """
        landed = self.land() if not self._free else None
        accelerator, slot = self._accelerator, self._free.popleft()
        slot.ticket = ticket
        # What the caller has let go of is had again at once: torch keeps page-locked memory.
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

    def land(self) -> Landed | None:
        """Wait for the oldest frame in flight; None where there is none."""
        if not self._flying:
            return None
        slot = self._flying.popleft()
        slot.downloaded.synchronize()
        arrays = [buffer.numpy() for buffer in slot.down_here]
        slot.down_here = ()
        self._free.append(slot)
        return Landed(slot.ticket, arrays)

    def drain(self) -> Iterator[Landed]:
        """All that is in flight, oldest first."""
        while (landed := self.land()) is not None:
            yield landed


def _copy(sources: Sequence[Tensor], targets: Sequence[Tensor]) -> None:
    for source, target in zip(sources, targets, strict=True):
        target.copy_(source, non_blocking=True)
