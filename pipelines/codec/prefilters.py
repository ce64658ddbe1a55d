"""Filters that clean a source before the networks, each using one frame only.

FFmpeg's filters are used if they give the same bits with any number of threads; dehalo and decomb are
implemented here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from models.errors import MediaError
from pipelines.media.cicp import Range
from pipelines.media.pixel_format import PixelFormat
from pipelines.settings.option_values import prefilter_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pipelines.media.video_info import Frame
    from pipelines.plan.plan import Plan

__all__ = ["clean_frames", "clean_luma", "decomb", "dehalo"]


RunFilters: TypeAlias = "Callable[[Iterable[Frame], tuple[str, ...], PixelFormat], Iterator[Frame]]"


def _graph_filter(name: str, pixels: PixelFormat) -> str:
    """FFmpeg's filter of that name, with its options; empty for the filters of this module."""
    if name == "deblock":
        return "deblock=filter=strong:block=8"
    if name == "deband":
        # Threshold: one and a half 8-bit steps, up to 32 pixels away; a band is one step. New values are the
        # mean of four places around a pixel, selected by a fixed table from the pixel's position.
        return "deband=1thr=0.006:range=32"
    if name == "denoise":
        # Both use one frame only, and give the same bits with any number of threads (fftdnoiz gives other
        # bits in each run). Non-local means is better, but supports only 8 bits without alpha.
        fine = pixels.bits == 8 and not pixels.alpha
        return "nlmeans=s=4:p=5:r=7" if fine else "bilateral=sigmaS=3:sigmaR=0.1:planes=7"
    return ""


def clean_frames(
    frames: Iterable[Frame],
    plan: Plan,
    run: RunFilters,
    run_planes: RunFilters,
) -> Iterator[Frame]:
    """Apply the plan's prefilters to frames in the decoder's format; returns them in the plan's format.

    run: applies filters of FFmpeg, one frame in, one out. run_planes: the same, plane by plane. Each frame
    keeps the decoder's samples as `Frame.origin`, at the bit depth of the result.
    """
    pixels = plan.decoded_pixels
    for name in prefilter_names(plan.prefilter):
        if name == "deband" and plan.raised_from:
            raising = BitDepthRaiser(pixels, full=plan.color.range == Range.FULL)
            frames, pixels = map(raising, frames), plan.pixels
        if filtered := _graph_filter(name, pixels):
            # FFmpeg's deband does not support 4:2:0, 4:2:2 and 4:4:4 with ten bits.
            frames = (run_planes if name == "deband" else run)(frames, (filtered,), pixels)
        else:
            frames = _mapped(frames, _OWN[name], pixels)
    return iter(frames)


def clean_luma(
    luma: np.ndarray,
    names: str,
    bits: int,
    run: Callable[[np.ndarray, tuple[str, ...], PixelFormat], np.ndarray],
) -> np.ndarray:
    """Apply prefilters to luma, (H,W), except deband, which changes no values at their own depth.

    Filters treat each plane separately. run: applies filters of FFmpeg to a plane.
    """
    pixels = PixelFormat.parse("gray" if bits == 8 else f"gray{bits}le")
    for name in prefilter_names(names):
        if name in _OWN:
            luma = _OWN[name](luma, bits, 0)
        elif name != "deband":
            luma = run(luma, (_graph_filter(name, pixels),), pixels)
    return luma


