"""`InputFeeder`: sends long inputs of tasks to their actors, part by part."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipelines.cluster.object_refs import ObjectRefs
    from pipelines.cluster.pending_answers import PendingAnswers
    from pipelines.cluster.pending_calls import Actor, PendingCall, RunningTask

__all__ = ["InputFeeder"]


class InputFeeder:
    """Sends the next part of an input as soon as its actor has taken the one before."""

    def __init__(
        self,
        object_refs: ObjectRefs,
        answers: PendingAnswers,
        answer: Callable[[Actor, Any], Any],
        end_call: Callable[[PendingCall, BaseException | None], None],
    ) -> None:
        """answer: what an actor returned, None after a failure. end_call: ends a call with an error."""
        self._object_refs, self._answers = object_refs, answers
        self._answer, self._end_call = answer, end_call

    def feed(self, run: RunningTask, again: tuple[Any, bool] | None = None) -> None:
        """Send the next part of a long input, or send one again that was not accepted."""
        try:
            part, last = again or self._object_refs.more(run)
        except Exception as error:  # noqa: BLE001 - the caller's own
            self._end_call(run.call, error)
            return
        ref = run.actor.handle.feed.remote(run.turn, last, part)
        self._answers.expect(ref, partial(self._on_fed, run, ref, part, last))

    def _on_fed(self, run: RunningTask, ref: Any, part: Any, last: bool) -> None:
        taken = self._answer(run.actor, ref)
        if taken is None or run not in run.call.running:
            return
        if not taken:
            self.feed(run, (part, last))
        elif last:
            self._object_refs.is_fed(run)
        else:
            self.feed(run)
