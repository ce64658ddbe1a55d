"""`WorkerAllocation`: how many workers a run has on this machine, and which CUDA devices they share.

Bytes depend on neither. If memory runs out, `with_fewer_workers` is tried before smaller tiles, which are
another plan.
"""

from __future__ import annotations

import functools
import itertools
import os
import platform
import sys
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import VsrError
from models.sandbox import physical_memory
from pipelines.hardware.graphics_driver import (
    encoder_hardware,
    output_of_tool,
    vendors_here,
    visible_devices,
)
from pipelines.settings.run_settings import missing_device
from pipelines.storage.cache_folder import read_cached, write_cached
from pipelines.storage.child_call import ChildFailedError, call_in_child

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.plan.plan import Plan
    from pipelines.settings.run_settings import ExecutionSettings, RunSettings

__all__ = [
    "WorkerAllocation",
    "allocate_workers",
    "computing_device",
    "cuda_devices",
    "refuse_missing_device",
    "usable_cores",
    "usable_memory",
    "with_fewer_workers",
]


_MOST_A_DEVICE = 4
_CORES_A_WORKER = 4
"""Number of cores that an encoder uses: x264, ProRes and FFV1 have four threads, as bits depend on it; more
for x265 brings little."""
_BYTES_A_WORKER, _BYTES_A_PIXEL = 2_000_000_000, 120
"""Host memory, by the pixels of an output frame: 3 GB at 4K, 6 GB at 8K. Assumed, above what was measured for
a run on a CPU (docs/benchmarks.md): a worker with a device has two encoders at a time."""
_DEVICE_BYTES_A_WORKER = 1_500_000_000
"""Device memory: 0.3 GB of tensors (`quality` at 1080p, four tiles of 960x544 at a time, on an H200), about
0.6 GB of CUDA, and a reserve."""
_LOADING_SECONDS = 180.0
"""Time limit for loading torch and a driver from a cold disk."""


