"""`AccessControl`: authentication, and limits on the size and duration of requests.

It runs before everything else.

It refuses requests without the token (401), for another host or from another site's page (403: DNS rebinding
and cross-site requests), bodies that are too large (413), and clients that send or receive too slowly.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import socket
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["COOKIE", "POLICY", "Access", "AccessControl", "host_names"]


COOKIE = "vsr_token"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self';"
    " connect-src 'self'; form-action 'self'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_LARGEST_BODY = 64 << 10
_LONGEST_QUERY = 16 << 10
_UPLOADS = "/api/v1/uploads"
_OPEN = frozenset({"/healthz"})
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass
class Access:
    """Settings of `AccessControl`: token, accepted host names, limits on size and time of requests."""

    token: str
    local_only: bool = True
    """Whether the server listens on a loopback address only."""
    names: frozenset[str] = frozenset()
    """Host names of the server, besides IP addresses."""
    upload_bytes: int | None = None
    body_seconds: float = 30.0
    """Time limit for a whole body; for uploads, for each part."""
    send_seconds: float = 60.0
    """Time limit for a client to receive a part of a response."""
    abort: Callable[[Any], None] = field(default=lambda _: None)
    """Ends the connection of a client, by its address."""

    def is_token(self, given: str) -> bool:
        """Whether `given` equals the token, compared in constant time."""
        return hmac.compare_digest(given.encode(errors="replace"), self.token.encode())

    def is_our_host(self, header: str) -> bool:
        """Whether a Host header names this server: by an IP address, or by one of its names.

        An attacker can't make an IP address point elsewhere, unlike a name.
        """
        name = _host_name(header)
        if self.local_only:
            return name in _LOCAL_NAMES
        return name in _LOCAL_NAMES or name in self.names or _is_address(name)


class _Refused(Exception):  # noqa: N818 - an answer
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class AccessControl:
    """ASGI middleware that refuses requests without the token, from other sites, or above the limits."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        guarded = _Guarded(self._access, scope, receive, send)
        try:
            cookie = self._check(scope)
            if cookie:
                await _answer(guarded.send, 303, b"", [(b"location", b"/"), (b"set-cookie", self._cookie())])
                return
            await self._app(scope, guarded.receive, guarded.send)
            guarded.raise_refusal()
        except _Refused as refused:
            guarded.refusal = None
            if not guarded.is_begun:
                await _refuse(guarded.send, scope, refused)
        except TimeoutError:
            if not guarded.is_late:
                raise
            self._access.abort(scope.get("client"))

    def _check(self, scope: Scope) -> bool:
        """Whether the request has the token that becomes a cookie. Raises _Refused."""
        headers = _headers(scope)
        if not self._access.is_our_host(headers.get("host", "")):
            raise _Refused(
                403, "the Host header names another server; open the address that vsr serve printed"
            )
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != headers["host"]:
            raise _Refused(403, "the request comes from another site's page")
        if headers.get("sec-fetch-site", "none") in {"cross-site", "same-site"} and scope["method"] != "GET":
            raise _Refused(403, "the request comes from another site's page")
        if len(scope["query_string"]) > _LONGEST_QUERY:
            raise _Refused(413, "the address is too long")
        if scope["path"] in _OPEN:
            return False
        given = (
            parse_qs(scope["query_string"].decode("latin-1")).get("token", []) if scope["path"] == "/" else []
        )
        if given and self._access.is_token(given[-1]):
            return True
        if given or not self._has_token(headers):
            raise _Refused(
                401,
                (
                    "no valid token; open the address that vsr serve printed, or send Authorization:"
                    " Bearer TOKEN"
                ),
            )
        self._check_length(scope, headers)
        return False

    def _check_length(self, scope: Scope, headers: dict[str, str]) -> None:
        text = headers.get("content-length", "0")
        if not (text.isdecimal() and len(text) < 20) or int(text) > _most_bytes(self._access, scope):
            raise _Refused(413, "the request's body is too large")

    def _has_token(self, headers: dict[str, str]) -> bool:
        kind, _, token = headers.get("authorization", "").partition(" ")
        if token:
            return kind.lower() == "bearer" and self._access.is_token(token.strip())
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and self._access.is_token(cookie.value)

    def _cookie(self) -> bytes:
        return f"{COOKIE}={self._access.token}; HttpOnly; SameSite=Strict; Path=/; Max-Age=31536000".encode()


