"""`DirectStage`: a YUV-native network between the integer planes of 4:2:0 frames, tile by tile.

No float map of a whole frame is ever created. Samples between two stages have a few bits more than those of
the source (`finer`), so rounding them has no visible effect.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.errors import UsageError
from pipelines.frames.color_conversion import to_codes, to_float
from pipelines.inference.cascade import EVEN, classical
from pipelines.inference.code_padding import cropped, even_sizes, padded
from pipelines.inference.output_checks import bad_output_error, find_fault, sample_statistics
from pipelines.inference.stage_tiles import tiles_of
from pipelines.media.cicp import Range

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from models.network import LoadedNetwork
    from pipelines.inference.fused_cpu import FusedNetwork
    from pipelines.inference.tile_cache import TileCache
    from pipelines.inference.tile_threads import TileThreadPool
    from pipelines.plan.plan import Plan
    from pipelines.plan.tiling import Tile

__all__ = ["DirectStage", "integer_error"]


def integer_error(networks: Sequence[LoadedNetwork]) -> UsageError:
    """The error if networks are to run on 8-bit integers and can't."""
    return UsageError(
        f"--precision int8: {', '.join(n.name for n in networks)} can't do that here; leave it out"
    )


@dataclass(eq=False)
class DirectStage:
    """A network, with the result of its last frame."""

    plan: Plan
    network: LoadedNetwork
    run: Callable[..., list[Tensor]]
    """`Cascade.run`: the network on the float values of a tile."""
    lanes: TileThreadPool
    stills: TileCache
    notes: list[str]
    """List that collects messages for the user."""
    device: torch.device
    dtype: torch.dtype
    """Precision, if the network allows it and the plan does not say int8."""
    finer_in: int = 0
    """Bits that samples of the input have beyond those of the plan's source."""
    finer_out: int = 0
    """Bits that samples of the result have beyond those of the plan's source."""
    fused: FusedNetwork | None = field(init=False)
    """The way with as few memory passes as possible, for networks that support it on a CPU."""
    has_changed: bool = field(default=True, init=False)
    """Whether a tile of the last frame differed from the frame before."""
    _state: Tensor | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Raise UsageError if the plan says int8 and the network can't."""
        self.fused = self._fused()

    def forget(self) -> None:
        """Drop the state: it belongs to another shot."""
        self._state = None

    @property
    def _bits(self) -> int:
        return self.plan.pixels.bits

    @property
    def _full(self) -> bool:
        return self.plan.color.range == Range.FULL

    def _fused(self) -> FusedNetwork | None:
        is_integer = self.plan.precision == "int8"
        if is_integer and not (self.network.int8 and self._bits in {8, 10}):
            raise integer_error([self.network])
        if self.device.type != "cpu":
            return None
        from pipelines.inference.fused_cpu import FusedNetwork  # numba: a tenth of a second to load

        if not FusedNetwork.takes(self.network):
            return None
        if is_integer:
            dtype = torch.uint8
        else:
            dtype = self.dtype if self.network.contract.low_precision_at(self._bits) else torch.float32
        return FusedNetwork(
            self.network, self._bits, full=self._full, dtype=dtype, finer=(self.finer_in, self.finer_out)
        )

    def tiles(self, height: int, width: int) -> list[Tile]:
        """Tiles of an input of that size."""
        return tiles_of(self.plan, self.network, (height, width))

    def is_black(self, planes: Sequence[np.ndarray]) -> bool:
        """Whether luma, U and V of a tile are as even as a black bar."""
        most = EVEN * (1 << (self._bits + self.finer_in))
        return all(int(p.max()) - int(p.min()) <= most for p in planes)

    @torch.inference_mode()
    def __call__(self, frames: Sequence[Sequence[np.ndarray]], now: int) -> list[np.ndarray]:
        """Luma, U and V of a frame and its neighbours -> those of the result.

        Raises VerificationError if the network's output can't be an image.
        """
        contract = self.network.contract
        scale = contract.scale
        sizes = even_sizes(frames[0][0].shape, contract.size_multiple)
        even = [padded(planes, sizes) for planes in frames]
        dtype = np.uint8 if self._bits + self.finer_out <= 8 else np.uint16
        result = [np.empty((rows * scale, columns * scale), dtype) for rows, columns in sizes]
        following = None
        parts = [
            p
            for p in self.tiles(*sizes[0])
            if contract.recurrent or not self.stills.take(even, p, scale, result)
        ]
        for part, left in zip(
            parts, self.lanes.map(lambda part: self._tile(even, now, part, result), parts), strict=True
        ):
            if left is not None:
                following = left.new_empty(*left.shape[:2], *sizes[1]) if following is None else following
                following[(..., *part.written(1, 2))] = left[(..., *part.kept(1, 2))]
        self._state = following
        self.stills.keep(even, result)
        self.has_changed = bool(parts)
        return cropped(result, frames[0][0].shape, scale)

    @torch.inference_mode()
    def _tile(
        self, frames: Sequence[Sequence[np.ndarray]], now: int, part: Tile, result: Sequence[np.ndarray]
    ) -> Tensor | None:
        """Fill a tile of `result`; returns the next state of a recurrent network.

        Tiles are processed in parallel.
        """
        half = part.read(2)
        seen = [[f[0][part.read()], *(p[half] for p in f[1:])] for f in frames]
        remembered = None if self._state is None else self._state[(..., *half)]
        is_black = part.in_bar and self.is_black(seen[now])
        trouble, left = "", None
        for precise in (False, True):
            if self.fused is not None and self.fused.is_integer and is_black and not precise:
                self.fused.skip(frames[now], part, result)
                checksum = 0.0
            elif self.fused is not None and not is_black and not precise:
                checksum, left = self.fused.run(seen, remembered, frames[now], part, result)
            else:
                checksum, left = self._run_tile(
                    seen, remembered, part, result, is_black=is_black, precise=precise
                )
            found = self._fault(checksum, frames[now][0], part, result[0])
            if not found:
                break
            if precise:
                raise bad_output_error(self.network.name, found)
            trouble = found
        if trouble:
            self.notes.append(f"{self.network.name} gave {trouble}; the tile was computed again in fp32")
        return left

    def _fault(self, checksum: float, seen: np.ndarray, part: Tile, made: np.ndarray) -> str:
        """What is wrong with a tile, by its luma before and after; empty if nothing is."""
        finer = self.finer_in, self.finer_out
        luma = seen[part.written(1)], made[part.written(self.network.contract.scale)]
        return find_fault([sample_statistics(checksum, *luma, self._bits, full=self._full, finer=finer)])

    def _run_tile(
        self,
        seen: Sequence[Sequence[np.ndarray]],
        state: Tensor | None,
        part: Tile,
        result: Sequence[np.ndarray],
        *,
        is_black: bool,
        precise: bool,
    ) -> tuple[float, Tensor | None]:
        """Run a tile of frames through the network, into `result`; returns its sum and its next state."""
        scale, bits, full = self.network.contract.scale, self._bits, self._full

        def values(plane: np.ndarray, *, chroma: bool) -> Tensor:
            return to_float(plane, bits, full, chroma=chroma, device=self.device, finer=self.finer_in)

        luma = torch.stack([values(f[0], chroma=False) for f in seen])[None]
        chroma = torch.stack([values(p, chroma=True) for f in seen for p in f[1:]])[None]
        inputs = [luma, chroma] if state is None else [luma, chroma, state]
        at = (part.halo_top, part.halo_left)
        luma, chroma, *left = (
            classical(self.network, inputs)
            if is_black
            else self.run(self.network, inputs, at, precise=precise)
        )
        for number, (plane, made) in enumerate(zip(result, (luma[0, 0], *chroma[0]), strict=True)):
            by = 2 if number else 1
            plane[part.written(scale, by)] = to_codes(
                made[part.kept(scale, by)], bits, full, chroma=number > 0, finer=self.finer_out
            )
        return float(luma.sum() + chroma.sum()), left[0] if left else None
