"""`FusedNetwork`: a YUV-native network between integer samples, with one memory pass before and after it.

Input samples are converted by table lookup while packing. The output of the network is added to a bicubic
upscale and rounded, row by row in cache. Uses numba if it is installed, otherwise numpy with the same
operations in the same order: bit-identical, only slower.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from models.layers.convolution import pack_weights
from models.layers.int8 import Int8Chain, read_layers
from models.layers.resampling import phases
from models.layers.yuv_residual import BicubicSkip
from pipelines.frames.color_conversion import to_float
from pipelines.frames.compiled_loops import COMPILED, compiled
from pipelines.media.cicp import code_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from models.network import LoadedNetwork
    from pipelines.plan.tiling import Tile

__all__ = ["Adder", "FusedNetwork", "Packer"]


_TAPS = 4
"""Taps of Keys' cubic kernel at any phase."""
_SIDE = 4
"""Columns on either side of a tile that taps may reach."""


class FusedNetwork:
    """A network on a CPU that works on pixel-unshuffled planes and adds a residual to a bicubic upscale.

    `models.layers.yuv_residual` describes the layout.
    """

    def __init__(
        self,
        network: LoadedNetwork,
        bits: int,
        *,
        full: bool,
        dtype: torch.dtype,
        finer: tuple[int, int] = (0, 0),
    ) -> None:
        """bits, full: format of the samples. finer: number of their fractional bits, before and after.

        dtype: bfloat16, float32, or uint8 for its layers on 8-bit integers.
        """
        self._module, self._contract = network.module, network.contract
        self._pack, self._add = (
            Packer(bits, full=full, dtype=dtype, finer=finer[0]),
            Adder(network.contract.scale, bits, full=full, finer=finer),
        )
        self.is_integer = dtype == torch.uint8
        if self.is_integer:
            other = "head.limited" if full else "head.full"
            names = [name for name in self._module.integer_layers if name != other]  # type: ignore[attr-defined]
            self._trunk: Any = Int8Chain(read_layers(network.int8, names))
            return
        packed = pack_weights(self._module, dtype)  # type: ignore[arg-type]
        self._module = self._module if packed else copy.deepcopy(self._module).to(dtype)  # type: ignore[attr-defined]
        self._trunk = self._module.trunk  # type: ignore[union-attr]

    @staticmethod
    def takes(network: LoadedNetwork) -> bool:
        """Whether a network can run as a FusedNetwork: pixel-unshuffled planes in, residual out."""
        way = getattr(type(network.module), "trunk", BicubicSkip.trunk)
        return (
            way is not BicubicSkip.trunk
            and getattr(network.module, "packing", network.contract.scale) == network.contract.scale
        )

    def run(
        self,
        seen: Sequence[Sequence[np.ndarray]],
        state: Tensor | None,
        planes: Sequence[np.ndarray],
        part: Tile,
        result: Sequence[np.ndarray],
    ) -> tuple[float, Tensor | None]:
        """Process a tile into `result`.

        seen: luma, U and V of the tile with its halo, for each frame. planes: luma, U and V of the whole
        frame. Returns a sum that is finite if all values are, and the next state of a recurrent network.
        """
        width = getattr(self._module, "width", 0) if self._contract.recurrent else 0
        made: Tensor | tuple[Tensor, Tensor] = self._trunk(self._pack(seen, state, width))
        residual, left = made if isinstance(made, tuple) else (made, None)
        self._finish(residual, planes, part, result)
        return float(residual.sum(dtype=torch.float32)), left

    def skip(self, planes: Sequence[np.ndarray], part: Tile, result: Sequence[np.ndarray]) -> None:
        """Fill a tile with the bicubic upscale alone, in the same fixed order of operations."""
        size = (part.halo_bottom - part.halo_top) // 2, (part.halo_right - part.halo_left) // 2
        nothing = torch.zeros(1, 1, 1, 1).expand(1, 6 * self._contract.scale**2, *size)
        self._finish(nothing, planes, part, result)

    def _finish(
        self, residual: Tensor, planes: Sequence[np.ndarray], part: Tile, result: Sequence[np.ndarray]
    ) -> None:
        edges = part.top // 2, part.bottom // 2, part.left // 2, part.right // 2
        self._add(planes, residual, (part.halo_top // 2, part.halo_left // 2), edges, result)


class Packer:
    """Samples of 4:2:0 frames -> (1,C,H/2,W/2), like `models.layers.yuv_residual.pack`, in channels_last.

    The result has the network's dtype. uint8: the samples themselves, rounded to 8 bits, with a border of one
    sample of black luma and neutral chroma, in place of a network's zero padding.
    """

    def __init__(self, bits: int, *, full: bool, dtype: torch.dtype, finer: int = 0) -> None:
        """bits, full: format of the samples. finer: number of their fractional bits.

        dtype: bfloat16, float32 or, for one frame, uint8.
        """
        codes = np.arange(1 << (bits + finer), dtype=np.uint8 if bits + finer <= 8 else np.uint16)
        self._dtype = dtype
        self._border = int(dtype == torch.uint8)
        self._neutral = [int(code_values(8, full, chroma=channel >= 4)[0]) for channel in range(6)]
        self._values = [
            _in_eight_bits(codes, bits, full=full, chroma=c, finer=finer)
            if self._border
            else _bits_of(to_float(codes, bits, full, chroma=c, finer=finer).to(dtype))
            for c in (False, True)
        ]

    def __call__(
        self, frames: Sequence[Sequence[np.ndarray]], state: Tensor | None = None, width: int = 0
    ) -> Tensor:
        """frames: luma (H,W), U and V (H/2,W/2) of each, oldest first.

        state: (1,width,H/2,W/2), appended; zeros if it is None and width is not 0.
        """
        rows, columns = frames[0][1].shape
        count = len(frames)
        border = self._border
        memory = torch.empty(rows + 2 * border, columns + 2 * border, 6 * count + width, dtype=self._dtype)
        if width:
            memory[..., 6 * count :] = 0 if state is None else state[0].permute(1, 2, 0)
        out = _bits_of(memory)
        if border:
            out[[0, -1]] = out[:, [0, -1]] = self._neutral
            out = out[1:-1, 1:-1]
        for number, (luma, *chroma) in enumerate(frames):
            _lookup(luma, self._values[0], out, 4 * number, 2)
            for place, plane in enumerate(chroma):
                _lookup(plane, self._values[1], out, 4 * count + 2 * number + place, 1)
        return memory.permute(2, 0, 1)[None]


class Adder:
    """Adds a packed residual to the bicubic upscale of 4:2:0 samples.

    Computes round(bicubic(samples) + span · residual), clipped.
    """

    def __init__(self, scale: int, bits: int, *, full: bool, finer: tuple[int, int] = (0, 0)) -> None:
        """scale: of the network. bits, full: format of the samples, before and after.

        finer: number of their fractional bits, before and after.
        """
        one = np.float32(1 << finer[1])
        self._scale, self._peak = scale, one * np.float32((1 << bits) - 1)
        self._spans = [one * np.float32(code_values(bits, full, chroma=c)[1]) for c in (False, True)]
        first, weights = _taps(scale, 0.0)
        self._rows = [(first, np.float32(2.0 ** (finer[1] - finer[0])) * weights)] * 2
        self._columns = [_taps(scale, 0.0), _taps(scale, -0.25)]
        self._run = _add_by_rows if COMPILED else _add_at_once

    def __call__(
        self,
        planes: Sequence[np.ndarray],
        residual: Tensor,
        at: tuple[int, int],
        part: tuple[int, int, int, int],
        out: Sequence[np.ndarray],
    ) -> None:
        """Fill the part of `out` that belongs to a tile.

        planes: the whole frame's luma and chroma. residual: (1,6·scale²,h,w); its first sample is at row and
        column `at` of chroma. part: (top, bottom, left, right) of the tile in chroma samples. out: planes
        `scale` times as large.
        """
        values = residual[0].permute(1, 2, 0).float().numpy()
        scale, channel = self._scale, 0
        for number, (plane, made) in enumerate(zip(planes, out, strict=True)):
            kind, sub = min(number, 1), 2 if number == 0 else 1
            top, bottom, left, right = (n * sub for n in part)
            self._run(
                plane, values, channel, sub, scale, at[0] * sub, at[1] * sub, top, bottom, left, right,
                *self._rows[kind], *self._columns[kind], self._spans[kind], self._peak, made,
            )  # fmt: skip
            channel += (sub * scale) ** 2


def _in_eight_bits(codes: np.ndarray, bits: int, *, full: bool, chroma: bool, finer: int) -> np.ndarray:
    """The nearest 8-bit sample of each, halves up, in whole numbers."""
    (offset, span), (least, eight) = (
        [int(n) for n in code_values(b, full, chroma=chroma, finer=f)] for b, f in ((bits, finer), (8, 0))
    )
    steps = (2 * eight * (codes.astype(np.int64) - offset) + span) // (2 * span)
    rounded: np.ndarray = (least + steps).clip(0, 255).astype(np.uint8)
    return rounded


def _bits_of(values: Tensor) -> np.ndarray:
    """A tensor's memory as a numpy array; bfloat16 as uint16."""
    return (
        values.view(torch.int16).numpy().view(np.uint16) if values.dtype == torch.bfloat16 else values.numpy()
    )


def _taps(scale: int, offset: float) -> tuple[np.ndarray, np.ndarray]:
    """(first source sample relative to its own, four weights) of each phase of a bicubic upscale, float32."""
    found = phases(scale, "bicubic", offset)
    first, weights = np.zeros(scale, np.int64), np.zeros((scale, _TAPS), np.float32)
    for number, (start, row) in enumerate(found):
        first[number], weights[number, : len(row)] = start, row
    return first, weights


@compiled
def _lookup(plane: np.ndarray, table: np.ndarray, out: np.ndarray, channel: int, sub: int) -> None:
    """out[y, x, channel + i·sub + j] = table[plane[y·sub + i, x·sub + j]]."""
    rows, columns = out.shape[0], out.shape[1]
    for y in range(rows):
        for i in range(sub):
            for x in range(columns):
                for j in range(sub):
                    out[y, x, channel + i * sub + j] = table[plane[y * sub + i, x * sub + j]]


def _lookup_at_once(plane: np.ndarray, table: np.ndarray, out: np.ndarray, channel: int, sub: int) -> None:
    for i in range(sub):
        for j in range(sub):
            out[:, :, channel + i * sub + j] = table[plane[i::sub, j::sub]]


if not COMPILED:
    _lookup = _lookup_at_once


@compiled
def _mirrored(position: int, length: int) -> int:
    """Reflect an index into the line, with the border sample repeated."""
    position %= 2 * length
    return position if position < length else 2 * length - 1 - position


@compiled
def _add_by_rows(  # noqa: PLR0913 - numba compiles flat arguments
    plane: np.ndarray, residual: np.ndarray, channel: int, sub: int, scale: int, base_row: int,
    base_column: int, top: int, bottom: int, left: int, right: int, row_first: np.ndarray,
    row_weights: np.ndarray, column_first: np.ndarray, column_weights: np.ndarray, span: np.float32,
    peak: np.float32, out: np.ndarray,
) -> None:  # fmt: skip
    """Process one plane of one tile, row by row: `scale` rows and columns for every source sample."""
    height, width = plane.shape
    columns, inner = right - left, sub * scale
    first, count = (left - base_column) // sub, columns // sub
    line = np.empty(columns + 2 * _SIDE, np.float32)
    upscaled, more = np.empty(columns * scale, np.float32), np.empty(columns * scale, np.float32)
    inside_left, inside_right = max(left - _SIDE, 0), min(right + _SIDE, width)
    for row in range(top, bottom):
        for phase in range(scale):
            start, weights = row + row_first[phase], row_weights[phase]
            _weighted(
                plane[_mirrored(start, height)][inside_left:inside_right],
                plane[_mirrored(start + 1, height)][inside_left:inside_right],
                plane[_mirrored(start + 2, height)][inside_left:inside_right],
                plane[_mirrored(start + 3, height)][inside_left:inside_right],
                weights, line[inside_left - left + _SIDE :], 1,
            )  # fmt: skip
            for x in range(left - _SIDE, 0):
                line[x - left + _SIDE] = line[_mirrored(x, width) - left + _SIDE]
            for x in range(width, right + _SIDE):
                line[x - left + _SIDE] = line[_mirrored(x, width) - left + _SIDE]
            for step in range(scale):
                at = _SIDE + column_first[step]
                stop = at + columns
                _weighted(
                    line[at:stop], line[at + 1 : stop + 1], line[at + 2 : stop + 2], line[at + 3 : stop + 3],
                    column_weights[step], upscaled[step:], scale,
                )  # fmt: skip
            base = channel + ((row - base_row) % sub * scale + phase) * inner
            _gathered(residual[(row - base_row) // sub, first : first + count], base, inner, more)
            _rounded(upscaled, more, span, peak, out[row * scale + phase, left * scale : right * scale])


@compiled
def _weighted(  # noqa: PLR0913 - numba compiles flat arguments
    a: np.ndarray,
    b: np.ndarray,
    c: np.ndarray,
    d: np.ndarray,
    weights: np.ndarray,
    out: np.ndarray,
    step: int,
) -> None:
    """out[x·step] = weights · (a, b, c, d)[x]."""
    w0, w1, w2, w3 = weights[0], weights[1], weights[2], weights[3]
    if step == 1:
        for x in range(a.shape[0]):
            out[x] = (
                (w0 * np.float32(a[x]) + w1 * np.float32(b[x])) + w2 * np.float32(c[x])
            ) + w3 * np.float32(d[x])
    else:
        for x in range(a.shape[0]):
            out[np.uint64(x) * np.uint64(step)] = (
                (w0 * np.float32(a[x]) + w1 * np.float32(b[x])) + w2 * np.float32(c[x])
            ) + w3 * np.float32(d[x])


@compiled
def _gathered(residual: np.ndarray, base: int, inner: int, out: np.ndarray) -> None:
    """out[x·inner + j] = residual[x, base + j]."""
    place = np.uint64(0)
    for x in range(residual.shape[0]):
        for j in range(inner):
            out[place] = residual[x, np.uint64(base) + np.uint64(j)]
            place += np.uint64(1)


@compiled
def _rounded(
    values: np.ndarray, more: np.ndarray, span: np.float32, peak: np.float32, out: np.ndarray
) -> None:
    """Round values + span · more to codes, clipped to 0..peak."""
    for x in range(out.shape[0]):
        value = np.rint(values[x] + span * more[x])
        value = value if value > np.float32(0) else np.float32(0)  # noqa: FURB136 - as selects, which LLVM turns into vectors
        out[x] = np.int32(value if value < peak else peak)  # noqa: FURB136


def _add_at_once(  # noqa: PLR0913 - numba compiles flat arguments
    plane: np.ndarray, residual: np.ndarray, channel: int, sub: int, scale: int, base_row: int,
    base_column: int, top: int, bottom: int, left: int, right: int, row_first: np.ndarray,
    row_weights: np.ndarray, column_first: np.ndarray, column_weights: np.ndarray, span: np.float32,
    peak: np.float32, out: np.ndarray,
) -> None:  # fmt: skip
    """Like `_add_by_rows`, with whole arrays instead of loops."""
    height, width = plane.shape
    rows, columns = np.arange(top, bottom), np.arange(left, right)

    def taps(
        values: np.ndarray, places: np.ndarray, axis: int, length: int, first: int, weights: np.ndarray
    ) -> np.ndarray:
        total = None
        for number, weight in enumerate(weights):
            index = (places + first + number) % (2 * length)
            part = weight * values.take(np.where(index < length, index, 2 * length - 1 - index), axis)
            total = part if total is None else total + part
        assert total is not None
        return np.asarray(total)

    inner = sub * scale
    count = (len(rows) // sub, len(columns) // sub)
    start = ((top - base_row) // sub, (left - base_column) // sub)
    block = residual[
        start[0] : start[0] + count[0], start[1] : start[1] + count[1], channel : channel + inner * inner
    ]
    more = (
        block.reshape(*count, inner, inner)
        .transpose(0, 2, 1, 3)
        .reshape(len(rows) * scale, len(columns) * scale)
    )
    source = plane.astype(np.float32)
    for phase in range(scale):
        lines = taps(source, rows, 0, height, row_first[phase], row_weights[phase])
        for step in range(scale):
            values = taps(lines, columns, 1, width, column_first[step], column_weights[step])
            codes = np.rint(values + span * more[phase::scale, step::scale]).clip(0, peak)
            out[top * scale + phase : bottom * scale : scale, left * scale + step : right * scale : scale] = (
                codes
            )
