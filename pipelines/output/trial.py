"""`tracks_that_fail`: makes and checks a small output before work starts.

Two flat frames from the real encoder, and the first and last packets of every other track, go through the
real muxer and verification. Whatever would fail at the end of a run with this container, codec or track fails
here.
"""

from __future__ import annotations

import base64
import json
import math
import tempfile
import zlib
from array import array
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from models.errors import ResourceError, UsageError, VsrError
from pipelines.codec.encoder import encode_chunk, stream_facts
from pipelines.containers.container_support import incompatible_streams
from pipelines.containers.copied_tracks import REWRAPPED, is_unframed_audio
from pipelines.containers.subtitle_text import is_converted
from pipelines.frames.thumbnail import grid_for, packed_thumbnail, thumbnail
from pipelines.media.demuxer import open_source
from pipelines.media.video_info import Chunk, Frame
from pipelines.output.chunk_record import ChunkRecord, ResultParts
from pipelines.output.muxer import assemble, write_result
from pipelines.output.result_contents import UNHEARD_DRIFT
from pipelines.output.verification import verify
from pipelines.plan.timeline import timeline
from pipelines.storage.child_call import ChildFailedError, call_in_child

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType
    from typing import TypeAlias

    from av.container import InputContainer

    from pipelines.codec.encoder import EncodedChunk
    from pipelines.media.video_info import Stream, VideoInfo
    from pipelines.plan.plan import Plan

    Packet: TypeAlias = av.Packet[Any]

__all__ = ["tracks_that_fail"]


def tracks_that_fail(
    plan: Plan, info: VideoInfo, *, convert_subtitles: bool = False
) -> list[tuple[Stream, str]]:
    """Tracks of the source that the output can't hold, with reasons.

    Without them, and with all others, the small output passed verification. convert_subtitles: tracks that
    can be converted to timed text are not among them. Raises UsageError if the film alone fails.
    """
    with _Trial(plan, info) as trial:
        container = plan.encoder.container
        known = [] if plan.encoder.is_picture else incompatible_streams(info, container)
        if convert_subtitles:
            known = [(s, why) for s, why in known if not is_converted(s.codec, container)]
        known += [
            (s, why) for s in info.streams if (why := _drift(s, container)) and s not in {k for k, _ in known}
        ]
        out = frozenset(s.index for s, _ in known)
        if not trial.failure(out):
            return sorted(known, key=lambda one: one[0].index)
        others = frozenset(s.index for s in info.streams)
        if (why := trial.failure(others)) or not others:
            raise UsageError(
                f"{info.path}: the result can't be made: {why or trial.failure(out)}; name an output of"
                " another kind, or another --codec"
            )
        alone = [
            (s, why)
            for s in info.streams
            if s.index not in out and (why := trial.failure(others - {s.index}))
        ]
        found = sorted((*known, *alone), key=lambda one: one[0].index)
        why = trial.failure(frozenset(s.index for s, _ in found))
        return found if not why else [(s, why) for s in info.streams]


def _drift(stream: Stream, container: str) -> str:
    """The problem of audio with packet times that MP4 and MOV can't store."""
    if (
        container not in {"mp4", "mov"}
        or not (is_unframed_audio(stream.codec) or stream.codec in REWRAPPED)
        or stream.drift <= UNHEARD_DRIFT
    ):
        return ""
    return (
        f"its packets lie up to {stream.drift:.3f} s from where their samples would, and {container} keeps"
        " PCM end to end"
    )


class _Trial:
    """A plan and its source cut down to two frames, and the folder for trial outputs."""

    def __init__(self, plan: Plan, info: VideoInfo) -> None:
        frames = slice(
            plan.start_frame, min(plan.stop_frame, plan.start_frame + (1 if plan.encoder.is_picture else 2))
        )
        self._info = replace(info, pts=info.pts[frames], durations=info.durations[frames])
        count = self._info.frame_count
        # Damage does not concern the container: the run will report or conceal it.
        self._plan = replace(
            plan,
            start_frame=0,
            stop_frame=count,
            chunks=(Chunk(0, 0, count),),
            spans=(),
            on_corrupt="conceal",
        )
        self._plan = _in_small(self._plan)
        if plan.pulldown is not None:  # two of its own frames are sufficient
            self._plan = replace(self._plan, pulldown=replace(plan.pulldown, first_frame=0, letters=""))
        self._folder = tempfile.TemporaryDirectory(prefix="vsr-trial-")
        self._record: ChunkRecord | None = None

    def __enter__(self) -> _Trial:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def failure(self, dropped: frozenset[int]) -> str:
        """Why the output can't be made without the streams `dropped`; empty if it can."""
        target = Path(self._folder.name) / "result"
        try:
            self._record = self._record or _encoded(self._plan, self._info, Path(self._folder.name))
            parts = ResultParts(self._plan, self._info, [self._record])
            if self._plan.encoder.is_picture:
                passed = assemble(parts, target, dropped=dropped)
            else:
                source = open_source(self._info.path)
                try:
                    packets = _samples(source, self._info)
                    passed = write_result(parts, target, source, packets, dropped=dropped)
                finally:
                    source.close()
            verify(target, parts, passed, full=True)
        except VsrError as error:
            return str(error).removeprefix(f"{self._info.path}: ")
        except (av.error.FFmpegError, ValueError, TypeError, AttributeError, NotImplementedError) as error:
            said = getattr(error, "strerror", "") or error or type(error).__name__
            return f"FFmpeg's muxer of {self._plan.encoder.container} refuses its packets ({said})"
        return ""


