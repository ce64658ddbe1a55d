"""Which streams and options a container can hold, found by trying its muxer."""

from __future__ import annotations

import contextlib
import io
import math
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.bitstream import BitStreamFilterContext

from models.errors import UsageError
from pipelines.media.demuxer import open_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from av.container import InputContainer, OutputContainer
    from av.stream import Stream as AnyStream

    from pipelines.media.video_info import Stream, VideoInfo

__all__ = [
    "OWN_TAGS",
    "add_copied_stream",
    "container_options",
    "copy_tags",
    "incompatible_streams",
    "is_bare_aac",
    "is_remade",
    "refuse_incompatible",
    "stream_time_bases",
]


OWN_TAGS = frozenset({"encoder", "major_brand", "minor_version", "compatible_brands", "duration", "number_of_frames", "number_of_bytes", "bps"})
"""Tags that describe the old file, not the film; the muxer writes its own."""


def container_options(container: str, time_bases: Iterable[Fraction]) -> dict[str, str]:
    """Muxer options of a result. time_bases: of all its tracks."""
    if container not in {"mp4", "mov"}:
        return {}
    # Edit lists, which say where a track begins, count in this clock; its default of 1 ms would move tracks against each other.
    common = math.lcm(*(b.denominator for b in time_bases))
    return {"movflags": "+faststart", **({"movie_timescale": str(common)} if common < 1 << 31 else {})}


def stream_time_bases(source: InputContainer) -> list[Fraction]:
    """Time bases of its video, audio and subtitle streams."""
    return [Fraction(s.time_base) for s in source.streams if s.time_base and s.type in {"video", "audio", "subtitle"}]


def incompatible_streams(info: VideoInfo, container: str) -> list[tuple[Stream, str]]:
    """Streams the container can't hold, and why; found by writing a header for each."""
    found = []
    source = open_source(info.path)
    try:
        for stream in info.streams:
            reason = _refusal(source, stream, container) if not is_remade(source.streams[stream.index], stream, container) else ""
            if reason:
                found.append((stream, reason))
    finally:
        source.close()
    return found


def is_remade(track: AnyStream, stream: Stream, container: str) -> bool:
    """Tracks that the muxer makes anew: chapter titles, and in MP4 and MOV the timecode, which it takes from the film's tag."""
    return stream.type == "data" and (not stream.packet_count or (container in {"mp4", "mov"} and "timecode" in track.metadata))


def _refusal(source: InputContainer, stream: Stream, container: str) -> str:
    if stream.is_cover and container == "matroska":
        return ""
    if is_bare_aac(source.streams[stream.index]) and container == "matroska" and source.format.name != "mpegts":
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
    """A track with the codec parameters of the source's; its packets will be copied."""
    try:
        stream = output.add_stream_from_template(source, opaque=True)  # type: ignore[type-var]
    except (av.error.FFmpegError, ValueError, AttributeError):
        # No decoder for it here: copy the parameters alone, its codec among them; the name only has to be of the same kind.
        stream = output.add_mux_stream({"audio": "aac", "video": "h264"}.get(source.type, "subrip"))
        BitStreamFilterContext("null", in_stream=source, out_stream=stream)
    copy_tags(source, stream)
    return stream  # type: ignore[no-any-return]


def copy_tags(source: AnyStream, target: AnyStream) -> None:
    """Copy tags and disposition of a stream, without the tags a muxer writes itself."""
    for key, value in source.metadata.items():
        if key.lower() not in OWN_TAGS and not key.upper().startswith(("_STATISTICS", "BPS", "NUMBER_OF_", "DURATION", "ROTATE")):
            target.metadata[key] = value
    target.disposition = source.disposition


def is_bare_aac(stream: AnyStream) -> bool:
    """AAC without its AudioSpecificConfig: in broadcasts every packet brings its own, as an ADTS header."""
    context = getattr(stream, "codec_context", None)
    return context is not None and context.codec.canonical_name == "aac" and not context.extradata


def refuse_incompatible(found: Sequence[tuple[Stream, str]], output: Path, container: str) -> None:
    """Raise UsageError naming the streams the container can't hold and what to do."""
    if found:
        listed = ", ".join(f"{s.type} stream {s.index} ({s.codec})" for s, _ in found)
        remedy = "leave it out with --drop-incompatible"
        if container != "matroska":
            remedy = f"name an output that ends in .mkv, or {remedy}"
        raise UsageError(f"{output.name}: {container} can't hold {listed}: {found[0][1]}; {remedy}")
