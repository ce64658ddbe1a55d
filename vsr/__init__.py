"""`vsr`: offline video super-resolution, exact to the tick.

`upscale` is the command as a function; events, settings and error classes are exported beside it. Everything else is private.

api.py       `upscale`
presets.py   the settings files that come with it

views/       events and results as text and JSON
pages/       reports as HTML pages
cli/         the command line
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vsr.api import upscale as upscale

__all__ = ["__version__", "upscale"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Lazily, so that `vsr --help` loads nothing it does not need.
    if name == "upscale":
        from vsr.api import upscale

        return upscale
    raise AttributeError(name)
