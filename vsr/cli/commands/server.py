"""`vsr serve`, and its client: `vsr submit` and `vsr jobs`."""

from __future__ import annotations

import functools
import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsr.cli.option_types import FilePath
from vsr.cli.terminal import echo

if TYPE_CHECKING:
    from collections.abc import Callable

    from vsr.server.client import Client

__all__ = ["jobs", "serve", "submit"]


_GB = 10**9
_DEFAULT_SERVER = "http://127.0.0.1:8787"


@click.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; an address other than the loopback address requires --token-file.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="Port; 0: any free one."
)
@click.option(
    "--root",
    "roots",
    multiple=True,
    type=FilePath(),
    metavar="FOLDER",
    help="Folder with films; may be repeated. Default: the current folder.",
)
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Run jobs on a Ray cluster, as `vsr run` does: local[:N], auto, or HOST:PORT.",
)
@click.option(
    "--parallel", type=click.IntRange(1, 64), default=1, show_default=True, help="Number of jobs at a time."
)
@click.option("--no-browser", is_flag=True, help="Print the URL without opening a browser.")
@click.option(
    "--token-file",
    type=FilePath(),
    metavar="FILE",
    help="File with the token; created if missing. Default: in the user's data folder.",
)
@click.option(
    "--uploads", is_flag=False, flag_value=50.0, type=click.FloatRange(0.001, 10_000), metavar="[GB]",
    help="Allow uploads into the roots, each up to this size (default: 50).",
)  # fmt: skip
def serve(
    host: str, port: int, roots: tuple[Path, ...], token_file: Path | None, no_browser: bool, **offered: Any
) -> None:
    """Serve a web page to choose films, see previews, queue films and follow their progress.

    The queue is stored on disk: if the server is started again, it continues. The page uses an HTTP interface
    that is open to scripts (docs/server.md). To stop it, press Ctrl-C: running jobs first finish their
    current chunk; press it again to stop immediately.

    Example: vsr serve --root ~/films
    """
    from models.errors import missing_package
    from pipelines.settings.option_values import local_workers

    cluster, uploads = offered["cluster"], offered["uploads"]
    if cluster is not None:
        local_workers(cluster)
    for package in ("fastapi", "uvicorn"):
        if importlib.util.find_spec(package) is None:
            raise missing_package("vsr serve", package, "serve")
    from vsr.server import server_process
    from vsr.server.services import ServerOptions

    def ready(address: str) -> None:
        click.echo(address)
        sys.stdout.flush()
        if not no_browser:
            _open(address)

    offer = ServerOptions(offered["parallel"], cluster, int(uploads * _GB) if uploads is not None else None)
    settings = server_process.ServerSettings(host, port, roots, token_file, offer)
    server_process.serve(settings, functools.partial(echo, err=True), ready)


def _open(address: str) -> None:
    """Open the page in a browser, if there is a display."""
    import os
    import webbrowser

    if sys.platform in {"win32", "darwin"} or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(address)


def _server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--json", "as_json", is_flag=True, help="Print one JSON object per line on standard output."
        ),
        click.option(
            "--token-file",
            type=FilePath(),
            metavar="FILE",
            help=(
                "File with the token; default: VSR_TOKEN, else the file that vsr serve created for this user."
            ),
        ),
        click.option(
            "--server",
            default=_DEFAULT_SERVER,
            show_default=True,
            metavar="URL",
            help="Address of a running vsr serve.",
        ),
    ):
        command = option(command)
    return command


def _client(server: str, token_file: Path | None) -> Client:
    from models.catalog.card import user_folder
    from vsr.server.client import Client, token_of

    return Client(server, token_of(token_file, user_folder().parent / "server" / "token"))


@click.command()
@click.argument("film", metavar="ROOT/PATH")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of the run, such as to=8k or config=movie-4k; may be repeated.",
)
@_server_options
def submit(film: str, changes: tuple[str, ...], server: str, token_file: Path | None, as_json: bool) -> None:
    """Queue a film in a running `vsr serve`, by its path below one of the server's roots.

    Prints the job's id. A film is not queued twice with the same settings.

    Example: vsr submit films/holiday.mp4 --set to=4k --server http://nas:8787
    """
    from models.errors import UsageError

    settings = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals:
            raise UsageError(f"--set {change}: expected KEY=VALUE")
        try:
            settings[name.strip().replace("-", "_")] = json.loads(text)
        except ValueError:
            settings[name.strip().replace("-", "_")] = text.strip()
    job = _client(server, token_file).submit(film.replace("\\", "/"), settings)
    echo(json.dumps({"event": "job", **job}) if as_json else f"{job['id']}  {job['state']}  {job['path']}")


@click.command()
@click.argument("job", required=False, metavar="[ID]")
@click.option(
    "--do",
    "action",
    type=click.Choice(["pause", "resume", "cancel", "retry"]),
    help="Action on the job with this ID.",
)
@_server_options
def jobs(job: str | None, action: str | None, server: str, token_file: Path | None, as_json: bool) -> None:
    """List the jobs of a running `vsr serve`, or show one, or pause, resume, cancel or retry it.

    Example: vsr jobs --server http://nas:8787
    """
    from models.errors import UsageError

    if action is not None and job is None:
        raise UsageError(f"--do {action}: expected the ID of a job, as vsr jobs lists them")
    client = _client(server, token_file)
    if job is None:
        found = client.jobs()
    else:
        found = [client.act(job, action) if action is not None else client.job(job)]
    for one in found:
        echo(json.dumps({"event": "job", **one}) if as_json else _line(one))
    if not found and not as_json:
        echo("no jobs")


def _line(job: dict[str, Any]) -> str:
    """A job in one line."""
    from vsr.views.text import duration

    now = job["progress"]
    parts = [job["id"], f"{job['state']:<9}", job["path"]]
    if job["state"] == "running" and now is not None and now["frames"]:
        speed = f", {now['fps']:.2f} fps" if now["fps"] else ""
        parts.append(f"{100 * now['done'] // now['frames']} %{speed}")
        if now["seconds_left"]:
            parts.append(f"{duration(now['seconds_left'])} left")
    parts += [job["error"]] if job["error"] else [job["output"]] if job["state"] == "finished" else []
    return "  ".join(parts)
