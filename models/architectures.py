"""The architectures a card can name, in one literal table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from models.compact import Compact
from models.recurrent import Recurrent

__all__ = ["ARCHITECTURES"]

ARCHITECTURES: dict[str, Callable[..., Any]] = {"compact": Compact, "recurrent": Recurrent}
