"""`FirstFrames`: properties of the first decoded frames: size, format, colour, rotation, side data."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Literal

import av
from av.sidedata.sidedata import Type as SideData

from models.errors import MediaError
from pipelines.codec.mid_stream_changes import orientation_of
from pipelines.file_parsing.jpeg_segments import further_jpegs
from pipelines.media.bitstream import captions_of, nal_length_size, nal_units, sei_messages
from pipelines.media.cicp import ColorTags, HdrMetadata, Range
from pipelines.media.hdr_metadata import is_dolby_vision_only, side_data_of, static_metadata
from pipelines.media.pixel_format import Orientation

if TYPE_CHECKING:
    import os
    from typing import Any, TypeAlias

    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

    from pipelines.media.video_info import DynamicHdrFacts

    Packet: TypeAlias = av.Packet[Any]

__all__ = [
    "LAYOUT_3D",
    "ExifFacts",
    "FirstFrames",
    "dynamic_names",
    "read_exif",
    "unread_layers",
    "unread_parts",
]


_SAMPLE_FRAMES = 8


@dataclass
class FirstFrames:
    """Properties of the first decoded frames."""

    pts: list[int | None] = field(default_factory=list)
    pix_fmt: str = ""
    size: tuple[int, int] = (0, 0)
    color: ColorTags = field(default_factory=ColorTags)
    orientation: Orientation = field(default_factory=Orientation)
    interlaced: bool = False
    captions: bool = False
    hdr: HdrMetadata = field(default_factory=HdrMetadata)
    dolby_vision_only: bool = False
    lost: set[str] = field(default_factory=set)
    turned_oddly: bool = False
    timecodes: dict[int | None, str] = field(default_factory=dict)
    """SMPTE timecodes in the bitstream, by pts."""
    first: bytes = b""  # packet
    error: str = ""

    def take(self, packet: Packet | None, decoder: VideoCodecContext) -> None:
        """Examine the frames of a packet; for None, those that the decoder still holds.

        Errors are recorded.
        """
        try:
            frames = decoder.decode(packet)
        except av.error.EOFError:
            return
        except av.error.FFmpegError as error:
            self.error = str(error.strerror)
            return
        for frame in frames:
            if len(self.pts) < _SAMPLE_FRAMES:
                self.add(frame)

    @property
    def is_enough(self) -> bool:
        """Whether no further frame is needed."""
        return len(self.pts) >= _SAMPLE_FRAMES

    def add(self, frame: VideoFrame) -> None:
        """Examine a decoded frame; the first one gives size, format and colour."""
        if not self.pts:
            self.pix_fmt, self.size = frame.format.name, (frame.width, frame.height)
            full = self.pix_fmt.startswith("yuvj")
            self.color = ColorTags(
                int(frame.colorspace),
                Range.FULL if full else int(frame.color_range),
                int(frame.color_primaries),
                int(frame.color_trc),
            )
            self.orientation, self.turned_oddly = orientation_of(frame)
        self.pts.append(frame.pts)
        if timecode := _timecode_of(frame):
            self.timecodes[frame.pts] = timecode
        self.interlaced |= frame.interlaced_frame
        self.captions |= bool(captions_of(frame))
        self.hdr = self.hdr or static_metadata(frame)
        self.dolby_vision_only |= is_dolby_vision_only(frame)
        self.lost |= _lost_side_data(frame)


def _timecode_of(frame: VideoFrame) -> str:
    """HH:MM:SS:FF of a GOP header (MPEG-2) or picture timing (H.264, HEVC); empty if there is none.

    Encoders without a timecode count from zero, so zero carries no information.
    """
    try:
        found = str(frame.metadata.get("timecode", ""))
    except UnicodeDecodeError:
        return ""
    return found if found.translate(_NO_TIME) else ""


_NO_TIME = str.maketrans("", "", "0:;.")

LAYOUT_3D = "3D layout tag"
_HDR10_PLUS, _DOLBY_VISION = "HDR10+ metadata", "Dolby Vision metadata"
_LOST = {
    SideData.DYNAMIC_HDR_PLUS: _HDR10_PLUS,
    SideData.DOVI_METADATA: _DOLBY_VISION,
    SideData.DYNAMIC_HDR_VIVID: "HDR Vivid metadata",
    SideData.AMBIENT_VIEWING_ENVIRONMENT: "ambient viewing environment",
    SideData.SPHERICAL: "360° projection tag",
    SideData.STEREO3D: LAYOUT_3D,
    SideData.AFD: "active format description",
    SideData.PANSCAN: "pan-and-scan window",
    SideData.ICC_PROFILE: "ICC profile",
}
"""Side data of frames that the output will not have; dynamic metadata describes pixels that have changed."""
_FURTHER_KINDS = {
    28: "enhancement layer (LCEVC)",
    29: "second view (MV-HEVC)",
    30: "reference displays of its 3D",
}
"""Kinds of FFmpeg that PyAV 18 can't name, by AVFrameSideDataType."""


