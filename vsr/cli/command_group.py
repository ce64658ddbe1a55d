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

__all__ = ["CommandGroup"]


class CommandGroup(click.Group):
    """Lists commands in order of definition; an unknown command gets the nearest one as a suggestion."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In order of definition."""
        del ctx
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Complete first sentences, which click would truncate."""
        del ctx
        rows = [
            (name, command.get_short_help_str(limit=1000))
            for name, command in self.commands.items()
            if not command.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Like click's; empty texts are refused."""
        for parameter in cmd.params:
            if isinstance(parameter.type, click.types.StringParamType):
                parameter.callback = _behind_not_empty(parameter.callback)
        super().add_command(cmd, name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Like click's; newer versions of click have the suggestion built in."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-") and not ctx.resilient_parsing:
            if "run" in self.commands and (os.path.exists(name) or "://" in name):
                ctx.fail(f"{name!r} is a file, not a command; to upscale it: vsr run {shlex.join(args)}")
            close = difflib.get_close_matches(name, self.commands, n=1)
            ctx.fail(f"No such command {name!r}." + (f" Did you mean {close[0]!r}?" if close else ""))
        return super().resolve_command(ctx, args)


def _behind_not_empty(callback: Callable[..., Any] | None) -> Callable[..., Any]:
    """A callback behind a check that no text is empty, as one of a variable that is not set.

    Only of what was typed: defaults may be.
    """

    def checked(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
        texts = value if isinstance(value, tuple) else (value,)
        typed = ctx.get_parameter_source(str(parameter.name)) is not ParameterSource.DEFAULT
        if typed and any(isinstance(text, str) and not text.strip() for text in texts):
            raise click.BadParameter("is empty; leave it out, or give a value", ctx, parameter)
        return value if callback is None else callback(ctx, parameter, value)

    return checked
