"""Which stream of a file is the film, and what the others are."""

from __future__ import annotations

import contextlib
import io
import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import av
from av.bitstream import BitStreamFilterContext
from av.stream import Disposition

from models.errors import MediaError, UsageError
from pipelines.codec.ffmpeg_log import captured_log
from pipelines.file_parsing.encryption import encrypted_tracks
from pipelines.file_parsing.file_bytes import movie_tracks, sample_format
from pipelines.file_parsing.matroska import codec_ids, track_languages
from pipelines.media.video_info import Stream

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from av.container import InputContainer
    from av.stream import Stream as AnyStream
    from av.video.stream import VideoStream

    from pipelines.media.packet_reader import PacketData
    from pipelines.probe.packet_index import PacketWalk

__all__ = ["choose_stream", "encrypted_streams", "other_streams", "unread_languages"]


def choose_stream(container: InputContainer, number: int | None = None) -> VideoStream:
    """Select a video stream, ignoring cover art: FFmpeg's best, or the `number`-th.

    Raises MediaError if there is no such stream.
    """
    films = [
        s
        for s in container.streams.video
        if not s.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails)
    ]
    tiles = [s for s in films if s.disposition & Disposition.dependent]
    films = [s for s in films if s not in tiles]
    # only thumbnails are left
    if tiles and not any(s.disposition & Disposition.default for s in films):
        width, height = tiles[0].codec_context.width, tiles[0].codec_context.height
        raise MediaError(
            f"{_name(container)}: is a photo of {len(tiles)} tiles of {width}x{height}, which have to be put"
            " together first (HEIC and AVIF grids); make a PNG or TIFF of it with the camera's or the"
            " system's own viewer and upscale that"
        )
    if not films:
        kinds = sorted({s.type for s in container.streams})
        raise MediaError(f"{_name(container)}: has no video stream (found: {', '.join(kinds) or 'nothing'})")
    if number is not None:
        if not 0 <= number < len(films):
            found = f"{len(films)} films, 0 to {len(films) - 1}" if len(films) > 1 else "one film, 0"
            raise UsageError(
                f"{_name(container)}: --video-stream {number} is not one of its streams; it has {found}"
            )
        return films[number]
    best = container.streams.best("video")
    return next((s for s in films if best is not None and s.index == best.index), films[0])


def _name(container: InputContainer) -> str:
    return container.name.removeprefix("file:")


def encrypted_streams(container: InputContainer) -> frozenset[int]:
    """Indexes of the streams that can't be decoded without a key, if the file declares this."""
    name = container.format.name
    if not (found := encrypted_tracks(_name(container), name)):
        return frozenset()
    if name.startswith("mov"):
        return frozenset(s.index for s in container.streams if s.id in found)
    return frozenset(s.index for place, s in enumerate(_matroska_tracks(container)) if place in found)


def _matroska_tracks(container: InputContainer) -> list[AnyStream]:
    """The streams that are tracks of a Matroska file, in its order; others are its attachments."""
    tracks = [s for s in container.streams if s.type in {"video", "audio", "subtitle"}]
    return [s for s in tracks if not s.disposition & Disposition.attached_pic]


def unread_languages(container: InputContainer) -> Iterator[str]:
    """What FFmpeg loses of the languages of a Matroska file (RFC 9559 section 5.1.4.1.20), in words.

    It reads only the older element, of three letters, and takes a track without it for English.
    """
    if not container.format.name.startswith("matroska"):
        return
    tracks, found = _matroska_tracks(container), track_languages(_name(container))
    if len(tracks) != len(found):
        return
    for stream, (old, new) in zip(tracks, found, strict=True):
        if new and ("-" in new or not old):
            yield (
                f"{stream.type} stream {stream.index}: its language {new} becomes"
                f" {stream.metadata.get('language', 'unknown')}, as FFmpeg reads no BCP 47 tags"
            )


