"""Converts text subtitles for another container: text and times, without styling.

MP4 and MOV support timed text (3GPP TS 26.245, FFmpeg's mov_text), Matroska SubRip, WebM WebVTT.
"""

from __future__ import annotations

import functools
import html
import io
import re
import struct
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av

from pipelines.media.demuxer import open_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import OutputContainer
    from av.stream import Stream as AnyStream

    from pipelines.media.video_info import Stream

__all__ = [
    "ConsecutiveEvents",
    "OverlappingEvents",
    "add_text_track",
    "coded_text",
    "conversion_messages",
    "converted",
    "is_converted",
    "plain_text",
]


_TARGETS = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}
"""Container -> codec of converted subtitles."""
_NEWER_WEBVTT = "S_TEXT/WEBVTT"
"""Matroska's own name of WebVTT, which FFmpeg does not know; it knows WebM's."""
_CONVERTIBLE = frozenset({"subrip", "srt", "text", "ass", "ssa", "webvtt", _NEWER_WEBVTT, "mov_text"})
"""By codec, and by FFmpeg's decoders for them."""
_HELD = {
    "mp4": {"mov_text"},
    "mov": {"mov_text"},
    "matroska": _CONVERTIBLE - {"mov_text", _NEWER_WEBVTT},
    "webm": {"webvtt"},
}
"""Subtitle codecs that a container supports."""
_STYLED = frozenset({"ass", "ssa"})
_ASS_FIELDS = 8
"""Fields of an event in Matroska before its text: ReadOrder, Layer, Style, Name, three margins, Effect."""
_MARKUP = re.compile(r"</?[a-zA-Z][^<>]*>|\{\\[^{}]*\}")
_WEBVTT = frozenset({"webvtt", _NEWER_WEBVTT})
_CUE_TAG = re.compile(r"<[^<>]*>")
_DRAWING = re.compile(r"\{[^{}]*\\p[1-9][^{}]*\}")
_ENDLESS_SECONDS = 5
"""Duration of an event without one."""
_LONGEST_BYTES = 65_535


def is_converted(codec: str, container: str) -> bool:
    """Whether a track of that codec has to be converted for that container."""
    return container in _TARGETS and codec in _CONVERTIBLE - _HELD[container]


def converted(container: str) -> str:
    """The codec that text subtitles are converted to for a container, such as mov_text for MP4."""
    return _TARGETS[container]


def conversion_messages(streams: list[Stream], container: str) -> list[str]:
    """Messages for the user about converted tracks."""
    said = []
    for stream in streams:
        lost = (
            "; its fonts, colours, positions and drawings are lost, .mkv would keep them"
            if stream.codec in _STYLED
            else ""
        )
        said.append(
            f"subtitle stream {stream.index} ({stream.codec}) becomes {converted(container)}, "
            f"plain text{lost}"
        )
    return said


def plain_text(codec: str, data: bytes) -> str:
    """The text of an event.

    Tags, the fields, overrides and drawings of ASS, and the styles of timed text are removed.
    """
    if codec == "mov_text":
        data = data[2 : 2 + int.from_bytes(data[:2], "big")]
        return str(data, "utf-16" if data[:2] in {b"\xfe\xff", b"\xff\xfe"} else "utf-8", "replace").strip()
    text = str(data, "utf-8", "replace").partition("\0")[0]
    if codec in _WEBVTT:
        return html.unescape("\n".join(line.rstrip() for line in _CUE_TAG.sub("", text).splitlines()).strip())
    if codec in _STYLED:
        text = text.split(",", _ASS_FIELDS)[-1]
        if _DRAWING.search(text):
            return ""
        text = text.replace(r"\N", "\n").replace(r"\n", "\n").replace(r"\h", "\u00a0")
    return "\n".join(line.rstrip() for line in _MARKUP.sub("", text).splitlines()).strip()


