"""Routes about films, the server, presets, networks, plans and previews."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from functools import cache
from pathlib import Path
from typing import IO, Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, Response

from models.errors import UsageError
from pipelines.media.file_types import VIDEO_SUFFIXES
from vsr import __version__
from vsr.presets import presets as known_presets
from vsr.server.services import Services
from vsr.server.settings_form import SettingsForm, checked
from vsr.server.web.answers import (
    FilmsAnswer,
    FindingsAnswer,
    NetworkEntry,
    PlanAnswer,
    PlanRequest,
    PresetEntry,
    PreviewAnswer,
    PreviewRequest,
    ProbeAnswer,
    RootEntry,
    ServerAnswer,
    UploadAnswer,
)
from vsr.server.web.failures import NotFoundError, TakenError, responses
from vsr.server.web.job_views import preview_table

__all__ = ["film_routes"]


_Path = Annotated[str, Query(max_length=4096, description="ROOT/relative/path", examples=["films/a.mp4"])]
_SPARE_BYTES = 1 << 30
"""Free disk space that an upload must leave."""
_LONGEST_NAME = 200


def film_routes(services: Services) -> APIRouter:
    """Routes of films, presets, networks, plans, previews and uploads."""
    routes = APIRouter()
    _about_the_machine(routes, services)
    _about_films(routes, services)
    _about_plans(routes, services)
    return routes


def _about_the_machine(routes: APIRouter, services: Services) -> None:
    @routes.get("/server", response_model=ServerAnswer, responses=responses())
    def server() -> Response:
        """Version and capabilities of this server."""
        offer = services.offer
        table = {
            "version": __version__,
            "uploads": offer.upload_bytes,
            "cluster": offer.cluster is not None,
            "parallel": offer.parallel,
        }
        return JSONResponse(table)

    @routes.get("/roots", response_model=list[RootEntry], responses=responses())
    def roots() -> Response:
        """The root folders, by name."""
        return JSONResponse([{"name": name} for name in services.roots.folders])

    @routes.get("/presets", response_model=list[PresetEntry], responses=responses())
    def presets() -> Response:
        """Presets, for `config`."""
        return JSONResponse(
            [{"name": p.name, "description": p.purpose, "cost": p.cost} for p in known_presets()]
        )

    @routes.get("/networks", response_model=list[NetworkEntry], responses=responses())
    def networks() -> Response:
        """Installed networks, for `model`."""
        return JSONResponse(_networks())

    @routes.get("/settings", response_model=dict[str, Any], responses=responses())
    def settings() -> Response:
        """JSON schema of the settings of plans, previews and jobs."""
        return JSONResponse(SettingsForm.model_json_schema())

    @routes.get("/doctor", response_model=FindingsAnswer, responses=responses(422, 429))
    def doctor() -> Response:
        """Whether a run works on this machine; takes some time, and is cached for ten minutes."""
        return JSONResponse(services.answers.findings())


def _about_films(routes: APIRouter, services: Services) -> None:
    films = services.films

    @routes.get("/files", response_model=FilmsAnswer, responses=responses(404, 422))
    def files(path: _Path) -> Response:
        """Folders and films in a folder."""
        return JSONResponse(films.listing(path))

    @routes.get("/probe", response_model=ProbeAnswer, responses=responses(404, 422, 429))
    def probe(path: _Path) -> Response:
        """Facts about a film."""
        return JSONResponse(films.probe(path))

    @routes.get(
        "/thumbnail", response_class=Response, responses=responses(404, 422, 429, picture="image/jpeg")
    )
    def thumbnail(
        path: _Path,
        at: Annotated[float, Query(ge=0, le=1e6)] = 0.0,
        width: Annotated[int, Query(ge=16, le=1920)] = 320,
    ) -> Response:
        """A frame as JPEG."""
        data = films.still(path, at, width)
        return Response(data, media_type="image/jpeg", headers={"cache-control": "private, max-age=300"})

    @routes.post(
        "/uploads", status_code=201, response_model=UploadAnswer, responses=responses(404, 409, 413, 422, 507)
    )
    async def upload(request: Request, path: _Path) -> Response:
        """Upload a film into a folder; the body is the file.

        Allowed only if the server was started with --uploads.
        """
        if services.offer.upload_bytes is None:
            raise NotFoundError("uploads are not taken here; vsr serve takes them with --uploads")
        target = await run_in_threadpool(_upload_target, services, path)
        return JSONResponse({"path": path, "bytes": await _received(request, target)}, 201)


def _upload_target(services: Services, path: str) -> Path:
    target = services.roots.resolve_new(path)
    if target.suffix.lower() not in VIDEO_SUFFIXES or len(os.fsencode(target.name)) > _LONGEST_NAME:
        raise UsageError(f"{path}: is not the name of a film; expected one such as film.mp4")
    if os.path.lexists(target):
        raise TakenError(f"{path}: already exists; choose another name")
    return target


async def _received(request: Request, target: Path) -> int:
    """Write the body next to the target and rename it when it is complete; returns its size in bytes."""
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.upload")
    count = 0
    file = await run_in_threadpool(partial.open, "xb")
    try:
        async for part in request.stream():
            count += len(part)
            await run_in_threadpool(_write, file, part, target.parent)
        await run_in_threadpool(_give_name, file, partial, target)
    except FileExistsError as error:
        raise TakenError(f"{target.name}: already exists; choose another name") from error
    finally:
        file.close()
        with contextlib.suppress(OSError):
            partial.unlink()
    return count


def _write(file: IO[bytes], part: bytes, folder: Path) -> None:
    if shutil.disk_usage(folder).free < _SPARE_BYTES + len(part):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    file.write(part)


def _give_name(file: IO[bytes], partial: Path, target: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    try:
        os.link(partial, target)  # never over another file
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS} or os.path.lexists(target):
            raise
        partial.rename(target)  # a file system without links


def _about_plans(routes: APIRouter, services: Services) -> None:
    answers = services.answers

    @routes.post("/plan", response_model=PlanAnswer, responses=responses(404, 422, 429))
    def plan(asked: PlanRequest) -> Response:
        """What a run would do."""
        return JSONResponse(answers.plan(asked.path, checked(asked.settings), measure=asked.measure))

    @routes.post(
        "/previews", status_code=202, response_model=PreviewAnswer, responses=responses(404, 422, 429)
    )
    def start_preview(asked: PreviewRequest) -> Response:
        """Start a preview: sample frames through a network, made one after another; request it by its id."""
        return JSONResponse(
            preview_table(answers.start_preview(asked.path, checked(asked.settings), asked.moments)), 202
        )

    @routes.get("/previews/{preview_id}", response_model=PreviewAnswer, responses=responses(404, 422))
    def preview(preview_id: str) -> Response:
        """A preview and its progress."""
        work = answers.preview(preview_id)
        if work is None:
            raise NotFoundError("there is no such preview any more; ask for a new one")
        return JSONResponse(preview_table(work))

    @routes.get(
        "/previews/{preview_id}/{number}/{side}",
        response_class=Response,
        responses=responses(404, 422, picture="image/png"),
    )
    def preview_picture(preview_id: str, number: int, side: str) -> Response:
        """A sample frame before or after upscaling, as PNG."""
        work = answers.preview(preview_id)
        if work is None or not 0 <= number < len(work.shown) or side not in {"before", "after"}:
            raise NotFoundError("there is no such picture; ask for the preview again")
        _, first, second = work.shown[number]
        picture = first if side == "before" else second
        if not picture.is_file():
            raise NotFoundError("there is no such picture any more; ask for a new preview")
        return FileResponse(
            picture, media_type="image/png", headers={"cache-control": "private, max-age=3600"}
        )


@cache
def _networks() -> list[dict[str, Any]]:
    from models.catalog.lookup import cards, default_model
    from models.catalog.purposes import by_purpose, description

    defaults = {default_model(), default_model(on_gpu=True)}
    return [
        {
            "name": family[0].family,
            "purpose": purpose,
            "scale": sorted({card.scale for card in family if card.scale}),
            "description": description(family[0]),
            "default": family[0].family in defaults,
            "licence": family[0].licence,
            "commercial": family[0].commercial,
        }
        for purpose, families in by_purpose(cards()).items()
        for family in families
    ]
