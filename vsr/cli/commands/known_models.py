"""`vsr models search`, `info` and `get`: networks of the model index.

`download_missing` offers to download networks that a command names.
"""

from __future__ import annotations

import difflib
import json
import sys
from typing import TYPE_CHECKING, Any

import click

from vsr.cli.terminal import echo
from vsr.views.text import printable, size_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.catalog.card import Card
    from models.catalog.model_index import IndexEntry

__all__ = ["absent_models", "download_missing", "get_models", "model_info", "search_models"]


_INDEX = click.option(
    "--index",
    "place",
    default="",
    envvar="VSR_MODEL_INDEX",
    metavar="FILE|URL",
    help="Model index to use instead of vsr's own; can also be set by VSR_MODEL_INDEX.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
_REFERENCE = "fast-x2"
"""Costs are given as multiples of this network's."""


@click.command(name="search")
@click.argument("words", nargs=-1, metavar="[WORDS]...")
@click.option(
    "--for",
    "purpose",
    type=click.Choice(["film", "game", "animation", "restore"]),
    help="Only networks for this footage.",
)
@click.option("--commercial", is_flag=True, help="Only networks with a licence for commercial use.")
@_INDEX
@_JSON
def search_models(
    words: tuple[str, ...], purpose: str | None, commercial: bool, place: str, as_json: bool
) -> None:
    """List third-party networks that can be downloaded by name.

    If WORDS are given, list only networks with all of them in their name, author, licence or description.

    Networks with a * are installed. Cost is the compute per frame, relative to fast-x2.

    \b
    Example: vsr models search --for animation --commercial
             vsr models search nomos x4
    """
    from models.catalog.lookup import cards
    from models.catalog.model_index import search
    from pipelines.model_files.index_list import read_index

    entries = read_index(place)
    found = search(entries, words, purpose=purpose or "", commercial=commercial)
    here = {c.name for c in cards()}
    if as_json:
        for entry in found:
            echo(json.dumps(_table(entry, here=entry.name in here)))
        return
    if not found:
        echo(
            f"none of the {len(entries)} networks in the index matches; try fewer words, or `vsr"
            " models search` for all of them"
        )
        return
    rows = [
        (
            f"{'*' if e.name in here else ' '} {e.name}",
            f"x{e.scale}",
            _cost(e.gflop_per_megapixel),
            size_text(e.bytes),
            e.licence or "no licence stated",
        )
        for e in found
    ]
    rows.insert(0, ("  name", "scale", "cost", "file", "licence"))
    widths = [max(len(row[n]) for row in rows) for n in range(5)]
    for row, text in zip(rows, ["what it is for", *(e.description for e in found)], strict=True):
        cells = (
            row[0].ljust(widths[0]),
            *(row[n].rjust(widths[n]) for n in (1, 2, 3)),
            row[4].ljust(widths[4]),
            text,
        )
        echo("  ".join(cells))
    echo(
        "`vsr models info NAME` shows details of one, `vsr models get NAME` fetches it, `vsr preview FILM"
        " --models fast,NAME` tries it"
    )


@click.command(name="info")
@click.argument("name", metavar="NAME")
@_INDEX
@_JSON
def model_info(name: str, place: str, as_json: bool) -> None:
    """Show purpose, cost, licence and URL of a network.

    Example: vsr models info realesr-animevideov3
    """
    import dataclasses

    from models.catalog.lookup import cards
    from models.catalog.model_index import entry_of_name
    from pipelines.model_files.index_list import read_index

    known = cards()
    ours = [c for c in known if name in {c.name, c.family}]
    entry = None if ours else entry_of_name(read_index(place), name)
    ours = ours or [c for c in known if entry is not None and c.name == entry.name]
    if ours:
        for card in ours:
            echo(
                json.dumps(
                    {**dataclasses.asdict(card), "licence": card.licence, "commercial": card.commercial}
                )
                if as_json
                else _card_text(card)
            )
        return
    if entry is None:
        raise _unknown(name, place)
    echo(json.dumps(_table(entry, here=False)) if as_json else _entry_text(entry))


@click.command(name="get")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_INDEX
@_JSON
def get_models(names: tuple[str, ...], place: str, as_json: bool) -> None:
    """Download networks by name.

    Downloads use https and are checked against the SHA-256 in the index. Interrupted downloads are resumed.

    \b
    Example: vsr models get realesr-general-x4v3
             vsr models get --index https://intranet.example/networks.toml house-style-x2
    If the server can't be reached, the error message says where to put a file downloaded elsewhere.
    """
    from models.catalog.lookup import cards
    from models.catalog.model_index import entry_of_name
    from pipelines.model_files.index_list import read_index

    entries = read_index(place)
    wanted = []
    for name in names:  # all names are resolved before the first download
        entry = entry_of_name(entries, name)
        if entry is None:
            raise _unknown(name, place)
        wanted.append(entry)
    before = {c.name for c in cards()}
    for entry in wanted:
        card = _fetch(entry)
        if as_json:
            echo(json.dumps({**_table(entry, here=True), "path": card.path}))
        else:
            state = (
                "is already installed" if card.name in before else f"x{card.scale}, installed as {card.path}"
            )
            echo(f"{card.name}: {state}; licence: {entry.terms}. To use it: --model {card.name}")


def absent_models(names: Sequence[str]) -> dict[str, IndexEntry]:
    """Names that are in the index but not installed."""
    import os

    from models.catalog.lookup import missing_entry
    from pipelines.model_files.index_list import read_index

    place = os.environ.get("VSR_MODEL_INDEX", "")
    index = read_index(place) if place else None
    return {name: entry for name in names if (entry := missing_entry(name, index)) is not None}


def download_missing(model: str, *, yes: bool, asks: bool | None = None) -> None:
    """Download the networks of `--model` that are in the index but not installed.

    This needs `yes`, or consent on a terminal. asks: whether the user can be asked; None means yes if
    standard input and standard error are a terminal. Without consent, raises a UsageError that says what to
    do.
    """
    from models.catalog.lookup import network_names
    from models.errors import UsageError

    for entry in absent_models(network_names(model)).values():
        if not yes:
            if not (sys.stdin.isatty() and sys.stderr.isatty() if asks is None else asks):
                raise UsageError(
                    f"--model {entry.name}: not installed: {size_text(entry.bytes)} from"
                    f" {entry.url} ({entry.terms}); `vsr models get {entry.name}` fetches it, and so does"
                    " --yes with this command"
                )
            echo(
                f"{entry.name} is not installed: {size_text(entry.bytes)} from {entry.url}\nlicence:"
                f" {entry.terms}; by {entry.author}",
                err=True,
            )
            if not click.confirm("Fetch it now?", default=True, err=True):
                raise UsageError(
                    f"--model {entry.name}: was not fetched; choose another --model, such as fast"
                )
        card = _fetch(entry)
        echo(f"{card.name}: installed as {card.path}", err=True)


def _fetch(entry: IndexEntry) -> Card:
    """Download one network, with progress on standard error if that is a terminal."""
    from pipelines.model_files.install import Fetched, fetch

    drawn = sys.stderr.isatty()
    card: Card | None = None
    for event in fetch(entry):
        if isinstance(event, Fetched):
            card = event.card
        elif event.waiting:
            echo(f"{entry.name}: another process is fetching it; waiting for that one", err=True)
        elif drawn:
            click.echo(
                "\r\x1b[K"
                + printable(f"{entry.name}: {event.bytes / 1e6:.1f} of {entry.bytes / 1e6:.1f} MB"),
                nl=False,
                err=True,
            )
    if drawn:
        click.echo("\r\x1b[K", nl=False, err=True)
    assert card is not None
    return card


def _unknown(name: str, place: str) -> Exception:
    from models.catalog.lookup import cards
    from models.catalog.model_index import close_names
    from models.errors import UsageError
    from pipelines.model_files.index_list import read_index

    if any(name in {c.name, c.family} for c in cards()):
        return UsageError(
            f"{name}: is already installed, and needs no download; `vsr models` lists all that are"
        )
    entries = read_index(place)
    ours = sorted({n for c in cards() for n in (c.name, c.family)})
    close = close_names(entries, name) or difflib.get_close_matches(name, ours, n=1)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    where = f"the list {place}" if place else f"the list of {len(entries)}"
    return UsageError(f"{name}: no network of this name in {where}; {hint}`vsr models search` shows them all")


def _cost(gflop: float) -> str:
    """Compute of a network as text, in multiples of the smallest shipped one's."""
    times = gflop / _reference()
    return f"{times:.0f} x" if times >= 1.5 else f"{times:.1f} x"


def _reference() -> float:
    from models.catalog.lookup import find_cards

    return find_cards(_REFERENCE)[0].gflop_per_megapixel


def _table(entry: IndexEntry, *, here: bool) -> dict[str, Any]:
    import dataclasses

    return {**dataclasses.asdict(entry), "here": here}


def _entry_text(entry: IndexEntry) -> str:
    size = f"enlarges by {entry.scale}" if entry.scale > 1 else "keeps the size"
    cost = f"{entry.gflop_per_megapixel:.0f} GFLOP a megapixel of input"
    return "\n".join([
        entry.name,
        f"  {entry.description}",
        f"  for {', '.join(entry.purposes)}; {size}; {entry.architecture}",
        f"  cost: {cost}, {_cost(entry.gflop_per_megapixel)} that of {_REFERENCE}",
        f"  licence: {entry.terms}; by {entry.author}",
        f"  file: {entry.url}, {size_text(entry.bytes)}",
        f"  SHA-256: {entry.sha256}",
        f"  not installed: `vsr models get {entry.name}` downloads it",
    ])  # fmt: skip


def _card_text(card: Card) -> str:
    size = (
        f"enlarges by {card.scale}" if card.scale > 1 else "keeps the size" if card.scale == 1 else "any size"
    )
    lines = [
        card.name,
        f"  {card.description}",
        f"  {size}; {card.architecture}"
        + (f", {card.parameters / 1e3:.0f} K parameters" if card.parameters else ""),
    ]
    if card.gflop_per_megapixel:
        lines.append(
            f"  cost: {card.gflop_per_megapixel:.0f} GFLOP a megapixel of input,"
            f" {_cost(card.gflop_per_megapixel)} that of {_REFERENCE}"
        )
    lines.append(f"  {card.terms}" + (f"; by {card.author}" if card.author else ""))
    if card.path:
        lines.append(f"  file: {card.path}")
    return "\n".join(lines)
