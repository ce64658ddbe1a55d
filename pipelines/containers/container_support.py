"""Which streams and options a container can hold, found by trying its muxer."""

from __future__ import annotations

import contextlib
import functools
import io
import math
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
from av.bitstream import BitStreamFilterContext
from av.stream import Disposition

from models.errors import UsageError
from pipelines.containers.subtitle_text import is_converted
from pipelines.media.demuxer import open_memory, open_source
from pipelines.media.dolby_vision import configuration_record
from pipelines.media.timestamps import later_timecode

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from av.container import InputContainer, OutputContainer
    from av.stream import Stream as AnyStream

    from pipelines.media.video_info import Stream, VideoInfo
    from pipelines.plan.plan import Plan

__all__ = [
    "KEEPS_MILLISECONDS",
    "OWN_TAGS",
    "REWRAPPED",
    "add_copied_stream",
    "codec_of",
    "container_options",
    "copy_tags",
    "dolby_vision_record",
    "film_timecode",
    "incompatible_streams",
    "is_bare_aac",
    "is_made_by_muxer",
    "is_unframed_audio",
    "lost_keys",
    "lost_tags",
    "refuse_incompatible",
    "stream_time_bases",
]


OWN_TAGS = frozenset(
    {
        "encoder",
        "major_brand",
        "minor_version",
        "compatible_brands",
        "duration",
        "number_of_frames",
        "number_of_bytes",
        "bps",
    }
)
"""Tags that describe the old file, not the film; the muxer writes new ones."""

KEEPS_MILLISECONDS = frozenset({"matroska", "webm"})
"""Containers that round every timestamp to 1 ms."""

REWRAPPED = frozenset({"pcm_dvd", "pcm_bluray", "s302m"})
"""PCM in packets of a disc or a broadcast (DVD, Blu-ray and AVCHD, SMPTE 302M), which no other container
supports: the same samples are written as plain PCM packets."""

_DEFAULT_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""By number of channels, as in `av_channel_layout_default`."""


_OF_THE_FILE = frozenset({"vendor_id", "creation_time", "handler_name"})
"""Tags of a track about the program and time that wrote the old file: no loss."""


def dolby_vision_record(plan: Plan) -> bytes:
    """The DOVIDecoderConfigurationRecord of the film; empty if it has no RPUs."""
    if "dolby-vision" not in plan.dynamic_hdr:
        return b""
    encoder = plan.encoder
    return configuration_record(
        encoder.codec, plan.out_color.transfer, plan.out_width, plan.out_height, plan.rate
    )


def container_options(
    container: str, time_bases: Iterable[Fraction], tags: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Muxer options of an output. time_bases: of all its tracks. tags: of the file as a whole."""
    if container not in {"mp4", "mov"}:
        return {}
    # Edit lists, which say where a track begins, count in this clock; its default of 1 ms would move tracks
    # against each other.
    common = math.lcm(*(b.denominator for b in time_bases))
    # Keys of any name lie where fewer players look for titles, so only where there are such.
    keys = "+use_metadata_tags" if lost_keys(tags or {}, {}, container, "") else ""
    return {"movflags": f"+faststart{keys}", **({"movie_timescale": str(common)} if common < 1 << 31 else {})}


def lost_keys(
    tags: Mapping[str, str], track_tags: Mapping[str, str], container: str, flags: str = "+use_metadata_tags"
) -> list[str]:
    """Keys of tags of a file, and of a track, that are lost when written and read again.

    flags: movflags of MP4 and MOV.
    """
    if container not in {"mp4", "mov"}:
        return []  # a Matroska tag may have any name
    own = {k: v for k, v in tags.items() if k.lower() not in OWN_TAGS}
    unread = [
        k
        for k, v in (*own.items(), *track_tags.items())
        if k.lower() == "timecode" and not later_timecode(v, 0, Fraction(25))
    ]
    own, track_tags = ({k: v for k, v in given.items() if k not in unread} for given in (own, track_tags))
    buffer = io.BytesIO()
    trial = av.open(buffer, "w", format=container, container_options={"movflags": f"+empty_moov{flags}"})
    video = trial.add_mux_stream("mpeg4", rate=25, width=16, height=16)
    video.time_base = Fraction(1, 25)
    trial.metadata.update(own)
    video.metadata.update(_renamed(track_tags))
    trial.start_encoding()
    trial.close()
    with open_memory(buffer.getvalue()) as written:
        kept = {k.lower() for k in written.metadata}
        of_track = {k.lower() for k in _renamed(written.streams[0].metadata)}
    return [
        *unread,
        *(k for k in own if k.lower() not in kept),
        *(k for k in _renamed(track_tags) if k.lower() not in of_track),
    ]


