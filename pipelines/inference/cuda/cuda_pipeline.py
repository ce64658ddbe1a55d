"""`CudaPipeline`: a YUV-native network between 4:2:0 samples on a CUDA device, several frames in flight.

Host memory, bus and device work on different frames at the same time (`transfer_ring`). Tiles of one shape go
through the network together (`cuda_graph`), the same ones in every frame: cuDNN uses different algorithms for
different batch sizes, so the bits of a tile depend on its batch.
"""

from __future__ import annotations

import contextlib
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from models.errors import NoMemoryError
from pipelines.inference.cuda.cuda_graph import STATISTICS_PER_TILE
from pipelines.inference.cuda.transfer_ring import TransferRing
from pipelines.inference.output_checks import TileStatistics, bad_output_error, find_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from torch import Tensor

    from models.network import LoadedNetwork
    from pipelines.inference.cuda.cuda_graph import GraphedNetwork
    from pipelines.inference.cuda.transfer_ring import Accelerator, DownloadedResult
    from pipelines.inference.tile_cache import TileCache
    from pipelines.plan.tiling import Tile

__all__ = ["CudaPipeline", "NetworkInput", "batches"]


BATCH = 4
"""Most tiles per batch: those of a 1080p frame."""


@dataclass(frozen=True, eq=False)
class NetworkInput:
    """Input of the network for one output frame."""

    ticket: Any
    """A value of the caller, returned with the result."""
    frames: Sequence[Sequence[np.ndarray]]
    """Luma, U and V of the frame and its neighbours, oldest first, padded to the network's size multiple."""
    now: int
    starts: bool
    """Whether the state belongs to another shot."""


@dataclass(frozen=True, eq=False)
class _Flight:
    view: NetworkInput
    parts: list[Tile]
    taken: list[bool]
    """For each tile, whether it is reused from the frame before."""
    black: list[bool]
    """For each tile, whether it is in an even black bar."""
    state: list[Tensor | None]
    """State before this frame; set when the device reaches it."""


