"""`echo`: prints text on standard output or standard error, without terminal control sequences."""

from __future__ import annotations

import click

from vsr.views.text import printable

__all__ = ["echo"]


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print lines of text. Names and tags in them are untrusted input."""
    click.echo("\n".join(map(printable, text.split("\n"))), err=err, nl=nl)