def _lost_side_data(frame: VideoFrame) -> set[str]:
    """Side data of a frame that the output will not have."""
    names: dict[SideData, str] = {}
    found: Any = side_data_of(frame)
    for data in found:  # as PyAV iterates them: by number, not by kind
        kind = data.type
        names[kind] = _LOST.get(kind) or _FURTHER_KINDS.get(kind.value, "")
        if kind is SideData.PANSCAN and not _is_window(bytes(data), frame.width, frame.height):
            del names[kind]
    return {name for name in names.values() if name}


def _is_window(pan_scan: bytes, width: int, height: int) -> bool:
    """Whether an AVPanScan is less than the frame: FFmpeg gives every MPEG-2 frame one, mostly whole."""
    shown: tuple[int, int] = struct.unpack_from("<2i", pan_scan, 4)
    return 0 < shown[0] < 16 * width or 0 < shown[1] < 16 * height


def dynamic_names(found: DynamicHdrFacts) -> set[str]:
    """Names of the metadata in packets, on which the planner decides."""
    has_rpus = found.dolby_vision or found.dolby_vision_flaw
    return ({_HDR10_PLUS} if found.hdr10_plus else set()) | ({_DOLBY_VISION} if has_rpus else set())


_EXIF_TURNS = {
    2: Orientation(flip_x=True),
    3: Orientation(flip_x=True, flip_y=True),
    4: Orientation(flip_y=True),
    5: Orientation(transpose=True),
    6: Orientation(transpose=True, flip_x=True),
    7: Orientation(transpose=True, flip_x=True, flip_y=True),
    8: Orientation(transpose=True, flip_y=True),
}
"""By the Orientation tag (0x0112) of Exif 2.3, section 4.6.4."""


_PHOTO_TAGS = frozenset({0x010F, 0x0110, 0x0132, 0x013B, 0x8298, 0x8769, 0x8825})
"""Camera maker and model, date, artist, copyright, and the tables of exposure and of the place (Exif 2.3)."""


@dataclass(frozen=True)
class ExifFacts:
    """Facts from the Exif data of an image file."""

    orientation: Orientation | None = None
    """Decoders return the rotation but not the mirroring."""
    describes: bool = False
    """Camera, date, author or place are given."""


def read_exif(path: str | os.PathLike[str]) -> ExifFacts:
    """The Exif data of a JPEG, PNG, WebP or TIFF file."""
    with open(path, "rb") as file:
        tiff = _exif(file)
    order: Literal["little", "big"] = "little" if tiff[:2] == b"II" else "big"
    first = int.from_bytes(tiff[4:8], order)
    orientation, describes = None, False
    for entry in range(int.from_bytes(tiff[first : first + 2], order)):
        at = first + 2 + 12 * entry
        tag = int.from_bytes(tiff[at : at + 2], order)
        describes = describes or tag in _PHOTO_TAGS
        if tag == 0x0112:
            orientation = _EXIF_TURNS.get(int.from_bytes(tiff[at + 8 : at + 10], order))
    return ExifFacts(orientation, describes)


_SEI, _ALPHA_CHANNEL_INFO = 39, 165
"""HEVC's prefix SEI unit, and its message about alpha in a separate layer (H.265, clause F.14.2.8)."""
_HVCC_ARRAYS = 22
"""Offset of the number of arrays of units in an hvcC box (ISO/IEC 14496-15 clause 8.3.3.1)."""


