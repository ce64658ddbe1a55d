"""The command that deletes work directories of interrupted runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vsr.cli.option_types import FilePath
from vsr.cli.terminal import echo
from vsr.views.text import size_text

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["clean", "work_folders"]


@click.command()
@click.argument("folders", nargs=-1, type=FilePath(), metavar="[FOLDER...]")
@click.option("--yes", is_flag=True, help="Delete without asking.")
def clean(folders: tuple[Path, ...], yes: bool) -> None:
    """Delete work directories of interrupted runs, which then can't be resumed.

    Example: vsr clean ~/videos --yes
    """
    from models.errors import UsageError, VsrError
    from pipelines.output.journal import Journal

    for place in folders:
        if not place.is_dir():
            raise UsageError(f"{place}: is not a folder; expected the one that results go to")
    found = []
    for folder, size in (work for place in folders or (Path(),) for work in work_folders(place)):
        if _is_in_use(folder):
            echo(f"{folder}: another run is writing this output; not deleted")
            continue
        echo(f"{folder}  {size_text(size)}")
        found.append((folder, size))
    if not found:
        echo("nothing to delete")
        return
    if not (yes or _confirmed(f"Delete {len(found)} work director{'y' if len(found) == 1 else 'ies'}?")):
        echo("nothing deleted")
        return
    freed = 0
    for folder, size in found:
        try:
            Journal(folder).remove()
        except VsrError as error:  # meanwhile used by a run, or a link, or not writable
            echo(f"{str(error).partition(';')[0]}; not deleted")
            continue
        freed += size
        if folder.exists():
            echo(f"{folder}: contains files that vsr did not create; these were not deleted")
    echo(f"{size_text(freed)} freed")


def _confirmed(question: str) -> bool:
    """Ask the user; raises UsageError without an answer, such as at the end of standard input."""
    from models.errors import UsageError

    try:
        return click.confirm(question)
    except click.Abort as error:
        raise UsageError("nothing deleted; --yes deletes without asking") from error


def _is_in_use(folder: Path) -> bool:
    """Whether a run holds the lock of a work directory."""
    from models.errors import VsrError
    from pipelines.output.journal import Journal, OutputInUseError

    try:
        Journal(folder).close()
    except OutputInUseError:
        return True
    except VsrError:  # deleting it reports the cause
        return False
    return False


def work_folders(place: Path) -> Iterator[tuple[Path, int]]:
    """Find work directories below a folder: (work directory, bytes) for each."""
    for folder in sorted(place.rglob(".*.vsr-work")):
        if folder.is_dir() and not folder.is_symlink():
            yield folder, sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
