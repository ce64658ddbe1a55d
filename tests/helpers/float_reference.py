"""The expected result of a cascade, in float64, with dense matrices and whole frames.

It is slow and simple, and uses none of our resampling, tiling or colour code. Only the networks themselves
are shared. Kernels: Keys (1981), a = -0.5; Lanczos, three lobes; colour: H.273 clause 8.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from models.network import LoadedNetwork
from pipelines.media.pixel_format import PixelFormat
from pipelines.plan.plan import Plan

WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
"""MatrixCoefficients -> K_R, K_B."""
SITINGS = {1: (0, -1), 2: (0, 0), 3: (-1, -1), 4: (-1, 0), 5: (1, -1), 6: (1, 0)}
"""As FFmpeg counts them -> whether chroma lies beside the first (-1) or last (1) row and column of its luma
samples, or between (0)."""
LEFT = SITINGS[1]


def _kernel(name: str, x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    if name == "bicubic":
        return np.where(
            x < 1, 1.5 * x**3 - 2.5 * x**2 + 1, np.where(x < 2, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2, 0.0)
        )
    if name == "bilinear":
        return np.maximum(0.0, 1 - x)
    return np.where(x < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


def matrix(
    have: int, want: int, kernel: str, before: float, after: float, ratio: float | None = None
) -> np.ndarray:
    """(want, have): how a line becomes one of another length.

    Before, after: where its samples lie, in samples off the middle. ratio: samples of the line for each of the
    result.
    """
    ratio = ratio or have / want
    at = (np.arange(want) + 0.5 + after) * ratio - 0.5 - before
    rows = np.zeros((want, have))
    if kernel == "nearest":
        near = np.floor(at + 0.5 + 1e-9).astype(int)
        rows[np.arange(want), _mirrored(near, have)] = 1.0
        return rows
    if have == want and before == after and ratio == 1:
        return np.eye(have)
    stretch = max(1.0, ratio)
    reach = int(np.ceil(3 * stretch)) + 1
    for i, centre in enumerate(at):
        k = np.arange(int(np.floor(centre)) - reach, int(np.floor(centre)) + reach + 2)
        weight = _kernel(kernel, (k - centre) / stretch)
        np.add.at(rows[i], _mirrored(k, have), weight / weight.sum())
    return rows


def _mirrored(k: np.ndarray, length: int) -> np.ndarray:
    k = k % (2 * length)
    return np.where(k < length, k, 2 * length - 1 - k)


def resized(
    plane: np.ndarray,
    size: Sequence[int],
    kernel: str,
    before: Sequence[float] = (0, 0),
    after: Sequence[float] = (0, 0),
    ratios: Sequence[float | None] = (None, None),
) -> np.ndarray:
    """A plane (...,H,W) as one of `size`."""
    down = matrix(plane.shape[-2], size[0], kernel, before[0], after[0], ratios[0])
    across = matrix(plane.shape[-1], size[1], kernel, before[1], after[1], ratios[1])
    return down @ plane @ across.T


def offset(siting: Sequence[float], sub: Sequence[int]) -> tuple[float, float]:
    """In chroma samples: beside the first of n luma samples means half a chroma sample less half a luma
    sample before its middle.
    """
    vertical, horizontal = (s * (0.5 - 0.5 / n) for s, n in zip(siting, sub, strict=True))
    return vertical, horizontal


@dataclass(frozen=True, eq=False)
class Values:
    """Luma (H,W), chroma (2,h,w) or None, alpha (H,W) or None."""

    luma: np.ndarray
    chroma: np.ndarray | None
    alpha: np.ndarray | None
    siting: tuple[float, float]
    sub: tuple[int, int]

    @property
    def offset(self) -> tuple[float, float]:
        return offset(self.siting, self.sub)

    def full_chroma(self) -> np.ndarray:
        """As many samples as luma; none for grey."""
        if self.chroma is None:
            return np.zeros((2, *self.luma.shape))
        return self.chroma_beside((1, 1), "bicubic", (0, 0))

    def chroma_beside(self, sub: Sequence[int], kernel: str, after: Sequence[float]) -> np.ndarray:
        """One sample for each `sub` samples of luma, which stay where they are."""
        assert self.chroma is not None
        want = [-(-n // by) for n, by in zip(self.luma.shape, sub, strict=True)]
        ratios = [new / old for new, old in zip(sub, self.sub, strict=True)]
        return resized(self.chroma, want, kernel, self.offset, after, ratios)

    def chroma_grown(self, size: Sequence[int], kernel: str) -> np.ndarray | None:
        """For luma of `size`: each sample goes the way of its luma, and what an odd side has too much is cut
        off.
        """
        if self.chroma is None:
            return None
        want = [-(-n // by) for n, by in zip(size, self.sub, strict=True)]
        ratios = [luma / n for luma, n in zip(self.luma.shape, size, strict=True)]
        return resized(self.chroma, want, kernel, self.offset, self.offset, ratios)


def to_rgb(luma: np.ndarray, chroma: np.ndarray, number: int) -> np.ndarray:
    kr, kb = WEIGHTS[number]
    red, blue = luma + 2 * (1 - kr) * chroma[1], luma + 2 * (1 - kb) * chroma[0]
    return np.stack([red, (luma - kr * red - kb * blue) / (1 - kr - kb), blue])


def to_yuv(rgb: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    kr, kb = WEIGHTS[number]
    luma = kr * rgb[0] + (1 - kr - kb) * rgb[1] + kb * rgb[2]
    return luma, np.stack([(rgb[2] - luma) / (2 - 2 * kb), (rgb[0] - luma) / (2 - 2 * kr)])


def _span(bits: int, full: bool, chroma: bool) -> tuple[float, float]:
    if bits == 32:
        return 0.0, 1.0
    unit = 2 ** (bits - 8)
    if full:
        return (128.0 * unit if chroma else 0.0), 2.0**bits - 1
    return (128.0 * unit, 224.0 * unit) if chroma else (16.0 * unit, 219.0 * unit)


def _load(planes: Sequence[np.ndarray], plan: Plan) -> Values:
    pixels, full = PixelFormat.parse(plan.pix_fmt), plan.color.range == 2

    def values(number: int, *, chroma: bool = False, is_full: bool = full) -> np.ndarray:
        low, span = _span(pixels.bits, is_full, chroma)
        return (planes[number].astype(np.float64) - low) / span

    alpha = values(len(planes) - 1, is_full=True) if pixels.alpha else None
    if pixels.family == "gray":
        return Values(values(0), None, alpha, (0, 0), (1, 1))
    if pixels.family == "rgb":
        luma, chroma = to_yuv(np.stack([values(2), values(0), values(1)]), 1)
        return Values(luma, chroma, alpha, (0, 0), (1, 1))
    vertical, horizontal = SITINGS[plan.color.siting]
    sub = (1 << pixels.sub_y, 1 << pixels.sub_x)
    turn = plan.orientation
    if turn.transpose:
        vertical, horizontal, sub = horizontal, vertical, (sub[1], sub[0])
    # The last chroma sample of an odd side lies partly outside; mirrored, the first one does.
    height, width = planes[0].shape
    siting = (
        -vertical - -height % sub[0] / max(0.5, (sub[0] - 1) / 2) if turn.flip_y else vertical,
        -horizontal - -width % sub[1] / max(0.5, (sub[1] - 1) / 2) if turn.flip_x else horizontal,
    )
    return Values(values(0), np.stack([values(1, chroma=True), values(2, chroma=True)]), alpha, siting, sub)


def _stage(
    network: LoadedNetwork, seen: Values, size: tuple[int, int], matrix_number: int, *, full_chroma: bool
) -> Values:
    contract, kernel = network.contract, network.contract.kernel
    if network.classical:
        alpha = None if seen.alpha is None else resized(seen.alpha, size, kernel)
        return replace(
            seen, luma=resized(seen.luma, size, kernel), chroma=seen.chroma_grown(size, kernel), alpha=alpha
        )
    height, width = seen.luma.shape
    size = (height * contract.scale, width * contract.scale)
    alpha = None if seen.alpha is None else resized(seen.alpha, size, kernel)
    if contract.pixels == "rgb":
        rgb = to_rgb(seen.luma, seen.full_chroma(), matrix_number)
        (made,) = _called(network, [_padded(rgb, contract.size_multiple)])
        luma, chroma = to_yuv(made[:, : size[0], : size[1]], matrix_number)
        return Values(luma, None if seen.chroma is None else chroma, alpha, (0, 0), (1, 1))
    half = (-(-height // 2), -(-width // 2))
    small = (
        np.zeros((2, *half))
        if seen.chroma is None
        else seen.chroma_beside((2, 2), kernel, offset(LEFT, (2, 2)))
    )
    padded = _padded(seen.luma[None], contract.size_multiple)
    luma, chroma = _called(network, [padded, _padded_to(small, [n // 2 for n in padded.shape[1:]])])
    luma = luma[0, : size[0], : size[1]]
    if seen.sub == (2, 2):
        return Values(luma, chroma[:, : -(-size[0] // 2), : -(-size[1] // 2)], alpha, LEFT, (2, 2))
    if full_chroma and seen.chroma is not None and not contract.temporal:
        planes = [_padded(plane[None] + 0.5, contract.size_multiple) for plane in seen.chroma]
        made = [
            _called(network, [p, np.zeros((2, *(n // 2 for n in p.shape[1:])))])[0][0, : size[0], : size[1]]
            - 0.5
            for p in planes
        ]
        return replace(seen, luma=luma, chroma=np.stack(made), alpha=alpha)
    return replace(seen, luma=luma, chroma=seen.chroma_grown(size, kernel), alpha=alpha)


def _padded(planes: np.ndarray, multiple: int) -> np.ndarray:
    return _padded_to(planes, [n + -n % multiple for n in planes.shape[1:]])


def _padded_to(planes: np.ndarray, size: Sequence[int]) -> np.ndarray:
    extra = [want - have for want, have in zip(size, planes.shape[1:], strict=True)]
    mode = "reflect" if all(e < n for e, n in zip(extra, planes.shape[1:], strict=True)) else "edge"
    return np.pad(planes, [(0, 0), *((0, e) for e in extra)], mode=mode)  # type: ignore[call-overload, no-any-return]


def _called(network: LoadedNetwork, planes: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The network on a whole picture, which is its own neighbour where it wants some."""
    contract = network.contract
    times = contract.past + 1 + contract.future
    tensors = [torch.from_numpy(p).float()[None] for p in planes]
    with torch.inference_mode():
        if contract.pixels == "rgb":
            return [network.module(tensors[0])[0].double().numpy()]  # type: ignore[arg-type, call-overload]
        given = (tensors[0].repeat(1, times, 1, 1), tensors[1].repeat(1, times, 1, 1))
        made = network.module(given, None)[0] if contract.recurrent else network.module(given)  # type: ignore[call-arg]
    return [m[0].double().numpy() for m in made]  # type: ignore[attr-defined]


