"""Actors that end before they have reported anything."""

from __future__ import annotations

import os
import signal
from typing import Any

from pipelines.cluster.actor import WorkerActor


class Stillborn(WorkerActor):
    """Killed when it is asked who it is."""

    def hello(self) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError
