"""How a frame is stored: its planes (`PixelFormat`), rotation (`Orientation`) and crop (`PixelCrop`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from models.errors import MediaError

__all__ = ["Orientation", "PixelCrop", "PixelFormat", "planar_format"]


_FORMAT = re.compile(
    r"^(?:(?P<gray>gray)|(?P<yuv>yuva?)(?P<j>j?)(?P<sub>4\d\d)p|(?P<gbr>gbra?)p)(?P<bits>9|10|12|14|16|f32)?(?P<end>le|be)?$"
)
_GREY_WITH_ALPHA = {"ya8": 8, "ya16le": 16, "yaf32le": 32}
"""In FFmpeg's frames the two samples of a pixel are interleaved; here they are two planes."""
_SUBSAMPLING = {"444": (0, 0), "422": (1, 0), "420": (1, 1), "440": (0, 1), "411": (2, 0), "410": (2, 2)}

_PLANAR = {
    "nv12": "yuv420p", "nv21": "yuv420p", "nv16": "yuv422p", "nv24": "yuv444p", "p010le": "yuv420p10le",
    "p012le": "yuv420p12le", "p016le": "yuv420p16le", "p210le": "yuv422p10le", "nv20le": "yuv422p10le",
    "yuyv422": "yuv422p", "uyvy422": "yuv422p", "yvyu422": "yuv422p", "y210le": "yuv422p10le",
    "rgb24": "gbrp", "bgr24": "gbrp", "rgb0": "gbrp", "bgr0": "gbrp", "0rgb": "gbrp", "0bgr": "gbrp",
    "rgba": "gbrap", "bgra": "gbrap", "argb": "gbrap", "abgr": "gbrap", "pal8": "gbrap",
    "rgb48le": "gbrp16le", "rgba64le": "gbrap16le", "monow": "gray", "monob": "gray",
    "gbrpf16le": "gbrpf32le", "gbrapf16le": "gbrapf32le", "grayf16le": "grayf32le", "yaf16le": "yaf32le",
    "rgbf32le": "gbrpf32le", "rgbaf32le": "gbrapf32le", "rgbf16le": "gbrpf32le", "rgbaf16le": "gbrapf32le",
    "v30xle": "yuv444p10le", "xv30le": "yuv444p10le",
    "xv36le": "yuv444p12le", "xv48le": "yuv444p16le", "vyu444": "yuv444p", "vuyx": "yuv444p",
    "vuya": "yuva444p", "uyva": "yuva444p", "ayuv": "yuva444p", "ayuv64le": "yuva444p16le", "nv42": "yuv444p",
    "p410le": "yuv444p10le", "p212le": "yuv422p12le", "p216le": "yuv422p16le", "p412le": "yuv444p12le",
    "p416le": "yuv444p16le", "y212le": "yuv422p12le", "y216le": "yuv422p16le", "x2rgb10le": "gbrp10le",
    "x2bgr10le": "gbrp10le", "rgb8": "gbrp", "bgr8": "gbrp", "bgr48le": "gbrp16le", "bgra64le": "gbrap16le",
    "uyyvyy411": "yuv411p", "yuv444p10msble": "yuv444p10le", "yuv444p12msble": "yuv444p12le",
    "gbrp10msble": "gbrp10le", "gbrp12msble": "gbrp12le",
    **{f"{order}{bits}": "gbrp"
       for order in ("rgb", "bgr") for bits in ("4", "4_byte", "444le", "555le", "565le")},
}  # fmt: skip
"""Packed formats -> planar ones with the same samples. Big-endian ones are not listed."""
_ONLY_LITTLE = frozenset({"x2rgb10le", "x2bgr10le", "v30xle", "xv30le", "y210le", "y212le", "y216le"})
"""Formats of which FFmpeg converts the little-endian kind only."""


@dataclass(frozen=True)
class PixelFormat:
    """A planar pixel format: what the planes are, and how many bits and samples they have."""

    name: str
    """FFmpeg's name, such as "yuv420p10le"."""
    family: Literal["yuv", "gray", "rgb"]
    bits: int
    sub_x: int
    """log2 of luma samples per chroma sample, horizontally."""
    sub_y: int
    """log2 of luma samples per chroma sample, vertically."""
    alpha: bool = False

    @classmethod
    def parse(cls, name: str) -> PixelFormat:
        """Parse FFmpeg's name.

        Raises MediaError for all but planar YUV, GBR and grey formats of 8 to 16 bits or of floats, and grey
        with alpha.
        """
        if name in _GREY_WITH_ALPHA:
            return cls(name, "gray", _GREY_WITH_ALPHA[name], 0, 0, alpha=True)
        plain = name.replace("yuvj", "yuv")
        match = _FORMAT.match(plain)
        if match is None or match["end"] == "be":
            raise MediaError(f"pixel format {name} is {_foreign(name)}")
        bits = int((match["bits"] or "8").removeprefix("f"))
        if match["gray"]:
            return cls(plain, "gray", bits, 0, 0)
        if match["gbr"]:
            return cls(plain, "rgb", bits, 0, 0, alpha=match["gbr"] == "gbra")
        if match["sub"] not in _SUBSAMPLING:
            raise MediaError(f"pixel format {name} has a subsampling we don't know")
        sub_x, sub_y = _SUBSAMPLING[match["sub"]]
        return cls(plain, "yuv", bits, sub_x, sub_y, alpha=match["yuv"] == "yuva")

    @property
    def without_alpha(self) -> PixelFormat:
        """The same format without alpha."""
        opaque = re.sub(r"^(yuv|gbr)a|^ya(?=\d|f)", lambda found: found[1] or "gray", self.name)
        return self.parse(opaque.replace("gray8", "gray"))

    @property
    def is_interleaved(self) -> bool:
        """Whether FFmpeg interleaves the samples of all planes."""
        return self.name in _GREY_WITH_ALPHA

    @property
    def plane_count(self) -> int:
        """Number of planes, including alpha."""
        return (1 if self.family == "gray" else 3) + self.alpha

    def plane_size(self, plane: int, width: int, height: int) -> tuple[int, int]:
        """(height, width) of one plane of a frame of that size; chroma of odd frames rounds up."""
        if self.family == "yuv" and plane in {1, 2}:
            return -(-height >> self.sub_y), -(-width >> self.sub_x)
        return height, width

    @property
    def is_float(self) -> bool:
        """Whether samples are values instead of integers: 0 = black, 1 = white, and beyond."""
        return self.bits == 32

    @property
    def dtype(self) -> str:
        """NumPy's name of a sample: uint8, uint16 or float32."""
        return "float32" if self.is_float else "uint8" if self.bits <= 8 else "uint16"

    @property
    def bytes_per_sample(self) -> int:
        """Bytes per sample: 1, 2 or 4."""
        return 4 if self.is_float else 1 if self.bits <= 8 else 2


