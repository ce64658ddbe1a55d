"""Ctrl-Z and `fg`: a run that was stopped for a while continues normally."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from tests import media
from tests.helpers.command import arguments, environment
from tests.helpers.view import frames

OPTIONS = "--scale 2 --model lanczos --codec h264 --preset ultrafast --chunk-seconds 0.5 --device cpu --json".split()


def test_a_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    source, output = media.cfr(tmp_path / "in.mp4", frames=72), tmp_path / "out.mp4"
    run = subprocess.Popen(
        arguments("run", source, "-o", output, *OPTIONS), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    assert run.stdout is not None
    try:
        for line in run.stdout:
            if json.loads(line)["event"] == "chunk":
                break
        os.killpg(
            run.pid, signal.SIGSTOP
        )  # what SIGTSTP does; that one is ignored in a group without a shell
        time.sleep(1.5)
        assert run.poll() is None
        os.killpg(run.pid, signal.SIGCONT)
        out, err = run.communicate(timeout=200)
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
    assert run.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["event"] == "done"
    assert "done again" not in out
    assert len(frames(output)) == 72
