"""The device a run computes on, its precision, and its numerics class."""

from __future__ import annotations

import functools
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.errors import UsageError, counted
from models.layers.int8 import int8_is_exact
from pipelines.codec.encoder_builds import encoder_builds
from pipelines.settings.run_settings import missing_device

if TYPE_CHECKING:
    from pipelines.plan.plan import Plan

__all__ = [
    "DEVICE_TRAITS",
    "INT8_CLASS",
    "DeviceTraits",
    "accelerator_here",
    "bf16_units",
    "choose_device",
    "computing_dtype",
    "device_kind",
    "device_name",
    "device_traits",
    "low_precision",
    "numerics_class",
]


@dataclass(frozen=True)
class DeviceTraits:
    """Capabilities of a kind of device."""

    graphs: bool
    """Calls can be recorded once and replayed."""
    streams: bool
    """Copies and computation run concurrently, in queues with events between them, from pinned memory."""
    fused: bool
    """Bias and ReLU are part of a convolution with packed weights."""
    dtypes: tuple[torch.dtype, ...]
    """Precisions of networks, the default first; those of a CPU depend on its model, see `low_precision`."""
    channels_last: bool
    """Default memory format of feature maps."""


DEVICE_TRAITS = {
    "cpu": DeviceTraits(
        graphs=False, streams=False, fused=True, dtypes=(torch.bfloat16, torch.float32), channels_last=True
    ),
    "cuda": DeviceTraits(
        graphs=True,
        streams=True,
        fused=True,
        dtypes=(torch.float16, torch.bfloat16, torch.float32),
        channels_last=True,
    ),
    "hip": DeviceTraits(
        graphs=False,
        streams=True,
        fused=False,
        dtypes=(torch.float16, torch.bfloat16, torch.float32),
        channels_last=False,
    ),
    "xpu": DeviceTraits(
        graphs=False,
        streams=True,
        fused=False,
        dtypes=(torch.float16, torch.bfloat16, torch.float32),
        channels_last=True,
    ),
    "mps": DeviceTraits(
        graphs=False, streams=False, fused=False, dtypes=(torch.float16, torch.float32), channels_last=False
    ),
}
"""Kind -> capabilities. hip is AMD's ROCm, which torch calls cuda: its convolutions ran at a twentieth of
their speed in channels_last (ROCm/rocm-libraries#2567, pytorch#170780), and cuDNN's fused ones are not
available."""


def device_kind(device: torch.device) -> str:
    """The kind of a device: a key of `DEVICE_TRAITS`."""
    return "hip" if device.type == "cuda" and torch.version.hip else device.type


def device_traits(device: torch.device) -> DeviceTraits:
    """Capabilities of a device."""
    return DEVICE_TRAITS[device_kind(device)]


INT8_CLASS = "int8, version 1"
"""Version of `models.layers.int8` and `pipelines.inference.fused_cpu`; changes if their bits change."""


def choose_device(wanted: str) -> torch.device:
    """Return the device; "auto" is the accelerator that torch finds, else the CPU.

    Raises UsageError if the given device is missing.
    """
    found = _accelerator()
    if wanted == "auto":
        return found or torch.device("cpu")
    if wanted == "cpu" or (found is not None and found.type == wanted):
        return torch.device(wanted)
    raise missing_device(wanted)


