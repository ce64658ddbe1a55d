"""The user's cache for data that can be made again."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from models.errors import OutputError
from pipelines.storage.atomic_file import write_atomically

__all__ = ["cache_folder", "forget_cached", "read_cached", "write_cached"]


def cache_folder() -> Path:
    """XDG_CACHE_HOME/vsr, on Windows LOCALAPPDATA/vsr; it may not exist."""
    given = os.environ.get("XDG_CACHE_HOME") or (
        os.environ.get("LOCALAPPDATA") if sys.platform == "win32" else None
    )
    return (Path(given) if given else Path.home() / ".cache") / "vsr"


def read_cached(name: str, key: str) -> Any:
    """The value stored under a key of a table; None if there is none, or it can't be read."""
    try:
        table = json.loads((cache_folder() / f"{name}.json").read_bytes())
    except (OSError, ValueError):
        return None
    return table.get(key) if isinstance(table, dict) else None


def forget_cached(name: str) -> None:
    """Delete a table. Errors are ignored."""
    with contextlib.suppress(OSError):
        (cache_folder() / f"{name}.json").unlink(missing_ok=True)


def write_cached(name: str, key: str, value: Any, *, most: int = 64) -> None:
    """Store a JSON value; a table keeps its last `most` keys. Errors are ignored."""
    path = cache_folder() / f"{name}.json"
    try:
        table = json.loads(path.read_bytes())
    except (OSError, ValueError):
        table = {}
    table = {k: v for k, v in table.items() if k != key} if isinstance(table, dict) else {}
    kept = dict([*table.items(), (key, value)][-most:])
    with contextlib.suppress(OutputError):
        write_atomically(path, json.dumps(kept, indent=1).encode(), parents=True)
