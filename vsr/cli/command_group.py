"""`CommandGroup`: commands listed in a given order, with suggestions for misspelt ones."""

from __future__ import annotations

import difflib
import os
import shlex
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["CommandGroup", "remedy_for"]


class CommandGroup(click.Group):
    """Lists commands in order of definition; an unknown command gets the nearest one as a suggestion."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List commands in order of definition."""
        del ctx
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show complete first sentences, which click would truncate."""
        del ctx
        rows = [
            (name, command.get_short_help_str(limit=1000))
            for name, command in self.commands.items()
            if not command.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command as click does, but refuse empty texts of its options."""
        for parameter in cmd.params:
            if isinstance(parameter.type, click.types.StringParamType):
                parameter.callback = _behind_not_empty(parameter.callback)
        super().add_command(cmd, name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve a command as click does, with a suggestion, which newer versions of click have built in."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-") and not ctx.resilient_parsing:
            if "run" in self.commands and (os.path.exists(name) or "://" in name):
                ctx.fail(f"{name!r} is a file, not a command; to upscale it: vsr run {shlex.join(args)}")
            close = difflib.get_close_matches(name, self.commands, n=1)
            if "run" in self.commands and name.lower() in _RUN:
                close = ["run"]
            ctx.fail(f"No such command {name!r}." + (f" Did you mean {close[0]!r}?" if close else ""))
        return super().resolve_command(ctx, args)


def _behind_not_empty(callback: Callable[..., Any] | None) -> Callable[..., Any]:
    """Make a callback that first refuses empty text, such as from a shell variable that is not set.

    Only typed values are refused; defaults may be empty.
    """

    def checked(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
        texts = value if isinstance(value, tuple) else (value,)
        typed = ctx.get_parameter_source(str(parameter.name)) is not ParameterSource.DEFAULT
        if typed and any(isinstance(text, str) and not text.strip() for text in texts):
            raise click.BadParameter("is empty; leave it out, or give a value", ctx, parameter)
        return value if callback is None else callback(ctx, parameter, value)

    return checked


_RUN = {"upscale", "convert", "process", "enhance", "start", "scale", "render"}
"""What other programs call `vsr run`."""

_HABITS = {
    "--threads|--cores|--cpu|--cpus|--jobs|-j": "all cores are used without it; leave it out",
    "--memory|--ram|--vram|--max-memory|--mem": "--tile 480x272 lowers memory use, and smaller tiles more",
    "--gpu|--cuda|--gpu-id": "--device cuda names the GPU; leave it out to use one that is found",
    "--force|-f|--replace": "--overwrite replaces an existing output",
    "--resume|--continue": "the same command resumes by itself; leave it out",
    "--dry-run|--plan|-n": "vsr plan shows what vsr run would do",
    "--start|--from|--end|--until|--duration|--length|--time|-t": (
        "give --range FROM-TO, such as --range 1:30-1:45"
    ),
    "-s": "give --range for a part, such as --range 1:30-1:45, and --to for a size",
    "--size|--resolution|--width|--height|--target": "give --to, such as --to 4k or --to 2560x1440",
    "--factor|--upscale|--ratio|-x": "give --scale, such as --scale 2",
    "--fps|--framerate|--frame-rate": "the frame rate is kept; --rate sets that of numbered pictures",
    "--quality|--qp|--cq": "give --crf, such as --crf 18",
    "--bitrate|--bit-rate|--video-bitrate|-b": "give --target-size, such as 8GB, or --crf",
    "--denoise|--deblock|--deband|--dehalo": "give --prefilter, such as denoise, or --restore 0.8",
    "--network|--net|--weights": "give --model, such as --model fast",
    "--input|-i": "name the file without an option",
    "--format|--container|--ext": "the name of -o says it, such as -o film.mkv",
    "--pix-fmt|--pix_fmt|--pixfmt": "give --pixel-format, such as --pixel-format yuv420p10le",
    "--vcodec|-c": "give --codec, such as --codec h264",
    "--acodec|--audio|--no-audio|-a": "all tracks are copied; leave it out",
    "--out|--outfile|--output-file": "give -o",
}
"""Options of other programs, and what to use instead."""


def remedy_for(option: str) -> str:
    """What to use instead of another program's option; empty if it is not known."""
    name = option.partition("=")[0].lower()
    return next((said for names, said in _HABITS.items() if name in names.split("|")), "")
