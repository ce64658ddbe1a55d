"""What Ray leaves on a machine: processes, shared memory, folders."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Left:
    """What is there of private clusters."""

    processes: frozenset[int]
    files: frozenset[str]


def left_of_ray() -> Left:
    """Processes of private clusters, their folders, and shared memory."""
    files = {str(p) for p in Path("/tmp").glob("vsr-ray-*")} | {str(p) for p in Path("/dev/shm").glob("*plasma*")}
    return Left(frozenset(_processes()), frozenset(files))


def _processes() -> set[int]:
    """By the private folder in a command line, or by a title of Ray's workers."""
    found = set()
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line, state = place.read_bytes(), (place.parent / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z" and (b"/tmp/vsr-ray-" in line or line.startswith(b"ray::")):
            found.add(int(place.parent.name))
    return found


def children_of(pid: int) -> set[int]:
    """All descendants of a process."""
    parents = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(place.parent.name)] = int(fields[1])
    found: set[int] = set()
    fresh = {pid}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def listening(pids: set[int]) -> list[str]:
    """Local addresses on which these processes accept TCP connections."""
    done = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    return [fields[3] for fields in lines if any(f"pid={pid}," in fields[-1] for pid in pids)]