def unread_layers(codec: str, extradata: bytes | None, first: bytes) -> set[str]:
    """Describe the layers of HEVC with alpha that FFmpeg does not decode. first: the first packet."""
    if codec != "hevc":
        return set()
    length_size = nal_length_size(codec, extradata)
    units = [*nal_units(first, length_size)]
    units += _hvcc_units(extradata or b"") if length_size else nal_units(extradata or b"", 0)
    messages = (m for unit in units if unit[0] >> 1 == _SEI for m in sei_messages(unit[2:]))
    # the first bit of the message cancels it
    is_there = any(kind == _ALPHA_CHANNEL_INFO and payload[:1] < b"\x80" for kind, payload in messages)
    return {"alpha (a second layer of HEVC)"} if is_there else set()


def _hvcc_units(box: bytes) -> list[bytes]:
    """The units in an hvcC box, as far as it is valid."""
    found, at = [], _HVCC_ARRAYS + 1
    for _ in range(box[_HVCC_ARRAYS] if len(box) > _HVCC_ARRAYS else 0):
        count, at = int.from_bytes(box[at + 1 : at + 3], "big"), at + 3
        for _ in range(count):
            length = int.from_bytes(box[at : at + 2], "big")
            found.append(box[at + 2 : at + 2 + length])
            at += 2 + length
    return [unit for unit in found if len(unit) > 2]


def unread_parts(path: str | os.PathLike[str], codec: str) -> set[str]:
    """Describe the parts of an image file that FFmpeg does not read.

    Raises MediaError if FFmpeg misreads the rest.
    """
    if codec == "exr":
        channels = _unread_exr_channels(path)
        return {f"channels {', '.join(channels)}"} if channels else set()
    if codec == "mjpeg" and (more := further_jpegs(path)):
        return {f"further pictures ({more}: a gain map, depth, a second view)"}
    if codec != "tiff":
        return set()
    samples = _misread_samples(path)
    if samples:
        raise MediaError(
            f"{path}: its samples are {samples}, which FFmpeg takes for others; save it as a TIFF or PNG of"
            " 16 bits, or a TIFF of 32-bit floats"
        )
    pages = _further_pages(path)
    return {f"further pages ({pages})"} if pages else set()


_MOST_PAGES = 10_000


def _further_pages(path: str | os.PathLike[str]) -> int:
    """Pages of a TIFF file after the first, which is the only one that FFmpeg reads (TIFF 6.0, section 2)."""
    with open(path, "rb") as file:
        head = file.read(8)
        order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
        if head[:4] not in {b"II*\0", b"MM\0*"}:
            return 0
        seen: set[int] = set()
        place = int.from_bytes(head[4:], order)
        while place and place not in seen and len(seen) < _MOST_PAGES:
            seen.add(place)
            entries = int.from_bytes(_at(file, place, 2), order)
            place = int.from_bytes(_at(file, place + 2 + 12 * entries, 4), order)
    return len(seen) - 1 if seen else 0


_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
"""TIFF's tag SampleFormat (TIFF 6.0, section 19)."""
_BITS_PER_SAMPLE, _SAMPLE_FORMAT = 258, 339


def _misread_samples(path: str | os.PathLike[str]) -> str:
    """Describe the samples of a TIFF file if FFmpeg misreads them; empty if it doesn't.

    FFmpeg considers only their size: it reads 32 bits as floats, fewer as unsigned integers.
    """
    with open(path, "rb") as file:
        head = file.read(8)
        order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
        if head[:4] not in {b"II*\0", b"MM\0*"}:
            return ""
        place = int.from_bytes(head[4:], order)
        entries = int.from_bytes(_at(file, place, 2), order)
        bits, kind = 1, _UNSIGNED
        for entry in range(entries):
            field = _at(file, place + 2 + 12 * entry, 12)
            if int.from_bytes(field[:2], order) in {_BITS_PER_SAMPLE, _SAMPLE_FORMAT}:
                inside = int.from_bytes(field[4:8], order) <= 2
                at = field[8:10] if inside else _at(file, int.from_bytes(field[8:], order), 2)
                number = int.from_bytes(at, order)
                if int.from_bytes(field[:2], order) == _BITS_PER_SAMPLE:
                    bits = number
                else:
                    kind = number
    names = {_UNSIGNED: "integers", _SIGNED: "signed integers", _FLOAT: "floats"}
    is_right = kind not in names or kind == (_FLOAT if bits == 32 else _UNSIGNED)
    return "" if is_right else f"{names[kind]} of {bits} bits"


