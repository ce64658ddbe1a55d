"""Runs that are killed, stopped or out of disk space: real processes and signals. Cases 38, 39, 46 to 49."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from pipelines.output import muxer
from pipelines.output.journal import work_folder
from pipelines.plan.events import Note
from pipelines.run import publishing
from pipelines.run.job import upscale_video
from tests import media
from tests.helpers.command import Outcome, started, vsr
from tests.helpers.inline import H264
from tests.helpers.processes import children_of, gone
from tests.helpers.sameness import assert_same_passthrough, assert_same_timing
from tests.helpers.view import view
from vsr.api import run_settings

KILLS = 6
OPTIONS = (
    "--scale",
    "2",
    "--model",
    "lanczos",
    "--crf",
    "20",
    "--preset",
    "ultrafast",
    "--chunk-seconds",
    "0.32",
    "--device",
    "cpu",
    "--json",
)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two languages and 96 frames, in twelve chunks."""
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    sound = (media.Audio(seconds=3.84), media.Audio(seconds=3.84, hertz=600, language="ger"))
    return media.write(
        path,
        media.Film(frames=96, rate=Fraction(25), size=(160, 120)),
        audio=sound,
        subtitles=(media.Subtitle(),),
    )


@pytest.fixture(scope="module")
def whole(film: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Results of uninterrupted runs, by codec."""
    folder = tmp_path_factory.mktemp("whole")
    outputs = {}
    for codec in ("h264", "hevc"):
        outputs[codec] = folder / f"{codec}.mkv"
        outcome = vsr("run", film, "-o", outputs[codec], "--codec", codec, *OPTIONS)
        assert outcome.code == 0, outcome.err
    return outputs


def read_until(process: subprocess.Popen[str], kind: str, count: int = 1) -> list[dict[str, object]]:
    """Events up to the `count`-th of that kind, or to the end."""
    assert process.stdout is not None
    events: list[dict[str, object]] = []
    for line in process.stdout:
        events.append(json.loads(line))
        if sum(e["event"] == kind for e in events) >= count:
            break
    return events


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_run_killed_at_random_goes_on_and_ends_with_the_same_bytes(
    film: Path, whole: dict[str, Path], tmp_path: Path, codec: str
) -> None:
    """Case 38: SIGKILL of the parent at random moments, until it gets through."""
    output = tmp_path / "out.mkv"
    dice = random.Random(7)
    kept: set[int] = set()
    hits = 0
    for _ in range(KILLS // 2):  # for each of two codecs
        process = started("run", film, "-o", output, "--codec", codec, *OPTIONS)
        events = read_until(process, "chunk", dice.randint(1, 2))
        time.sleep(dice.random() * 0.05)
        orphans = children_of(process.pid)
        process.kill()
        rest, _ = process.communicate(timeout=30)
        assert gone(orphans), "a child outlived its parent"
        events += [json.loads(line) for line in rest.splitlines() if line.endswith("}")]
        if any(e["event"] == "done" for e in events):  # this test was held up; the film begins anew
            output.unlink()
            output.with_name(f"{output.name}.vsr.json").unlink()
            kept = set()
            continue
        hits += 1
        assert not output.exists()
        plan = next(e for e in events if e["event"] == "plan")
        assert plan["chunks_done"] == len(kept)
        made = {int(e["index"]) for e in events if e["event"] == "chunk"}  # type: ignore[call-overload]
        assert not made & kept, "a finished chunk was made again"
        kept = {
            int(p.stem) for p in work_folder(output).glob("[0-9]*.json")
        }  # one may be kept that was not announced any more
        assert made <= kept
    assert hits, "too short a film to be killed"
    last = vsr("run", film, "-o", output, "--codec", codec, *OPTIONS)
    assert last.code == 0, last.err
    made = {e["index"] for e in last.events if e["event"] == "chunk"}
    assert not made & kept, "a finished chunk was made again"
    assert made | kept == set(range(last.event("plan")["chunks"]))
    assert view(output).film.payloads == view(whole[codec]).film.payloads
    assert view(output).film.pts == view(whole[codec]).film.pts
    assert_same_passthrough(output, film)
    assert_same_timing(output, film)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.mkv", "out.mkv.vsr.json"]


def test_a_worker_that_is_killed_is_replaced_and_its_chunk_made_once(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 39."""
    monkeypatch.setenv("VSR_TEST_MARK", str(tmp_path / "mark"))
    output = tmp_path / "out.mkv"
    settings = run_settings(**{**H264, "chunk_seconds": 1.28})
    events = list(
        upscale_video(film, output, settings, worker="tests.pipelines.pool.failing_workers:DyingOnce")
    )
    assert (tmp_path / "mark").exists()
    (note,) = [e for e in events if isinstance(e, Note)]
    assert "signal 9" in note.text
    assert_same_timing(output, film)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_signal_drains_and_keeps_what_is_done(
    film: Path, whole: dict[str, Path], tmp_path: Path, number: int, code: int
) -> None:
    """Cases 47 and 48. A terminal, `timeout` and systemd signal the workers as well."""
    output = tmp_path / "out.mkv"
    process = started("run", film, "-o", output, "--codec", "h264", *OPTIONS)
    events = read_until(process, "plan")
    children = []
    while (
        process.poll() is None and not children
    ):  # not later: a worker may be done before its last chunks are reported
        children = children_of(process.pid)
    events += read_until(process, "chunk", 2)
    for pid in (*children, process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    out, err = process.communicate(timeout=60)
    events += [json.loads(line) for line in out.splitlines()]
    Outcome(process.returncode, "", err).refused(code, "stopped", "same command")
    assert not [e for e in events if e["event"] == "note" and "done again" in e["text"]]
    assert children
    assert gone(children)
    assert not output.exists()
    assert not (work_folder(output) / "result").exists()
    kept = sum(e["event"] == "chunk" for e in events)
    again = vsr("run", film, "-o", output, "--codec", "h264", *OPTIONS)
    assert again.code == 0, again.err
    assert again.event("plan")["chunks_done"] == kept
    assert view(output).film.payloads == view(whole["h264"]).film.payloads


@pytest.mark.parametrize("number", [signal.SIGINT])
def test_two_signals_end_it_now_without_orphans(film: Path, tmp_path: Path, number: int) -> None:
    """Case 47."""
    output = tmp_path / "out.mkv"
    options = [o if o != "0.32" else "1000" for o in OPTIONS]  # one chunk: draining it would be finishing
    process = started("run", film, "-o", output, "--codec", "hevc", *options)
    read_until(process, "plan")
    while not children_of(process.pid):
        time.sleep(0.05)
    children = children_of(process.pid)
    process.send_signal(number)
    assert process.stderr is not None
    while (
        "stopping" not in process.stderr.readline()
    ):  # two signals that come before the first is heard are one
        assert process.poll() is None
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert gone(children)
    assert not output.exists()
    assert not (work_folder(output) / "result").exists()


def test_two_runs_of_one_output_exclude_each_other(film: Path, tmp_path: Path) -> None:
    """Case 46."""
    output = tmp_path / "out.mkv"
    first = started("run", film, "-o", output, "--codec", "h264", *OPTIONS)
    read_until(first, "plan")
    second = vsr("run", film, "-o", output, "--codec", "h264", *OPTIONS)
    second.refused(2, "another run is writing this output")
    first.kill()
    first.communicate(timeout=30)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 40 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    if (
        os.geteuid()
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=40m", "none", str(place)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("a small file system can't be mounted here (not root, or no right to)")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_is_nearly_full_is_noticed_before_work(film: Path, small_disk: Path) -> None:
    """Case 49."""
    (small_disk / "ballast").write_bytes(bytes(30 << 20))
    outcome = vsr("run", film, "-o", small_disk / "out.mkv", "--codec", "h264", *OPTIONS)
    outcome.refused(5, "free")
    assert not [e for e in outcome.events if e["event"] == "chunk"]


@pytest.mark.parametrize("when", ["chunks", "result"])
def test_a_disk_that_fills_up_ends_with_5_and_the_work_goes_on_when_there_is_room(
    film: Path, whole: dict[str, Path], small_disk: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 49: while chunks are kept, and while the result is written."""
    from models.errors import OutputError
    from pipelines.plan.events import ChunkFinished
    from tests.helpers.inline import without_processes

    without_processes(monkeypatch)
    output, ballast = small_disk / "out.mkv", small_disk / "ballast"
    settings = run_settings(
        scale=2, model="lanczos", codec="h264", crf=20.0, preset="ultrafast", chunk_seconds=0.32, device="cpu"
    )

    def fill(leave: int) -> None:
        free = shutil.disk_usage(small_disk).free
        ballast.write_bytes(bytes(max(0, free - leave)))

    if when == "result":
        assemble = muxer.assemble
        monkeypatch.setattr(publishing, "assemble", lambda *a, **k: (fill(8192), assemble(*a, **k))[1])
    made = 0
    with pytest.raises(OutputError) as raised:
        for event in upscale_video(film, output, settings):
            made += isinstance(event, ChunkFinished)
            if made == 3 and when == "chunks" and not ballast.exists():
                fill(4096)
    assert raised.value.exit_code == 5
    assert "free some space" in str(raised.value)
    assert not output.exists()
    assert not (work_folder(output) / "result").exists()
    assert work_folder(output).is_dir()
    monkeypatch.undo()
    without_processes(monkeypatch)
    ballast.unlink()
    events = list(upscale_video(film, output, settings))
    again = sum(isinstance(e, ChunkFinished) for e in events)
    assert again == (12 - made if when == "chunks" else 0)
    assert view(output).film.payloads == view(whole["h264"]).film.payloads
