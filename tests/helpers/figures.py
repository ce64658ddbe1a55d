"""Figures of long tests for docs/reliability.md."""

from __future__ import annotations

import json
import os


def record(**figures: object) -> None:
    """Report figures to `tests.nightly`, if it started this test."""
    path = os.environ.get("VSR_FIGURES")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(figures) + "\n")
