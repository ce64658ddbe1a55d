"""The README's command line reference is what `--help` says.

`python -m tests.test_docs` writes it anew.
"""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from vsr.cli import cli

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- reference: written by `python -m tests.test_docs` -->", "<!-- end of reference -->"


def commands(group: click.Group, prefix: str = "vsr") -> list[tuple[str, click.Command]]:
    """Every command with its full name, groups before what is in them."""
    found: list[tuple[str, click.Command]] = []
    for name, command in group.commands.items():
        found.append((f"{prefix} {name}", command))
        if isinstance(command, click.Group):
            found += commands(command, f"{prefix} {name}")
    return found


def reference() -> str:
    """The help of every command as Markdown."""
    parts = [BEGIN, ""]
    for name, command in commands(cli):
        context = click.Context(command, info_name=name, max_content_width=110, terminal_width=110, help_option_names=["-h", "--help"])
        parts += [f"### `{name}`", "", "```", command.get_help(context).strip(), "```", ""]
    return "\n".join([*parts, END])


def test_readme_reference_is_what_help_says():
    text = README.read_text(encoding="utf-8")
    written = text[text.index(BEGIN) : text.index(END) + len(END)]
    assert written == reference(), "run `python -m tests.test_docs` and commit README.md"


@pytest.mark.parametrize(("name", "command"), commands(cli), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_and_option_says_what_it_does(name: str, command: click.Command):
    assert command.help, f"{name} has no help"
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name != "help":
            assert parameter.help, f"{name} {parameter.opts[0]} has no help"


def test_every_command_shows_an_example():
    missing = [name for name, command in commands(cli) if "Example:" not in (command.help or "")]
    assert not missing


def test_pictures_the_readme_shows_are_there():
    for target in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README.read_text(encoding="utf-8")):
        assert (README.parent / target).is_file(), target


def main() -> None:
    """Write the reference into the README."""
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    README.write_text(before + reference() + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
