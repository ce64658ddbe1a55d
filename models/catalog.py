"""Names of networks: what there is (cards, read without torch) and `load_network`, which makes one ready to run.

A trained network is `NAME.safetensors` with a card `NAME.toml` beside it: architecture, its settings, scale, scores.
Its name is FAMILY-xSCALE; asking for the family picks the scale by need.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import MediaError, UsageError
from models.weights import at_most, refuse_huge, tensor_shapes

if TYPE_CHECKING:
    from models.network import LoadedNetwork

__all__ = ["INTERPOLATORS", "Card", "cards", "default_model", "file_name", "find", "foreign", "load_network", "user_folder"]

TRAINED = Path(__file__).parent / "trained"
INTERPOLATORS = {
    "identity": "the picture as it is, for re-encoding or for tests",
    "nearest": "nearest neighbour: hard pixels, for pixel art at whole factors",
    "bilinear": "triangle filter: soft",
    "bicubic": "Keys' cubic, a = -0.5: Catmull-Rom",
    "lanczos": "Lanczos with three lobes: the sharpest of the classical scalers",
}
_DEFAULT_ON_CPU, _DEFAULT_ON_GPU = ("fast", "lanczos"), ("quality", "fast", "lanczos")
"""Families, of which the first one that is there is taken."""


@dataclass(frozen=True)
class Card:
    """What is known of a network without loading it."""

    name: str
    scale: int
    """0: any size (classical scalers)."""
    architecture: str
    description: str = ""
    parameters: int = 0
    pixels: str = "yuv420"
    sha256: str = ""
    path: str = ""
    """Of the weights; empty for classical scalers."""
    settings: dict[str, Any] = field(default_factory=dict)
    """The architecture's arguments besides the scale."""
    gflop_per_megapixel: float = 0.0
    """For one megapixel of input."""
    halo_px: int | None = 0
    past: int = 0
    future: int = 0
    recurrent: bool = False
    """Frames before and after that it looks at, and whether it remembers."""
    more: dict[str, Any] = field(default_factory=dict)
    """Training record and scores."""

    @property
    def family(self) -> str:
        """The name without its scale."""
        stem, dash, scale = self.name.rpartition("-x")
        return stem if dash and scale.isdecimal() else self.name

    @property
    def temporal(self) -> bool:
        """Looks at more than the frame itself."""
        return self.recurrent or bool(self.past or self.future)


