"""Types of option values: paths, numbers within bounds, codecs."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import click

__all__ = ["Amount", "CodecName", "Factor", "FilePath", "FiniteRange", "PathOrUrl", "RestorationLevel"]


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
        """Convert an alias, such as `x265`, to our name, `hevc`."""
        from pipelines.settings.run_settings import CODEC_ALIASES

        return super().convert(CODEC_ALIASES.get(str(value).lower(), value), param, ctx)


class Factor(click.ParamType):  # type: ignore[type-arg]
    """An integer factor; `2x`, `x2`, `2.0` and `200%` mean 2."""

    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Convert text, such as `2x`, to an integer."""
        text = str(value).strip().lower()
        try:
            factor = float(text[:-1]) / 100 if text.endswith("%") else float(text.strip("x×"))
        except ValueError:
            factor = math.nan
        if not factor.is_integer():
            self.fail(
                f"{value!r} is not a whole number; --to takes any size, such as --to 1620x1080", param, ctx
            )
        return int(factor)


class FiniteRange(click.FloatRange):
    """A number within bounds; infinity and "nan" are refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse infinite and NaN values."""
        number = super().convert(value, param, ctx)
        return (
            number if math.isfinite(number) else self.fail(f"{value!r} is not a finite number.", param, ctx)
        )


class Amount(click.ParamType):  # type: ignore[type-arg]
    """A number, with or without its unit; the settings check its bounds."""

    name = "float"

    def __init__(self, unit: str = "", *, is_share: bool = False, is_positive: bool = False) -> None:
        """is_share: 50% means 0.5. is_positive: refuse 0, which settings treat as "not given"."""
        self._unit, self._is_share, self._is_positive = unit, is_share, is_positive

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Convert text with a unit, such as `6s` to 6.0, and `50%` to 0.5."""
        text = str(value).strip().lower()
        text, divisor = (text[:-1], 100) if self._is_share and text.endswith("%") else (text, 1)
        try:
            number = float(text.removesuffix(self._unit)) / divisor
        except ValueError:
            others = ", or of percent such as 50%" if self._is_share else ""
            self.fail(f"{value!r} is not a number; expected one such as {self._example}{others}", param, ctx)
        if self._is_positive and number == 0:
            self.fail(f"{value!r} is not more than 0", param, ctx)
        return number

    @property
    def _example(self) -> str:
        return "0.5" if self._is_share else "20"


class RestorationLevel(Amount):
    """A share of 1, or "auto"."""

    name = "auto|0..1"

    def __init__(self) -> None:
        super().__init__(is_share=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Convert a number to a float; `auto` stays."""
        return "auto" if str(value).strip().lower() == "auto" else super().convert(value, param, ctx)
