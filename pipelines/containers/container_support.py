"""Which streams and options a container can hold, found by trying its muxer."""

from __future__ import annotations

import contextlib
import io
import math
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av

from models.errors import UsageError
from pipelines.containers.container_tags import ANY_KEYS, film_timecode, lost_keys
from pipelines.containers.copied_tracks import add_copied_stream, codec_of, description_box, is_bare_aac
from pipelines.containers.subtitle_text import is_converted
from pipelines.media.demuxer import open_source
from pipelines.media.dolby_vision import configuration_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from av.container import InputContainer

    from pipelines.media.video_info import Stream, VideoInfo
    from pipelines.plan.plan import Plan

__all__ = [
    "container_options",
    "dolby_vision_record",
    "incompatible_streams",
    "is_made_by_muxer",
    "refuse_incompatible",
    "stream_time_bases",
]


def dolby_vision_record(plan: Plan) -> bytes:
    """The DOVIDecoderConfigurationRecord of the film; empty if it has no RPUs."""
    if "dolby-vision" not in plan.dynamic_hdr:
        return b""
    encoder = plan.encoder
    return configuration_record(
        encoder.codec, plan.out_color.transfer, plan.out_width, plan.out_height, plan.rate
    )


def container_options(
    container: str,
    time_bases: Iterable[Fraction],
    tags: Mapping[str, str] | None = None,
    *,
    covers: bool = False,
) -> dict[str, str]:
    """Muxer options of an output. time_bases: those of all its tracks. tags: those of the file as a whole.

    covers: whether it gets cover art, which FFmpeg writes only together with iTunes tags, not with other
    keys.
    """
    if container in {"matroska", "webm"}:
        # Otherwise FFmpeg gives the file, its tracks and attachments random identifiers.
        return {"fflags": "+bitexact"}
    if container not in {"mp4", "mov"}:
        return {}
    # Edit lists, which define the start of a track, use this clock; with its default of 1 ms, tracks would be
    # shifted against each other.
    common = math.lcm(*(b.denominator for b in time_bases))
    # Keys with other names are stored where fewer players look for titles, so this is used only if there are
    # any.
    keys = ANY_KEYS if not covers and lost_keys(tags or {}, {}, container, "") else ""
    return {"movflags": f"+faststart{keys}", **({"movie_timescale": str(common)} if common < 1 << 31 else {})}


def stream_time_bases(source: InputContainer) -> list[Fraction]:
    """Time bases of the source's video, audio and subtitle streams."""
    return [
        Fraction(s.time_base)
        for s in source.streams
        if s.time_base and s.type in {"video", "audio", "subtitle"}
    ]


def incompatible_streams(info: VideoInfo, container: str) -> list[tuple[Stream, str]]:
    """Streams that the container can't hold, with reasons; found by writing a header for each."""
    if not info.streams:
        return []
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


def _refusal(source: InputContainer, stream: Stream, container: str) -> str:
    if stream.is_encrypted:
        return "it is encrypted, and what a player needs besides the key would not be in the result"
    if stream.is_cover and container == "matroska":
        return ""
    if (
        is_bare_aac(source.streams[stream.index])
        and container == "matroska"
        and source.format.name != "mpegts"
    ):
        return "its AAC has no header (AudioSpecificConfig)"
    track = source.streams[stream.index]
    if container in {"mp4", "mov"} and not codec_of(track) and not description_box(source, track):
        return "nothing would tell what its packets are"
    trial = av.open(io.BytesIO(), "w", format=container)
    try:
        video = trial.add_mux_stream("vp8" if container == "webm" else "mpeg4", rate=25, width=16, height=16)
        video.time_base = Fraction(1, 25)
        add_copied_stream(trial, source.streams[stream.index])
        trial.start_encoding()
    except (av.error.FFmpegError, ValueError, TypeError, AttributeError, NotImplementedError):
        return _refused_by_muxer(stream, container)
    finally:
        with contextlib.suppress(av.error.FFmpegError, OSError, ValueError):
            trial.close()
    return ""


def _refused_by_muxer(stream: Stream, container: str) -> str:
    """Explain why a muxer refuses such a track; FFmpeg only reports "Invalid argument"."""
    if stream.codec == "unknown":
        return f"its codec is not known, and {container} would have to name it"
    kind = "" if _never_holds(stream, container) else ", as this track has it"
    return f"{container} can't hold {stream.codec}{kind}"


def _never_holds(stream: Stream, container: str) -> bool:
    """Whether a container refuses a codec even from FFmpeg's own encoder; False if there is no encoder."""
    trial = av.open(io.BytesIO(), "w", format=container)
    try:
        if stream.codec not in trial.supported_codecs:
            return True
        if stream.type != "audio":
            return False
        trial.add_stream(stream.codec, rate=48_000)  # type: ignore[call-overload]
        trial.start_encoding()
    except (av.codec.codec.UnknownCodecError, av.error.ExperimentalError, NotImplementedError):
        return False
    except (av.error.FFmpegError, ValueError):
        return True
    finally:
        with contextlib.suppress(av.error.FFmpegError, OSError, ValueError):
            trial.close()
    return False


def refuse_incompatible(
    found: Sequence[tuple[Stream, str]], output: Path, container: str, other: str
) -> None:
    """Raise a UsageError if there are streams that the container can't hold; it says what to do.

    other: suffix of a container that supports them, or "".
    """
    if found:
        listed = ", ".join(f"{s.type} stream {s.index} ({s.codec})" for s, _ in found)
        them = "it" if len(found) == 1 else "them"
        is_text = all(is_converted(s.codec, container) for s, _ in found)
        remedy = (
            f"{f'name an output that ends in {other}, or ' if other else ''}"
            f"{f'make plain text of {them} with --convert-subtitles, or ' if is_text else ''}leave {them} out"
            " with --drop-incompatible"
        )
        why = next((why for _, why in found if not why.startswith(f"{container} can't hold ")), "")
        raise UsageError(
            f"{output.name}: {container} can't hold {listed}{f': {why}' if why else ''}; {remedy}"
        )
