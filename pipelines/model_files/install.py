"""`adopt`: other people's or one's own weights, put into the user's folder of networks under a name."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import tempfile
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from models.catalog.card import read_card, sha256_of, user_folder
from models.catalog.lookup import cards, find, foreign
from models.errors import MediaError, OutputError, UsageError
from pipelines.model_files.card_writer import to_toml
from pipelines.storage.atomic_file import write_atomically

if TYPE_CHECKING:
    from models.catalog.card import Card

__all__ = ["adopt", "remove"]


_TIMEOUT_SECONDS = 60
_MOST_BYTES = 2 << 30


def adopt(source: str, *, name: str = "", sha256: str = "") -> Card:
    """Check a weights file or an https address, and keep it as a network that `--model NAME` finds.

    name: what to call it, FAMILY-xSCALE; default: the file's own name. sha256: of the file; must be given for an address.
    Returns the card of what was kept. Raises UsageError for a name that is taken or a missing hash, MediaError where the file
    is not what the hash says or no network, OutputError where it can't be fetched or written.
    """
    with tempfile.TemporaryDirectory(prefix="vsr-models-") as folder:
        if source.startswith(("http://", "https://")):
            path = _fetch(source, Path(folder), sha256)
        else:
            path = Path(source)
            if not path.is_file():
                raise UsageError(f"{source}: no such file")
        found = sha256_of(path)
        if sha256 and found != sha256.lower():
            raise MediaError(f"{source}: its SHA-256 is {found}, not the one given; it is damaged or another file")
        card = find(str(path))[0]
        chosen = _name(name or path.stem, card.scale)
        return _keep(path, card, chosen)


def remove(name: str) -> list[Path]:
    """Delete a network that `adopt` kept; the files that are gone. Raises UsageError for one that is not the user's own, OutputError."""
    known = [c for c in cards() if c.name == name] or [c for c in cards() if c.family == name]
    own = [c for c in known if c.path and Path(c.path).parent == user_folder()]
    if known and not own:
        raise UsageError(f"{name}: comes with vsr and stays; only networks that `vsr models add` kept can be removed")
    if len(own) != 1:
        mine = ", ".join(c.name for c in (own or cards()) if c.path and Path(c.path).parent == user_folder())
        raise UsageError(f"{name}: {'which of' if own else 'no such network of your own; there are:'} {mine or 'none'}{'?' if own else ''}")
    gone = [path for suffix in (".toml", ".safetensors") if (path := Path(own[0].path).with_suffix(suffix)).exists()]
    for path in gone:
        try:
            path.unlink()
        except OSError as error:
            raise OutputError(f"{path}: can't be deleted: {error.strerror}; get access to its folder") from None
    return gone


def _name(wanted: str, scale: int) -> str:
    name = wanted if wanted.endswith(f"-x{scale}") else f"{wanted}-x{scale}"
    if not name.replace("-", "").replace("_", "").replace(".", "").isalnum() or name.startswith(("-", ".")):
        raise UsageError(f"--name {wanted}: expected letters, digits, '-', '_' and '.'")
    if name in {c.name for c in cards()}:
        raise UsageError(f"--name {name}: there is a network of this name already; choose another")
    return name


def _fetch(address: str, folder: Path, sha256: str) -> Path:
    """Download into `folder`, at most 2 GiB."""
    if not address.startswith("https://"):
        raise UsageError(f"{address}: expected an https address")
    if not sha256:
        raise UsageError(f"{address}: weights from elsewhere are only taken with their hash; give --sha256 as their author publishes it")
    name = address.partition("?")[0].rpartition("/")[2]
    path = folder / (name if name.strip(".") else "weights")  # "..", too, may stand at the end of an address
    digest, size = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT_SECONDS) as answer, open(path, "wb") as file:  # noqa: S310 - https only, as checked
            while block := answer.read(1 << 20):
                size += len(block)
                if size > _MOST_BYTES:
                    raise OutputError(f"{address}: is larger than 2 GiB; download it by other means and give the file")
                digest.update(block)
                file.write(block)
    except (OSError, urllib.error.URLError) as error:
        raise OutputError(f"{address}: can't be fetched: {getattr(error, 'reason', None) or error}") from None
    return path


def _keep(path: Path, card: Card, name: str) -> Card:
    """Weights as safetensors, and a card beside them."""
    weights = user_folder() / f"{name}.safetensors"
    if os.path.lexists(weights):
        raise UsageError(f"{weights}: is already there, without a card; move it away, or choose another --name")
    if path.suffix == ".safetensors":
        write_atomically(weights, lambda partial: shutil.copyfile(path, partial), parents=True)
    else:
        write_atomically(weights, lambda partial: foreign(path, str(partial)), parents=True)
    table = {k: v for k, v in dataclasses.asdict(card).items() if k not in {"name", "path", "more"}}
    table |= {"sha256": sha256_of(weights), **card.more}
    write_atomically(weights.with_suffix(".toml"), to_toml(table).encode(errors="replace"))
    kept = read_card(weights.with_suffix(".toml"))
    _try(kept)
    return kept


def _try(card: Card) -> None:
    """Load it once the way a run will; what can't be loaded is not kept."""
    from models.catalog.loader import load_network

    try:
        load_network(card)
    except Exception as error:  # noqa: BLE001 - whatever an unknown file makes it raise
        for suffix in (".safetensors", ".toml"):
            Path(card.path).with_suffix(suffix).unlink(missing_ok=True)
        raise MediaError(f"{card.name}: can't be loaded: {str(error).splitlines()[0] if str(error) else error!r}") from None
