"""The nouns everybody shares: `PixelFormat`, `ColorTags`, `HdrMetadata`, `Orientation`, `Stream`, `PacketIndex`, `VideoInfo`, `Chunk`, `Frame`...

Plain values; nothing here opens a file or touches a tensor, so the parent process of a run stays light.
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, field
from enum import IntEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from models.errors import MediaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

__all__ = [
    "Chunk",
    "ColorTags",
    "Crop",
    "DecoderSetup",
    "Frame",
    "HdrMetadata",
    "Matrix",
    "Orientation",
    "PacketIndex",
    "PixelFormat",
    "Primaries",
    "Range",
    "Scan",
    "Siting",
    "Span",
    "Stream",
    "Transfer",
    "VideoInfo",
]


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


_FORMAT = re.compile(r"^(?:(?P<gray>gray)|(?P<yuv>yuva?)(?P<j>j?)(?P<sub>4\d\d)p|(?P<gbr>gbra?)p)(?P<bits>9|10|12|14|16|f32)?(?P<end>le|be)?$")
_SUBSAMPLING = {"444": (0, 0), "422": (1, 0), "420": (1, 1), "440": (0, 1), "411": (2, 0), "410": (2, 2)}


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
        """Raise MediaError where `name` is not a planar YUV, GBR or grey format of 8 to 16 bits, or of floats."""
        plain = name.replace("yuvj", "yuv")
        match = _FORMAT.match(plain)
        if match is None or match["end"] == "be":
            raise MediaError(f"pixel format {name} is not one of planar YUV, GBR or grey")
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
    def plane_count(self) -> int:
        """Planes, alpha included."""
        return (1 if self.family == "gray" else 3) + self.alpha

    def plane_size(self, plane: int, width: int, height: int) -> tuple[int, int]:
        """(height, width) of one plane of a frame of that size; chroma of odd frames rounds up."""
        if self.family == "yuv" and plane in {1, 2}:
            return -(-height >> self.sub_y), -(-width >> self.sub_x)
        return height, width

    @property
    def is_float(self) -> bool:
        """Samples are values, not codes: 0 = black, 1 = white, and what lies beyond."""
        return self.bits == 32

    @property
    def dtype(self) -> str:
        """NumPy's name of a sample: uint8, uint16 or float32."""
        return "float32" if self.is_float else "uint8" if self.bits <= 8 else "uint16"

    @property
    def bytes_per_sample(self) -> int:
        """1, 2 or 4."""
        return 4 if self.is_float else 1 if self.bits <= 8 else 2


@dataclass(frozen=True)
class Orientation:
    """How stored pixels are turned to be seen upright: transpose first, then flip."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    def __bool__(self) -> bool:
        return self.transpose or self.flip_x or self.flip_y

    def turn(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) as seen, of stored size `width` × `height`."""
        return (height, width) if self.transpose else (width, height)