def _accelerator() -> torch.device | None:
    """The accelerator of this build of torch, if it is usable and of a known kind."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    found = torch.accelerator.current_accelerator(check_available=True)
    return found if found is not None and found.type in DEVICE_TRAITS else None


def accelerator_here() -> tuple[str, int]:
    """(kind, number of devices) for networks; ("cpu", 0) without an accelerator."""
    found = _accelerator()
    return (device_kind(found), torch.accelerator.device_count()) if found is not None else ("cpu", 0)


def low_precision(device: torch.device) -> torch.dtype:
    """The fast dtype of a device: fp16 on accelerators, bf16 on some CPUs, else fp32.

    bf16 is faster on CPUs with AMX, and on AMD's with AVX512-BF16: a multiplier of 512 bits does two products
    of bf16 instead of one of fp32. Intel's CPUs have two multipliers for fp32 and one for bf16: without AMX,
    convolutions of 32 and 64 channels ran at 0.54 times the speed of fp32 (Xeon, Emerald Rapids, AMX masked).
    """
    if device.type != "cpu":
        return device_traits(device).dtypes[0]
    amx, avx512 = bf16_units()
    return torch.bfloat16 if amx or (avx512 and _is_amd()) else torch.float32


_DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32, "int8": torch.float32}


def computing_dtype(device: torch.device, precision: str) -> torch.dtype:
    """The dtype of networks that allow less than fp32.

    precision: as in `--precision`; "": the device's default. "int8" refers to integer layers; everything else
    is then fp32. Raises UsageError if the device doesn't support it.
    """
    kind = device_kind(device)
    if precision == "int8" and (kind != "cpu" or not int8_is_exact()):
        raise UsageError(
            f"--precision int8 is for CPUs with VNNI or AMX, and this {kind} has no such; leave it out, or"
            " give --precision fp32"
        )
    dtype = _DTYPES.get(precision, low_precision(device))
    if dtype not in device_traits(device).dtypes:
        raise UsageError(
            f"--precision {precision} is not for a {kind}; leave it out, or give --precision fp32"
        )
    return dtype


def bf16_units() -> tuple[bool, bool]:
    """(AMX, AVX512-BF16): which units of a CPU multiply bf16."""
    if not hasattr(torch.cpu, "_is_amx_tile_supported"):  # private names of torch
        return False, False
    return torch.cpu._is_amx_tile_supported(), torch.cpu._is_avx512_bf16_supported()


@functools.cache
def _is_amd() -> bool:
    try:
        return "AuthenticAMD" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        return "AuthenticAMD" in platform.processor()


def numerics_class(device: torch.device, plan: Plan | None = None) -> dict[str, str]:
    """Everything besides input and settings that affects bits; it must be the same for all workers of a job.

    plan: the job's. If it uses only integers and floats in a fixed order, the CPU model doesn't matter.
    """
    precision = "" if plan is None else plan.precision
    facts = {"torch": str(torch.__version__), "numpy": np.__version__, "numba": _numba(), **encoder_builds()}
    facts["dtype"] = str(computing_dtype(device, precision)).removeprefix("torch.")
    kind = device_kind(device)
    if kind == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        # cuDNN also chooses algorithms by the number of multiprocessors: GPUs of one capability differ in it.
        units = torch.cuda.get_device_properties(device).multi_processor_count
        facts |= {"device": "cuda", "compute": f"{major}.{minor}, {units} units", "cudnn": str(cudnn)}
    elif kind == "hip":
        architecture = str(torch.cuda.get_device_properties(device).gcnArchName)
        facts |= {"device": "hip", "compute": architecture, "hip": str(torch.version.hip)}
        facts["miopen"] = str(torch.backends.cudnn.version())  # type: ignore[no-untyped-call]
    elif kind == "xpu":
        properties = torch.xpu.get_device_properties(device)
        facts |= {"device": "xpu", "compute": str(properties.name), "driver": str(properties.driver_version)}
    elif kind == "mps":
        facts |= {"device": "mps", "compute": platform.processor(), "driver": platform.mac_ver()[0]}
    else:
        facts |= {"device": "cpu", "compute": torch.backends.cpu.get_cpu_capability()}
        if bf16_units()[0]:
            facts["compute"] += "+AMX"
        if precision == "int8":
            facts["dtype"] = INT8_CLASS
        if plan is not None and plan.is_exact:
            facts["compute"] = "any"
    return facts


def _numba() -> str:
    try:
        return f"{metadata.version('numba')} (llvmlite {metadata.version('llvmlite')})"
    except metadata.PackageNotFoundError:  # numpy computes
        return "none"


def device_name(device: torch.device) -> str:
    """Name of a device, for reports."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    if device.type == "xpu":
        return str(torch.xpu.get_device_name(device))
    if device.type == "mps":
        return f"Apple GPU, macOS {platform.mac_ver()[0]}"
    return f"CPU, {counted(torch.get_num_threads(), 'thread')}, {torch.backends.cpu.get_cpu_capability()}"
