"""The device that networks run on: it is tried, compared with the CPU, and selected.

Also the properties of each kind of device, and the arithmetic that is used on it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch

import pipelines.hardware.resources as resources
import pipelines.inference.arithmetic_trial as arithmetic_trial
import pipelines.planner.precision_choice as precision_choice
from models.errors import NoMemoryError, UsageError, VerificationError
from pipelines.inference import device
from pipelines.inference.arithmetic_trial import try_arithmetic
from pipelines.inference.cuda.transfer_ring import StreamAccelerator, TransferRing
from pipelines.inference.device import (
    DEVICE_TRAITS,
    DeviceTraits,
    accelerator_here,
    choose_device,
    computing_dtype,
    numerics_class,
)
from pipelines.inference.upscaler import Upscaler
from pipelines.plan.arithmetic import ArithmeticTrial, choose_arithmetic
from pipelines.plan.plan import Plan
from pipelines.settings.run_settings import DEVICES, RunSettings
from pipelines.storage.child_call import ChildFailedError
from tests.pipelines.inference.test_upscaler import card, plan_of

CPU = torch.device("cpu")
RIGHT = 61.0
AS_CPU: list[ArithmeticTrial] = [
    ArithmeticTrial("fp16", "nhwc", 1.0, RIGHT),
    ArithmeticTrial("fp16", "nchw", 0.95, RIGHT),
    ArithmeticTrial("fp32", "nhwc", 3.0, 99.0),
]


def found(kind: str | None) -> object:
    return lambda check_available: None if kind is None else torch.device(kind)


@pytest.mark.parametrize("kind", ["xpu", "mps", None])
def test_auto_takes_the_accelerator_that_torch_finds(
    kind: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.accelerator, "current_accelerator", found(kind))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    assert choose_device("auto").type == (kind or "cpu")
    assert accelerator_here() == ((kind, 2) if kind else ("cpu", 0))
    assert choose_device("cpu") == CPU
    for wanted in {"cuda", "xpu", "mps"} - {kind}:
        with pytest.raises(
            UsageError, match=f"--device {wanted}: no .* device can be used here; leave --device out"
        ):
            choose_device(wanted)


def test_an_accelerator_of_a_kind_nobody_thought_of_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "current_accelerator", found("hpu"))
    assert choose_device("auto") == CPU
    assert accelerator_here() == ("cpu", 0)


def test_rocm_is_cuda_without_what_is_nvidia_s_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "hip", "7.1")
    assert device.device_kind(torch.device("cuda")) == "hip"
    hip = device.device_traits(torch.device("cuda"))
    assert (hip.graphs, hip.fused, hip.channels_last, hip.streams) == (False, False, False, True)
    assert set(DEVICE_TRAITS) == {*DEVICES, "hip"} - {"auto"}
    assert computing_dtype(torch.device("cuda"), "") == torch.float16
    assert computing_dtype(torch.device("cuda"), "fp32") == torch.float32


def test_gpus_of_one_kind_with_more_or_fewer_multiprocessors_are_not_taken_for_equal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """cuDNN chooses algorithms by their number: an H100 PCIe has 114, an H100 SXM 132."""
    found = []
    for units in (114, 132):
        properties = SimpleNamespace(multi_processor_count=units)
        monkeypatch.setattr(device, "device_kind", lambda _: "cuda")
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _, p=properties: p)
        found.append(numerics_class(CPU)["compute"])
    assert found == ["9.0, 114 units", "9.0, 132 units"]


def test_queues_go_through_the_interface_that_cuda_and_xpu_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """`torch.cpu` has a part of it; the rest is put beside."""

    class Event:
        made: ClassVar[list[bool]] = []

        def __init__(self, blocking: bool) -> None:
            self.made.append(blocking)

        def record(self, stream: object) -> None:
            assert stream is not None

        def synchronize(self) -> None: ...

    class Stream(torch.cpu.Stream):
        def __init__(self, device: torch.device) -> None:
            assert device == CPU

        def wait_event(self, event: Event) -> None:
            assert isinstance(event, Event)

    monkeypatch.setattr(torch.cpu, "Event", Event)
    monkeypatch.setattr(torch.cpu, "Stream", Stream)
    monkeypatch.setattr(torch.cpu, "current_stream", lambda _: Stream(CPU))
    monkeypatch.setattr(
        StreamAccelerator, "empty", lambda _, layout, pinned: torch.empty(layout[0], dtype=layout[1])
    )
    ring = TransferRing(StreamAccelerator(CPU), [((2, 2), torch.uint8)], [((2, 2), torch.uint8)])
    arrays = [np.full((2, 2), n, np.uint8) for n in range(5)]

    def work(up: list[torch.Tensor], down: list[torch.Tensor], _: object) -> None:
        down[0].copy_(up[0] + 1)

    landed = [ring.put(n, [a], work) for n, a in enumerate(arrays)]
    landed += list(ring.drain())
    assert [(one.ticket, int(one.arrays[0][0, 0])) for one in landed if one is not None] == [
        (n, n + 1) for n in range(5)
    ]
    assert set(Event.made) == {True}, "whoever waits must sleep"


def test_the_usual_arithmetic_stays_unless_another_is_right_and_clearly_faster() -> None:
    """Case 93."""
    usual = AS_CPU[0]
    assert choose_arithmetic(AS_CPU) == usual
    assert choose_arithmetic([usual, replace(AS_CPU[1], seconds=0.5)]) == replace(AS_CPU[1], seconds=0.5)
    assert choose_arithmetic([usual, replace(AS_CPU[1], seconds=0.5, decibels=30.0)]) == usual
    assert (
        choose_arithmetic([replace(t, decibels=40.0) if t.precision == "fp16" else t for t in AS_CPU])
        == AS_CPU[2]
    )
    assert choose_arithmetic([replace(t, decibels=float("nan")) for t in AS_CPU]) is None
    assert choose_arithmetic([]) is None


def test_times_that_are_equal_missing_or_endless_choose_the_usual_arithmetic_or_what_is_left() -> None:
    """Case 93."""
    usual, other, exact = AS_CPU
    for seconds in (0.1, math.inf):
        assert choose_arithmetic([replace(t, seconds=seconds) for t in AS_CPU]) == replace(
            usual, seconds=seconds
        )
    for seconds in (math.nan, 0.0, -1.0):
        assert choose_arithmetic([replace(usual, seconds=seconds), other, exact]) == other
        assert choose_arithmetic([usual, replace(other, seconds=seconds), exact]) == usual
        assert choose_arithmetic([replace(t, seconds=seconds) for t in AS_CPU]) is None
    assert choose_arithmetic([replace(usual, seconds=math.inf), other, exact]) == other


def tiny() -> Plan:
    return plan_of(card("fast-x2"), 64, 48, 2, "yuv420p", tile=(48, 64))


def test_a_tile_is_compared_with_fp32_on_the_cpu_in_every_way_a_device_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind = DeviceTraits(
        graphs=False, streams=False, fused=True, dtypes=(torch.bfloat16, torch.float32), channels_last=True
    )
    monkeypatch.setitem(DEVICE_TRAITS, "cpu", kind)
    trials = try_arithmetic(tiny(), "cpu")
    assert [(t.precision, t.memory_format) for t in trials] == [
        ("bf16", "nhwc"),
        ("bf16", "nchw"),
        ("fp32", "nhwc"),
        ("fp32", "nchw"),
    ]
    assert all(t.seconds > 0 for t in trials)
    assert trials[2].decibels == trials[3].decibels == 99.0
    assert 45 < trials[0].decibels <= 99
    honest = arithmetic_trial._made

    def wrong(plan: Plan, where: torch.device) -> list[np.ndarray]:
        made = honest(plan, where)
        return [255 - plane for plane in made] if plan.memory_format == "nhwc" else made

    monkeypatch.setattr(arithmetic_trial, "_made", wrong)
    assert [t.decibels > 50 for t in try_arithmetic(tiny(), "cpu") if t.precision == "fp32"] == [False, True]


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("cuDNN: no engine for bfloat16"),
        NoMemoryError("memory of the device ran out"),
        VerificationError("the network's output is not finite"),
    ],
)
def test_a_combination_that_a_gpu_does_not_have_leaves_the_others(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 93."""
    honest = arithmetic_trial._made
    failing = {"bf16"}

    def made(plan: Plan, where: torch.device) -> list[np.ndarray]:
        if plan.precision in failing and plan.memory_format:
            raise error
        return honest(plan, where)

    monkeypatch.setattr(arithmetic_trial, "_made", made)
    trials = try_arithmetic(tiny(), "cpu")
    assert [(t.precision, t.decibels) for t in trials] == [("bf16", 0.0)] * 2 + [("fp32", 99.0)] * 2
    assert choose_arithmetic(trials) in trials[2:]
    failing.add("fp32")
    with pytest.raises(type(error), match=str(error)):
        try_arithmetic(tiny(), "cpu")


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), NoMemoryError("ran out")])
def test_tiles_too_large_for_a_gpu_are_left_to_the_run_which_makes_them_smaller(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 93."""

    def timed(plan: Plan, where: torch.device) -> float:
        raise error

    monkeypatch.setattr(arithmetic_trial, "_timed", timed)
    trials = try_arithmetic(tiny(), "cpu")
    assert {t.seconds for t in trials} == {math.inf}
    assert choose_arithmetic(trials) == next(t for t in trials if t.decibels >= 50)


def test_a_tile_that_takes_long_is_timed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []
    honest = arithmetic_trial.single_frame_window
    monkeypatch.setattr(
        arithmetic_trial, "single_frame_window", lambda f, c: (counted.append(f.pts), honest(f, c))[1]
    )
    for long, frames in ((1e9, 7), (0.0, 2)):
        counted.clear()
        monkeypatch.setattr(arithmetic_trial, "_LONG_SECONDS", long)
        assert arithmetic_trial._timed(tiny(), CPU) > 0
        assert len(counted) == frames


def decided(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    trials: object,
    plan: Plan | None = None,
    **settings: object,
) -> tuple[Plan, list[str]]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setattr(
        precision_choice, "computing_device", lambda device: "cpu" if device == "cpu" else "xpu"
    )

    def child(*_: object, seconds: float) -> object:
        if isinstance(trials, Exception):
            raise trials
        return trials

    monkeypatch.setattr(precision_choice, "call_in_child", child)
    monkeypatch.setattr(precision_choice, "multiplies_bytes", lambda: False)
    return precision_choice.with_arithmetic(plan or tiny(), RunSettings(**settings))  # type: ignore[arg-type]


def test_what_a_gpu_computes_in_stands_in_the_plan_and_is_remembered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Case 93."""
    plan, said = decided(monkeypatch, tmp_path, AS_CPU)
    assert (plan.precision, plan.memory_format) == ("fp16", "nhwc")
    assert said == ["computed in fp16, NHWC, on this GPU; 61.0 dB from fp32 on the CPU"]
    assert plan.id != tiny().id
    faster = [AS_CPU[0], replace(AS_CPU[1], seconds=0.1)]
    assert decided(monkeypatch, tmp_path, faster)[0] == plan, "another timing makes no other plan"
    assert decided(monkeypatch, tmp_path / "other", faster)[0].memory_format == "nchw"
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "1")
    assert decided(monkeypatch, tmp_path, faster)[0].memory_format == "nchw", "it may be another GPU"
    for more in ({"device": "cpu"}, {"cluster": "local:2"}):
        same, said = decided(monkeypatch, tmp_path, AS_CPU, **more)
        assert (same, said, same.id) == (tiny(), [], tiny().id)


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        ([replace(t, decibels=20.0) for t in AS_CPU], r"the GPU's results differ too much from the CPU's \(PSNR between them at most 20.0 dB\); use --device cpu"),
        (ChildFailedError("crashed: it was ended by SIGSEGV"), "the GPU can't compute a tile: it crashed: it was ended by SIGSEGV; use --device cpu"),
        (VerificationError("the network's output is not finite"), "the GPU can't compute a tile: the network's output is not finite; use --device cpu"),
        (NoMemoryError("memory of the device ran out"), "the GPU can't compute a tile: memory of the device ran out; use --device cpu"),
    ],
)  # fmt: skip
def test_a_gpu_that_computes_something_else_is_refused(
    trials: object, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Case 93."""
    with pytest.raises(UsageError, match=said):
        decided(monkeypatch, tmp_path, trials)


@pytest.mark.parametrize(
    ("build", "signs", "kind", "devices"),
    [
        ("", ["/dev/dxg"], ("cuda", 2), ["0", "1"]),
        ("rocm7.1", ["/dev/kfd"], ("hip", 1), ["0"]),
        ("rocm7.1", ["/dev/dxg"], ("hip", 1), []),
        ("cpu", ["/dev/dxg", "/dev/kfd"], ("cuda", 1), []),
        ("", [], ("cuda", 1), []),
    ],
)
def test_torch_lists_devices_only_if_there_are_signs_of_a_gpu(
    build: str, signs: list[str], kind: tuple[str, int], devices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Known(type(Path())):  # type: ignore[misc]
        def exists(self, **_: object) -> bool:
            return str(self) in signs

        def is_dir(self, **_: object) -> bool:
            return str(self) in signs

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(resources, "Path", Known)
    monkeypatch.setattr(resources, "_torch_build", lambda: {"rocm7.1": "rocm"}.get(build, build))
    monkeypatch.setattr(resources, "_accelerator", lambda: kind)
    assert resources.cuda_devices() == devices
    assert resources.computing_device("auto") == (kind[0] if devices else "cpu")
    assert resources.computing_device("xpu") == "cpu"
    assert resources.computing_device("cuda") == (kind[0] if devices else "cpu")


def test_a_plan_s_order_of_values_is_the_network_s() -> None:
    for order, last in (("nhwc", True), ("nchw", False), ("", True)):
        upscaler = Upscaler(replace(tiny(), memory_format=order), CPU)
        weights = [
            m.weight
            for m in upscaler._networks[0].module.modules()
            if isinstance(m, torch.nn.Conv2d) and m.in_channels > 1
        ]  # type: ignore[attr-defined]
        assert all(
            w.is_contiguous(memory_format=torch.channels_last) == last for w in weights if w.shape[2] > 1
        )
