"""The lines of an estimate."""

from __future__ import annotations

import pytest

from pipelines.diagnostics.estimate import Estimate
from vsr.views.plan_view import estimate_lines, estimate_table


@pytest.mark.parametrize(("share", "said"), [(1.0, ""), (0.9, ""), (0.5, "about 4 min 00 s if they go on")])
def test_where_other_programs_kept_the_machine_busy_the_estimate_says_what_that_does(
    share: float, said: str
) -> None:
    found = Estimate(120.0, 10.0, 1000, 2000, 10**9, 3, share)
    (line,) = [text for text in estimate_lines(found) if "other programs" in text] or [""]
    assert line.endswith(said)
    assert bool(line) == bool(said)
    assert estimate_table(found)["machine_share"] == share