def _mixed(before: Values, made: Values, kernel: str, strength: float) -> Values:
    size = made.luma.shape
    luma = (1 - strength) * resized(before.luma, size, kernel) + strength * made.luma
    if made.chroma is None or before.chroma is None:
        return replace(made, luma=luma)
    same = replace(
        before,
        chroma=before.chroma_beside(made.sub, kernel, made.offset),
        siting=made.siting,
        sub=made.sub,
    )
    plain = same.chroma_grown(size, kernel)
    assert plain is not None
    return replace(made, luma=luma, chroma=(1 - strength) * plain + strength * made.chroma)


def reference(
    planes: Sequence[np.ndarray], plan: Plan, networks: Sequence[LoadedNetwork]
) -> list[np.ndarray]:
    """Upright planes of codes through a plan's networks, as planes of the result.

    Float64, not rounded, not clipped, not padded.
    """
    seen = _load(planes, plan)
    number = 1 if plan.color.matrix == 0 else plan.color.matrix
    stages = [s for s in plan.stages if s.card.name != "identity"]
    for stage, network in zip(stages, networks, strict=True):
        made = _stage(network, seen, (stage.height, stage.width), number, full_chroma=plan.full_chroma)
        seen = (
            made
            if network.classical or plan.strength == 1
            else _mixed(seen, made, network.contract.kernel, plan.strength)
        )
    return _store(seen, plan, number)


