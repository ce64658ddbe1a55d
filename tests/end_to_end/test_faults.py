"""Faults of workers, memory, encoders, disks and terminals in a real run.

Checked: the exit code, the one-line message, the same bytes, and that nothing is left over.

Cases 38, 39, 47 to 50, 54, 56, 57 and 62. Child processes are `light_workers`, which load no torch, so that a
run takes a second or two.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from pipelines.output.journal import work_folder
from tests import media
from tests.helpers.command import COPIED_AS_H264, Outcome, started, vsr
from tests.helpers.figures import record
from tests.helpers.processes import children_of, gone

OPTIONS = (
    *COPIED_AS_H264,
    "--chunk-seconds",
    "0.3",
    "--device",
    "cpu",
    "--json",
)
CHUNKS = 4
CRASHES = int(os.environ.get("VSR_CRASHES", "8"))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32 frames with sound, in four chunks."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return media.write(
        path, media.Film(frames=32, rate=Fraction(25), size=(64, 48)), audio=(media.Audio(seconds=1.28),)
    )


@pytest.fixture(scope="module")
def whole(film: Path) -> bytes:
    """The result of an undisturbed run."""
    output = film.with_name("whole.mp4")
    outcome = vsr("run", film, "-o", output, *OPTIONS, worker="Plain")
    assert outcome.code == 0, outcome.err
    assert outcome.event("plan")["chunks"] == CHUNKS
    return output.read_bytes()


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out.mp4"


@pytest.fixture
def mark(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables for a worker that does something once."""
    return {"VSR_TEST_MARK": str(tmp_path_factory.mktemp("mark") / "mark")}


def assert_whole(output: Path, whole: bytes) -> None:
    """The bytes of an undisturbed run, and nothing beside them but the report."""
    assert output.read_bytes() == whole
    assert sorted(os.listdir(output.parent)) == [output.name, f"{output.name}.vsr.json"]


def assert_resumable(output: Path) -> None:
    """Nothing but the work directory, without an unfinished result."""
    assert os.listdir(output.parent) == [work_folder(output).name]
    assert not (work_folder(output) / "result").exists()


def notes(outcome: Outcome) -> list[str]:
    return [e["text"] for e in outcome.events if e["event"] == "note"]


