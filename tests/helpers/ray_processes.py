"""Finds what Ray leaves on a machine: processes, shared memory, folders."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Left:
    """Remains of private clusters."""

    processes: frozenset[int]
    files: frozenset[str]


NOTHING = Left(frozenset(), frozenset())
MARK = {"VSR_TEST_MARK": f"ray-{os.getpid()}"}
"""Variables for a command, by which what it starts is known; others may use Ray on this machine at the same
time."""


def left_of_ray() -> Left:
    """Living processes with `MARK`, and the folders of private clusters that no living process owns."""
    ours, owned = set(), set()
    for place in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables, state = (
                place.read_bytes(),
                (place.parent / "stat").read_text().rpartition(")")[2].split()[0],
            )
        except OSError:
            continue
        if state == "Z":
            continue
        if f"VSR_TEST_MARK={MARK['VSR_TEST_MARK']}\0".encode() in variables:
            ours.add(int(place.parent.name))
        owned |= {
            v.removeprefix(b"VSR_RAY_FOLDER=").decode()
            for v in variables.split(b"\0")
            if v.startswith(b"VSR_RAY_FOLDER=")
        }
    folders = {str(p) for pattern in ("vsr-ray-*", "vsr-files-*") for p in Path("/tmp").glob(pattern)}
    return Left(frozenset(ours), frozenset(folders - owned))


def left_over(before: Left, seconds: float = 10.0) -> Left:
    """What is there that was not there before, as soon as it is nothing, or after some seconds.

    What was there before may have gone: others on this machine come and go as well.
    """
    until = time.monotonic() + seconds
    while True:
        now = left_of_ray()
        more = Left(now.processes - before.processes, now.files - before.files)
        if more == NOTHING or time.monotonic() >= until:
            return more
        time.sleep(0.1)


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


def load_ray() -> None:
    """Load Ray with the settings of a private cluster, for tests that start none.

    Another test of this process may start one.
    """
    from pipelines.cluster import ray_internals, ray_session

    if "ray" not in sys.modules:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {
                **ray_internals.ALWAYS,
                **ray_internals.OF_A_PRIVATE_CLUSTER,
                "RAY_AUTH_TOKEN": ray_session._TOKEN,
            }.items():
                patch.setenv(name, value)
            import ray  # noqa: F401
        ray_session._LOADED_PRIVATELY.append(True)
