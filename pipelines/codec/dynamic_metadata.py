"""Decoded frames with the dynamic HDR metadata of their packets.

`with_dynamic_hdr` attaches it; `fit_metadata` converts it to the size of the output.
"""

from __future__ import annotations

import bisect
from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.media.bitstream import nal_length_size
from pipelines.media.demuxer import open_memory
from pipelines.media.dolby_vision import with_active_area
from pipelines.media.dynamic_hdr import DynamicHdr, dynamic_hdr_of, hdr10_plus_windows
from pipelines.media.pixel_format import PixelCrop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pipelines.codec.encoder import EncodedChunk
    from pipelines.codec.expected_frames import ExpectedFrames
    from pipelines.media.packet_reader import PacketData
    from pipelines.media.video_info import DecoderSetup, Frame
    from pipelines.plan.plan import Plan

__all__ = ["active_area", "first_metadata_mismatch", "fit_metadata", "with_dynamic_hdr"]


_MOST_WAITING = 256
"""Packets ahead of the decoded frame: more than any decoder holds back."""
_CODECS = {"libdav1d": "av1"}
_REMEDY = "; --dynamic-hdr drop leaves it out of the result"


def with_dynamic_hdr(
    packets: Iterable[PacketData],
    plan: Plan,
    setup: DecoderSetup,
    decode: Callable[[Iterable[PacketData]], Iterable[Frame]],
) -> Iterator[Frame]:
    """Decode packets with `decode`, and attach the metadata that the plan keeps to each frame.

    A frame is matched with its packet by timestamp, or by number if timestamps identify no frames
    (`Plan.linear`).
    """
    if not plan.dynamic_hdr:
        yield from decode(packets)
        return
    carried = _Carried(plan, setup)
    for frame in decode(carried.watched(packets)):
        frame.dynamic_hdr = carried.of(frame)
        yield frame


class _Carried:
    """Keeps the metadata of packets until their frames are decoded."""

    def __init__(self, plan: Plan, setup: DecoderSetup) -> None:
        self._kinds, self._by_number = plan.dynamic_hdr, plan.linear
        self._codec = _CODECS.get(setup.codec, setup.codec)
        self._length_size = nal_length_size(self._codec, setup.extradata)
        self._waiting: dict[int, DynamicHdr] = {}

    def watched(self, packets: Iterable[PacketData]) -> Iterator[PacketData]:
        """Pass packets on, and keep their metadata."""
        for number, packet in enumerate(packets):
            header = next((content for kind, content in packet.side if kind == "new_extradata"), None)
            if header is not None:
                self._length_size = nal_length_size(self._codec, header)
            found = dynamic_hdr_of(self._codec, packet.data, self._length_size, packet.side)
            passed = replace(packet, pts=number) if self._by_number else packet
            if found and passed.pts is not None and not packet.hidden:
                self._waiting[passed.pts] = found
                if len(self._waiting) > _MOST_WAITING:
                    del self._waiting[next(iter(self._waiting))]
            yield passed

    def of(self, frame: Frame) -> DynamicHdr | None:
        """The metadata of a frame's packet, of the kinds that the plan keeps."""
        found = self._waiting.pop(frame.pts, None)
        if found is None:
            return None
        kept = DynamicHdr(
            found.hdr10_plus if "hdr10+" in self._kinds else b"",
            found.dolby_vision if "dolby-vision" in self._kinds else b"",
        )
        return kept or None


def fit_metadata(frames: Iterable[Frame], plan: Plan, expected: ExpectedFrames) -> Iterator[Frame]:
    """Convert the metadata of frames to the size of the output.

    Raises MediaError for metadata that can't be carried over; if damage is concealed, the frame loses it
    instead.
    """
    for frame in frames:
        if not frame.dynamic_hdr:
            yield frame
            continue
        try:
            own = _fitted(frame.dynamic_hdr, plan)
        except ValueError as error:
            if plan.on_corrupt == "conceal":
                yield replace(frame, dynamic_hdr=None, corrupt=True)
                continue
            place = bisect.bisect_left(expected.pts, frame.pts)
            raise expected.change_error(place, f"{error}{_REMEDY}") from error
        # Not in place: a frame that replaces a damaged one after it shares this metadata.
        yield replace(frame, dynamic_hdr=own)


def _fitted(found: DynamicHdr, plan: Plan) -> DynamicHdr:
    if found.hdr10_plus and hdr10_plus_windows(found.hdr10_plus) != 1:
        raise ValueError("its HDR10+ metadata treats parts of the picture on their own")
    if not found.dolby_vision:
        return found
    try:
        return replace(
            found, dolby_vision=with_active_area(found.dolby_vision, lambda area: active_area(area, plan))
        )
    except ValueError as error:
        raise ValueError(f"its Dolby Vision metadata can't be carried over ({error})") from error


def first_metadata_mismatch(chunk: EncodedChunk, codec: str) -> int | None:
    """Timestamp of the first frame without metadata in its packet, or None."""
    with open_memory(chunk.data) as container:
        stream = container.streams.video[0]
        length_size = nal_length_size(codec, stream.codec_context.extradata)
        packets = (bytes(packet) for packet in container.demux(stream) if packet.size)
        found = [dynamic_hdr_of(codec, data, length_size).mark for data in packets]
    shown = sorted(zip(chunk.pts, found, strict=True))
    wrong = (pts for (pts, mark), own in zip(shown, chunk.dynamic_hdr, strict=True) if mark != own)
    return next(wrong, None)


def active_area(area: tuple[int, int, int, int], plan: Plan) -> tuple[int, int, int, int]:
    """Convert the margins (left, right, top, bottom) of the active area to the output.

    The stored frame is cropped, rotated and scaled.
    """
    left, right, top, bottom = area
    crop = plan.crop
    inner = PixelCrop(
        max(0, top - crop.top),
        max(0, bottom - crop.bottom),
        max(0, left - crop.left),
        max(0, right - crop.right),
    )
    turned = inner.turned(plan.orientation)
    left, right = (_scaled(offset, plan.width, plan.out_width) for offset in (turned.left, turned.right))
    top, bottom = (_scaled(offset, plan.height, plan.out_height) for offset in (turned.top, turned.bottom))
    return left, right, top, bottom


def _scaled(offset: int, size: int, out: int) -> int:
    """Scale an offset, rounded to the nearest pixel."""
    return (2 * offset * out + size) // (2 * size)
