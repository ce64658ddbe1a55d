"""What networks compute in: decided once, when the plan is made, and followed by every worker and resume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.errors import UsageError
from pipelines.media.pixel_format import PixelFormat

if TYPE_CHECKING:
    from pipelines.plan.plan import Plan
    from pipelines.plan.settings import RunSettings

__all__ = ["choose_precision"]


def choose_precision(settings: RunSettings, plan: Plan) -> str:
    """The precision of a plan: "" where each device has its own.

    Raises UsageError where the networks can't do what is asked.
    """
    if settings.precision == "auto":
        return ""
    if settings.precision == "int8" and not plan.takes_int8:
        raise UsageError(f"--precision int8: {_hindrance(plan)}; leave it out")
    if (settings.precision == "int8" and settings.device not in {"auto", "cpu"}) or (
        settings.precision,
        settings.device,
    ) == ("fp16", "cpu"):
        raise UsageError(
            f"--precision {settings.precision} does not go with --device {settings.device}; leave one of"
            " them out"
        )
    return settings.precision


def _hindrance(plan: Plan) -> str:
    """Why a plan's networks can't run on 8-bit integers."""
    cards = [stage.card for stage in plan.stages if stage.card.name != "identity"]
    without = [card.name for card in cards if card.int8_cost_db is None]
    if without:
        return (
            f"{without[0]} has no layers on 8-bit integers (`vsr quantize` makes some for networks of the"
            " architecture compact)"
        )
    if len(cards) != 1:
        return f"it is for one network alone, and this takes {', '.join(card.name for card in cards)}"
    if PixelFormat.parse(plan.pix_fmt).bits != 8:
        return f"it is for 8-bit sources, and this one is {plan.pix_fmt}"
    return "it is for left-sited 4:2:0 that is kept as it is, at the full --strength of the network"
