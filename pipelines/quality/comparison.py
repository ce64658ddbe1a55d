"""`compare`: measures one or two results against a reference: metrics, mismatches, worst moments.

Everything is measured at the size of the reference: larger frames are scaled down to it (antialiased
bicubic), smaller ones up. Without a reference the smaller of two files is used, and of two equally large ones
the first. So for a result compared with its source, the metrics show fidelity, not sharpness.

PSNR is for luma in 8-bit limited range with a peak of 255; for a clip, from the mean squared error of all its
frames. Flicker is the mean absolute difference between the change from frame to frame of a result and of the
reference, in 8-bit values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict, Unpack

import numpy as np

from models.errors import UsageError, counted
from pipelines.frames.ffmpeg_metrics import MetricsProcess, pooled
from pipelines.frames.thumbnail import grid_for, thumbnail
from pipelines.hardware.resources import usable_cores
from pipelines.media.cicp import ColorTags, Range
from pipelines.media.pixel_format import PixelFormat
from pipelines.plan.timeline import clock_text
from pipelines.quality.frame_alignment import LagFinder, Misaligned
from pipelines.quality.image_differences import cut_out
from pipelines.quality.paired_reader import PairedReader, fit_size, open_video, upright_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pipelines.frames.sample_values import SampleValues
    from pipelines.frames.video_reader import VideoReader
    from pipelines.quality.frame_alignment import Align

__all__ = [
    "METRICS",
    "CompareOptions",
    "Compared",
    "Figures",
    "Measured",
    "Metric",
    "WorstMoment",
    "compare",
]


_PEAK = 255.0
_GREY = ColorTags(range=int(Range.LIMITED))
_LEAST_SIDE = 32
"""Pixels; VMAF uses a sixteenth of the size."""


@dataclass(frozen=True)
class Metric:
    """Name of a metric, and which direction is better."""

    name: str
    label: str
    unit: str
    digits: int
    higher_is_better: bool = True
    least: float = 0.0
    most: float = math.inf
    """Largest possible value, and end of the axis."""


METRICS = (
    Metric("vmaf", "VMAF", "", 2, most=100),
    Metric("vmaf_neg", "VMAF-NEG", "", 2, most=100),
    Metric("psnr", "PSNR", "dB", 2),
    Metric("psnr_chroma", "PSNR, chroma", "dB", 2),
    Metric("ssim", "SSIM", "", 4, least=-1, most=1),
    Metric("xpsnr", "XPSNR", "dB", 2),
    Metric("flicker", "Flicker", "codes", 3, higher_is_better=False),
    Metric("consistency", "Consistency with the source", "dB", 2),
)


@dataclass(frozen=True)
class Measured:
    """Event: how many moments have been measured so far."""

    frames: int
    total: int


@dataclass(frozen=True, eq=False)
class Figures:
    """Metrics of one result."""

    file: str
    values: dict[str, np.ndarray]
    """Name of a metric -> one value per moment; infinite dB: equal. Flicker of the first moment is NaN."""
    overall: dict[str, float]


@dataclass(frozen=True)
class WorstMoment:
    """One of the worst moments of a comparison."""

    seconds: float
    names: tuple[str, ...]
    pictures: tuple[bytes, ...]
    """PNG files of one place in the reference, then in each result."""
    scores: tuple[dict[str, float], ...]
    """Scores of each result."""
    overview: bytes = b""
    """PNG file of the whole reference, scaled down, with that place marked."""


@dataclass(frozen=True, eq=False)
class Compared:
    """The last event of a comparison, with all results."""

    reference: str
    size: tuple[int, int]
    """Width and height of the measurement."""
    model: str
    """The model of VMAF."""
    figures: tuple[Figures, ...]
    seconds: np.ndarray
    """Time of each moment, from the reference's first frame."""
    findings: tuple[Misaligned, ...]
    notes: tuple[str, ...]
    moments: tuple[WorstMoment, ...] = field(default_factory=tuple)


class CompareOptions(TypedDict, total=False):
    """How results are compared."""

    reference: Path | None
    """The ground truth; None: one of the two, by the rule of this module."""
    source: Path | None
    """The source of the results; they are also compared with it at its size."""
    range_: str | None
    """FROM-TO."""
    align: Align
    """How frames are matched."""
    worst: int
    """Number of moments to show."""


