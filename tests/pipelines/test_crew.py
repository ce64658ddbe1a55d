"""How many workers a run has on this machine. No device is needed: they are told by a variable."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from models.catalog import Card
from pipelines import crew
from pipelines.crew import Crew, crew_of, cuda_devices
from pipelines.plan import Plan
from pipelines.settings import RunSettings
from tests.pipelines.test_device import card, plan_of

GB = 10**9


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    def of(cores: int, gigabytes: int, devices: str) -> None:
        monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)))
        monkeypatch.setattr(crew, "_memory", lambda: gigabytes * GB)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", devices)

    return of


def plan(lines: int = 2160, network: Card | None = None) -> Plan:
    return plan_of(network or card("quality-x2"), lines * 8 // 9, lines // 2, 2)


@pytest.mark.parametrize(
    ("cores", "gigabytes", "devices", "lines", "expected"),
    [
        (16, 128, "0", 2160, 4),
        (15, 128, "0", 2160, 3),
        (64, 128, "0", 2160, 4),  # no more than four a device
        (2, 128, "0", 2160, 1),
        (16, 128, "0,1", 2160, 4),
        (2, 128, "0,1", 2160, 2),  # a device is never left out
        (16, 8, "0", 2160, 2),
        (16, 2, "0", 2160, 1),
        (16, 16, "0", 4320, 2),  # 8K takes twice the memory
        (16, 16, "0,1", 4320, 2),
        (16, 128, "", 2160, 1),
        (16, 128, "-1", 2160, 1),
    ],
)
def test_a_device_has_as_many_workers_as_its_share_of_cores_and_memory_feeds(
    machine, cores: int, gigabytes: int, devices: str, lines: int, expected: int
) -> None:
    machine(cores, gigabytes, devices)
    assert crew_of(RunSettings(), plan(lines)).workers == expected
    assert crew_of(RunSettings(workers=7), plan(lines)).workers == 7
    assert crew_of(RunSettings(device="cpu"), plan(lines)) == Crew(1)
    assert crew_of(RunSettings().alone, plan(lines)).workers == 1


def test_a_heavy_network_or_none_that_is_known_has_a_device_for_itself(machine) -> None:
    machine(16, 128, "0,1")
    assert crew_of(RunSettings(), plan(network=replace(card("quality-x2"), pixels="rgb"))).workers == 2
    assert crew_of(RunSettings()).workers == 2


def test_all_workers_have_room_on_the_devices_by_their_share() -> None:
    for devices in range(1, 5):
        for workers in range(1, 17):
            share = Crew(workers, tuple("0123"[:devices])).share
            assert devices * int(1 / share) >= workers
            assert round(share * 10_000) == pytest.approx(share * 10_000)


@pytest.mark.parametrize(("limit", "expected"), [("1000000000\n", GB), ("max\n", None), (f"{1 << 62}\n", None), (None, None)])
def test_memory_is_that_of_the_container_where_it_is_less(monkeypatch: pytest.MonkeyPatch, limit: str | None, expected: int | None) -> None:
    def read(*_: object, **__: str) -> str:
        if limit is None:
            raise FileNotFoundError
        return limit

    monkeypatch.setattr("pathlib.Path.read_text", read)
    assert crew._memory() == (expected or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def test_no_devices_where_there_is_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("pathlib.Path.is_dir", lambda _: False)
    assert cuda_devices() == []
