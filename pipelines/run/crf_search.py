"""`find_crf`: finds the CRF for a size or a VMAF by encoding samples of the film before work starts.

Samples are made as in a run, by the same decoder, filters and networks, and stored losslessly while an
encoder is tried on them at several CRFs. The result is stored in the plan, so a resumed run does not search
again.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import Interrupted, ResourceError, UsageError, counted
from pipelines.codec.encoder import EncodedChunk
from pipelines.encoders.encoder_crf import crf_scale, lossless_encoder, usual_crf, with_crf, with_target_crf
from pipelines.frames.crf_trial import RateSample
from pipelines.media.video_info import Chunk
from pipelines.output.copied_size import copied_bytes
from pipelines.plan.chunking import cut_spans
from pipelines.plan.events import Note, Planned
from pipelines.plan.plan import LARGEST_CHUNK_BYTES
from pipelines.pool.interface import WorkerLost, WorkItem
from pipelines.run.chunk_tasks import SpanRun
from pipelines.run.crf_estimate import (
    ChunkSample,
    FilmEstimate,
    choose_crf,
    choose_samples,
    estimate_mean,
    estimate_sum,
    first_ladder,
    next_ladder,
    refining_ladder,
    sample_chunk,
    value_at,
)
from pipelines.run.execution import Execution
from pipelines.storage.child_call import ChildFailedError, call_in_child
from pipelines.workers.messages import WorkerKind

if TYPE_CHECKING:
    from pipelines.media.video_info import Span
    from pipelines.settings.crf_target import CrfTarget
    from pipelines.settings.encoder_spec import Encoder
    from pipelines.settings.run_settings import EncodeSettings, RunSettings

__all__ = ["SAMPLES", "find_crf", "search_alone"]


SAMPLES = "samples"
"""Folder of samples in the work directory."""
_TRIAL = "pipelines.frames.crf_trial:crf_trial"
_TRIAL_SECONDS = 6 * 3600.0
"""Time limit for one sample at all CRFs of a ladder."""
_BELOW = 0.985
"""Share of the requested size that is aimed at, so that the output does not exceed it."""
_MOST_LADDERS = 6


def find_crf(
    planned: Planned,
    encode: EncodeSettings,
    folder: Path,
    execution: Execution,
) -> Generator[Note, None, Planned]:
    """Find the CRF for a plan's target; returns the plan with it.

    folder: for samples. Raises UsageError with the reachable range if no CRF reaches the target, Interrupted,
    and the errors of a run.
    """
    plan = planned.plan
    assert plan.target is not None
    search = _Search(planned, encode, folder, execution)
    fixed = copied_bytes(planned.info, plan, planned.left_out) if plan.target.kind == "size" else 0
    if plan.target.kind == "size" and plan.target.wanted * _BELOW <= fixed:
        raise UsageError(
            f"{planned.input}: {plan.target.option}: {_besides(planned)} alone takes"
            f" {plan.target.shown(fixed)}; give more"
        )
    yield Note(
        f"{plan.target.option}: trying {counted(len(search.samples), 'sample')} of the film,"
        f" {counted(search.frames, 'frame')}"
    )
    target = yield from search.run(fixed)
    plan = with_target_crf(plan, target, encode)
    others = f", {target.shown(fixed)} of it for {_besides(planned)}" if fixed else ""
    error = f" ± {target.spread:.1%}" if target.kind == "size" else f" ± {target.spread:.1f}"
    yield Note(
        f"CRF {target.crf:g} for {target.option}: {target.shown(target.expected)} expected"
        f"{error if target.spread else ''}{others}"
    )
    return replace(planned, plan=plan)


def _besides(planned: Planned) -> str:
    """What the output contains besides the film, in words."""
    types = {s.type for s in planned.info.streams if s.index not in planned.left_out}
    tracks = "sound and other copied tracks" if len(types) > 1 else "sound" if "audio" in types else ""
    tracks = tracks or ("what is copied" if types else "")
    return f"{tracks}, with the container's index," if tracks else "the container's index"


class _Search:
    """One search: samples, ladders of CRFs, and their results."""

    def __init__(
        self,
        planned: Planned,
        encode: EncodeSettings,
        folder: Path,
        execution: Execution,
    ) -> None:
        self._planned, self._encode, self._folder = planned, encode, folder
        self._execution = execution
        plan, self._info = planned.plan, planned.info
        assert plan.target is not None
        self._plan, self._target = plan, plan.target
        self._chosen = choose_samples(plan.chunks)
        self.samples = [sample_chunk(plan.chunks[n], self._target.kind, plan.per_frame) for n in self._chosen]
        self.frames = sum(c.frame_count for c in self.samples) * plan.per_frame
        self._scale = crf_scale(plan.encoder)
        sizes = dict(zip(self._info.index.pts, self._info.index.size, strict=True))
        self._source_bytes = [0 if self._info.linear else self._bytes(c, sizes) for c in plan.chunks]

    def _bytes(self, chunk: Chunk, sizes: dict[int, int]) -> int:
        return sum(sizes.get(pts, 0) for pts in self._info.pts[chunk.start_frame : chunk.stop_frame])

    def run(self, fixed: int) -> Generator[Note, None, CrfTarget]:
        """The target with its CRF. fixed: bytes of the output besides the film."""
        target, scale = self._target, self._scale
        aim = target.wanted * _BELOW - fixed if target.kind == "size" else target.wanted
        ladder = [
            scale.on_grid(c)
            for c in first_ladder(usual_crf(self._encode, self._plan.encoder), scale.lowest, scale.highest)
        ]
        found: dict[float, FilmEstimate] = {}
        for _ in range(_MOST_LADDERS):
            found |= yield from self._tried(ladder)
            points = [(crf, estimated.value) for crf, estimated in sorted(found.items())]
            crf = choose_crf(points, aim, target.kind)
            if crf is not None and (refined := refining_ladder(points, crf, target.kind)):
                ladder = [scale.on_grid(c) for c in refined]
                continue
            if crf is not None:
                break
            ladder = next_ladder(points, aim, target.kind, scale.lowest, scale.highest)
            if not ladder:
                raise UsageError(self._unreachable(points, aim, fixed))
        else:
            raise UsageError(f"{self._planned.input}: {target.option}: no CRF was found; give --crf")
        crf = scale.on_grid(crf, down=target.kind == "vmaf")
        nearest = min(found, key=lambda c: abs(c - crf))
        return replace(
            target,
            crf=crf,
            expected=round(value_at(points, crf, target.kind) + fixed, 0 if target.kind == "size" else 3),
            spread=round(found[nearest].spread, 4),
            trials=tuple((c, round(value + fixed, 3)) for c, value in points),
            samples=len(self.samples),
            frames=self.frames,
        )

    def _unreachable(self, points: list[tuple[float, float]], aim: float, fixed: int) -> str:
        """The reachable range, in words."""
        target = self._target
        (low, most), (high, least) = points[0], points[-1]
        at, end, which = (high, least, "at least") if least > aim else (low, most, "at most")
        name = self._plan.encoder.name
        remedy = (
            "a smaller --to"
            if which == "at least"
            else "a larger --to"
            if target.kind == "size"
            else "an --encoder-option that spends more"
        )
        return (
            f"{self._planned.input}: {target.option} can't be reached: {name} comes to {which} "
            f"{target.shown(end + fixed)}, at CRF {at:g}; "
            f"give {'more' if which == 'at least' else 'less'}, or {remedy}"
        )

    def _tried(self, ladder: list[float]) -> Generator[Note, None, dict[float, FilmEstimate]]:
        """Estimates for the whole film at each CRF."""
        encoders = [self._encoder(crf) for crf in ladder]
        results: dict[int, list[tuple[int, float]]] = {}
        for event in self._sampled():
            if isinstance(event, tuple):
                number, sample = event
                results[number] = self._trial(sample, encoders)
            else:
                yield event
        is_size = self._target.kind == "size"
        others = [
            ChunkSample(c.frame_count, b) for n, (c, b) in enumerate(self._chunks()) if n not in self._chosen
        ]
        found = {}
        for place, crf in enumerate(ladder):
            tried = [
                ChunkSample(
                    self._plan.chunks[n].frame_count,
                    self._source_bytes[n],
                    float(results[number][place][not is_size]),
                )
                for number, n in enumerate(self._chosen)
            ]
            found[crf] = estimate_sum(tried, others) if is_size else estimate_mean(tried, others)
        return found

    def _chunks(self) -> zip[tuple[Chunk, int]]:
        return zip(self._plan.chunks, self._source_bytes, strict=True)

    def _encoder(self, crf: float) -> Encoder:
        before = usual_crf(self._encode, self._plan.encoder)
        return with_crf(self._plan.encoder, crf, preset=self._encode.preset, before=before)

    def _trial(self, sample: RateSample, encoders: list[Encoder]) -> list[tuple[int, float]]:
        try:
            found: list[tuple[int, float]] = call_in_child(
                _TRIAL, sample, self._plan, encoders, self._target.kind == "vmaf", seconds=_TRIAL_SECONDS
            )
        except ChildFailedError as error:
            self._check_stop()
            raise ResourceError(
                f"{self._plan.encoder.name} could not be tried on a sample: {error}"
            ) from error
        finally:
            for piece in sample.pieces:
                Path(piece).unlink(missing_ok=True)
        return found

    def _check_stop(self) -> None:
        if self._execution.is_stopped:
            raise Interrupted("stopped while the CRF was searched for; the same command searches again")

    def _sampled(self) -> Iterator[Note | tuple[int, RateSample]]:
        """Yield every sample with its number, once its frames are stored; and notes about lost workers."""
        pieces, owner, spans = self._cut()
        plan = replace(
            self._plan,
            encoder=lossless_encoder(self._plan),
            dynamic_hdr=(),
            chunks=tuple(pieces),
            spans=spans,
        )
        lacking = [owner.count(number) for number in range(len(self.samples))]
        places: dict[int, tuple[str, tuple[int, ...]]] = {}
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        try:
            run = SpanRun(
                plan,
                self._info,
                self._execution.settings,
                WorkerKind.CHUNK_UPSCALER,
                stop=self._execution.stop,
                workers=self._execution.workers,
            )
            for event in run.outcomes():
                if isinstance(event, WorkerLost):
                    yield Note(f"{event.reason}; its work is done again")
                if (
                    not (isinstance(event, WorkItem) and isinstance(event.value, EncodedChunk))
                    or event.value.index in places
                ):
                    continue
                chunk = event.value
                path = self._folder / f"{chunk.index:06d}.mkv"
                path.write_bytes(chunk.data)
                places[chunk.index] = str(path), chunk.pts
                number = owner[chunk.index]
                lacking[number] -= 1
                if not lacking[number]:
                    own = [places[p.index] for p in pieces if owner[p.index] == number]
                    yield (
                        number,
                        RateSample(
                            tuple(name for name, _ in own), tuple(pts for _, times in own for pts in times)
                        ),
                    )
                self._check_stop()
            self._check_stop()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _cut(self) -> tuple[list[Chunk], list[int], tuple[Span, ...]]:
        """(pieces that fit into memory, the sample of each, the decoder runs for them)."""
        plan, info = self._plan, self._info
        most = max(1, LARGEST_CHUNK_BYTES // (plan.encoder.picture_bytes * plan.per_frame))
        numbered = [Chunk(number, c.start_frame, c.stop_frame) for number, c in enumerate(self.samples)]
        pieces: list[Chunk] = []
        owner: list[int] = []
        spans: list[Span] = []
        for span in cut_spans(info.index, info.pts, numbered, linear=info.linear, context=plan.context):
            first = len(pieces)
            for sample in span.chunks:
                for start in range(sample.start_frame, sample.stop_frame, most):
                    pieces.append(Chunk(len(pieces), start, min(start + most, sample.stop_frame)))
                    owner.append(sample.index)
            spans.append(replace(span, chunks=tuple(pieces[first:])))
        return pieces, owner, tuple(spans)


def search_alone(planned: Planned, settings: RunSettings) -> Iterator[Note | Planned]:
    """Find the CRF for a plan's target without a run: yields notes, then the plan with that CRF.

    Raises the same errors as `find_crf`.
    """
    with tempfile.TemporaryDirectory(prefix="vsr-samples-") as folder:
        execution = Execution(settings.execution)
        found = yield from find_crf(planned, settings.encode, Path(folder) / SAMPLES, execution)
    yield found
