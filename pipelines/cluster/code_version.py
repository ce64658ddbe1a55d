"""A digest of our own code, to refuse cluster nodes that run another version."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["code_digest"]


_ROOT = Path(__file__).resolve().parents[2]


def code_digest(root: Path = _ROOT) -> str:
    """Hash of our source code, including subfolders, each file by its path below `root`.

    Driver and workers must have the same hash.
    """
    digest = hashlib.sha256()
    files = [path for package in ("models", "pipelines") for path in (root / package).rglob("*.py")]
    for name, path in sorted((path.relative_to(root).as_posix(), path) for path in files):
        digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
