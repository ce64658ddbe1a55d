"""`HangDetector`: detects actors with work that have not reported for too long."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from models.errors import ResourceError
from pipelines.pool.interface import SILENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pipelines.cluster.pending_calls import Actor

__all__ = ["HangDetector"]

_WATCH_SECONDS = 0.5
_STOPPED_SECONDS = 10.0
"""The scheduler checks more often than that, unless it was stopped itself (Ctrl-Z, a closed laptop)."""
_PULSES = 15
"""How often a silent worker is asked for its progress before it counts as hung."""


class HangDetector:
    """Adds up the time in which each actor could have reported and did not.

    Time in which this process was stopped hardly counts.
    """

    def __init__(self) -> None:
        self._watched = time.monotonic()

    def look(self, actors: Sequence[Actor], unheard: Collection[Actor]) -> tuple[list[Actor], list[Actor]]:
        """Return (actors to ask for their progress, actors to give up).

        unheard: actors with results that nobody is fetching at the moment; they are not blamed for their
        silence.
        """
        now = time.monotonic()
        if now - self._watched < _WATCH_SECONDS:
            return [], []
        passed, self._watched = min(now - self._watched, _STOPPED_SECONDS), now
        for actor in actors:
            if not (actor.runs or actor.preparing):
                actor.silent = 0.0
            elif actor not in unheard:
                actor.silent += passed
        to_ask = [a for a in actors if a.silent > SILENCE_SECONDS / _PULSES and not a.asked]
        return to_ask, [a for a in actors if a.silent > SILENCE_SECONDS]

    @staticmethod
    def reason(actor: Actor) -> ResourceError:
        """The error for an actor that is given up."""
        return ResourceError(f"its worker on {actor.host} said nothing for {SILENCE_SECONDS:.0f} s")
