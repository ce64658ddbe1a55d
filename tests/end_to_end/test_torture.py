"""`tests.benchmarks.torture`, which runs `vsr run` on every file of a folder: good and bad results.

Cases 63, 64.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import media
from tests.benchmarks.torture import row, torture


@pytest.mark.slow
def test_a_film_is_done_and_what_is_none_is_refused_in_one_line(tmp_path: Path) -> None:
    """Cases 63 and 64: a whole film, one cut short, and a text: the result, exit 4 and exit 3.

    No torch for a refusal, which takes half a second.
    """
    whole = media.cfr(tmp_path / "a-whole.ts", frames=8)
    cut = tmp_path / "b-cut.ts"
    cut.write_bytes(whole.read_bytes()[:-100])
    text = tmp_path / "c-text.mp4"
    text.write_text("no film")
    endings = list(torture([whole, cut, text]))
    assert [(e.code, e.wrong) for e in endings] == [(0, ""), (4, ""), (3, "")]
    assert endings[0].frames == endings[0].expected == 8
    assert "| b-cut.ts | refused | 4 |" in row(endings[1], tmp_path)
