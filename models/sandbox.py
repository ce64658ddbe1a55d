"""`without_network` and `with_bounded_memory`: restrictions of a process that parses untrusted input.

They use seccomp(2) and setrlimit(2), on Linux on x86-64 and 64-bit ARM; elsewhere there are no restrictions,
and the return values say so. This is in the lowest package because workers and the loaders of untrusted
weights both need it.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["physical_memory", "with_bounded_memory", "without_network"]


_resource: ModuleType | None
try:
    import resource as _resource
except ModuleNotFoundError:  # Windows
    _resource = None


_NO_NEW_PRIVILEGES, _SET_FILTER, _ALL_THREADS = 38, 1, 1
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | 13  # SECCOMP_RET_ALLOW; SECCOMP_RET_ERRNO with EACCES
# BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_JMP|JGE|K, BPF_RET|K
_LOAD, _EQUAL, _AT_LEAST, _RETURN = (
    0x20,
    0x15,
    0x35,
    0x06,
)
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_LOCAL_FAMILIES = (1, 16)  # AF_UNIX, AF_NETLINK
_X32 = 0x40000000
_MACHINES = {
    # audit architecture; seccomp, socket; ptrace, process_vm_readv, process_vm_writev, io_uring_setup
    "x86_64": (0xC000003E, 317, 41, (101, 310, 311, 425)),
    "aarch64": (0xC00000B7, 277, 198, (117, 270, 271, 425)),
}
_RESERVED_BYTES = 16 << 30
"""Address space that libraries reserve but never use."""


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("then", ctypes.c_uint8),
        ("otherwise", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction)))


def without_network() -> bool:
    """Forbid non-local sockets and access to other processes, for this process and its children, for good.

    Returns whether this was possible. It is not on systems other than Linux, or if the kernel has no seccomp.
    """
    machine = _MACHINES.get(platform.machine())
    if sys.platform != "linux" or machine is None:
        return False
    architecture, seccomp, socket, others = machine
    steps = [
        (_LOAD, _ARCHITECTURE, "", ""),
        (_EQUAL, architecture, "", "refuse"),
        (_LOAD, _NUMBER, "", ""),
        (_AT_LEAST, _X32, "refuse", ""),
        *((_EQUAL, number, "refuse", "") for number in others),
        (_EQUAL, socket, "", "allow"),
        (_LOAD, _FIRST_ARGUMENT, "", ""),
        *((_EQUAL, family, "allow", "") for family in _LOCAL_FAMILIES),
        (_RETURN, _REFUSE, "", ""),
        (_RETURN, _ALLOW, "", ""),
    ]
    goals = {"refuse": len(steps) - 2, "allow": len(steps) - 1}
    code = [
        (instruction, goals[then] - at if then else 0, goals[otherwise] - at if otherwise else 0, value)
        for at, (instruction, value, then, otherwise) in enumerate(steps, start=1)
    ]
    program = _Program(len(code), (_Instruction * len(code))(*(_Instruction(*step) for step in code)))
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(
        libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0
        and libc.syscall(seccomp, _SET_FILTER, _ALL_THREADS, ctypes.byref(program)) == 0
    )


def with_bounded_memory() -> int:
    """Limit this process to the machine's memory, so that it fails before the machine runs out.

    Returns the limit in bytes, or 0 if the system has no such limits or doesn't enforce them (macOS). Don't
    use it in a process with CUDA, which reserves more address space than any machine has memory.
    """
    if _resource is None or sys.platform == "darwin":
        return 0
    limit = physical_memory() + _RESERVED_BYTES
    soft, hard = _resource.getrlimit(_resource.RLIMIT_AS)
    limit = min(n for n in (limit, soft, hard) if n != _resource.RLIM_INFINITY)
    _resource.setrlimit(_resource.RLIMIT_AS, (limit, hard))
    return int(limit)


_ASSUMED_BYTES = 8 << 30


class _MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX of Windows."""

    _fields_ = (
        ("length", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        ("total", ctypes.c_uint64),
        ("others", ctypes.c_uint64 * 6),
    )


def physical_memory() -> int:
    """Memory of the machine in bytes; 8 GB if the system doesn't report it."""
    if hasattr(os, "sysconf"):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
    windows: Any = getattr(ctypes, "windll", None)
    if windows is None or not windows.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return _ASSUMED_BYTES
    return int(status.total)
