"""`try_arithmetic`: speed and error of a plan's first network, in each precision and memory format.

It computes one tile, in a separate process, when the plan is made (`pipelines.planner.precision_choice`);
the outcome is recorded in the plan.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from models.errors import NoMemoryError, VerificationError
from pipelines.inference.device import choose_device, device_traits
from pipelines.inference.temporal_windows import single_frame_window
from pipelines.inference.upscaler import Upscaler
from pipelines.media.pixel_format import Orientation
from pipelines.media.video_info import Frame
from pipelines.plan.arithmetic import ArithmeticTrial

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from pipelines.plan.plan import Plan

__all__ = ["try_arithmetic"]


_TILE_PX = (96, 160)
"""Size of the tile that is compared: small, because a CPU computes it in fp32 too."""
_ROUNDS = 5
"""Timed rounds, after those in which libraries choose algorithms and allocate."""
_WARM_UP = 2
_LONG_SECONDS = 2.0
"""A tile that takes longer is not timed again, as the trial has a time limit."""
_NAMES = {torch.float16: "fp16", torch.bfloat16: "bf16", torch.float32: "fp32"}


def try_arithmetic(plan: Plan, device: str) -> list[ArithmeticTrial]:
    """Return an `ArithmeticTrial` for each precision and memory format.

    plan: its stages are tried. device: one of DEVICES. A combination that this GPU does not have, such as
    bf16 on an old one, has 0 dB. Raises as `Upscaler` does if no combination can be computed.
    """
    where = choose_device(device)
    small, large = _cut_down(plan, *_TILE_PX), _cut_down(plan, *plan.tile_px)
    wanted = _made(replace(small, precision="fp32", memory_format=""), torch.device("cpu"))
    trials: list[ArithmeticTrial] = []
    failures: list[Exception] = []
    for dtype in device_traits(where).dtypes:
        for order in ("nhwc", "nchw"):
            name = _NAMES[dtype]
            one, other = (replace(cut, precision=name, memory_format=order) for cut in (small, large))
            try:
                decibels, seconds = _psnr(_made(one, where), wanted, plan), _seconds(other, where)
            except (RuntimeError, NoMemoryError, VerificationError) as error:
                decibels = seconds = 0.0
                failures.append(error)
            trials.append(ArithmeticTrial(name, order, seconds, decibels))
    if len(failures) == len(trials):
        raise failures[0]
    return trials


def _cut_down(plan: Plan, height: int, width: int) -> Plan:
    """Cut the plan down to one tile of its input."""
    stages, rows, columns = [], height, width
    above = plan.height, plan.width
    for stage in plan.stages:  # a classical scaler has no fixed factor
        rows, columns = max(1, rows * stage.height // above[0]), max(1, columns * stage.width // above[1])
        above = stage.height, stage.width
        stages.append(replace(stage, height=rows, width=columns))
    return replace(
        plan,
        height=height,
        width=width,
        out_height=rows,
        out_width=columns,
        stages=tuple(stages),
        grain=(),
        orientation=Orientation(),
    )


def _made(plan: Plan, device: torch.device) -> list[np.ndarray]:
    return Upscaler(plan, device)([_frame(plan)])[0].planes  # type: ignore[return-value]


def _seconds(plan: Plan, device: torch.device) -> float:
    """Seconds for one frame of one tile, including transfers.

    Infinite if it does not fit into the device's memory: the run may then use smaller tiles.
    """
    try:
        return _timed(plan, device)
    except (torch.OutOfMemoryError, NoMemoryError):
        return math.inf


def _timed(plan: Plan, device: torch.device) -> float:
    upscaler = Upscaler(plan, device)

    def frames(count: int) -> Iterator[Frame]:
        return (replace(frame, pts=n) for n in range(count) for frame in [_frame(plan, n)])

    def seconds(prepared: list[Frame]) -> float:
        began = time.perf_counter()
        list(upscaler.stream(single_frame_window(f, upscaler.contract) for f in prepared))
        return (time.perf_counter() - began) / len(prepared)

    for _ in range(_WARM_UP):
        last = seconds(list(frames(1)))
    return last if last > _LONG_SECONDS else seconds(list(frames(_ROUNDS)))


def _frame(plan: Plan, number: int = 0) -> Frame:
    """A frame of slightly smoothed noise: edges, flat areas, and all values; the same everywhere."""
    pixels = plan.pixels
    random = torch.Generator().manual_seed(number)
    planes = []
    for place in range(pixels.plane_count):
        rows, columns = pixels.plane_size(place, plan.width, plan.height)
        noise = torch.rand(1, 1, -(-rows // 4), -(-columns // 4), generator=random)
        values = torch.nn.functional.interpolate(noise, scale_factor=4, mode="bilinear")[
            0, 0, :rows, :columns
        ]
        planes.append(
            (values * (1.0 if pixels.is_float else (1 << pixels.bits) - 1)).numpy().astype(pixels.dtype)
        )
    return Frame(number, planes)


def _psnr(made: list[np.ndarray], wanted: list[np.ndarray], plan: Plan) -> float:
    """PSNR of the worst plane in dB, on integers; 99 if all are equal."""
    bits = plan.out_pixels.bits
    peak = 1.0 if bits == 32 else float((1 << bits) - 1)
    errors = [float(((a.astype("float64") - b) ** 2).mean()) for a, b in zip(made, wanted, strict=True)]
    worst = max(errors)
    return (
        99.0 if worst == 0 else -10 * torch.log10(torch.tensor(worst / peak**2, dtype=torch.float64)).item()
    )
