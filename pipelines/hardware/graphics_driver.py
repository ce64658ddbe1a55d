"""`encoder_hardware`: the GPU and driver of a vendor's hardware encoder.

Queried from the system, without loading the driver.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

__all__ = [
    "encoder_hardware",
    "first_nvidia",
    "listed_by_windows",
    "output_of_tool",
    "vendors_here",
    "visible_devices",
]


_ASKING_SECONDS = 20.0
"""Time limit for a tool such as nvidia-smi, which may have to wake the driver first."""
_PCI = {"0x10de": "nvenc", "0x1002": "amf", "0x8086": "qsv"}
"""Vendor of a PCI device -> its encoder."""
_WORDS = {"nvidia": "nvenc", "amd": "amf", "radeon": "amf", "intel": "qsv"}
"""Words in adapter names of Windows -> encoder."""
_LISTING = "Get-CimInstance Win32_VideoController | Select-Object Name,DriverVersion | ConvertTo-Json"
_DRM = Path("/sys/class/drm")
_LIBRARIES = {
    "amf": ("libamfrt64.so.1",),
    "qsv": ("libmfx-gen.so.1.2", "libmfxhw64.so.1", "dri/iHD_drv_video.so"),
}
_FOLDERS = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/opt/amdgpu-pro/lib/x86_64-linux-gnu",
    "/opt/amdgpu/lib/x86_64-linux-gnu",
)


def encoder_hardware(vendor: str) -> str:
    """GPU and driver, such as "NVIDIA GeForce RTX 4090, driver 570.86".

    Empty if there is no such GPU, or the driver is unknown.
    """
    return _hardware(vendor, os.environ.get("CUDA_VISIBLE_DEVICES", ""))


def vendors_here() -> list[str]:
    """Encoders of the hardware in this machine, as far as the system lists it.

    Takes no time if there is none.
    """
    return [
        vendor
        for vendor in ("nvenc", "amf", "qsv", "videotoolbox")
        if _may_be_there(vendor) and encoder_hardware(vendor)
    ]


def _may_be_there(vendor: str) -> bool:
    """Whether it is worth starting a process to ask."""
    if sys.platform == "darwin":
        return vendor == "videotoolbox"
    if sys.platform == "win32":
        return vendor != "videotoolbox"
    if vendor == "nvenc":
        return any(Path(sign).exists() for sign in ("/proc/driver/nvidia", "/dev/dxg", "/dev/nvidiactl"))
    return vendor != "videotoolbox"


@functools.cache
def _hardware(vendor: str, visible: str) -> str:
    if vendor == "videotoolbox":
        return _of_macos() if sys.platform == "darwin" else ""
    if vendor == "nvenc":
        facts = "--query-gpu=index,uuid,name,driver_version"
        return first_nvidia(output_of_tool("nvidia-smi", facts, "--format=csv,noheader"), visible)
    if sys.platform == "win32":
        return listed_by_windows(_adapters_of_windows(), vendor)
    return _of_linux(vendor)


@functools.cache
def _adapters_of_windows() -> str:
    """JSON of all adapters; PowerShell takes a second to start."""
    return output_of_tool("powershell", "-NoProfile", "-Command", _LISTING)


def visible_devices() -> list[str]:
    """The variables that choose among GPUs, as NAME=VALUE, for keys of caches."""
    names = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK")
    return [f"{name}={os.environ[name]}" for name in names if name in os.environ]


def output_of_tool(*command: str) -> str:
    """Standard output of a tool of a driver or the system; empty if it is missing, fails or hangs."""
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",  # names in another code page than Python's
            timeout=_ASKING_SECONDS,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def first_nvidia(told: str, visible: str) -> str:
    """The first device that is visible to CUDA.

    told: output of nvidia-smi, lines of index, UUID, name, driver. visible: CUDA_VISIBLE_DEVICES.
    """
    rows = [[cell.strip() for cell in line.split(",")] for line in told.splitlines()]
    rows = [row for row in rows if len(row) == 4]
    first = visible.split(",", maxsplit=1)[0].strip()
    row = next((r for r in rows if not first or r[0] == first or r[1].startswith(first)), None)
    return f"{row[2]}, driver {row[3]}" if row is not None else ""


def listed_by_windows(told: str, vendor: str) -> str:
    """The first adapter of that vendor. told: output of PowerShell, JSON of Win32_VideoController."""
    try:
        found = json.loads(told)
    except ValueError:
        return ""
    for adapter in found if isinstance(found, list) else [found]:
        if not isinstance(adapter, dict):
            continue
        name, driver = str(adapter.get("Name")), adapter.get("DriverVersion")
        if next((its for word, its in _WORDS.items() if word in name.lower()), "") == vendor:
            return f"{name}, driver {driver}"
    return ""


def _of_macos() -> str:
    chip = output_of_tool("sysctl", "-n", "machdep.cpu.brand_string").strip() or platform.machine()
    return f"{chip}, macOS {platform.mac_ver()[0]}"


def _of_linux(vendor: str) -> str:
    """Describe the vendor's card from the kernel's list of graphics cards.

    The text has device number, kernel driver, and the libraries that the encoder loads.
    """
    for card in sorted(_DRM.glob("card[0-9]*/device")):
        try:
            number, device = (
                (card / name).read_text(encoding="ascii").strip() for name in ("vendor", "device")
            )
        except (OSError, ValueError):
            continue
        if _PCI.get(number) == vendor:
            module = os.path.basename(os.path.realpath(card / "driver"))
            return ", ".join(
                [f"{number[2:]}:{device[2:]}", f"{module} of Linux {platform.release()}", *_libraries(vendor)]
            )
    return ""


def _libraries(vendor: str) -> list[str]:
    """Name and size of each library, as not all have a version in their names."""
    found = []
    for name in _LIBRARIES.get(vendor, ()):
        path = next((p for folder in _FOLDERS if (p := Path(folder, name)).exists()), None)
        if path is not None:
            found.append(f"{path.resolve().name} ({path.stat().st_size} bytes)")
    return found
