"""Networks by name: shipped, the user's own, or a file."""

from __future__ import annotations

import difflib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.catalog.card import INTERPOLATORS, TRAINED, Card, read_card, sha256_of, user_folder
from models.catalog.model_index import close_names, entry_of_file, entry_of_name, shipped_index
from models.errors import MediaError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.catalog.model_index import IndexEntry

__all__ = [
    "cards",
    "default_model",
    "find_cards",
    "missing_entry",
    "network_names",
    "read_third_party",
    "restoring_model",
    "shipped_like",
]


_DEFAULT_ON_CPU, _DEFAULT_ON_GPU = ("fast", "lanczos"), ("quality", "fast", "lanczos")
"""Families in order of preference; the first one that is installed is used."""
_SECONDS = 600
"""Time limit for reading a third-party file; 1 GB takes a few seconds."""
_WEIGHTS = {".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".onnx"}
_CHECKPOINT = Path("run", "checkpoint.pt")
"""What `vsr train --per-title` leaves in its folder, whether the network is kept or not."""
_MOST_NAMED = 5
_RESTORING = {"fast": "real-fast", "quality": "real"}
"""Family for clean sources -> family of the same size for compressed footage."""


def cards() -> list[Card]:
    """Return all networks known by name: classical, shipped, the user's own."""
    found = [
        Card(name, 1 if name == "identity" else 0, "interpolation", text, settings={"kernel": name})
        for name, text in INTERPOLATORS.items()
    ]
    for folder in (TRAINED, user_folder()):
        if folder.is_dir():
            found += [read_card(p) for p in sorted(folder.glob("*.toml"))]
    return found


def default_model(*, on_gpu: bool = False) -> str:
    """The best network that keeps up with the device: a larger one on a GPU."""
    families = {c.family for c in cards()}
    return next(name for name in (_DEFAULT_ON_GPU if on_gpu else _DEFAULT_ON_CPU) if name in families)


def restoring_model(clean: str) -> str | None:
    """The family for compressed footage that corresponds to one for clean sources, or None."""
    name = _RESTORING.get(clean)
    return name if name in {c.family for c in cards()} else None


def shipped_like(architecture: str, scale: int, parameters: int) -> Card | None:
    """Find the shipped network of the same architecture, scale and size as another one, or None."""
    alike = (
        c
        for c in cards()
        if c.path.startswith(str(TRAINED))
        and (c.architecture, c.scale, c.parameters) == (architecture, scale, parameters)
    )
    return next(alike, None)


def network_names(text: str) -> list[str]:
    """The names and files of `--model`, which are separated by commas; a file may have commas in its name.

    >>> network_names("real-fast-x2, lanczos")
    ['real-fast-x2', 'lanczos']
    """
    parts, names = text.split(","), []
    while parts:
        joined = (",".join(parts[:count]).strip() for count in range(len(parts), 1, -1))
        name = next((name for name in joined if os.path.isfile(name)), parts[0].strip())
        names.append(name)
        del parts[: name.count(",") + 1]
    return names


def find_cards(name_or_path: str) -> list[Card]:
    """Return the cards that a name means: one network, the scales of a family, or the card of a file.

    The project's own files are described by the card next to them; any other file is loaded once, in a
    separate process. Raises UsageError if there is none.
    """
    path = Path(name_or_path)
    known = cards()
    # Our own names take precedence over files of the same name, which the user may not know about.
    found = [c for c in known if name_or_path in {c.name, c.family}]
    if not found and os.path.isfile(path):
        return [_card_of_file(path)]
    if not found and (entry := entry_of_name(shipped_index(), name_or_path)) is not None:
        found = [c for c in known if c.name == entry.name]
        if not found:
            raise UsageError(
                f"--model {name_or_path}: not installed: {entry.bytes / 1e6:.1f} MB from"
                f" {entry.url} ({entry.terms}); `vsr models get {entry.name}` fetches it"
            )
    if not found and (path.suffix in _WEIGHTS or os.path.exists(path)):
        return [_card_of_file(path)]
    if not found:
        raise _unknown(name_or_path, known)
    return [_with_hash(card) for card in found]


def missing_entry(name: str, index: Sequence[IndexEntry] | None = None) -> IndexEntry | None:
    """The index entry that `--model NAME` means, if no network of that name is installed.

    index: the index to search; default: the shipped one.
    """
    known = cards()
    if any(name in {c.name, c.family} for c in known) or os.path.isfile(name):
        return None
    entry = entry_of_name(shipped_index() if index is None else index, name)
    return None if entry is None or any(c.name == entry.name for c in known) else entry


def _unknown(name: str, known: list[Card]) -> UsageError:
    names = sorted({c.family for c in known})
    close = difflib.get_close_matches(name, [*names, *(c.name for c in known)], n=1) or close_names(
        shipped_index(), name
    )
    hint = f"; did you mean {' or '.join(close)}?" if close else "."
    return UsageError(
        f"--model {name}: no such network{hint} There are: {', '.join(names)}; `vsr models search` lists"
        " more; or give a weights file"
    )


def _with_hash(card: Card) -> Card:
    """The card with the hash of its weights, which a hand-written card may lack.

    Plans identify a network by this hash, wherever the file is.
    """
    if card.sha256 or not card.path:
        return card
    try:
        return replace(card, sha256=sha256_of(card.path))
    except OSError as error:
        raise MediaError(
            f"{card.path}: can't be read: {error.strerror}; its card lies beside where it should be"
        ) from error


def _card_of_file(path: Path) -> Card:
    if not os.path.isfile(path):
        is_folder = os.path.isdir(path)
        found = "is a folder" if is_folder else "no such file"
        raise UsageError(f"{path}: {found}; {_weights_in(path if is_folder else path.parent)}")
    card_path = path.with_suffix(".toml")
    if path.suffix == ".safetensors" and os.path.isfile(card_path):
        card = read_card(card_path)
        digest = sha256_of(path)
        if card.sha256 and card.sha256 != digest:
            raise MediaError(
                f"{path}: is not the file its card describes (SHA-256 {digest[:12]}…, card says"
                f" {card.sha256[:12]}…)"
            )
        return replace(card, sha256=digest)
    card = Card(**json.loads(read_third_party(path)))
    entry = entry_of_file(card.sha256)
    return (
        card
        if entry is None
        else replace(card, more={**card.more, "licence": entry.licence, "commercial": entry.commercial})
    )


def _weights_in(folder: Path) -> str:
    """What could be given instead of a weights file that is not in that folder, in words."""
    try:
        names = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in _WEIGHTS and p.is_file())
    except OSError:
        return f"there is no folder {folder}"
    if not names and (folder / _CHECKPOINT).is_file():
        return f"a training in {folder} kept no network; give the name of the one that it began with"
    if not names:
        return f"there are no weights in {folder}"
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"{folder} has {', '.join(names[:_MOST_NAMED])}{more}"


def read_third_party(path: Path, *target: str) -> str:
    """Describe a third-party file, or write its tensors to `target`.

    This runs in a sandboxed process, so that the main process stays free of torch. Raises MediaError if the
    file is not a network.
    """
    if path.suffix.lower() not in _WEIGHTS:
        raise MediaError(
            f"{path}: is no weights file; expected one that ends in {', '.join(sorted(_WEIGHTS))}"
        )
    reader = "onnx_reader" if path.suffix.lower() == ".onnx" else "third_party"
    command = [sys.executable, "-P", "-m", f"models.catalog.{reader}", str(path.resolve()), *target]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise MediaError(f"{path}: is not a network we can load (reading it takes too long)") from error
    if result.returncode:
        lines = result.stderr.strip().splitlines()
        raise MediaError(
            f"{path}: is not a network we can load ({lines[-1] if lines else 'no reason given'})"
        )
    return result.stdout