def compare(
    first: Path, second: Path, **options: Unpack[CompareOptions]
) -> Iterator[Measured | Misaligned | Compared]:
    """Measure one or two results against a reference.

    Yields mismatches as soon as they are known. Raises MediaError for unreadable files, VerificationError if
    no frames match.
    """
    reference, source, range_ = options.get("reference"), options.get("source"), options.get("range_")
    align, worst = options.get("align", "pts"), options.get("worst", 5)
    films = [open_video(p) for p in ([first, second] if reference is None else [reference, first, second])]
    if reference is None:
        films.sort(key=_pixels)
    results = len(films) - 1
    matched = PairedReader(
        [*films, *([open_video(source)] if source is not None else [])], range_=range_, align=align
    )
    yield from matched.findings
    measuring = _Measuring(matched, results=results, has_source=source is not None)
    if min(measuring.size) < _LEAST_SIDE:
        raise UsageError(
            f"{matched.labels[0]}: is {measuring.size[0]}x{measuring.size[1]}; VMAF wants {_LEAST_SIDE}"
            " pixels a side and more"
        )
    yield from measuring.run()
    shifts = [
        m
        for lag, name in zip(measuring.lags, matched.labels[1:], strict=False)
        for m in _shifts(lag, name, matched)
    ]
    yield from shifts
    equal = [
        f.file
        for f in measuring.figures
        if np.isinf(f.values["psnr"]).all() and np.isinf(f.values["psnr_chroma"]).all()
    ]
    notes = [f"{name}: every frame equals that of {matched.labels[0]}" for name in equal]
    notes += [*measuring.notes(), *matched.notes]
    notes += [
        f"{name}: {counted(n, 'damaged frame')}, as the decoder repaired {'it' if n == 1 else 'them'}"
        for name, n in zip(matched.labels, matched.damaged, strict=True)
        if n
    ]
    places = (
        _worst(measuring.figures, worst, float(matched.films[0].info.rate)) if len(equal) < results else []
    )
    yield Compared(
        matched.labels[0],
        measuring.size,
        measuring.model,
        tuple(measuring.figures),
        np.array([matched.seconds(p) for p in range(len(matched.moments))]),
        (*matched.findings, *shifts),
        tuple(notes),
        tuple(_show(matched, places, measuring.figures)) if places else (),
    )


def _pixels(film: VideoReader) -> int:
    width, height = upright_size(film)
    return width * height