def lost_tags(info: VideoInfo, container: str, left_out: Container[int] = ()) -> list[str]:
    """Tags of the source that the container can't hold, in words.

    The keys of the file, and those of each track. left_out: indexes of streams.
    """
    found = []
    source = open_source(info.path)
    try:
        for key in lost_keys(source.metadata, {}, container):
            found.append(f"{key} = {source.metadata[key]}")
        for stream in info.streams:
            if (
                stream.index not in left_out
                and stream.type in {"video", "audio", "subtitle"}
                and not stream.is_cover
            ):
                tags = _own_tags(source.streams[stream.index])
                tags = {
                    k: v for k, v in tags.items() if k not in _OF_THE_FILE and (k, v) != ("language", "und")
                }
                flags = _lost_flags(source.streams[stream.index].disposition, container)
                found += [f"{flag} (flag of {stream.type} stream {stream.index})" for flag in flags]
                found += [
                    f"{key} = {tags[key]} (of {stream.type} stream {stream.index})"
                    for key in lost_keys({}, tags, container)
                ]
    finally:
        source.close()
    return found


@functools.cache
def _lost_flags(flags: Disposition, container: str) -> tuple[str, ...]:
    """Names of a track's flags that are gone when they are written and read again; `default` is no loss."""
    flags &= ~Disposition.default
    if not flags:
        return ()
    buffer = io.BytesIO()
    options = {"movflags": "+empty_moov"} if container in {"mp4", "mov"} else {}
    trial = av.open(buffer, "w", format=container, container_options=options)
    video = trial.add_mux_stream("vp8" if container == "webm" else "mpeg4", rate=25, width=16, height=16)
    video.time_base, video.disposition = Fraction(1, 25), flags
    trial.start_encoding()
    packet: av.Packet[Any] = av.Packet(b"\0" * 16)
    packet.stream, packet.time_base, packet.pts, packet.dts, packet.is_keyframe = (
        video,
        video.time_base,
        0,
        0,
        True,
    )
    trial.mux(packet)
    trial.close()
    with open_memory(buffer.getvalue()) as written:
        kept = written.streams[0].disposition
    return tuple(str(flag.name) for flag in flags & ~kept)


def _renamed(tags: Mapping[str, str]) -> dict[str, str]:
    """Rename a track's tags for muxers.

    The track name of MP4 and MOV is read as `name`, and written as `title`, as in Matroska.
    """
    return {("title" if key == "name" and "title" not in tags else key): value for key, value in tags.items()}


def stream_time_bases(source: InputContainer) -> list[Fraction]:
    """Time bases of the source's video, audio and subtitle streams."""
    return [
        Fraction(s.time_base)
        for s in source.streams
        if s.time_base and s.type in {"video", "audio", "subtitle"}
    ]


def incompatible_streams(info: VideoInfo, container: str) -> list[tuple[Stream, str]]:
    """Streams that the container can't hold, with reasons; found by writing a header for each."""
    found = []
    source = open_source(info.path)
    try:
        for stream in info.streams:
            reason = _refusal(source, stream, container) if not is_made_by_muxer(source, info, stream) else ""
            if reason:
                found.append((stream, reason))
    finally:
        source.close()
    return found


def is_made_by_muxer(source: InputContainer, info: VideoInfo, stream: Stream) -> bool:
    """Whether a track is created by the muxer.

    These are chapter titles, and the film's timecode, which MP4 and MOV write as a track and Matroska as a
    tag.
    """
    if stream.type != "data" or not stream.packet_count:
        return stream.type == "data"
    said = source.streams[stream.index].metadata.get("timecode", "")
    return stream.packet_count == 1 and said != "" and said == film_timecode(source, info)


