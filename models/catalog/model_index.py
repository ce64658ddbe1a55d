"""The model index: third-party networks that are known by name, and their addresses.

`index.toml` is the shipped list: a table per network, with address, SHA-256, size and licence from
OpenModelDB, the compute measured by `tests.models.catalog.index_networks`, and descriptions written for vsr.
A company may use its own list.
"""

from __future__ import annotations

import difflib
import functools
import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.catalog.card import COMMERCIAL_WORDS
from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "PURPOSES",
    "IndexEntry",
    "close_names",
    "entry_of_file",
    "entry_of_name",
    "parse_index",
    "plain_name",
    "search",
    "shipped_index",
]


PURPOSES = ("film", "game", "animation", "restore")
_FILE = Path(__file__).with_name("index.toml")
_SUFFIXES = (".safetensors", ".pth", ".onnx")
_MOST_BYTES = 2 << 30


@dataclass(frozen=True)
class IndexEntry:
    """A network that is known by name and can be downloaded."""

    name: str
    """The author's name of the file; `--model` accepts it."""
    scale: int
    architecture: str
    purposes: tuple[str, ...]
    """A subset of PURPOSES."""
    description: str
    author: str
    licence: str
    """SPDX identifier, or empty if none is stated."""
    commercial: str
    """Whether the licence allows commercial use of the network: yes, no or unknown."""
    url: str
    sha256: str
    bytes: int
    gflop_per_megapixel: float
    """Compute for one megapixel of input; a multiply-add is two."""

    @property
    def file(self) -> str:
        """File name at the address."""
        return self.url.partition("?")[0].rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """Suffix of the file, which determines its format."""
        return Path(self.file).suffix.lower()

    @property
    def terms(self) -> str:
        """The licence in words."""
        return f"{self.licence or 'no licence stated'}, {COMMERCIAL_WORDS[self.commercial]}"


@functools.cache
def shipped_index() -> tuple[IndexEntry, ...]:
    """The list that comes with vsr."""
    return parse_index(_FILE.read_text(encoding="utf-8"), str(_FILE))


def parse_index(text: str, where: str) -> tuple[IndexEntry, ...]:
    """Parse a list: a table `[NAME]` for each entry, with one key per line.

    Raises UsageError that names the error and `where` it is.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: is not a list of networks: {error}") from error
    entries = tuple(_entry(name, table, where) for name, table in tables.items())
    seen: dict[str, str] = {}
    for entry in entries:
        other = seen.setdefault(plain_name(entry.name), entry.name)
        if other != entry.name:
            raise UsageError(f"{where}: {entry.name} and {other} are too alike to be told apart; rename one")
    return entries


def _entry(name: str, table: Any, where: str) -> IndexEntry:
    expected = {f.name: f.type for f in fields(IndexEntry) if f.name != "name"}
    if not isinstance(table, dict) or set(table) != set(expected):
        odd = sorted(set(expected) ^ set(table)) if isinstance(table, dict) else [name]
        raise UsageError(
            f"{where}: {name}: expected a table with {', '.join(expected)}; {', '.join(odd)} is missing or"
            " not known"
        )
    kinds: dict[str, Any] = {"int": int, "str": str, "float": (int, float), "tuple[str, ...]": list}
    wrong = next(
        (k for k, v in table.items() if not isinstance(v, kinds[str(expected[k])]) or isinstance(v, bool)),
        None,
    )
    checks = {
        "name": re.fullmatch(r"\w[\w.+-]*", name, re.ASCII) is not None,
        wrong or "": wrong is None,
    }
    if wrong is None:
        checks |= {
            "scale": 1 <= table["scale"] <= 16,
            "purposes": bool(table["purposes"]) and set(map(str, table["purposes"])) <= set(PURPOSES),
            "commercial": table["commercial"] in COMMERCIAL_WORDS,
            "url": (
                re.fullmatch(r"https://[^\s/]+/\S+", table["url"]) is not None
                and table["url"].lower().endswith(_SUFFIXES)
            ),
            "sha256": re.fullmatch(r"[0-9a-f]{64}", table["sha256"]) is not None,
            "bytes": 0 < table["bytes"] <= _MOST_BYTES,
            "gflop_per_megapixel": table["gflop_per_megapixel"] >= 0,
        }
    for key, is_right in checks.items():
        if not is_right:
            raise UsageError(
                f"{where}: {name}: {key} = {table.get(key, name)!r}:"
                f" {_EXPECTED.get(key, 'has the wrong type')}"
            )
    return IndexEntry(
        name=name,
        **{
            **table,
            "purposes": tuple(table["purposes"]),
            "gflop_per_megapixel": float(table["gflop_per_megapixel"]),
        },
    )


_EXPECTED = {
    "name": "expected letters, digits and _ . + -",
    "scale": "expected 1 to 16",
    "purposes": f"expected some of {', '.join(PURPOSES)}",
    "commercial": f"expected {', '.join(COMMERCIAL_WORDS)}",
    "url": f"expected an https address that ends in {', '.join(_SUFFIXES)}",
    "sha256": "expected 64 hex digits, in lower case",
    "bytes": "expected the size of the file, up to 2 GiB",
    "gflop_per_megapixel": "expected a number of 0 or more",
}


def plain_name(text: str) -> str:
    """Normalise a name: no case, no punctuation, no leading factor (`4x-`)."""
    return re.sub(r"[\W_]+", "", re.sub(r"^\d+x[-_.]?|\.(pth|safetensors|onnx)$", "", text.strip().lower()))


def entry_of_name(entries: Sequence[IndexEntry], name: str) -> IndexEntry | None:
    """The entry with that name, ignoring case and punctuation, or None."""
    exact = next((e for e in entries if e.name == name), None)
    return exact or next((e for e in entries if plain_name(e.name) == plain_name(name)), None)


def entry_of_file(sha256: str) -> IndexEntry | None:
    """The shipped entry of the file with this hash, or None."""
    return next((e for e in shipped_index() if e.sha256 == sha256), None)


def close_names(entries: Sequence[IndexEntry], name: str, most: int = 3) -> list[str]:
    """Names that resemble `name`: those that contain it, else the most similar ones."""
    wanted = plain_name(name)
    plain = {plain_name(e.name): e.name for e in entries}
    holding = [real for simple, real in plain.items() if wanted and wanted in simple]
    return holding[:most] or [plain[p] for p in difflib.get_close_matches(wanted, plain, n=most, cutoff=0.7)]


def search(
    entries: Sequence[IndexEntry], words: Sequence[str] = (), *, purpose: str = "", commercial: bool = False
) -> list[IndexEntry]:
    """Entries that contain all of the words, filtered by purpose and by commercial use."""

    def has(entry: IndexEntry, word: str) -> bool:
        text = (
            f"{entry.name} {entry.architecture} {entry.author} {entry.licence} x{entry.scale}"
            f" {' '.join(entry.purposes)} {entry.description}"
        )
        return word.lower() in text.lower() or (
            bool(plain_name(word)) and plain_name(word) in plain_name(entry.name)
        )

    return [
        e
        for e in entries
        if all(has(e, w) for w in words)
        and (not purpose or purpose in e.purposes)
        and (not commercial or e.commercial == "yes")
    ]
