"""`libraries`: installed and required versions of dependencies.

Read from metadata; nothing is loaded.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from models.errors import DISTRIBUTION, UsageError

__all__ = ["Library", "libraries", "outdated", "refuse_known_holes"]


_PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
_SHOWN_FIRST = ("av", "torch", "ray", "numpy", "numba")


@dataclass(frozen=True)
class Library:
    """A dependency of `vsr`."""

    name: str
    version: str
    """Empty if it is not installed."""
    floor: str = ""
    ceiling: str = ""
    """Versions from `floor` on and below `ceiling` are supported; empty: any."""

    @property
    def fits(self) -> bool:
        """Whether a supported version is installed."""
        if not self.version:
            return False
        return _numbers(self.version) >= _numbers(self.floor) and (
            not self.ceiling or _numbers(self.version) < _numbers(self.ceiling)
        )

    @property
    def wanted(self) -> str:
        """The supported versions in pip's syntax: "av>=18.1,<19"."""
        bounds = [f">={self.floor}"] * bool(self.floor) + [f"<{self.ceiling}"] * bool(self.ceiling)
        return self.name + ",".join(bounds)


def libraries() -> list[Library]:
    """All dependencies, the most important first."""
    found = [_library(line) for line in _requirements()]
    rank = {name: place for place, name in enumerate(_SHOWN_FIRST)}
    return sorted(found, key=lambda library: (rank.get(library.name, len(rank)), library.name))


def refuse_known_holes() -> list[str]:
    """Messages about libraries with known vulnerabilities that untrusted input reaches less easily.

    Raises UsageError for such an FFmpeg, through which a film could take control.
    """
    found = []
    for library in outdated():
        said = f"{library.name} {library.version} has known vulnerabilities; install {library.wanted}"
        if library.name == "av":
            raise UsageError(said)
        found.append(said)
    return found


def outdated() -> list[Library]:
    """Dependencies that parse untrusted input and have a version with known vulnerabilities.

    av: its FFmpeg (CVE-2026-8461, CVE-2026-39210 to 39218); torch: loading weights (CVE-2025-32434,
    CVE-2026-24747); ray: its dashboard (CVE-2026-27482).
    """
    found = [_library(line) for line in _requirements() if _name(line) in _READ_BYTES]
    return [
        library
        for library in found
        if library.version and _numbers(library.version) < _numbers(library.floor)
    ]


_READ_BYTES = frozenset({"av", "torch", "ray"})


def _requirements() -> list[str]:
    """Lines of pyproject.toml: from this checkout, else from the installed package."""
    try:
        table = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]
        if table["name"] == DISTRIBUTION:
            return list(table["dependencies"])
    except (OSError, KeyError, ValueError):
        pass
    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return list(_SHOWN_FIRST)
    return [line for line in lines if "extra ==" not in line]


def _name(line: str) -> str:
    """The package that a requirement names."""
    match = re.match(r"[A-Za-z0-9._-]+", line)
    assert match is not None, line
    return match[0]


def _library(line: str) -> Library:
    bounds = dict(re.findall(r"(>=|<)\s*([0-9.]+)", line.partition(";")[0]))
    try:
        version = metadata.version(_name(line))
    except metadata.PackageNotFoundError:
        version = ""
    return Library(_name(line), version, bounds.get(">=", ""), bounds.get("<", ""))


def _numbers(version: str) -> tuple[int, ...]:
    """Numbers of a release, "2.10.0+cpu" -> (2, 10); trailing zeros are dropped."""
    release = re.match(r"[0-9.]*", version)
    numbers = [int(n) for n in release[0].split(".") if n] if release else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
