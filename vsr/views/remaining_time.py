"""`Pace`: how fast work goes of late, and so how long what is left will take.

Pure, and tested with recorded runs.
"""

from __future__ import annotations

from collections import deque

__all__ = ["Pace"]


_WINDOW_SECONDS = 600.0
_EVERY_SECONDS = 1.0
_SETTLING_SECONDS = 10.0
_SILENT_SECONDS = 5.0
_BLENDING_SECONDS = 60.0
"""After so long an estimate that was made before counts no more."""
_PAUSE_SECONDS = 60.0
_PAUSE_FACTOR = 8.0


class Pace:
    """Units a second, from reports of how many are done.

    The first report is where counting begins: what led to it (processes that start, networks that load,
    kernels that compile, chunks kept from an earlier run) says nothing about what is to come, and the first
    ten seconds little: an encoder swallows its first frames before it makes any. So there is no rate for five
    seconds, and then the earlier half of them is left out. The rate is that of the last ten minutes, for what
    a worker reports comes in steps, chunk by chunk. A gap far longer than all others is a pause (the command
    was stopped by Ctrl-Z, the machine slept) and counts as no time at all.
    """

    def __init__(self, expected: float | None = None) -> None:
        """expected: the rate that `vsr plan --measure` or `vsr preview` estimated; the pace takes over."""
        self._expected = expected
        self._reports: deque[tuple[float, float]] = deque()
        """(working seconds, units done), about one a second."""
        self._last: float | None = None
        self._worked = 0.0
        self._longest_gap = 0.0

    def add(self, now: float, done: float) -> None:
        """Take a report. now: seconds of any clock that runs on; done: units so far, from whatever start."""
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
        """Units a second; what was expected, or None, until five seconds after the first report."""
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
