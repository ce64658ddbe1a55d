"""A run submitted to a cluster with `ray job submit`: the same bytes, and the exit code of the command.

Ray's job server needs `pip install "ray[default]"`; without it these tests are skipped.
"""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import media
from tests.end_to_end.test_slurm import free_port
from tests.helpers.command import ROOT, environment, vsr

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cluster,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None or importlib.util.find_spec("aiohttp_cors") is None,
        reason='Ray\'s job server is not installed (pip install "ray[default]")',
    ),
]
OPTIONS = "--scale 2 --model lanczos --codec h264 --preset ultrafast --device cpu --chunk-seconds 0.5 --json".split()


@dataclass(frozen=True)
class Jobs:
    address: str
    environment: dict[str, str]

    def submit(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Wait for it; its output comes back, and 1 where the command did not end with 0."""
        given = [sys.executable, "-P", "-m", "vsr", *map(str, command)]
        return subprocess.run(
            [*RAY, "job", "submit", "--address", self.address, "--", *given],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


RAY = [sys.executable, "-P", "-m", "ray.scripts.scripts"]


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    """A cluster of this machine alone, with a token."""
    port, web = free_port(), free_port()
    env = environment(
        RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32), RAY_USAGE_STATS_ENABLED="0"
    )
    folder = tmp_path_factory.mktemp("ray")
    command = [
        *RAY, "start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={port}", "--num-cpus=2",
        "--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={web}",
        f"--temp-dir=/tmp/vsr-job-{os.getpid()}", f"--object-store-memory={100 << 20}",
    ]  # fmt: skip
    with open(folder / "head.log", "wb") as log:
        head = subprocess.Popen(command, env=env, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
    address = f"http://127.0.0.1:{web}"
    try:
        wait_for(f"{address}/api/version", env["RAY_AUTH_TOKEN"], head, folder / "head.log")
        yield Jobs(address, {**env, "RAY_ADDRESS": f"127.0.0.1:{port}"})
    finally:
        head.terminate()
        try:
            head.wait(30)
        except subprocess.TimeoutExpired:
            head.kill()
            head.wait()


def wait_for(
    address: str, token: str, head: subprocess.Popen[bytes], log: Path, seconds: float = 240
) -> None:
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(request, timeout=5).close()
        except OSError:
            assert head.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.5)
        else:
            return


def test_a_submitted_run_has_the_bytes_of_one_without_a_cluster_and_its_exit_code(
    jobs: Jobs, tmp_path: Path
) -> None:
    film = media.cfr(tmp_path / "film.mp4", frames=48)
    assert vsr("run", film, "-o", tmp_path / "alone.mp4", *OPTIONS).code == 0
    done = jobs.submit("run", film, "-o", tmp_path / "job.mp4", *OPTIONS, "--cluster", "auto")
    assert done.returncode == 0, done.stdout + done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"event"')]
    assert {"plan", "chunk", "done"} <= {e["event"] for e in events}
    assert (tmp_path / "job.mp4").read_bytes() == (tmp_path / "alone.mp4").read_bytes()
    failed = jobs.submit("run", tmp_path / "missing.mp4", "--cluster", "auto")
    assert failed.returncode != 0
    assert "missing.mp4" in failed.stdout
