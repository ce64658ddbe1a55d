"""Whether a film is complete, by the lengths in its container and by its last frames."""

from __future__ import annotations

import contextlib
import os
import re
from fractions import Fraction
from typing import TYPE_CHECKING

from models.errors import CorruptError
from pipelines.codec.decoder import decode
from pipelines.media.container_check import flaw_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from av.container import InputContainer
    from av.video.stream import VideoStream

    from pipelines.media.packet_reader import PacketData
    from pipelines.media.pixel_format import PixelFormat
    from pipelines.media.video_info import DecoderSetup
    from pipelines.probe.packet_index import PacketWalk

__all__ = ["CUT_SLICE", "damaged_end", "flaw_of_film"]


_MATROSKA_ROUNDING = Fraction(2, 1000)
_LAST_WORDS = Fraction(1, 20)
"""Seconds by which the streams together may be shorter than declared, because of padding and rounding."""


def flaw_of_film(
    container: InputContainer,
    path: str | os.PathLike[str],
    stream: VideoStream,
    seen: PacketWalk,
    ending: str,
) -> tuple[str, list[str]]:
    """(damage or truncation of the file, empty if there is none; messages for the user).

    ending: what is wrong with the last frames.
    """
    flaw = flaw_of(path, container.format.name)
    if (
        flaw is not None
        and seen.tail
        and not ending
        and not seen.damaged
        and (flaw.spared or flaw.cut_track not in {-1, stream.id})
    ):
        return "", [f"{flaw.text}; all frames that had begun are whole"]
    if flaw is not None and flaw.at_the_end and _is_whole(container, os.path.getsize(path), stream, seen):
        flaw = None  # an index or padding at the end is cut, no film
    if flaw is None:
        holes = f"is damaged: {seen.damaged} packets of its video did not arrive whole"
        return (holes if seen.damaged else ending), []
    is_short = flaw.at_the_end and len(seen.index) < stream.frames
    return flaw.text + (f" ({len(seen.index)} of {stream.frames} frames)" if is_short else ""), []


def damaged_end(tail: Sequence[PacketData], setup: DecoderSetup, pixels: PixelFormat) -> str:
    """Describe damage in the frames after the last clean random-access point; empty if there is none.

    Interrupted recordings break off there.
    """
    begins = tail[0].pts if tail else None
    with contextlib.suppress(CorruptError):
        # A frame that does not come is no damage: it may be a field of another.
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