class _Guarded:
    """Receives and sends for the application, with limits on bytes and time."""

    def __init__(self, access: Access, scope: Scope, receive: Receive, send: Send) -> None:
        self._access, self._receive, self._send = access, receive, send
        self._is_upload = scope["path"] == _UPLOADS
        self._left = _most_bytes(access, scope)
        self._body_ends = asyncio.get_running_loop().time() + access.body_seconds
        self._is_read = False
        self.is_begun = self.is_late = False
        self.refusal: _Refused | None = None
        """Why the body was refused; it overrides the response of the application."""

    async def receive(self) -> Message:
        """The next part of the body."""
        if self._is_read:
            return await self._receive()  # for the disconnection
        now = asyncio.get_running_loop().time()
        seconds = self._access.body_seconds if self._is_upload else self._body_ends - now
        try:
            async with asyncio.timeout(seconds):
                message = await self._receive()
        except TimeoutError:
            self.refusal = _Refused(408, "the request's body comes too slowly")
        self.raise_refusal()
        self._is_read = not message.get("more_body", False)
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            self.refusal = _Refused(413, "the request's body is too large")
        self.raise_refusal()
        return message

    def raise_refusal(self) -> None:
        """Raise _Refused if the body was refused."""
        if self.refusal is not None:
            raise self.refusal

    async def send(self, message: Message) -> None:
        """Send a part of the response, with the headers that every response has."""
        if self.refusal is not None and not self.is_begun:
            return
        if message["type"] == "http.response.start":
            self.is_begun = True
            _add_headers(message)
        try:
            async with asyncio.timeout(self._access.send_seconds):
                await self._send(message)
        except TimeoutError:
            self.is_late = True
            raise


def _most_bytes(access: Access, scope: Scope) -> int:
    return (access.upload_bytes or 0) if scope["path"] == _UPLOADS else _LARGEST_BODY


def _add_headers(message: MutableMapping[str, Any]) -> None:
    """Add headers that restrict what a browser may do with a response.

    Headers of the response itself stay.
    """
    headers = list(message.get("headers", []))
    given = {name.lower() for name, _ in headers}
    for name, value in (
        (b"content-security-policy", POLICY.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"cache-control", b"no-store"),
    ):
        if name not in given:
            headers.append((name, value))
    message["headers"] = headers


async def _refuse(send: Send, scope: Scope, refused: _Refused) -> None:
    headers = [(b"connection", b"close")] if refused.status in {408, 413} else []
    if refused.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if scope["path"] == "/":
        body = (
            f"<!doctype html><html lang=en><meta charset=utf-8><title>vsr</title><p>{refused.text}</p></html>"
        ).encode()
        await _answer(send, refused.status, body, [*headers, (b"content-type", b"text/html; charset=utf-8")])
        return
    body = json.dumps({"error": refused.text, "exit_code": 2}).encode()
    await _answer(send, refused.status, body, [*headers, (b"content-type", b"application/json")])


async def _answer(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _headers(scope: Scope) -> dict[str, str]:
    """Headers by name; the first one of a name, and no Host if there are two."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        if key == "host" and key in found:
            found[key] = ""
        found.setdefault(key, value.decode("latin-1"))
    return found


def _host_name(header: str) -> str:
    """`[::1]:8787` -> `::1`; empty for an invalid one."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    name, _, port = header.partition(":")
    return name.lower() if not port or port.isdecimal() else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def host_names() -> frozenset[str]:
    """Names of this machine."""
    name = socket.gethostname().lower()
    return frozenset({name, name.partition(".")[0], f"{name.partition('.')[0]}.local"} - {""})
