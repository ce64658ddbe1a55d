"""Which networks are used, in which order, to reach a target size."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from models.catalog.lookup import cards as known_cards
from models.catalog.lookup import default_model, find_cards, network_names, restoring_model
from models.errors import NothingToDoError, UsageError
from pipelines.hardware.resources import computing_device
from pipelines.plan.plan import NetworkStage, levels_within
from pipelines.probe.restoration_level import estimate_levels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from models.catalog.card import Card
    from pipelines.frames.film_frames import FilmSamples
    from pipelines.plan.plan import RestoreLevels
    from pipelines.settings.run_settings import RunSettings

__all__ = ["SMALL_NETWORK", "choose_networks", "choose_stages", "chosen_model"]


_RESTORED_FROM = 0.1
"""The estimated level from which networks for compressed footage are better than those for clean sources
(docs/choosing.md). The estimate tends to be too low: on four films at CRF 18 to 32 a level of 0.2 to 0.5 is
better than none, and the estimate is 0.04 to 0.7."""
_STRETCH = 2
"""If no network of its family with crisp weights reaches the target, a restoring ×2 network is followed by
classical scaling up to this factor: a second network would cost several times the first, and find little to
sharpen."""
SMALL_NETWORK = 2_000_000
"""Parameters; Real-ESRGAN's video networks have 0.6 to 1.2 million, its large ones 17."""


def choose_stages(
    cards: Sequence[Sequence[Card]], width: int, height: int, out_width: int, out_height: int
) -> tuple[NetworkStage, ...]:
    """The cheapest cascade of the given networks that covers the target, then one antialiased resize.

    cards: for every name of a chain (`--model a,b`) the networks it may mean; the last name may be used
    several times. Raises UsageError if the target is not larger than the source, unless the networks keep the
    size, or a classical scaler ends the chain.
    """
    need = max(Fraction(out_width, width), Fraction(out_height, height))
    stages: list[NetworkStage] = []
    if any(c.temporal for choice in cards[1:] for c in choice):
        raise UsageError(
            f"--model {','.join(choice[0].family for choice in cards)}: a network that looks at neighbouring"
            " frames must come first"
        )
    for choice in cards[:-1]:
        fixed = [c for c in choice if c.scale == 1] or list(choice)[:1]
        width, height = width * max(1, fixed[0].scale), height * max(1, fixed[0].scale)
        need /= max(1, fixed[0].scale)
        stages.append(NetworkStage(fixed[0], width, height))
    last = cards[-1]
    if any(c.scale == 0 for c in last):
        return _classically(stages, last[0], (width, height), (out_width, out_height))
    if {c.scale for c in last} == {1}:
        if out_width > width + 1 or out_height > height + 1:
            raise UsageError(
                f"--model {last[0].name} keeps the size {width}x{height}; for {out_width}x{out_height} "
                f"name a second network: --model {last[0].name},lanczos"
            )
        stages.append(NetworkStage(last[0], width, height))
        smaller = out_width < width or out_height < height
        return (*stages, NetworkStage(_resizer(), out_width, out_height)) if smaller else tuple(stages)
    if need <= 1:
        raise _not_above(stages, last[0], (width, height), (out_width, out_height))
    for card in _cascade(last, need, width, height, out_width, out_height):
        width, height = width * card.scale, height * card.scale
        stages.append(NetworkStage(card, width, height))
    if _factor(width, height, out_width, out_height) != 1:
        stages.append(NetworkStage(_resizer(), out_width, out_height))
    return tuple(stages)


def _classically(
    stages: Sequence[NetworkStage], scaler: Card, size: tuple[int, int], out: tuple[int, int]
) -> tuple[NetworkStage, ...]:
    """End a chain by a classical scaler. A film restored at its own size, for example, gets smaller by it."""
    if out[0] <= size[0] and out[1] <= size[1]:
        if not stages:
            raise _not_above(stages, scaler, size, out)
        return tuple(stages) if out == size else (*stages, NetworkStage(scaler, *out))
    exact = _factor(*size, *out)
    return (*stages, NetworkStage(scaler, *((size[0] * exact, size[1] * exact) if exact else out)))


def _not_above(
    stages: Sequence[NetworkStage], last: Card, size: tuple[int, int], out: tuple[int, int]
) -> UsageError:
    if stages:
        return UsageError(
            f"{stages[-1].card.name} gives {size[0]}x{size[1]}, so there is nothing left for {last.family};"
            " leave it out, or name lanczos instead"
        )
    return NothingToDoError(
        f"the target {out[0]}x{out[1]} is not above the source's {size[0]}x{size[1]}; choose a larger --to or"
        " --scale; for the same size: --scale 1 --model real-fast,lanczos (restores) or --model identity"
    )


