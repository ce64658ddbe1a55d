"""How many workers a run has on this machine. Devices are simulated with a variable."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.catalog.card import Card
from pipelines.hardware import resources
from pipelines.hardware.resources import WorkerAllocation, allocate_workers, cuda_devices, with_fewer_workers
from pipelines.media.video_info import Chunk, Span
from pipelines.plan.plan import Plan
from pipelines.settings.run_settings import ExecutionSettings
from tests.helpers.command import ROOT
from tests.pipelines.inference.test_upscaler import card, plan_of

GB = 10**9


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    def of(cores: int, gigabytes: int, devices: str) -> None:
        monkeypatch.setattr(resources, "usable_memory", lambda: gigabytes * GB)
        monkeypatch.setattr(resources, "usable_cores", lambda: cores)
        monkeypatch.setattr(resources, "_device_memory", lambda _: None)
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
    assert allocate_workers(ExecutionSettings(), plan(lines)).workers == expected
    assert allocate_workers(ExecutionSettings(workers=7), plan(lines)).workers == 7
    assert allocate_workers(ExecutionSettings(device="cpu"), plan(lines)) == WorkerAllocation(1)
    assert allocate_workers(ExecutionSettings().alone, plan(lines)).workers == 1


def test_a_heavy_network_or_none_that_is_known_has_a_device_for_itself(machine) -> None:
    machine(16, 128, "0,1")
    assert (
        allocate_workers(ExecutionSettings(), plan(network=replace(card("quality-x2"), pixels="rgb"))).workers
        == 2
    )
    assert allocate_workers(ExecutionSettings()).workers == 2


def test_all_workers_have_room_on_the_devices_by_their_share() -> None:
    for devices in range(1, 5):
        for workers in range(1, 17):
            share = WorkerAllocation(workers, tuple("0123"[:devices])).share
            assert devices * int(1 / share) >= workers
            assert round(share * 10_000) == pytest.approx(share * 10_000)


@pytest.fixture
def control_groups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Writes files of limits: `control_groups(own, {"cpu.max": "…"})`, own being the lines of
    /proc/self/cgroup.
    """

    def of(own: str | None, files: dict[str, str]) -> None:
        monkeypatch.setattr(resources, "_CONTROL_GROUPS", tmp_path / "cgroup")
        monkeypatch.setattr(resources, "_OWN_GROUPS", tmp_path / "own")
        if own is not None:
            (tmp_path / "own").write_text(own)
        for name, text in files.items():
            (tmp_path / "cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "cgroup" / name).write_text(text)

    return of


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"memory.max": "1000000000\n"}, GB),
        ("0::/\n", {"memory.max": "max\n"}, None),
        ("0::/\n", {"memory.max": f"{1 << 62}\n"}, None),
        (None, {}, None),
        ("0::/a/b\n", {"memory.max": "max\n", "a/memory.max": "1000000000\n", "a/b/memory.max": "max\n"}, GB),
        (
            "9:memory:/docker/1\n3:cpu,cpuacct:/\n",
            {"memory/docker/1/memory.limit_in_bytes": "1000000000\n"},
            GB,
        ),
        ("9:memory:/not/seen/here\n", {"memory/memory.limit_in_bytes": "1000000000\n"}, GB),
    ],
)
def test_memory_is_that_of_the_container_where_it_is_less(
    control_groups, own: str | None, files: dict[str, str], expected: int | None
) -> None:
    """Case 86."""
    control_groups(own, files)
    assert resources.usable_memory() == (expected or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    assert resources.physical_memory() == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "1600000 100000\n"}, 12),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 12),
        (None, {}, 12),
        (
            "0::/user.slice/one.service\n",
            {"user.slice/cpu.max": "300000 100000\n", "user.slice/one.service/cpu.max": "max 100000\n"},
            3,
        ),
        (
            "3:cpu,cpuacct:/docker/1\n",
            {"cpu/docker/1/cpu.cfs_quota_us": "200000\n", "cpu/docker/1/cpu.cfs_period_us": "100000\n"},
            2,
        ),
        ("3:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 12),
    ],
)
def test_cores_are_the_quota_of_the_container_where_it_is_less(
    monkeypatch: pytest.MonkeyPatch, control_groups, own: str | None, files: dict[str, str], expected: int
) -> None:
    """Case 86."""
    large = plan()
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(12)), raising=False)
    control_groups(own, files)
    assert resources.usable_cores() == expected
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(resources, "usable_memory", lambda: 128 * GB)
    monkeypatch.setattr(resources, "_device_memory", lambda _: None)
    assert allocate_workers(ExecutionSettings(), large).workers == max(1, expected // 4)


def test_a_system_without_affinities_has_all_its_cores(
    monkeypatch: pytest.MonkeyPatch, control_groups
) -> None:
    """Case 86."""
    control_groups(None, {})
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 10)
    assert resources.usable_cores() == 10
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert resources.usable_cores() == 1


def test_cores_are_counted_in_one_place() -> None:
    """Counted beside it, a quota or a system without affinities would be forgotten."""
    counting = re.compile(r"\b(sched_getaffinity|cpu_count)\b")
    found = {
        p.relative_to(ROOT).as_posix()
        for package in ("models", "pipelines", "vsr")
        for p in (ROOT / package).rglob("*.py")
        if counting.search(p.read_text())
    }
    assert found == {"pipelines/hardware/resources.py"}