@dataclass(frozen=True)
class Crop:
    """Rows and columns of the stored picture that are left out."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def __bool__(self) -> bool:
        return any((self.top, self.bottom, self.left, self.right))

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of what is left of a picture of that size."""
        return width - self.left - self.right, height - self.top - self.bottom

    def turned(self, turn: Orientation) -> Crop:
        """The same of the picture as it is seen."""
        top, bottom, left, right = (
            (self.left, self.right, self.top, self.bottom) if turn.transpose else (self.top, self.bottom, self.left, self.right)
        )
        if turn.flip_y:
            top, bottom = bottom, top
        return Crop(top, bottom, right, left) if turn.flip_x else Crop(top, bottom, left, right)

    def on_grid(self, pixels: PixelFormat) -> Crop:
        """The same, one more row or column cut off where it would else fall between two chroma samples."""
        rows, columns = 1 << pixels.sub_y, 1 << pixels.sub_x
        return Crop(
            -(-self.top // rows) * rows, -(-self.bottom // rows) * rows, -(-self.left // columns) * columns, -(-self.right // columns) * columns
        )

    def of_plane(self, number: int, pixels: PixelFormat, width: int, height: int) -> tuple[slice, slice]:
        """Rows and columns that are left of a plane of a picture of that (whole) size."""
        is_chroma = pixels.family == "yuv" and number in {1, 2}
        sub_y, sub_x = (pixels.sub_y, pixels.sub_x) if is_chroma else (0, 0)
        columns, rows = self.size(width, height)
        top, left = self.top >> sub_y, self.left >> sub_x
        return slice(top, top + -(-rows >> sub_y)), slice(left, left + -(-columns >> sub_x))


@dataclass(frozen=True)
class Scan:
    """How lines make up the frames, and how we know."""

    order: Literal["progressive", "top", "bottom"] = "progressive"
    """progressive: all lines of a frame are of one moment; else the field that comes first."""
    found: Literal["flags", "pictures"] = "flags"
    pulldown: Literal["", "soft", "hard"] = ""
    """Telecine: soft, film frames with flags that repeat fields; hard, film spread over fields that are really there."""


@dataclass(frozen=True)
class Stream:
    """One stream of the source other than the video that is upscaled."""

    index: int
    type: str
    """video (cover art or a second film), audio, subtitle, data, attachment."""
    codec: str
    language: str = ""
    title: str = ""
    disposition: int = 0
    packet_count: int = 0
    is_cover: bool = False


@dataclass(frozen=True)
class DecoderSetup:
    """What a decoder must be told when packets reach it without their container."""

    codec: str
    """Of the decoder, such as "h264" or "libdav1d"."""
    extradata: bytes | None
    codec_tag: str
    width: int
    height: int
    pix_fmt: str | None
    bits_per_coded_sample: int
    reorder_depth: int
    """Frames the decoder may hold back; a fresh H.264 decoder that guesses too low drops frames."""


@dataclass(eq=False)
class PacketIndex:
    """One row per video packet, in decode order; flat arrays, some 34 bytes a packet."""

    pts: array[int] = field(default_factory=lambda: array("q"))
    dts: array[int] = field(default_factory=lambda: array("q"))
    duration: array[int] = field(default_factory=lambda: array("q"))
    size: array[int] = field(default_factory=lambda: array("q"))
    clean: bytearray = field(default_factory=bytearray)
    """1 where decoding may start: everything shown from that packet's pts on can then be decoded."""
    discard: bytearray = field(default_factory=bytearray)
    """1 where the container says: decode, but do not show (edit lists)."""

    def __len__(self) -> int:
        return len(self.pts)


NO_PTS = -(1 << 63)
"""In a PacketIndex: the container gave no timestamp."""


@dataclass(frozen=True, eq=False)
class VideoInfo:
    """All that is known of an input before any frame is upscaled."""

    path: str
    fingerprint: str
    """Hash over size, times and sampled content of the file."""
    format: str
    """FFmpeg's demuxer name, such as "mov,mp4,m4a,3gp,3g2,mj2"."""
    stream_index: int
    codec: str
    width: int
    """Stored, before orientation is applied."""
    height: int
    pix_fmt: str
    sar: Fraction
    """Sample aspect ratio; 1 where the file gives none."""
    color: ColorTags
    """As tagged; resolved by `color.resolve`."""
    time_base: Fraction
    rate: Fraction
    """Average frame rate, for encoders and the screen; never for timestamps."""
    orientation: Orientation
    scan: Scan
    decoder: DecoderSetup
    index: PacketIndex
    pts: array[int]
    """Timestamps of the frames to be shown, ascending, in ticks of `time_base`."""
    durations: array[int]
    """How long each of `pts` is shown, in ticks."""
    linear: bool
    """The container's timestamps do not identify frames: they were counted by decoding, and are known by their order."""
    damage: int = 0
    """Frames and packets found damaged while counting; 0 where nothing was counted."""
    epochs: tuple[tuple[int, int], ...] = ()
    """(first packet row, ticks added) wherever the clock of the source jumps back."""
    streams: tuple[Stream, ...] = ()
    chapters: int = 0
    first_number: int | None = None
    """Of the first picture, where the input is numbered pictures."""
    duration_seconds: float = 0.0
    captions: bool = False
    """Closed captions travel inside the video (CEA-608/708 as A/53 side data)."""
    hdr: HdrMetadata = field(default_factory=HdrMetadata)
    flaw: str = ""
    """What is damaged or missing, as its container says: "ends early: …"; empty where it is whole."""
    notes: tuple[str, ...] = ()
    """What a person should know before work starts."""

    @property
    def frame_count(self) -> int:
        """Frames to be shown."""
        return len(self.pts)

    @property
    def interlaced(self) -> bool:
        """The two fields of a frame are of different moments."""
        return self.scan.order != "progressive"

    @property
    def is_picture(self) -> bool:
        """A single picture, not a video."""
        return self.first_number is None and (self.format in PICTURE_FORMATS or self.format.endswith("_pipe"))

    @property
    def made_of_pictures(self) -> bool:
        """One picture or numbered ones: what is not tagged means what it means in picture files."""
        return self.is_picture or self.first_number is not None

    @property
    def vfr(self) -> bool:
        """Frames differ in duration by more than the rounding of one tick."""
        steps = {b - a for a, b in zip(self.pts, self.pts[1:], strict=False)}
        return bool(steps) and max(steps) - min(steps) > 1

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) as seen."""
        return self.orientation.turn(self.width, self.height)


PICTURE_FORMATS = frozenset({"image2", "png_pipe", "jpeg_pipe", "webp_pipe", "tiff_pipe", "bmp_pipe", "exr_pipe", "dpx_pipe"})


@dataclass(frozen=True)
class Chunk:
    """A display interval of the video: the frames with `start_pts` <= pts < `stop_pts`, encoded on their own."""

    index: int
    start_frame: int
    """Position of its first frame in `VideoInfo.pts`."""
    stop_frame: int
    """One past the position of its last frame."""

    @property
    def frame_count(self) -> int:
        """Frames it owns."""
        return self.stop_frame - self.start_frame


@dataclass(frozen=True)
class Span:
    """One run of the decoder: the packets it needs and the chunks it feeds."""

    first_row: int
    """First packet to decode, a clean point."""
    stop_row: int
    """One past the last packet needed, post-roll included."""
    chunks: tuple[Chunk, ...]


@dataclass(eq=False)
class Frame:
    """A picture with its time."""

    pts: int
    """Ticks of the video's time base."""
    planes: Sequence[np.ndarray]
    """One (height, width) array a plane, uint8, uint16 or float32, in the order of its PixelFormat (GBR: G, B, R)."""
    corrupt: bool = False
    captions: bytes = b""
    """cc_data triplets of A/53, empty if there are none."""
    origin: Sequence[np.ndarray] | None = None
    """What the decoder gave for it, where a filter changed it since; of interlaced video a picture of the one field it shows."""
