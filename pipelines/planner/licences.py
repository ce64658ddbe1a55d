"""Checks the licences of a plan's networks.

Presets for commercial use refuse some; for the others there are notes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from models.catalog.card import user_folder
from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.catalog.card import Card
    from pipelines.plan.plan import Plan

__all__ = ["licence_notes", "refuse_licences"]


def refuse_licences(cards: Sequence[Card]) -> None:
    """Raise UsageError if the licence of a network forbids commercial use or is unknown."""
    for card in cards:
        if card.commercial == "no":
            raise UsageError(
                f"--model {card.name}: its licence, {card.licence}, allows no commercial use, and the"
                " settings say commercial = true; `vsr models search --commercial` lists networks that may"
                " be used"
            )
        if card.commercial == "unknown":
            raise UsageError(
                f"--model {card.name}: nobody says that it may be used commercially, and the settings say"
                " commercial = true; "
                'where it may, write licence = "..." and commercial = "yes" into'
                f" {Path(card.path).with_suffix('.toml')}"
                if card.architecture not in {"foreign", "onnx"} or Path(card.path).parent == user_folder()
                else (
                    f"--model {card.name}: its licence is not known, and the settings say commercial = true;"
                    f" where it allows commercial use, `vsr models add {card.path} --licence NAME"
                    " --commercial yes` keeps it as a network of which that is known"
                )
            )


def licence_notes(plan: Plan) -> list[str]:
    """A line for each third-party network."""
    others = {
        s.card.name: s.card
        for s in plan.stages
        if s.card.author or s.card.architecture in {"foreign", "onnx"}
    }
    return [
        f"{card.name}: {card.terms}" + (f"; by {card.author}" if card.author else "")
        for card in others.values()
    ]
