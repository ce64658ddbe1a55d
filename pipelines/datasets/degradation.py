"""Random degradations of clean clips: scaling, blur, noise, ringing, compression.

A degradation is drawn once from a seeded generator and recorded as a `Degradation`; the same record on the
same clip gives the same bytes. The order is that of Real-ESRGAN (Wang et al. 2021, arXiv:2107.10833), with
real video codecs instead of JPEG: [blur, resize, noise, codec], then blur, resize to the final size, halos,
sensor noise, grain, noise, ringing, banding, siting, codec, [codec again]; the first bracket only with
`two_stage`, the second with `generations`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from models.errors import UsageError
from pipelines.datasets.recompression import CODECS, Coding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


__all__ = [
    "Degradation",
    "DegradationStep",
    "DegradeSettings",
    "described",
    "draw_degradation",
    "read_case",
    "read_record",
]


KERNELS = ("bicubic", "lanczos", "area")
_LATER = frozenset(
    [
        "generations",
        "presets",
        "bitrate",
        "bits_per_pixel",
        "sensor",
        "sensor_codes",
        "grain",
        "grain_codes",
        "halos",
        "halo_amount",
        "banding",
        "banding_bits",
        "siting",
        "levels",
    ]
)
_SHARES = (
    "blur",
    "noise",
    "ringing",
    "codec",
    "two_stage",
    "generations",
    "bitrate",
    "sensor",
    "grain",
    "halos",
    "banding",
    "siting",
)
_SPANS = (
    "blur_sigma_px",
    "noise_codes",
    "ringing_cutoff",
    "crf",
    "bits_per_pixel",
    "sensor_codes",
    "grain_codes",
    "halo_amount",
    "banding_bits",
)


@dataclass(frozen=True)
class DegradeSettings:
    """Possible degradations between ground truth and input.

    Probabilities are for degraded pairs, not for all pairs.
    """

    clean: float = 0.6
    """Share of pairs that are only scaled down, 0.5 to 1; below that only with `restoration`."""
    kernels: tuple[str, ...] = ("bicubic", "bicubic", "bicubic", "lanczos", "area")
    """Antialiased kernels of scaling down; one named twice is drawn twice as often."""
    blur: float = 0.15
    blur_sigma_px: tuple[float, ...] = (0.3, 1.5)
    """Gaussian, before scaling."""
    noise: float = 0.15
    noise_codes: tuple[float, ...] = (0.5, 5.0)
    """Standard deviation on luma in 8-bit values; half of it on chroma."""
    ringing: float = 0.1
    ringing_cutoff: tuple[float, ...] = (0.5, 0.9)
    """Cutoff of the sinc filter, as a share of the Nyquist frequency."""
    codec: float = 0.9
    codecs: tuple[str, ...] = ("h264", "h264", "hevc", "mpeg2")
    crf: tuple[int, ...] | Literal["like-source"] = (17, 32)
    """Range of the constant rate factor, lowest and highest; "like-source": codec and quantiser of the
    source's own stream."""
    two_stage: float = 0.0
    """Share that goes through blur, resize, noise and codec twice."""
    generations: float = 0.0
    """Share of the encoded clips that are encoded a second time at the same size, like downloads that were
    edited and uploaded again."""
    presets: bool = False
    """Draw among the presets of each encoder, instead of using its fastest."""
    bitrate: float = 0.0
    """Share of the encodings with a bit rate instead of a CRF."""
    bits_per_pixel: tuple[float, ...] = (0.03, 0.25)
    """Range of bit rates, drawn evenly on a logarithmic scale; 1 Mbit/s at 720p25 is 0.043."""
    sensor: float = 0.0
    sensor_codes: tuple[float, ...] = (0.5, 5.0)
    """Camera noise: its variance grows with luma, half of it is present at black; standard deviation at mid
    grey, in 8-bit values."""
    grain: float = 0.0
    grain_codes: tuple[float, ...] = (1.0, 6.0)
    """Film grain: blurred noise, strongest in mid grey; standard deviation there, in 8-bit values."""
    halos: float = 0.0
    halo_amount: tuple[float, ...] = (0.2, 1.2)
    """Unsharp mask of the small image, sigma 1.2 pixels: bright and dark lines along edges."""
    banding: float = 0.0
    banding_bits: tuple[int, ...] = (5, 6)
    """Number of bits that luma is rounded to."""
    siting: float = 0.0
    """Share of pairs with centre-sited chroma that is treated as left-sited."""
    levels: bool = False
    """Measure each pair's damage and record its restoration level (`damage`), for networks with this
    input."""
    restoration: bool = False
    """Whether the data set is for networks that restore; it then may have any share of clean pairs, 0 to
    1."""

    def __post_init__(self) -> None:
        least = 0.0 if self.restoration else 0.5
        if not least <= self.clean <= 1:
            raise UsageError(
                f"degrade.clean = {self.clean}: expected {least:g} to 1; fewer clean pairs are for networks"
                " that restore (restoration)"
            )
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"degrade.{name} = {getattr(self, name)}: expected a probability, 0 to 1")
        for name, known in (("kernels", KERNELS), ("codecs", tuple(CODECS))):
            odd = [v for v in getattr(self, name) if v not in known]
            if odd or not getattr(self, name):
                raise UsageError(
                    f"degrade.{name}: {odd[0] if odd else 'nothing'!r}: expected {', '.join(known)}"
                )
        for name in _SPANS:
            span = getattr(self, name)
            if span != "like-source" and not (len(span) == 2 and 0 <= span[0] <= span[1]):
                raise UsageError(f"degrade.{name} = {span}: expected the lowest and the highest value")


