"""Whether a file holds one film, complete by the lengths in its container and by its last frames."""

from __future__ import annotations

import contextlib
import itertools
import mmap
import os
import re
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from models.errors import CorruptError, MediaError, counted
from pipelines.codec.decoder import decode
from pipelines.file_parsing.container_check import appended_film, flaw_of
from pipelines.file_parsing.matroska import joined_films, track_headers
from pipelines.media.demuxer import format_of
from pipelines.media.video_info import NO_PTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from av.container import InputContainer
    from av.video.stream import VideoStream

    from pipelines.media.packet_reader import PacketData
    from pipelines.media.pixel_format import PixelFormat
    from pipelines.media.video_info import DecoderSetup, PacketIndex
    from pipelines.probe.packet_index import PacketWalk

__all__ = [
    "CUT_SLICE",
    "damaged_end",
    "flaw_of_film",
    "refuse_joined_fragments",
    "refuse_second_film",
    "refuse_unopened_second_film",
]


_MATROSKA_ROUNDING = Fraction(2, 1000)
_LAST_WORDS = Fraction(1, 20)
"""Seconds by which the streams together may be shorter than declared, because of padding and rounding."""


_BEGINNINGS = {
    "asf": re.compile(re.escape(bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"))),
    "wtv": re.compile(re.escape(bytes.fromhex("b7d800203749da11a64e0007e95ead8d"))),
    "nut": re.compile(rb"nut/multimedia container\0"),
    "apng": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "mxf": re.compile(rb"\x06\x0e\x2b\x34\x02\x05\x01\x01\r\x01\x02\x01\x01\x02[\1-\4]\0"),
    "rm": re.compile(rb"\.RMF\0\0\0[\x10-\x20]"),
    "flv": re.compile(rb"FLV\x01[\0-\x07]\0\0\0\x09\0{4}"),
    "ivf": re.compile(rb"DKIF\0\0\x20\0"),
    "yuv4mpegpipe": re.compile(rb"YUV4MPEG2 [WH]\d"),
}
"""Demuxer -> the first bytes of a file, long enough to be unique in it. If two films were joined byte by
byte, these demuxers end after the first one, or return garbage or constant times after it, without an error.
For MP4, see `appended_film`. Other demuxers continue with the second film."""


def refuse_unopened_second_film(path: str | os.PathLike[str]) -> None:
    """Raise MediaError if a file can't be opened because a second film was appended to it byte by byte."""
    if os.path.isfile(path):
        with open(path, "rb") as file:
            head = file.read(_LEAST_OF_A_FILM)
        for name, beginning in _BEGINNINGS.items():
            if beginning.match(head):
                refuse_second_film(path, name)


def refuse_second_film(path: str | os.PathLike[str], format_name: str) -> None:
    """Raise MediaError if a second film was appended byte by byte, and FFmpeg would skip or misread it.

    It decodes everything in a Matroska file with the headers of the first film.
    """
    if format_name.startswith("matroska"):
        places = [*joined_films(path), os.path.getsize(path)]
        first = track_headers(path, 0, places[0])
        for begins, stop in pairwise(places):
            if track_headers(path, begins, stop) != first:
                raise _joined(path, begins)
    beginning = _BEGINNINGS.get(format_name)
    if beginning is None or os.path.getsize(path) < _LEAST_OF_A_FILM:
        return
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        found = next(itertools.islice(beginning.finditer(content), 1, None), None)
        begins = found.start() if found is not None else 0
    if begins:
        raise _joined(path, begins)


_LEAST_OF_A_FILM = 32
"""Bytes; a smaller file can't contain two films."""


def refuse_joined_fragments(path: str | os.PathLike[str], format_name: str, index: PacketIndex) -> None:
    """Raise MediaError if two fragmented MP4s were joined byte by byte, and the times begin again.

    FFmpeg hides frames of the second film if it has seen their times already, and reads others from wrong
    places.
    """
    decoded = [dts for dts in index.dts if dts != NO_PTS] if format_name.startswith("mov") else []
    if any(after < before for before, after in pairwise(decoded)) and (
        begins := appended_film(path, fragments=True)
    ):
        raise _joined(path, begins)


def _joined(path: str | os.PathLike[str], begins: int) -> MediaError:
    return MediaError(
        f"{path}: a second film stands behind the first, from byte {begins} on, which is not read with it;"
        f" make two files, by `head -c {begins}` and `tail -c +{begins + 1}`, and upscale both"
    )


def flaw_of_film(
    container: InputContainer,
    path: str | os.PathLike[str],
    stream: VideoStream,
    seen: PacketWalk,
    ending: str,
) -> tuple[str, list[str]]:
    """Return (damage or truncation of the file, or empty; messages for the user).

    ending: what is wrong with the last frames.
    """
    flaw = flaw_of(path, format_of(container))
    if (
        flaw is not None
        and seen.tail
        and not ending
        and not seen.damaged
        and (flaw.spared or flaw.cut_track not in {-1, stream.id})
    ):
        return "", [f"{flaw.text}; all frames that had begun are whole"]
    if flaw is not None and flaw.at_the_end and _is_whole(container, os.path.getsize(path), stream, seen):
        flaw = None  # an index or padding at the end is truncated, not the film
    if flaw is None:
        holes = f"is damaged: {counted(seen.damaged, 'packet')} of its video did not arrive whole"
        return (holes if seen.damaged else ending), []
    is_short = flaw.at_the_end and len(seen.index) < stream.frames
    return flaw.text + (f" ({len(seen.index)} of {stream.frames} frames)" if is_short else ""), []


def damaged_end(tail: Sequence[PacketData], setup: DecoderSetup, pixels: PixelFormat) -> str:
    """Describe damage in the frames after the last clean random-access point; empty if there is none.

    Interrupted recordings break off there.
    """
    begins = tail[0].pts if tail else None
    with contextlib.suppress(CorruptError):
        # A missing frame is not damage: it may be a field of another.
        if not any(
            frame.corrupt and frame.pts >= begins
            for frame in decode(tail, setup, pixels)
            if begins is not None
        ):
            return ""
    last_is_whole = any(
        frame.pts == tail[-1].pts and not frame.corrupt for frame in decode(tail, setup, pixels, conceal=True)
    )
    return (
        _DAMAGED
        if last_is_whole
        else "ends early: its last frames are damaged, as where a recording breaks off"
    )


_DAMAGED = "is damaged near its end, though its last frame is whole"
CUT_SLICE = "ends early: its last frame is cut off, as where a recording breaks off"


def _is_whole(container: InputContainer, size: int, stream: VideoStream, seen: PacketWalk) -> bool:
    """Whether all samples are inside a truncated file; False if unknown."""
    if container.format.name.startswith("mov"):
        return not any(entry.pos + entry.size > size for s in container.streams for entry in s.index_entries)
    if container.format.name.startswith("matroska"):
        declared = _tagged_seconds(stream.metadata.get("DURATION", ""))
        if declared:
            return seen.end >= declared - _MATROSKA_ROUNDING
        return (
            bool(container.duration)
            and seen.last >= Fraction(container.duration or 0, 1_000_000) - _LAST_WORDS
        )
    return False


def _tagged_seconds(text: str) -> Fraction:
    """Seconds in a Matroska tag "00:01:02.500000000"; 0 for other text."""
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", text)
    return Fraction(match[1]) * 3600 + Fraction(match[2]) * 60 + Fraction(match[3]) if match else Fraction(0)
