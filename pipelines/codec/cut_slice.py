"""`ends_in_a_slice`: whether a byte stream ends inside its last slice, which decoders don't notice."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import av

from pipelines.codec.decoder import checksum, packet_decoder, picture_planes, rebuild_packet
from pipelines.media.pixel_format import planar_format

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.media.packet_reader import PacketData
    from pipelines.media.video_info import DecoderSetup

__all__ = ["ends_in_a_slice"]


_ARITHMETIC = frozenset({"h264", "hevc", "vvc"})
"""Codecs with arithmetic coding (CABAC), with slices that contain no length: after the end of a cut slice, a
decoder reads zeros as coefficients."""
_START_CODES = (b"\0\0\1", b"\0\0\0\1")
_OTHER_BITS = b"\xff" * 64


def ends_in_a_slice(tail: Sequence[PacketData], setup: DecoderSetup) -> bool:
    """Whether the last of some packets is cut inside its last slice.

    The packets begin where decoding may start. A complete slice signals its own end, so bytes after it change
    nothing (end_of_slice_flag in 7.3.4 of H.264, end_of_slice_segment_flag in 7.3.8.1 of H.265). A cut slice
    decodes differently if other bytes follow. Only for byte streams (annex B of both).
    """
    if setup.codec not in _ARITHMETIC or not tail or not tail[-1].data.startswith(_START_CODES):
        return False
    first = max((n for n, packet in enumerate(tail) if packet.key), default=0)
    group, last = tail[first:-1], tail[-1]
    longer = replace(last, data=last.data.rstrip(b"\0") + _OTHER_BITS)
    pictures, is_broken = _pictures([*group, last], setup)
    return is_broken or pictures != _pictures([*group, longer], setup)[0]


def _pictures(packets: Sequence[PacketData], setup: DecoderSetup) -> tuple[list[int], bool]:
    """A checksum for each frame that can be decoded, and whether only the last packet gave an error."""
    decoder = packet_decoder(setup)
    decoder.options = {**decoder.options, "err_detect": "explode"}  # or frames with errors are filled up
    decoder.thread_count = 1  # or damage shows in other frames from run to run
    known: dict[str, bytes] = {}
    found: list[int] = []
    failed: list[int] = []
    for number, packet in enumerate((*packets, None)):
        try:
            frames = decoder.decode(rebuild_packet(packet, known) if packet is not None else None)
        except av.error.FFmpegError:
            failed.append(number)
            continue
        found += (checksum(picture_planes(frame, planar_format(frame.format.name))) for frame in frames)
    return found, bool(failed) and failed[0] >= len(packets) - 1
