"""Files written completely or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path

from models.errors import OutputError, UsageError, VsrError

__all__ = ["TEMPORARY", "not_made", "rename_over", "sync_file", "sync_folder", "write_atomically"]


TEMPORARY = r"\.vsr-[0-9a-f]{16}\.tmp"
"""Pattern of temporary names, in the same folder; such files remain if a process was killed."""


_WRONG_PLACES = frozenset(
    {
        *(errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL),
        *(errno.EACCES, errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP),
    }
)
"""Errors of a place where nothing can be made, such as /proc or a folder without access; a disk that is full,
read-only or failing has others."""


def not_made(folder: Path, error: OSError, remedy: str = "choose another -o") -> VsrError:
    """The error for a folder that can't be created: UsageError if its place is wrong, else OutputError."""
    kind = UsageError if error.errno in _WRONG_PLACES else OutputError
    return kind(f"{folder}: can't be made: {error.strerror}; {remedy}")


def write_atomically(path: Path, content: bytes | Callable[[Path], object], *, parents: bool = False) -> None:
    """Write a file so that its name shows all of it or nothing, with permissions by the umask.

    content: the bytes, or a function that writes them to a path. parents: create its folder if it is missing.
    Raises OutputError if it can't be written; the old file is then kept, and no other file is left.
    """
    temporary = path.with_name(f".vsr-{secrets.token_hex(8)}.tmp")
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write(temporary, content)
            rename_over(temporary, path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise OutputError(
            f"{path}: can't be written: {error.strerror or error}; what is done is kept, free some space and"
            " give the same command again"
        ) from error


def _write(path: Path, content: bytes | Callable[[Path], object]) -> None:
    with open(path, "xb") as file:  # not where a file or a link has that name
        # the umask can't be read without being changed
        mode = os.fstat(file.fileno()).st_mode & 0o777
        if isinstance(content, bytes):
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            return
    content(path)
    path.chmod(mode)  # writers that create the file themselves make it readable for its owner only
    sync_file(path)


def rename_over(source: Path, target: Path) -> None:
    """Rename a file, replacing another.

    On Windows, waits a little if another process has one of them open, as scanners do for a moment.
    """
    for wait in (0.05, 0.1, 0.2, 0.4, 0.8, 1.6) if sys.platform == "win32" else ():
        try:
            os.replace(source, target)
        except PermissionError:
            time.sleep(wait)
        else:
            return
    os.replace(source, target)


def sync_file(path: Path) -> None:
    """Flush a file to the disk."""
    with open(
        path, "r+b" if sys.platform == "win32" else "rb"
    ) as file:  # there, only writable files can be flushed
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk; Windows does so automatically."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
