"""`PreviewWorker`: runs sample frames of a film through several networks, and measures what each costs."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from pipelines.codec.encoder import StreamFacts, encode_chunk, frame_bytes, stream_facts
from pipelines.codec.filter_graph import cleaned
from pipelines.frames.images import SHOWN_PX, contact_sheet, marked, most_detailed_crop, png
from pipelines.frames.sample_values import to_rgb
from pipelines.hardware.resources import usable_cores
from pipelines.inference.device import choose_device, numerics_class
from pipelines.inference.shot_upscaler import ShotUpscaler
from pipelines.inference.temporal_windows import FrameBuffer, windows
from pipelines.media.video_info import Frame
from pipelines.workers.messages import PreviewSample, StageSeconds
from pipelines.workers.preview_crop import CropUpscaler, cut_out
from pipelines.workers.span_frames import FrameCount, span_frames

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipelines.inference.temporal_windows import Window
    from pipelines.media.packet_reader import PacketData
    from pipelines.media.video_info import Chunk
    from pipelines.plan.plan import Plan
    from pipelines.workers.messages import SpanTask, WorkerSetup
    from pipelines.workers.preview_crop import Place

__all__ = ["PreviewWorker"]


_WIDE_PX = 1280
"""A result at least this wide is encoded in part only."""
_LEAST_TIMES, _MOST_TIMES, _TIMING_SECONDS = 2, 5, 1.0
"""How often a whole frame goes through a network: more than the minimum only within so many seconds."""
_SHARE = 8
"""One part in so many of a wide result is encoded."""
_WORTHWHILE = 0.75
"""Parts with a larger share of a frame's pixels are not made separately."""


