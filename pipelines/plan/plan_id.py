"""The id of a plan: a hash over everything that affects the bits of its output, and nothing else.

Chunks and outputs are identified by it, so a field that affects no bits would invalidate finished work.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ID_FORMAT", "bit_shaping_fields", "former_id", "plan_id"]


ID_FORMAT = 2
"""Version of the ids in reports. Reports without a number have former ids, over whole cards with the paths of
their weights."""

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
"""Fields of a network's card that affect bits: its weights and its contract, not its path or description."""


def plan_id(plan: Mapping[str, Any]) -> str:
    """SHA-256, in hex, of a plan as in `Plan.to_json` and in a journal.

    Raises KeyError, TypeError if it is not a plan.
    """
    return _digest(bit_shaping_fields(plan))


def bit_shaping_fields(plan: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a plan that affect bits. Raises KeyError or TypeError if it is not a plan."""
    stages = [
        {**stage, "card": {fact: stage["card"][fact] for fact in _CARD_FACTS}} for stage in plan["stages"]
    ]
    found = {**plan, "stages": stages}
    target = found.pop("target", None)
    # A CRF that was found is among the encoder's options, so the search for it affects nothing any more.
    if target and target["crf"] is None:
        found["target"] = {k: target[k] for k in ("kind", "wanted")}
    return found


def former_id(plan: Mapping[str, Any]) -> str:
    """The id given by versions that hashed whole cards.

    Their reports and journals are still recognised by it.
    """
    return _digest(plan)


def _digest(table: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()
