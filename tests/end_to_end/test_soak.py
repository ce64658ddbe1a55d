"""Case 60: memory, descriptors, threads and shared memory do not grow with the length of the film.

VSR_SOAK_FRAMES sets a longer film.
"""

from __future__ import annotations

import json
import os
import statistics
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest

from tests import media
from tests.helpers.command import started
from tests.helpers.figures import record
from tests.helpers.ray_processes import MARK, children_of

FRAMES = int(os.environ.get("VSR_SOAK_FRAMES", "320"))
CHUNK = 16 if FRAMES < 5000 else 80
OPTIONS = (
    "--scale",
    "2",
    "--model",
    "fast",
    "--codec",
    "h264",
    "--preset",
    "ultrafast",
    "--device",
    "cpu",
    "--json",
)
_BYTES_A_FRAME = 1024
"""Growth that is none: the journal notes a timestamp and a thumbnail's place for each frame."""
_NOISE_BYTES = 6 << 20


@dataclass(frozen=True)
class Sample:
    """What a process holds."""

    memory: int
    """Bytes of its own, files not counted."""
    shared: int
    """Bytes of shared memory it has touched."""
    descriptors: int
    threads: int


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    seconds = FRAMES / 25
    return media.write(
        path,
        media.Film(frames=FRAMES, rate=Fraction(25), size=(64, 48), gop=CHUNK),
        audio=(media.Audio(seconds=seconds),),
    )


def sample(pid: int) -> Sample | None:
    """None for a process that is gone, or no longer what it was."""
    try:
        lines = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
        )
        own, shared = (int(lines[name].split()[0]) << 10 for name in ("RssAnon", "RssShmem"))
        return Sample(own, shared, len(os.listdir(f"/proc/{pid}/fd")), int(lines["Threads"]))
    except (OSError, KeyError):
        return None


def watched(film: Path, output: Path, *more: str) -> tuple[dict[int, list[Sample]], int]:
    """(samples by process, one after each chunk; chunks) of a run that must succeed."""
    process = started("run", film, "-o", output, *OPTIONS, "--chunk-seconds", str(CHUNK / 25), *more, **MARK)
    samples: dict[int, list[Sample]] = {}
    chunks = 0
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "chunk":
            chunks += 1
            for pid in {process.pid, *children_of(process.pid)}:
                found = sample(pid)
                if found is not None:
                    samples.setdefault(pid, []).append(found)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return samples, chunks


@pytest.mark.slow
@pytest.mark.timeout(900 if FRAMES < 5000 else 0)
@pytest.mark.parametrize("where", ["here", pytest.param("ray", marks=pytest.mark.cluster)])
def test_whatever_a_run_holds_stays_flat(film: Path, tmp_path: Path, where: str) -> None:
    """Case 60: command and worker, on this machine and on a local Ray."""
    samples, chunks = watched(
        film, tmp_path / "out.mp4", *(("--cluster", "local:1") if where == "ray" else ())
    )
    assert chunks == FRAMES // CHUNK
    # The last chunks may be told of together, when their worker has ended already; on a busy machine that is
    # some of them.
    steady = {pid: found for pid, found in samples.items() if len(found) > 0.6 * chunks}
    assert len(steady) >= 2, "no worker was there from start to end"
    growth = 0.0
    for pid, found in steady.items():
        early, late = found[len(found) // 4 : len(found) // 2], found[-len(found) // 4 :]
        frames = CHUNK * len(found) / 2
        for what in ("memory", "shared"):
            more = statistics.median(getattr(s, what) for s in late) - statistics.median(
                getattr(s, what) for s in early
            )
            growth = max(growth, more)
            assert more < _NOISE_BYTES + _BYTES_A_FRAME * frames, (
                f"{what} of process {pid} grew by {more / 1e6:.1f} MB in {frames:.0f} frames"
            )
        # The encoder of a chunk may still be at work when the next one begins, with threads of its own: what
        # leaks is what stays.
        first = found[1 : len(found) // 4 + 1]
        for what in ("descriptors", "threads"):
            before, after = max(getattr(s, what) for s in first), min(getattr(s, what) for s in late)
            assert after <= before + 2, f"process {pid} went from {before} to {after} {what}"
    record(frames=FRAMES, processes=len(steady), growth_bytes=round(growth))
