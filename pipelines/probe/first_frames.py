"""`FirstFrames`: properties of the first decoded frames: size, format, colour, rotation, side data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import av
from av.sidedata.sidedata import Type as SideData

from pipelines.codec.mid_stream_changes import orientation_of
from pipelines.media.bitstream import captions_of
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

__all__ = ["FirstFrames", "dynamic_names", "exif_orientation", "lost_side_data"]


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
    first: bytes = b""
    """The first packet."""
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
        self.lost |= lost_side_data(frame)


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

_HDR10_PLUS, _DOLBY_VISION = "HDR10+ metadata", "Dolby Vision metadata"
_LOST = {
    SideData.DYNAMIC_HDR_PLUS: _HDR10_PLUS,
    SideData.DOVI_METADATA: _DOLBY_VISION,
    SideData.DYNAMIC_HDR_VIVID: "HDR Vivid metadata",
    SideData.AMBIENT_VIEWING_ENVIRONMENT: "ambient viewing environment",
    SideData.SPHERICAL: "360° projection tag",
    SideData.STEREO3D: "3D layout tag",
    SideData.AFD: "active format description",
    SideData.PANSCAN: "pan-and-scan window",
    SideData.ICC_PROFILE: "ICC profile",
}
"""Side data of frames that the output will not have; dynamic metadata describes pixels that have changed."""
_VIEW_ID = 29
"""AV_FRAME_DATA_VIEW_ID, unknown to PyAV 18: one of the views of MV-HEVC."""


def lost_side_data(frame: VideoFrame) -> set[str]:
    """Side data of a frame that the output will not have."""
    try:
        found = side_data_of(frame)
        return {name for kind, name in _LOST.items() if found.get(kind) is not None}  # type: ignore[call-overload]
    except (ValueError, KeyError) as error:
        return {"second view (MV-HEVC)"} if str(error).startswith(str(_VIEW_ID)) else set()


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


def exif_orientation(path: str | os.PathLike[str]) -> Orientation | None:
    """The Orientation tag of a JPEG file; the decoder returns the rotation but not the mirroring."""
    with open(path, "rb") as file:
        head = file.read(1 << 16)
    start = head.find(b"Exif\x00\x00")
    if not head.startswith(b"\xff\xd8") or start < 0:
        return None
    tiff = head[start + 6 :]
    order: Literal["little", "big"] = "little" if tiff[:2] == b"II" else "big"
    first = int.from_bytes(tiff[4:8], order)
    for entry in range(int.from_bytes(tiff[first : first + 2], order)):
        at = first + 2 + 12 * entry
        if int.from_bytes(tiff[at : at + 2], order) == 0x0112:
            return _EXIF_TURNS.get(int.from_bytes(tiff[at + 8 : at + 10], order))
    return None
