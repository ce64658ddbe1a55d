"""`MediaCalls` and `CommandCalls`: work that the server does in child processes.

Both are limited in number and time; a call is refused if too many are waiting.
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import tempfile
import threading
from typing import TYPE_CHECKING, Any

from models.errors import VsrError
from vsr.server.child import end_now, start

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from vsr.server.roots import Roots

__all__ = ["BusyError", "CommandCalls", "ConcurrencyLimit", "MediaCalls", "RefusedError"]


class BusyError(Exception):
    """Raised if too many calls are waiting already."""


class RefusedError(Exception):
    """Raised if the command failed: its error message, without absolute paths, and its exit code."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.text, self.exit_code = text, exit_code


class ConcurrencyLimit:
    """A limit on calls at a time, and on waiting calls."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._running, self._all = threading.Semaphore(at_once), threading.Semaphore(at_once + waiting)

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Wait for a turn, and use it. Raises BusyError if too many wait."""
        if not self._all.acquire(blocking=False):
            raise BusyError("too much is asked for at once; ask again in a few seconds")
        try:
            with self._running:
                yield
        finally:
            self._all.release()


class MediaCalls:
    """Calls to `vsr.server.media.media_child`, which starts on demand.

    It is stopped if it hangs or is idle.
    """

    SECONDS = 60.0
    """Maximum time of a call; after it, the parser is assumed to hang."""
    IDLE_SECONDS = 60.0

    def __init__(self, roots: Roots, folder: Path) -> None:
        """folder: working directory of the child."""
        self._roots, self._folder = roots, folder
        self._turns = ConcurrencyLimit(at_once=1, waiting=24)
        self._child: subprocess.Popen[bytes] | None = None
        self._idle: threading.Timer | None = None
        self._lock = threading.Lock()

    def __call__(self, call: str, *arguments: Any) -> dict[str, Any]:
        """The answer. Raises BusyError, RefusedError."""
        with self._turns.one(), self._lock:
            if self._idle is not None:
                self._idle.cancel()
            try:
                found = self._ask(call, arguments)
            finally:
                self._idle = threading.Timer(self.IDLE_SECONDS, self.close)
                self._idle.daemon = True
                self._idle.start()
        if "error" in found:
            raise RefusedError(self._roots.redacted(found["error"]), int(found["exit_code"]))
        return found

    def _ask(self, call: str, arguments: Sequence[Any]) -> dict[str, Any]:
        if self._child is None or self._child.poll() is not None:
            self._child = start([], folder=self._folder, module="vsr.server.media.media_child")
        child = self._child
        assert child.stdin is not None
        assert child.stdout is not None
        hung = threading.Event()
        limit = threading.Timer(self.SECONDS, _end_hung, (child, hung))
        limit.start()
        try:
            child.stdin.write(json.dumps({"call": call, "arguments": arguments}).encode() + b"\n")
            child.stdin.flush()
            line = child.stdout.readline()
        except OSError:
            line = b""
        finally:
            limit.cancel()
        if line:
            found: dict[str, Any] = json.loads(line)
            return found
        self._let_go()
        why = (
            f"takes longer than {self.SECONDS:.0f} s to be looked into"
            if hung.is_set()
            else "made the process crash that looked into it"
        )
        return {"error": f"{arguments[0]}: {why}; it may be damaged", "exit_code": 3}

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        if self._child is not None:
            end_now(self._child)
            for pipe in (self._child.stdin, self._child.stdout):
                with contextlib.suppress(OSError):
                    if pipe is not None:
                        pipe.close()
            self._child = None


class CommandCalls:
    """Ordinary commands that end by themselves, such as `vsr plan --json`."""

    def __init__(self, roots: Roots, folder: Path, *, at_once: int = 2, waiting: int = 16) -> None:
        """folder: working directory of commands."""
        self._roots, self._folder = roots, folder
        self._turns = ConcurrencyLimit(at_once, waiting)
        self._children: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._is_closed = False

    def __call__(
        self, *arguments: str, seconds: float, allowed: Sequence[int] = (0,)
    ) -> list[dict[str, Any]]:
        """Events of a command that ends with an allowed exit code.

        Raises BusyError, and RefusedError with its error message if it ends with another one.
        """
        with self._turns.one():
            return self._run(arguments, seconds, allowed)

    def _run(self, arguments: Sequence[str], seconds: float, allowed: Sequence[int]) -> list[dict[str, Any]]:
        with tempfile.TemporaryFile(dir=self._folder) as errors:
            with self._lock:
                if self._is_closed:
                    raise BusyError("the server is ending")
                child = start(arguments, folder=self._folder, errors=errors.fileno())
                self._children.add(child)
            lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
            reader = threading.Thread(
                target=lambda: lines.put(child.stdout.read() if child.stdout else b""), daemon=True
            )
            reader.start()
            try:
                code = child.wait(seconds)
            except subprocess.TimeoutExpired as error:
                end_now(child)
                raise RefusedError(
                    f"that took longer than {seconds:.0f} s and was ended; try a part of the film by range", 6
                ) from error
            finally:
                end_now(child)
                with self._lock:
                    self._children.discard(child)
                reader.join(5)
                for pipe in (child.stdin, child.stdout):
                    if pipe is not None:
                        pipe.close()
            events = _events(lines.get() if not lines.empty() else b"")
            if code not in allowed:
                raise self._refusal(events, errors, code)
            return events

    def _refusal(self, events: list[dict[str, Any]], errors: Any, code: int) -> RefusedError:
        told = next((e for e in reversed(events) if e.get("event") == "error"), None)
        if told is not None:
            return RefusedError(self._roots.redacted(str(told["message"])), int(told["exit_code"]))
        errors.seek(max(0, errors.seek(0, 2) - 4096))
        lines = [text for text in errors.read().decode(errors="replace").splitlines() if text.strip()]
        last = (lines[-1] if lines else "the command ended without a word").removeprefix("vsr: ").strip()
        return RefusedError(self._roots.redacted(last), code if code > 0 else VsrError.exit_code)

    def close(self) -> None:
        """Stop running commands, and accept no more."""
        with self._lock:
            self._is_closed = True
            children = list(self._children)
        for child in children:
            end_now(child)


def _end_hung(child: subprocess.Popen[bytes], hung: threading.Event) -> None:
    hung.set()
    end_now(child)


def _events(output: bytes) -> list[dict[str, Any]]:
    found = []
    for line in output.splitlines():
        with contextlib.suppress(ValueError):
            table = json.loads(line)
            if isinstance(table, dict):
                found.append(table)
    return found
