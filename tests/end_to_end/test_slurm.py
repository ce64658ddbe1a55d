"""The batch files for Slurm, run by a Slurm cluster of two nodes on this machine.

It has a separate key, ports and folders, and is stopped after the tests.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest

from tests import media
from tests.helpers.command import ROOT, environment, vsr
from tests.helpers.sameness import assert_same_timing
from tests.helpers.view import view

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "srun")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.cluster,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        any(shutil.which(p, path=f"{os.environ['PATH']}:/usr/sbin") is None for p in PROGRAMS),
        reason="Slurm (slurmctld, slurmd, munge) is not installed",
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="Slurm's daemons are started as root"),
]
OPTIONS = (
    "--scale",
    "2",
    "--model",
    "lanczos",
    "--codec",
    "h264",
    "--preset",
    "ultrafast",
    "--device",
    "cpu",
)


@dataclass(frozen=True)
class Slurm:
    folder: Path
    environment: dict[str, str]

    def __call__(self, *given: str | Path) -> str:
        done = subprocess.run(
            [str(g) for g in given],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def submit(self, *given: str | Path) -> str:
        return self("sbatch", "--parsable", *given)

    def job(self, number: str) -> dict[str, str]:
        return dict(
            word.split("=", 1)
            for word in self("scontrol", "show", "job", number, "--oneliner").splitlines()[0].split()
            if "=" in word
        )

    def wait(self, number: str, seconds: float = 300) -> str:
        until(
            lambda: (
                self.job(number)["JobState"]
                not in {"PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "REQUEUED"}
            ),
            seconds,
        )
        return self.job(number)["JobState"]


def until(holds: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.3)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    folder = tmp_path_factory.mktemp("slurm")
    (folder / "state").mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    host, nodes = socket.gethostname().split(".")[0], ("one", "two")
    conf = folder / "slurm.conf"
    conf.write_text(
        f"""ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={free_port()}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
ReturnToService=2
KillWait=5
"""
        + "".join(
            f"NodeName={n} NodeHostname={host} NodeAddr=127.0.0.1 Port={free_port()} CPUs=2 RealMemory=1000\n"
            for n in nodes
        )
        + "PartitionName=all Nodes=ALL Default=YES State=UP\n"
    )
    binaries = folder / "bin"
    binaries.mkdir()
    for name, program in (
        ("vsr", f'exec "{sys.executable}" -P -m vsr "$@"'),
        ("ray", f'exec "{sys.executable}" -P -m ray.scripts.scripts "$@"'),
    ):
        (binaries / name).write_text(f"#!/bin/bash\n{program}\n")
        (binaries / name).chmod(0o755)
    env = environment(
        SLURM_CONF=str(conf),
        VSR_BIN=str(binaries),
        VSR_PORT=str(free_port()),
        PATH=f"{os.environ['PATH']}:/usr/sbin",
    )
    places = [
        f"--{what}={folder}/munge{end}"
        for what, end in (("socket", ""), ("pid-file", ".pid"), ("log-file", ".log"), ("seed-file", ".seed"))
    ]
    commands = [
        ["munged", "--foreground", "--force", f"--key-file={key}", *places],
        ["slurmctld", "-D", "-f", str(conf)],
        *(["slurmd", "-D", "-f", str(conf), "-N", node] for node in nodes),
    ]
    started: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            started.append(
                subprocess.Popen(
                    command, env=env, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
            )
            if command[0] == "munged":
                until((folder / "munge").exists, 30)
        found = Slurm(folder, env)
        until(
            lambda: (
                "idle"
                in subprocess.run(
                    ["sinfo", "-h", "-o", "%t"], env=env, capture_output=True, text=True, check=False
                ).stdout.split()
            ),
            60,
        )
        yield found
    finally:
        subprocess.run(
            ["scancel", "--user=root", "--full", "--signal=KILL"], env=env, capture_output=True, check=False
        )
        for process in reversed(started):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    return media.write(
        path, media.Film(frames=96, rate=Fraction(25), size=(160, 120)), audio=(media.Audio(seconds=3.84),)
    )


def events(log: Path) -> list[dict[str, object]]:
    return (
        [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        if log.exists()
        else []
    )


def test_an_array_upscales_a_list_of_films(slurm: Slurm, film: Path, tmp_path: Path) -> None:
    other = tmp_path / "another film.mkv"
    shutil.copy(film, other)
    listed = tmp_path / "films.txt"
    listed.write_text(f"{film}\n{other}\n")
    number = slurm.submit(
        "--array=1-2",
        ROOT / "configs/cluster/slurm-array.sbatch",
        listed,
        "-o",
        tmp_path / "results",
        *OPTIONS,
    )
    assert slurm.wait(f"{number}_1") == slurm.wait(f"{number}_2") == "COMPLETED", list(
        slurm.folder.glob("vsr-*")
    )
    for source in (film, other):
        assert_same_timing(source, tmp_path / "results" / f"{source.stem}.240p.mkv")


def test_one_film_on_two_nodes_is_requeued_resumes_and_has_the_bytes_of_one_machine(
    slurm: Slurm, film: Path, tmp_path: Path
) -> None:
    whole = tmp_path / "whole.mkv"
    assert vsr("run", film, "-o", whole, "--chunk-seconds", "0.32", *OPTIONS).code == 0
    result = tmp_path / "film.mkv"
    number = slurm.submit(
        ROOT / "configs/cluster/slurm.sbatch",
        film,
        "-o",
        result,
        "--chunk-seconds",
        "0.32",
        "--json",
        *OPTIONS,
    )
    log = slurm.folder / f"vsr-{number}.log"
    until(lambda: any(e["event"] == "chunk" for e in events(log)), 300)
    slurm("scontrol", "requeue", number)
    until(lambda: slurm.job(number)["JobState"] == "PENDING", 120)
    slurm("scontrol", "update", f"JobId={number}", "StartTime=now")  # a requeued job waits two minutes
    assert slurm.wait(number) == "COMPLETED", log.read_text()
    assert slurm.job(number)["Restarts"] == "1"
    resumed = [e for e in events(log) if e["event"] == "plan"][-1]
    assert resumed["chunks_done"], "it began anew"
    assert (view(result).film.payloads, view(result).film.pts) == (
        view(whole).film.payloads,
        view(whole).film.pts,
    )
