"""Tags, flags and timecode of a file and its tracks: which a container can hold, and how they are copied."""

from __future__ import annotations

import functools
import io
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.stream import Disposition

from pipelines.media.demuxer import open_memory, open_source
from pipelines.media.timestamps import later_timecode

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from av.container import InputContainer
    from av.stream import Stream as AnyStream

    from pipelines.media.video_info import VideoInfo

__all__ = ["ANY_KEYS", "OWN_TAGS", "copy_film_tags", "copy_tags", "film_timecode", "lost_keys", "lost_tags"]


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


_OF_THE_FILE = frozenset({"vendor_id", "creation_time", "handler_name"})
"""Tags of a track about the program and time that wrote the old file: no loss."""


ANY_KEYS = "+use_metadata_tags"
"""FFmpeg's flag of MP4 and MOV for tags with any name."""


def lost_keys(
    tags: Mapping[str, str], track_tags: Mapping[str, str], container: str, flags: str = ANY_KEYS
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

    They are named by key, for the file and for each track. left_out: indexes of streams.
    """
    found = []
    covers = any(s.is_cover and s.index not in left_out for s in info.streams)
    flags = "" if covers else ANY_KEYS
    source = open_source(info.path)
    try:
        for key in lost_keys(source.metadata, {}, container, flags):
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
                lost = _lost_flags(source.streams[stream.index].disposition, container)
                found += [f"{flag} (flag of {stream.type} stream {stream.index})" for flag in lost]
                found += [
                    f"{key} = {tags[key]} (of {stream.type} stream {stream.index})"
                    for key in lost_keys({}, tags, container, flags)
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


def film_timecode(source: InputContainer, info: VideoInfo) -> str:
    """HH:MM:SS:FF of the first frame; empty if unknown.

    It is taken from the tags of the film, of the file, or of a track that no film refers to, else from the
    bitstream.
    """
    tagged = [
        source.streams[info.stream_index].metadata,
        source.metadata,
        *(s.metadata for s in source.streams if s.type == "data"),
    ]
    named = (value for tags in tagged for key, value in tags.items() if key.lower() == "timecode")
    return next(named, info.timecode)


def copy_tags(source: AnyStream, target: AnyStream) -> None:
    """Copy tags and disposition of a stream, without the tags that a muxer writes itself."""
    target.metadata.update(_own_tags(source))
    target.disposition = source.disposition


def copy_film_tags(source: AnyStream, target: AnyStream) -> None:
    """Copy tags of the film, without the one for alpha: the second picture of each frame is left out."""
    copy_tags(source, target)
    for key in [key for key in target.metadata if key.lower() == "alpha_mode"]:
        del target.metadata[key]


def _own_tags(stream: AnyStream) -> dict[str, str]:
    """A stream's tags for a muxer, without those it writes itself."""
    told_anew = ("_STATISTICS", "BPS", "NUMBER_OF_", "DURATION", "ROTATE")
    kept = {
        k: v
        for k, v in stream.metadata.items()
        if k.lower() not in OWN_TAGS and not k.upper().startswith(told_anew)
    }
    return _renamed(kept)
