"""Measures the cost of a cluster for its driver, and its start: `python -m tests.benchmarks.cluster`.

The workers only wait and need no GPU, so the measurement covers only the map itself, the object store and
Ray. Prints two tables: the measured figures with their limits, and what follows from them for 1 to 1,000
GPUs; `--write docs` writes them to docs/cluster.md and docs/scaling.md. `--quick` runs every step with a few
workers; its figures mean nothing. Takes about four minutes on two idle cores, and 5 GB of memory.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.pool.interface import Done, Task, WorkerReady, WorkItem
from tests.benchmarks.report import table, tell

_WORKER = "tests.pipelines.inference.cuda_stub:Standin"
SECTIONS = ("start", "scaling", "driver", "reports")
_SECONDS, _FPS, _PACKETS, _RESULT, _CORES = 6.0, 22.0, 6.0, 15.0, 16
"""Of docs/scaling.md: a chunk's film, frames a second of a worker, MB of a chunk's packets and of its result,
cores of a worker."""
_LARGE = 4
"""Workers where chunks are large."""

Row = tuple[str, str, str, str]


@dataclass(frozen=True)
class Scale:
    """Sizes of the measurements."""

    starts: int
    many: int
    wait: float
    """Seconds a stand-in takes for a chunk where many workers are compared with one."""
    crowd: int
    chunks: int
    crowd_wait: float
    reports: int


FULL = Scale(starts=3, many=16, wait=1.5, crowd=64, chunks=1000, crowd_wait=4.0, reports=200)
QUICK = Scale(starts=1, many=2, wait=0.2, crowd=3, chunks=12, crowd_wait=0.2, reports=10)


@dataclass(frozen=True)
class Driver:
    """CPU seconds of the driver."""

    chunk: float
    megabyte: float
    report: float
    rest: float
    """A second."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="where cluster.md and scaling.md lie")
    given = parser.parse_args()
    scale = QUICK if given.quick else FULL
    load = os.getloadavg()[0]
    rows: list[Row] = []
    below = ""
    if "start" in given.only:
        found, below = start(scale)
        rows += found
    driver = None
    if set(given.only) - {"start"}:
        from pipelines.cluster.ray_session import RaySession

        with RaySession("local", cpus=max(scale.many, scale.crowd, _LARGE), gpus=0) as session:
            if "scaling" in given.only:
                rows.append(scaling(session, scale))
            if "driver" in given.only:
                found, chunk, rest = crowd(session, scale)
                rows += found
                large = _run(session, _LARGE, scale.chunks // 12, 0.3, 6000)
                megabyte = (large["cpu"] / (scale.chunks // 12) - chunk) / 11.6
                rows += [
                    ("the driver's CPU time per MB sent or received", f"{1000 * megabyte:.1f} ms", "", ""),
                    ("the driver's CPU time at rest", f"{1000 * rest:.0f} ms a second", "", ""),
                ]
                driver = Driver(chunk, megabyte, 0.0, rest)
            if "reports" in given.only:
                report = _messages(session, scale.reports)
                rows.append(("the driver's CPU time per progress report", f"{1000 * report:.2f} ms", "", ""))
                driver = (
                    Driver(driver.chunk, driver.megabyte, report, driver.rest) if driver is not None else None
                )
    beside = f"Load average before and after the measurement: {load:.1f} and {os.getloadavg()[0]:.1f} (the latter includes the measurement itself)."
    tell(
        "cluster",
        f"{table(('what', 'measured', 'limit', 'met'), rows)}\n{below}\n{beside}",
        given.write and given.write / "cluster.md",
    )
    if driver is not None and driver.report:
        tell("scaling", f"{outlook(driver)}\n\n{beside}", given.write and given.write / "scaling.md")


def outlook(driver: Driver) -> str:
    """The needs of a driver for several numbers of GPUs, with the chunk defined in docs/scaling.md."""
    a_worker = _FPS / (24 * _SECONDS)  # chunks a second
    each = a_worker * (driver.chunk + (_PACKETS + _RESULT) * driver.megabyte) + 2 * driver.report
    rows = []
    for count in (1, 8, 64, 1000):
        chunks = count * a_worker
        rows.append(
            (
                f"{count:,}",
                f"{chunks:.2g}" if chunks < 100 else f"{chunks:.0f}",
                f"{chunks * _SECONDS:.1f} minutes",
                f"{count * each + driver.rest:.2f}",
                f"{chunks * (_PACKETS + _RESULT):.0f} MB/s",
                f"{chunks * _RESULT:.0f} MB/s",
                f"{count * _CORES:,}",
            )
        )
    measured = table(
        ("the driver's CPU", ""),
        [
            ("a chunk, 200 KB each way", f"{1000 * driver.chunk:.1f} ms"),
            ("a MB either way", f"{1000 * driver.megabyte:.1f} ms"),
            ("a report of progress", f"{1000 * driver.report:.2f} ms"),
            ("at rest, a second", f"{1000 * driver.rest:.0f} ms"),
        ],
    )
    head = (
        "GPUs",
        "chunks a second",
        "film a minute",
        "driver, cores",
        "network in and out",
        "disk, written",
        "encode cores",
    )
    return f"{measured}\n\n{table(head, rows)}\n\nThe driver has one core's work at {(1 - driver.rest) / each:.0f} GPUs."


def start(scale: Scale) -> tuple[list[Row], str]:
    """From the command to the first chunk of a small film, and the CPU time of every process until then."""
    from tests import media

    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as place:
        film = media.cfr(Path(place) / "film.mp4", frames=24)
        for cluster in ((), ("--cluster", "local")):
            seconds[" ".join(cluster)] = spent = []
            for number in range(scale.starts):
                planned, begun, processes = _first_chunk(
                    film, Path(place) / f"{len(cluster)}-{number}", cluster
                )
                spent.append(begun)
    last = statistics.median(seconds["--cluster local"])
    rows = [
        (
            "`--cluster local`: the first chunk begins",
            f"{last:.1f} s after the command",
            "<= 8 s",
            "yes" if last <= 8 else "no",
        ),
        ("the same without a cluster", f"{statistics.median(seconds['']):.1f} s after the command", "", ""),
        ("the film is planned, with a cluster", f"{planned:.1f} s after the command", "", ""),
    ]
    total = sum(processes.values())
    return rows, "\n" + table(
        ("process, until the first chunk", "CPU seconds"), [*((n, f"{s:.1f}") for n, s in processes.most_common()), ("all", f"{total:.1f}")]
    ) + "\n"  # fmt: skip


def _first_chunk(film: Path, folder: Path, cluster: tuple[str, ...]) -> tuple[float, float, Counter[str]]:
    """Seconds from the command to the plan, and to the first chunk.

    CPU seconds of the processes until then.
    """
    import psutil

    from tests.helpers.command import arguments, environment

    folder.mkdir()
    mark, told = folder / "begun", folder / "told"
    command = (
        "run",
        film,
        "-o",
        folder / "out.mp4",
        *"--scale 2 --model fast --codec h264 --device cpu --json".split(),
        *cluster,
    )
    planned, processes = 0.0, Counter[str]()
    with open(told, "wb") as file:
        began = time.monotonic()
        run = subprocess.Popen(
            arguments(*command, worker="tests.benchmarks.begun:Begun"),
            env=environment(VSR_BENCH_BEGUN=str(mark)),
            stdout=file,
            stdin=subprocess.DEVNULL,
        )
        while run.poll() is None:
            if not planned and b'"plan"' in told.read_bytes():
                planned = time.monotonic() - began
            if not processes and mark.exists():
                for process in [psutil.Process(run.pid), *psutil.Process(run.pid).children(recursive=True)]:
                    times = process.cpu_times()
                    name = process.name()
                    own = process.pid == run.pid
                    processes[
                        "the command"
                        if own
                        else "the worker"
                        if name in {"ray::WorkerActor", "python"} and times.user > 0.5
                        else name
                    ] += times.user + times.system
            time.sleep(0.02)
    if run.returncode:
        raise SystemExit(f"{command}: exit {run.returncode}")
    return planned, float(mark.read_text(encoding="utf-8")) - began, processes


def scaling(session: Any, scale: Scale) -> Row:
    """Many workers, compared with one."""
    rates = [
        10 * count * scale.wait / _run(session, count, 10 * count, scale.wait, 1)["seconds"]
        for count in (1, scale.many)
    ]
    times, least = rates[1] / rates[0], scale.many * 15 / 16
    return (
        f"{scale.many} workers, chunks of {scale.wait:g} s",
        f"{times:.1f} x one worker",
        f">= {least:.0f} x",
        "yes" if times >= least else "no",
    )


def crowd(session: Any, scale: Scale) -> tuple[list[Row], float, float]:
    """The driver of many workers; also its CPU seconds a chunk, and a second at rest."""
    found = _run(session, scale.crowd, scale.chunks, scale.crowd_wait, 200)
    each, stored = found["cpu"] / scale.chunks, found["store"] / (2 * 200_000 * scale.chunks)
    what = f"{scale.crowd} workers, {scale.chunks:,} chunks of 200 KB each way"
    return [
        (f"{what}: the driver's CPU", f"{1000 * each:.1f} ms a chunk", "<= 5 ms", "yes" if each <= 0.005 else "no"),
        ("the driver's memory, after a fifth of the chunks and at the end", f"{found['before']:.0f} and {found['after']:.0f} MB", "the same", _same(found)),
        ("bytes through the object store / (in + out)", f"{stored:.3f}", "<= 1.1", "yes" if stored <= 1.1 else "no"),
    ], each, found["rest"]  # fmt: skip


def _same(found: dict[str, float]) -> str:
    return "yes" if found["after"] <= found["before"] + 5 else "no"


def _messages(session: Any, count: int) -> float:
    """CPU seconds of the driver for one item, from a worker that sends nothing else."""
    from pipelines.cluster.ray_pool import RayPool

    with RayPool(session, workers=1, cpus_per_worker=1) as cluster:
        spent = []
        for number in (1, count):
            _warm(cluster, 1)
            cpu = _cpu()
            for _ in cluster.run_tasks(
                [Task(0, "talk", ("talk", (number, 0.05)))],
                worker=_WORKER,
                setup={"silent": True},
                feed=lambda number, task: [],
            ):
                pass
            spent.append(_cpu() - cpu)
        return (spent[1] - spent[0]) / (count - 1)


def _run(session: Any, workers: int, chunks: int, wait: float, kilobytes: int) -> dict[str, float]:
    """One map, timed from when all workers are there."""
    from pipelines.cluster.ray_pool import RayPool

    size, piece = 1000 * kilobytes, 1_000_000  # as packets travel in a run
    packets = [bytes(min(piece, size - start)) for start in range(0, size, piece)]
    with RayPool(session, workers=workers, cpus_per_worker=1) as cluster:
        _warm(cluster, workers)
        rest = _cpu()
        for _ in cluster.run_tasks(
            [Task(0, "rest", ("wait", 5.0))],
            worker=_WORKER,
            setup={"silent": True},
            feed=lambda number, task: [],
        ):
            pass
        rest = (_cpu() - rest) / 5
        tasks = [Task(n, f"chunk {n}", ("make", (wait, size))) for n in range(chunks)]
        begun, cpu, store = time.monotonic(), _cpu(), _stored()
        before = after = 0.0
        done = 0
        for event in cluster.run_tasks(
            tasks, worker=_WORKER, setup={"silent": True}, feed=lambda number, task: packets
        ):
            if isinstance(event, WorkItem) and isinstance(event.value, bytes):
                assert len(event.value) == size
            if isinstance(event, Done):
                done += 1
                if done == chunks // 5:
                    before = _memory()
        after = _memory()
        return {
            "seconds": time.monotonic() - begun,
            "cpu": _cpu() - cpu,
            "rest": rest,
            "before": before,
            "after": after,
            "store": float(_stored() - store),
        }


def _warm(cluster: Any, workers: int) -> None:
    """Wait until every worker has said hello."""
    tasks = [Task(n, "warm", ("wait", 0.01)) for n in range(2000 * workers)]
    seen = set()
    stop = threading.Event()
    for event in cluster.run_tasks(
        tasks, worker=_WORKER, setup={"silent": True}, feed=lambda number, task: [], stop=stop
    ):
        if isinstance(event, WorkerReady):
            seen.add(event.worker)
            if len(seen) == workers:
                stop.set()


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _memory() -> float:
    """MB of this process that no other shares: without the mapped object store."""
    lines = dict(
        line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    )
    return float(lines["RssAnon"].split()[0]) / 1000


def _stored() -> int:
    """Bytes ever written to the object store."""
    import ray
    from ray._private.internal_api import node_stats

    (node,) = [n for n in ray.nodes() if n["Alive"]]
    return int(
        node_stats(node["NodeManagerAddress"], node["NodeManagerPort"]).store_stats.cumulative_created_bytes
    )


if __name__ == "__main__":
    main()
