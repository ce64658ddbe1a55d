"""The architectures a card can name, in one literal table."""

from __future__ import annotations

from models.compact import Compact

__all__ = ["ARCHITECTURES"]

ARCHITECTURES = {"compact": Compact}
