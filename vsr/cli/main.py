"""The command line: its group, and the one place where an error becomes an exit code."""

from __future__ import annotations

import difflib
import importlib.util
import os
import sys
import threading
from pathlib import Path
from typing import NoReturn

import click

from vsr.cli.command_group import CommandGroup, remedy_for
from vsr.cli.commands.clean import clean
from vsr.cli.commands.compare import compare
from vsr.cli.commands.evaluate import evaluate
from vsr.cli.commands.machine import bench, doctor, presets, probe, show_version
from vsr.cli.commands.models import export, models, quantize
from vsr.cli.commands.plan import plan
from vsr.cli.commands.preview import preview
from vsr.cli.commands.run import report_error, run
from vsr.cli.commands.server import jobs, serve, submit
from vsr.cli.commands.training import dataset, train
from vsr.cli.commands.watch import watch
from vsr.cli.terminal import echo

__all__ = ["cli", "main"]


@click.group(
    cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120}
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=show_version,
    help="Show the versions of vsr and of its libraries.",
)
@click.pass_context
def cli(context: click.Context) -> None:
    """Upscale video. Every frame keeps its original timestamp, and all other tracks are kept.

    \b
    vsr run film.mp4                      to 4K HEVC, next to the input
    vsr run film.mp4 --to 8k -o big.mkv
    vsr run folder/ -o results/           every video in the folder

    \b
    Exit codes: 0 done, 1 a bug in vsr, 2 wrong usage, 3 unusable input, 4 corrupt input, 5 the disk is
    full, read-only or missing, 6 out of memory, workers or devices, 7 verification failed, 8 some of several
    inputs failed, 130/143 interrupted (the same command resumes).
    """
    if context.invoked_subcommand != "doctor":
        _refuse_known_holes()


for _command in (
    run,
    watch,
    plan,
    preview,
    compare,
    serve,
    submit,
    jobs,
    presets,
    bench,
    probe,
    models,
    clean,
    doctor,
    dataset,
    train,
    evaluate,
    export,
    quantize,
):
    cli.add_command(_command)


def _own_packages() -> None:
    """Refuse to run if `models` or `pipelines` are packages of another program; the names are common."""
    home = Path(__file__).resolve().parents[2]
    for name in ("models", "pipelines"):
        spec = importlib.util.find_spec(name)
        origin = Path(spec.origin).resolve() if spec is not None and spec.origin else None
        if origin is None or origin.parent.parent != home:
            where = origin.parent if origin else "a folder without __init__.py"
            echo(
                f"vsr: the package {name!r} found is not ours but {where}; run from another folder, or rename"
                " that one",
                err=True,
            )
            sys.exit(2)


def _output_fails() -> bool:
    """Whether standard output can't be written to any more."""
    try:
        sys.stdout.write(" ")
        sys.stdout.flush()
    except OSError:
        return True
    return False


def _refuse_known_holes() -> None:
    """Refuse an FFmpeg with known vulnerabilities, through which a film could take control.

    For other libraries, which untrusted input reaches less easily, print a warning.
    """
    from models.errors import UsageError
    from pipelines.diagnostics.dependencies import refuse_known_holes

    try:
        found = refuse_known_holes()
    except UsageError as error:
        echo(f"vsr: {error}", err=True)
        sys.exit(2)
    for said in found:
        echo(f"vsr: warning: {said}", err=True)


def _loads_weights(given: list[str]) -> bool:
    """Whether the command loads possibly untrusted networks in this process, and needs no network access."""
    return given[:1] in (["evaluate"], ["export"], ["quantize"], ["dataset"]) and not any(
        a.startswith("--cluster") for a in _options(given)
    )


def _options(given: list[str]) -> list[str]:
    """Arguments that may be options; after "--" all are file names."""
    return given[: given.index("--")] if "--" in given else given


_RESUMABLE = {"run", "dataset", "watch", "serve"}
"""Commands that keep finished work, and resume it."""