@dataclass(eq=False)
class CudaPipeline:
    """The network on its device: views in, planes out, in order."""

    network: LoadedNetwork
    graphed: GraphedNetwork
    accelerator: Accelerator
    stills: TileCache
    tiles: Callable[[int, int], list[Tile]]
    """Splits a frame of (height, width) into tiles."""
    is_black: Callable[[Sequence[np.ndarray]], bool]
    """Whether planes of a tile in a bar are even black."""
    notes: list[str]
    """List that collects messages for the user."""
    finer: int = 0
    """Bits that samples of the result have beyond those of the source."""
    _ring: TransferRing | None = field(default=None, init=False)
    _state: Tensor | None = field(default=None, init=False)

    def __call__(self, views: Iterable[NetworkInput]) -> Iterator[tuple[Any, list[np.ndarray]]]:
        """Yield (ticket, luma, U and V of the result) for every view, with a delay of a few frames.

        Raises NoMemoryError if the device runs out of memory (a plan with smaller tiles may fit),
        VerificationError for invalid network output.
        """
        try:
            for view in views:
                landed = self._put(view)
                if landed is not None:
                    yield from self._checked(landed)
            while self._ring is not None and (landed := self._ring.land()) is not None:
                yield from self._checked(landed)
        except torch.OutOfMemoryError as error:
            self._drop()
            raise NoMemoryError(
                f"memory of the device ran out ({(str(error).splitlines() or ['?'])[0]})"
            ) from error
        except BaseException:
            self._drop()
            raise

    def _drop(self) -> None:
        """Drop everything in flight, and the state."""
        if self._ring is not None:
            with contextlib.suppress(Exception):
                deque(self._ring.drain(), maxlen=0)
        self._ring, self._state = None, None
        self.stills.forget()

    def _put(
        self, view: NetworkInput, *, precise: bool = False, state: Sequence[Tensor | None] | None = None
    ) -> DownloadedResult | None:
        """state: (state,), if it is not the one left by the frame before."""
        parts = self.tiles(*view.frames[0][0].shape)
        ring = self._ring = self._ring or self._made_ring(view, parts)
        recurrent = self.network.contract.recurrent
        taken = [not recurrent and not precise and self.stills.same(view.frames, part) for part in parts]
        own = view.frames[view.now]
        black = [
            part.in_bar and self.is_black([plane[part.read(2 if n else 1)] for n, plane in enumerate(own)])
            for part in parts
        ]
        flight = _Flight(view, parts, taken, black, [])

        def work(up: list[Tensor], down: list[Tensor], before: list[Tensor] | None) -> None:
            remembered = state[0] if state is not None else None if view.starts else self._state
            flight.state.append(remembered)
            self._work(flight, remembered, up, down, before, precise=precise)

        landed = ring.put(flight, [plane for planes in view.frames for plane in planes], work)
        self.stills.keep(view.frames)
        return landed

    def _made_ring(self, view: NetworkInput, parts: list[Tile]) -> TransferRing:
        def dtype(plane: np.ndarray) -> torch.dtype:
            return torch.uint8 if plane.dtype == np.uint8 else torch.int16

        scale = self.network.contract.scale
        up = [(plane.shape, dtype(plane)) for planes in view.frames for plane in planes]
        down: list[Any] = [
            ((p.shape[0] * scale, p.shape[1] * scale), torch.int16 if self.finer else dtype(p))
            for p in view.frames[view.now]
        ]
        return TransferRing(self.accelerator, up, [*down, ((len(parts), STATISTICS_PER_TILE), torch.float32)])

    @torch.inference_mode()
    def _work(
        self,
        flight: _Flight,
        state: Tensor | None,
        up: list[Tensor],
        down: list[Tensor],
        before: list[Tensor] | None,
        *,
        precise: bool,
    ) -> None:
        """Process every tile of a frame on the device into `down`.

        Batches are computed completely; unwanted tiles are ignored.
        """
        taken = [found and before is not None for found in flight.taken]
        for number, part in enumerate(flight.parts):
            if taken[number] and before is not None:
                _take_over(part, number, self.network.contract.scale, before, down)
        following: Tensor | None = None
        for numbers in batches(flight.parts):
            for black in (False, True):
                wanted = {n for n in numbers if not taken[n] and flight.black[n] == black}
                if not wanted:
                    continue
                batch = [(n, n in wanted) for n in numbers]
                left = self._run(flight, batch, state, (up, down), precise=precise, classical=black)
                for number, tile in zip(numbers, left, strict=False):
                    if number in wanted:
                        part = flight.parts[number]
                        following = (
                            tile.new_empty(1, tile.shape[0], *up[1].shape) if following is None else following
                        )
                        following[(0, ..., *part.written(1, 2))] = tile[(..., *part.kept(1, 2))]
        self._state = following

    def _run(
        self,
        flight: _Flight,
        batch: list[tuple[int, bool]],
        state: Tensor | None,
        planes: tuple[list[Tensor], list[Tensor]],
        *,
        precise: bool,
        classical: bool,
    ) -> Sequence[Tensor]:
        """Process one batch; returns the state of each tile, if there is one.

        batch: numbers of tiles, some of them repeated to fill it up, and whether each is wanted. planes:
        uploaded planes, and planes of the result, into which wanted tiles are written.
        """
        up, down = planes
        parts = [flight.parts[n] for n, _ in batch]
        scale, contract = self.network.contract.scale, self.network.contract
        luma = torch.stack([torch.stack([plane[part.read()] for plane in up[::3]]) for part in parts])
        chroma = torch.stack(
            [torch.stack([plane[part.read(2)] for n, plane in enumerate(up) if n % 3]) for part in parts]
        )
        remembered = None
        if contract.recurrent:
            width: int = self.network.module.width  # type: ignore[attr-defined]
            if state is None:
                state = torch.zeros(
                    1, width, *up[1].shape, dtype=self.graphed.state_dtype, device=luma.device
                )
            remembered = torch.cat([state[(..., *part.read(2))] for part in parts])
        made = self.graphed(luma, chroma, remembered, precise=precise, classical=classical)
        for place, ((number, is_wanted), part) in enumerate(zip(batch, parts, strict=True)):
            if not is_wanted:
                continue
            down[0][part.written(scale)] = made[0][place, 0][part.kept(scale)]
            for plane, channel in zip(down[1:3], made[1][place], strict=True):
                plane[part.written(scale, 2)] = channel[part.kept(scale, 2)]
            down[3][number] = made[2][place]
        return list(made[3]) if len(made) > 3 else []

    def _checked(self, landed: DownloadedResult) -> Iterator[tuple[Any, list[np.ndarray]]]:
        """Yield downloaded results if they are valid.

        Otherwise compute them again, with everything that depends on them.
        """
        trouble = find_fault([TileStatistics(*map(float, row)) for row in landed.arrays[3]])
        if not trouble:
            yield landed.ticket.view.ticket, landed.arrays[:3]
            return
        assert self._ring is not None
        waiting = list(self._ring.drain())
        self.stills.forget()
        flight: _Flight = landed.ticket
        recurrent = self.network.contract.recurrent
        after = self._state
        self._put(flight.view, precise=True, state=flight.state)
        (again,) = self._ring.drain()
        still = find_fault([TileStatistics(*map(float, row)) for row in again.arrays[3]])
        if still:
            raise bad_output_error(self.network.name, still)
        self.stills.forget()
        self.notes.append(f"{self.network.name} gave {trouble}; the frame was computed again in fp32")
        yield flight.view.ticket, again.arrays[:3]
        if not recurrent:
            self._state = after
        for other in waiting:
            if recurrent:
                # The state contains the wrong frame.
                self._put(other.ticket.view)
                (other,) = self._ring.drain()  # noqa: PLW2901
            yield from self._checked(other)


def _take_over(part: Tile, number: int, scale: int, before: list[Tensor], down: list[Tensor]) -> None:
    """Copy a tile's result and its check values from the frame before."""
    for place, (old, new) in enumerate(zip(before[:3], down[:3], strict=True)):
        where = part.written(scale, 2 if place else 1)
        new[where] = old[where]
    down[3][number] = before[3][number]


def batches(parts: Sequence[Tile]) -> list[list[int]]:
    """Numbers of the tiles that form each batch.

    They depend on the plan alone, not on which tiles are static, black or cached. Batches of one shape have
    one size, at most BATCH; the last one is filled up with its last tile.
    """
    shapes: dict[tuple[int, int], list[int]] = {}
    # so that few batches contain both bars and image
    for number, part in sorted(enumerate(parts), key=lambda one: one[1].in_bar):
        rows, columns = part.read()
        shapes.setdefault((rows.stop - rows.start, columns.stop - columns.start), []).append(number)
    found = []
    for numbers in shapes.values():
        size = -(-len(numbers) // -(-len(numbers) // BATCH))
        groups = [numbers[n : n + size] for n in range(0, len(numbers), size)]
        found += [[*group, *group[-1:] * (size - len(group))] for group in groups]
    return found
