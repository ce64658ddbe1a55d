"""What a video is: `Stream`, `PacketIndex`, `VideoInfo`, and what it is cut into: `Chunk`, `Span`, `Frame`.

Plain values; nothing here opens a file or touches a tensor, so the parent process of a run stays light.
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
from pipelines.media.pixel_format import Orientation, PixelCrop

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from pipelines.media.dynamic_hdr import DynamicHdr
    from pipelines.media.packet_reader import PacketData

__all__ = [
    "NO_PTS",
    "PICTURE_FORMATS",
    "ROUNDING_SECONDS",
    "Chunk",
    "DecoderSetup",
    "DynamicHdrFacts",
    "Frame",
    "FrameFacts",
    "PacketIndex",
    "Scan",
    "Span",
    "Stream",
    "VideoInfo",
]


@dataclass(frozen=True)
class Scan:
    """How lines make up the frames, and how we know."""

    order: Literal["progressive", "top", "bottom"] = "progressive"
    """progressive: all lines of a frame are of one moment; else the field that comes first."""
    found: Literal["flags", "pictures"] = "flags"
    pulldown: Literal["", "soft", "hard"] = ""
    """Telecine: soft, film frames with flags that repeat fields; hard, film spread over fields that are
    really there."""
    doubt: Literal["", "top", "bottom"] = ""
    """Of progressive video: the field that its flags, or a few of its pictures, say comes first; not acted
    upon unasked."""


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
    """Of PCM: the most seconds by which a packet lies elsewhere than its samples, counted from the first one,
    say."""


@dataclass(frozen=True)
class FrameFacts:
    """What a decoder says of a frame besides its samples, without the container's word.

    The first frame's hold for the whole film.
    """

    width: int
    height: int
    pix_fmt: str
    color: ColorTags
    sar: Fraction
    """1 where it says nothing."""
    hdr: HdrMetadata
    orientation: Orientation | None
    """None where it says nothing."""


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
    facts: FrameFacts | None = None
    """What every frame must be like; None: like the first one that is decoded."""
    clock: tuple[int, Fraction] = (0, Fraction(1))
    """(pts of the first frame, seconds a tick), to name moments by."""
    sar_of_container: bool = False
    """The container's shape of a sample holds, whatever frames say."""


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

    def __repr__(self) -> str:
        return f"PacketIndex({len(self)} packets)"


NO_PTS = -(1 << 63)
"""In a PacketIndex: the container gave no timestamp."""


@dataclass(frozen=True)
class DynamicHdrFacts:
    """What the first packets and key packets show of dynamic HDR metadata."""

    hdr10_plus: bool = False
    hdr10_plus_flaw: str = ""
    """Why it can't be carried over; empty: nothing known."""
    dolby_vision: int = 0
    """Profile of its RPUs; 0: none."""
    dolby_vision_flaw: str = ""


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
    """The container's timestamps do not identify frames: they were counted by decoding, and are known by
    their order."""
    checks: tuple[tuple[int, int], ...] = ()
    """(place in `pts`, `decode.checksum`) of some frames, where they were counted."""
    damage: int = 0
    """Frames and packets found damaged while counting; 0 where nothing was counted."""
    damaged: tuple[int, ...] = ()
    """Places in `pts` of the first damaged frames, where they were counted."""
    epochs: tuple[tuple[int, int], ...] = ()
    """(first packet row, ticks added) wherever the clock of the source jumps back."""
    start: Fraction = Fraction(0)
    """Seconds at which the first of all video and audio streams begins."""
    streams: tuple[Stream, ...] = ()
    samples: dict[int, tuple[PacketData, ...]] = field(default_factory=dict, repr=False)
    """The first and last packets of every other stream."""
    chapters: int = 0
    first_number: int | None = None
    """Of the first picture, where the input is numbered pictures."""
    captions: bool = False
    """Closed captions travel inside the video (CEA-608/708 as A/53 side data)."""
    hdr: HdrMetadata = field(default_factory=HdrMetadata)
    dynamic_hdr: DynamicHdrFacts = field(default_factory=DynamicHdrFacts)
    timecode: str = ""
    """SMPTE timecode that the first frame itself bears, HH:MM:SS:FF, with ";" before FF where numbers are
    dropped; empty where it bears none. Tags of the container go before it."""
    flaw: str = ""
    """What is damaged or missing, as its container says: "ends early: …"; empty where it is whole."""
    flaw_from: int = 0
    """The first frame that `flaw` may concern."""
    crop: PixelCrop = field(default_factory=PixelCrop)
    """What the container says not to show of the stored picture."""
    changes: tuple[tuple[int, str], ...] = ()
    """(place in `pts`, what is other from there on than in the first frame), as far as headers tell; nothing
    here follows a change."""
    notes: tuple[str, ...] = ()
    """What a person should know before work starts."""

    def __repr__(self) -> str:
        return (
            f"VideoInfo({self.path!r}, {self.codec} {self.width}x{self.height} {self.pix_fmt},"
            f" {self.frame_count} frames)"
        )

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

    @functools.cached_property
    def vfr(self) -> bool:
        """Frames are not shown at even times, as far as times that were rounded to a millisecond, or to a
        tick where that is longer, can tell.
        """
        count = len(self.pts) - 1
        if self.steps[1] - self.steps[0] <= 1 or count < 1:
            return False
        first, span = self.pts[0], self.pts[-1] - self.pts[0]
        farthest = max(abs((pts - first) * count - place * span) for place, pts in enumerate(self.pts))
        return farthest > max(Fraction(1), ROUNDING_SECONDS / self.time_base) * count

    @property
    def seconds(self) -> Fraction:
        """From the first frame until the last one is no longer shown."""
        return (self.pts[-1] + self.durations[-1] - self.pts[0]) * self.time_base

    @functools.cached_property
    def steps(self) -> tuple[int, int]:
        """Least and most ticks from one frame to the next; 0 where there is one frame."""
        steps = set(map(operator.sub, islice(self.pts, 1, None), self.pts))
        return min(steps, default=0), max(steps, default=0)

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) as seen."""
        return self.orientation.turn(self.width, self.height)


ROUNDING_SECONDS = Fraction(1, 1000)
"""To which Matroska, FLV and what was made of them round times."""
PICTURE_FORMATS = frozenset(
    {"image2", "png_pipe", "jpeg_pipe", "webp_pipe", "tiff_pipe", "bmp_pipe", "exr_pipe", "dpx_pipe"}
)


@dataclass(frozen=True)
class Chunk:
    """A display interval of the video.

    The frames with `start_pts` <= pts < `stop_pts`, encoded on their own.
    """

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
    """One (height, width) array a plane, uint8, uint16 or float32, in the order of its PixelFormat (GBR: G,
    B, R)."""
    corrupt: bool = False
    captions: bytes = b""
    """cc_data triplets of A/53, empty if there are none."""
    origin: Sequence[np.ndarray] | None = None
    """What the decoder gave for it, where a filter changed it since; of interlaced video a picture of the one
    field it shows."""
    change: str = ""
    """How it is unlike the film's first frame, which nothing here could follow; such a frame has no
    planes."""
    dynamic_hdr: DynamicHdr | None = None
    """HDR10+ and Dolby Vision metadata that belongs to it, where the plan keeps them."""
