"""Starts `vsr serve` in a separate process, or the same application in this process, and calls it.

`python -m tests.helpers.serving CLASS serve ...` runs the command with another worker for its jobs: CLASS is
from tests/pipelines/pool/fast_workers.py, or Refusing for commands that end at once with an error. `python -m
tests.helpers.serving COMMAND...` is the child process of such a server.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.helpers.command import environment

TOKEN = "a-token-for-tests-only"
_READY_SECONDS = 120.0
SETTINGS = {
    "scale": 1,
    "model": "identity",
    "codec": "h264",
    "preset": "ultrafast",
    "device": "cpu",
    "chunk_seconds": 0.3,
}
"""A run that fast workers can do."""


@dataclass
class Answer:
    """A response of a server."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    """A running server, which can be killed and started again."""

    roots: list[Path]
    data: Path
    options: list[str] = field(default_factory=list)
    worker: str = "Plain"
    process: subprocess.Popen[str] | None = None
    base: str = ""

    def start(self) -> Server:
        """Start it, and wait until it answers."""
        self.data.mkdir(parents=True, exist_ok=True)
        token = self.data / "token-file"
        token.write_text(TOKEN)
        token.chmod(0o600)
        roots = [word for root in self.roots for word in ("--root", str(root))]
        log = open(self.data / "log", "ab")  # noqa: SIM115 - closed below
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "tests.helpers.serving", self.worker),
                *("serve", "--port", "0", "--no-browser", "--token-file", str(token), *roots, *self.options),
            ],
            env=environment(VSR_DATA_HOME=str(self.data), XDG_CACHE_HOME=str(self.data / "cache")),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        log.close()
        atexit.register(self.process.kill)  # where a test fails before it stops it
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("http://"), (self.data / "log").read_text()
        self.base = line.partition("/?")[0]
        return self

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """A request with the token, unless headers say otherwise; a header of value "" is left out."""
        data = json.dumps(body).encode() if body is not None and not isinstance(body, bytes) else body
        given = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", **headers}
        request = urllib.request.Request(
            self.base + path, data=data, method=method, headers={k: v for k, v in given.items() if v}
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return Answer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read())

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of a call below /api/v1 that has to succeed."""
        answer = self.call(method, f"/api/v1/{path}", body)
        assert answer.status < 300, answer.body.decode()
        return answer.json if answer.body else None

    def submit(self, path: str, **settings: Any) -> str:
        """Queue a film; the job's id."""
        return str(self.api("POST", "jobs", {"path": path, "settings": {**SETTINGS, **settings}})["id"])

    def until(self, job: str, *states: str, seconds: float = 180.0) -> dict[str, Any]:
        """Wait for a job to be in one of these states."""
        end = time.monotonic() + seconds
        while True:
            found: dict[str, Any] = self.api("GET", f"jobs/{job}")
            if found["state"] in states:
                return found
            assert found["state"] not in {"finished", "failed", "cancelled"}, found
            assert time.monotonic() < end, found
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill this process, as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self._close()

    def stop(self) -> int:
        """Stop it as with Ctrl-C; returns its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self._close()

    def _close(self) -> int:
        assert self.process is not None
        code = self.process.wait(120)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None
        return code


def main() -> None:
    """The command with other jobs, or one of these jobs."""
    from vsr.server import child

    name, *arguments = sys.argv[1:]
    if name != name.lower():  # a class
        os.environ["VSR_TEST_WORKER"] = name
        child.COMMAND = "tests.helpers.serving"
        from vsr.cli.main import main as command

        command(arguments)
        return
    if os.environ["VSR_TEST_WORKER"] == "Refusing":
        print(json.dumps({"event": "error", "message": "refused, as this test wants it", "exit_code": 2}))
        sys.exit(2)
    from tests.helpers import with_worker

    child.end_with_server()
    sys.argv[1:] = [os.environ["VSR_TEST_WORKER"], name, *arguments]
    with_worker.main()


if __name__ == "__main__":
    main()
