"""Settings from TOML files and KEY=VALUE texts into frozen dataclasses."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
import types
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["build_settings", "merge", "read_settings"]


T = TypeVar("T")


def read_settings(kind: type[T], path: str | Path, overrides: dict[str, Any] | None = None) -> T:
    """Read a settings class from a TOML file; nested tables are nested classes.

    overrides: dotted key -> value, applied on top of the file. Raises UsageError on an unknown key or a wrong
    type.
    """
    try:
        with open(path, "rb") as file:
            table = tomllib.load(file)
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: is not TOML: {error}") from error
    return build_settings(kind, merge(table, overrides or {}), str(path))


def merge(table: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """A copy of a nested table with dotted keys set; None values change nothing."""
    result = {k: merge(v, {}) if isinstance(v, dict) else v for k, v in table.items()}
    for dotted, value in overrides.items():
        if value is None:
            continue
        *parents, last = dotted.split(".")
        inner = result
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
    return result


def build_settings(kind: type[T], table: dict[str, Any], where: str = "settings") -> T:
    """Build a settings class from a nested table."""
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(table) - set(hints))
    if unknown:
        raise UsageError(f"{where}: unknown key {unknown[0]!r}; {_remedy(unknown[0], hints)}")
    values = {key: _coerce(hints[key], value, f"{where}: {key}") for key, value in table.items()}
    return kind(**values)


def _remedy(key: str, hints: Mapping[str, Any]) -> str:
    """Where a key belongs, or the one that is probably meant; else all keys."""
    tables = {name: hint for name, hint in hints.items() if dataclasses.is_dataclass(hint)}
    for name, hint in tables.items():
        if key in {field.name for field in dataclasses.fields(hint)}:
            return f"it belongs into the table [{name}]"
    near = difflib.get_close_matches(key, hints, n=1)
    return f"did you mean {near[0]}?" if near else f"expected one of {', '.join(sorted(hints))}"


def _coerce(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, dict):
            keys = ", ".join(field.name for field in dataclasses.fields(hint))
            raise UsageError(f"{where}: expected a table with some of {keys}")
        return build_settings(hint, value, where)
    options = typing.get_args(hint) if typing.get_origin(hint) in {typing.Union, types.UnionType} else (hint,)
    for option in options:
        base = typing.get_origin(option) or option
        if base is Literal:
            if value in typing.get_args(option):
                return value
        elif base is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        elif base is tuple and isinstance(value, list | tuple):
            return tuple(value)
        elif (
            isinstance(base, type)
            and isinstance(value, base)
            and not (base is int and isinstance(value, bool))
        ):
            return value
    raise UsageError(f"{where}: {value!r} is not a valid value; expected {_expected(options)}")


_WORDS = {
    bool: "true or false", int: "a whole number", float: "a number", str: "text", dict: "a table",
    tuple: "a list",
}  # fmt: skip


def _expected(options: Sequence[Any]) -> str:
    """What a setting takes, in words: "one of fail, conceal"; "a number, or auto"."""
    words = []
    for option in options:
        if typing.get_origin(option) is Literal:
            choices = [str(c) for c in typing.get_args(option)]
            words.append(f"one of {', '.join(choices)}" if len(choices) > 1 else choices[0])
        elif option is not type(None):  # a setting is left out instead
            base = typing.get_origin(option) or option
            words.append(_WORDS.get(base, base.__name__))
    return ", or ".join(words)