def _store(seen: Values, plan: Plan, number: int) -> list[np.ndarray]:
    pixels, color = PixelFormat.parse(plan.out_pix_fmt), plan.out_color
    size = seen.luma.shape
    if pixels.family == "yuv" and color.matrix != number and seen.chroma is not None:
        luma, chroma = to_yuv(to_rgb(seen.luma, seen.full_chroma(), number), color.matrix)
        seen = Values(luma, chroma, seen.alpha, (0, 0), (1, 1))
    planes, kinds = [seen.luma], [False]
    if pixels.family == "rgb":
        red, green, blue = to_rgb(seen.luma, seen.full_chroma(), number)
        planes, kinds = [green, blue, red], [False] * 3
    elif pixels.family == "yuv":
        sub = (1 << pixels.sub_y, 1 << pixels.sub_x)
        want = [-(-n // by) for n, by in zip(size, sub, strict=True)]
        found = seen.chroma if seen.chroma is not None else np.zeros((2, *want))
        planes += list(
            seen.chroma_beside(sub, "bicubic", offset(SITINGS[color.siting], sub))
            if seen.chroma is not None
            else found
        )
        kinds += [True, True]
    made = []
    for plane, chroma in zip(planes, kinds, strict=True):
        low, span = _span(pixels.bits, color.range == 2, chroma)
        made.append(plane * span + low)
    if pixels.alpha:
        alpha = seen.alpha if seen.alpha is not None else np.ones(size)
        made.append(alpha * _span(pixels.bits, True, False)[1])
    return made
