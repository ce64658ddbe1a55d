"""How many workers a command line asks for, and what a private cluster then offers. No Ray is started."""

from __future__ import annotations

import os
from typing import Any

import pytest

from pipelines.cluster import ray_session


@pytest.mark.parametrize(
    ("address", "workers", "most"),
    [("local:8", 2, 2), ("local:2", 8, 2), ("local:3", None, 3), ("local", 5, 5), ("local", None, 4), ("auto", 6, 6), ("auto", None, None)],
)
def test_workers_are_capped_by_both_the_address_and_the_option(
    monkeypatch: pytest.MonkeyPatch, address: str, workers: int | None, most: int | None
) -> None:
    opened: dict[str, Any] = {}
    monkeypatch.setattr(ray_session, "Session", lambda _, **offers: opened.update(offers))
    found = ray_session.open_session(address, workers=workers, cpus_per_worker=None, usual=4, devices=0, environment={})
    assert found[1] == most
    if most is not None and address != "auto":
        cores = len(os.sched_getaffinity(0))
        assert found[2] == max(1, cores // most)
        assert opened["cpus"] == max(cores, most)
