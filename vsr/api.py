"""`upscale`: `vsr run` as a function that yields events."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.diagnostics.dependencies import refuse_known_holes
from pipelines.plan.events import Event
from pipelines.run.job import upscale_video
from vsr.flat_settings import run_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["run_settings", "upscale"]


def upscale(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    fresh: bool = False,
    **settings: Any,
) -> Iterator[Event]:
    """Upscale one video or image, and yield events; resumes an earlier call that was interrupted.

    Libraries with known vulnerabilities are refused (FFmpeg, UsageError) or cause a Python warning.

    source, output: paths; without `output`, the result is put next to the source. settings: those of `vsr
    run`, by name (`to="4k"`, `model="fast"`, `codec="h264"`, `crf=18`, `config=...`). Raises the errors of
    `models.errors`.

        >>> for event in upscale("film.mp4", to="4k"):  # doctest: +SKIP
        ...     print(event)
    """
    for said in refuse_known_holes():
        warnings.warn(said, stacklevel=2)
    return upscale_video(
        Path(source),
        Path(output) if output is not None else None,
        run_settings(**settings),
        overwrite=overwrite,
        fresh=fresh,
    )
