"""`SpeedMeter`: the recent speed of work, and from it the remaining time.

Pure, and tested with recorded runs.
"""

from __future__ import annotations

from collections import deque

__all__ = ["SpeedMeter", "comparison_seconds"]


_WINDOW_SECONDS = 600.0
_EVERY_SECONDS = 1.0
_SETTLING_SECONDS = 10.0
_SILENT_SECONDS = 5.0
_BLENDING_SECONDS = 60.0
"""Time after which an earlier estimate no longer counts."""
_PAUSE_SECONDS = 60.0
_PAUSE_FACTOR = 8.0


class SpeedMeter:
    """Units per second, from reports of the number done.

    Counting begins at the first report, because the time before it (starting processes, loading networks,
    compiling kernels, chunks of an earlier run) doesn't predict what follows. The first ten seconds predict
    little: an encoder takes several frames before it returns one. So there is no rate for five seconds, and
    then the earlier half of the first ten is skipped. The rate is that of the last ten minutes, because
    workers report chunk by chunk. A gap far longer than all others is a pause (the command was stopped by
    Ctrl-Z, the machine slept) and doesn't count.
    """

    def __init__(self, expected: float | None = None) -> None:
        """expected: the rate estimated by `vsr plan --measure` or `vsr preview`.

        The measured pace replaces it.
        """
        self._expected = expected
        self._reports: deque[tuple[float, float]] = deque()
        """(seconds without pauses, units done), about one a second."""
        self._last: float | None = None
        self._worked = 0.0
        self._longest_gap = 0.0

    def add(self, now: float, done: float) -> None:
        """Add a report. now: seconds of a monotonic clock; done: units so far, from any start."""
        if self._last is not None:
            gap = now - self._last
            is_pause = gap > _PAUSE_SECONDS and gap > _PAUSE_FACTOR * self._longest_gap > 0
            if not is_pause:
                self._worked += gap
                self._longest_gap = max(self._longest_gap, gap)
        self._last = now
        reports = self._reports
        if len(reports) > 1 and self._worked - reports[-2][0] < _EVERY_SECONDS:
            reports[-1] = (self._worked, done)
        else:
            reports.append((self._worked, done))
        began = max(self._worked - _WINDOW_SECONDS, min(_SETTLING_SECONDS, self._worked / 2))
        while len(reports) > 2 and reports[1][0] <= began:
            reports.popleft()

    @property
    def rate(self) -> float | None:
        """Units per second; the expected rate, or None, until five seconds after the first report."""
        if len(self._reports) < 2 or self._worked < _SILENT_SECONDS:
            return self._expected
        (began, first), (now, last) = self._reports[0], self._reports[-1]
        if now <= began or last <= first:
            return self._expected
        seen = (last - first) / (now - began)
        if self._expected is None or self._worked >= _BLENDING_SECONDS:
            return seen
        share = self._worked / _BLENDING_SECONDS
        return 1 / (share / seen + (1 - share) / self._expected)


_WORST_FRAMES = 50
"""Frames that take as long to measure as the worst moments take to find and draw, after the last one."""


def comparison_seconds(spent: float, done: int, total: int, rate: float) -> float:
    """Estimated seconds of a whole comparison.

    spent: since it began, including the time to open the files. done, total: measured frames. rate: frames
    per second.
    """
    return spent + (total - done + _WORST_FRAMES) / rate
