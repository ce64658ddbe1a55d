"""Damaged films: probing, planning and decoding. Case 68."""

from __future__ import annotations

import os
from pathlib import Path

from tests.fuzz import fuzz

FIRST = int(os.environ.get("VSR_FUZZ_FIRST", "0"))
COUNT = int(os.environ.get("VSR_FUZZ_COUNT", "60"))


def test_no_damage_ends_in_a_crash_a_hang_a_traceback_or_a_lost_frame(tmp_path: Path) -> None:
    """Case 68: every damaged film ends in all its planned frames, or in one line and a documented exit code.

    VSR_FUZZ_COUNT films from the seed VSR_FUZZ_FIRST on; `python -m tests.fuzz --first SEED --count 1` does
    one again.
    """
    endings = list(fuzz(FIRST, COUNT, tmp_path))
    assert len(endings) == COUNT
    bad = [f"seed {e.seed}: {e.said}" for e in endings if not e.good]
    assert not bad, "\n".join(bad)
