"""`PacketReader`: the video packets of a file, as they are sent to workers."""

from __future__ import annotations

import itertools
import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import av

from pipelines.media.demuxer import open_source, packets_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from av.container import InputContainer
    from av.video.stream import VideoStream

__all__ = ["LASTING_SIDE_DATA", "Check", "CurrentSideData", "PacketData", "PacketReader", "is_filler"]


@dataclass(frozen=True, slots=True)
class PacketData:
    """A compressed packet in the form that is sent to a worker.

    Bytes, and times in ticks of the stream (None if absent).
    """

    data: bytes
    pts: int | None
    dts: int | None
    duration: int
    key: bool
    hidden: bool = False
    """Decode, but do not show (edit lists of the container)."""
    side: tuple[tuple[str, bytes], ...] = ()
    """Side data that affects the image, by FFmpeg's name: the packet's own, and headers and palettes still
    valid."""
    checks: tuple[tuple[int, int], ...] = ()
    """(pts, `decoder.checksum`) of frames that begin here, as decoded by the container's own decoder."""


def is_filler(packet: av.Packet[Any]) -> bool:
    """Whether this is an empty sample between subtitles of an MP4 (3GPP TS 26.245).

    Such samples are not copied, because the muxer inserts new ones.
    """
    context = getattr(packet.stream, "codec_context", None)
    return context is not None and context.name == "mov_text" and bytes(packet) == b"\x00\x00"


LASTING_SIDE_DATA = ("new_extradata", "palette", "param_change")
"""Kinds that are valid until the next of their kind; a decoder that starts later needs them."""
_OWN_SIDE_DATA = frozenset(
    {
        "a53_cc",
        "display_matrix",
        "mastering_display_metadata",
        "content_light_level",
        "icc_profile",
        "dynamic_hdr10_plus",
    }
)
"""Kinds that a decoder passes on to the frame of their packet."""


class CurrentSideData:
    """Tracks the side data of a stream; must get all packets of the stream, in order."""

    def __init__(self) -> None:
        self._lasting: dict[str, bytes] = {}
        self.extradata: bytes | None = None
        """The header that replaced the stream's own extradata."""
        self.is_changed = False
        """Whether the latest packet brought lasting side data."""

    def see(self, packet: av.Packet[Any]) -> tuple[tuple[str, bytes], ...]:
        """Process a packet; returns the side data for a decoder that starts with it."""
        self.is_changed = False
        own = []
        for kind, data in _side_data(packet):
            if kind in _OWN_SIDE_DATA:
                own.append((kind, data))
            elif kind in LASTING_SIDE_DATA and self._lasting.get(kind) != data:
                self._lasting[kind], self.is_changed = data, True
        self.extradata = self._lasting.get("new_extradata")
        return (*self._lasting.items(), *own)


def _side_data(packet: av.Packet[Any]) -> list[tuple[str, bytes]]:
    try:
        return [(found.data_type, bytes(found)) for found in packet.iter_sidedata()]
    except IndexError:  # it contains a kind that PyAV has no name for
        kinds = (*LASTING_SIDE_DATA, *_OWN_SIDE_DATA)
        return [(kind, bytes(packet.get_sidedata(kind))) for kind in kinds if packet.has_sidedata(kind)]  # type: ignore[arg-type]


class PacketReader:
    """The video packets of a file by row, demuxed once in sequence, with a window for rows needed twice.

    Rows count non-empty packets of the chosen stream in demuxer order, as in `PacketIndex`. A row before the
    window, which is needed only if a chunk is made again, restarts the demuxer from the beginning.
    """

    def __init__(self, path: str | os.PathLike[str], stream_index: int, check: Check | None = None) -> None:
        """check: its results for some packets are sent along with them."""
        self._path, self._stream_index, self._check = Path(path), stream_index, check
        self._container: InputContainer | None = None
        self._packets: Iterator[PacketData] = iter(())
        self._window: deque[PacketData] = deque()
        self._first = 0
        """Row of the window's first packet."""

    def rows(self, first: int, stop: int, *, keep_from: int) -> Iterator[PacketData]:
        """Yield rows `first` to `stop` (exclusive). Rows before `keep_from` are no longer kept in the window.

        Raises MediaError if the file can't be opened or read.
        """
        if self._container is None or first < self._first:
            self._restart()
        row = first
        while row < stop:
            while row >= self._first + len(self._window):
                packet = next(self._packets, None)
                if packet is None:
                    return
                self._window.append(packet)
                self._drop_before(min(keep_from, row))
            yield self._window[row - self._first]
            row += 1
        self._drop_before(keep_from)

    def _drop_before(self, row: int) -> None:
        while self._window and self._first < row:
            self._window.popleft()
            self._first += 1

    def _restart(self) -> None:
        self.close()
        self._container = open_source(self._path)
        stream = self._container.streams[self._stream_index]
        if self._check is not None:
            self._check.begin(stream)  # type: ignore[arg-type]
        self._packets = _packet_data(packets_of(self._container, self._path, stream), self._check)
        self._window.clear()
        self._first = 0

    def close(self) -> None:
        """Close the file; a later `rows` opens it again."""
        if self._container is not None:
            self._container.close()
            self._container = None


class Check(Protocol):
    """Decodes some packets with the container's own decoder."""

    depth: int
    """Number of packets that it needs at once."""

    def begin(self, stream: VideoStream) -> None:
        """Prepare for the first packet of the stream."""

    def see(
        self, row: int, packets: Sequence[av.Packet[Any]], *, is_changed: bool
    ) -> tuple[tuple[int, int], ...]:
        """Get a packet and those after it; returns its `PacketData.checks`.

        is_changed: the packet carries a new header or palette.
        """


def _packet_data(packets: Iterable[av.Packet[Any]], check: Check | None = None) -> Iterator[PacketData]:
    in_force = CurrentSideData()
    ahead: deque[av.Packet[Any]] = deque()
    # not `dts is None`: Matroska's first key frames have none
    coming = (packet for packet in packets if packet.size)
    for row in itertools.count():
        ahead.extend(itertools.islice(coming, max(1, check.depth if check is not None else 1) - len(ahead)))
        if not ahead:
            return
        packet = ahead[0]
        side = in_force.see(packet)
        checks = check.see(row, ahead, is_changed=in_force.is_changed) if check is not None else ()
        yield PacketData(
            bytes(packet),
            packet.pts,
            packet.dts,
            packet.duration or 0,
            packet.is_keyframe,
            packet.is_discard,
            side,
            checks,
        )
        ahead.popleft()
