"""CRFs of encoders, encoders at another CRF, and plans with another CRF."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipelines.encoders.encoder_options import EncoderTarget, choose_encoder, preset_crf
from pipelines.encoders.hardware_options import hardware_options
from pipelines.settings.encoder_spec import highest_crf
from pipelines.settings.run_settings import EncodeSettings

if TYPE_CHECKING:
    from pipelines.plan.plan import Plan
    from pipelines.settings.crf_target import CrfTarget
    from pipelines.settings.encoder_spec import Encoder

__all__ = [
    "CrfScale",
    "crf_scale",
    "lossless_encoder",
    "usual_crf",
    "with_crf",
    "with_target_crf",
]


_LOWEST_CRF = 1.0
"""0 is lossless for x264 only."""


@dataclass(frozen=True)
class CrfScale:
    """The CRFs that an encoder distinguishes."""

    lowest: float
    highest: float
    step: float

    def on_grid(self, crf: float, *, down: bool = False) -> float:
        """Return the nearest CRF that the encoder distinguishes. down: the nearest one that is not higher."""
        number = math.floor(crf / self.step + 1e-6) if down else round(crf / self.step)
        return round(min(self.highest, max(self.lowest, number * self.step)), 3)


def crf_scale(encoder: Encoder) -> CrfScale:
    """The scale of an encoder that `plan_checks.refuse_target` allows.

    Hardware has integer quantisers, and FFmpeg passes integers to SVT-AV1.
    """
    highest = highest_crf(encoder.codec)
    assert highest is not None
    if encoder.vendor:
        step = 0.25 if encoder.codec == "av1" else 1.0
    else:
        step = 1.0 if encoder.codec == "av1" else 0.1
    return CrfScale(_LOWEST_CRF, float(highest), step)


def with_crf(encoder: Encoder, crf: float, *, preset: str, before: float) -> Encoder:
    """The same encoder at another CRF.

    preset: the preset in the settings. before: the CRF of its current options.
    """
    if not encoder.vendor:
        return replace(encoder, options={**encoder.options, "crf": f"{crf:g}"})
    old, new = (
        hardware_options(encoder.codec, encoder.vendor, preset=preset, crf=level, pix_fmt=encoder.pix_fmt)
        for level in (before, crf)
    )
    # Options that do not depend on the CRF stay, such as no B frames for a chip without them.
    return replace(
        encoder,
        options={**encoder.options, **{key: value for key, value in new.items() if value != old.get(key)}},
    )


def with_target_crf(plan: Plan, target: CrfTarget, encode: EncodeSettings) -> Plan:
    """The plan with the CRF of a finished target."""
    assert target.crf is not None
    return replace(
        plan,
        target=target,
        encoder=with_crf(
            plan.encoder, target.crf, preset=encode.preset, before=usual_crf(encode, plan.encoder)
        ),
    )


def usual_crf(encode: EncodeSettings, encoder: Encoder) -> float:
    """The CRF of the settings or of their preset, where a search begins."""
    return preset_crf(encoder.codec, encode.preset) if encode.crf is None else encode.crf


def lossless_encoder(plan: Plan) -> Encoder:
    """A lossless encoder for samples."""
    pixels = plan.out_pixels
    encode = EncodeSettings(codec="ffv1", encoder="software", pixel_format=plan.out_pix_fmt)
    return choose_encoder(encode, pixels, EncoderTarget(plan.out_width, plan.out_height, "matroska"))
