"""How the scheduler handles answers, without a cluster."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.helpers.ray_processes import load_ray

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True, scope="module")
def ray() -> None:
    load_ray()


@pytest.mark.parametrize(
    ("answer", "silent", "pulse"),
    [(4, 0.0, 4), (3, 9.0, 3), (None, 9.0, 3)],
    ids=["it got on", "it stands still", "no answer"],
)
def test_only_a_pulse_that_moved_on_ends_the_silence(
    monkeypatch: pytest.MonkeyPatch, answer: int | None, silent: float, pulse: int
) -> None:
    """Case 57: a worker that hangs still answers."""
    from pipelines.cluster.scheduler import Scheduler

    scheduler: Any = Scheduler.__new__(Scheduler)
    monkeypatch.setattr(scheduler, "_answer", lambda actor, ref: answer)
    actor = SimpleNamespace(pulse=3, silent=9.0, asked=True)
    scheduler._on_pulse(actor, None)
    assert (actor.silent, actor.pulse, actor.asked) == (silent, pulse, False)
