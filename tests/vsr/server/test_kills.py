"""Servers, commands and workers are killed at random moments.

No job is lost or done twice, and the bytes are the same. VSR_CRASHES: how many kills; VSR_SEED: another
sequence of them.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

from tests import media
from tests.helpers.command import vsr
from tests.helpers.figures import record
from tests.helpers.processes import children_of, gone
from tests.helpers.serving import SETTINGS, Server

KILLS = int(os.environ.get("VSR_CRASHES", "10"))
FILMS = ("a", "b", "c")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("kills") / "films"
    root.mkdir()
    for number, name in enumerate(FILMS):
        media.cfr(root / f"{name}.mp4", frames=24 + number)
    return root


@pytest.fixture(scope="module")
def whole(root: Path) -> dict[str, bytes]:
    """Results of undisturbed runs."""
    given = [f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items()]
    found = {}
    for name in FILMS:
        output = root.parent / f"{name}.mp4"
        assert vsr("run", root / f"{name}.mp4", "-o", output, *given, worker="Plain").code == 0
        found[name] = output.read_bytes()
    return found


def commands_at(film: Path) -> list[int]:
    """Processes of commands that work on a film."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if os.fsencode(film) in words and b"run" in words:
                found.append(int(entry.name))
    return found


@pytest.mark.timeout(0 if KILLS > 10 else 900)
def test_whatever_is_killed_no_job_is_lost_and_none_is_done_twice(
    root: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    """Case 98: each output gets its name once, and no two commands are at one job."""
    dice = random.Random(int(os.environ.get("VSR_SEED", "5")))
    kills = {"server": 0, "command": 0, "worker": 0}
    server = Server([root], tmp_path / "data", ["--parallel", "2"], worker="Slow").start()
    seconds, rounds = 4.0, 0
    while sum(kills.values()) < KILLS:
        rounds += 1
        began = time.monotonic()
        jobs = {
            name: server.submit(f"films/{name}.mp4", output=f"films/{rounds}-{name}.mp4") for name in FILMS
        }
        published: dict[str, int] = {}
        for _ in range(min(3, KILLS - sum(kills.values()))):
            time.sleep(dice.random() * seconds)
            kills[_kill(server, dice)] += 1
            for name in FILMS:
                assert len(commands_at(root / f"{name}.mp4")) <= 1, "two commands at one job"
                output = root / f"{rounds}-{name}.mp4"
                if output.exists():
                    assert output.read_bytes() == whole[name]
                    assert published.setdefault(name, output.stat().st_ino) == output.stat().st_ino
        listed = [job["id"] for job in server.api("GET", "jobs")]
        assert sorted(listed) == sorted(set(listed))
        assert set(jobs.values()) <= set(listed)
        for name, job in jobs.items():
            found = server.until(job, "finished", seconds=600)
            assert found["verification"]
            output = root / f"{rounds}-{name}.mp4"
            assert output.read_bytes() == whole[name]
            assert published.get(name, output.stat().st_ino) == output.stat().st_ino
        seconds = max(1.0, 0.4 * (time.monotonic() - began))
        left = {p.name for p in root.iterdir()} - {f"{name}.mp4" for name in FILMS}
        made = {
            f"{n}-{name}.mp4{more}"
            for n in range(1, rounds + 1)
            for name in FILMS
            for more in ("", ".vsr.json")
        }
        assert left == made
    assert server.stop() == 0
    record(**{f"serve_{victim}_kills": count for victim, count in kills.items()})


def _kill(server: Server, dice: random.Random) -> str:
    """Kill something that runs; a killed server is started again. What it was."""
    assert server.process is not None
    commands = children_of(server.process.pid)
    workers = [pid for command in commands for pid in children_of(command)]
    victims = {"server": [server.process.pid], "command": commands, "worker": workers}
    victim = dice.choice([kind for kind, pids in victims.items() if pids])
    if victim == "server":
        server.kill()
        server.start()
        assert gone(commands + workers), "a command outlived its server"
    else:
        with contextlib.suppress(ProcessLookupError):
            os.kill(dice.choice(victims[victim]), signal.SIGKILL)
    return victim


def test_a_command_that_is_killed_again_and_again_fails_in_the_end(root: Path, tmp_path: Path) -> None:
    server = Server([root], tmp_path / "data", worker="Slow").start()
    job = server.submit("films/a.mp4", output="films/hopeless.mp4")
    assert server.process is not None
    while (found := server.api("GET", f"jobs/{job}"))["state"] not in {"failed", "finished"}:
        if not (found["progress"] or {}).get("frames"):
            for command in children_of(server.process.pid):
                os.kill(command, signal.SIGKILL)
        time.sleep(0.02)
    assert found["state"] == "failed"
    assert found["attempts"] == 3
    assert "SIGKILL" in found["error"]
    assert found["exit_code"] == 6
    server.stop()


def test_commands_and_workers_end_with_their_server_in_the_midst_of_a_chunk(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    media.cfr(tmp_path / "films" / "long.mp4", frames=3000)
    server = Server([tmp_path / "films"], tmp_path / "data", worker="Slow").start()
    job = server.submit("films/long.mp4", chunk_seconds=3600, output="films/made.mp4")
    while not (server.api("GET", f"jobs/{job}")["progress"] or {}).get("done"):
        time.sleep(0.05)
    assert server.process is not None
    (command,) = children_of(server.process.pid)
    workers = children_of(command)
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)  # so that the command has nothing to print, which would tell it, too
    server.kill()
    try:
        assert gone([command, *workers])
    finally:
        for pid in (command, *workers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_server_waits_for_a_command_of_an_earlier_one(root: Path, tmp_path: Path) -> None:
    """A command that is stopped does not end with its server: while it holds the lock, nothing is started."""
    server = Server([root], tmp_path / "data", worker="Slow").start()
    job = server.submit("films/b.mp4", output="films/waited.mp4")
    assert server.process is not None
    own = _command_line(server.process.pid)
    # Until it runs its own program, a child has all files of the server open, its locks among them.
    while not (commands := [c for c in children_of(server.process.pid) if _command_line(c) != own]):
        time.sleep(0.02)
    os.kill(commands[0], signal.SIGSTOP)
    server.kill()
    heard: list[bool] = []

    def wake() -> None:
        end = time.monotonic() + 60
        while not heard and time.monotonic() < end:
            time.sleep(0.05)
            if b"waiting for a command" in (server.data / "log").read_bytes():
                heard.append(True)
        os.kill(commands[0], signal.SIGCONT)

    thread = threading.Thread(target=wake)
    thread.start()
    server.start()
    thread.join()
    assert heard
    assert gone(commands)
    server.until(job, "finished")
    server.stop()
