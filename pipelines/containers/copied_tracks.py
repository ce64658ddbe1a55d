"""Tracks of an output that hold packets copied from the source."""

from __future__ import annotations

import contextlib
import io
import itertools
from typing import TYPE_CHECKING, Any

import av
from av.bitstream import BitStreamFilterContext

from pipelines.containers.container_tags import copy_tags
from pipelines.containers.latm import ADTS_SILENCE, decoder_config
from pipelines.containers.track_times import KEEPS_MILLISECONDS
from pipelines.file_parsing.file_bytes import movie_tracks
from pipelines.media.demuxer import open_memory, open_source

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.stream import Stream as AnyStream


__all__ = [
    "LATM",
    "REWRAPPED",
    "add_copied_stream",
    "codec_of",
    "description_box",
    "is_bare_aac",
    "is_plain_pcm",
    "is_unframed_audio",
]


REWRAPPED = frozenset({"pcm_dvd", "pcm_bluray", "s302m"})
"""PCM in packets of a disc or a broadcast (DVD, Blu-ray and AVCHD, SMPTE 302M), which no other container
supports: the same samples are written as plain PCM packets."""


LATM = "aac_latm"
"""AAC of broadcasts in the framing of MPEG-4 audio: the same access units are written without it."""
_MOST_WITHOUT_CONFIG = 200
"""Packets among which one must have the configuration; broadcasts repeat it several times a second."""


_DEFAULT_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""By number of channels, as in `av_channel_layout_default`."""


def add_copied_stream(output: OutputContainer, source: AnyStream) -> AnyStream:
    """Add a track with the codec parameters of the source's, for copied packets."""
    try:
        stream = _added(output, source)
        _complete_layout(stream)
    except (av.error.FFmpegError, ValueError, AttributeError):
        # There is no decoder for it: only the parameters are copied, including the codec; the name only has
        # to be of the same type.
        timed = "mov_text" if output.format.name in {"mp4", "mov"} else "subrip"
        name = {"audio": "aac", "video": "h264"}.get(source.type, timed)
        if name not in output.supported_codecs:  # the error would mention that name
            raise
        stream = output.add_mux_stream(name)
        _copy_tagged(output, source, stream)
    copy_tags(source, stream)
    return stream  # type: ignore[no-any-return]


def _added(output: OutputContainer, source: AnyStream) -> Any:
    if codec_of(source) in REWRAPPED:
        return _add_pcm(output, source)
    if codec_of(source) == LATM:
        return _add_aac(output, source)
    return output.add_stream_from_template(source, opaque=True)  # type: ignore[type-var]


def _add_aac(output: OutputContainer, source: AnyStream) -> AnyStream:
    """Add a track for the access units of LATM. Raises ValueError if its configuration is not found."""
    context: Any = source.codec_context
    container = open_source(source.container.name.removeprefix("file:"))  # type: ignore[attr-defined]
    try:
        packets = itertools.islice(container.demux(container.streams[source.index]), _MOST_WITHOUT_CONFIG)
        config = decoder_config([bytes(packet) for packet in packets if packet.size])
    finally:
        container.close()
    if not config:
        raise ValueError("its LATM has no configuration that is understood")
    with open_memory(ADTS_SILENCE, "aac") as template:
        stream: Any = output.add_stream_from_template(template.streams[0], opaque=True)  # type: ignore[type-var]
    stream.codec_context.extradata, stream.codec_context.sample_rate = config, context.rate
    stream.codec_context.layout = context.layout
    return stream  # type: ignore[no-any-return]


def _copy_tagged(output: OutputContainer, source: AnyStream, stream: AnyStream) -> None:
    """Copy codec parameters, with a codec tag that the output accepts.

    If Matroska has no CodecID for an audio codec, it stores its WAVE format tag, a 16-bit number that AVI's
    muxer also sets, and refuses a FourCC of QuickTime or NUT.
    """
    context: Any = getattr(source, "codec_context", None)
    has_fourcc = source.type == "audio" and context is not None and context.codec_tag[2:] != "\0\0"
    if has_fourcc and output.format.name in KEEPS_MILLISECONDS:
        with (
            contextlib.suppress(av.error.FFmpegError, ValueError),
            av.open(io.BytesIO(), "w", format="avi") as carrier,
        ):
            tagged = carrier.add_stream_from_template(source, opaque=True)  # type: ignore[type-var]
            carrier.start_encoding()
            BitStreamFilterContext("null", in_stream=tagged, out_stream=stream)
            return
    BitStreamFilterContext("null", in_stream=source, out_stream=stream)


def _add_pcm(output: OutputContainer, source: AnyStream) -> AnyStream:
    """Add a track of plain PCM with the bit depth, rate and layout of the source.

    Decoders return more than 16 bits as 32.
    """
    context: Any = source.codec_context
    name = "pcm_s16le" if context.format.name.startswith("s16") else "pcm_s24le"
    return output.add_stream(name, rate=context.rate, layout=context.layout.name)


def _complete_layout(stream: AnyStream) -> None:
    """Give audio with unnamed channels the usual layout, as FFmpeg's command does.

    MP4 and MOV accept no other.
    """
    context: Any = getattr(stream, "codec_context", None)
    layout = getattr(context, "layout", None)
    if (
        layout is not None
        and layout.name == f"{layout.nb_channels} channels"
        and layout.nb_channels in _DEFAULT_LAYOUTS
    ):
        context.layout = _DEFAULT_LAYOUTS[layout.nb_channels]


def codec_of(stream: AnyStream) -> str:
    """Name of a stream's codec, whichever decoder it uses; empty if FFmpeg knows none."""
    context = getattr(stream, "codec_context", None)
    return "" if context is None else str(context.codec.canonical_name)


def is_unframed_audio(codec: str) -> bool:
    """Whether audio has no packet structure, so that muxers and demuxers may split it differently.

    Only its bytes as a whole are preserved.
    """
    return codec.startswith(("pcm_", "adpcm_"))


def is_plain_pcm(stream: AnyStream) -> bool:
    """Whether each sample of an audio track has separate bytes, in order of time."""
    codec = codec_of(stream)
    return codec.startswith("pcm_") and codec not in REWRAPPED


def description_box(source: InputContainer, stream: AnyStream) -> bytes:
    """The `trak` box that describes a track of a codec that FFmpeg does not know; empty if there is none.

    Only MP4 and MOV describe samples of any format, so only they can pass that on to one another.
    """
    if codec_of(stream) or not source.format.name.startswith("mov"):
        return b""
    return movie_tracks(source.name.removeprefix("file:")).get(stream.id, b"")


def is_bare_aac(stream: AnyStream) -> bool:
    """Whether this is AAC without AudioSpecificConfig.

    In broadcasts every packet has an ADTS header instead.
    """
    return codec_of(stream) == "aac" and not stream.codec_context.extradata
