"""A cluster of several hosts with separate addresses: the same bytes when hosts join, leave or die.

Cases 38, 40.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import media
from tests.helpers.command import vsr
from tests.helpers.hosts import Hosts, unavailable

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

OPTIONS = "--scale 2 --model fast --codec h264 --preset ultrafast --chunk-seconds 0.5 --device cpu --precision fp32 --json".split()
"""Auto may choose int8 on one machine, never for CPUs it doesn't know."""
CHUNKS = 20


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    reason = unavailable()
    if reason:
        pytest.skip(reason)
    with Hosts() as found:
        found.start("one", 2)
        found.start("two", 3)
        yield found


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media.cfr(tmp_path_factory.mktemp("film") / "film.mp4", frames=8 * CHUNKS)


@pytest.fixture(scope="module")
def alone(film: Path) -> bytes:
    """The result without a cluster."""
    output = film.with_name("alone.mp4")
    assert vsr("run", film, "-o", output, *OPTIONS).code == 0
    return output.read_bytes()


def run(
    hosts: Hosts, film: Path, output: Path, *happenings: Callable[[subprocess.Popen[str], str], object]
) -> list[dict[str, Any]]:
    """The events of a run; the first thing happens when half of the chunks are there, the next ones at the
    chunks after.

    Each is told the process and the host that made the chunk, and is tried again where it answers False.
    """
    process = subprocess.Popen(
        hosts.command("run", film, "-o", output, *OPTIONS, "--cluster", hosts.address),
        env=hosts.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    events = []
    coming = list(happenings)
    assert process.stdout is not None
    for line in process.stdout:
        events.append(json.loads(line))
        is_half = events[-1]["event"] == "chunk" and events[-1]["chunks_done"] >= CHUNKS // 2
        if coming and is_half and coming[0](process, events[-1]["host"]) is not False:
            coming.pop(0)
    _, err = process.communicate(timeout=120)
    assert process.returncode in {0, -9}, err
    return events


def makers(events: list[dict[str, Any]]) -> set[str]:
    return {e["host"] for e in events if e["event"] == "chunk"}


def test_two_hosts_give_the_bytes_of_one_machine(
    hosts: Hosts, film: Path, alone: bytes, tmp_path: Path
) -> None:
    output = tmp_path / "out.mp4"
    events = run(hosts, film, output)
    assert makers(events) == {"one", "two"}
    assert output.read_bytes() == alone


def test_a_killed_driver_goes_on_where_it_was(hosts: Hosts, film: Path, alone: bytes, tmp_path: Path) -> None:
    """Case 38."""
    output = tmp_path / "out.mp4"
    run(hosts, film, output, lambda process, _: process.kill())
    assert not output.exists()
    events = run(hosts, film, output)
    assert events[0]["chunks_done"] >= CHUNKS // 2
    assert output.read_bytes() == alone


def test_a_host_that_dies_half_way_costs_what_it_held(
    hosts: Hosts, film: Path, alone: bytes, tmp_path: Path
) -> None:
    """Case 40: the chunk that its worker made, and the one that waited there."""
    output = tmp_path / "out.mp4"
    events = run(hosts, film, output, lambda _, __: hosts.strike("two"))
    assert len([e for e in events if e["event"] == "note" and "two" in e["text"]]) <= 2
    assert events[-1]["event"] == "done"
    assert output.read_bytes() == alone


def test_a_host_that_joins_half_way_gets_work(hosts: Hosts, film: Path, alone: bytes, tmp_path: Path) -> None:
    hosts.strike("two")
    output = tmp_path / "out.mp4"

    def join(_process: subprocess.Popen[str], _host: str) -> None:
        # or it would be done with all before the other is there
        hosts.signal("one", signal.SIGSTOP, "ray::WorkerActor")
        hosts.start("three", 4)

    def wake(_process: subprocess.Popen[str], host: str) -> bool:
        return host == "three" and hosts.signal("one", signal.SIGCONT, "ray::WorkerActor") > 0

    events = run(hosts, film, output, join, wake)
    assert makers(events) == {"one", "three"}
    assert output.read_bytes() == alone
