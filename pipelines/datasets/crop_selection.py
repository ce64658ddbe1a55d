"""`choose_crops`: selects crops of a frame: detailed, sharp, outside black bars, unlike earlier ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from models.errors import UsageError
from models.layers.resampling import resample

__all__ = [
    "CropHistory",
    "CropPosition",
    "CropSettings",
    "choose_crops",
    "content_box",
    "fingerprint_of",
    "round_trip_db",
]


@dataclass(frozen=True)
class CropSettings:
    """Which crops are kept."""

    per_frame: int = 4
    """At most so many per frame."""
    flat_codes: float = 3.0
    """Standard deviation of luma (8-bit sample values) below which a crop is flat."""
    blurred_db: float = 46.0
    """Crops that survive scaling down and up by two with a PSNR above this are blurred: a network learns
    nothing from them."""
    duplicate_bits: int = 6
    """Largest Hamming distance between 64-bit difference hashes of near-duplicates; -1 keeps them all."""
    letterbox_codes: float = 8.0
    """Rows and columns at the edge that are no brighter than this above black are letterbox."""

    def __post_init__(self) -> None:
        if self.per_frame < 1:
            raise UsageError(f"crops.per_frame = {self.per_frame}: expected at least 1")


@dataclass
class CropHistory:
    """Hashes of the crops kept so far, and counts of rejected ones by reason."""

    hashes: list[int]
    flat: int = 0
    blurred: int = 0
    duplicate: int = 0


@dataclass(frozen=True)
class CropPosition:
    """A position in a frame, in luma pixels; even."""

    top: int
    left: int


def content_box(luma: np.ndarray, bits: int, letterbox_codes: float) -> tuple[int, int, int, int]:
    """(top, bottom, left, right), half-open and even, of an (H,W) frame without its black bars.

    Empty if all is black.
    """
    threshold = (16 + letterbox_codes) * (1 << (bits - 8))
    # The 99th percentile, so that one bright sample (dirt, the edge of a logo) does not hide a bar.
    rows = np.flatnonzero(np.percentile(luma[:, ::4], 99, axis=1) > threshold)
    columns = np.flatnonzero(np.percentile(luma[::4], 99, axis=0) > threshold)
    if not len(rows) or not len(columns):
        return 0, 0, 0, 0
    top, left = (int(rows[0]) + 1) // 2 * 2, (int(columns[0]) + 1) // 2 * 2
    return top, (int(rows[-1]) + 1) // 2 * 2, left, (int(columns[-1]) + 1) // 2 * 2


def round_trip_db(luma: np.ndarray, bits: int) -> float:
    """PSNR in dB between luma and the same luma scaled down by two and up again.

    A high value means that scaling down lost little, so luma had no fine detail in the first place.
    luma: (H,W), H and W even.
    """
    x = torch.from_numpy(luma.astype(np.float32)) / (1 << (bits - 8))
    half = resample(x, x.shape[0] // 2, x.shape[1] // 2, "bicubic")
    error = (resample(half, x.shape[0], x.shape[1], "bicubic") - x).square().mean().item()
    return 10 * float(np.log10(255 * 255 / max(error, 1e-9)))


def fingerprint_of(luma: np.ndarray) -> int:
    """64-bit difference hash of (H,W) luma.

    Whether each of 8x9 block means is brighter than its right neighbour.
    """
    height, width = luma.shape[0] // 8 * 8, luma.shape[1] // 9 * 9
    blocks = luma[:height, :width].reshape(8, height // 8, 9, width // 9).mean(axis=(1, 3))
    bits = (blocks[:, 1:] > blocks[:, :-1]).ravel()
    return int(np.packbits(bits).view(">u8")[0])


def choose_crops(
    luma: np.ndarray,
    bits: int,
    side_px: int,
    settings: CropSettings,
    seen: CropHistory,
    rng: np.random.Generator,
) -> list[CropPosition]:
    """Choose up to `per_frame` squares of `side_px` in an (H,W) frame, preferring detail.

    They don't overlap. Rejected ones are counted in `seen`, and the hashes of chosen ones are added to it.
    """
    top, bottom, left, right = content_box(luma, bits, settings.letterbox_codes)
    tops, lefts = _grid(top, bottom, side_px, rng), _grid(left, right, side_px, rng)
    places = [(t, x) for t in tops for x in lefts]
    if not places:
        return []
    unit = 1 << (bits - 8)
    crops = [luma[t : t + side_px, x : x + side_px] for t, x in places]
    detail = np.array([_detail(c) / unit for c in crops])
    # weighted sampling without replacement
    order = np.argsort(rng.exponential(size=len(places)) / np.maximum(detail, 1e-3))
    chosen: list[CropPosition] = []
    for number in order:
        if len(chosen) == settings.per_frame:
            break
        if _keep(crops[number], bits, settings, seen):
            chosen.append(CropPosition(*places[number]))
    return chosen


def _grid(start: int, stop: int, side: int, rng: np.random.Generator) -> list[int]:
    """Even starts of adjacent squares, with a random shift of the whole row."""
    count = (stop - start) // side
    if count < 1:
        return []
    shift = int(rng.integers((stop - start - count * side) // 2 + 1)) * 2
    return [start + shift + n * side for n in range(count)]


def _detail(crop: np.ndarray) -> float:
    """Mean absolute difference of neighbours, at its own bit depth."""
    x = crop.astype(np.int32)
    return float(np.abs(np.diff(x, axis=0)).mean() + np.abs(np.diff(x, axis=1)).mean())


def _keep(crop: np.ndarray, bits: int, settings: CropSettings, seen: CropHistory) -> bool:
    if float(crop.std()) / (1 << (bits - 8)) < settings.flat_codes:
        seen.flat += 1
        return False
    if round_trip_db(crop, bits) > settings.blurred_db:
        seen.blurred += 1
        return False
    code = fingerprint_of(crop)
    if any((code ^ other).bit_count() <= settings.duplicate_bits for other in seen.hashes):
        seen.duplicate += 1
        return False
    seen.hashes.append(code)
    return True
