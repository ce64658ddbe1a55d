"""`Length`: the number of steps of a training, the step from which it applies, and how it was set."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from models.errors import UsageError

__all__ = ["LEAST_STEPS", "Length", "StepPace"]


LEAST_STEPS = 20
_CHECKS = 20
"""How many times a training of so many minutes compares its speed with the estimate."""
_TOLERANCE = 0.05
"""Relative difference up to which an estimate is kept."""


@dataclass
class Length:
    """The length of a training."""

    asked: int
    """Number of steps in the settings."""
    minutes: float | None = None
    """Requested duration of the whole training, in minutes, instead of steps."""
    parts: list[list[int]] = field(default_factory=list)
    """[first step, number of steps of the training from there on]. The learning rate follows the last part,
    so with the settings and the data these parts determine the weights."""
    elapsed: float = 0.0
    """Seconds of training so far, including validations."""

    @property
    def steps(self) -> int:
        """The current number of steps."""
        return self.parts[-1][1]

    def change(self, step: int, steps: int) -> bool:
        """Set the number of steps from `step` on; returns whether it changes."""
        if steps == self.steps:
            return False
        if self.parts[-1][0] == step:
            del self.parts[-1]
        self.parts.append([step, steps])
        return True

    def resume(self, step: int, asked: int, minutes: float | None) -> bool:
        """Continue after `step`, with the length it had, unless another one is requested.

        Returns whether the number of steps changes. Raises UsageError if as many steps or minutes are already
        done.
        """
        if minutes is None and asked == self.asked:
            return False
        self.asked = asked
        if minutes is None:
            if asked <= step:
                raise UsageError(
                    f"{step} steps are done already; steps are those of the whole training: give more, such"
                    f" as --set steps={2 * step}"
                )
            self.minutes = None
            return self.change(step, asked)
        if minutes == self.minutes:
            return False
        left = minutes * 60 - self.elapsed
        if left <= 0:
            done = math.ceil(self.elapsed / 6) / 10
            raise UsageError(
                f"it has trained for {done:g} min already; --minutes is the time of the whole training:"
                f" give more, such as --minutes {max(1, math.ceil(2 * done))}"
            )
        self.minutes = minutes
        return self.change(step, _steps(step, left, self.elapsed / step))


class StepPace:
    """Corrects the number of steps by the speed of recent ones, if minutes were requested.

    The machine may have been slower or faster while the first estimate was made.
    """

    def __init__(self, length: Length, step: int, seconds: float) -> None:
        """step, seconds: number of steps so far, and the time they took."""
        self._length, self._cost = length, 0.0
        self._step, self._seconds, self._elapsed = step, seconds, length.elapsed

    def correct(self, step: int, seconds: float) -> bool:
        """Called after a step; returns whether the number of steps changes, from `step` on."""
        length = self._length
        if length.minutes is None:
            return False
        budget = length.minutes * 60
        is_due = length.elapsed - self._elapsed >= budget / _CHECKS
        if not is_due and step < length.steps:
            return False
        if is_due or not self._cost:
            # validations come at intervals, so their share is that of the whole training
            whole = length.elapsed / max(seconds, 1e-9)
            self._cost = (seconds - self._seconds) / (step - self._step) * whole
            self._step, self._seconds, self._elapsed = step, seconds, length.elapsed
        steps = _steps(step, budget - length.elapsed, self._cost)
        return abs(steps - length.steps) > _TOLERANCE * length.steps and length.change(step, steps)


def _steps(step: int, seconds: float, cost: float) -> int:
    """The number of steps if so many seconds are left after `step`, at this cost of a step."""
    return max(LEAST_STEPS, step + max(0, round(seconds / max(cost, 1e-9))))
