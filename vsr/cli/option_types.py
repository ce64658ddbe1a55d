"""Types of option values: paths, numbers within bounds, codecs."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import click

__all__ = ["CodecName", "Factor", "FilePath", "FiniteRange", "PathOrUrl", "RestorationLevel"]


class FilePath(click.Path):
    """A path of a file that may or may not exist."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse impossible names, paths that can't be accessed, and URLs."""
        from pipelines.plan.output_names import refuse_unreachable
        from pipelines.storage.object_store import refuse_url

        if not os.fspath(value).strip():
            self.fail("is empty; leave it out, or name a file or folder", param, ctx)
        refuse_url(value)
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        refuse_unreachable(path)
        return path


class PathOrUrl(FilePath):
    """A path, or a URL."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """URLs are kept as text: a path would merge their slashes."""
        from pipelines.storage.object_store import Url, is_url

        return Url(value) if isinstance(value, str) and is_url(value) else super().convert(value, param, ctx)


class CodecName(click.Choice):  # type: ignore[type-arg]
    """A codec by our name or an alias."""

    def __init__(self) -> None:
        super().__init__(["hevc", "h264", "av1", "prores", "ffv1"], case_sensitive=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """`x265` -> `hevc`."""
        from pipelines.settings.run_settings import CODEC_ALIASES

        return super().convert(CODEC_ALIASES.get(str(value).lower(), value), param, ctx)


class Factor(click.ParamType):  # type: ignore[type-arg]
    """An integer factor; `2x` and `x2` mean 2."""

    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """`2x` -> 2."""
        try:
            return int(value.strip().lower().strip("x") if isinstance(value, str) else value)
        except ValueError:
            self.fail(
                f"{value!r} is not a whole number; --to takes any size, such as --to 1620x1080", param, ctx
            )


class FiniteRange(click.FloatRange):
    """A number within bounds; infinity and "nan" are refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse infinite and NaN values."""
        number = super().convert(value, param, ctx)
        return (
            number if math.isfinite(number) else self.fail(f"{value!r} is not a finite number.", param, ctx)
        )


class RestorationLevel(click.ParamType):  # type: ignore[type-arg]
    """A number, or "auto"."""

    name = "auto|0..1"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A number as a float."""
        if value == "auto" or isinstance(value, float):
            return value
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is not a level; expected auto, or 0 to 1", param, ctx)
