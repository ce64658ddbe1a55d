"""`Card`: the description of a network and the path of its weights."""

from __future__ import annotations

import functools
import hashlib
import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.errors import UsageError

__all__ = [
    "COMMERCIAL_WORDS",
    "INTERPOLATORS",
    "TRAINED",
    "Card",
    "file_name",
    "read_card",
    "sha256_of",
    "user_folder",
]


TRAINED = Path(__file__).parents[1] / "trained"
_LEAST_RAMPS_DB = 58.0
COMMERCIAL_WORDS = {
    "yes": "commercial use allowed",
    "no": "no commercial use",
    "unknown": "commercial use not stated",
}
INTERPOLATORS = {
    "identity": "the picture as it is, for re-encoding or for tests",
    "nearest": "nearest neighbour: hard pixels, for pixel art at whole factors",
    "bilinear": "triangle filter: soft",
    "bicubic": "Keys' cubic, a = -0.5: Catmull-Rom",
    "lanczos": "Lanczos with three lobes: the sharpest of the classical scalers",
}


@dataclass(frozen=True)
class Card:
    """Facts about a network that are known without loading it."""

    name: str
    scale: int
    """0: any size (classical scalers)."""
    architecture: str
    description: str = ""
    parameters: int = 0
    pixels: str = "yuv420"
    sha256: str = ""
    path: str = ""
    """Path of the weights; empty for classical scalers."""
    settings: dict[str, Any] = field(default_factory=dict)
    """The architecture's arguments besides the scale."""
    gflop_per_megapixel: float = 0.0
    """Compute for one megapixel of input."""
    halo_px: int | None = 0
    past: int = 0
    future: int = 0
    recurrent: bool = False
    """`past`, `future`, `recurrent`: frames that the network uses before and after the current one, and
    whether it has a state."""
    more: dict[str, Any] = field(default_factory=dict)
    """Training record and scores."""

    @property
    def family(self) -> str:
        """The name without its scale."""
        stem, dash, scale = self.name.rpartition("-x")
        return stem if dash and scale.isdecimal() else self.name

    @property
    def temporal(self) -> bool:
        """Whether the network uses other frames than the current one."""
        return self.recurrent or bool(self.past or self.future)

    @property
    def licence(self) -> str:
        """SPDX identifier of the weights' licence; empty where none is known."""
        return "MIT" if self._is_shipped else str(self.more.get("licence", ""))

    @property
    def commercial(self) -> str:
        """Whether that licence allows commercial use: yes, no or unknown."""
        found = str(self.more.get("commercial", ""))
        return "yes" if self._is_shipped else found if found in {"yes", "no"} else "unknown"

    @property
    def author(self) -> str:
        """Author of a third-party network, if known."""
        return str(self.more.get("author", ""))

    @property
    def terms(self) -> str:
        """The licence in words."""
        return f"licence {self.licence or 'not known'}, {COMMERCIAL_WORDS[self.commercial]}"

    @property
    def file(self) -> str:
        """Folder and file name of a network that was given as a file; empty for a network with a known name.

        Such a file may have the name of a shipped network, for example if it was trained further.
        """
        path = Path(self.path)
        is_known = not self.path or self._is_shipped or path.parent == user_folder()
        return "" if is_known else str(Path(path.absolute().parent.name) / path.name)

    @property
    def label(self) -> str:
        """The name of the network, with its file if it was given as a file."""
        return f"{self.name} ({self.file})" if self.file else self.name

    @property
    def _is_shipped(self) -> bool:
        return self.architecture == "interpolation" or (bool(self.path) and Path(self.path).parent == TRAINED)

    @property
    def int8_cost_db(self) -> float | None:
        """PSNR on Set5 lost by rounding to 8-bit integers, in dB; None if the file has no such layers."""
        cost = self.more.get("int8", {}).get("cost_db")
        return None if cost is None else float(cost)

    def suits_int8(self, bits: int) -> bool:
        """Whether the network has 8-bit integer layers that are precise enough for samples of that many bits.

        For 10 bits, they must be at least 58 dB from fp32 on ramps, so that no bands are visible.
        """
        ramps = self.more.get("int8", {}).get("ramps_db", 0.0)
        return self.int8_cost_db is not None and (bits == 8 or (bits == 10 and ramps >= _LEAST_RAMPS_DB))

    @property
    def restores(self) -> bool:
        """Whether the network takes a restoration level."""
        return self.architecture == "restoring"

    @property
    def crisp(self) -> bool:
        """Whether the network restores and has crisp weights besides its faithful ones."""
        return self.restores and bool(self.settings.get("crisp"))


def user_folder() -> Path:
    """Folder in which `vsr models add` keeps networks."""
    base = os.environ.get("VSR_DATA_HOME") or os.path.join(
        os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share"), "vsr"
    )
    return Path(base) / "models"


def read_card(path: Path) -> Card:
    """Read `NAME.toml`; the weights are in the same folder. Raises UsageError if it is not a card."""
    try:
        found = path.stat()
        return _parsed(path, (found.st_mtime_ns, found.st_size, found.st_ino))
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{path}: is not a model card: {error}") from error


@functools.lru_cache(maxsize=1024)
def _parsed(path: Path, _state: tuple[int, int, int]) -> Card:
    """The card in a file; parsed once for each state of it, as every look-up by name goes through all."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    known = {
        k: table.pop(k)
        for k in (
            "scale",
            "architecture",
            "description",
            "parameters",
            "pixels",
            "sha256",
            "settings",
            "gflop_per_megapixel",
            "halo_px",
            "past",
            "future",
            "recurrent",
        )
        if k in table
    }
    suffix = ".onnx" if known.get("architecture") == "onnx" else ".safetensors"
    return Card(name=table.pop("name", path.stem), path=str(path.with_suffix(suffix)), more=table, **known)


def sha256_of(path: str | Path) -> str:
    """Hash of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_name(card: Card) -> str:
    """A file name for the card's weights that identifies their content: SHA-256 and suffix."""
    return f"{card.sha256 or sha256_of(card.path)}{Path(card.path).suffix}"