def _stopped(error: BaseException, command: str) -> NoReturn:
    """End an interrupted command, which may have threads that don't end by themselves."""
    if isinstance(error.__cause__, EOFError):  # FFmpeg's, for the end of a file; click treats it as Ctrl-D
        raise error.__cause__ from None
    kept = "; finished work is kept; run the same command again to resume" if command in _RESUMABLE else ""
    echo(f"vsr: stopped{kept}", err=True)
    sys.stderr.flush()
    if threading.active_count() > 1:
        os._exit(130)
    sys.exit(130)


def _refuse(error: click.ClickException, *, as_json: bool) -> None:
    """Show wrong usage in one line, as every other error; for a command without arguments, show its help."""
    from models.errors import UsageError

    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return
    context = getattr(error, "ctx", None)
    more = f"; see `{context.command_path} --help`" if context is not None else ""
    text = " ".join(error.format_message().split()).rstrip(".")
    report_error(UsageError(text + more), as_json=as_json)


_NEARLY = 0.85
"""Least similarity of an option that is probably a typing error, as measured by `difflib`."""


_SIMILAR = 0.72
"""The same, of an option that is worth suggesting; --frames is 0.71 like --rate."""


def _with_closest(error: click.ClickException, given: list[str]) -> click.ClickException:
    """Suggest only the option closest to an unknown one; click would list all similar ones alphabetically.

    For an option that `vsr run` has and this command lacks, suggest only one that is nearly the same
    (`--models`). For a file named like an option, say how to write its name.
    """
    if isinstance(error, click.NoSuchOption):
        files = (a for a in _options(given) if a.startswith(error.option_name) and os.path.exists(a))
        for file in files:
            text = f"No such option {error.option_name!r}; for the file of this name, give ./{file}"
            return click.UsageError(text, error.ctx)
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        remedy = remedy_for(error.option_name)
        if remedy and any("--to" in parameter.opts for parameter in error.ctx.command.params):
            return click.UsageError(f"No such option {error.option_name!r}: {remedy}", error.ctx)
    possible = (error.possibilities or ()) if isinstance(error, click.NoSuchOption) else ()
    nearly = isinstance(error, click.NoSuchOption) and difflib.get_close_matches(
        error.option_name, possible, n=1, cutoff=_NEARLY
    )
    if isinstance(error, click.NoSuchOption) and error.ctx is not None and not nearly:
        root = error.ctx.find_root().command
        run = root.get_command(error.ctx, "run") if isinstance(root, click.Group) else None
        if run is not None and any(error.option_name in option.opts for option in run.params):
            text = f"No such option {error.option_name!r}: `vsr run` has it; leave it out here"
            return click.UsageError(text, error.ctx)
    if isinstance(error, click.NoSuchOption) and error.possibilities:
        closest = difflib.get_close_matches(error.option_name, error.possibilities, n=1, cutoff=_SIMILAR)
        return click.NoSuchOption(error.option_name, possibilities=closest, ctx=error.ctx)
    return error


def main(arguments: list[str] | None = None) -> None:
    """Run the command line: an expected error becomes one line and an exit code, a bug a traceback."""
    _own_packages()
    from models.errors import VsrError
    from models.sandbox import without_network

    given = sys.argv[1:] if arguments is None else arguments
    given = given[1:] if given[:1] == ["--"] else given
    if arguments is None and _loads_weights(given):  # the process is the command's own
        without_network()
    try:
        cli.main(args=given, prog_name="vsr", standalone_mode=False)
    except VsrError as error:
        report_error(error, as_json="--json" in _options(given))
        sys.exit(error.exit_code)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except SystemExit:
        # click's sign that the reader of our output has exited
        if type(sys.stdout).__name__.endswith("PacifyFlushWrapper"):
            sys.exit(141)
        raise
    except OSError as error:
        if error.filename is not None or not _output_fails():
            raise
        # otherwise the interpreter would fail again when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        echo(f"vsr: standard output can't be written to: {error.strerror}; finished work is kept", err=True)
        sys.exit(5)
    except (click.Abort, KeyboardInterrupt) as error:
        _stopped(error, given[0] if given else "")
    except click.ClickException as error:
        _refuse(_with_closest(error, given), as_json="--json" in _options(given))
        sys.exit(2)
