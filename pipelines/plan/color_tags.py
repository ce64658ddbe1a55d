"""`resolve_tags`: the meaning of a video's colour tags, with a fixed rule for missing ones.

Free of torch, so that a plan can be made without it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from models.errors import MediaError
from pipelines.media.cicp import (
    HDR_TRANSFERS,
    SITING_OFFSETS,
    ColorTags,
    Matrix,
    Primaries,
    Range,
    Siting,
    Transfer,
)
from pipelines.media.pixel_format import PixelFormat

if TYPE_CHECKING:
    from pipelines.settings.encoder_spec import Encoder

__all__ = ["chroma_offset", "mirrored_siting", "output_tags", "resolve_tags"]


def chroma_offset(siting: tuple[float, float], sub: tuple[int, int]) -> tuple[float, float]:
    """(vertical, horizontal) offset, in samples, of a chroma plane with one sample per `sub` luma samples.

    siting: an entry of SITING_OFFSETS, which holds for `sub` 2. sub: 1, 2 or 4 along each axis. Co-sited with
    the first of n luma samples means (n - 1) / 2n of a chroma sample before their centre.
    """
    vertical, horizontal = (2 * s * (1 - 1 / n) for s, n in zip(siting, sub, strict=True))
    return vertical, horizontal


def mirrored_siting(siting: float, length: int, sub: int) -> float:
    """Siting along one axis of a plane that was mirrored.

    length: luma samples. The last chroma sample of an odd side extends beyond the frame; after mirroring, it
    is the first one, and begins before the frame.
    """
    beyond = -length % sub
    return -siting - beyond / (2 * (sub - 1)) if beyond else -siting


_PRIMARIES_OF = {
    Matrix.BT470BG: Primaries.BT470BG,
    Matrix.SMPTE170M: Primaries.SMPTE170M,
    Matrix.SMPTE240M: Primaries.SMPTE240M,
    Matrix.BT2020_NCL: Primaries.BT2020,
}
_UNCONVERTIBLE = {
    Matrix.YCGCO: "YCgCo",
    Matrix.BT2020_CL: "BT.2020 constant luminance",
    Matrix.ICTCP: "ICtCp",
}
_LAST_SD_LINE = 576
_LAST_525_LINE = 486


def resolve_tags(
    tags: ColorTags, pixels: PixelFormat, *, height: int, codec: str, picture: bool = False
) -> tuple[ColorTags, tuple[str, ...]]:
    """Fill in missing tags; returns all tags, and what was assumed.

    The rule for missing tags: matrix BT.2020 for PQ and HLG, else BT.601 up to 576 lines (525-line form up to
    486), else BT.709; primaries that belong to the matrix; transfer BT.709 (images: sRGB); limited range,
    full for JPEG and R'G'B'; chroma siting left, top-left for BT.2020, centre for JPEG and MPEG-1. height:
    stored lines of the source. Raises MediaError for matrices that can't be converted.
    """
    if tags.matrix in _UNCONVERTIBLE:
        raise MediaError(
            f"its colour matrix is {_UNCONVERTIBLE[Matrix(tags.matrix)]}, which can't be converted; expected"
            " BT.601, BT.709 or BT.2020 NCL"
        )
    source = _Source(tags, pixels, height, codec, picture)
    assumed = []
    matrix = source.matrix
    if matrix != tags.matrix and pixels.family != "rgb":
        assumed.append(f"matrix {Matrix(matrix).name}")
    primaries = tags.primaries
    if primaries in {Primaries.UNSPECIFIED, 0}:
        primaries = source.primaries(matrix)
        assumed.append(f"primaries {Primaries(primaries).name}")
    transfer = tags.transfer
    if transfer in {Transfer.UNSPECIFIED, 0}:
        transfer = Transfer.SRGB if picture or source.is_jpeg else Transfer.BT709
        assumed.append(f"transfer {Transfer(transfer).name}")
    range_ = tags.range
    if range_ not in {Range.LIMITED, Range.FULL}:
        range_ = source.range
        assumed.append(f"{Range(range_).name.lower()} range")
    siting = tags.siting if tags.siting in SITING_OFFSETS else source.siting(matrix)
    resolved = replace(
        tags,
        matrix=int(matrix),
        range=int(range_),
        primaries=int(primaries),
        transfer=int(transfer),
        siting=int(siting),
    )
    return resolved, tuple(assumed)


@dataclass(frozen=True)
class _Source:
    """The rule for missing tags, one property per tag; see `resolve_tags`."""

    tags: ColorTags
    pixels: PixelFormat
    height: int
    codec: str
    picture: bool

    @property
    def is_jpeg(self) -> bool:
        return self.codec == "mjpeg"

    @property
    def matrix(self) -> int:
        tags = self.tags
        if self.pixels.family == "rgb":
            return Matrix.RGB
        if tags.matrix not in {Matrix.UNSPECIFIED, Matrix.RGB} and tags.matrix in list(Matrix):
            return tags.matrix
        untold = tags.primaries in {Primaries.UNSPECIFIED, 0}
        if tags.primaries == Primaries.BT2020 or (tags.transfer in HDR_TRANSFERS and untold):
            return Matrix.BT2020_NCL
        if self.is_jpeg:
            return Matrix.BT470BG
        if self.height <= _LAST_525_LINE:
            return Matrix.SMPTE170M
        return Matrix.BT470BG if self.height <= _LAST_SD_LINE else Matrix.BT709

    def primaries(self, matrix: int) -> int:
        if self.is_jpeg or self.picture:
            return Primaries.BT709
        return _PRIMARIES_OF.get(Matrix(matrix), Primaries.BT709)

    @property
    def range(self) -> int:
        family = self.pixels.family
        full = self.is_jpeg or family == "rgb" or (self.picture and family == "gray")
        return Range.FULL if full else Range.LIMITED

    def siting(self, matrix: int) -> int:
        if matrix == Matrix.BT2020_NCL:
            return Siting.TOP_LEFT
        return Siting.CENTER if self.is_jpeg or self.codec == "mpeg1video" else Siting.LEFT


def output_tags(
    color: ColorTags, source: PixelFormat, encoder: Encoder, *, of_pictures: bool = False
) -> ColorTags:
    """The tags of the output: those of the source, unless its pixel format requires others.

    ProRes is limited range; JPEG is BT.601 full range with centred chroma, WebP BT.601 limited range
    (required by their file formats); YUV made from R'G'B' is BT.709 limited, BT.2020 if the primaries are;
    R'G'B' made from YUV is full range. For a film made of images, the transfer is BT.709 if theirs is sRGB:
    players show both alike, but some know only the former.
    """
    target = encoder.pixels
    if encoder.name == "prores_ks":
        # SMPTE RDD 36 has no flag for full range, and players treat everything as limited.
        color = replace(color, range=int(Range.LIMITED))
    if encoder.name == "mjpeg":
        return replace(color, matrix=int(Matrix.BT470BG), range=int(Range.FULL), siting=int(Siting.CENTER))
    if encoder.name == "libsvtav1" and color.siting not in {Siting.LEFT, Siting.TOP_LEFT}:
        color = replace(color, siting=int(Siting.LEFT))  # AV1 can signal only these two (clause 6.4.2)
    if encoder.name == "libwebp" and target.family == "yuv":
        return replace(
            color, matrix=int(Matrix.SMPTE170M), range=int(Range.LIMITED), siting=int(Siting.CENTER)
        )
    if target.family == "gray" and encoder.is_picture:
        return replace(color, range=int(Range.FULL))  # image files can't signal another
    if target.family == "rgb":
        return (
            color if source.family == "rgb" else replace(color, matrix=int(Matrix.RGB), range=int(Range.FULL))
        )
    if of_pictures and not encoder.is_picture and color.transfer == Transfer.SRGB:
        color = replace(color, transfer=int(Transfer.BT709))
    if source.family == "rgb" or (of_pictures and not encoder.is_picture and target.family == "yuv"):
        wide = color.primaries == Primaries.BT2020
        matrix, siting = (Matrix.BT2020_NCL, Siting.TOP_LEFT) if wide else (Matrix.BT709, Siting.LEFT)
        return replace(color, matrix=int(matrix), range=int(Range.LIMITED), siting=int(siting))
    return color
