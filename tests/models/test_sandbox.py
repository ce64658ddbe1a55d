"""A process that parses untrusted input has no network and bounded memory; a run listens nowhere.

Cases 54, 71, 79.
"""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipelines.pool.interface import Task, WorkItem
from pipelines.pool.process_pool import ProcessPool
from tests import media
from tests.helpers.command import COPIED_AS_FFV1, started

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in {"x86_64", "aarch64"},
    reason="confinement needs Linux on x86-64 or 64-bit ARM",
)


class Curious:
    """A worker that tries what a decoder taken over would try."""

    def __init__(self, setup: dict[str, Any]) -> None:
        self.facts = {"device": setup["device"]}

    def run(self, task: Any, pieces: Iterator[Any]) -> Iterator[Any]:
        import resource

        del pieces
        found: dict[str, Any] = {"memory": resource.getrlimit(resource.RLIMIT_AS)[0]}
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                with socket.socket(family, socket.SOCK_STREAM) as line:
                    line.connect(("127.0.0.1" if family == socket.AF_INET else "::1", task))
                found[family.name] = "connected"
            except OSError as error:
                found[family.name] = error.errno
        code = f"import socket; socket.create_connection(('127.0.0.1', {task}))"
        found["child"] = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=False
        ).returncode
        ours, theirs = socket.socketpair()
        ours.close()
        theirs.close()
        yield found


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_worker_here_reaches_no_network_and_takes_no_more_memory_than_there_is(device: str) -> None:
    """Case 71: a local worker, which decodes, can open no socket but local ones, nor can what it starts.

    Without CUDA its memory is bounded.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        events = ProcessPool([{}]).run_tasks(
            [Task(0, "task", port)],
            worker="tests.models.test_sandbox:Curious",
            setup={"device": device},
            feed=lambda number, task: (),
        )
        (found,) = (e.value for e in events if isinstance(e, WorkItem))
        socket.create_connection(("127.0.0.1", port)).close()  # the parent may
    assert found["AF_INET"] == found["AF_INET6"] == 13
    assert found["child"] != 0
    ram = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert (0 < found["memory"] <= ram + (16 << 30)) == (device == "cpu")


@pytest.mark.parametrize(("arguments", "confined"), [
    (["evaluate", "--help"], True), (["export", "--help"], True), (["dataset", "--help"], True),
    (["dataset", "--cluster=auto", "--help"], False), (["models", "add", "--help"], False),
])  # fmt: skip
def test_commands_that_load_weights_themselves_reach_no_network(arguments: list[str], confined: bool) -> None:
    code = "import contextlib, socket; from vsr.cli.main import main\nwith contextlib.suppress(SystemExit): main()\nsocket.socket(socket.AF_INET)"
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert ("PermissionError" in result.stderr) == confined
    assert (result.returncode != 0) == confined


def test_a_run_on_this_machine_listens_nowhere(tmp_path: Path) -> None:
    """Case 79: neither the command nor its workers have a socket of the internet at any time, listening or
    not.
    """
    source = media.cfr(tmp_path / "in.mp4", frames=4)
    run = started(
        "run",
        source,
        "-o",
        tmp_path / "out.mkv",
        *COPIED_AS_FFV1,
        "--device",
        "cpu",
        "--json",
    )
    seen = 0
    found: list[Any] = []
    while run.poll() is None:
        for process in [psutil.Process(run.pid), *psutil.Process(run.pid).children(recursive=True)]:
            try:
                found += process.net_connections(kind="inet")
                seen += process.pid != run.pid
            except psutil.Error:
                continue
    run.communicate()
    assert run.returncode == 0
    assert seen
    assert found == []
