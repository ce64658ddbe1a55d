"""Outputs are written only where files can be.

No file name is read as an option, and no empty text as a name.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from models.errors import OutputError, UsageError
from pipelines.diagnostics.preview import make_folder
from pipelines.run.inputs import find_inputs
from pipelines.settings.run_settings import RunSettings
from pipelines.storage.atomic_file import not_made
from tests import media
from tests.helpers.command import COPIED_AS_FFV1
from vsr.cli.main import cli

IDENTITY = (*COPIED_AS_FFV1, "--device", "cpu")


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return media.cfr(tmp_path / "film.mp4", frames=3)


# --- places


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a system without /proc")
@pytest.mark.parametrize("place", ["/proc/x.mkv", "/proc/self/x.mkv", "/proc/none/x.mkv"])
def test_a_place_where_no_file_can_be_made_is_wrong_usage(here, film: Path, place: str) -> None:
    here("run", film, "-o", place, *IDENTITY).refused(2, place.removesuffix("/x.mkv"), "-o")


def test_a_link_that_leads_nowhere_or_to_itself_is_no_folder_for_results(
    here, film: Path, tmp_path: Path
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "gone").symlink_to(tmp_path / "none" / "there")
    for name in ("loop", "gone", "loop/x.mkv"):
        here("run", film, "-o", tmp_path / name, *IDENTITY).refused(2, name.partition("/")[0])
    with pytest.raises(UsageError, match="can't be made: File exists; choose another -o"):
        make_folder(tmp_path / "loop")
    with pytest.raises(UsageError, match="can't be made: File exists; choose another -o"):
        find_inputs([film], tmp_path / "gone")


def test_pipes_devices_and_sockets_are_never_replaced_by_a_file(here, film: Path, tmp_path: Path) -> None:
    pipe, link, plug = tmp_path / "pipe.mkv", tmp_path / "link.mkv", tmp_path / "plug.mkv"
    os.mkfifo(pipe)
    link.symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(plug))
    for place, kind in ((pipe, "a pipe"), (link, "a device"), (plug, "a socket"), ("/dev/null", "a device")):
        for command in (("plan",), ("run",), ("run", "--overwrite"), ("run", "--fresh")):
            here(*command, film, "-o", place, *IDENTITY).refused(2, f"is {kind}; an output is a file")
    here("run", film, "--summary", pipe, *IDENTITY).refused(2, "is a pipe")
    assert pipe.is_fifo()
    assert link.is_symlink()
    assert plug.is_socket()


def test_the_usual_name_of_a_result_may_be_taken_by_a_pipe(here, film: Path) -> None:
    taken = film.with_name("film.96p.mkv")
    os.mkfifo(taken)
    here("run", film, "-o", film.parent, "--scale", "2", "--model", "lanczos", "--codec", "ffv1").refused(
        2, "film.96p.mkv: is a pipe"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="folders without access are made by POSIX modes")
def test_a_folder_without_access_is_said_by_the_plan(
    here, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != locked and allowed(path, mode))
    for command in ("plan", "run"):
        here(command, film, "-o", locked / "new" / "x.mkv", *IDENTITY).refused(2, "no permission to write")


def test_a_full_or_read_only_disk_is_no_wrong_usage() -> None:
    for number, kind in ((13, UsageError), (2, UsageError), (28, OutputError), (30, OutputError)):
        assert type(not_made(Path("x"), OSError(number, os.strerror(number)))) is kind


# --- names


def test_a_file_called_like_an_option_is_answered_with_how_to_name_it(
    here, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(film.parent)
    film.rename("-x.mp4")
    here("plan", "-x.mp4").refused(2, "No such option '-x'; for the file of this name, give ./-x.mp4")
    for name in (("./-x.mp4",), ("--", "-x.mp4")):
        assert here("plan", *IDENTITY, *name).code == 0


def test_options_behind_two_dashes_are_said_to_be_names(here, film: Path) -> None:
    outcome = here("run", *IDENTITY, "--", film, "-o")
    assert outcome.code == 2
    assert "what follows -- is the name of a file: put options before it" in outcome.err


def test_two_dashes_before_the_command_change_nothing(here, film: Path) -> None:
    outcome = here("--", "probe", film.with_name("none.mp4"), "--json")
    assert outcome.code == 3
    assert outcome.event("error")["exit_code"] == 3


# --- empty texts


def _commands(group: click.Group) -> Iterator[click.Command]:
    for command in group.commands.values():
        yield command
        if isinstance(command, click.Group):
            yield from _commands(command)


def test_no_option_and_no_name_may_be_empty() -> None:
    tried = 0
    for command in _commands(cli):
        given = [
            "x"
            for p in command.params
            if isinstance(p, click.Argument) and p.required
            for _ in range(abs(p.nargs))
        ]
        for option in command.params:
            if isinstance(option, click.Option) and not (option.is_flag or option.count):
                for text in ("", "  "):
                    with pytest.raises(click.ClickException):
                        command.make_context(command.name, [*given, option.opts[-1], text])
                tried += 1
        if given:
            with pytest.raises(click.ClickException):
                command.make_context(command.name, ["" for _ in given])
    assert tried > 100


def test_an_empty_name_is_not_the_folder_one_stands_in(
    here, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(film.parent)
    here("run", "", *IDENTITY).refused(2, "is empty; leave it out, or name a file or folder")
    here("run", film, "-o", "", *IDENTITY).refused(2, "is empty")
    assert [p.name for p in film.parent.iterdir()] == [film.name]


def test_prefilters_are_taken_back_by_none_and_nothing_else() -> None:
    assert RunSettings(prefilter="none").prefilters == ()
    for text in (",", " , ", "none,denoise"):
        with pytest.raises(UsageError, match="--prefilter"):
            RunSettings(prefilter=text)
