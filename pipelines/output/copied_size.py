"""`copied_bytes`: the size of a source's other tracks in the output."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pipelines.media.demuxer import open_source, packets_of
from pipelines.output.track_shift import copied_window

if TYPE_CHECKING:
    from collections.abc import Container

    from pipelines.media.video_info import VideoInfo
    from pipelines.plan.plan import Plan

__all__ = ["copied_bytes"]


_OF_A_PACKET = 8
"""Container bytes per packet: size, position and time in MP4's tables, or the header of Matroska's block."""
_OF_A_FILE = 2048


def copied_bytes(info: VideoInfo, plan: Plan, dropped: Container[int]) -> int:
    """Bytes of copied packets and attachments, and of the container around all tracks.

    The source is read once. dropped: indexes of streams that are left out.
    """
    window = copied_window(plan, info)
    found, packets = _OF_A_FILE, plan.frame_count
    source = open_source(info.path)
    try:
        others: list[Any] = [
            s for s in source.streams if s.index not in dropped and s.index != info.stream_index
        ]
        found += sum(len(s.data) for s in others if s.type == "attachment")
        kept = [s for s in others if s.type in {"audio", "subtitle", "video", "data"}]
        for packet in packets_of(source, info.path, *kept) if kept else ():
            if not packet.size:
                continue
            when = packet.pts if packet.pts is not None else packet.dts
            if (
                window is not None
                and when is not None
                and not window[0] <= when * Fraction(packet.time_base) < window[1]
            ):
                continue
            found, packets = found + packet.size, packets + 1
    finally:
        source.close()
    return found + packets * _OF_A_PACKET
