"""The id of a plan: a hash over what shapes the bits of its result, and over nothing else.

Chunks and results are known by it, so whatever is in it and shapes nothing costs finished work.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ID_FORMAT", "former_id", "plan_id", "shaping"]


ID_FORMAT = 2
"""Of ids that reports hold. Those without a number hold former ids, over whole cards with the paths of their
weights."""

_CARD_FACTS = (
    "sha256",
    "architecture",
    "settings",
    "scale",
    "pixels",
    "halo_px",
    "past",
    "future",
    "recurrent",
)
"""Fields of a network's card that shape bits: its weights, and what its contract says. Not where it lies, nor
what is said of it."""


def plan_id(plan: Mapping[str, Any]) -> str:
    """SHA-256, in hex, of a plan as `Plan.to_json` gives it and a journal keeps it.

    Raises KeyError, TypeError where it is none.
    """
    return _digest(shaping(plan))


def shaping(plan: Mapping[str, Any]) -> dict[str, Any]:
    """What of such a plan shapes bits. Raises KeyError, TypeError where it is none."""
    stages = [
        {**stage, "card": {fact: stage["card"][fact] for fact in _CARD_FACTS}} for stage in plan["stages"]
    ]
    found = {**plan, "stages": stages}
    target = found.pop("target", None)
    # A CRF that was found stands among the encoder's options: whether it was searched for shapes nothing
    # any more.
    if target and target["crf"] is None:
        found["target"] = {k: target[k] for k in ("kind", "wanted")}
    return found


def former_id(plan: Mapping[str, Any]) -> str:
    """The id that versions gave which hashed whole cards.

    Their reports and journals are still known by it.
    """
    return _digest(plan)


def _digest(table: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()
