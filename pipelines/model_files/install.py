"""`install_model` and `fetch`: install networks from a file, a URL, or the model index."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.catalog.card import read_card, sha256_of, user_folder
from models.catalog.lookup import cards, find_cards, read_third_party
from models.catalog.model_index import IndexEntry, entry_of_file
from models.errors import MediaError, OutputError, ResourceError, UsageError
from pipelines.model_files.card_writer import to_toml
from pipelines.storage.atomic_file import rename_over, write_atomically
from pipelines.storage.download import download
from pipelines.storage.file_lock import lock_file, wait_for_lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from models.catalog.card import Card

__all__ = ["Fetched", "Fetching", "download_folder", "fetch", "install_model", "remove"]


@dataclass(frozen=True)
class Fetching:
    """Event: a download makes progress."""

    entry: IndexEntry
    bytes: int
    """Bytes downloaded so far."""
    waiting: bool = False
    """Another process downloads the same file."""


@dataclass(frozen=True)
class Fetched:
    """The last event of `fetch`: the installed network."""

    card: Card
    new: bool
    """Whether it was not installed before."""


def download_folder() -> Path:
    """Folder of unfinished downloads, to which files can also be copied on a machine without network."""
    return user_folder() / "downloads"


def fetch(entry: IndexEntry) -> Iterator[Fetching | Fetched]:
    """Install a network of the index, so that `--model NAME` finds it.

    Several processes may do so at once. A file with the right name and hash in `download_folder` is used
    instead of downloading. Raises UsageError if another network has the name, MediaError if the file does not
    match the index, ResourceError if it can't be reached, OutputError for the disk.
    """
    folder = download_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            lock = stack.enter_context(open(folder / f"{entry.sha256}.lock", "wb"))
            if not lock_file(lock.fileno()):
                yield Fetching(entry, 0, waiting=True)
                wait_for_lock(lock.fileno())
            card = _installed(entry)
            if card is not None:
                yield Fetched(card, new=False)
                return
            given = folder / entry.file
            if given.exists():
                found = sha256_of(given)
                if found != entry.sha256:
                    raise MediaError(
                        f"{given}: is not the file of {entry.name}: its SHA-256 is {found}, not"
                        f" {entry.sha256}; replace or remove it"
                    )
                yield Fetched(_keep_known(given, entry), new=True)
                return
            part = folder / f"{entry.sha256}.part"
            yield from _download(entry, part, given)
            whole = part.with_suffix(entry.suffix)
            rename_over(part, whole)
            try:
                yield Fetched(_keep_known(whole, entry), new=True)
            finally:
                whole.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: can't be written: {error.strerror or error}") from error


def _download(entry: IndexEntry, part: Path, by_hand: Path) -> Iterator[Fetching]:
    try:
        for there in download(entry.url, part, sha256=entry.sha256, size=entry.bytes):
            yield Fetching(entry, there)
    except ResourceError as error:
        raise ResourceError(
            f"{error}; or bring the file from a machine that reaches it, put it here as {by_hand}, and give"
            " the command again"
        ) from error


def _installed(entry: IndexEntry) -> Card | None:
    """The card of a network that was installed before. Raises UsageError if another one has its name."""
    card = next((c for c in cards() if entry.name in {c.name, c.family}), None)
    if card is not None and card.more.get("source_sha256") != entry.sha256:
        raise UsageError(
            f"{entry.name}: there is another network of this name, {card.path or 'a classical one'}; `vsr"
            f" models remove {entry.name}` would make room"
            if Path(card.path).parent == user_folder()
            else (
                f"{entry.name}: this is the name of a network that comes with vsr; a list of networks must"
                " use another"
            )
        )
    return card


def _keep_known(path: Path, entry: IndexEntry) -> Card:
    card = find_cards(str(path))[0]
    if card.scale != entry.scale:
        raise MediaError(
            f"{entry.name}: the list says x{entry.scale}, the file is x{card.scale}; the list is wrong"
        )
    facts = {
        "description": entry.description,
        "author": entry.author,
        "licence": entry.licence,
        "commercial": entry.commercial,
        "source": entry.url,
    }
    return _keep(path, card, entry.name, facts)


def install_model(
    source: str, *, name: str = "", sha256: str = "", facts: Mapping[str, str] | None = None
) -> Card:
    """Check a weights file or an https URL, and install it as a network that `--model NAME` finds.

    name: FAMILY-xSCALE; default: the file's own name. sha256: of the file; required for a URL. facts: licence
    and commercial, if known; those of the model index take precedence. Returns the card. Raises UsageError
    for a name that is taken or a missing hash, MediaError if the file does not match the hash or is not a
    network, ResourceError if the URL can't be reached, OutputError if the network's files can't be written.
    """
    with tempfile.TemporaryDirectory(prefix="vsr-models-") as folder:
        if source.startswith(("http://", "https://")):
            if not sha256:
                raise UsageError(
                    f"{source}: weights from elsewhere are only taken with their hash; give --sha256 as their"
                    " author publishes it"
                )
            file = source.partition("?")[0].rpartition("/")[2]
            # an address may also end with ".."
            path = Path(folder) / (file if file.strip(".") else "weights")
            for _ in download(source, path, sha256=sha256):
                pass
        else:
            path = Path(source)
            if not path.is_file():
                raise UsageError(f"{source}: no such file")
            found = sha256_of(path)
            if sha256 and found != sha256.lower():
                raise MediaError(
                    f"{source}: its SHA-256 is {found}, not the one given; it is damaged or another file"
                )
        card = find_cards(str(path))[0]
        entry = entry_of_file(sha256_of(path))
        known = (
            {"licence": entry.licence, "commercial": entry.commercial, "author": entry.author}
            if entry is not None
            else {}
        )
        return _keep(path, card, _name(name or path.stem, card.scale), {**known, **(facts or {})})


def remove(name: str) -> list[Path]:
    """Delete a network that `install_model` or `fetch` installed; returns its files.

    Raises UsageError if the network is shipped, unknown or ambiguous, and OutputError if a file can't be
    deleted.
    """
    known = [c for c in cards() if c.name == name] or [c for c in cards() if c.family == name]
    own = [c for c in known if c.path and Path(c.path).parent == user_folder()]
    if known and not own:
        raise UsageError(
            f"{name}: comes with vsr and stays; only networks that `vsr models add` or `get` kept can be"
            " removed"
        )
    if len(own) != 1:
        mine = ", ".join(c.name for c in own or cards() if c.path and Path(c.path).parent == user_folder())
        raise UsageError(
            f"{name}: {'which of' if own else 'no such network of your own; there are:'}"
            f" {mine or 'none'}{'?' if own else ''}"
        )
    gone = [
        path
        for suffix in (".toml", ".safetensors", ".onnx")
        if (path := Path(own[0].path).with_suffix(suffix)).exists()
    ]
    for path in gone:
        try:
            path.unlink()
        except OSError as error:
            raise OutputError(
                f"{path}: can't be deleted: {error.strerror}; get access to its folder"
            ) from error
    return gone


def _name(wanted: str, scale: int) -> str:
    name = wanted if wanted.endswith(f"-x{scale}") else f"{wanted}-x{scale}"
    if not name.replace("-", "").replace("_", "").replace(".", "").isalnum() or name.startswith(("-", ".")):
        raise UsageError(f"--name {wanted}: expected letters, digits, '-', '_' and '.'")
    if name in {c.name for c in cards()}:
        raise UsageError(
            f"--name {name}: there is a network of this name already; choose another, or delete"
            f" that one first with `vsr models remove {name}`"
        )
    return name


def _keep(path: Path, card: Card, name: str, facts: Mapping[str, str]) -> Card:
    """Write weights as safetensors, and a card with the facts."""
    is_onnx = card.architecture == "onnx"
    weights = user_folder() / f"{name}{'.onnx' if is_onnx else '.safetensors'}"
    if os.path.lexists(weights):
        raise UsageError(f"{weights}: already exists, without a card; move it away, or choose another --name")
    source_sha256 = sha256_of(path)
    if is_onnx or path.suffix == ".safetensors":
        write_atomically(weights, lambda partial: shutil.copyfile(path, partial), parents=True)
    else:
        write_atomically(weights, lambda partial: read_third_party(path, str(partial)), parents=True)
    table: dict[str, Any] = {
        k: v for k, v in dataclasses.asdict(card).items() if k not in {"name", "path", "more"}
    }
    table |= {"sha256": sha256_of(weights), **card.more, **facts, "source_sha256": source_sha256}
    write_atomically(weights.with_suffix(".toml"), to_toml(table).encode(errors="replace"))
    kept = read_card(weights.with_suffix(".toml"))
    _try(kept)
    return kept


def _try(card: Card) -> None:
    """Load it once as a run would; unusable files are not installed."""
    from models.catalog.loader import load_network

    try:
        load_network(card)
    except Exception as error:
        for suffix in (Path(card.path).suffix, ".toml"):
            Path(card.path).with_suffix(suffix).unlink(missing_ok=True)
        raise MediaError(
            f"{card.name}: can't be loaded: {str(error).splitlines()[0] if str(error) else error!r}"
        ) from error