def _factor(width: int, height: int, out_width: int, out_height: int) -> int:
    """The integer factor between the sizes, allowing for one added column or row; 0 if there is none."""
    factor = max(1, out_width // width)
    within = 0 <= out_width - width * factor <= 1 and 0 <= out_height - height * factor <= 1
    return factor if within else 0


def _cascade(
    choice: Sequence[Card], need: Fraction, width: int, height: int, out_width: int, out_height: int
) -> list[Card]:
    best: tuple[float, list[Card]] | None = None
    is_crisp = any(c.crisp for c in choice)
    stretching = not any(c.restores and c.scale >= need and c.crisp == is_crisp for c in choice)
    for depth in range(1, 5):
        for combination in _products([c for c in choice if c.scale > 1], depth):
            total, cost = 1, 0.0
            for card in combination:
                cost += total * total * (card.gflop_per_megapixel or 1.0)
                total *= card.scale
            stretched = total * (_STRETCH if stretching and combination[0].restores and total == 2 else 1)
            covers = stretched >= need or _factor(width * total, height * total, out_width, out_height) == 1
            if covers and (best is None or cost < best[0]):
                best = cost, combination
        if best is not None:
            return best[1]
    names = ", ".join(sorted({c.name for c in choice}))
    raise UsageError(
        f"a factor of {float(need):.3g} is out of reach of {names}; choose a smaller target or --model"
        " lanczos"
    )


def _products(choice: Sequence[Card], depth: int) -> Iterator[list[Card]]:
    """All cascades of that many networks.

    Only the first may use neighbouring frames or restore; it is followed by `_followers`.
    """
    if depth == 0:
        yield []
        return
    for card in choice:
        for rest in _products(_followers(card) if card.temporal or card.restores else choice, depth - 1):
            yield [card, *rest]


def _followers(first: Card) -> tuple[Card, ...]:
    """Networks for the stages after a temporal or restoring one.

    They are for clean single frames, and of the same size if possible.
    """
    known = known_cards()
    for family in ("fast", "quality") if first.family.endswith("-fast") else ("quality", "fast"):
        found = tuple(c for c in known if c.family == family)
        if found:
            return found
    return ()


def _resizer() -> Card:
    return find_cards("lanczos")[0]


def chosen_model(settings: RunSettings) -> str:
    """The model in the settings, or the default of the device on which networks would run here."""
    if settings.model != "auto":
        return settings.model
    return default_model(
        on_gpu=settings.device not in {"auto", "cpu"} or computing_device(settings.device) != "cpu"
    )


def choose_networks(
    settings: RunSettings, samples: FilmSamples, part: tuple[int, int], *, full: bool
) -> tuple[str, RestoreLevels, list[str]]:
    """The networks, the restoration levels for those that take one, and notes on the choice.

    If no network is named, a film with shots above a certain level gets a network for compressed footage.
    """
    model = chosen_model(settings)
    restoring = restoring_model(model) if settings.model == "auto" else None
    if restoring is None and not any(c.restores for name in network_names(model) for c in find_cards(name)):
        return model, (), _without_effect(settings, model)
    given = settings.restore != "auto"
    start, stop = part
    levels: RestoreLevels = ((start, float(settings.restore)),) if given else ()
    if not given:
        # The levels of the whole film are used for any part of it, so a trial looks like the finished film.
        levels = estimate_levels(samples, full=full, prefilter=",".join(settings.prefilters))
    if not levels:
        return model, (), []
    is_part = stop - start < samples.info.frame_count
    how = "as given" if given else "estimated from the whole film" if is_part else "estimated"
    said = f"restoration level {_in_words(levels)}, {how}"
    own = levels_within(levels, start, stop)
    if restoring is None:
        return model, own, [said]
    if max(level for _, level in levels) < _RESTORED_FROM:
        return model, own, [f"{said}: clean enough for {model}", *_without_effect(settings, model, "detail")]
    return restoring, own, [f"{said}: {restoring}, which takes compression and noise away"]


def _without_effect(settings: RunSettings, model: str, *names: str) -> list[str]:
    """Messages about --restore and --detail, or only one of them, if networks have no such level."""
    return [
        f"--{name} {getattr(settings, name):g} has nothing to do: {model} has no such level"
        for name in names or ("restore", "detail")
        if getattr(settings, name) != "auto"
    ]


def _in_words(levels: RestoreLevels) -> str:
    least, most = (pick(level for _, level in levels) for pick in (min, max))
    return f"{least:.2f}" if len(levels) == 1 else f"{least:.2f} to {most:.2f} over {len(levels)} parts"