TOLD = "0, GPU-5a11, 81000\n1, GPU-77b2, 4096\n2, GPU-9c03, 1024\n3, GPU-d004, [N/A]\n"


@pytest.mark.parametrize(
    ("devices", "told", "expected"),
    [
        ("0", TOLD, 4),
        ("1", TOLD, 2),
        ("GPU-77", TOLD, 2),
        ("2", TOLD, 1),  # a device is never left out
        ("0, 1", TOLD, 4),  # by the fuller one
        ("3", TOLD, 4),  # that has no number of its own
        ("MIG-1", TOLD, 4),
        ("0", "No devices were found\n", 4),
        ("0", None, 4),
    ],
)
def test_no_more_workers_share_a_device_than_have_room_in_its_memory(
    machine, monkeypatch: pytest.MonkeyPatch, devices: str, told: str | None, expected: int
) -> None:
    asked = resources._device_memory
    machine(64, 128, devices)

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        if told is None:
            raise FileNotFoundError
        return subprocess.CompletedProcess(command, 0, told)

    monkeypatch.setattr(resources, "_device_memory", asked)
    monkeypatch.setattr("pipelines.hardware.graphics_driver.subprocess.run", run)
    assert allocate_workers(ExecutionSettings(), plan()).workers == expected


def test_an_nvidia_smi_that_fails_or_hangs_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (
        subprocess.CalledProcessError(9, "nvidia-smi"),
        subprocess.TimeoutExpired("nvidia-smi", 20),
    ):

        def run(*_: Any, error: Exception = error, **__: Any) -> None:
            raise error

        monkeypatch.setattr("pipelines.hardware.graphics_driver.subprocess.run", run)
        assert resources._device_memory(("0",)) is None


def test_of_workers_whom_a_driver_promised_a_device_and_torch_gives_none_one_takes_part() -> None:
    shared = WorkerAllocation(4, ("0", "1"))
    assert [bool(shared.surplus(n, {"device": "cpu"})) for n in range(4)] == [False, True, True, True]
    assert not any(shared.surplus(n, {"device": "cuda"}) for n in range(4))
    assert not any(WorkerAllocation(4).surplus(n, {"device": "cpu"}) for n in range(4)), "they were asked for"


def test_where_memory_runs_out_one_worker_a_device_is_left(machine) -> None:
    machine(64, 128, "0,1")
    many = replace(plan(), spans=(Span(0, 1, (Chunk(0, 0, 1),)),) * 9)
    fewer = with_fewer_workers(ExecutionSettings(), many)
    assert fewer is not None
    assert allocate_workers(fewer, many) == WorkerAllocation(2, ("0", "1"))
    assert with_fewer_workers(fewer, many) is None
    assert with_fewer_workers(ExecutionSettings(cluster="local"), many) is None
    assert with_fewer_workers(ExecutionSettings(), replace(many, spans=many.spans[:2])) is None, (
        "two have been at work at most"
    )
    assert with_fewer_workers(ExecutionSettings(device="cpu"), many) is None
    assert with_fewer_workers(ExecutionSettings(device="cpu", workers=3), many) == ExecutionSettings(
        device="cpu", workers=1
    )


@pytest.mark.parametrize(
    ("build", "variables", "devices"),
    [
        ("", {"CUDA_VISIBLE_DEVICES": "1, 0"}, ["1", "0"]),
        ("", {"CUDA_VISIBLE_DEVICES": "0,-1,1"}, ["0"]),  # what follows an invalid number is invisible
        ("", {"CUDA_VISIBLE_DEVICES": "-1"}, []),
        ("", {"CUDA_VISIBLE_DEVICES": ""}, []),
        ("", {"CUDA_VISIBLE_DEVICES": "GPU-5a11,MIG-77b2"}, ["GPU-5a11", "MIG-77b2"]),
        ("", {"CUDA_VISIBLE_DEVICES": "1", "HIP_VISIBLE_DEVICES": "2"}, ["1"]),
        ("rocm", {"CUDA_VISIBLE_DEVICES": "1", "HIP_VISIBLE_DEVICES": "2,3"}, ["2", "3"]),
        ("rocm", {"CUDA_VISIBLE_DEVICES": "1", "HIP_VISIBLE_DEVICES": ""}, ["1"]),
        ("rocm", {"HIP_VISIBLE_DEVICES": "-1"}, []),
    ],
)
def test_devices_are_those_that_variables_show_and_a_worker_sees_its_own(
    build: str, variables: dict[str, str], devices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(resources, "_torch_build", lambda: build)
    assert cuda_devices() == devices
    names = {"CUDA_VISIBLE_DEVICES", *(["HIP_VISIBLE_DEVICES"] if build else [])}
    shared = WorkerAllocation(3, tuple(devices))
    for number in range(3):
        expected = dict.fromkeys(names, devices[number % len(devices)]) if devices else {}
        assert shared.environment(number) == expected


def test_no_devices_where_there_is_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("pathlib.Path.is_dir", lambda _: False)
    assert cuda_devices() == []
