"""`vsr submit`, `vsr jobs`, and the script in docs/server.md that a media server calls."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.command import ROOT, Outcome
from tests.helpers.serving import TOKEN, Server

Command = Callable[..., Outcome]


@pytest.fixture
def known(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, whose token is known to the environment; it has no jobs."""
    monkeypatch.setenv("VSR_TOKEN", TOKEN)
    for job in server.api("GET", "jobs"):
        if job["ended"] is None:
            server.api("POST", f"jobs/{job['id']}/cancel")
            server.until(job["id"], "cancelled", "finished", "failed")
        server.api("DELETE", f"jobs/{job['id']}")
    return server


def test_a_film_is_submitted_and_listed(known: Server, here: Command) -> None:
    given = [
        word for name in ("scale=1", "model=identity", "codec=h264", "device=cpu") for word in ("--set", name)
    ]
    done = here("submit", "films/a.mp4", *given, "--set", "output=films/client.mp4", "--server", known.base)
    assert done.code == 0, done.err
    job, state, path = done.out.split()
    assert (state, path) in {("queued", "films/a.mp4"), ("running", "films/a.mp4")}
    known.until(job, "finished")
    assert here("jobs", "--server", known.base).out == f"{job}  finished   films/a.mp4  films/client.mp4\n"
    listed = here("jobs", job, "--server", known.base, "--json").events
    assert [(one["event"], one["id"], one["state"]) for one in listed] == [("job", job, "finished")]


def test_a_job_is_paused_resumed_and_cancelled(known: Server, here: Command) -> None:
    first = known.submit("films/deep/b.mkv", output="films/first.mp4")
    job = known.submit("films/deep/b.mkv", output="films/second.mp4")
    for action, state in (
        ("pause", "paused"),
        ("resume", "queued"),
        ("cancel", "cancelled"),
        ("retry", "queued"),
    ):
        done = here("jobs", job, "--do", action, "--server", known.base)
        assert (done.code, done.out.split()[:2]) == (0, [job, state])
    here("jobs", "0" * 16, "--do", "pause", "--server", known.base).refused(2, "there is no such job")
    known.until(first, "finished")


def test_the_servers_line_and_exit_code_are_the_commands(known: Server, here: Command) -> None:
    here("submit", "films/nothing.mp4", "--server", known.base).refused(
        2, "films/nothing.mp4: there is no such file"
    )
    here("submit", "films/a.mp4", "--set", "scale=99", "--server", known.base).refused(2, "scale")
    here("submit", "films/a.mp4", "--set", "scale", "--server", known.base).refused(2, "expected KEY=VALUE")
    here("jobs", "--do", "pause", "--server", known.base).refused(2, "--do pause")


def test_a_wrong_token_and_no_server_are_said_so(known: Server, here: Command, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("another-token-than-that")
    here("jobs", "--server", known.base, "--token-file", tmp_path / "token").refused(
        2, "no valid token", "VSR_TOKEN"
    )
    here("jobs", "--server", "http://127.0.0.1:9").refused(6, "http://127.0.0.1:9", "can't be reached")
    here("jobs", "--server", "ftp://x").refused(2, "--server ftp://x")
    here("jobs", "--token-file", tmp_path / "none").refused(2, "--token-file")


def test_a_media_server_queues_what_it_imported(known: Server, tmp_path: Path, films: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    page = (ROOT / "docs" / "server.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```sh\n(#!/bin/sh\n.*?)```", page, re.DOTALL)
    (tmp_path / "token").write_text(TOKEN)
    script = script.replace("root=/media/series", f"root={films}")
    script = script.replace("server=http://127.0.0.1:8787/api/v1", f"server={known.base}/api/v1")
    script = script.replace("$HOME/.local/share/vsr/server/token", str(tmp_path / "token"))
    odd = films / "deep" / 'so "it" is.mkv'
    shutil.copy(films / "deep" / "b.mkv", odd)
    for film in (odd, odd):
        given = {
            "PATH": "/usr/bin:/bin",
            "sonarr_eventtype": "Download",
            "sonarr_episodefile_path": str(film),
        }
        done = subprocess.run(
            ["sh", "-c", script], env=given, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["path"] == 'films/deep/so "it" is.mkv'
    (job,) = known.api("GET", "jobs")
    assert job["settings"] == {"config": "movie-4k"}
    known.api("POST", f"jobs/{job['id']}/cancel")
    known.until(job["id"], "cancelled")
    odd.unlink()