class BitDepthRaiser:
    """Converts 8 bits to 10: limited range times four, full range by the ratio of the maxima (H.273, 8.3)."""

    def __init__(self, pixels: PixelFormat, *, full: bool) -> None:
        codes = np.arange(256)
        tables = [np.rint(codes * 1023 / 255), np.clip(np.rint((codes - 128) * 1023 / 255) + 512, 0, 1023)]
        whole, centred = (t.astype(np.uint16) if full else (codes * 4).astype(np.uint16) for t in tables)
        colour = {1, 2} if pixels.family == "yuv" else set()
        # Alpha is always full range.
        alpha = {pixels.plane_count - 1} if pixels.alpha else set()
        self._tables = [
            np.rint(codes * 1023 / 255).astype(np.uint16) if n in alpha else centred if n in colour else whole
            for n in range(pixels.plane_count)
        ]

    def __call__(self, frame: Frame) -> Frame:
        """Convert a frame and its origin to ten bits."""
        raised = self._all(frame.planes)
        same = frame.origin is None or frame.origin is frame.planes
        return replace(frame, planes=raised, origin=raised if same else self._all(frame.origin or []))

    def _all(self, planes: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [table[plane] for table, plane in zip(self._tables, planes, strict=True)]


def _mapped(
    frames: Iterable[Frame], change: Callable[[np.ndarray, int, int], np.ndarray], pixels: PixelFormat
) -> Iterator[Frame]:
    if pixels.is_float:
        raise MediaError(f"{pixels.name} has no codes, which prefilters of ours count in")
    colours = pixels.plane_count - pixels.alpha
    for frame in frames:
        origin = frame.planes if frame.origin is None else frame.origin
        # All planes of R'G'B' are treated like luma.
        kinds = [0 if pixels.family == "rgb" else number for number in range(colours)]
        planes = [change(plane, pixels.bits, kind) for plane, kind in zip(frame.planes, kinds, strict=False)]
        yield replace(frame, planes=[*planes, *frame.planes[len(planes) :]], origin=origin)


_HALO_PX = 3
"""Lines up to this many pixels wide, as sharpening draws them along edges, count as halos."""
_EDGE_PX = 6
"""Largest distance of the edge."""
_SHARE = 0.2
"""Relative to the local contrast: a line that differs less than this from both sides is a halo; one that
differs by twice as much is detail."""


def dehalo(plane: np.ndarray, bits: int, number: int) -> np.ndarray:
    """Remove bright and dark lines that are weak compared with an edge nearby; (H,W) integers, luma only.

    A line is what a morphological opening or closing (Serra 1982) removes. number: the plane's number.
    """
    if number:
        return plane
    contrast = _extreme(plane, _EDGE_PX, np.maximum) - _extreme(plane, _EDGE_PX, np.minimum)
    line = _HALO_PX // 2 + 1
    above = plane - _extreme(_extreme(plane, line, np.minimum), line, np.maximum)
    below = _extreme(_extreme(plane, line, np.maximum), line, np.minimum) - plane
    if not (contrast >= _LEAST_EDGE << (bits - 8)).any():
        return plane
    excess = np.where(above > below, above, -below.astype(np.float32))
    # Removed completely below the share, not at all from twice the share on, and not at all without an edge,
    # as in noise.
    weight = np.clip(2 - np.abs(excess) / np.maximum(1, np.float32(_SHARE) * contrast), 0, 1)
    weight[contrast < _LEAST_EDGE << (bits - 8)] = 0
    made: np.ndarray = np.rint(plane - weight * excess).astype(plane.dtype)
    return made


_LEAST_EDGE = 32
"""8-bit difference within the reach of a halo, below which there is no edge."""


def _extreme(
    values: np.ndarray, radius: int, of: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """The largest or smallest value in a square around each pixel."""
    width = 2 * radius + 1
    for axis in (0, 1):
        found = np.pad(values, [(radius, radius) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        found, done = np.moveaxis(found, axis, 0), 1
        while done < width:  # window sizes double each time
            step = min(done, width - done)
            found, done = of(found[:-step], found[step:]), done + step
        values = np.moveaxis(found, 0, axis)
    return values


_COMB = 8
"""8-bit difference by which a line must differ from both neighbours."""
_ALONG = 5
"""Pixels of a line that are evaluated together."""
_COMBED_SHARE = 0.2
"""Share of the pixels of 9 lines and 17 columns; fewer are texture."""


def decomb(plane: np.ndarray, bits: int, number: int) -> np.ndarray:
    """Re-interpolate lines of the bottom field that do not match the top field; (H,W) integers of any plane.

    Combing is detected as in TFM and CombMask: lines that differ from both neighbours, and less from those
    beyond them. A pixel counts only if many around it do. The result shows the time of the top field.
    """
    if plane.shape[0] < 8:
        return plane
    values = np.pad(plane.astype(np.int32), ((2, 2), (0, 0)), mode="reflect")
    between = ((values[1:-3] + values[3:-1] + 1) >> 1).astype(plane.dtype)
    # Moving objects are several pixels wide; noise and fine texture are not, and a mean along the line
    # removes them.
    values = _box(np.pad(values, ((0, 0), (_ALONG // 2, _ALONG // 2)), mode="reflect"), 1, _ALONG) // _ALONG
    values = values[:, _ALONG // 2 : -(_ALONG // 2)]
    far, here = values[:-4] + values[4:], values[2:-2]
    above, below = values[1:-3], values[3:-1]
    least = _COMB << (bits - 8)
    apart = ((here - above > least) & (here - below > least)) | (
        (above - here > least) & (below - here > least)
    )
    combed = apart & (np.abs(far + 4 * here - 3 * (above + below)) > 6 * least)
    rows, columns = (9, 17) if not number else (5, 9)
    dense = _box(combed, rows, columns) > _COMBED_SHARE * rows * columns
    if not dense.any():
        return plane
    made = plane.copy()
    bottom = np.zeros_like(dense)
    bottom[1::2] = dense[1::2]
    np.copyto(made, between, where=bottom)
    return made


def _box(values: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The sum over the rectangle around each pixel, clipped at the border."""
    around = ((rows // 2 + 1, rows // 2), (columns // 2 + 1, columns // 2))
    total = np.pad(values.astype(np.int64), around)
    total = total.cumsum(0).cumsum(1)
    return (
        total[rows:, columns:] - total[:-rows, columns:] - total[rows:, :-columns] + total[:-rows, :-columns]
    )


_OWN: dict[str, Callable[[np.ndarray, int, int], np.ndarray]] = {"dehalo": dehalo, "decomb": decomb}