@dataclass(frozen=True)
class WorkerAllocation:
    """Workers, and the devices assigned to them in turn."""

    workers: int = 1
    devices: tuple[str, ...] = ()
    """Empty: the CPU computes."""

    def environment(self, number: int) -> dict[str, str]:
        """The variables that show a worker only its device; ROCm ignores CUDA's if its own is set."""
        if not self.devices:
            return {}
        names = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")[: 2 if _torch_build() == "rocm" else 1]
        return dict.fromkeys(names, self.devices[number % len(self.devices)])

    def surplus(self, number: int, facts: dict[str, str]) -> str:
        """Why a worker is excluded; empty if it is not.

        A driver may list devices that torch can't use. The CPU then computes, and one worker uses all its
        cores.
        """
        idle = self.devices and number > 0 and facts.get("device") == "cpu"
        return (
            "torch can't use the CUDA devices here, and one worker keeps the CPU busy; `vsr doctor` says more"
            if idle
            else ""
        )

    @property
    def share(self) -> float:
        """Share of a device for each worker, in the steps of 1/10000 that Ray counts in."""
        together = -(-self.workers // max(1, len(self.devices)))
        return 10_000 // together / 10_000


def allocate_workers(settings: ExecutionSettings, plan: Plan | None = None) -> WorkerAllocation:
    """The number of workers: as set, otherwise one, or with CUDA several per device.

    On CUDA, each device gets as many workers as its share of the cores can encode for; one if a single
    worker's network keeps the device busy. plan: None means one worker per device.
    """
    devices = () if settings.device == "cpu" else tuple(cuda_devices())
    if settings.workers or not devices:
        return WorkerAllocation(settings.workers or 1, devices)
    return WorkerAllocation(len(devices) * _workers_a_device(plan, devices), devices)


def with_fewer_workers(settings: ExecutionSettings, plan: Plan) -> ExecutionSettings | None:
    """The settings with one worker per device, or one on a CPU, for a run that ran out of memory.

    None if there are no more workers than that, or for a cluster.
    """
    allocation = allocate_workers(settings, plan)
    least = max(1, len(allocation.devices))
    return (
        replace(settings, workers=least)
        if settings.cluster is None and min(allocation.workers, len(plan.spans)) > least
        else None
    )


def _workers_a_device(plan: Plan | None, devices: tuple[str, ...]) -> int:
    # Networks that are not YUV-native need gigabytes of device memory, and more time than an encoder.
    if plan is None or any(stage.card.pixels != "yuv420" for stage in plan.stages):
        return 1
    by_cores = usable_cores() // len(devices) // _CORES_A_WORKER
    by_memory = (
        usable_memory()
        // len(devices)
        // (_BYTES_A_WORKER + _BYTES_A_PIXEL * plan.out_width * plan.out_height)
    )
    most = min(_MOST_A_DEVICE, by_cores, by_memory)
    if most > 1 and (free := _device_memory(devices)) is not None:
        most = min(most, free // _DEVICE_BYTES_A_WORKER)
    return max(1, most)


def usable_cores() -> int:
    """Cores available to this process and its children.

    Limited by CPU affinity and the quota of their container.
    """
    # Not every system has affinities: macOS has none.
    visible = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [text.split() for text in _control_group("cpu.max")]
    quotas += [
        [quota, period]
        for quota, period in zip(
            _control_group("cpu.cfs_quota_us"), _control_group("cpu.cfs_period_us"), strict=False
        )
    ]
    shares = [int(quota) // int(period) for quota, period in quotas if quota.isdecimal()]
    return max(1, min([visible, *shares]))


def usable_memory() -> int:
    """Memory available to this process and its children: the machine's, or that of its container."""
    limits = [*_control_group("memory.max"), *_control_group("memory.limit_in_bytes")]
    return min([physical_memory(), *(int(limit) for limit in limits if limit.isdecimal())])


_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")


def _control_group(name: str) -> Iterator[str]:
    """Content of a limit's file in every control group of this process.

    These are its own group and those above it. A container sees its own group as the root. See
    Documentation/admin-guide/cgroup-v2.rst of Linux, and cgroup-v1/ for version 1, which has one tree per
    controller.
    """
    try:
        lines = [line.split(":", 2) for line in _OWN_GROUPS.read_text(encoding="utf-8").splitlines()]
    except OSError:
        lines = []
    folders = dict.fromkeys([_CONTROL_GROUPS, _CONTROL_GROUPS / "cpu", _CONTROL_GROUPS / "memory"])
    for _, controllers, path in (line for line in lines if len(line) == 3):
        tree = next(
            (_CONTROL_GROUPS / kind for kind in ("cpu", "memory") if kind in controllers.split(",")),
            _CONTROL_GROUPS,
        )
        own = tree / path.lstrip("/")
        folders |= dict.fromkeys(folder for folder in (own, *own.parents) if folder.is_relative_to(tree))
    for folder in folders:
        try:
            yield (folder / name).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            continue


def _device_memory(devices: tuple[str, ...]) -> int | None:
    """Free memory of the fullest device in bytes.

    None if nvidia-smi is missing or doesn't report it. Its numbers follow the bus order, as CUDA's do if all
    devices are alike. Parts of a device (MIG) are not listed.
    """
    told = output_of_tool("nvidia-smi", "--query-gpu=index,uuid,memory.free", "--format=csv,noheader,nounits")
    rows = [[cell.strip() for cell in line.split(",")] for line in told.splitlines()]
    listed = [
        row
        for row in rows
        if len(row) == 3 and any(row[0] == d.strip() or row[1].startswith(d.strip()) for d in devices)
    ]
    return min((int(free) << 20 for _, _, free in listed if free.isdecimal()), default=None)


def cuda_devices() -> list[str]:
    """Devices by number, as listed by the driver; none without a driver. Doesn't load CUDA here.

    If a driver lists none although there may be some (WSL 2, Windows, AMD's ROCm), torch is asked in a
    separate process.
    """
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    if _torch_build() == "rocm":
        shown = os.environ.get("HIP_VISIBLE_DEVICES") or shown
    if shown is not None:  # what comes after an invalid number is invisible
        names = [name.strip() for name in shown.split(",")]
        return list(itertools.takewhile(lambda name: name not in {"", "-1"}, names))
    root = Path("/proc/driver/nvidia/gpus")
    if root.is_dir():
        return [str(n) for n in range(len(list(root.iterdir())))]
    kind, count = _accelerator() if _signs_of_cuda() else ("cpu", 0)
    return [str(n) for n in range(count)] if kind in {"cuda", "hip"} else []


def computing_device(device: str) -> str:
    """The device on which networks run here: cuda, hip (ROCm), xpu, mps or cpu.

    device: as in `RunSettings`. If there are signs of a GPU, torch is asked in a separate process.
    """
    if device == "cpu" or not (
        Path("/proc/driver/nvidia").is_dir() or _signs_of_cuda() or _signs_of_others()
    ):
        return "cpu"
    kind, _ = _accelerator()
    return kind if device in {"auto", {"hip": "cuda"}.get(kind, kind)} else "cpu"


def refuse_missing_device(settings: RunSettings) -> None:
    """Raise UsageError if the run is to compute here, on a device that is not there."""
    if settings.cluster is None and settings.device not in {"auto", "cpu"}:
        is_there = settings.device == "cuda" and cuda_devices()
        if not is_there and computing_device(settings.device) == "cpu":
            raise missing_device(settings.device)


@functools.cache
def _torch_build() -> str:
    """The kind of this torch build: rocm, xpu, cpu; empty for CUDA, and on macOS."""
    try:
        local = metadata.version("torch").partition("+")[2]
    except metadata.PackageNotFoundError:
        return "cpu"
    return next((kind for kind in ("rocm", "xpu", "cpu") if local.startswith(kind)), "")


def _signs_of_cuda() -> bool:
    """Whether CUDA or ROCm may be available although /proc lists no devices."""
    if _torch_build() in {"cpu", "xpu"}:
        return False
    if sys.platform == "win32":
        return True
    return Path("/dev/kfd" if _torch_build() == "rocm" else "/dev/dxg").exists()


def _signs_of_others() -> bool:
    return _torch_build() == "xpu" or (sys.platform == "darwin" and platform.machine() == "arm64")


@functools.cache
def _accelerator() -> tuple[str, int]:
    """(kind, number of devices) as found by torch.

    Cached for this torch, these drivers and the visible devices.
    """
    hardware = [*map(encoder_hardware, vendors_here()), *visible_devices()]
    key = " | ".join([sys.prefix, metadata.version("torch"), *hardware])
    known = read_cached("devices", key)
    if isinstance(known, list) and len(known) == 2:
        return str(known[0]), int(known[1])
    try:
        kind, count = call_in_child("pipelines.inference.device:accelerator_here", seconds=_LOADING_SECONDS)
    except (ChildFailedError, VsrError):
        return "cpu", 0
    write_cached("devices", key, [kind, count])
    return kind, count
