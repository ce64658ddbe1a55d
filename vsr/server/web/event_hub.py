"""`EventHub`: server-sent events to many clients, of which none can hold up another.

A client that does not keep up misses what has been overtaken: of each job the latest state waits for it, and
nothing more.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

__all__ = ["EventHub", "EventStream"]


MOST_CLIENTS = 100
_ALIVE_SECONDS = 15.0


class EventHub:
    """Events by kind and key; `publish` may be called from any thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._clients: set[_Client] = set()
        self._is_closed = False

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin, in the loop that clients are served in."""
        self._loop = loop

    def close(self) -> None:
        """End every client's stream, and take no more clients."""
        self._is_closed = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end_all)

    def _end_all(self) -> None:
        for client in self._clients:
            client.end()

    @property
    def clients(self) -> int:
        """How many there are."""
        return len(self._clients)

    @property
    def is_full(self) -> bool:
        """Whether no more clients are taken."""
        return self._is_closed or len(self._clients) >= MOST_CLIENTS

    def publish(self, kind: str, key: str, make: Callable[[], Any]) -> None:
        """Send an event to all. key: what a later event of it overtakes.

        Make: its value, asked for once, where there is a client.
        """
        if self._loop is None or self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._spread, kind, key, make)

    def _spread(self, kind: str, key: str, make: Callable[[], Any]) -> None:
        if not self._clients:
            return
        try:
            value = make()
        except LookupError:  # gone meanwhile
            return
        line = as_event(kind, value)
        for client in self._clients:
            client.put(f"{kind} {key}", line)

    def join(self, first: bytes) -> _Client:
        """A new client, which is told that first."""
        client = _Client(first)
        self._clients.add(client)
        return client

    def leave(self, client: _Client) -> None:
        """It has gone."""
        self._clients.discard(client)


class _Client:
    def __init__(self, first: bytes) -> None:
        self._waiting: dict[str, bytes] = {"first": first}
        self._woken = asyncio.Event()
        self._woken.set()
        self.is_ended = False

    def put(self, key: str, line: bytes) -> None:
        self._waiting.pop(key, None)
        self._waiting[key] = line
        self._woken.set()

    def end(self) -> None:
        self.is_ended = True
        self._woken.set()

    async def take(self) -> bytes:
        """What has happened since; a comment where nothing has for a while."""
        try:
            async with asyncio.timeout(_ALIVE_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            return b": still here\n\n"
        self._woken.clear()
        lines = b"".join(self._waiting.values())
        self._waiting.clear()
        return lines


class EventStream(Response):
    """An answer that lasts until the client leaves."""

    def __init__(self, hub: EventHub, first: bytes) -> None:
        super().__init__()
        self._hub, self._first = hub, first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve it."""
        del scope
        headers = [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        client = self._hub.join(self._first)
        gone = asyncio.create_task(_gone(receive, client))
        try:
            while not client.is_ended:
                await send({"type": "http.response.body", "body": await client.take(), "more_body": True})
        finally:
            self._hub.leave(client)
            gone.cancel()
        await send({"type": "http.response.body", "body": b""})


async def _gone(receive: Receive, client: _Client) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    client.end()


def as_event(kind: str, value: Any) -> bytes:
    """An event as it goes over the line."""
    return f"event: {kind}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode()
