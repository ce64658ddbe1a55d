"""`Crew`: how many workers a run has on this machine, and which CUDA devices they share. Bytes depend on neither."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.plan import Plan
    from pipelines.settings import RunSettings

__all__ = ["Crew", "crew_of", "cuda_devices"]

_MOST_A_DEVICE = 4
_CORES_A_WORKER = 4
"""What an encoder has threads for: x264, ProRes and FFV1 have four of them, as bits depend on it; more for x265 brings little."""
_BYTES_A_WORKER, _BYTES_A_PIXEL = 2_000_000_000, 120
"""Memory on this side, by the pixels of a frame of the result: 3 GB at 4K, 6 GB at 8K (docs/benchmarks.md)."""


@dataclass(frozen=True)
class Crew:
    """Workers, and the devices they take in turns."""

    workers: int = 1
    devices: tuple[str, ...] = ()
    """None: the CPU computes."""

    def device(self, number: int) -> str:
        """The device of a worker, as CUDA_VISIBLE_DEVICES names it."""
        return self.devices[number % len(self.devices)]

    @property
    def share(self) -> float:
        """Of a device, for each worker: so that all have room, in the steps of 1/10000 that Ray counts in."""
        together = -(-self.workers // max(1, len(self.devices)))
        return 10_000 // together / 10_000


def crew_of(settings: RunSettings, plan: Plan | None = None) -> Crew:
    """As many as the settings say; otherwise one, and with CUDA as many a device as its share of the cores can encode for.

    plan: without one, or with a network that keeps a device busy by itself, it is one a device.
    """
    devices = () if settings.device == "cpu" else tuple(cuda_devices())
    usual = len(devices) * _workers_a_device(plan, len(devices)) if devices else 1
    return Crew(settings.workers or usual, devices)


def _workers_a_device(plan: Plan | None, devices: int) -> int:
    # Others than YUV-native networks take gigabytes of the device, and longer than an encoder does.
    if plan is None or any(stage.card.pixels != "yuv420" for stage in plan.stages):
        return 1
    by_cores = len(os.sched_getaffinity(0)) // devices // _CORES_A_WORKER
    by_memory = _memory() // devices // (_BYTES_A_WORKER + _BYTES_A_PIXEL * plan.out_width * plan.out_height)
    return max(1, min(_MOST_A_DEVICE, by_cores, by_memory))


def _memory() -> int:
    """Bytes that this process and its children may have: the machine's, or those of its container."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return machine
    return min(machine, int(limit)) if limit.isdecimal() else machine


def cuda_devices() -> list[str]:
    """Devices by number, as the driver lists them; none where there is no driver. Without loading CUDA here."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [d for d in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if d.strip() and d.strip() != "-1"]
    root = Path("/proc/driver/nvidia/gpus")
    return [str(n) for n in range(len(list(root.iterdir())))] if root.is_dir() else []
