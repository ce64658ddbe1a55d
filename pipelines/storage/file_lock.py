"""`lock_file`: a lock that the system releases when its holder ends, however it ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["REMOVES_OPEN_FILES", "lock_file", "wait_for_lock"]


_fcntl: ModuleType | None
try:
    import fcntl as _fcntl
except ModuleNotFoundError:  # Windows
    _fcntl = None

REMOVES_OPEN_FILES = _fcntl is not None
"""Whether a file can be deleted while it is open here."""


def lock_file(descriptor: int) -> bool:
    """Lock an open file for this process, without waiting; False if another process has the lock.

    It is held until the file is closed. Raises OSError if the file system has no locks.
    """
    if _fcntl is not None:
        try:
            _fcntl.flock(descriptor, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
    return _lock_first_byte(descriptor)


def wait_for_lock(descriptor: int) -> None:
    """Lock an open file, waiting until the lock is free."""
    if _fcntl is not None:
        _fcntl.flock(descriptor, _fcntl.LOCK_EX)
        return
    while not _lock_first_byte(descriptor):
        time.sleep(_LOOKING_SECONDS)


_LOOKING_SECONDS = 0.2


def _lock_first_byte(descriptor: int) -> bool:
    try:
        windows: Any = __import__("msvcrt")
    except ModuleNotFoundError:  # on other systems there is no lock
        return True
    try:
        windows.locking(descriptor, windows.LK_NBLCK, 1)
    except PermissionError:
        return False
    return True