def described(settings: DegradeSettings) -> dict[str, Any]:
    """The settings as plain values that identify a data set.

    Settings added later are left out if they have no effect.
    """
    table, usual = asdict(settings), asdict(DegradeSettings())
    return {k: v for k, v in table.items() if k not in _LATER or v != usual[k]}


@dataclass(frozen=True)
class DegradationStep:
    """Blur, resize and the following steps, in the order of this module; 0 or empty means none."""

    kernel: str = "bicubic"
    shrink: float = 0.0
    """Factor on the sides in the first of two stages. 0: to the final size."""
    blur_sigma_px: float = 0.0
    noise_codes: float = 0.0
    ringing_cutoff: float = 0.0
    codec: str = ""
    quality: int = 0
    """CRF, or the quantiser scale of MPEG-2."""
    preset: int = 0
    bits_per_pixel: float = 0.0
    """See `recompression.Coding`."""
    halo_amount: float = 0.0
    sensor_codes: float = 0.0
    grain_codes: float = 0.0
    banding_bits: int = 0
    miss_sited: bool = False

    @property
    def coding(self) -> Coding | None:
        """The encoding, or None."""
        return Coding(self.codec, self.quality, self.preset, self.bits_per_pixel) if self.codec else None


@dataclass(frozen=True)
class Degradation:
    """All steps from ground truth to input, as recorded with the pair."""

    stages: tuple[DegradationStep, ...] = (DegradationStep(),)
    seed: int = 0
    """Seed of the noise."""

    @property
    def clean(self) -> bool:
        """Whether the clip is only scaled down."""
        return self.stages == (DegradationStep(kernel=self.stages[0].kernel),)

    @property
    def undamaged(self) -> Degradation:
        """This degradation with scaling only."""
        return Degradation((DegradationStep(kernel=self.stages[-1].kernel),))

    @property
    def coded(self) -> bool:
        """Whether the degradation includes a codec, so that frames before the first used one matter."""
        return any(s.codec for s in self.stages)

    def record(self) -> dict[str, Any]:
        """The degradation as JSON values, for the pair; default values are left out."""
        plain = DegradationStep()
        stages = [
            {k: v for k, v in asdict(s).items() if k == "kernel" or v != getattr(plain, k)}
            for s in self.stages
        ]
        return {"stages": stages, "seed": self.seed}


def read_record(record: Mapping[str, Any]) -> Degradation:
    """Reverse `Degradation.record`."""
    return Degradation(tuple(DegradationStep(**s) for s in record["stages"]), int(record["seed"]))


def read_case(text: str) -> Degradation:
    """Parse a case: "clean", CODEC-QUALITY such as "h264-23", "noise-SIGMA" or "blur-SIGMA".

    Raises UsageError for other text. Noise has a standard deviation of so many 8-bit values on luma, half of
    it on chroma; blur is Gaussian with a standard deviation of so many pixels of the ground truth, before
    scaling down.
    """
    if text == "clean":
        return Degradation()
    codec, dash, quality = text.partition("-")
    if codec in {"noise", "blur"} and _is_amount(quality):
        return Degradation(
            (
                (
                    DegradationStep(noise_codes=float(quality))
                    if codec == "noise"
                    else DegradationStep(blur_sigma_px=float(quality))
                ),
            )
        )
    if codec not in CODECS or not dash or not quality.isdecimal() or int(quality) > CODECS[codec].highest:
        raise UsageError(
            f"case {text!r}: expected clean, CODEC-QUALITY (such as h264-23, hevc-28, mpeg2-5), noise-SIGMA"
            " or blur-SIGMA"
        )
    return Degradation((DegradationStep(codec=codec, quality=int(quality)),))


def _is_amount(text: str) -> bool:
    """A plain positive number, not above 50."""
    return text.replace(".", "", 1).isdecimal() and 0 < float(text) <= 50


