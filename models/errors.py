"""The error classes, in the lowest module so that every package can raise them.

    VsrError                 exit code
    ├── UsageError           2   wrong usage, or a request that can't be met
    ├── MediaError           3   the input can't be read, or can't be timed, as video
    │   └── CorruptError     4   the input is damaged beyond what the policy allows
    ├── OutputError          5   the disk: full, read-only, not there
    ├── ResourceError        6   workers, memory or devices exhausted
    │   └── NoMemoryError    6   memory, of a machine or a device
    ├── VerificationError    7   the output failed verification
    └── Interrupted          130 or 143   stopped by a signal; resumable

An error takes one positional message, so it survives pickling between processes. The message says what to do,
after a semicolon or a full stop.
"""

from __future__ import annotations

import os
import re

__all__ = [
    "DISTRIBUTION",
    "CorruptError",
    "Interrupted",
    "MediaError",
    "NoMemoryError",
    "NothingToDoError",
    "OutputError",
    "ResourceError",
    "UsageError",
    "VerificationError",
    "VsrError",
    "counted",
    "missing_package",
    "redacted",
]


DISTRIBUTION = "vsr-upscale"
"""Name of the package for pip; the command and the import are `vsr`."""


class VsrError(Exception):
    """An expected error: one line that says what was found and what to do."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(redacted(message))


_ADDRESS = re.compile(r"\b([a-z][a-z0-9+.-]*:/{1,2})([^/\s]+@)?([^\s;]*)", re.IGNORECASE)
"""Scheme, login (up to the last @ before the path, as a password may contain one), and the rest."""
_PARAMETER = re.compile(r"([?&#][^=&#\s]+=)[^&#\s;]+")
_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|API_?KEY|ACCESS_?KEY", re.IGNORECASE)
_LEAST_SECRET = 8


def redacted(text: str) -> str:
    """Return the text without secrets.

    Removes logins and parameters of URLs, and the values of environment variables that are named like
    secrets.

    >>> redacted("https://me:pw@host/film.mp4?X-Token=abc: not there")
    'https://***@host/film.mp4?X-Token=*** not there'
    """
    text = _ADDRESS.sub(
        lambda found: found[1] + ("***@" if found[2] else "") + _PARAMETER.sub(r"\1***", found[3]), text
    )
    for name, value in os.environ.items():
        if len(value) >= _LEAST_SECRET and _SECRET_NAME.search(name):
            text = text.replace(value, "***")
    return text


def counted(count: int, noun: str) -> str:
    """A number with its noun: "1 frame", "2 frames"."""
    return f"{count} {noun}{'s' * (count != 1)}"


class UsageError(VsrError):
    """Wrong usage, or a request that can't be met; raised before work starts."""

    exit_code = 2


class NothingToDoError(UsageError):
    """The target is not larger than the source. Several inputs go on without such a one."""


class MediaError(VsrError):
    """The input can't be read, or can't be timed, as video."""

    exit_code = 3


class CorruptError(MediaError):
    """The input is damaged beyond what `--on-corrupt` allows."""

    exit_code = 4


class OutputError(VsrError):
    """The output or the work directory can't be written."""

    exit_code = 5


class ResourceError(VsrError):
    """Workers, memory or devices are exhausted; the work done so far is kept."""

    exit_code = 6


class NoMemoryError(ResourceError):
    """Memory of a machine or a device ran out; fewer workers or smaller tiles may fit."""


class VerificationError(VsrError):
    """The output failed verification, and was not renamed to its final name."""

    exit_code = 7


class Interrupted(VsrError):  # noqa: N818 - a requested stop is not an error
    """Stopped by a signal; the same command resumes the work."""

    exit_code = 130


def missing_package(what: str, package: str, extra: str, *, instead: str = "") -> UsageError:
    """Return the error for an optional package that is missing.

    what: the feature that needs it. instead: an alternative without it.
    """
    return UsageError(
        f"{what} needs the package {package}: pip install"
        f" '{DISTRIBUTION}[{extra}]'{instead and f'; {instead}'}"
    )
