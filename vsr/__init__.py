"""`vsr`: offline video super-resolution, exact to the tick.

`upscale` is `vsr run` as a function; its events, settings and errors are exported, too. Everything else is
private.

api.py            `upscale`
flat_settings.py  settings by flat names
presets.py        the settings files that come with vsr

views/       events and results as text and JSON
pages/       reports as HTML pages
server/      `vsr serve`: queue, HTTP interface and page
cli/         the command line
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.errors import (
        CorruptError as CorruptError,
    )
    from models.errors import (
        Interrupted as Interrupted,
    )
    from models.errors import (
        MediaError as MediaError,
    )
    from models.errors import (
        NoMemoryError as NoMemoryError,
    )
    from models.errors import (
        NothingToDoError as NothingToDoError,
    )
    from models.errors import (
        OutputError as OutputError,
    )
    from models.errors import (
        ResourceError as ResourceError,
    )
    from models.errors import (
        UsageError as UsageError,
    )
    from models.errors import (
        VerificationError as VerificationError,
    )
    from models.errors import (
        VsrError as VsrError,
    )
    from pipelines.plan.events import (
        Advanced as Advanced,
    )
    from pipelines.plan.events import (
        AlreadyDone as AlreadyDone,
    )
    from pipelines.plan.events import (
        ChunkFinished as ChunkFinished,
    )
    from pipelines.plan.events import (
        Event as Event,
    )
    from pipelines.plan.events import (
        Finished as Finished,
    )
    from pipelines.plan.events import (
        Note as Note,
    )
    from pipelines.plan.events import (
        Phase as Phase,
    )
    from pipelines.plan.events import (
        Planned as Planned,
    )
    from pipelines.settings.run_settings import EncodeSettings as EncodeSettings
    from pipelines.settings.run_settings import RunSettings as RunSettings
    from pipelines.settings.run_settings import TargetSettings as TargetSettings
    from vsr.api import run_settings as run_settings
    from vsr.api import upscale as upscale

__version__ = "0.2.0"

_HOMES = {
    "vsr.api": ("run_settings", "upscale"),
    "pipelines.plan.events": ("Advanced", "AlreadyDone", "ChunkFinished", "Event", "Finished", "Note",
    "Phase", "Planned"),
    "pipelines.settings.run_settings": ("EncodeSettings", "RunSettings", "TargetSettings"),
    "models.errors": (
        "CorruptError", "Interrupted", "MediaError", "NoMemoryError", "NothingToDoError", "OutputError",
        "ResourceError", "UsageError", "VerificationError", "VsrError",
    ),
}  # fmt: skip
"""Module -> exported names; imported on first use, so that `vsr --help` stays fast."""

__all__ = [  # noqa: PLE0604 - names, all of them
    "__version__",
    *(name for names in _HOMES.values() for name in names),
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'vsr' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