def user_folder() -> Path:
    """Where `vsr models add` keeps networks."""
    base = os.environ.get("VSR_DATA_HOME") or os.path.join(os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share"), "vsr")
    return Path(base) / "models"


def read_card(path: Path) -> Card:
    """Read `NAME.toml`; the weights lie beside it. Raises UsageError where it is no card."""
    try:
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
        return Card(name=table.pop("name", path.stem), path=str(path.with_suffix(".safetensors")), more=table, **known)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{path}: is not a model card: {error}") from None


def cards() -> list[Card]:
    """All networks there are by name: classical, shipped, the user's own."""
    found = [Card(name, 1 if name == "identity" else 0, "interpolation", text, settings={"kernel": name}) for name, text in INTERPOLATORS.items()]
    for folder in (TRAINED, user_folder()):
        if folder.is_dir():
            found += [read_card(p) for p in sorted(folder.glob("*.toml"))]
    return found


def default_model(*, on_gpu: bool = False) -> str:
    """The best network there is of those that keep up: a larger one on a GPU."""
    families = {c.family for c in cards()}
    return next(name for name in (_DEFAULT_ON_GPU if on_gpu else _DEFAULT_ON_CPU) if name in families)


def find(name_or_path: str) -> list[Card]:
    """The cards that a name means: one network, or a family's scales; or the card of a file.

    A file of ours is described by the card beside it; anybody else's is loaded once in a process of its own.
    Raises UsageError where there is none.
    """
    path = Path(name_or_path)
    known = cards()
    # A name of ours before a file of that name, which may lie there unknown to whoever gives the command.
    found = [c for c in known if name_or_path in {c.name, c.family}]
    if not found and (path.suffix in {".safetensors", ".pth", ".pt", ".ckpt", ".bin"} or path.exists()):
        return [_card_of_file(path)]
    if not found:
        names = sorted({c.family for c in known})
        close = difflib.get_close_matches(name_or_path, [*names, *(c.name for c in known)], n=1)
        hint = f"; did you mean {close[0]}?" if close else "."
        raise UsageError(f"--model {name_or_path}: no such network{hint} There are: {', '.join(names)}; or give a weights file")
    return [_with_hash(card) for card in found]


def _with_hash(card: Card) -> Card:
    """The card with the hash of its weights, which a card written by hand may lack: work is known by it, wherever the file lies."""
    if card.sha256 or not card.path:
        return card
    try:
        return replace(card, sha256=sha256_of(card.path))
    except OSError as error:
        raise MediaError(f"{card.path}: can't be read: {error.strerror}; its card lies beside where it should be") from None


def _card_of_file(path: Path) -> Card:
    if not path.is_file():
        raise UsageError(f"--model {path}: no such file")
    card_path = path.with_suffix(".toml")
    if path.suffix == ".safetensors" and card_path.is_file():
        card = read_card(card_path)
        digest = sha256_of(path)
        if card.sha256 and card.sha256 != digest:
            raise MediaError(f"{path}: is not the file its card describes (SHA-256 {digest[:12]}…, card says {card.sha256[:12]}…)")
        return replace(card, sha256=digest)
    return Card(**json.loads(foreign(path)))


def foreign(path: Path, *target: str) -> str:
    """What `models.foreign` says of a file, or writes to `target`: in a confined process of its own, so the parent of a run stays free of torch.

    Raises MediaError where it is no network.
    """
    command = [sys.executable, "-P", "-m", "models.foreign", str(path.resolve()), *target]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        lines = result.stderr.strip().splitlines()
        raise MediaError(f"{path}: is not a network we can load ({lines[-1] if lines else 'no reason given'})")
    return result.stdout


def sha256_of(path: str | Path) -> str:
    """Hash of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_name(card: Card) -> str:
    """A name for the card's weights that tells their content: SHA-256 and suffix."""
    return f"{card.sha256 or sha256_of(card.path)}{Path(card.path).suffix}"


def load_network(card: Card, *, height: int = 0, width: int = 0, chroma_offset: tuple[float, float] | None = None) -> LoadedNetwork:
    """Make the network of a card, in fp32 on the CPU.

    height, width: size to reach, for classical scalers. chroma_offset: siting of the planes a classical scaler is given.
    Raises MediaError where the weights are not what the card says.
    """
    from models.network import LoadedNetwork

    if card.architecture == "interpolation":
        from models.interpolation import Interpolation

        module = Interpolation(card.settings["kernel"], height=height, width=width, chroma_offset=chroma_offset or (0.0, -0.25))
        return LoadedNetwork(card.name, module, module.contract)
    if card.architecture == "foreign":
        from models.foreign import load_foreign

        return load_foreign(card)
    from safetensors.torch import load_file

    from models.architectures import ARCHITECTURES

    if card.architecture not in ARCHITECTURES:
        raise MediaError(f"{card.path}: its card names the architecture {card.architecture!r}; we know {', '.join(ARCHITECTURES)}")
    if card.sha256 and sha256_of(card.path) != card.sha256:
        raise MediaError(f"{card.path}: SHA-256 is not the one on its card; fetch or train it again")
    refuse_huge(card.path, {"scale": card.scale, **card.settings})
    found = tensor_shapes(card.path)
    with at_most(sum(math.prod(shape) for shape in found.values()), f"{card.path}: its tensors are not those of {card.architecture} {card.settings}"):
        network = ARCHITECTURES[card.architecture](scale=card.scale, **card.settings)
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    if expected != found:
        odd = min(set(expected.items()) ^ set(found.items()))[0]
        raise MediaError(f"{card.path}: its tensors are not those of {card.architecture} {card.settings}; the first that differs is {odd}")
    network.load_state_dict({k: v.float() for k, v in load_file(card.path).items()})
    return LoadedNetwork(card.name, network.eval(), network.contract, card.sha256, card.more)
