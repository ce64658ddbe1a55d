"""Values about a video: `Stream`, `PacketIndex`, `VideoInfo`; `Chunk`, `Span`, `Frame`.

Nothing here opens a file or uses a tensor, so the main process of a run stays light.
"""

from __future__ import annotations

import functools
import operator
from array import array
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, Literal

from pipelines.media.cicp import ColorTags, HdrMetadata
from pipelines.media.pixel_format import Orientation, PixelCrop, PixelFormat, planar_format

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from pipelines.media.dynamic_hdr import DynamicHdr
    from pipelines.media.packet_reader import PacketData

__all__ = [
    "NO_PTS",
    "ROUNDING_SECONDS",
    "Chunk",
    "DecoderSetup",
    "DynamicHdrFacts",
    "Frame",
    "FrameFacts",
    "PacketIndex",
    "ScanType",
    "Span",
    "Stream",
    "VideoInfo",
]


@dataclass(frozen=True)
class ScanType:
    """How fields form the frames, and how this was determined."""

    order: Literal["progressive", "top", "bottom"] = "progressive"
    """progressive: all lines of a frame were taken at one time; else the field that comes first."""
    found: Literal["flags", "pictures", "settings"] = "flags"
    pulldown: Literal["", "soft", "hard"] = ""
    """Telecine: soft, film frames with flags that repeat fields; hard, film spread over stored fields."""
    doubt: Literal["", "top", "bottom"] = ""
    """For progressive video: the first field according to its flags or to a few frames; not acted upon by
    default."""


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
    drift: float = 0.0
    """For PCM: the largest difference in seconds between the time of a packet and that of its samples,
    counted from the first packet."""
    longest: float = 0.0
    """Seconds of the longest of its first packets."""
    begins: Fraction = Fraction(0)
    """Seconds at which its first packet begins."""
    priming: Literal["", "hidden", "known"] = ""
    """What comes first is decoded and not heard: an edit list hides it, or the container gives the codec's
    delay."""
    is_encrypted: bool = False


@dataclass(frozen=True)
class FrameFacts:
    """Properties of a frame besides its samples, from the decoder alone.

    Those of the first frame apply to the whole film.
    """

    width: int
    height: int
    pix_fmt: str
    color: ColorTags
    sar: Fraction
    """1 if unspecified."""
    hdr: HdrMetadata
    orientation: Orientation | None
    """None if unspecified."""


@dataclass(frozen=True)
class DecoderSetup:
    """Parameters of a decoder for packets without their container."""

    codec: str
    """Name of the decoder, such as "h264" or "libdav1d"."""
    extradata: bytes | None
    codec_tag: str
    width: int
    height: int
    pix_fmt: str | None
    bits_per_coded_sample: int
    reorder_depth: int
    """Frames that the decoder may hold back. If a fresh H.264 decoder assumes too few, it drops frames."""
    facts: FrameFacts | None = None
    """Expected properties of every frame; None: those of the first decoded one."""
    clock: tuple[int, Fraction] = (0, Fraction(1))
    """(pts of the first frame, seconds per tick), for messages."""
    sar_of_container: bool = False
    """The container's SAR applies, whatever frames say."""

    def time_text(self, pts: int | None) -> str:
        """A time of the film for messages, from its first frame on."""
        first, tick = self.clock
        return "an unknown time" if pts is None else f"{float((pts - first) * tick):.3f} s"


@dataclass(eq=False)
class PacketIndex:
    """One row per video packet, in decode order; flat arrays, about 34 bytes per packet."""

    pts: array[int] = field(default_factory=lambda: array("q"))
    dts: array[int] = field(default_factory=lambda: array("q"))
    duration: array[int] = field(default_factory=lambda: array("q"))
    size: array[int] = field(default_factory=lambda: array("q"))
    clean: bytearray = field(default_factory=bytearray)
    """1 if decoding may start here: then everything shown from this packet's pts on can be decoded."""
    discard: bytearray = field(default_factory=bytearray)
    """1 if the container says: decode, but do not show (edit lists)."""

    def __len__(self) -> int:
        return len(self.pts)

    def __repr__(self) -> str:
        return f"PacketIndex({len(self)} packets)"


NO_PTS = -(1 << 63)
"""Value in a PacketIndex of a timestamp that the container does not give."""


@dataclass(frozen=True)
class DynamicHdrFacts:
    """Facts about dynamic HDR metadata in the first packets and key packets."""

    hdr10_plus: bool = False
    hdr10_plus_flaw: str = ""
    """Why it can't be carried over; empty if no reason is known."""
    dolby_vision: int = 0
    """Profile of its RPUs; 0: none."""
    dolby_vision_flaw: str = ""