def planar_format(pix_fmt: str) -> PixelFormat:
    """The planar format in which frames of `pix_fmt` are passed on. Raises MediaError if there is none."""
    little = pix_fmt[:-2] + "le" if pix_fmt.endswith("be") else pix_fmt
    if little in _ONLY_LITTLE and little != pix_fmt:
        return PixelFormat.parse(pix_fmt)
    return PixelFormat.parse(_PLANAR.get(little, little))


def _foreign(name: str) -> str:
    """Describe an unsupported pixel format, and how to convert the film to a supported one."""
    by_ffmpeg = "; `ffmpeg -i FILE -pix_fmt gbrp16le -c:v ffv1 -c:a copy FILM.mkv` makes a film of it"
    if name.startswith("bayer"):
        return f"what a sensor saw (a Bayer pattern), to be developed first{by_ffmpeg}"
    if name.startswith("xyz"):
        return f"X'Y'Z' of digital cinema, to be converted to R'G'B' first{by_ffmpeg}"
    return (
        "not one of planar YUV, GBR or grey, nor packed in a way known here; write FFV1 of gbrp16le, gray16le"
        " or yuv444p16le with the program that made it"
    )


@dataclass(frozen=True)
class Orientation:
    """How stored pixels are rotated to be upright: transpose first, then flip."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    def __bool__(self) -> bool:
        return self.transpose or self.flip_x or self.flip_y

    def turn(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the upright frame, for the stored size `width` × `height`."""
        return (height, width) if self.transpose else (width, height)


@dataclass(frozen=True)
class PixelCrop:
    """Rows and columns of the stored frame that are removed."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def __bool__(self) -> bool:
        return any((self.top, self.bottom, self.left, self.right))

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of a frame of that size after cropping."""
        return width - self.left - self.right, height - self.top - self.bottom

    def turned(self, turn: Orientation) -> PixelCrop:
        """This crop, for the upright frame."""
        top, bottom, left, right = (
            (self.left, self.right, self.top, self.bottom)
            if turn.transpose
            else (self.top, self.bottom, self.left, self.right)
        )
        if turn.flip_y:
            top, bottom = bottom, top
        return PixelCrop(top, bottom, right, left) if turn.flip_x else PixelCrop(top, bottom, left, right)

    def on_grid(self, pixels: PixelFormat) -> PixelCrop:
        """This crop, with one more row or column where it would fall between two chroma samples."""
        rows, columns = 1 << pixels.sub_y, 1 << pixels.sub_x
        return PixelCrop(
            -(-self.top // rows) * rows,
            -(-self.bottom // rows) * rows,
            -(-self.left // columns) * columns,
            -(-self.right // columns) * columns,
        )

    def rounded(self, pixels: PixelFormat, width: int, height: int) -> PixelCrop:
        """This crop for a frame of that size, as FFmpeg's filter `crop` applies it.

        Position and size are rounded down to whole chroma samples. No crop stays no crop: a frame with odd
        sides is shown completely.
        """
        if not self:
            return self
        columns, rows = self.size(width, height)
        left, top = self.left >> pixels.sub_x << pixels.sub_x, self.top >> pixels.sub_y << pixels.sub_y
        columns, rows = columns >> pixels.sub_x << pixels.sub_x, rows >> pixels.sub_y << pixels.sub_y
        return PixelCrop(top, height - top - rows, left, width - left - columns)

    def within(self, outer: PixelCrop) -> PixelCrop:
        """Combine with an outer crop: this crop is relative to what `outer` leaves."""
        return PixelCrop(
            self.top + outer.top, self.bottom + outer.bottom, self.left + outer.left, self.right + outer.right
        )

    def of_plane(self, number: int, pixels: PixelFormat, width: int, height: int) -> tuple[slice, slice]:
        """Rows and columns of a plane that are kept, for a frame of that size."""
        is_chroma = pixels.family == "yuv" and number in {1, 2}
        sub_y, sub_x = (pixels.sub_y, pixels.sub_x) if is_chroma else (0, 0)
        columns, rows = self.size(width, height)
        top, left = self.top >> sub_y, self.left >> sub_x
        return slice(top, top + -(-rows >> sub_y)), slice(left, left + -(-columns >> sub_x))
