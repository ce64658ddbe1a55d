"""`Feeder`: sends long inputs of tasks to their actors, part by part."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipelines.cluster.object_refs import ObjectRefs
    from pipelines.cluster.pending_calls import Actor, PendingCall, Run

__all__ = ["Feeder"]


class Feeder:
    """Sends the next part of an input as soon as its actor has taken the one before."""

    def __init__(
        self,
        parcels: ObjectRefs,
        answers: dict[Any, Callable[[], None]],
        answer: Callable[[Actor, Any], Any],
        end_call: Callable[[PendingCall, BaseException | None], None],
    ) -> None:
        """answers: what to do when an answer comes. answer: what an actor returned, None where it could not.
        end_call: ends a call with an error.
        """
        self._parcels, self._answers, self._answer, self._end_call = parcels, answers, answer, end_call

    def feed(self, run: Run, again: tuple[Any, bool] | None = None) -> None:
        """Send the next part of a long input, or the same again that was not taken."""
        try:
            part, last = again or self._parcels.more(run)
        except Exception as error:  # noqa: BLE001 - the caller's own
            self._end_call(run.call, error)
            return
        ref = run.actor.handle.feed.remote(run.turn, last, part)
        self._answers[ref] = partial(self._on_fed, run, ref, part, last)

    def _on_fed(self, run: Run, ref: Any, part: Any, last: bool) -> None:
        taken = self._answer(run.actor, ref)
        if taken is None or run not in run.call.running:
            return
        if not taken:
            self.feed(run, (part, last))
        elif last:
            self._parcels.is_fed(run)
        else:
            self.feed(run)
