"""A file that can be opened but not read to its end, as on a bad sector or a lost network share."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import av
import pytest


def bad_sector(patch: pytest.MonkeyPatch, module: ModuleType, *, behind: int) -> None:
    """Have the system fail to read any file that `module` opens as a source, `behind` so many packets."""
    opened = module.open_source
    patch.setattr(module, "open_source", lambda path: _Failing(opened(path), behind))


class _Failing:
    """A container, but for its packets."""

    def __init__(self, container: Any, packets: int) -> None:
        self._container, self._packets = container, packets

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def demux(self, *streams: Any) -> Iterator[Any]:
        for number, packet in enumerate(self._container.demux(*streams)):
            if number == self._packets:
                raise av.error.OSError(errno.EIO, "Input/output error")
            yield packet