@dataclass(frozen=True, eq=False)
class VideoInfo:
    """All facts about an input that are known before any frame is upscaled."""

    path: str
    fingerprint: str
    """Hash of the whole file."""
    format: str
    """FFmpeg's demuxer name, such as "mov,mp4,m4a,3gp,3g2,mj2"."""
    stream_index: int
    codec: str
    width: int
    """Stored width, before orientation is applied."""
    height: int
    pix_fmt: str
    """Format of the decoded frames, by FFmpeg."""
    sar: Fraction
    """Sample aspect ratio; 1 if the file has none."""
    color: ColorTags
    """Colour as tagged; `color_tags.resolve_tags` fills in what is missing."""
    time_base: Fraction
    rate: Fraction
    """Average frame rate, for encoders and display; never for timestamps."""
    orientation: Orientation
    scan: ScanType
    decoder: DecoderSetup
    index: PacketIndex
    pts: array[int]
    """Timestamps of the frames to be shown, ascending, in ticks of `time_base`."""
    durations: array[int]
    """Duration of each frame, in ticks."""
    linear: bool
    """The container's timestamps do not identify frames: they were counted by decoding, and are known by
    order."""
    checks: tuple[tuple[int, int], ...] = ()
    """(position in `pts`, `decoder.checksum`) of some frames, if they were counted."""
    damage: int = 0
    """Frames and packets found damaged while counting; 0 if nothing was counted."""
    damaged: tuple[int, ...] = ()
    """Positions in `pts` of the first damaged frames, if they were counted."""
    epochs: tuple[tuple[int, int], ...] = ()
    """(first packet row, ticks added) wherever the clock of the source jumps back."""
    start: Fraction = Fraction(0)
    """Seconds at which the first of all video and audio streams begins."""
    streams: tuple[Stream, ...] = ()
    samples: dict[int, tuple[PacketData, ...]] = field(default_factory=dict, repr=False)
    """The first and last packets of every other stream."""
    chapters: int = 0
    first_number: int | None = None
    """Number of the first image, if the input is an image sequence."""
    captions: bool = False
    """Closed captions are embedded in the video (CEA-608/708 as A/53 side data)."""
    hdr: HdrMetadata = field(default_factory=HdrMetadata)
    dynamic_hdr: DynamicHdrFacts = field(default_factory=DynamicHdrFacts)
    timecode: str = ""
    """SMPTE timecode of the first frame in the bitstream, HH:MM:SS:FF, with ";" before FF for drop-frame;
    empty if it has none. Tags of the container take precedence."""
    flaw: str = ""
    """Damage or truncation according to the container: "ends early: …"; empty if the file is complete."""
    flaw_from: int = 0
    """The first frame that `flaw` may concern."""
    crop: PixelCrop = field(default_factory=PixelCrop)
    """Rows and columns that the container hides."""
    opaque: bool = False
    """Frames are decoded with alpha, and the file has none; it is left out."""
    changes: tuple[tuple[int, str], ...] = ()
    """(position in `pts`, what differs from the first frame from there on), as far as headers show it; vsr
    doesn't support such changes."""
    notes: tuple[str, ...] = ()
    """Messages for the user, before work starts."""

    def __repr__(self) -> str:
        return (
            f"VideoInfo({self.path!r}, {self.codec} {self.width}x{self.height} {self.pix_fmt},"
            f" {self.frame_count} frames)"
        )

    @property
    def frame_count(self) -> int:
        """Number of frames to be shown."""
        return len(self.pts)

    @property
    def interlaced(self) -> bool:
        """Whether the two fields of a frame were taken at different times."""
        return self.scan.order != "progressive"

    @functools.cached_property
    def pixels(self) -> PixelFormat:
        """The planar format in which its frames are passed on. Raises MediaError if there is none."""
        found = planar_format(self.pix_fmt)
        return found.without_alpha if self.opaque else found

    @property
    def is_picture(self) -> bool:
        """Whether this is a single image, not a video."""
        return self.first_number is None and (
            self.format in _PICTURE_FORMATS or self.format.endswith("_pipe")
        )

    @property
    def made_of_pictures(self) -> bool:
        """Whether this is an image or an image sequence.

        Missing tags then mean what they mean in image files.
        """
        return self.is_picture or self.first_number is not None

    @functools.cached_property
    def vfr(self) -> bool:
        """Whether frames are unevenly spaced, beyond rounding to a millisecond or a tick."""
        count = len(self.pts) - 1
        if self.steps[1] - self.steps[0] <= 1 or count < 1:
            return False
        first, span = self.pts[0], self.pts[-1] - self.pts[0]
        farthest = max(abs((pts - first) * count - place * span) for place, pts in enumerate(self.pts))
        return farthest > max(Fraction(1), ROUNDING_SECONDS / self.time_base) * count

    @property
    def seconds(self) -> Fraction:
        """Duration in seconds, from the first frame to the end of the last one."""
        return (self.pts[-1] + self.durations[-1] - self.pts[0]) * self.time_base

    @functools.cached_property
    def steps(self) -> tuple[int, int]:
        """Smallest and largest number of ticks from one frame to the next; 0 for a single frame."""
        steps = set(map(operator.sub, islice(self.pts, 1, None), self.pts))
        return min(steps, default=0), max(steps, default=0)

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) of the upright frame."""
        return self.orientation.turn(self.width, self.height)


ROUNDING_SECONDS = Fraction(1, 1000)
"""Matroska, FLV, and files made from them round times to this."""
_PICTURE_FORMATS = frozenset(
    {"image2", "png_pipe", "jpeg_pipe", "webp_pipe", "tiff_pipe", "bmp_pipe", "exr_pipe", "dpx_pipe"}
)


@dataclass(frozen=True)
class Chunk:
    """A display interval of the video.

    The frames with `start_pts` <= pts < `stop_pts`, encoded separately.
    """

    index: int
    start_frame: int
    """Position of the first frame in `VideoInfo.pts`."""
    stop_frame: int
    """One past the position of the last frame."""

    @property
    def frame_count(self) -> int:
        """Number of frames in the chunk."""
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
    """A decoded frame with its timestamp."""

    pts: int
    """Ticks of the video's time base."""
    planes: Sequence[np.ndarray]
    """One (height, width) array per plane, uint8, uint16 or float32, in the order of its PixelFormat (GBR: G,
    B, R)."""
    corrupt: bool = False
    captions: bytes = b""
    """cc_data triplets of A/53, empty if there are none."""
    origin: Sequence[np.ndarray] | None = None
    """The decoder's samples, if a filter changed them; for interlaced video, a frame made of the field it
    shows."""
    change: str = ""
    """How it differs from the film's first frame, if this can't be handled; such a frame has no planes."""
    dynamic_hdr: DynamicHdr | None = None
    """The frame's HDR10+ and Dolby Vision metadata, if the plan keeps it."""
