"""`serve`: runs a server from taking its lock to the end of its last job."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from models.catalog.card import user_folder
from models.errors import OutputError, UsageError
from pipelines.storage.atomic_file import write_atomically
from pipelines.storage.file_lock import lock_file
from vsr.server.roots import Roots
from vsr.server.services import ServerOptions, Services
from vsr.server.web.access import Access, host_names
from vsr.server.web.app import make_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["ServerSettings", "serve", "server_folder"]


_MOST_CONNECTIONS = 256
_LARGEST_HEAD = 32 << 10
_HEADER_SECONDS = 10.0
"""Time for a client to send the header of a request."""
_KEEP_ALIVE_SECONDS = 15
_LEAST_TOKEN = 16
_WAIT_SECONDS = 600.0
"""Time for commands of an earlier server to end."""
_LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class ServerSettings:
    """Settings of `vsr serve`."""

    host: str = "127.0.0.1"
    port: int = 8787
    roots: Sequence[Path] = ()
    """None: the working directory."""
    token_file: Path | None = None
    offer: ServerOptions = field(default_factory=ServerOptions)


def server_folder() -> Path:
    """Folder of queue and token: `server` in the user's data folder."""
    return user_folder().parent / "server"


def serve(settings: ServerSettings, say: Callable[[str], None], on_ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Running jobs then end after their chunk, and at once with a second signal.

    say: receives messages for the user. on_ready: called with the address to open. Raises UsageError,
    OutputError.
    """
    is_local = settings.host in _LOCAL
    if not is_local and settings.token_file is None:
        raise UsageError(
            f"--host {settings.host}: whoever reaches this address could use the server; give --token-file"
            " FILE with a token of your own, and put a proxy with TLS in front of it"
        )
    roots = Roots(settings.roots or [Path()])
    folder = server_folder()
    _make_private(folder)
    token = _token(settings.token_file or folder / "token", is_own=settings.token_file is None)
    with _bound(settings.host, settings.port) as bound, _alone(folder) as lock:
        _wait_for_commands(lock, say)
        address = _address(settings.host, bound.getsockname()[1])
        write_atomically(folder / "address", json.dumps({"pid": os.getpid(), "address": address}).encode())
        services = Services(roots, folder, settings.offer, lock)
        access = Access(
            token,
            local_only=is_local,
            names=host_names() | {settings.host.lower()},
            upload_bytes=settings.offer.upload_bytes,
        )
        if not is_local:
            say(_exposed(settings, roots))
        _Server(services, access, bound, say).run(lambda: on_ready(f"{address}/?token={token}"))
        services.close()


def _exposed(settings: ServerSettings, roots: Roots) -> str:
    what = (
        f"who has the token can read the films below {', '.join(map(str, roots.folders.values()))}, and"
        " have results written there"
    )
    uploads = ", and upload files" if settings.offer.upload_bytes is not None else ""
    return f"listening on {settings.host}: {what}{uploads}; without TLS the token can be read on its way"


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise OutputError(
            f"{folder}: can't be made: {error.strerror}; VSR_DATA_HOME names another place for the queue"
        ) from error


def _token(file: Path, *, is_own: bool) -> str:
    """The token in a file, which is created if missing, readable for its owner only."""
    try:
        token = file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        token = secrets.token_urlsafe(32)
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise OutputError(
                f"{file}: can't be written: {error.strerror}; choose another --token-file"
            ) from error
        with open(descriptor, "w", encoding="ascii") as out:
            out.write(token + "\n")
        return token
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{file}: can't be read as a token:"
            f" {getattr(error, 'strerror', None) or 'is no ASCII text'}; expected one line"
        ) from error
    if len(token) < _LEAST_TOKEN or not set(token) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~"
    ):
        raise UsageError(
            f"{file}: holds no token; expected at least {_LEAST_TOKEN} letters, digits, -, _, . or ~"
            " in one line, or no file, and one is made"
        )
    if not is_own and sys.platform != "win32" and file.stat().st_mode & 0o077:
        raise UsageError(f"{file}: others can read it; chmod 600 {file}")
    return token


@contextlib.contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket."""
    try:
        family, kind, _, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise UsageError(f"--host {host}: is not an address of this machine: {error}") from error
    # asyncio turns Nagle's algorithm off (40 ms an answer) only for sockets that name their protocol
    with socket.socket(family, kind, socket.IPPROTO_TCP) as made:
        if sys.platform != "win32":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind(place)
            made.listen(128)
        except OSError as error:
            raise UsageError(
                f"--host {host} --port {port}: can't be listened on: {error.strerror}; give another"
                " --port (0: any free one)"
            ) from error
        made.set_inheritable(False)
        yield made


def _address(host: str, port: int) -> str:
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - compared, not bound
    return f"http://{name}:{port}"


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[int]:
    """Hold the lock of this queue, so that only one server uses it.

    Yields the descriptor that commands keep open; its lock shows whether any is still running.
    """
    with open(folder / "server.lock", "ab") as own, open(folder / "commands.lock", "ab") as commands:
        if not lock_file(own.fileno()):
            where = ""
            with contextlib.suppress(OSError, ValueError, KeyError):
                where = f" at {json.loads((folder / 'address').read_bytes())['address']}"
            raise UsageError(
                f"{folder}: another vsr serve works on this queue{where}; open that one, or end it first"
            )
        yield commands.fileno()


def _wait_for_commands(lock: int, say: Callable[[str], None]) -> None:
    """Wait for commands of a server that was killed: two must not work on one job.

    They end by themselves.
    """
    began = time.monotonic()
    is_said = False
    while not lock_file(lock):
        if time.monotonic() - began > _WAIT_SECONDS:
            raise UsageError(
                "a command of an earlier server still runs and does not end; end it first (ps shows"
                " vsr.server.child)"
            )
        if not is_said and time.monotonic() - began > 1:
            say("waiting for a command of an earlier server to end")
            is_said = True
        time.sleep(0.05)


class _Protocol(H11Protocol):
    """HTTP/1.1 with a time limit for the header of a request."""

    _head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._stop_waiting()
        elif (self.cycle is None or self.cycle.response_complete) and self._head is None:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        self._head = self.loop.call_later(_HEADER_SECONDS, self.abort)

    def _stop_waiting(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def abort(self) -> None:
        """Close the connection, whatever is still to be sent."""
        if self.transport is not None:
            self.transport.abort()


class _Server(uvicorn.Server):
    """A uvicorn server that waits for running jobs before it ends."""

    def __init__(
        self, services: Services, access: Access, bound: socket.socket, say: Callable[[str], None]
    ) -> None:
        self._services, self._bound, self._say = services, bound, say
        access.abort = self._abort
        super().__init__(
            uvicorn.Config(
                make_app(services, access),
                http=_Protocol,
                ws="none",
                loop="asyncio",
                lifespan="on",
                log_config=None,
                log_level="error",
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                limit_concurrency=_MOST_CONNECTIONS,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=1,
                h11_max_incomplete_event_size=_LARGEST_HEAD,
            )
        )
        self._signals = 0
        self._on_ready: Callable[[], None] = lambda: None

    def run(self, on_ready: Callable[[], None]) -> None:  # type: ignore[override]
        """Serve until a signal arrives, then wait for the jobs.

        on_ready: called when the server accepts requests.
        """
        self._on_ready = on_ready
        before = {
            number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            asyncio.run(self.serve(sockets=[self._bound]))
            self._services.scheduler.close(at_once=self._signals > 1)
            while not self._services.scheduler.wait(0.2):
                pass
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and report it."""
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Keep our own signal handlers, until the jobs have ended."""
        yield

    def _on_signal(self, number: int, frame: Any) -> None:
        del number, frame
        self._signals += 1
        self.should_exit = True
        self._services.events.close()
        if self._signals == 1:
            self._say(
                "stopping, after the chunks under way if there are any; press again to stop immediately"
            )
        else:
            self._services.scheduler.close(at_once=True)

    def _abort(self, client: Any) -> None:
        for connection in list(self.server_state.connections):
            if (
                isinstance(connection, _Protocol)
                and connection.client is not None
                and tuple(connection.client) == tuple(client or ())
            ):
                connection.abort()
