"""`film_packets`: the packets of all encoded chunks in sequence, with their times in the output."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

from models.errors import VerificationError
from pipelines.media.demuxer import open_memory
from pipelines.output.track_shift import start_shift
from pipelines.plan.timeline import timeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TypeAlias

    import av
    from av.stream import Stream as AnyStream

    from pipelines.output.chunk_record import ChunkRecord, ResultParts

    Packet: TypeAlias = av.Packet[Any]

__all__ = ["decode_times", "film_packets"]


def _chunk_packets(record: ChunkRecord) -> Iterator[Packet]:
    container = open_memory(record.read())
    try:
        for packet in container.demux(video=0):
            if packet.size:
                yield packet
    finally:
        container.close()


def decode_times(chunks: Iterable[Sequence[int]]) -> tuple[array[int], int]:
    """Return (presentation times of all frames in order, number of frames by which decoding is ahead).

    chunks: for each chunk its packets' timestamps in decode order. With D as that delay and S the sorted
    times, packet j is decoded at S[j - D]: strictly ascending, never after it is shown, whatever the spacing
    on either side of a chunk boundary.
    """
    shown = array("q")
    lead = 0
    for pts in chunks:
        order = sorted(pts)
        rank = {p: i for i, p in enumerate(order)}
        lead = max(lead, *(j - rank[p] for j, p in enumerate(pts)))
        shown.extend(order)
    return shown, lead


def film_packets(parts: ResultParts, video: AnyStream) -> Iterator[Packet]:
    """Yield the packets of all chunks, with their times in the output.

    Raises VerificationError if some are missing.
    """
    plan, info, records = parts.plan, parts.info, parts.records
    shown, lead = decode_times(r.pts for r in records)
    step = max(1, (shown[-1] - shown[0]) // max(1, len(shown) - 1)) if len(shown) > 1 else 1
    shift = round(start_shift(plan, info) / plan.time_base)
    promised = timeline(info, plan)
    number = 0
    for record in records:
        count = 0
        chunk = plan.chunks[record.index]
        own = slice(
            *(
                plan.results(frame) - plan.results(plan.start_frame)
                for frame in (chunk.start_frame, chunk.stop_frame)
            )
        )
        durations = dict(zip(promised.pts[own], promised.durations[own], strict=True))
        for packet, pts in zip(_chunk_packets(record), record.pts, strict=False):
            packet.stream = video
            packet.time_base = plan.time_base
            packet.pts = pts - shift
            packet.dts = (
                shown[number - lead] if number >= lead else shown[0] - (lead - number) * step
            ) - shift
            packet.duration = durations[pts]
            number, count = number + 1, count + 1
            yield packet
        if count != len(record.pts):
            raise VerificationError(
                f"chunk {record.index} holds {count} packets, its manifest says {len(record.pts)}"
            )
