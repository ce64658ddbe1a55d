"""Classical resampling, for the networks `identity`, `nearest`, `bilinear`, `bicubic` and `lanczos`.

Separable polyphase filters. Sample ``i`` of a line of ``n`` samples is at ``(i + 0.5 + offset) / n`` of the
image's extent. `offset` is 0 for luma and describes the siting of chroma (-0.25 if chroma is co-sited with
the left one of two luma samples: H.273, chroma_sample_loc_type 0).
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "KERNELS",
    "filters",
    "phases",
    "resample",
    "resample_axis",
    "resized_sides",
    "upscale_in_graph",
    "upscale_plane",
]


def _box(x: float) -> float:
    # Half-open, so that a sample on the border of two belongs to exactly one of them.
    return 1.0 if -0.5 < x <= 0.5 else 0.0


def _triangle(x: float) -> float:
    return max(0.0, 1.0 - abs(x))


def _cubic(x: float) -> float:
    """Keys (1981), a = -0.5: Catmull-Rom, MATLAB's and Pillow's bicubic."""
    x = abs(x)
    if x < 1:
        return (1.5 * x - 2.5) * x * x + 1
    if x < 2:
        return ((-0.5 * x + 2.5) * x - 4) * x + 2
    return 0.0


def _lanczos3(x: float) -> float:
    if x == 0:
        return 1.0
    if abs(x) >= 3:
        return 0.0
    t = math.pi * x
    return 3 * math.sin(t) * math.sin(t / 3) / (t * t)


KERNELS: dict[str, tuple[Callable[[float], float], float]] = {
    "nearest": (_box, 0.5),
    "bilinear": (_triangle, 1.0),
    "bicubic": (_cubic, 2.0),
    "lanczos": (_lanczos3, 3.0),
}
"""Name -> the kernel and its half width in samples."""


@functools.lru_cache(maxsize=256)
def _taps(
    in_len: int,
    out_len: int,
    kernel: str,
    in_offset: float,
    out_offset: float,
    ratio: float | None = None,
) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[float, ...], ...]]:
    """Source positions (may be outside the line) and weights of every output sample.

    Each row of weights sums to 1. Downscaling stretches the kernel by the ratio (antialiasing), except for
    `nearest`. ratio: distance of output samples, in source samples; default: the ratio of the lengths.
    """
    function, half_width = KERNELS[kernel]
    ratio = ratio or in_len / out_len
    stretch = max(1.0, ratio) if kernel != "nearest" else 1.0
    count = math.ceil(half_width * stretch * 2) + 1
    positions, weights = [], []
    for i in range(out_len):
        centre = (i + 0.5 + out_offset) * ratio - 0.5 - in_offset
        first = math.ceil(centre - half_width * stretch - 1e-9)
        row = [function((first + k - centre) / stretch) for k in range(count)]
        total = sum(row)
        positions.append(tuple(first + k for k in range(count)))
        weights.append(tuple(w / total for w in row))
    return tuple(positions), tuple(weights)


def _mirror(position: int, length: int) -> int:
    """Reflect an index into the line, with the border sample repeated (MATLAB's `symmetric`)."""
    period = 2 * length
    position %= period
    return position if position < length else period - 1 - position


@functools.lru_cache(maxsize=64)
def _phases(
    in_len: int, out_len: int, kernel: str, in_offset: float, out_offset: float
) -> tuple[int, int, tuple[tuple[int, tuple[float, ...]], ...]] | None:
    """Return (padding before, padding after, [(first source sample, weights) per phase]), or None.

    None: not an integer upscale.
    """
    if out_len % in_len or out_len == in_len:
        return None
    factor = out_len // in_len
    positions, weights = _taps(in_len, out_len, kernel, in_offset, out_offset)
    phases = []
    for phase in range(factor):
        used = [k for k, w in enumerate(weights[phase]) if w != 0.0]
        lo, hi = used[0], used[-1] + 1
        phases.append((positions[phase][lo], weights[phase][lo:hi]))
    before = max(0, *(-first for first, _ in phases))
    after = max(0, *(first + len(w) - 1 for first, w in phases))
    if max(before, after) > in_len:
        return None
    return before, after, tuple(phases)


def phases(factor: int, kernel: str, offset: float = 0.0) -> tuple[tuple[int, tuple[float, ...]], ...]:
    """Filters of an integer upscale: (first source sample relative to i, weights) of output factor·i + p.

    offset: siting of the samples, before and after.
    """
    found = _phases(16, 16 * factor, kernel, offset, offset)
    assert found is not None
    return found[2]


def filters(
    in_len: int, out_len: int, kernel: str, offset: float = 0.0, ratio: float | None = None
) -> tuple[tuple[int, ...], tuple[tuple[float, ...], ...]]:
    """First source position (may be outside the line) and weights of every sample of a resized line.

    offset: siting of the samples, before and after. ratio: as in `resample_axis`. Positions outside the line
    are mirrored.
    """
    positions, weights = _taps(in_len, out_len, kernel, offset, offset, ratio)
    return tuple(row[0] for row in positions), weights


def resample_axis(  # noqa: PLR0913 - all but four have a default
    x: Tensor,
    dim: int,
    out_len: int,
    kernel: str,
    *,
    in_offset: float = 0.0,
    out_offset: float = 0.0,
    ratio: float | None = None,
) -> Tensor:
    """Resample one axis of a floating tensor to `out_len` samples.

    dim: -1 or -2. `in_offset`, `out_offset`: siting before and after, in samples (see the module's
    docstring). ratio: distance of output samples, in input samples; by default the ratio of the lengths. It
    differs if the last chroma sample extends beyond an odd side of luma. Returns a tensor of the same dtype.
    Borders are mirrored with the border sample repeated.
    """
    in_len = x.shape[dim]
    if ratio is None or ratio == in_len / out_len:
        if in_len == out_len and in_offset == out_offset:
            return x
        phased = _phases(in_len, out_len, kernel, in_offset, out_offset)
        if phased is not None:
            return _upscale_by_phases(x, dim, out_len, *phased)
    positions, weights = _taps(in_len, out_len, kernel, in_offset, out_offset, ratio)
    index = torch.tensor([[_mirror(p, in_len) for p in row] for row in positions], device=x.device)
    weight = torch.tensor(weights, dtype=x.dtype, device=x.device)
    shape = (1, out_len) if dim == -1 else (out_len, 1)
    out = torch.zeros((), dtype=x.dtype, device=x.device)
    for k in range(weight.shape[1]):
        if bool((weight[:, k] != 0).any()):
            out = out + x.index_select(dim, index[:, k]) * weight[:, k].reshape(shape)
    return out


def _upscale_by_phases(
    x: Tensor,
    dim: int,
    out_len: int,
    before: int,
    after: int,
    phases: tuple[tuple[int, tuple[float, ...]], ...],
) -> Tensor:
    """Upscale by an integer, as a sum of shifted views per phase.

    Output sample S·i+p is a short filter of the neighbours of i.
    """
    length = x.shape[dim]
    index = [_mirror(p, length) for p in range(-before, 0)] + [
        _mirror(p, length) for p in range(length, length + after)
    ]
    border = x.index_select(dim, torch.tensor(index, dtype=torch.long, device=x.device))
    padded = torch.cat([border.narrow(dim, 0, before), x, border.narrow(dim, before, after)], dim)
    shape = list(x.shape)
    shape[dim] = out_len
    out = torch.empty(shape, dtype=x.dtype, device=x.device)
    factor = out_len // length
    for phase, (first, weights) in enumerate(phases):
        total = padded.narrow(dim, before + first, length) * weights[0]
        for k, weight in enumerate(weights[1:], start=1):
            total.add_(padded.narrow(dim, before + first + k, length), alpha=weight)
        target = out[..., phase::factor] if dim == -1 else out[..., phase::factor, :]
        target.copy_(total)
    return out


def resample(  # noqa: PLR0913 - all but four have a default
    x: Tensor,
    height: int,
    width: int,
    kernel: str,
    *,
    offset: tuple[float, float] = (0.0, 0.0),
    out_offset: tuple[float, float] | None = None,
    ratios: tuple[float | None, float | None] = (None, None),
) -> Tensor:
    """Resample (..., H, W) to (..., height, width), antialiased when it gets smaller.

    offset: (vertical, horizontal) siting of the input samples; `out_offset` that of the output (default: the
    same). ratios: as in `resample_axis`.
    """
    out_offset = offset if out_offset is None else out_offset
    rows, columns = (
        functools.partial(
            resample_axis,
            dim=axis - 2,
            out_len=length,
            kernel=kernel,
            in_offset=offset[axis],
            out_offset=out_offset[axis],
            ratio=ratios[axis],
        )
        for axis, length in enumerate((height, width))
    )
    # Shrinking first, growing last touches the fewest samples.
    return columns(rows(x)) if height * x.shape[-1] <= width * x.shape[-2] else rows(columns(x))


def upscale_plane(
    plane: Tensor,
    size: tuple[int, int],
    target: tuple[int, int],
    kernel: str,
    offset: tuple[float, float],
    sub: tuple[int, int] | None = None,
) -> Tensor:
    """Resample a chroma plane as its luma of `size` (height, width) is resampled to `target`.

    plane: (...,h,w), each side that of luma divided by `sub`, rounded up. sub: luma samples per chroma
    sample, (vertical, horizontal); by default derived from the sizes, 1 or 2. Samples keep their positions in
    luma; the excess of the plane beyond an odd side is cropped.
    """
    have = plane.shape[-2], plane.shape[-1]
    (rows, keep_rows, down), (columns, keep_columns, across) = resized_sides(have, size, target, sub)
    made = resample(plane, rows, columns, kernel, offset=offset, ratios=(down, across))
    return made[..., :keep_rows, :keep_columns]


def resized_sides(
    plane: tuple[int, int], size: tuple[int, int], target: tuple[int, int], sub: tuple[int, int] | None = None
) -> list[tuple[int, int, float]]:
    """(length to resize to, length to keep, ratio) of the rows and of the columns in `upscale_plane`."""
    sides = []
    for have, luma, out, by in zip(plane, size, target, sub or (0, 0), strict=True):
        need = -(-out // (by or (2 if have < luma else 1)))
        sides.append((have * (out // luma) if out % luma == 0 else need, need, luma / out))
    return sides


def upscale_in_graph(x: Tensor, factor: int, kernel: str, offset: tuple[float, float] = (0.0, 0.0)) -> Tensor:
    """(B,C,H,W) -> (B,C,factor·H,factor·W) like `resample`, in fp32, as one convolution and a pixel shuffle.

    For graphs that are recorded once: ONNX files with free H and W, and CUDA graphs, which can't read from
    the CPU. H and W must be at least the kernel's half width.
    """
    if torch.compiler.is_exporting():
        weight = _filter_bank(factor, kernel, offset, x.device)
    else:
        with torch.inference_mode(mode=False):
            weight = _kept_filter_bank(factor, kernel, offset, x.device)
    reach = weight.shape[-1] // 2
    rows = x.flatten(0, 1)[:, None].float()
    for dim in (-2, -1):
        # Mirrored with the border sample repeated; slices, because lengths may be symbols.
        length = rows.shape[dim]
        rows = torch.cat(
            [rows.narrow(dim, 0, reach).flip(dim), rows, rows.narrow(dim, length - reach, reach).flip(dim)],
            dim,
        )
    # Unchanged if it is off, because a context would be written into an ONNX file.
    precise = (
        torch.autocast(x.device.type, enabled=False)
        if torch.is_autocast_enabled(x.device.type)
        else contextlib.nullcontext()
    )
    with precise:
        made = F.pixel_shuffle(F.conv2d(rows, weight), factor)
    return made.reshape(x.shape[0], x.shape[1], factor * x.shape[2], factor * x.shape[3])


def _filter_bank(factor: int, kernel: str, offset: tuple[float, float], device: torch.device) -> Tensor:
    """(factor²,1,2r+1,2r+1): the filter of each output phase around an input sample."""
    lines = []
    reach = max(max(-first, first + len(w) - 1) for o in offset for first, w in phases(factor, kernel, o))
    for along in offset:
        line = torch.zeros(factor, 2 * reach + 1)
        for phase, (first, weights) in enumerate(phases(factor, kernel, along)):
            line[phase, reach + first : reach + first + len(weights)] = torch.tensor(weights)
        lines.append(line)
    return (
        torch.einsum("ay,bx->abyx", *lines)
        .reshape(factor * factor, 1, 2 * reach + 1, 2 * reach + 1)
        .to(device)
    )


_kept_filter_bank = functools.lru_cache(maxsize=32)(_filter_bank)