def coded_text(text: str, codec: str) -> bytes:
    """Encode text in one of the target codecs.

    A sample of timed text is a length and the text, truncated if it is too long.
    """
    if codec == "webvtt":
        return html.escape(text, quote=False).encode()
    if codec != "mov_text":
        return text.encode()
    data = str(text.encode()[:_LONGEST_BYTES], "utf-8", "ignore").encode()
    return struct.pack(">H", len(data)) + data


class OverlappingEvents:
    """Passes on the events of a track, which may overlap. `add` and `rest` work as in `ConsecutiveEvents`."""

    def __init__(self, base: Fraction) -> None:
        """base: seconds per tick."""
        self._endless = round(_ENDLESS_SECONDS / base)

    def add(self, start: int, duration: int, text: str) -> Iterator[tuple[int, int, str]]:
        """Yield (tick, ticks, text) of the event."""
        if text:
            yield start, duration or self._endless, text

    def rest(self) -> Iterator[tuple[int, int, str]]:
        """Yield nothing, as no event is held back."""
        yield from ()


class ConsecutiveEvents:
    """Turns the events of a track into consecutive samples.

    Events shown at the same time become one sample of several lines.
    """

    def __init__(self, base: Fraction) -> None:
        """base: seconds per tick."""
        self._endless = round(_ENDLESS_SECONDS / base)
        self._shown: list[tuple[int, str]] = []
        """(tick of its end, text)."""
        self._at = 0

    def add(self, start: int, duration: int, text: str) -> Iterator[tuple[int, int, str]]:
        """Yield (tick, ticks, text) of the samples that end when another event begins.

        start: tick at which the new event begins, not before the previous event's.
        """
        if not text:
            return
        yield from self._until(start)
        self._at = max(self._at, start)
        self._shown.append((start + (duration or self._endless), text))

    def rest(self) -> Iterator[tuple[int, int, str]]:
        """Yield (tick, ticks, text) of the remaining samples."""
        yield from self._until(max((end for end, _ in self._shown), default=self._at))

    def _until(self, stop: int) -> Iterator[tuple[int, int, str]]:
        while self._shown and self._at < stop:
            end = min(stop, *(e for e, _ in self._shown))
            if end > self._at:
                yield self._at, end - self._at, "\n".join(text for _, text in self._shown)
            self._at = max(self._at, end)
            self._shown = [(e, text) for e, text in self._shown if e > self._at]


def add_text_track(output: OutputContainer, codec: str) -> AnyStream:
    """Add a track of plain text.

    Timed text gets the default style: white, bottom centre.
    """
    if codec != "mov_text":
        return output.add_mux_stream(codec)
    with open_memory(_template()) as template:
        track: Any = output.add_stream_from_template(template.streams[0], opaque=True)  # type: ignore[type-var]
    track.codec_context.extradata = _DESCRIPTION
    return track  # type: ignore[no-any-return]


_FONTS = b"\0\1\0\1\5Arial"
_DESCRIPTION = (
    struct.pack(">IbB4B4H", 0, 1, 255, 0, 0, 0, 0, 0, 0, 0, 0)  # flags, centre, bottom, background, box
    + struct.pack(
        ">HHHBB4B", 0, 0, 1, 0, 18, 255, 255, 255, 255
    )  # style of all characters: font 1, 18 lines high, white
    + struct.pack(">I4s", 8 + len(_FONTS), b"ftab")
    + _FONTS
)
"""TextSampleEntry without its box header (clause 5.16)."""


@functools.cache
def _template() -> bytes:
    """An MP4 with a track of timed text: FFmpeg's encoder, which could create one, needs an ASS header."""
    buffer = io.BytesIO()
    output = av.open(buffer, "w", format="mp4", container_options={"movflags": "empty_moov"})
    track = output.add_mux_stream("mov_text")
    track.time_base = Fraction(1, 1000)
    output.start_encoding()
    data = coded_text(" ", "mov_text")
    packet: Any = av.Packet(len(data))
    packet.update(data)
    packet.stream, packet.time_base, packet.pts, packet.dts, packet.duration = track, track.time_base, 0, 0, 1
    output.mux(packet)
    output.close()
    return buffer.getvalue()
