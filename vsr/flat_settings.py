"""`run_settings`: settings by flat names, on top of a file or a preset."""

from __future__ import annotations

import os
from typing import Any

from models.errors import UsageError
from pipelines.settings.run_settings import RunSettings
from pipelines.settings.settings_file import build_settings, merge, read_settings
from vsr.presets import config_file

__all__ = ["run_settings"]


_PLACES = {"to": "target.to", "scale": "target.scale", "codec": "encode.codec", "encoder": "encode.encoder",
           "preset": "encode.preset", "crf": "encode.crf", "target_size": "encode.target_size",
           "target_vmaf": "encode.target_vmaf", "pixel_format": "encode.pixel_format",
           "encoder_options": "encode.options"}  # fmt: skip
"""Flat names of settings -> their places in a settings file."""

_RATES: dict[str, Any] = {"crf": None, "target_size": "", "target_vmaf": 0.0}
"""Settings that control the bit rate, of which one can be set -> the value for unset."""


def _without_others(given: dict[str, Any]) -> dict[str, Any]:
    """The given rate setting, which replaces that of a settings file. Raises UsageError for two."""
    if len(given) > 1:
        names = " and ".join("--" + key.replace("_", "-") for key in given)
        raise UsageError(f"{names} exclude each other; give one of them")
    return {**{key: none for key, none in _RATES.items() if none is not None}, **given} if given else {}


def run_settings(config: str | os.PathLike[str] | None = None, **settings: Any) -> RunSettings:
    """Settings by flat names (`scale=2, codec="h264"`), on top of a file or a preset.

    None means not given. Raises UsageError.
    """
    if settings.get("to") is not None or settings.get("scale") is not None:
        # One of them on the command line replaces whichever the file has.
        table = {"to": settings.pop("to", None), "scale": settings.pop("scale", None)}
    else:
        table = None
        settings.pop("to", None)
        settings.pop("scale", None)
    settings |= _without_others({key: settings[key] for key in _RATES if settings.get(key) is not None})
    overrides: dict[str, Any] = {_PLACES.get(key, key): value for key, value in settings.items()}
    if table is not None:
        overrides["target"] = {k: v for k, v in table.items() if v is not None}
    if config is not None:
        return read_settings(RunSettings, config_file(os.fspath(config)), overrides)
    return build_settings(RunSettings, merge({}, overrides))