def film_timecode(source: InputContainer, info: VideoInfo) -> str:
    """HH:MM:SS:FF of the first frame; empty if unknown.

    From tags of the film, of the file, or of a track that no film refers to, else from the bitstream.
    """
    tagged = [
        source.streams[info.stream_index].metadata,
        source.metadata,
        *(s.metadata for s in source.streams if s.type == "data"),
    ]
    named = (value for tags in tagged for key, value in tags.items() if key.lower() == "timecode")
    return next(named, info.timecode)


def _refusal(source: InputContainer, stream: Stream, container: str) -> str:
    if stream.is_cover and container == "matroska":
        return ""
    if (
        is_bare_aac(source.streams[stream.index])
        and container == "matroska"
        and source.format.name != "mpegts"
    ):
        return "its AAC has no header (AudioSpecificConfig)"
    trial = av.open(io.BytesIO(), "w", format=container)
    try:
        video = trial.add_mux_stream("vp8" if container == "webm" else "mpeg4", rate=25, width=16, height=16)
        video.time_base = Fraction(1, 25)
        add_copied_stream(trial, source.streams[stream.index])
        trial.start_encoding()
    except (av.error.FFmpegError, ValueError, TypeError, AttributeError, NotImplementedError) as error:
        return str(getattr(error, "strerror", "") or error or type(error).__name__)
    finally:
        with contextlib.suppress(av.error.FFmpegError, OSError, ValueError):
            trial.close()
    return ""


def add_copied_stream(output: OutputContainer, source: AnyStream) -> AnyStream:
    """Add a track with the codec parameters of the source's, for copied packets."""
    try:
        stream = (
            _add_pcm(output, source)
            if codec_of(source) in REWRAPPED
            else output.add_stream_from_template(source, opaque=True)
        )  # type: ignore[type-var]
        _complete_layout(stream)
    except (av.error.FFmpegError, ValueError, AttributeError):
        # No decoder for it here: copy the parameters alone, its codec among them; the name only has to be of
        # the same kind.
        name = {"audio": "aac", "video": "h264"}.get(source.type, "subrip")
        if name not in output.supported_codecs:  # its refusal would be of that name
            raise
        stream = output.add_mux_stream(name)
        _copy_tagged(output, source, stream)
    copy_tags(source, stream)
    return stream  # type: ignore[no-any-return]


def _copy_tagged(output: OutputContainer, source: AnyStream, stream: AnyStream) -> None:
    """Copy codec parameters, with a codec tag that the output accepts.

    Matroska stores audio without a CodecID of its own under its WAVE format tag, a number of 16 bits that
    AVI's muxer sets, and refuses a FourCC of QuickTime or NUT.
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
    """Whether audio has no packet structure, so that muxers and demuxers may split it anew.

    Only its bytes as a whole are preserved.
    """
    return codec.startswith(("pcm_", "adpcm_"))


def copy_tags(source: AnyStream, target: AnyStream) -> None:
    """Copy tags and disposition of a stream, without the tags that a muxer writes itself."""
    target.metadata.update(_own_tags(source))
    target.disposition = source.disposition


def _own_tags(stream: AnyStream) -> dict[str, str]:
    """A stream's tags for a muxer, without those it writes itself."""
    told_anew = ("_STATISTICS", "BPS", "NUMBER_OF_", "DURATION", "ROTATE")
    kept = {
        k: v
        for k, v in stream.metadata.items()
        if k.lower() not in OWN_TAGS and not k.upper().startswith(told_anew)
    }
    return _renamed(kept)


def is_bare_aac(stream: AnyStream) -> bool:
    """Whether this is AAC without AudioSpecificConfig.

    In broadcasts every packet has an ADTS header instead.
    """
    return codec_of(stream) == "aac" and not stream.codec_context.extradata


_CONVERT = "make plain text of it with --convert-subtitles, or "


def refuse_incompatible(
    found: Sequence[tuple[Stream, str]], output: Path, container: str, other: str
) -> None:
    """Raise a UsageError if there are streams that the container can't hold; it says what to do.

    other: suffix of a container that supports them, or "".
    """
    if found:
        listed = ", ".join(f"{s.type} stream {s.index} ({s.codec})" for s, _ in found)
        text = _CONVERT if all(is_converted(s.codec, container) for s, _ in found) else ""
        remedy = (
            f"{f'name an output that ends in {other}, or ' if other else ''}{text}leave it out with"
            " --drop-incompatible"
        )
        raise UsageError(f"{output.name}: {container} can't hold {listed}: {found[0][1]}; {remedy}")