_SLOW = frozenset({"libx265", "libsvtav1", "prores_ks", "ffv1"})
"""Encoders that take more than 1.5 s of CPU time for two flat frames at 8K."""
_SMALL = 1280 * 720


def _in_small(plan: Plan) -> Plan:
    """The plan with frames of at most 720p if its encoder is slow; other settings are unchanged.

    Whether containers and players accept a track depends on its headers, in which only size and level then
    differ. `codec.encoder.try_encoder` tests separately whether the encoder opens at the full size.
    """
    encoder = plan.encoder
    by = math.isqrt((encoder.width * encoder.height - 1) // _SMALL) + 1
    if encoder.name not in _SLOW or by == 1:
        return plan
    # Whole samples of chroma, and wide enough for every encoder.
    width, height = (max(64, side // by // 2 * 2) for side in (encoder.width, encoder.height))
    return replace(
        plan, out_width=width, out_height=height, encoder=replace(encoder, width=width, height=height)
    )


def _encoded(plan: Plan, info: VideoInfo, folder: Path) -> ChunkRecord:
    """A chunk of flat frames, half bright, as a worker and the journal would make it."""
    times, encoder = timeline(info, plan), plan.encoder
    pixels = encoder.pixels
    kind, half = (
        (np.float32, 0.5)
        if pixels.is_float
        else (np.uint8 if pixels.bits == 8 else np.uint16, 1 << (pixels.bits - 1))
    )
    planes = [
        np.full(pixels.plane_size(n, encoder.width, encoder.height), half, kind)
        for n in range(pixels.plane_count)
    ]
    frames = [Frame(pts, planes) for pts in times.pts]
    chunk = _apart(plan, frames) if encoder.vendor else encode_frames(plan, frames)
    path = folder / "000000.chunk"
    path.write_bytes(chunk.data)
    cells = thumbnail(planes, pixels, plan.out_color, grid_for(plan.width, plan.height), plan.luma_matrix)
    shown = packed_thumbnail(cells, 0.0) * len(frames)
    path.with_suffix(".json").write_text(
        json.dumps({"thumbnails": base64.b85encode(zlib.compress(shown)).decode()})
    )
    return ChunkRecord(0, path, array("q", chunk.pts), chunk.sha256, chunk.header_sha256, 0)


def encode_frames(plan: Plan, frames: Sequence[Frame]) -> EncodedChunk:
    """Encode frames of the output as a chunk."""
    return encode_chunk(frames, 0, plan.encoder, patience_seconds=_WAITING_SECONDS, **stream_facts(plan))


def _apart(plan: Plan, frames: Sequence[Frame]) -> EncodedChunk:
    """Encode with hardware, in a separate process, as its driver may crash."""
    try:
        made: EncodedChunk = call_in_child(
            "pipelines.output.trial:encode_frames", plan, frames, seconds=_HARDWARE_SECONDS
        )
    except ChildFailedError as error:
        raise ResourceError(f"the encoder {plan.encoder.name} {error}") from error
    return made


_HARDWARE_SECONDS = 120.0
_WAITING_SECONDS = 20.0
"""For a free session of the encoder."""


def _samples(source: InputContainer, info: VideoInfo) -> Iterator[Packet]:
    """The first and last packets of every other track, as returned by the demuxer."""
    for stream in info.streams:
        track = source.streams[stream.index]
        for data in info.samples.get(stream.index, ()):
            packet: Packet = av.Packet(len(data.data))
            packet.update(data.data)
            packet.stream, packet.time_base = track, Fraction(track.time_base or 1)
            packet.pts, packet.dts, packet.duration, packet.is_keyframe = (
                data.pts,
                data.dts,
                data.duration,
                data.key,
            )
            yield packet
