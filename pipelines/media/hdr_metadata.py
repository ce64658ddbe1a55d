"""The static metadata of HDR video (`HdrMetadata`), from a decoded frame to an encoder and a container."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import av
from av.bitstream import BitStreamFilterContext
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideData

from pipelines.file_parsing.file_bytes import sample_entry
from pipelines.media.cicp import HdrMetadata, Range
from pipelines.media.demuxer import open_memory

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from pipelines.media.cicp import ColorTags

__all__ = [
    "configuration_box",
    "configuration_of",
    "encoder_options",
    "equal_within_units",
    "frame_side_data",
    "is_dolby_vision_only",
    "side_data_of",
    "static_metadata",
    "with_metadata",
]


_PER_CHROMATICITY = 50000
_PER_LUMINANCE = 10000


def encoder_options(metadata: HdrMetadata, encoder: str) -> dict[str, str]:
    """Option -> value that makes an encoder write the metadata into its bitstream.

    Empty for an encoder that can't.
    """
    if not metadata or encoder not in _WORDS:
        return {}
    option, display, light, more = _WORDS[encoder]
    parts = [more] if more else []
    parts += (
        [f"{display}={_volume(metadata.display, decimal=encoder == 'libsvtav1')}"] if metadata.display else []
    )
    parts += [f"{light}={metadata.light[0]},{metadata.light[1]}"] if metadata.light else []
    return {option: ":".join(parts)}


_WORDS = {
    "libx265": ("x265-params", "master-display", "max-cll", "hdr10=1"),
    "libx264": ("x264-params", "mastering-display", "cll", ""),
    "libsvtav1": ("svtav1-params", "mastering-display", "content-light", ""),
}
"""Encoder -> its option, its keywords for display and light, and further requirements."""


def _volume(display: tuple[int, ...], *, decimal: bool) -> str:
    red, green, blue, white, luminance = (display[n : n + 2] for n in range(0, 10, 2))

    def pair(values: tuple[int, ...], unit: int) -> str:
        return f"({values[0] / unit:.7g},{values[1] / unit:.7g})" if decimal else f"({values[0]},{values[1]})"

    points = "".join(
        n + pair(p, _PER_CHROMATICITY) for n, p in (("G", green), ("B", blue), ("R", red), ("WP", white))
    )
    return f"{points}L{pair(luminance, _PER_LUMINANCE)}"


def equal_within_units(one: HdrMetadata, other: HdrMetadata) -> bool:
    """Whether metadata are equal within the units of AV1 (chromaticities 2⁻¹⁶, luminances 2⁻⁸ and 2⁻¹⁴)."""
    if len(one.display) != len(other.display) or one.light != other.light:
        return False
    steps = (1,) * 8 + (_PER_LUMINANCE // 256 + 1, 1)
    return all(abs(a - b) <= s for a, b, s in zip(one.display, other.display, steps, strict=False))


def _further_kind(kinds: type[SideData], value: object) -> SideData:
    """A member of PyAV's enumeration for a kind of FFmpeg that PyAV 18 can't name, such as LCEVC or Exif.

    Without it, a frame with such a kind would seem to have no side data: no captions, no HDR metadata.
    """
    made = object.__new__(kinds)
    made._name_, made._value_ = f"KIND_{value}", value  # type: ignore[assignment]
    kinds._value2member_map_[value] = made
    return made


SideData._missing_ = classmethod(_further_kind)  # type: ignore[assignment, method-assign]


def side_data_of(frame: VideoFrame) -> SideDataContainer:
    """All side data of a decoded frame.

    `frame.side_data` is not used: PyAV caches it in the frame, and the two then refer to each other, so that
    only Python's next full garbage collection would free the frame's megabytes.
    """
    return SideDataContainer(frame)  # type: ignore[call-arg]


def frame_side_data(frame: VideoFrame, kind: SideData) -> bytes | None:
    """Side data of a decoded frame; None if there is none."""
    data = side_data_of(frame).get(kind)  # type: ignore[call-overload]
    return None if data is None else bytes(data)


def static_metadata(frame: VideoFrame) -> HdrMetadata:
    """Metadata of a frame: AVMasteringDisplayMetadata and AVContentLightMetadata of libavutil."""
    display: tuple[int, ...] = ()
    volume = frame_side_data(frame, SideData.MASTERING_DISPLAY_METADATA)
    if volume is not None and len(volume) >= 88:
        numbers = struct.unpack("<20i2i", volume[:88])
        ratios = [(numbers[n], numbers[n + 1]) for n in range(0, 20, 2)]
        if all(numbers[20:]) and all(d for _, d in ratios):
            # Primaries and white point, then the lowest luminance before the highest.
            ratios[8:] = reversed(ratios[8:])
            units = [_PER_CHROMATICITY] * 8 + [_PER_LUMINANCE] * 2
            display = tuple(round(n * u / d) for (n, d), u in zip(ratios, units, strict=True))
    level = frame_side_data(frame, SideData.CONTENT_LIGHT_LEVEL)
    light = struct.unpack("<2I", level[:8]) if level is not None and len(level) >= 8 else None
    return HdrMetadata(display, light)


def is_dolby_vision_only(frame: VideoFrame) -> bool:
    """Whether this is Dolby Vision without a base layer that other decoders show correctly.

    That is profile 5, and AV1's 10.0 (full-range IPT-PQ-c2). It is recognised by the RPU header
    (libavutil's AVDOVIRpuDataHeader): vdr_rpu_profile 0 with a full-range base layer.
    """
    data = frame_side_data(frame, SideData.DOVI_METADATA)
    if data is None or len(data) < 72:
        return False
    header = data[struct.unpack("<Q", data[:8])[0] :]
    return header[4] == 0 and header[10] == 1


_BMP_TAGS = {"h264": b"H264", "av1": b"AV01", "ffv1": b"FFV1"}
"""Codec tags that Matroska needs instead of those of MOV (FFmpeg checks them against the tags of RIFF, which
have none for HEVC)."""


def with_metadata(
    stream: Any, metadata: HdrMetadata, color: ColorTags, *, matroska: bool, dolby_vision: bytes = b""
) -> Any:
    """Open a container in memory; its first stream has the codec parameters of `stream` and the metadata.

    Muxers copy metadata from such a stream; PyAV has no other way to pass metadata to them. To make it, a
    file header is written, and the boxes are inserted into its sample entry. dolby_vision: a
    `configuration_box`. Raises ValueError if the codec has no sample entry.
    """
    buffer = io.BytesIO()
    codec = stream.codec_context.codec.canonical_name
    written = av.open(
        buffer, "w", format="mov" if codec != "av1" else "mp4", container_options={"movflags": "empty_moov"}
    )
    track = written.add_mux_stream(
        "h264", rate=25, width=stream.codec_context.width, height=stream.codec_context.height
    )
    track.time_base = stream.time_base
    BitStreamFilterContext("null", in_stream=stream, out_stream=track)
    written.start_encoding()
    written.close()
    data = bytearray(buffer.getvalue())
    path = sample_entry(data)
    start = path[-1]
    size = struct.unpack_from(">I", data, start)[0]
    if matroska:
        data[start + 4 : start + 8] = _BMP_TAGS.get(codec, bytes(data[start + 4 : start + 8]))
    boxes = _boxes(metadata, color) + dolby_vision
    data[start + size : start + size] = boxes
    for at in path:
        struct.pack_into(">I", data, at, struct.unpack_from(">I", data, at)[0] + len(boxes))
    return open_memory(bytes(data), "mov")


def configuration_box(record: bytes) -> bytes:
    """A DOVIDecoderConfigurationRecord as a box for profiles 8 to 10."""
    return struct.pack(">I4s", 8 + len(record), b"dvvC") + record


def configuration_of(stream: Any) -> bytes:
    """The DOVIDecoderConfigurationRecord of a stream, 24 bytes; empty if its container has none.

    PyAV 18 does not expose it, so it is read from a header of FFmpeg's Matroska muxer.
    """
    echo = io.BytesIO()
    written = av.open(echo, "w", format="matroska")
    codec = stream.codec_context
    track = written.add_mux_stream(
        codec.codec.canonical_name, rate=25, width=codec.width, height=codec.height
    )
    track.time_base = stream.time_base
    BitStreamFilterContext("null", in_stream=stream, out_stream=track)
    written.start_encoding()
    written.close()
    data = echo.getvalue()
    starts = [
        at for name in (b"dvvC", b"dvcC") if (at := data.find(_ADDITION_TYPE + name + _ADDITION_DATA)) >= 0
    ]
    start = starts[0] + len(_ADDITION_TYPE + _ADDITION_DATA) + 4 if starts else len(data)
    return data[start : start + 24]


_ADDITION_TYPE, _ADDITION_DATA = b"\x41\xe7\x84", b"\x41\xed\x98"
"""BlockAddIDType of four bytes, BlockAddIDExtraData of 24 (Matroska, RFC 9559 section 5.1.4.1.17)."""


def _boxes(metadata: HdrMetadata, color: ColorTags) -> bytes:
    """The boxes `mdcv` and `clli` (ISO/IEC 14496-12 clause 12.1.6), after a `colr` that has the range."""
    data = struct.pack(
        ">I4s4s3HB",
        19,
        b"colr",
        b"nclx",
        color.primaries,
        color.transfer,
        color.matrix,
        (color.range == Range.FULL) << 7,
    )
    if metadata.display:
        red, green, blue, white, luminance = (metadata.display[n : n + 2] for n in range(0, 10, 2))
        data += struct.pack(">I4s8H2I", 32, b"mdcv", *green, *blue, *red, *white, *luminance)
    if metadata.light:
        data += struct.pack(">I4s2H", 12, b"clli", *metadata.light)
    return data
