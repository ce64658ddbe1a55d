"""Coding-independent code points (ITU-T H.273): the meaning of sample values, and HDR metadata."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from models.errors import MediaError

__all__ = [
    "HDR_TRANSFERS",
    "SITING_OFFSETS",
    "ColorTags",
    "HdrMetadata",
    "Matrix",
    "Primaries",
    "Range",
    "Siting",
    "Transfer",
    "code_values",
    "luma_weights",
]


class Matrix(IntEnum):
    """MatrixCoefficients, H.273 table 4, as far as they are supported."""

    RGB = 0
    BT709 = 1
    UNSPECIFIED = 2
    FCC = 4
    BT470BG = 5
    """BT.601, 625 lines."""
    SMPTE170M = 6
    """BT.601, 525 lines."""
    SMPTE240M = 7
    YCGCO = 8
    BT2020_NCL = 9
    BT2020_CL = 10
    ICTCP = 14


class Range(IntEnum):
    """Video range as FFmpeg counts it: H.273 VideoFullRangeFlag + 1."""

    UNSPECIFIED = 0
    LIMITED = 1
    FULL = 2


class Primaries(IntEnum):
    """ColourPrimaries, H.273 table 2."""

    BT709 = 1
    UNSPECIFIED = 2
    BT470M = 4
    BT470BG = 5
    SMPTE170M = 6
    SMPTE240M = 7
    FILM = 8
    BT2020 = 9
    SMPTE428 = 10
    SMPTE431 = 11
    SMPTE432 = 12
    EBU3213 = 22


class Transfer(IntEnum):
    """TransferCharacteristics, H.273 table 3."""

    BT709 = 1
    UNSPECIFIED = 2
    GAMMA22 = 4
    GAMMA28 = 5
    SMPTE170M = 6
    SMPTE240M = 7
    LINEAR = 8
    IEC61966_2_4 = 11
    SRGB = 13
    BT2020_10 = 14
    BT2020_12 = 15
    PQ = 16
    """SMPTE ST 2084."""
    HLG = 18
    """ARIB STD-B67."""


class Siting(IntEnum):
    """Chroma sample location, H.273 clause 8.7 (+1, as FFmpeg counts it)."""

    UNSPECIFIED = 0
    LEFT = 1
    CENTER = 2
    TOP_LEFT = 3
    TOP = 4
    BOTTOM_LEFT = 5
    BOTTOM = 6


@dataclass(frozen=True)
class ColorTags:
    """The meaning of sample values, in numbers of H.273.

    A value outside the enums is kept as a plain number.
    """

    matrix: int = Matrix.UNSPECIFIED
    range: int = Range.UNSPECIFIED
    primaries: int = Primaries.UNSPECIFIED
    transfer: int = Transfer.UNSPECIFIED
    siting: int = Siting.UNSPECIFIED


HDR_TRANSFERS = frozenset({Transfer.PQ, Transfer.HLG})


@dataclass(frozen=True)
class HdrMetadata:
    """Static HDR metadata for all frames of a film; either part may be missing.

    Values are the integers of H.265 clauses D.3.28 and D.3.35.
    """

    display: tuple[int, ...] = ()
    """Mastering display (SMPTE ST 2086): red x, y, green x, y, blue x, y, white x, y in 0.00002, then highest
    and lowest luminance in 0.0001 cd/m²."""
    light: tuple[int, int] | None = None
    """MaxCLL and MaxFALL (CTA-861.3), in cd/m²."""

    def __bool__(self) -> bool:
        return bool(self.display) or self.light is not None


_LUMA_WEIGHTS = {
    Matrix.BT709: (0.2126, 0.0722),
    Matrix.FCC: (0.30, 0.11),
    Matrix.BT470BG: (0.299, 0.114),
    Matrix.SMPTE170M: (0.299, 0.114),
    Matrix.SMPTE240M: (0.212, 0.087),
    Matrix.BT2020_NCL: (0.2627, 0.0593),
}
"""Matrix -> (K_R, K_B)."""


def luma_weights(matrix: int) -> tuple[float, float]:
    """Return (K_R, K_B).

    Raises MediaError for matrices without such weights (YCgCo, ICtCp, constant luminance).
    """
    if matrix not in _LUMA_WEIGHTS:
        raise MediaError(
            f"colour matrix {matrix} (H.273 table 4) can't be converted; convert the video to BT.709 or"
            " BT.2020 NCL first"
        )
    return _LUMA_WEIGHTS[Matrix(matrix)]


def code_values(bits: int, full: bool, *, chroma: bool, finer: int = 0) -> tuple[float, float]:
    """(offset, span) of sample values: sample = offset + span · value (H.273 equations 20 to 28).

    Floats (32 bits) are values. finer: number of fractional bits of the samples.
    """
    if bits == 32:
        return 0.0, 1.0
    one = 1 << finer
    if full:
        return (float(one << (bits - 1)) if chroma else 0.0), float(one * ((1 << bits) - 1))
    unit = one << (bits - 8)
    return (128.0 * unit, 224.0 * unit) if chroma else (16.0 * unit, 219.0 * unit)


SITING_OFFSETS = {
    Siting.LEFT: (0.0, -0.25),
    Siting.CENTER: (0.0, 0.0),
    Siting.TOP_LEFT: (-0.25, -0.25),
    Siting.TOP: (-0.25, 0.0),
    Siting.BOTTOM_LEFT: (0.25, -0.25),
    Siting.BOTTOM: (0.25, 0.0),
}
"""Siting -> (vertical, horizontal) offset of a 4:2:0 chroma sample from the centre of its 2x2 luma samples,
in chroma samples."""