class _Measuring:
    """One pass over all moments."""

    def __init__(self, matched: PairedReader, *, results: int, has_source: bool) -> None:
        self._matched, self._results, self._has_source = matched, results, has_source
        self.size = matched.size(0)
        self.bits = max(f.bits for f in matched.films)
        self.lags = [LagFinder() for _ in range(results)]
        self.figures: list[Figures] = []
        self.model = ""
        self._before: list[np.ndarray | None] = [None] * results
        self._own: list[dict[str, list[float]]] = [
            {"mse": [], "mse_chroma": [], "flicker": [], "mse_source": []} for _ in range(results)
        ]

    def run(self) -> Iterator[Measured]:
        matched, results = self._matched, self._results
        rate = matched.films[0].info.rate.limit_denominator(100_000)
        grid = grid_for(*self.size)
        grey = PixelFormat.parse("gray" if self.bits == 8 else "gray10le")
        total = len(matched.moments)
        with MetricsProcess(
            *self.size, self.bits, results=results, rate=rate, threads=usable_cores()
        ) as meter:
            self.model = meter.model
            for number, frames in enumerate(matched.frames(), start=1):
                fitted = [fit_size(c, *self.size, self.bits) for c in frames[: results + 1]]
                meter.add([*fitted[1:], fitted[0]])
                small = [thumbnail([c.luma[0]], grey, _GREY, grid) for c in fitted]
                for place in range(results):
                    self.lags[place].add(small[0], small[place + 1])
                    self._look(place, fitted[place + 1], fitted[0])
                    if self._has_source:
                        self._hold_against_source(place, frames[place + 1], frames[-1])
                yield Measured(number, total)
            by_ffmpeg = meter.figures()
        for place, theirs in enumerate(by_ffmpeg):
            self.figures.append(self._figures(place, theirs))

    def _look(self, place: int, result: SampleValues, truth: SampleValues) -> None:
        own, unit = self._own[place], 1 << (self.bits - 8)
        difference = np.subtract(result.luma, truth.luma, dtype=np.int16)
        own["mse"].append(_mean_square(difference) / unit**2)
        own["mse_chroma"].append(
            _mean_square(np.subtract(result.chroma, truth.chroma, dtype=np.int16)) / unit**2
        )
        before = self._before[place]
        own["flicker"].append(
            math.nan if before is None else float(np.abs(difference - before).mean(dtype=np.float64)) / unit
        )
        self._before[place] = difference

    def _hold_against_source(self, place: int, result: SampleValues, source: SampleValues) -> None:
        height, width = source.luma.shape[1:]
        bits = max(result.bits, source.bits)
        luma = [fit_size(c, width, height, bits).luma for c in (result, source)]
        self._own[place]["mse_source"].append(
            _mean_square(np.subtract(*luma, dtype=np.int16)) / (1 << (bits - 8)) ** 2
        )

    def _figures(self, place: int, by_ffmpeg: dict[str, np.ndarray]) -> Figures:
        own = {name: np.array(values) for name, values in self._own[place].items()}
        values = {
            **by_ffmpeg,
            "psnr": _decibels(own["mse"]),
            "psnr_chroma": _decibels(own["mse_chroma"]),
            "flicker": own["flicker"],
        }
        overall = {name: pooled(name, v) for name, v in by_ffmpeg.items()}
        overall |= {
            "psnr": float(_decibels(own["mse"].mean())),
            "psnr_chroma": float(_decibels(own["mse_chroma"].mean())),
        }
        if len(own["flicker"]) > 1:
            overall["flicker"] = float(own["flicker"][1:].mean())
        else:
            del values["flicker"]
        if self._has_source:
            values["consistency"], overall["consistency"] = (
                _decibels(own["mse_source"]),
                float(_decibels(own["mse_source"].mean())),
            )
        elif _pixels(self._matched.films[0]) < _pixels(self._matched.films[place + 1]):
            values["consistency"], overall["consistency"] = values["psnr"], overall["psnr"]
        order = [m.name for m in METRICS if m.name in overall]
        return Figures(
            self._matched.labels[place + 1], {n: values[n] for n in order}, {n: overall[n] for n in order}
        )

    def notes(self) -> Iterator[str]:
        """How different sizes were matched."""
        labels, (width, height) = self._matched.labels, self.size
        for place in range(self._results):
            own = self._matched.size(place + 1)
            if own != self.size:
                how = "shrunk" if own[0] * own[1] > width * height else "enlarged"
                yield (
                    f"{labels[place + 1]}: {own[0]}x{own[1]}, {how} to {width}x{height}, the size of"
                    f" {labels[0]} (bicubic), to be measured"
                )
                if how == "shrunk":
                    yield (
                        f"{labels[0]} is the smaller one: figures say how faithful {labels[place + 1]} is to"
                        " it, not how sharp"
                    )


def _mean_square(difference: np.ndarray) -> float:
    return float(np.square(difference, dtype=np.int32).mean(dtype=np.float64))


def _decibels(mse: np.ndarray | float) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.asarray(10 * np.log10(_PEAK * _PEAK / np.asarray(mse)))


def _shifts(finder: LagFinder, name: str, matched: PairedReader) -> Iterator[Misaligned]:
    for start, stop, lag in finder.stretches():
        if not lag:
            continue
        many = f"{abs(lag)} frame{'s' * (abs(lag) > 1)} {'later' if lag > 0 else 'earlier'}"
        whole = (start, stop) == (0, len(matched.moments))
        where = (
            "all the way"
            if whole
            else f"from {clock_text(matched.seconds(start))} to {clock_text(matched.seconds(stop - 1))}"
        )
        yield Misaligned(
            "shift",
            name,
            lag,
            f"{name}: misaligned: shows everything {many} than {matched.labels[0]}, {where}",
        )


def _worst(figures: Sequence[Figures], count: int, rate: float) -> list[int]:
    """Moments with the lowest VMAF of any result, not all from one second; ascending."""
    vmaf = np.min([f.values["vmaf"] for f in figures], axis=0)
    psnr = np.min([f.values["psnr"] for f in figures], axis=0)
    gap = max(1, min(round(rate), len(vmaf) // 10))
    chosen: list[int] = []
    for place in np.lexsort((psnr, vmaf)):
        if len(chosen) < count and all(abs(int(place) - other) >= gap for other in chosen):
            chosen.append(int(place))
    return sorted(chosen)


def _show(matched: PairedReader, places: Sequence[int], figures: Sequence[Figures]) -> Iterator[WorstMoment]:
    names = matched.labels[: len(figures) + 1]
    for place, frames in zip(places, matched.frames(places), strict=True):
        scores = tuple(
            {n: float(v[place]) for n, v in f.values.items() if not math.isnan(v[place])} for f in figures
        )
        pictures, overview = cut_out(matched, frames[: len(names)])
        yield WorstMoment(matched.seconds(place), names, pictures, scores, overview)
