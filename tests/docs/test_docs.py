"""Checks that the command line reference, docs/reference.md, matches `--help`.

`python -m tests.docs.test_docs` regenerates it.
"""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from vsr.cli.main import cli

README = Path(__file__).parents[2] / "README.md"
REFERENCE = README.parent / "docs" / "reference.md"
HEAD = """# Command line

What `--help` says, of every command; written by `python -m tests.docs.test_docs`. Your shell completes commands, options, presets and names of
networks after one of these, best kept in its startup file:

```
eval "$(_VSR_COMPLETE=bash_source vsr)"                # bash: ~/.bashrc
eval "$(_VSR_COMPLETE=zsh_source vsr)"                 # zsh: ~/.zshrc
_VSR_COMPLETE=fish_source vsr | source                 # fish: ~/.config/fish/completions/vsr.fish
```
"""


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
    parts = [HEAD]
    for name, command in commands(cli):
        context = click.Context(
            command,
            info_name=name,
            max_content_width=110,
            terminal_width=110,
            help_option_names=["-h", "--help"],
        )
        command._help_option = None  # click keeps the one that it made first, in another context perhaps
        parts += [f"## {name}", "", "```", command.get_help(context).strip(), "```", ""]
    return "\n".join(parts)


def test_the_reference_is_what_help_says():
    assert REFERENCE.read_text(encoding="utf-8") == reference(), (
        "run `python -m tests.docs.test_docs` and commit docs/reference.md"
    )


@pytest.mark.parametrize(
    ("name", "command"), commands(cli), ids=lambda value: value if isinstance(value, str) else ""
)
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


@pytest.mark.parametrize("page", [README, *sorted(REFERENCE.parent.glob("*.md"))], ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page: Path):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def main() -> None:
    """Write the reference."""
    REFERENCE.write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