_MOST_EXIF = 1 << 26
"""Bytes of a TIFF file that are read; its tags may follow its pixels."""


def _exif(file: BinaryIO) -> bytes:
    """Exif data of a JPEG, PNG, WebP or TIFF file, from the byte order on; empty if there are none."""
    head = file.read(1 << 16)
    if head.startswith(b"\xff\xd8"):
        return head.partition(b"Exif\0\0")[2]
    if head.startswith((b"II*\0", b"MM\0*")):
        return head + file.read(_MOST_EXIF)
    if head.startswith(b"\x89PNG"):
        at, order, wanted, beside = 8, ">I4s", b"eXIf", 4  # a checksum after each chunk
    elif head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        at, order, wanted, beside = 12, "<4sI", b"EXIF", 0
    else:
        return b""
    while len(start := _at(file, at, 8)) == 8:
        fields = struct.unpack(order, start)
        kind, length = fields if beside == 0 else fields[::-1]
        if kind == wanted:
            return _at(file, at + 8, min(length, 1 << 16)).removeprefix(b"Exif\0\0")
        at += 8 + length + (beside or length % 2)
    return b""


def _at(file: BinaryIO, place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)


_EXR_MAGIC = bytes.fromhex("762f3101")
_MOST_HEADER = 1 << 20


def _unread_exr_channels(path: str | os.PathLike[str]) -> list[str]:
    """Names of the channels of an OpenEXR picture that FFmpeg's decoder drops without a word.

    It knows R, G, B, A and Y, and takes X, Y, Z and U, V, W for R'G'B'. Raises MediaError if colour is among
    what is dropped or misread (OpenEXR file layout, "Channel List").
    """
    with open(path, "rb") as file:
        head = file.read(_MOST_HEADER)
    names = _exr_channels(head) if head.startswith(_EXR_MAGIC) else []
    plain = {name.upper() for name in names if "." not in name}
    known = {"R", "G", "B", "A"} if {"R", "G", "B"} <= plain else {"Y", "A"}
    if names and (not known - {"A"} <= plain or plain & _OTHER_COLORS):
        layer = next((n.removesuffix("R") for n in names if n.endswith(".R") and f"{n[:-1]}B" in names), "")
        ways = (
            f"`oiiotool IN.exr --ch {layer}R,{layer}G,{layer}B --chnames R,G,B -o OUT.exr` takes one layer"
            if layer
            else "save it with R, G and B"
        )
        raise MediaError(
            f"{path}: its channels are {', '.join(names)}, of which FFmpeg makes no picture or a wrong one;"
            f" expected R, G, B, or Y, with A or without: {ways}"
        )
    return [name for name in names if name.upper() not in known]


_OTHER_COLORS = frozenset({"RY", "BY", "X", "U", "V", "W"})
"""Luminance and chroma, CIE XYZ, and vectors."""


def _exr_channels(head: bytes) -> list[str]:
    """Names of the channels in a header, in its order; of several parts, those of the first."""
    at = 8
    while at < len(head) and head[at]:
        name, _, rest = head[at : at + 1024].partition(b"\0")
        kind, _, rest = rest.partition(b"\0")
        size = int.from_bytes(rest[:4], "little")
        begin = at + len(name) + len(kind) + 6
        if kind == b"chlist":
            return _names(head[begin : begin + size])
        at = begin + size
    return []


def _names(channels: bytes) -> list[str]:
    """Names in a channel list: each ends with a zero, and sixteen bytes follow."""
    found, at = [], 0
    while at < len(channels) and channels[at]:
        end = channels.index(0, at)
        found.append(channels[at:end].decode("utf-8", "replace"))
        at = end + 17
    return found