def draw_degradation(
    settings: DegradeSettings, rng: np.random.Generator, source: Coding | None = None
) -> Degradation:
    """Draw the degradation of one clip. source: encoding of its film, for `like-source`."""
    seed = int(rng.integers(1 << 31))
    kernel = str(rng.choice(settings.kernels))
    if rng.random() < settings.clean:
        return Degradation((DegradationStep(kernel=kernel),), seed)
    last = _draw_stage(settings, rng, kernel, source)
    # a separate random generator, so that settings without these draw the same values as before
    more = _Extras(settings, np.random.default_rng([seed, 1]))
    last = more.added(last)
    if last == DegradationStep(kernel=kernel):
        last = more.added(_draw_stage(_certain_codec(settings), rng, kernel, source))
    again = more.generation(last, lambda: _draw_coding(_certain_codec(settings), rng, source))
    if rng.random() >= settings.two_stage:
        return Degradation((last, *again), seed)
    first = more.coded(
        _draw_stage(
            settings, rng, str(rng.choice(settings.kernels)), source, shrink=float(rng.uniform(0.5, 1))
        )
    )
    return Degradation((first, last, *again), seed)


class _Extras:
    """Draws the settings that were added later."""

    def __init__(self, settings: DegradeSettings, rng: np.random.Generator) -> None:
        self._settings, self._rng = settings, rng

    def added(self, stage: DegradationStep) -> DegradationStep:
        """A last stage with halos, camera noise, grain, banding, siting and encoding."""
        s = self._settings
        stage = replace(
            stage,
            halo_amount=self._maybe(s.halos, s.halo_amount),
            sensor_codes=self._maybe(s.sensor, s.sensor_codes),
            grain_codes=self._maybe(s.grain, s.grain_codes),
            banding_bits=round(self._maybe(s.banding, s.banding_bits)),
            miss_sited=self._rng.random() < s.siting,
        )
        return self.coded(stage)

    def coded(self, stage: DegradationStep) -> DegradationStep:
        """A stage with a preset, and possibly a bit rate, for its codec."""
        drawn, rate, preset = self._rng.random(), self._rng.random(), self._rng.random()
        if not stage.codec:
            return stage
        least, most = self._settings.bits_per_pixel
        if self._settings.presets:
            stage = replace(stage, preset=int(preset * len(CODECS[stage.codec].presets)))
        if drawn < self._settings.bitrate:
            stage = replace(stage, bits_per_pixel=round(least * (most / least) ** rate, 4))
        return stage

    def generation(
        self, last: DegradationStep, coding: Callable[[], Coding | None]
    ) -> tuple[DegradationStep, ...]:
        """The second encoding of an encoded clip, if there is one."""
        if not last.codec or self._rng.random() >= self._settings.generations:
            return ()
        drawn = coding()
        return (
            (self.coded(DegradationStep(kernel=last.kernel, codec=drawn.codec, quality=drawn.quality)),)
            if drawn
            else ()
        )

    def _maybe(self, probability: float, span: tuple[float, ...]) -> float:
        drawn, value = self._rng.random(), float(self._rng.uniform(span[0], span[1]))
        return round(value, 4) if drawn < probability else 0.0


def _certain_codec(settings: DegradeSettings) -> DegradeSettings:
    return replace(settings, codec=1.0)


def _draw_stage(
    settings: DegradeSettings,
    rng: np.random.Generator,
    kernel: str,
    source: Coding | None,
    shrink: float = 0.0,
) -> DegradationStep:
    def maybe(probability: float, span: tuple[float, ...]) -> float:
        # always both, so that one setting does not affect the random numbers of others
        drawn, value = (
            rng.random(),
            float(rng.uniform(span[0], span[1])),
        )
        return round(value, 4) if drawn < probability else 0.0

    coding = _draw_coding(settings, rng, source)
    return DegradationStep(
        kernel=kernel,
        shrink=round(shrink, 4),
        blur_sigma_px=maybe(settings.blur, settings.blur_sigma_px),
        noise_codes=maybe(settings.noise, settings.noise_codes),
        # The first stage has ringing from its codec; Real-ESRGAN also has its sinc filter at the end.
        ringing_cutoff=maybe(settings.ringing, settings.ringing_cutoff) if not shrink else 0.0,
        codec=coding.codec if coding else "",
        quality=coding.quality if coding else 0,
    )


def _draw_coding(settings: DegradeSettings, rng: np.random.Generator, source: Coding | None) -> Coding | None:
    drawn, codec = rng.random(), str(rng.choice(settings.codecs))
    if settings.crf == "like-source":
        if source is None:
            raise UsageError(
                'degrade.crf = "like-source": the source has no stream of its own to be like; give a range'
                " such as [17, 32]"
            )
        return source if drawn < settings.codec else None
    crf = int(rng.integers(settings.crf[0], settings.crf[1], endpoint=True))
    return Coding(codec, CODECS[codec].quality_of_crf(crf)) if drawn < settings.codec else None
