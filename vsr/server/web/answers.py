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
    """What went wrong, in one line with its remedy, and the exit code the command would have."""

    error: str
    exit_code: int


class RootEntry(BaseModel):
    """A folder with films that are shown."""

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
    made: bool = Field(description="a result of vsr")


class FilmsAnswer(BaseModel):
    """What a folder holds."""

    path: str
    folders: list[FolderEntry]
    films: list[FilmEntry]
    left_out: int = Field(description="entries beyond the limit, and those with names that are no text")


class ProbeAnswer(BaseModel):
    """What a film holds: in words, and the facts of `vsr probe --json`."""

    model_config = ConfigDict(extra="allow")

    path: str
    words: list[str]
    width: int
    height: int
    duration: float = Field(description="seconds")
    rate: float = Field(description="frames a second")
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
    scale: list[int] = Field(description="empty for any")
    description: str
    default: bool
    licence: str
    commercial: str


class PlanRequest(_Request):
    """A film and settings; measure tries the networks on a few frames, which takes a while."""

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
    bytes: int = Field(description="of the result; at most, where nothing was measured")
    disk: int | None
    free: int | None
    output: str
    command: str


class PreviewRequest(_Request):
    """Moments of a film to be shown through a network."""

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
    """A preview and how far it is."""

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
    """Where a job goes in the queue: in front of another, or to the end."""

    before: Annotated[str, Field(max_length=64)] | None = None


class ProgressAnswer(BaseModel):
    """How far a job is."""

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
    position: int | None = Field(description="0 is next; null for a job that has ended")
    created: float = Field(description="seconds since 1970")
    started: float | None
    ended: float | None
    progress: ProgressAnswer | None
    request: Literal["pause", "cancel"] | None = Field(description="what the running job is being ended for")
    notes: list[str]
    error: str | None
    exit_code: int | None
    verification: list[str]
    attempts: int


class StateAnswer(BaseModel):
    """What is being made and can be asked for again."""

    state: Literal["running"]


class FindingEntry(BaseModel):
    """One thing that `vsr doctor` looked at."""

    subject: str
    text: str
    level: Literal["ok", "advice", "problem"]
    remedy: str


class FindingsAnswer(BaseModel):
    """Whether a run works on the server."""

    works: bool
    findings: list[FindingEntry]


class ServerAnswer(BaseModel):
    """What this server offers."""

    version: str
    uploads: int | None = Field(description="largest upload in bytes; null where there are none")
    cluster: bool
    parallel: int


class UploadAnswer(BaseModel):
    """A film that was uploaded."""

    path: str
    bytes: int
