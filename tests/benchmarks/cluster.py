"""What a cluster costs its driver, measured with workers that only wait: `python -m tests.benchmarks.cluster`.

Stand-in workers need no GPU: what is measured is the map itself, the object store and Ray. Prints Markdown tables: how the
time of many workers compares with one, the driver's CPU time and memory for 1,000 chunks of 200 KB on 64 workers, with
`--messages` the driver's CPU time for a report of progress, and with `--start` what starting a private cluster costs.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path
from typing import Any

from pipelines.work import Done, Hello, Item, Task

_WORKER = "tests.pipelines.standin:Standin"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 16], help="for the first table")
    parser.add_argument("--wait", type=float, default=1.0, help="seconds a stand-in takes for a chunk, in the first table")
    parser.add_argument("--many", type=int, default=64, help="workers of the second table; 0 leaves it out")
    parser.add_argument("--many-wait", type=float, default=4.0)
    parser.add_argument("--chunks", type=int, default=1000)
    parser.add_argument("--kilobytes", type=int, default=200, help="of a chunk's packets, and of its result")
    parser.add_argument("--messages", type=int, default=0, help="reports of progress to measure, beside the tables")
    parser.add_argument("--start", action="store_true", help="CPU seconds of each process of a private cluster, and nothing else")
    given = parser.parse_args()

    from pipelines.session import Session

    if given.start:
        _start()
        return
    with Session("local", cpus=max(*given.workers, given.many, 1), gpus=0) as session:
        if given.workers:
            print(f"| workers | chunks of {given.wait:g} s | seconds | times one worker |\n|---|---|---|---|")
            rates: list[float] = []
            for count in given.workers:
                spent = _run(session, count, 10 * count, given.wait, 1)["seconds"]
                rates.append(10 * count * given.wait / spent)
                print(f"| {count} | {10 * count} | {spent:.1f} | {rates[-1] / rates[0]:.1f} |", flush=True)
        if given.many:
            found = _run(session, given.many, given.chunks, given.many_wait, given.kilobytes)
            each, beyond = (1000 * x / given.chunks for x in (found["cpu"], found["cpu"] - found["rest"] * found["seconds"]))
            megabytes = given.chunks * given.kilobytes / 1000
            print(
                "\n| workers | chunks | KB each way | seconds | driver's CPU a chunk | beyond that at rest | at rest, a second | memory before, after | store / (in + out) |"
            )
            print("|---|---|---|---|---|---|---|---|---|")
            print(
                f"| {given.many} | {given.chunks} | {given.kilobytes} | {found['seconds']:.0f} | {each:.2f} ms | {beyond:.2f} ms | {1000 * found['rest']:.0f} ms "
                f"| {found['before']:.0f} to {found['after']:.0f} MB | {found['store'] / (2e6 * megabytes):.3f} |",
                flush=True,
            )

        if given.messages:
            each = _messages(session, given.messages)
            print(f"\n{given.messages} reports: {1000 * each:.2f} ms of the driver's CPU each", flush=True)


def _start() -> None:
    """CPU seconds from nothing to a worker that is ready for its first task."""
    import psutil

    from pipelines.session import Session

    with Session("local", cpus=2, gpus=0) as session:
        from pipelines.cluster import Cluster

        with Cluster(session, workers=1, cpus_per_worker=1) as cluster:
            _warm(cluster, 1)
            print("| process | CPU seconds |\n|---|---|")
            print(f"| driver, its imports included | {_cpu():.2f} |")
            for process in psutil.Process().children(recursive=True):
                times = process.cpu_times()
                print(f"| {process.name()} | {times.user + times.system:.2f} |", flush=True)


def _messages(session: Any, count: int) -> float:
    """CPU seconds of the driver for one item of a worker that has nothing else to say."""
    from pipelines.cluster import Cluster

    with Cluster(session, workers=1, cpus_per_worker=1) as cluster:
        spent = []
        for number in (1, count):
            _warm(cluster, 1)
            cpu = _cpu()
            for _ in cluster.run_tasks(
                [Task(0, "talk", ("talk", (number, 0.05)))], worker=_WORKER, setup={"silent": True}, feed=lambda number, task: []
            ):
                pass
            spent.append(_cpu() - cpu)
        return (spent[1] - spent[0]) / (count - 1)


def _run(session: Any, workers: int, chunks: int, wait: float, kilobytes: int) -> dict[str, float]:
    """One map, timed from when all workers are there."""
    from pipelines.cluster import Cluster

    packets = bytes(1000 * kilobytes)
    with Cluster(session, workers=workers, cpus_per_worker=1) as cluster:
        _warm(cluster, workers)
        rest = _cpu()
        for _ in cluster.run_tasks([Task(0, "rest", ("wait", 5.0))], worker=_WORKER, setup={"silent": True}, feed=lambda number, task: []):
            pass
        rest = (_cpu() - rest) / 5
        tasks = [Task(n, f"chunk {n}", ("make", (wait, len(packets)))) for n in range(chunks)]
        begun, cpu, store = time.monotonic(), _cpu(), _stored()
        before = after = 0.0
        done = 0
        for event in cluster.run_tasks(tasks, worker=_WORKER, setup={"silent": True}, feed=lambda number, task: [packets]):
            if isinstance(event, Item) and isinstance(event.value, bytes):
                assert len(event.value) == len(packets)
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
    import threading

    stop = threading.Event()
    for event in cluster.run_tasks(tasks, worker=_WORKER, setup={"silent": True}, feed=lambda number, task: [], stop=stop):
        if isinstance(event, Hello):
            seen.add(event.worker)
            if len(seen) == workers:
                stop.set()


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _memory() -> float:
    """MB of this process that no other shares: without the mapped object store."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines())
    return float(lines["RssAnon"].split()[0]) / 1000


def _stored() -> int:
    """Bytes ever written to the object store."""
    import ray
    from ray._private.internal_api import node_stats

    (node,) = [n for n in ray.nodes() if n["Alive"]]
    return int(node_stats(node["NodeManagerAddress"], node["NodeManagerPort"]).store_stats.cumulative_created_bytes)


if __name__ == "__main__":
    main()
