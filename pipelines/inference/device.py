"""The device a run computes on, its precision, and its numerics class."""

from __future__ import annotations

import functools
import platform
from importlib import metadata
from pathlib import Path

import numpy as np
import torch

from models.errors import UsageError
from pipelines.codec.encoder_builds import encoder_builds

__all__ = ["bf16_units", "choose_device", "device_name", "low_precision", "numerics_class"]


def choose_device(wanted: str) -> torch.device:
    """Take CUDA for "auto" where there is one. Raises UsageError where "cuda" is wanted and there is none."""
    if wanted != "cpu" and torch.cuda.is_available():
        return torch.device("cuda")
    if wanted == "cuda":
        raise UsageError("--device cuda: no CUDA device can be used here; leave --device out, or run `vsr run --device cpu`")
    return torch.device("cpu")


def low_precision(device: torch.device) -> torch.dtype:
    """The fast dtype of a device: fp16 on CUDA, bf16 on CPUs that multiply it faster than fp32, else fp32.

    Those are CPUs with AMX, and AMD's with AVX512-BF16: a multiplier of 512 bits does two products of bf16 in the place of
    one of fp32. Intel's have two for fp32 and one for bf16: without AMX, convolutions of 32 and 64 channels ran at 0.54 times the
    rate of fp32 (Xeon, Emerald Rapids, AMX masked).
    """
    if device.type == "cuda":
        return torch.float16
    amx, avx512 = bf16_units()
    return torch.bfloat16 if amx or (avx512 and _is_amd()) else torch.float32


def bf16_units() -> tuple[bool, bool]:
    """(AMX, AVX512-BF16): what of a CPU multiplies bf16."""
    if not hasattr(torch.cpu, "_is_amx_tile_supported"):  # names that torch keeps to itself
        return False, False
    return torch.cpu._is_amx_tile_supported(), torch.cpu._is_avx512_bf16_supported()


@functools.cache
def _is_amd() -> bool:
    try:
        return "AuthenticAMD" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        return "AuthenticAMD" in platform.processor()


def numerics_class(device: torch.device) -> dict[str, str]:
    """What, besides input and settings, shapes the bits: workers of one job must agree in all of it."""
    facts = {"torch": str(torch.__version__), "numpy": np.__version__, "numba": _numba(), **encoder_builds()}
    facts["dtype"] = str(low_precision(device)).removeprefix("torch.")
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        facts |= {"device": "cuda", "compute": f"{major}.{minor}", "cudnn": str(torch.backends.cudnn.version())}  # type: ignore[no-untyped-call]
    else:
        facts |= {"device": "cpu", "compute": torch.backends.cpu.get_cpu_capability()}
        if bf16_units()[0]:
            facts["compute"] += "+AMX"
    return facts


def _numba() -> str:
    try:
        return f"{metadata.version('numba')} (llvmlite {metadata.version('llvmlite')})"
    except metadata.PackageNotFoundError:  # numpy computes
        return "none"


def device_name(device: torch.device) -> str:
    """For the record."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"CPU, {torch.get_num_threads()} thread(s), {torch.backends.cpu.get_cpu_capability()}"
