"""Numbers as text."""

from __future__ import annotations

from vsr.views.text import counted


def test_one_is_not_a_plural() -> None:
    assert [counted(n, "frame") for n in (0, 1, 2)] == ["0 frames", "1 frame", "2 frames"]
