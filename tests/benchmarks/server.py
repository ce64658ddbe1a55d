"""Measures the cost of `vsr serve`: `python -m tests.benchmarks.server [--quick] [--write docs/server.md]`.

With 1,000 jobs in the queue, it measures the time of calls; with 50 clients that listen to events of a
running job, and when idle, the share of a core that the server uses; its memory, and that torch is not
loaded. The worker of the jobs only sleeps, so that the server alone is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from tests import media
from tests.benchmarks.report import table, tell
from tests.helpers.serving import SETTINGS, TOKEN, Server

JOBS, CLIENTS = 1000, 50
CALL_MS, CORE_SHARE, IDLE_SHARE, MEGABYTES = 50.0, 0.03, 0.01, 150.0


class Calls:
    """Calls over one connection, as a page makes them."""

    def __init__(self, server: Server) -> None:
        host, port = server.base.removeprefix("http://").split(":")
        self._line = http.client.HTTPConnection(host, int(port), timeout=60)

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        self._line.request(method, f"/api/v1/{path}", json.dumps(body) if body is not None else None, headers)
        answer = self._line.getresponse()
        data = answer.read()
        assert answer.status < 300, data
        return json.loads(data) if data else None


def timed(process: psutil.Process, times: int, call: Callable[[int], object]) -> tuple[float, float, float]:
    """(median, 95 of 100, CPU of the server a call), in ms."""
    before, spent = _cpu(process), []
    for number in range(times):
        began = time.perf_counter()
        call(number)
        spent.append((time.perf_counter() - began) * 1000)
    return (
        statistics.median(spent),
        sorted(spent)[int(0.95 * (times - 1))],
        (_cpu(process) - before) * 1000 / times,
    )


def _cpu(process: psutil.Process) -> float:
    found = process.cpu_times()
    return float(found.user + found.system)


def share(process: psutil.Process, seconds: float) -> float:
    """Of one core, over so long."""
    before, began = _cpu(process), time.monotonic()
    time.sleep(seconds)
    return (_cpu(process) - before) / (time.monotonic() - began)


@contextlib.contextmanager
def listeners(server: Server, count: int) -> Iterator[list[int]]:
    """Clients that take every event; how many bytes each has had."""
    host, port = server.base.removeprefix("http://").split(":")
    received, lines = [0] * count, []

    def listen(number: int, stream: http.client.HTTPResponse) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            while data := stream.read1(65536):
                received[number] += len(data)

    for number in range(count):
        line = http.client.HTTPConnection(host, int(port), timeout=600)
        line.request("GET", "/api/v1/events", headers={"Authorization": f"Bearer {TOKEN}"})
        lines.append(line)
        threading.Thread(target=listen, args=(number, line.getresponse()), daemon=True).start()
    try:
        yield received
    finally:
        for line in lines:
            line.close()


def measure(folder: Path, *, quick: bool) -> list[tuple[str, str, bool]]:
    """Rows: what, how much, whether the target is met."""
    root = folder / "films"
    root.mkdir()
    media.cfr(root / "a.mp4", frames=12)
    media.cfr(root / "long.mp4", frames=240 if quick else 1200)
    server = Server([root], folder / "data", worker="Slow").start()
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    rows = []
    time.sleep(2)
    idle = share(process, 5 if quick else 30)
    rows.append(("idle, no client", f"{idle:.2%} of a core", idle < IDLE_SHARE))
    calls = Calls(server)
    ids = [""] * JOBS

    def submit(number: int) -> None:
        settings = {**SETTINGS, "output": f"films/{number}.mp4"}
        ids[number] = calls("POST", "jobs", {"path": "films/a.mp4", "settings": settings})["id"]

    tried: list[tuple[str, int, Callable[[int], object]]] = [
        ("POST jobs, up to 1,000", JOBS, submit),
        ("GET jobs, all 1,000", 20, lambda _: calls("GET", "jobs")),
        ("GET jobs?limit=50", 40, lambda _: calls("GET", "jobs?limit=50")),
        ("GET jobs/ID", 100, lambda n: calls("GET", f"jobs/{ids[n]}")),
        (
            "POST jobs/ID/move 400 places forward",
            40,
            lambda n: calls("POST", f"jobs/{ids[999 - n]}/move", {"before": ids[500]}),
        ),
        ("POST jobs/ID/pause", 40, lambda n: calls("POST", f"jobs/{ids[600 + n]}/pause")),
        ("POST jobs/ID/cancel", 40, lambda n: calls("POST", f"jobs/{ids[700 + n]}/cancel")),
        ("GET files", 40, lambda _: calls("GET", "files?path=films")),
    ]
    is_busy = os.getloadavg()[0] > len(os.sched_getaffinity(0))
    judged = ", judged by the CPU time" if is_busy else ""
    for what, times, call in tried:
        median, most, cpu = timed(process, times, call)
        said = f"median {median:.1f} ms (95th percentile {most:.1f} ms; {cpu:.1f} ms of CPU){judged}"
        rows.append((what, said, (cpu if is_busy else median) < CALL_MS))
    long = server.submit("films/long.mp4", output="films/long-made.mp4", chunk_seconds=5)
    server.api("POST", f"jobs/{long}/move", {"before": server.api("GET", "jobs?limit=1")[0]["id"]})
    while not (server.api("GET", f"jobs/{long}")["progress"] or {}).get("done"):
        time.sleep(0.2)
    with listeners(server, CLIENTS) as received:
        time.sleep(2)
        before = sum(received)
        seconds = 5 if quick else 30
        busy = share(process, seconds)
        heard = sum(received) - before
    rows.append(
        (
            f"{CLIENTS} clients during a job",
            f"{busy:.2%} of a core, {heard / 1e3:.0f} kB sent in {seconds} s",
            busy < CORE_SHARE and heard > 0,
        )
    )
    with process.oneshot():
        memory = process.memory_info().rss / 1e6
        loaded = [m.path for m in process.memory_maps() if "libtorch" in m.path]
    rows.append(("memory (RSS)", f"{memory:.0f} MB", memory <= MEGABYTES))
    rows.append(("torch", "loaded" if loaded else "not loaded", not loaded))
    server.process.kill()
    server.process.wait()
    return rows


def main() -> int:
    """Measure and print; 1 where a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", type=Path, help="docs/server.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), quick=given.quick)
    lines = [(what, said, "yes" if fits else "no") for what, said, fits in rows]
    tell("server", table(("", "measured", "target met"), lines), given.write)
    return 0 if all(fits for *_, fits in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
