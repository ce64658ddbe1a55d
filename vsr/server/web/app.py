"""`make_app`: the ASGI application of a server: access control, routes, and the page."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from anyio import to_thread
from fastapi import FastAPI
from fastapi.responses import FileResponse, JSONResponse, Response

from vsr import __version__
from vsr.server.web.access import AccessControl
from vsr.server.web.failures import NotFoundError, answer_failures
from vsr.server.web.film_routes import film_routes
from vsr.server.web.job_routes import job_routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp

    from vsr.server.services import Services
    from vsr.server.web.access import Access

__all__ = ["make_app"]


_STATIC = Path(__file__).resolve().parents[1] / "static"
_MOST_THREADS = 100
"""More threads than calls that can wait for children at a time, so that other calls find a free one."""
_SHARED = Path(__file__).resolve().parents[2] / "pages" / "assets"
"""Style and slider of all pages."""
_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".html": "text/html",
    ".png": "image/png",
    ".json": "application/json",
}


def make_app(services: Services, access: Access) -> ASGIApp:
    """The application; jobs begin and end with it."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        services.events.open(asyncio.get_running_loop())
        to_thread.current_default_thread_limiter().total_tokens = _MOST_THREADS
        services.scheduler.begin()
        yield

    app = FastAPI(
        title="vsr serve",
        version=__version__,
        docs_url=None,  # it loads scripts from another host
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        description="Upscale films on the machine of this server. Send `Authorization: Bearer TOKEN`.",
    )
    answer_failures(app, services.roots)
    app.include_router(film_routes(services), prefix="/api/v1")
    app.include_router(job_routes(services), prefix="/api/v1")
    _add_page(app)
    _describe_token(app)
    return AccessControl(app, access)


def _add_page(app: FastAPI) -> None:
    @app.get("/healthz", include_in_schema=False)
    def health() -> Response:
        return JSONResponse({"ok": True})

    @app.get("/", include_in_schema=False)
    def index() -> Response:
        return _static("index.html")

    @app.get("/favicon.ico", include_in_schema=False)
    def icon() -> Response:
        return _static("icon.svg")

    @app.get("/static/{name:path}", include_in_schema=False)
    def static(name: str) -> Response:
        return _static(name)


def _static(name: str) -> Response:
    for folder in (_STATIC, _SHARED):
        path = (folder / name).resolve() if "\0" not in name else folder
        kind = _TYPES.get(path.suffix)
        if kind is not None and path.parent == folder and path.is_file():
            return FileResponse(path, media_type=kind, headers={"cache-control": "no-cache"})
    raise NotFoundError(f"/{name}: there is no such page")


def _describe_token(app: FastAPI) -> None:
    """Say in the OpenAPI description that every call needs the token."""
    made = app.openapi

    def with_token() -> dict[str, object]:
        table = made()
        table.setdefault("components", {})["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer"}
        }
        table["security"] = [{"token": []}]
        return table

    app.openapi = with_token  # type: ignore[method-assign]
