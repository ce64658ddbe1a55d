"""`CommandGroup`: commands listed in a given order, with suggestions for misspelt ones."""

from __future__ import annotations

import difflib
import os
import shlex

import click

__all__ = ["CommandGroup", "not_empty"]


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


def not_empty(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse an empty text, as of a variable that is not set, where it would mean no value."""
    if value is not None and not value.strip():
        raise click.BadParameter("is empty", ctx, parameter)
    return value
