"""`Sampler`: a worker that shows a few moments of a film through several networks, with what each costs."""

from __future__ import annotations

import io
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import av
import numpy as np
import torch

from pipelines.decode import Promise, decode, deliver
from pipelines.device import Upscaler, choose_device, numerics_class
from pipelines.encode import encode_chunk
from pipelines.filters import filtered
from pipelines.footage import to_rgb
from pipelines.picture import png, sheet
from pipelines.sequence import unpack
from pipelines.task import Sampled, Stages
from pipelines.video import Frame, PixelFormat
from pipelines.windows import Reel, windows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipelines.plan import Plan
    from pipelines.source import PacketData
    from pipelines.task import SpanTask, WorkerSetup
    from pipelines.video import Chunk

__all__ = ["PICTURE_PX", "Sampler"]

PICTURE_PX = (480, 640)
"""Height and width of what is cut out of a result, or all of a smaller one."""
_WIDE_PX = 1280
"""A result at least so wide is encoded in part only."""
_STEP_PX = 8
"""Grid of the source on which the place is looked for."""


class Sampler:
    """Decodes once, as the setup's plan says, and puts the same frames through the networks of the others."""

    def __init__(self, setup: WorkerSetup) -> None:
        self._plan, self._decoder = setup.plan, setup.decoder
        device = choose_device(setup.device)
        self._plans = setup.others or (setup.plan,)
        self._upscalers = [Upscaler(p, device) for p in self._plans]
        self._warm = False
        self.facts = numerics_class(device)

    def run(self, task: SpanTask, pieces: Iterator[list[PacketData]]) -> Iterator[Sampled]:
        """Yield one `Sampled` for each chunk of the task: the frames of a moment, the first of which is shown."""
        plan = self._plan
        pixels = PixelFormat.parse(plan.pix_fmt)
        conceal = plan.on_corrupt == "conceal"
        decoded = 0

        def counted() -> Iterator[Frame]:
            nonlocal decoded
            for frame in decode((p for piece in pieces for p in piece), self._decoder, pixels, conceal=conceal):
                decoded += 1
                yield frame

        frames = deliver(counted(), Promise(task.pts, plan.linear, task.skipped_frames, task.hidden), conceal=conceal)
        frames = filtered(frames, plan, before=task.before, shown=task.shown)
        settling, after = (n * plan.per_frame for n in plan.network_context)
        began = (task.chunks[0].start_frame - task.settling) * plan.per_frame
        last = (task.chunks[-1].stop_frame + task.ahead) * plan.per_frame - 1
        reel = Reel(frames, began, settling + after + max(c.frame_count for c in task.chunks) * plan.per_frame)
        for chunk in task.chunks:
            first, stop = chunk.start_frame * plan.per_frame, chunk.stop_frame * plan.per_frame
            start, end = max(began, first - settling), min(last, stop - 1 + after)
            before, clock, cpu = decoded, time.perf_counter(), time.process_time()
            seen = [reel[number] for number in range(start, end + 1)]
            count = max(1, decoded - before)
            decoding = ((time.perf_counter() - clock) / count, (time.process_time() - cpu) / count)
            yield self._sample(chunk, seen, first - start, stop - first, decoding)
        for _ in frames:
            pass  # to the end, so that everything promised was there

    def _sample(self, chunk: Chunk, seen: list[Frame], first: int, count: int, decoding: tuple[float, float]) -> Sampled:
        """seen: the moment's frames from number `first` on, `count` of them, with their neighbours."""
        bits = PixelFormat.parse(self._plan.pix_fmt).bits
        shown, sizes, stages = [], [], []
        place: tuple[slice, slice] | None = None
        for plan, upscaler in zip(self._plans, self._upscalers, strict=True):
            settling = min(first, plan.network_context[0] * plan.per_frame)
            reel = Reel(iter(seen), 0, len(seen))
            begin, stop = first - settling, first + count
            told = list(windows(reel, begin, stop, upscaler.contract, last=min(len(seen), stop + upscaler.contract.future) - 1, bits=bits))
            made, times = [], []
            for window in told:
                clock, cpu = time.perf_counter(), time.process_time()
                made.append(upscaler.follow(window))
                times.append((time.perf_counter() - clock, time.process_time() - cpu))
            upscaler.stills.forget()
            if not self._warm and len(times) > 1:
                del times[0]  # kernels were compiled, and caches filled
            network = tuple(float(np.mean(t)) for t in zip(*times, strict=True))
            made = made[settling:]
            clock, cpu = time.perf_counter(), time.process_time()
            sizes.append(_encoded(made, chunk.index, plan))
            encoding = (_share(plan) * (time.perf_counter() - clock) / count, _share(plan) * (time.process_time() - cpu) / count)
            wall, spent = ({"decode": d, "network": n, "encode": e} for d, n, e in zip(decoding, network, encoding, strict=True))
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            stages.append(Stages(wall, spent, cores, upscaler.device.type == "cuda", 0, 0.0, 0, 0))
            place = place or self._place(upscaler.turned(seen[first]))
            shown.append(_pixels(made[0], plan, place))
        self._warm = True
        keys, others = zip(*sizes, strict=True)
        return Sampled(chunk.index, tuple(png(p) for p in shown), png(sheet([shown])), keys, others, tuple(stages))

    def _place(self, frame: Frame) -> tuple[slice, slice]:
        """Rows and columns of the result with the most detail in the source, on the grid of its chroma."""
        plan = self._plan
        height, width = (min(most, side) for most, side in zip(PICTURE_PX, (plan.out_height, plan.out_width), strict=True))
        luma = frame.planes[0].astype(np.float32)
        rows, columns = luma.shape
        detail = np.abs(luma[1:, :-1] - luma[:-1, 1:])
        total = np.pad(detail.cumsum(0, dtype=np.float64).cumsum(1), ((1, 0), (1, 0)))
        box = (max(1, min(rows - 1, height * rows // plan.out_height)), max(1, min(columns - 1, width * columns // plan.out_width)))
        sums = (total[box[0] :, box[1] :] - total[: -box[0], box[1] :] - total[box[0] :, : -box[1]] + total[: -box[0], : -box[1]])[
            ::_STEP_PX, ::_STEP_PX
        ]
        if not sums.size:
            return slice(0, height), slice(0, width)  # a line of pixels
        best = np.unravel_index(int(sums.argmax()), sums.shape)
        top = min(int(best[0]) * _STEP_PX * plan.out_height // rows // 8 * 8, plan.out_height - height)
        left = min(int(best[1]) * _STEP_PX * plan.out_width // columns // 8 * 8, plan.out_width - width)
        return slice(top // 8 * 8, top // 8 * 8 + height), slice(left // 8 * 8, left // 8 * 8 + width)


def _share(plan: Plan) -> int:
    """Of how many parts of a result one is encoded."""
    return 4 if plan.out_width >= _WIDE_PX and not plan.encoder.is_picture else 1


def _part(planes: Sequence[np.ndarray], plan: Plan) -> list[np.ndarray]:
    """What is encoded of a result: two strips side by side, around a quarter and three quarters of its width.

    From top to bottom, for sky, ground and black bars are what differs most.
    """
    share = _share(plan)
    if share == 1:
        return list(planes)
    width = plan.out_width // (2 * share) // 8 * 8
    strips = []
    for quarter in (1, 3):
        left = (plan.out_width * quarter // 4 - width // 2) // 8 * 8
        strips.append(_cut(planes, plan, (slice(0, plan.out_height), slice(left, left + width))))
    return [np.concatenate(pair, axis=1) for pair in zip(*strips, strict=True)]


def _encoded(frames: Sequence[Frame], index: int, plan: Plan) -> tuple[float, float]:
    """Encode a part as a run would all of it: (bytes of the first frame, of each of the others on average), of the whole."""
    stamped = [Frame(number, _part(frame.planes, plan)) for number, frame in enumerate(frames)]
    encoder = replace(plan.encoder, width=stamped[0].planes[0].shape[1])
    chunk = encode_chunk(stamped, index, encoder, time_base=1 / plan.rate, rate=plan.rate, sar=plan.sar, color=plan.out_color)
    if encoder.is_sequence:
        sizes = [len(picture) for picture in unpack(chunk.data)]
    elif encoder.is_picture:
        sizes = [len(chunk.data)]
    else:
        with av.open(io.BytesIO(chunk.data), "r") as container:
            sizes = [packet.size for packet in container.demux(video=0) if packet.size]
    whole = plan.out_width / encoder.width
    return float(sizes[0]) * whole, float(np.mean(sizes[1:] or sizes)) * whole


def _cut(planes: Sequence[np.ndarray], plan: Plan, place: tuple[slice, slice]) -> list[np.ndarray]:
    """Rows and columns of every plane of a result, counted in luma."""
    pixels = PixelFormat.parse(plan.out_pix_fmt)
    cut = []
    for number, plane in enumerate(planes):
        down, across = (pixels.sub_y, pixels.sub_x) if pixels.family == "yuv" and number in {1, 2} else (0, 0)
        rows, columns = (slice(s.start >> by, -(-s.stop >> by)) for s, by in zip(place, (down, across), strict=True))
        cut.append(plane[rows, columns])
    return cut


def _pixels(frame: Frame, plan: Plan, place: tuple[slice, slice]) -> np.ndarray:
    """(H,W,3) uint8 R'G'B' of a place of a result; the transfer curve stays what it is."""
    rgb = to_rgb(_cut(frame.planes, plan, place), PixelFormat.parse(plan.out_pix_fmt), plan.out_color)[0]
    return (rgb.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
