"""`EventHub`: server-sent events to many clients, none of which can delay another.

A client that is too slow misses outdated events: for each job only the latest state is queued.
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
        """Start, in the event loop of the clients."""
        self._loop = loop

    def close(self) -> None:
        """End every client's stream, and accept no more clients."""
        self._is_closed = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end_all)

    def _end_all(self) -> None:
        for client in self._clients:
            client.end()

    @property
    def clients(self) -> int:
        """Number of clients."""
        return len(self._clients)

    @property
    def is_full(self) -> bool:
        """Whether the maximum number of clients is reached."""
        return self._is_closed or len(self._clients) >= MOST_CLIENTS

    def publish(self, kind: str, key: str, make: Callable[[], Any]) -> None:
        """Send an event to all clients.

        key: a later event with the same key replaces it. make: returns its value; called once, if there is a
        client.
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
        """A new client, with its first event."""
        client = _Client(first)
        self._clients.add(client)
        return client

    def leave(self, client: _Client) -> None:
        """Remove a client that has left."""
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
        """The events since the last call; a comment after a while without events."""
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
    """A response that lasts until the client leaves."""

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
    """An event in the wire format."""
    return f"event: {kind}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode()
