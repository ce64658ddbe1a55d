"""`vsr`: offline video super-resolution, exact to the tick.

cli.py             the command line, and the one place where an error becomes an exit code
cli_run.py         the commands that upscale, and say what they would do
cli_options.py     what shapes a result, on the command line
pace.py            how fast work goes of late
bars.py            a bar on a terminal, lines elsewhere
progress.py        events drawn as a bar, or as JSON lines
summary.py         what became of each video of a batch
bench_view.py      what was measured, for people
page.py            what pages share: a document that fetches nothing, the slider
chart.py           figures over time, and how often
preview_page.py    what was tried, as a page that opens from disk
compare_page.py    what was measured of results, the same
presets.py         the settings files that come with it
blind_page.py      a blind test, and what was said in it
api.py             `upscale`, the same as a function
signals.py         SIGINT and SIGTERM as a request to stop
cli_preview.py     the command that shows what networks would make
cli_compare.py     the one that measures what was made, or lets people judge
cli_machine.py     the version, and the command that looks at this machine
cli_training.py    the commands of the training stage
training_view.py   its events drawn, or as JSON lines
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
