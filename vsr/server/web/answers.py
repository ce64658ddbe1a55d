"""Requests and answers of the HTTP interface, as pydantic models: what `/openapi.json` describes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from vsr.server.settings_form import SettingsForm

__all__ = [
    "ErrorAnswer",
    "FilmEntry",
    "FilmsAnswer",
    "FindingsAnswer",
    "FolderEntry",
    "JobAnswer",
    "JobRequest",
    "JobState",
    "MoveRequest",
    "NetworkEntry",
    "PlanAnswer",
    "PlanRequest",
    "PresetEntry",
    "PreviewAnswer",
    "PreviewRequest",
    "ProbeAnswer",
    "ProgressAnswer",
    "RootEntry",
    "ServerAnswer",
    "StateAnswer",
    "UploadAnswer",
]


JobState = Literal["queued", "running", "paused", "finished", "failed", "cancelled"]
_FilmPath = Annotated[
    str, Field(max_length=4096, description="ROOT/relative/path of a film", examples=["films/a.mp4"])
]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class ErrorAnswer(BaseModel):
    """An error in one line, with its remedy, and the exit code that the command would have."""

    error: str
    exit_code: int


class RootEntry(BaseModel):
    """A root folder of the server."""

    name: str


class FolderEntry(BaseModel):
    """A folder below a root."""

    name: str
    path: str


class FilmEntry(BaseModel):
    """A film in a folder."""

    name: str
    path: str
    bytes: int
    modified: float = Field(description="seconds since 1970")
    made: bool = Field(description="whether it is an output of vsr")


class FilmsAnswer(BaseModel):
    """The contents of a folder."""

    path: str
    folders: list[FolderEntry]
    films: list[FilmEntry]
    left_out: int = Field(
        description="number of entries beyond the limit, or with names that are not valid text"
    )


class ProbeAnswer(BaseModel):
    """Facts about a film, as text and as in `vsr probe --json`."""

    model_config = ConfigDict(extra="allow")

    path: str
    words: list[str]
    width: int
    height: int
    duration: float = Field(description="seconds")
    rate: float = Field(description="frames per second")
    frames: int


class PresetEntry(BaseModel):
    """A settings file that comes with vsr."""

    name: str
    description: str
    cost: str


class NetworkEntry(BaseModel):
    """A family of networks."""

    name: str
    purpose: str
    scale: list[int] = Field(description="empty if any scale is possible")
    description: str
    default: bool
    licence: str
    commercial: str


class PlanRequest(_Request):
    """A film and settings; `measure` tries the networks on a few frames, which takes some time."""

    path: _FilmPath
    settings: SettingsForm = SettingsForm()
    measure: bool = False


class PlanAnswer(BaseModel):
    """What a run would do."""

    lines: list[str]
    network: str
    reason: str
    width: int
    height: int
    frames: int
    seconds: float | None
    fps: float | None
    bytes: int = Field(description="size of the output; an upper bound without `measure`")
    disk: int | None
    free: int | None
    output: str
    command: str


class PreviewRequest(_Request):
    """Times of a film at which to show sample frames, and the network."""

    path: _FilmPath
    settings: SettingsForm = SettingsForm()
    moments: list[Annotated[float, Field(ge=0, le=1e6)]] = Field(
        min_length=1, max_length=8, description="seconds from the first frame"
    )


class PreviewMomentEntry(BaseModel):
    """One sample: URLs of two PNG files of the same size, before and after upscaling."""

    at: float
    before: str
    after: str


class PreviewAnswer(BaseModel):
    """A preview and its progress."""

    id: str
    state: Literal["queued", "running", "done", "failed"]
    path: str
    error: str | None
    exit_code: int | None
    moments: list[PreviewMomentEntry]
    models: list[dict[str, Any]]


class JobRequest(_Request):
    """A film to be upscaled, and how."""

    path: _FilmPath
    settings: SettingsForm = SettingsForm()


class MoveRequest(_Request):
    """The new place of a job in the queue: in front of another one, or at the end."""

    before: Annotated[str, Field(max_length=64)] | None = None


class ProgressAnswer(BaseModel):
    """The progress of a job."""

    done: int = Field(description="frames")
    frames: int
    fps: float
    bottleneck: str
    seconds_left: float | None
    phase: str
    chunks_done: int
    chunks: int


class JobAnswer(BaseModel):
    """A job of the queue."""

    id: str
    state: JobState
    path: str
    output: str | None
    settings: dict[str, Any]
    position: int | None = Field(description="0 runs next; null for a job that has ended")
    created: float = Field(description="seconds since 1970")
    started: float | None
    ended: float | None
    progress: ProgressAnswer | None
    request: Literal["pause", "cancel"] | None = Field(description="why the running job is being stopped")
    notes: list[str]
    error: str | None
    exit_code: int | None
    verification: list[str]
    attempts: int


class StateAnswer(BaseModel):
    """A result that is still being made; request it again later."""

    state: Literal["running"]


class FindingEntry(BaseModel):
    """The result of one check of `vsr doctor`."""

    subject: str
    text: str
    level: Literal["ok", "advice", "problem"]
    remedy: str


class FindingsAnswer(BaseModel):
    """Whether a run works on the server."""

    works: bool
    findings: list[FindingEntry]


class ServerAnswer(BaseModel):
    """Version and capabilities of this server."""

    version: str
    uploads: int | None = Field(description="largest upload in bytes; null if uploads are off")
    cluster: bool
    parallel: int


class UploadAnswer(BaseModel):
    """A film that was uploaded."""

    path: str
    bytes: int
