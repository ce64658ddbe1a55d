"""`PipeConnection`: messages over two pipes of a child, for systems without inherited sockets (Windows)."""

from __future__ import annotations

import contextlib
import pickle
import queue
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["PipeConnection", "child_command"]


_LENGTH_BYTES = 8
_AHEAD = 4
"""Received messages that may wait."""


class PipeConnection:
    """The part of `multiprocessing.connection.Connection` that the pool needs.

    Pipes can't be polled there, so a thread reads.
    """

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._in, self._out = incoming, outgoing
        self._come: queue.Queue[bytes | None] = queue.Queue(maxsize=_AHEAD)
        self._next: list[bytes | None] = []
        """Messages that `poll` has seen."""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        data: bytes | None
        with contextlib.suppress(OSError, ValueError):  # the other end is gone; this one was closed
            while len(head := self._in.read(_LENGTH_BYTES)) == _LENGTH_BYTES:
                length = int.from_bytes(head, "big")
                data = self._in.read(length)
                if len(data) < length:
                    break
                self._come.put(data)
        with contextlib.suppress(OSError):
            self._in.close()
        self._come.put(None)

    def send(self, message: Any) -> None:
        """Send a message. Raises OSError if the other end is closed."""
        data = pickle.dumps(message)
        try:
            self._out.write(len(data).to_bytes(_LENGTH_BYTES, "big") + data)
            self._out.flush()
        except ValueError as error:  # it was closed here
            raise BrokenPipeError(str(error)) from error

    def poll(self, timeout: float) -> bool:
        """Whether a message, or the end, arrives within so many seconds."""
        if not self._next:
            with contextlib.suppress(queue.Empty):
                self._next.append(self._come.get(timeout=timeout))
        return bool(self._next)

    def recv(self) -> Any:
        """The next message. Raises EOFError at the end."""
        data = self._next.pop() if self._next else self._come.get()
        if data is None:
            self._next.append(None)
            raise EOFError
        return pickle.loads(data)  # noqa: S301 - from our own parent or child

    def close(self) -> None:
        """Close both pipes; the reading thread ends when the other end closes."""
        with contextlib.suppress(OSError):
            self._out.close()


def child_command(descriptor: int) -> list[str]:
    """Command line of a child. descriptor: its end of the line; -1: standard input and output."""
    path = [p for p in sys.path if p]
    code = (
        f"import sys; sys.path[:] = {path!r}; from pipelines.pool.child_process import child_main;"
        f" child_main({descriptor})"
    )
    return [sys.executable, "-P", "-c", code]
