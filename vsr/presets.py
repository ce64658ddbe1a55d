"""`presets`: the settings files that come with vsr, and their purposes."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.errors import UsageError
from pipelines.settings.encoder_spec import PRESETS

__all__ = ["Preset", "config_file", "presets"]


_HERE = Path(__file__).resolve().parent
_FOLDERS = (_HERE / "configs", _HERE.parent / "configs")
"""Locations in an installed package, and in a checkout."""


@dataclass(frozen=True)
class Preset:
    """A complete settings file with a name."""

    name: str
    path: Path
    purpose: str
    """The first line of its comment."""
    measured: tuple[str, ...] = ()
    """Measurements of `tests.benchmarks.presets`, line by line."""

    @property
    def cost(self) -> str:
        """The cost as text: "1.6 frames a second and 5.8 GB an hour (1280x720, 2 cores, no GPU)".

        Empty if it was not measured.
        """
        text = "\n".join(self.measured)
        found, cores = (
            re.search(r"of (\d+x\d+): ([\d.]+) fps, ([\d.]+) MB a minute", text),
            re.search(r"on (\d+ cores?)", text),
        )
        if found is None:
            return ""
        where = ", ".join(
            [found[1], *([cores[1]] if cores else []), *(["no GPU"] if "without a GPU" in text else [])]
        )
        return (
            f"{found[2]} frame{'s' * (found[2] != '1')} a second and {float(found[3]) * 60 / 1000:.2g} GB an"
            f" hour ({where})"
        )


def presets() -> list[Preset]:
    """All presets, by name."""
    return [_preset(path) for path in _shipped("run").values()]


def _shipped(kind: str) -> dict[str, Path]:
    """The settings files of a kind that come with vsr, by name."""
    folder = next((f / kind for f in _FOLDERS if (f / kind).is_dir()), None)
    return {path.stem: path for path in sorted(folder.glob("*.toml"))} if folder is not None else {}


def config_file(
    text: str | Path, kind: Literal["run", "dataset", "train"] = "run", option: str = "--config"
) -> Path:
    """An existing settings file, else the one of that name that comes with vsr. Raises UsageError.

    option: the option that gave it, for messages; empty for an argument.
    """
    path, known = Path(text), _shipped(kind)
    given = f"{option} {text}".strip() if kind != "train" else str(text)
    what = "preset" if kind == "run" else "settings of that name"
    if path.exists() and not path.is_dir():
        return path
    if path.suffix or path.parent != Path():
        if path.suffix == ".toml" and path.stem in known:
            raise UsageError(
                f"{given}: there is no such file; give {path.stem} for the one that comes with vsr"
            )
        return path
    if path.name in known:
        return known[path.name]
    if kind == "run" and path.name in PRESETS:
        raise UsageError(f"{given}: is no settings file but a preset of encoders; give --preset {text}")
    close = difflib.get_close_matches(path.name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"expected a TOML file, or one of {', '.join(known)}"
    raise UsageError(f"{given}: there is no such file or {what}; {hint}")


def _preset(path: Path) -> Preset:
    header = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        header.append(line.removeprefix("#").strip())
    measured = tuple(
        line.removeprefix("Measured:").strip() for line in header if line.startswith("Measured:")
    )
    return Preset(path.stem, path, header[0] if header else "", measured)
