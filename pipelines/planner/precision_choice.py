"""Precision and memory format of a plan's networks: as requested, or tried on a GPU.

The choice is made once, with the plan; every worker and every resumed run follows it.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import NoMemoryError, UsageError, VerificationError
from pipelines.hardware.graphics_driver import encoder_hardware, vendors_here, visible_devices
from pipelines.hardware.resources import computing_device
from pipelines.plan.arithmetic import ArithmeticTrial, choose_arithmetic
from pipelines.storage.cache_folder import read_cached, write_cached
from pipelines.storage.child_call import ChildFailedError, call_in_child

if TYPE_CHECKING:
    from models.catalog.card import Card
    from pipelines.plan.plan import Plan
    from pipelines.settings.run_settings import RunSettings

__all__ = ["choose_precision", "multiplies_bytes", "with_arithmetic"]


_MOST_COST_DB = 0.05
"""Largest loss of PSNR at which auto chooses int8."""
_QUANTIZABLE = frozenset({"compact", "restoring"})
"""Architectures that `vsr quantize` supports."""
_CPUS = Path("/proc/cpuinfo")
_VNNI = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})
_TRY = "pipelines.inference.arithmetic_trial:try_arithmetic"
_TABLE = "arithmetic"
_SECONDS = 300.0
"""Time limit for loading torch, compiling in the driver, and six variants of a tile."""


def with_arithmetic(plan: Plan, settings: RunSettings) -> tuple[Plan, list[str]]:
    """Try precisions on the device; return (the plan with the chosen one, messages for the user).

    On a CPU and on a cluster the plan stays as it is; a message then says whether 8-bit integers are used.
    The choice is cached for each combination of networks, GPU, driver and version of torch. Raises UsageError
    for a device with results that differ from the CPU's.
    """
    if (
        settings.cluster is not None
        or plan.precision == "int8"
        or not plan.is_learned
        or computing_device(settings.device) == "cpu"
    ):
        return plan, _said_of_integers(settings, plan)
    key = " | ".join(
        [computing_device(settings.device), metadata.version("torch"), *map(encoder_hardware, vendors_here()),
        *visible_devices(), plan.pix_fmt, f"{plan.tile_px}",
         *(f"{s.card.sha256} {s.card.settings}" for s in plan.stages)]
    )  # fmt: skip
    found = read_cached(_TABLE, key)
    try:
        trials = (
            [ArithmeticTrial(**row) for row in found]
            if found
            else call_in_child(_TRY, plan, settings.device, seconds=_SECONDS)
        )
    except (ChildFailedError, NoMemoryError, VerificationError) as error:
        said = f"it {error}" if isinstance(error, ChildFailedError) else str(error)
        raise UsageError(
            f"--device {settings.device}: the GPU can't compute a tile: {said}; use --device cpu"
        ) from error
    if not found:
        write_cached(_TABLE, key, [asdict(t) for t in trials])
    chosen = choose_arithmetic([t for t in trials if plan.precision in {"", t.precision}])
    if chosen is None:
        best = max((t.decibels for t in trials), default=0.0)
        raise UsageError(
            f"--device {settings.device}: the GPU's results differ too much from the CPU's (PSNR between them"
            f" at most {best:.1f} dB); use --device cpu, or another driver version"
        )
    made = replace(plan, precision=chosen.precision, memory_format=chosen.memory_format)
    note = (
        f"computed in {chosen.precision}, {chosen.memory_format.upper()}, on this GPU; {chosen.decibels:.1f}"
        " dB from fp32 on the CPU"
    )
    return made, [note]


def choose_precision(settings: RunSettings, plan: Plan) -> str:
    """The precision of a plan; "" if each device uses its default.

    auto: int8 if networks run on a CPU with 8-bit dot products and lose at most `_MOST_COST_DB`. Raises
    UsageError if the networks don't support the requested precision.
    """
    if settings.precision == "auto":
        return "int8" if _suits_int8(settings, plan) else ""
    if settings.precision == "int8" and not plan.takes_int8:
        raise UsageError(f"--precision int8: {_hindrance(plan)}; leave it out")
    device, is_here = settings.device, settings.cluster is None or settings.cluster.startswith("local")
    kind = computing_device(device) if device == "auto" and is_here else device
    lacks = {"fp16": kind == "cpu", "int8": kind not in {"auto", "cpu"}}
    if lacks.get(settings.precision, False):
        if device != "auto":
            raise UsageError(
                f"--precision {settings.precision} does not go with --device {device}; leave one of them out"
            )
        remedy = "; leave it out" if kind == "cpu" else "; leave it out, or give --device cpu as well"
        here = "networks are computed on this machine's " + ("CPU" if kind == "cpu" else "GPU")
        raise UsageError(f"--precision {settings.precision}: {here}, which does not support it{remedy}")
    return settings.precision


def _suits_int8(settings: RunSettings, plan: Plan) -> bool:
    """Whether auto chooses int8; on a remote cluster only with `--device cpu`, as its nodes may have GPUs."""
    costs = [stage.card.int8_cost_db for stage in plan.stages if stage.card.int8_cost_db is not None]
    return (
        plan.takes_int8
        and max(costs) <= _MOST_COST_DB
        and (settings.cluster is None or settings.cluster.startswith("local") or settings.device == "cpu")
        and multiplies_bytes()
        and computing_device(settings.device) == "cpu"
    )


def _said_of_integers(settings: RunSettings, plan: Plan) -> list[str]:
    """The message about 8-bit integers for a CPU with 8-bit dot products: their cost, or how to use them."""
    if plan.precision == "int8":
        is_small = max(card.int8_cost_db or 0 for card in _computed(plan)) <= _MOST_COST_DB
        loss = f"{_cost(plan)} of PSNR{' (too small to see)' if is_small else ''}"
        return [f"computed on 8-bit integers: faster, at a loss of {loss}; --precision fp32 avoids it"]
    if (
        settings.precision != "auto"
        or settings.cluster is not None
        or not multiplies_bytes()
        or computing_device(settings.device) != "cpu"
    ):
        return []
    way = _way_to_integers(plan)
    return [f"computed in floats; {way}"] if way else []


def _way_to_integers(plan: Plan) -> str:
    """What the user can do to have a plan computed on 8-bit integers, in words; "" if nothing."""
    cards = _computed(plan)
    if plan.takes_int8:
        return f"--precision int8 is faster, and would cost {_cost(plan)} of PSNR"
    if len(cards) == 1 and _lacks_layers(cards[0]) and plan.keeps_layout and plan.pixels.bits == 8:
        return f"{_quantizing(cards[0])} prepares it for --precision int8, which is faster"
    return ""


def _cost(plan: Plan) -> str:
    """Loss of PSNR by 8-bit integers, as the cards of the networks state it, in words."""
    costs = [card.int8_cost_db or 0 for card in _computed(plan)]
    return f"{'up to ' if len(costs) > 1 else ''}{sum(costs):.3f} dB"


def multiplies_bytes() -> bool:
    """Whether this CPU has 8-bit dot products with exact sums: VNNI, AVX-VNNI or AMX.

    Read from CPU flags, because the parent of a run never loads torch; workers test it (`int8_is_exact`).
    False on systems other than Linux, and if the environment limits oneDNN's instruction set.
    """
    if any(name in os.environ for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")):
        return False
    try:
        text = _CPUS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return not _VNNI.isdisjoint(flags.split())


def _computed(plan: Plan) -> list[Card]:
    """The cards of a plan, without a classical scaler after its networks."""
    cards = plan.computed
    return cards[:-1] if len(cards) > 1 and not cards[-1].sha256 else cards


def _lacks_layers(card: Card) -> bool:
    """Whether `vsr quantize` could give it layers on 8-bit integers."""
    return card.int8_cost_db is None and card.architecture in _QUANTIZABLE


def _quantizing(card: Card) -> str:
    return f"`vsr quantize {shlex.quote(card.path)} --data PICTURES`"


def _hindrance(plan: Plan) -> str:
    """Why a plan's networks can't run on 8-bit integers."""
    found = [text for card in _computed(plan) if (text := _hindrance_of(card, plan))]
    return found[0] if found else "it is for left-sited 4:2:0 that is kept as it is, at the full --strength"


def _hindrance_of(card: Card, plan: Plan) -> str:
    """Why one of the networks can't; "" if it could."""
    if not card.sha256:
        return f"it is for networks, and {card.name} is a classical scaler"
    if card.int8_cost_db is None:
        maker = (
            f" (`vsr quantize {shlex.quote(card.path)} --data PICTURES` makes some)"
            if _lacks_layers(card)
            else ""
        )
        return f"{card.name} has no layers on 8-bit integers{maker}"
    if plan.pixels.bits == 10 and not card.suits_int8(10):
        return f"{card.name} is not known to be near enough to fp32 on 10-bit ramps"
    if plan.pixels.bits not in {8, 10}:
        return f"it is for sources of 8 or 10 bits, and this one is {plan.pix_fmt}"
    return ""