def read_until(process: subprocess.Popen[str], kind: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == kind:
            return


# --- workers


@pytest.mark.parametrize(
    ("worker", "words"),
    [
        ("HangingOnce", "said nothing for 8 s"),
        ("EncoderBrokenOnce", "libx264 failed in chunk 1"),
        ("StarvingOnce", "memory ran out"),
    ],
)
def test_what_fails_once_is_done_again_with_the_same_bytes(
    film: Path, whole: bytes, output: Path, mark: dict[str, str], worker: str, words: str
) -> None:
    """Cases 54, 57 and 62: a child that hangs, an encoder that fails midway, memory that runs out."""
    outcome = vsr(
        "run",
        film,
        "-o",
        output,
        *OPTIONS,
        worker=worker,
        **mark,
        **({"VSR_TEST_SILENCE": "8"} if worker == "HangingOnce" else {}),
    )
    assert outcome.code == 0, outcome.err
    (note,) = notes(outcome)
    assert words in note
    assert_whole(output, whole)


@pytest.mark.parametrize(
    ("worker", "words", "kept"),
    [
        ("Poisoned", ("chunk 1 (frames 8 to 15)", "3 times", "signal 9"), 1),
        ("BrokenEncoder", ("chunk 0 (frames 0 to 7)", "3 times", "libx264 failed"), 0),
        ("Starving", ("chunk 1 (frames 8 to 15)", "3 times", "memory ran out"), 1),
    ],
)
def test_what_fails_every_time_is_given_up_after_three_attempts(
    film: Path, whole: bytes, output: Path, worker: str, words: tuple[str, ...], kept: int
) -> None:
    """Cases 54, 56 and 62: exit 6 with the chunk and its frames.

    What is done is kept and used by the next run.
    """
    outcome = vsr("run", film, "-o", output, *OPTIONS, worker=worker)
    outcome.refused(6, *words)
    assert len(notes(outcome)) == 2
    assert_resumable(output)
    again = vsr("run", film, "-o", output, *OPTIONS, worker="Plain")
    assert again.event("plan")["chunks_done"] == kept
    assert_whole(output, whole)


def test_memory_that_runs_out_before_a_chunk_is_there_makes_the_tiles_smaller(
    output: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Cases 53, 54 and 62: three attempts, then a new plan.

    The bytes are those of a run that was told so at once.
    """
    folder = tmp_path_factory.mktemp("cramped")
    film = media.cfr(folder / "film.mp4", frames=16, size=(320, 160), gop=8)
    options = [*OPTIONS, "--model", "deconvolution-x1"]
    outcome = vsr("run", film, "-o", output, *options, worker="Cramped", VSR_TEST_TILE=str(144 * 240))
    assert outcome.code == 0, outcome.err
    assert [e["tile"] for e in outcome.events if e["event"] == "plan"] == [[960, 544], [240, 144]]
    told = notes(outcome)
    assert len(told) == 3
    assert all("memory ran out in the worker" in text for text in told[:2])
    assert told[2] == "memory ran out; started again with tiles of 240x144"
    planned = folder / "planned.mp4"
    assert (
        vsr(
            "run",
            film,
            "-o",
            planned,
            *options,
            "--tile",
            "240x144",
            worker="Cramped",
            VSR_TEST_TILE=str(144 * 240),
        ).code
        == 0
    )
    assert_whole(output, planned.read_bytes())


def test_a_worker_that_is_stopped_is_taken_for_hung(film: Path, whole: bytes, output: Path) -> None:
    """Case 57: by SIGSTOP, as a debugger or a frozen container does."""
    process = started("run", film, "-o", output, *OPTIONS, worker="Slow", VSR_TEST_SILENCE="8")
    read_until(process, "chunk")
    (child,) = children_of(process.pid)
    os.kill(child, signal.SIGSTOP)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "said nothing" in out
    assert gone([child])
    assert_whole(output, whole)


# --- signals


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("step", ["decode", "infer", "encode", "mux"])
def test_a_stop_at_any_step_keeps_what_is_done(
    film: Path, whole: bytes, output: Path, mark: dict[str, str], step: str, number: int, code: int
) -> None:
    """Cases 47 and 48: while frames are decoded, upscaled, encoded and put together."""
    if step == "mux":
        outcome = vsr(
            "run", film, "-o", output, *OPTIONS, worker="Plain", VSR_TEST_MUX_SIGNAL=str(int(number))
        )
    else:
        outcome = vsr(
            "run",
            film,
            "-o",
            output,
            *OPTIONS,
            worker="Signalling",
            VSR_TEST_STEP=step,
            VSR_TEST_SIGNAL=str(int(number)),
            **mark,
        )
    outcome.refused(code, "stopped", "same command")
    assert_resumable(output)
    again = vsr("run", film, "-o", output, *OPTIONS, worker="Plain")
    assert again.event("plan")["chunks_done"] == {"decode": 1, "infer": 2, "encode": 2, "mux": CHUNKS}[step]
    assert_whole(output, whole)


def test_a_second_stop_while_the_result_is_put_together_ends_it_at_once(
    film: Path, whole: bytes, output: Path
) -> None:
    """Case 47."""
    outcome = vsr(
        "run",
        film,
        "-o",
        output,
        *OPTIONS,
        worker="Plain",
        VSR_TEST_MUX_SIGNAL=str(int(signal.SIGINT)),
        VSR_TEST_MUX_TWICE="1",
    )
    outcome.refused(130, "stopped")
    assert_resumable(output)
    assert vsr("run", film, "-o", output, *OPTIONS, worker="Plain").code == 0
    assert_whole(output, whole)


def test_a_run_that_was_suspended_for_long_goes_on_as_if_nothing_was(
    film: Path, whole: bytes, output: Path
) -> None:
    """Cases 47 and 57: Ctrl-Z stops command and child.

    Time that passes meanwhile makes no worker look hung.
    """
    process = started("run", film, "-o", output, *OPTIONS, worker="Slow", VSR_TEST_SILENCE="8")
    read_until(process, "chunk")
    (child,) = children_of(process.pid)
    os.kill(
        child, signal.SIGSTOP
    )  # a moment before the command, so that it surely waits for a message when it is stopped, too
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(9)
    os.kill(process.pid, signal.SIGCONT)
    time.sleep(0.5)
    os.kill(child, signal.SIGCONT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert '"note"' not in out
    assert_whole(output, whole)


# --- crash anywhere


@pytest.mark.timeout(0 if CRASHES > 8 else 900)
def test_a_run_killed_at_any_moment_ends_with_the_same_bytes(film: Path, whole: bytes, output: Path) -> None:
    """Cases 38, 39 and 62: the command or its child, at a random moment, again and again.

    The rerun leaves nothing over.
    """
    dice = random.Random(int(os.environ.get("VSR_SEED", "3")))
    kills = {"parent": 0, "child": 0}
    seconds = 1.0
    while sum(kills.values()) < CRASHES:
        began = time.monotonic()
        process = started("run", film, "-o", output, *OPTIONS, worker="Slow")
        time.sleep(dice.random() * seconds)
        children = children_of(process.pid)
        victim = dice.choice(["parent", "child"])
        if process.poll() is None and (victim == "parent" or children):
            os.kill(process.pid if victim == "parent" else children[0], signal.SIGKILL)
            kills[victim] += 1
        _, err = process.communicate(timeout=120)
        assert gone(children), "a child outlived its parent"
        assert "Traceback" not in err
        if victim == "parent" and process.returncode == -signal.SIGKILL:
            assert set(os.listdir(output.parent)) <= {
                work_folder(output).name,
                output.name,
                f"{output.name}.vsr.json",
            }
            if dice.random() < 0.5:
                continue  # and killed again
        else:
            assert process.returncode == 0, err
        seconds = max(seconds, 0.9 * (time.monotonic() - began))
        outcome = vsr("run", film, "-o", output, *OPTIONS, worker="Plain")
        assert outcome.code == 0, outcome.err
        assert_whole(output, whole)
        for path in output.parent.iterdir():
            path.unlink()
    assert vsr("run", film, "-o", output, *OPTIONS, worker="Plain").code == 0
    assert_whole(output, whole)
    record(**kills)


# --- disks, and what else can't be written to


def mounted(place: Path, options: str) -> None:
    place.mkdir(exist_ok=True)
    if (
        os.geteuid()
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "none", str(place)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("a small file system can't be mounted here (not root, or no right to)")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    place = tmp_path / "disk"
    mounted(place, "size=64m")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_can_only_be_read_is_noticed_before_work(film: Path, disk: Path) -> None:
    """Case 50."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    outcome = vsr("run", film, "-o", disk / "out.mp4", *OPTIONS, worker="Plain")
    outcome.refused(5, "disk", "Read-only")
    assert [e["event"] for e in outcome.events] == ["error"]


def test_a_work_directory_that_vanishes_ends_with_5(film: Path, whole: bytes, output: Path) -> None:
    """Case 49."""
    process = started("run", film, "-o", output, *OPTIONS, worker="Slow")
    read_until(process, "chunk")
    work_folder(output).rename(output.with_name("elsewhere"))
    out, err = process.communicate(timeout=120)
    Outcome(process.returncode, out, err).refused(5, "can't be written")
    assert not output.exists()


def test_an_input_that_is_still_being_written_gives_no_result(
    film: Path, output: Path, tmp_path: Path
) -> None:
    """Case 42."""
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(film.read_bytes())
    process = started("run", copy, "-o", output, *OPTIONS, worker="Slow")
    read_until(process, "chunk")
    with open(copy, "ab") as file:
        file.write(bytes(1000))
    out, err = process.communicate(timeout=120)
    Outcome(process.returncode, out, err).refused(3, "copy.mp4", "was changed while it was read")
    assert not output.exists()


@pytest.mark.parametrize("command", [("models",), ("probe",), ("run",)])
def test_standard_output_that_is_full_or_gone_is_one_line_or_none(
    film: Path, output: Path, command: tuple[str, ...]
) -> None:
    """Case 49: /dev/full, and a reader that has had enough."""
    from tests.helpers.command import arguments, environment

    more = {"probe": [film, "--json"], "run": [film, "-o", output, *OPTIONS]}.get(command[0], [])
    line = arguments(*command, *more, worker="Plain")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            line, stdout=full, stderr=subprocess.PIPE, env=environment(), text=True, check=False
        )
    Outcome(done.returncode, "", done.stderr).refused(5, "standard output", "No space left")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        line, stdout=writer, stderr=subprocess.PIPE, env=environment(), text=True, check=False
    )
    os.close(writer)
    assert done.returncode == 141
    assert done.stderr == ""
    assert not output.exists()