class PreviewWorker:
    """Decodes once, by the setup's plan, and runs the same frames through the networks of the others."""

    def __init__(self, setup: WorkerSetup) -> None:
        self._plan, self._decoder = setup.plan, setup.decoder
        device = choose_device(setup.device)
        self._ways = [_NetworkSample(p, device) for p in setup.others or (setup.plan,)]
        self.facts = numerics_class(device, setup.plan)
        self._cleaned_once = len({(p.prefilter, p.raised_from) for p in setup.others or (setup.plan,)}) == 1

    def run(self, task: SpanTask, pieces: Iterator[list[PacketData]]) -> Iterator[PreviewSample]:
        """Yield one `PreviewSample` for each chunk of the task.

        The first frame of a chunk is shown.
        """
        plan = self._plan
        decoded = FrameCount()
        packets = (p for piece in pieces for p in piece)
        once = self._cleaned_once
        frames = span_frames(plan, self._decoder, task, packets, watch=decoded.count, clean=once)
        settling, after = plan.network_results
        began = plan.results(task.chunks[0].start_frame - task.settling)
        last = plan.results(task.chunks[-1].stop_frame + task.ahead) - 1
        buffer = FrameBuffer(frames, began, settling + after + max(plan.results_of(c) for c in task.chunks))
        for chunk in task.chunks:
            first, stop = plan.results(chunk.start_frame), plan.results(chunk.stop_frame)
            start, end = max(began, first - settling), min(last, stop - 1 + after)
            before, clock, cpu = decoded.frames, time.perf_counter(), time.process_time()
            seen = [buffer[number] for number in range(start, end + 1)]
            count = max(1, decoded.frames - before)
            decoding = ((time.perf_counter() - clock) / count, (time.process_time() - cpu) / count)
            yield self._sample(chunk, seen, start, range(first, stop), decoding)
        for _ in frames:
            pass  # to the end, to check that all promised frames came

    def _sample(
        self, chunk: Chunk, seen: list[Frame], start: int, wanted: range, decoding: tuple[float, float]
    ) -> PreviewSample:
        """seen: the moment's frames with their neighbours, from number `start` of the film on.

        wanted: numbers of the moment's own.
        """
        count = len(wanted)
        ways = [(w, seen if self._cleaned_once else list(cleaned(seen, w.plan))) for w in self._ways]
        upright = self._ways[0].upscaler.turned(ways[0][1][wanted.start - start])
        place = self._place(upright)
        shown, sizes, stages = [], [], []
        for way, own in ways:
            made = way.moment(own, start, wanted, place)
            clock, cpu = time.perf_counter(), time.process_time()
            sizes.append(_encoded(made.parts, chunk.index, way.plan))
            share = _share(way.plan)
            encoding = (
                share * (time.perf_counter() - clock) / count,
                share * (time.process_time() - cpu) / count,
            )
            wall, spent = (
                {"decode": d, "network": n, "encode": e}
                for d, n, e in zip(decoding, made.seconds, encoding, strict=True)
            )
            cores = usable_cores()
            stages.append(StageSeconds(wall, spent, cores, way.upscaler.device.type == "cuda", 0, 0.0, 0, 0))
            shown.append(_pixels(made.shown, way.plan))
        keys, others = zip(*sizes, strict=True)
        return PreviewSample(
            chunk.index,
            tuple(png(p) for p in shown),
            png(contact_sheet([shown])),
            self._overview(upright, place),
            keys,
            others,
            tuple(stages),
        )

    def _overview(self, frame: Frame, place: Place) -> bytes:
        """The source, scaled down, with the place marked."""
        plan, pixels = self._plan, self._plan.pixels
        rgb = to_rgb(frame.planes, pixels, plan.color)[0]
        if pixels.is_float:  # light of any strength
            low, high = np.percentile(rgb.numpy(), (0.1, 99.9))
            rgb = (rgb - low) / max(1e-6, high - low)
        shown = (rgb.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        down, across = shown.shape[0] / plan.out_height, shown.shape[1] / plan.out_width
        rows, columns = place
        box = (
            rows.start * down,
            columns.start * across,
            (rows.stop - rows.start) * down,
            (columns.stop - columns.start) * across,
        )
        return png(marked(shown, *(round(n) for n in box)))

    def _place(self, frame: Frame) -> Place:
        """Rows and columns of the result with the most detail in the source, on the grid of its chroma."""
        plan = self._plan
        height, width = _shown_px(plan)
        luma = frame.planes[0].astype(np.float32)
        rows, columns = luma.shape
        detail = np.zeros_like(luma)
        detail[:-1, :-1] = np.abs(luma[1:, :-1] - luma[:-1, 1:])
        top, left = most_detailed_crop(
            detail, max(1, height * rows // plan.out_height), max(1, width * columns // plan.out_width)
        )
        top = min(top * plan.out_height // rows, plan.out_height - height) // 8 * 8
        left = min(left * plan.out_width // columns, plan.out_width - width) // 8 * 8
        return slice(top, top + height), slice(left, left + width)


@dataclass(frozen=True, eq=False)
class _Made:
    """Output of a network for a sample."""

    shown: list[np.ndarray]
    """Planes of the shown place in the first frame."""
    parts: list[list[np.ndarray]]
    """Planes of the encoded part of each frame."""
    seconds: tuple[float, float]
    """Time of a frame of the whole film, wall clock and CPU."""


class _NetworkSample:
    """One of the networks; makes only the shown and the encoded parts of its results, if that is possible."""

    def __init__(self, plan: Plan, device: torch.device) -> None:
        self.plan, self.upscaler = plan, ShotUpscaler(plan, device)
        self._strips = _strips(plan)
        self._pixels = plan.out_pixels
        self._is_warm = False
        self._seconds: tuple[float, float] | None = None
        self._excerpts: tuple[CropUpscaler, CropUpscaler] | None = None
        """For the shown place, and for the strips."""
        contract = self.upscaler.contract
        if len(self._strips) > 1 and CropUpscaler.takes(
            plan, contract, classical=not plan.stages[0].card.sha256
        ):
            sizes = [(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in self._strips]
            box, strips = (
                CropUpscaler(plan, contract, device, _shown_px(plan)),
                CropUpscaler(plan, contract, device, sizes[0], len(sizes)),
            )
            if strips.share < _WORTHWHILE:
                self._excerpts = box, strips

    def moment(self, seen: list[Frame], start: int, wanted: range, place: Place) -> _Made:
        """Upscale the frames `wanted`. seen: consecutive frames, the first of which has number `start`."""
        bits = self.plan.pixels.bits
        contract = self.upscaler.contract
        settling = min(wanted.start - start, self.plan.network_results[0])
        buffer = FrameBuffer(iter(seen), start, len(seen))
        last = min(start + len(seen), wanted.stop + contract.future) - 1
        told = list(windows(buffer, wanted.start - settling, wanted.stop, contract, last=last, bits=bits))
        made = (
            self._excerpted(told, place) if self._excerpts is not None else self._whole(told, settling, place)
        )
        self.upscaler.stills.forget()
        self._is_warm = True
        return made

    def _whole(self, told: Sequence[Window], settling: int, place: Place) -> _Made:
        made, times = [], []
        for window in told:
            frame, spent = self._timed(window)
            made.append(frame.planes)
            times.append(spent)
        if not self._is_warm and len(times) > 1:
            del times[0]  # kernels were compiled, and caches filled
        wall, cpu = (float(np.mean(t)) for t in zip(*times, strict=True))
        return _Made(
            cut_out(made[settling], self._pixels, place),
            [self._striped(m) for m in made[settling:]],
            (wall, cpu),
        )

    def _excerpted(self, told: Sequence[Window], place: Place) -> _Made:
        """Process parts only, except for one whole frame, which is timed.

        Smaller ones would be faster than their share.
        """
        assert self._excerpts is not None
        box, strips = self._excerpts
        shown, parts = box(told[0], [place])[0], []
        for window in told:
            if self._seconds is None and window is told[-1]:
                whole, self._seconds = self._least_timed(window)
                parts.append(self._striped(whole.planes))
            else:
                parts.append(_side_by_side(strips(window, self._strips)))
        assert self._seconds is not None
        return _Made(shown, parts, self._seconds)

    def _least_timed(self, window: Window) -> tuple[Frame, tuple[float, float]]:
        """The shortest of several times.

        The first one compiles kernels and allocates memory, and any may be delayed by other programs.
        """
        times: list[tuple[float, float]] = []
        while len(times) < _MOST_TIMES and (
            len(times) < _LEAST_TIMES or sum(wall for wall, _ in times) < _TIMING_SECONDS
        ):
            self.upscaler.stills.forget()
            made, spent = self._timed(window)
            times.append(spent)
        wall, cpu = (min(one) for one in zip(*times, strict=True))
        return made, (wall, cpu)

    def _timed(self, window: Window) -> tuple[Frame, tuple[float, float]]:
        clock, cpu = time.perf_counter(), time.process_time()
        made = self.upscaler.follow(window)
        return made, (time.perf_counter() - clock, time.process_time() - cpu)

    def _striped(self, planes: Sequence[np.ndarray]) -> list[np.ndarray]:
        return _side_by_side([cut_out(planes, self._pixels, strip) for strip in self._strips])


def _shown_px(plan: Plan) -> tuple[int, int]:
    """Height and width of the shown part of a result."""
    return min(SHOWN_PX[0], plan.out_height), min(SHOWN_PX[1], plan.out_width)


def _share(plan: Plan) -> int:
    """One in how many parts of a result is encoded."""
    return _SHARE if plan.out_width >= _WIDE_PX and not plan.encoder.is_picture else 1


def _strips(plan: Plan) -> list[Place]:
    """The part of a result that is encoded.

    This is the whole result, or two strips around a quarter and three quarters of its width. Strips have the
    full height, because sky, ground and black bars differ most.
    """
    share = _share(plan)
    if share == 1:
        return [(slice(0, plan.out_height), slice(0, plan.out_width))]
    width = plan.out_width // (2 * share) // 8 * 8
    lefts = [(plan.out_width * quarter // 4 - width // 2) // 8 * 8 for quarter in (1, 3)]
    return [(slice(0, plan.out_height), slice(left, left + width)) for left in lefts]


def _side_by_side(strips: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
    return [np.concatenate(planes, axis=1) for planes in zip(*strips, strict=True)]


def _encoded(parts: Sequence[Sequence[np.ndarray]], index: int, plan: Plan) -> tuple[float, float]:
    """Encode parts of frames as a run would encode whole frames.

    Returns (bytes of the first frame, of the others on average), for whole frames.
    """
    stamped = [Frame(number, planes) for number, planes in enumerate(parts)]
    encoder = replace(plan.encoder, width=stamped[0].planes[0].shape[1])
    facts: StreamFacts = {**stream_facts(plan), "time_base": 1 / plan.rate}
    chunk = encode_chunk(stamped, index, encoder, **facts)
    first, *others = frame_bytes(chunk, encoder)
    whole = plan.out_width / encoder.width
    return float(first) * whole, float(np.mean(others or first)) * whole


def _pixels(planes: Sequence[np.ndarray], plan: Plan) -> np.ndarray:
    """(H,W,3) uint8 R'G'B' of a place of a result; the transfer curve is unchanged."""
    rgb = to_rgb(planes, plan.out_pixels, plan.out_color)[0]
    return (rgb.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