def other_streams(
    container: InputContainer, film: VideoStream, seen: PacketWalk, encrypted: Container[int]
) -> tuple[Stream, ...]:
    """Return all streams except the film, in file order; encrypted: result of `encrypted_streams`."""
    own_names = _own_names(container)
    return tuple(
        Stream(
            index=s.index,
            type=s.type,
            codec=_codec_name(s, own_names.get(s.index, "")),
            language=s.metadata.get("language", ""),
            title=s.metadata.get("title", "") or s.metadata.get("name", ""),  # MP4 and MOV
            disposition=int(s.disposition),
            packet_count=seen.counts.get(s.index, 0),
            is_cover=bool(s.disposition & Disposition.attached_pic),
            drift=float(seen.others.drift.get(s.index, 0)),
            longest=max((p.duration for p in seen.others.first.get(s.index, ())), default=0)
            * float(s.time_base or 0),
            begins=_begin(seen.others.first.get(s.index, ())) * Fraction(s.time_base or 1),
            priming=_priming(s, seen.others.first.get(s.index, ())),
            is_encrypted=s.index in encrypted,
        )
        for s in container.streams
        if s.index != film.index
    )


def _begin(packets: Sequence[PacketData]) -> int:
    """Time of the first packet, in ticks."""
    return next((p.pts for p in packets if p.pts is not None), 0)


def _priming(stream: AnyStream, packets: Sequence[PacketData]) -> Literal["", "hidden", "known"]:
    """`Stream.priming`."""
    context = getattr(stream, "codec_context", None)
    if stream.type != "audio" or context is None:
        return ""
    # FFmpeg's name for the initial padding of audio
    return "known" if context.delay else "hidden" if packets and packets[0].hidden else ""


def _own_names(container: InputContainer) -> dict[int, str]:
    """The container's names of formats that FFmpeg does not know, by index of stream.

    The result is empty for a Matroska file in which FFmpeg found other tracks.
    """
    tracks = [s for s in container.streams if not s.disposition & Disposition.attached_pic]
    unknown = {s.index for s in tracks if getattr(s, "codec_context", None) is None}
    if container.format.name.startswith("mov") and unknown:
        boxes = movie_tracks(_name(container))
        return {s.index: sample_format(boxes[s.id]) for s in tracks if s.index in unknown and s.id in boxes}
    tracks = [s for s in tracks if s.type in {"video", "audio", "subtitle"}]
    if not container.format.name.startswith("matroska") or not unknown & {s.index for s in tracks}:
        return {}
    names = codec_ids(_name(container))
    return {s.index: name for s, name in zip(tracks, names, strict=True)} if len(names) == len(tracks) else {}


def _codec_name(stream: object, own_name: str) -> str:
    """own_name: the container's name, for codecs that FFmpeg does not know."""
    context = getattr(stream, "codec_context", None)
    known = getattr(context, "name", "") or own_name or getattr(stream, "name", "")
    return str(known or _name_by_muxer(stream) or "unknown")


def _name_by_muxer(stream: Any) -> str:
    """FFmpeg's name of a codec without a decoder here, such as dvb_teletext; empty if it has none.

    PyAV doesn't tell it; the muxer of MP4 does when it refuses the codec.
    """
    beside = {"audio": "aac", "video": "h264", "subtitle": "mov_text"}.get(stream.type)
    if beside is None:
        return ""
    with (
        captured_log(av.logging.ERROR) as logged,
        contextlib.suppress(av.error.FFmpegError, ValueError),
        av.open(io.BytesIO(), "w", format="mp4") as trial,
    ):
        BitStreamFilterContext("null", in_stream=stream, out_stream=trial.add_mux_stream(beside))
        trial.start_encoding()
    found = (_REFUSED_CODEC.search(text) for _, _, text in logged)
    return next((match[1] for match in found if match), "")


_REFUSED_CODEC = re.compile(r"Could not find tag for codec (\w+) in stream")
