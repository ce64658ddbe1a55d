"""Coding-independent code points (ITU-T H.273): the numbers that say what the code values of a film mean, and its HDR metadata."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

__all__ = ["HDR_TRANSFERS", "ColorTags", "HdrMetadata", "Matrix", "Primaries", "Range", "Siting", "Transfer"]


class Matrix(IntEnum):
    """MatrixCoefficients, H.273 table 4, as far as we convert them."""

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
    """What the code values mean, in H.273's numbers. A value outside our enums is kept as a plain number."""

    matrix: int = Matrix.UNSPECIFIED
    range: int = Range.UNSPECIFIED
    primaries: int = Primaries.UNSPECIFIED
    transfer: int = Transfer.UNSPECIFIED
    siting: int = Siting.UNSPECIFIED


HDR_TRANSFERS = frozenset({Transfer.PQ, Transfer.HLG})


@dataclass(frozen=True)
class HdrMetadata:
    """What a display is told of all pictures of an HDR film; either part may be missing.

    In the integers of H.265 clauses D.3.28 and D.3.35.
    """

    display: tuple[int, ...] = ()
    """Mastering display (SMPTE ST 2086): red x, y, green x, y, blue x, y, white x, y in 0.00002, then highest and lowest
    luminance in 0.0001 cd/m²."""
    light: tuple[int, int] | None = None
    """MaxCLL and MaxFALL (CTA-861.3), in cd/m²."""

    def __bool__(self) -> bool:
        return bool(self.display) or self.light is not None
