"""`span_frames`: the frames of a span, decoded, checked against the expected ones, and filtered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.codec.decoder import decode
from pipelines.codec.dynamic_metadata import fit_metadata, with_dynamic_hdr
from pipelines.codec.expected_frames import checked_frames
from pipelines.codec.filter_graph import filtered, whole_frames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pipelines.media.packet_reader import PacketData
    from pipelines.media.video_info import DecoderSetup, Frame
    from pipelines.plan.plan import Plan
    from pipelines.workers.messages import SpanTask

__all__ = ["FrameCount", "span_frames"]


class FrameCount:
    """Counts frames that pass, for `watch` of `span_frames`."""

    def __init__(self) -> None:
        self.frames = 0

    def count(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Pass frames on, and count each when it is read."""
        for frame in frames:
            self.frames += 1
            yield frame


def span_frames(
    plan: Plan,
    decoder: DecoderSetup,
    task: SpanTask,
    packets: Iterable[PacketData],
    *,
    watch: Callable[[Iterator[Frame]], Iterator[Frame]] = iter,
    clean: bool = True,
) -> Iterator[Frame]:
    """Decode a task's packets; yields the frames for the networks, in display order.

    watch: wraps the decoder's frames, to count them. clean: apply the plan's prefilters and crop. Raises
    CorruptError, MediaError and IndexMismatchError if the frames are not those that the packet index
    promised.
    """
    conceal = plan.on_corrupt == "conceal"
    pixels, expected = plan.decoded_pixels, task.expected(plan, decoder)
    decoded = with_dynamic_hdr(
        packets,
        plan,
        decoder,
        lambda given: decode(given, decoder, pixels, conceal=conceal, checks=task.checks),
    )
    frames = fit_metadata(checked_frames(watch(decoded), expected, conceal=conceal), plan, expected)
    through = filtered if clean else whole_frames
    return through(frames, plan, first=task.first_frame, before=task.before, shown=task.shown)
