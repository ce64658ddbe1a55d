"""How many workers a command line requests, and what a private cluster then offers.

Ray is started in one test only.
"""

from __future__ import annotations

import logging
import shutil
import sys
import types
from typing import Any

import pytest

from models.errors import ResourceError, UsageError
from pipelines.cluster import ray_session
from pipelines.hardware.resources import usable_cores


@pytest.mark.parametrize(
    ("address", "workers", "most"),
    [
        ("local:8", 2, 2),
        ("local:2", 8, 2),
        ("local:3", None, 3),
        ("local", 5, 5),
        ("local", None, 4),
        ("auto", 6, 6),
        ("auto", None, None),
    ],
)
def test_workers_are_capped_by_both_the_address_and_the_option(
    monkeypatch: pytest.MonkeyPatch, address: str, workers: int | None, most: int | None
) -> None:
    opened: dict[str, Any] = {}
    monkeypatch.setattr(ray_session, "RaySession", lambda _, **offers: opened.update(offers))
    found = ray_session.open_session(
        address, ray_session.ClusterResources(), workers=workers, cpus_per_worker=None, usual=4
    )
    assert found[1] == most
    if most is not None and address != "auto":
        cores = usable_cores()
        assert found[2] == max(1, cores // most)
        assert opened["cpus"] == max(cores, most)


@pytest.mark.parametrize(
    ("shared_mb", "disk_mb", "expected_mb"),
    [
        (8000, 8000, 1024),
        (400, 8000, 190),
        (64, 8000, 1024),
        (64, 400, 190),
        (None, 8000, 1024),
        (64, 64, None),
        (None, None, None),
    ],
)
def test_ray_s_store_is_never_smaller_than_ray_takes(
    monkeypatch: pytest.MonkeyPatch, shared_mb: int | None, disk_mb: int | None, expected_mb: int | None
) -> None:
    """Case 86: docker gives a container 64 MB of /dev/shm."""

    def usage(place: str) -> Any:
        found = shared_mb if place == "/dev/shm" else disk_mb
        if found is None:
            raise FileNotFoundError(place)
        return shutil._ntuple_diskusage(found << 20, 0, found << 20)  # type: ignore[attr-defined]

    monkeypatch.setattr(shutil, "disk_usage", usage)
    if expected_mb is None:
        with pytest.raises(ResourceError, match="leave --cluster out"):
            ray_session._store_bytes()
    else:
        assert abs(ray_session._store_bytes() / 2**20 - expected_mb) <= 10


def test_a_session_that_fails_leaves_logging_and_ray_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 86."""
    logger = logging.getLogger("ray")
    handler = logging.NullHandler()
    monkeypatch.setattr(logger, "handlers", [handler])
    monkeypatch.setattr(logger, "propagate", False)
    logger.setLevel(logging.WARNING)
    seen = []

    def joined(self: object, address: str) -> None:
        seen.append(logger.level)
        logger.handlers.append(logging.NullHandler())
        logger.propagate = True
        raise UsageError(address)

    monkeypatch.setattr(ray_session.RaySession, "_join", joined)
    monkeypatch.setitem(sys.modules, "ray", types.SimpleNamespace(shutdown=lambda: None))
    with pytest.raises(UsageError):
        ray_session.RaySession("auto")
    assert seen == [logging.CRITICAL]
    assert (logger.level, logger.propagate, logger.handlers) == (logging.WARNING, False, [handler])


def test_after_a_session_ray_prints_and_logs_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    before = object()
    worker = types.SimpleNamespace(print_to_stdstream=before)
    ray = types.ModuleType("ray")
    ray._private, ray.init, ray.shutdown = (
        types.SimpleNamespace(worker=worker),
        lambda **_: None,
        lambda: None,
    )  # type: ignore[attr-defined]
    config = types.ModuleType("ray.job_config")
    config.JobConfig = lambda **_: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.job_config", config)
    logging.getLogger("ray").setLevel(logging.INFO)
    with ray_session.RaySession("auto"):
        assert worker.print_to_stdstream is not before
        assert logging.getLogger("ray").level == logging.CRITICAL
    assert worker.print_to_stdstream is before
    assert logging.getLogger("ray").level == logging.INFO
