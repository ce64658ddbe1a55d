"""vsr works on systems that lack Unix features, such as Windows.

These are fcntl, resource, CPU affinity, UNIX sockets, inherited descriptors and seccomp.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import av
import pytest

from tests import media
from tests.helpers.command import ROOT, environment

HERE = Path(__file__).parents[1] / "helpers" / "other_system"
_NOT_THERE = ("pipelines.cluster",)
"""Ray, and so what needs it, has no clusters on Windows."""
EVERYTHING = f"""
import importlib, pkgutil
import models.sandbox
assert models.sandbox._resource is None and models.sandbox.with_bounded_memory() == 0 and not models.sandbox.without_network()
for top in ("models", "pipelines", "vsr"):
    for found in pkgutil.walk_packages(importlib.import_module(top).__path__, top + "."):
        if not found.name.startswith({_NOT_THERE!r}) and not found.name.endswith("__main__"):
            importlib.import_module(found.name)
from pipelines.hardware.resources import usable_cores, usable_memory
assert usable_cores() >= 1 and usable_memory() > 1 << 20
"""


def elsewhere(*command: str) -> str:
    """What a command of Python prints there."""
    variables = {**environment(), "PYTHONPATH": os.pathsep.join([str(HERE), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, *command],
        env=variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux(video=0) if p.size]


def test_every_module_imports_where_posix_is_missing() -> None:
    """Case 92."""
    elsewhere("-c", EVERYTHING)
    with pytest.raises(AssertionError, match="No module named 'fcntl'"):
        elsewhere(
            "-c",
            "import models, pathlib; module = type(models)('models'); models.__builtins__['__import__']('fcntl')",
        )


def test_help_probe_plan_and_a_run_work_where_posix_is_missing(tmp_path: Path) -> None:
    """Case 92."""
    source = media.write(tmp_path / "film.mp4", media.Film(frames=6))
    assert "vsr run film.mp4" in elsewhere("-m", "vsr", "--help")
    assert json.loads(elsewhere("-m", "vsr", "probe", str(source), "--json"))["frames"] == 6
    options = ["--model", "lanczos", "--scale", "2", "--codec", "h264", "--preset", "ultrafast"]
    assert "128x96" in elsewhere("-m", "vsr", "plan", str(source), *options)
    out = tmp_path / "there.mp4"
    elsewhere("-m", "vsr", "run", str(source), "-o", str(out), *options)
    assert not list(tmp_path.glob(".*.vsr-work"))
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 6
