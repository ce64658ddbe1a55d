"""Failures of a request as answers: {"error": one line with its remedy, "exit_code": the command's}."""

from __future__ import annotations

import http
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from models.errors import UsageError, VsrError
from vsr.server.jobs.job_queue import QueueFullError, UnknownJobError, WrongStateError
from vsr.server.media.side_calls import BusyError, RefusedError
from vsr.server.roots import OutsideError
from vsr.server.settings_form import unknown_setting
from vsr.server.web.answers import ErrorAnswer

if TYPE_CHECKING:
    from vsr.server.roots import Roots

__all__ = ["NotFoundError", "TakenError", "answer_failures", "responses"]


_USAGE, _DISK, _RESOURCES = 2, 5, 6
"""Exit codes."""
_WORDS = {
    400: "not understood",
    401: "no token",
    403: "wrong host or origin",
    404: "not found",
    405: "no such method",
    408: "too slow",
    409: "not possible in this state",
    413: "too large",
    422: "refused, with the command's error message",
    429: "too many requests at once",
    507: "the disk is full",
}


class NotFoundError(Exception):
    """There is nothing at that URL."""


class TakenError(Exception):
    """A file with that name exists already."""


_STATUS: dict[type[Exception], tuple[int, int]] = {
    OutsideError: (404, _USAGE),
    NotFoundError: (404, _USAGE),
    UnknownJobError: (404, _USAGE),
    TakenError: (409, _USAGE),
    WrongStateError: (409, _USAGE),
    QueueFullError: (429, _RESOURCES),
    BusyError: (429, _RESOURCES),
    UsageError: (422, _USAGE),
}
"""Kind of failure -> HTTP status, exit code."""


def responses(
    *statuses: int, picture: str = "", extra: dict[int | str, dict[str, Any]] | None = None
) -> dict[int | str, dict[str, Any]]:
    """The possible failures of a route, for its description.

    picture: the media type of a response other than JSON.
    """
    found: dict[int | str, dict[str, Any]] = {
        n: {"model": ErrorAnswer, "description": _WORDS[n]} for n in (400, 401, 403, 413, *statuses)
    }
    if picture:
        found[200] = {
            "content": {picture: {"schema": {"type": "string", "format": "binary"}}},
            "description": "a picture",
        }
    return {**found, **(extra or {})}


def answer_failures(app: FastAPI, roots: Roots) -> None:
    """Add a response for every expected failure; others are bugs, with status 500."""

    def answer(status: int, text: str, exit_code: int) -> JSONResponse:
        return JSONResponse({"error": roots.redacted(text), "exit_code": exit_code}, status)

    async def foreseen(request: Request, error: Exception) -> JSONResponse:
        del request
        status, exit_code = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), (422, 1))
        text = (
            f"{error}: there is no such job; vsr jobs lists them"
            if isinstance(error, UnknownJobError)
            else str(error)
        )
        return answer(status, text, getattr(error, "exit_code", exit_code))

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        del request
        assert isinstance(error, RequestValidationError)
        return answer(422, _first(error), _USAGE)

    async def plain(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        text = (
            f"{request.method} {request.url.path[:200]}:"
            f" {http.HTTPStatus(error.status_code).phrase.lower()}; /openapi.json lists what there is"
        )
        return JSONResponse({"error": text, "exit_code": _USAGE}, error.status_code, headers=error.headers)

    async def disk(request: Request, error: Exception) -> JSONResponse:
        del request
        assert isinstance(error, OSError)
        status = 507 if error.errno == 28 else 404 if isinstance(error, FileNotFoundError) else 422
        return answer(status, f"the disk says: {error.strerror or 'error'}; see to it and ask again", _DISK)

    for kind in (*_STATUS, VsrError, RefusedError):
        app.add_exception_handler(kind, foreseen)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, plain)
    app.add_exception_handler(OSError, disk)


def _first(error: RequestValidationError) -> str:
    """The first problem, as one line."""
    found = error.errors()[0]
    place = ".".join(str(part) for part in found["loc"] if part not in {"body", "query", "path"})
    if found["type"] == "extra_forbidden" and "settings" in found["loc"]:
        return f"{place}: {unknown_setting(str(found['loc'][-1]))}"
    return f"{place or 'body'}: {str(found['msg'])[:300].lower()}; /openapi.json says what is expected"
