"""A watched folder: every new file is upscaled once.

This holds whatever happens to the files and to the watching process.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from models.errors import Interrupted, OutputError, UsageError, VsrError
from pipelines.plan.events import Advanced, AlreadyDone, Event, Finished, Note, Planned
from pipelines.run import folder_changes
from pipelines.run import watch as watching
from pipelines.run.folder_changes import FolderChanges, file_system
from pipelines.run.watch import WatchOptions, watch
from pipelines.run.watched_folder import WatchedFolder, state_of
from tests import media
from tests.helpers.command import started
from tests.helpers.inline import QUICK, without_processes
from vsr.api import run_settings

SETTLE = 0.3
SECONDS = 60


class Watched:
    """A folder under watch in a thread of its own."""

    def __init__(
        self, folder: Path, output: Path, *, settle: float = SETTLE, recursive: bool = False, **settings: Any
    ) -> None:
        self.events: list[tuple[str, Event | VsrError]] = []
        self._stop = threading.Event()
        self._given = WatchOptions(folder, output, settle, recursive)
        self._settings = run_settings(**{**QUICK, **settings})
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        for path, event in watch(self._given, self._settings, self._stop):
            self.events.append((path.name, event))

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()

    def of(self, *kinds: type[Any]) -> list[tuple[str, Any]]:
        return [(name, event) for name, event in list(self.events) if isinstance(event, kinds)]

    def until(self, kind: type[Any], count: int = 1) -> list[Any]:
        """The events of a kind, when there are so many."""
        wait_for(lambda: len(self.of(kind)) >= count)
        return [event for _, event in self.of(kind)]

    def looked_again(self) -> None:
        """Return when the folder was looked at with nothing to do, twice the settling time from now."""
        time.sleep(2 * self._given.settle_seconds + folder_changes._CALM_SECONDS)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def _inline(monkeypatch: pytest.MonkeyPatch) -> None:
    without_processes(monkeypatch)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media.cfr(tmp_path_factory.mktemp("films") / "film.mp4", frames=4)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media.cfr(tmp_path_factory.mktemp("films") / "other.mp4", frames=7)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "in").mkdir()
    return tmp_path / "in", tmp_path / "out"


# --- what is ready, by a clock of the test's


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def files(tmp_path: Path, clock: Clock) -> WatchedFolder:
    return WatchedFolder(tmp_path, tmp_path / "out", settle_seconds=10, recursive=True, clock=clock)


def names(files: WatchedFolder) -> list[str]:
    return [path.name for path in files.ready()]


def finish(files: WatchedFolder, path: Path, **how: Any) -> None:
    state = state_of(path)
    assert state is not None
    files.finish(path, state, **how)


def test_a_file_is_ready_when_it_stopped_growing_for_the_settling_time(
    files: WatchedFolder, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "a.mp4"
    for size in range(1, 4):
        path.write_bytes(b"x" * size)
        assert names(files) == []
        clock.now += 9
    assert files.seconds_to_next() == 1
    assert names(files) == []
    clock.now += 1
    assert names(files) == ["a.mp4"]


def test_an_empty_file_waits(files: WatchedFolder, clock: Clock, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    assert names(files) == []
    clock.now += 100
    assert names(files) == []


def test_a_file_that_is_renamed_when_it_is_complete_does_not_wait_anew(
    files: WatchedFolder, clock: Clock, tmp_path: Path
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    assert names(files) == []
    clock.now += 6
    (tmp_path / "a.mp4").rename(tmp_path / "b.mp4")
    assert names(files) == []
    clock.now += 4
    assert names(files) == ["b.mp4"]


def test_a_film_that_is_done_stays_done_under_another_name_and_one_that_failed_is_tried_again(
    files: WatchedFolder, clock: Clock, tmp_path: Path
) -> None:
    for name in ("bad.mp4", "good.mp4"):
        (tmp_path / name).write_bytes(name.encode())
    files.ready()
    clock.now += 10
    assert names(files) == ["bad.mp4", "good.mp4"]
    finish(files, tmp_path / "bad.mp4", done=False)
    finish(files, tmp_path / "good.mp4", done=True)
    for name in ("bad", "good"):
        (tmp_path / f"{name}.mp4").rename(tmp_path / f"{name}2.mp4")
    assert names(files) == ["bad2.mp4"]
    assert files.renamed == [(tmp_path / "good.mp4", tmp_path / "good2.mp4")]
    assert names(files) == ["bad2.mp4"]
    assert files.renamed == []


def test_a_film_that_failed_is_tried_again_when_it_was_rewritten_or_its_time_has_come(
    files: WatchedFolder, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"x")
    files.ready()
    clock.now += 10
    finish(files, path, done=False)
    clock.now += 1000
    assert names(files) == []
    assert files.seconds_to_next() is None
    finish(files, path, done=False, again_seconds=300)
    assert files.seconds_to_next() == 300
    clock.now += 299
    assert names(files) == []
    clock.now += 1
    assert names(files) == ["a.mp4"]
    finish(files, path, done=False)
    path.write_bytes(b"xy")
    assert names(files) == []
    clock.now += 10
    assert names(files) == ["a.mp4"]


def test_results_hidden_files_and_other_files_are_never_ready(
    files: WatchedFolder, clock: Clock, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "sub").mkdir()
    made = tmp_path / "made.mp4"
    for name in (
        "a.2160p.mp4",
        "a.2160p.mp4.vsr.json",
        ".hidden.mp4",
        "a.mp4.part",
        "a.txt",
        "out/b.mp4",
        "made.mp4",
        "sub/a.mp4",
    ):
        (tmp_path / name).write_bytes(b"x")
    files.add_result(made)
    files.ready()
    clock.now += 10
    assert [str(p.relative_to(tmp_path)) for p in files.ready()] == ["sub/a.mp4"]


def test_what_is_known_of_files_that_are_gone_is_forgotten(
    files: WatchedFolder, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"x")
    files.ready()
    finish(files, path, done=True)
    path.unlink()
    files.ready()
    assert not files._handled
    assert not files._since


# --- with real films


def test_a_file_that_is_still_written_is_upscaled_once_when_it_is_complete(
    folders: tuple[Path, Path], film: Path
) -> None:
    """Case 94: half of a file looks like a file, and its size stays for a while."""
    source, output = folders
    data = film.read_bytes()
    with Watched(source, output) as run:
        with open(source / "a.mp4", "wb") as file:
            for start in range(0, len(data), len(data) // 6):
                file.write(data[start : start + len(data) // 6])
                file.flush()
                time.sleep(SETTLE / 3)
        (done,) = run.until(Finished)
        run.looked_again()
    assert Path(done.output) == output / "a.48p.mkv"
    assert [name for name, _ in run.of(Planned)] == ["a.mp4"]
    assert run.of(VsrError) == []


def test_one_bad_file_is_reported_once_does_not_stop_the_rest_and_is_tried_again_when_rewritten(
    folders: tuple[Path, Path], film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 94."""
    source, output = folders
    upscale, tried = watching.upscale_videos, []

    def counted(inputs: Any, *given: Any, **how: Any) -> Iterator[Any]:
        tried.extend(one.path.name for one in inputs)
        return upscale(inputs, *given, **how)

    monkeypatch.setattr(watching, "upscale_videos", counted)
    (source / "a.mp4").write_bytes(b"broken")
    shutil.copy(film, source / "b.mp4")
    with Watched(source, output) as run:
        run.until(Finished)
        shutil.copy(film, source / "c.mp4")
        run.until(Finished, 2)
        assert [name for name, _ in run.of(VsrError)] == ["a.mp4"]
        assert tried.count("a.mp4") == 1
        shutil.copy(film, source / "a.mp4")
        run.until(Finished, 3)
    assert [name for name, _ in run.of(VsrError)] == ["a.mp4"]
    assert sorted(p.name for p in output.glob("*.mkv")) == ["a.48p.mkv", "b.48p.mkv", "c.48p.mkv"]


def test_what_is_done_stays_done_when_watching_begins_again(folders: tuple[Path, Path], film: Path) -> None:
    """Case 94."""
    source, output = folders
    shutil.copy(film, source / "a.mp4")
    with Watched(source, output) as run:
        run.until(Finished)
    made = (output / "a.48p.mkv").stat()
    shutil.copy(film, source / "b.mp4")
    with Watched(source, output) as run:
        run.until(Finished)
        assert [name for name, _ in run.of(AlreadyDone)] == ["a.mp4"]
        assert [name for name, _ in run.of(Finished)] == ["b.mp4"]
    assert (output / "a.48p.mkv").stat().st_mtime_ns == made.st_mtime_ns


def test_the_result_of_a_film_that_was_rewritten_is_made_anew_while_watching_or_not(
    folders: tuple[Path, Path], film: Path, other: Path, tmp_path: Path
) -> None:
    """Case 94."""
    source, output = folders
    shutil.copy(film, source / "a.mp4")
    with Watched(source, output) as run:
        run.until(Finished)
        shutil.copy(other, source / "a.mp4")
        assert [event.frames for event in run.until(Finished, 2)] == [4, 7]
        assert run.of(VsrError) == []
    shutil.copy(film, tmp_path / "new.mp4")
    os.replace(tmp_path / "new.mp4", source / "a.mp4")
    with Watched(source, output) as run:
        assert [event.frames for event in run.until(Finished)] == [4]


@pytest.mark.parametrize("foreign", ["other settings", "another film", "no result"])
def test_what_lies_in_the_place_of_a_result_and_is_not_of_this_film_stays(
    folders: tuple[Path, Path], film: Path, other: Path, foreign: str
) -> None:
    """Case 94: the same film with other settings, another film's result, somebody's own file."""
    source, output = folders
    output.mkdir()
    if foreign == "no result":
        (output / "a.48p.mkv").write_bytes(b"mine")
    else:
        how = {"range": "0-0.1", "output_template": "a.48p.mkv"} if foreign == "other settings" else {}
        first = source / ("a.mp4" if foreign == "other settings" else "a.mov")
        shutil.copy(film if foreign == "other settings" else other, first)
        with Watched(source, output, **how) as run:
            run.until(Finished)
        first.unlink()
    shutil.copy(film, source / "a.mp4")
    before = (output / "a.48p.mkv").read_bytes()
    with Watched(source, output) as run:
        (error,) = run.until(VsrError)
        run.looked_again()
        assert len(run.of(VsrError)) == 1
    assert isinstance(error, UsageError)
    assert "already exists" in str(error)
    assert (output / "a.48p.mkv").read_bytes() == before


def test_results_in_the_watched_folder_itself_are_no_inputs(folders: tuple[Path, Path], film: Path) -> None:
    source, _ = folders
    shutil.copy(film, source / "a.mp4")
    with Watched(source, source) as run:
        run.until(Finished)
        (source / "a.48p.mkv.vsr.json").unlink()
        run.looked_again()
        assert {name for name, _ in run.events} == {"a.mp4"}


def test_subfolders_are_mirrored(folders: tuple[Path, Path], film: Path) -> None:
    source, output = folders
    with Watched(source, output, recursive=True) as run:
        (source / "new" / "deep").mkdir(parents=True)
        shutil.copy(film, source / "new" / "deep" / "a.mp4")
        run.until(Finished)
    assert (output / "new" / "deep" / "a.48p.mkv").exists()


@pytest.mark.parametrize("fate", ["vanishes", "grows"])
def test_a_film_that_vanishes_or_changes_while_it_is_upscaled_is_no_bad_file(
    folders: tuple[Path, Path], film: Path, other: Path, fate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 94."""
    source, output = folders
    path = source / "a.mp4"
    shutil.copy(film, path)
    upscale = watching.upscale_videos

    def meddle(*given: Any, **how: Any) -> Iterator[Any]:
        for one, event in upscale(*given, **how):
            yield one, event
            if isinstance(event, Planned):
                monkeypatch.setattr(watching, "upscale_videos", upscale)
                path.unlink() if fate == "vanishes" else shutil.copy(other, path)

    monkeypatch.setattr(watching, "upscale_videos", meddle)
    with Watched(source, output) as run:
        wait_for(lambda: any("while it was upscaled" in note.text for _, note in run.of(Note)))
        if fate == "grows":
            assert [event.frames for event in run.until(Finished)] == [7]
    assert run.of(VsrError) == []


def test_a_full_disk_is_reported_once_and_tried_again(
    folders: tuple[Path, Path], film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output = folders
    shutil.copy(film, source / "a.mp4")
    upscale, tries = watching.upscale_videos, []

    def full(inputs: Any, *given: Any, **how: Any) -> Iterator[Any]:
        if not inputs:
            return
        tries.append(inputs)
        if len(tries) < 4:
            yield inputs[0].path, OutputError("the disk is full")
        else:
            yield from upscale(inputs, *given, **how)

    monkeypatch.setattr(watching, "_AGAIN_SECONDS", 0.1)
    monkeypatch.setattr(watching, "upscale_videos", full)
    with Watched(source, output) as run:
        run.until(Finished)
    assert len(tries) == 4
    assert len(run.of(VsrError)) == 1


def test_stopped_in_a_film_it_is_interrupted_and_resumed(folders: tuple[Path, Path], tmp_path: Path) -> None:
    source, output = folders
    media.cfr(source / "a.mp4", frames=48)
    with Watched(source, output, chunk_seconds=0.34) as run:
        run.until(Advanced)
        run.stop()
    if run.of(Finished):
        pytest.skip("it was done before it heard")
    assert [name for name, _ in run.of(Interrupted)] == ["a.mp4"]
    assert list(output.glob("*.mkv")) == []
    with Watched(source, output, chunk_seconds=0.34) as run:
        run.until(Finished)
        assert run.of(Planned)[0][1].chunks_done > 0


def test_a_folder_that_goes_away_and_comes_back_is_watched_again(
    folders: tuple[Path, Path], film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 94: a share that is mounted anew."""
    monkeypatch.setattr(folder_changes, "_LOOK_SECONDS", 0.3)
    source, output = folders
    with Watched(source, output) as run:
        run.looked_again()
        source.rename(source.with_name("away"))
        (note,) = run.until(Note)
        run.looked_again()
        source.mkdir()
        monkeypatch.setattr(folder_changes, "_LOOK_SECONDS", 1000.0)
        run.looked_again()
        shutil.copy(film, source / "a.mp4")
        run.until(Finished)
    assert "looked at again until it can be" in note.text
    assert len(run.of(Note)) == 1


@pytest.mark.parametrize("reason", ["share", "watches"])
def test_where_the_system_has_no_events_the_folder_is_looked_at(
    folders: tuple[Path, Path], film: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    """Case 94: a network share, and a system that is out of inotify watches."""
    from watchdog.observers import Observer

    monkeypatch.setattr(folder_changes, "_POLL_SECONDS", 0.2)
    if reason == "share":
        monkeypatch.setattr(folder_changes, "file_system", lambda _: "nfs4")
    else:

        def refuse(*_: Any, **__: Any) -> None:
            raise OSError(28, "inotify watch limit reached")

        monkeypatch.setattr(Observer, "start", refuse)
    source, output = folders
    with Watched(source, output) as run:
        run.until(Note)
        shutil.copy(film, source / "a.mp4")
        run.until(Finished)
    assert "looked at every few seconds" in run.of(Note)[0][1].text


def test_an_event_wakes_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_changes, "_LOOK_SECONDS", 1000.0)
    with FolderChanges(tmp_path) as changes:
        threading.Timer(0.2, (tmp_path / "a.mp4").touch).start()
        changes.wait(threading.Event(), None)  # returns at all


def test_the_kind_of_file_system_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:5 / /mnt/my\\040films rw shared:1 - nfs4 host:/films rw\n3 1 0:6 / /mnt/my rw - tmpfs tmpfs rw\n"
    )
    assert file_system(Path("/mnt/my films/new"), str(table)) == "nfs4"
    assert file_system(Path("/mnt/my filmsy"), str(table)) == "ext4"
    assert file_system(Path("/mnt/my/x"), str(table)) == "tmpfs"
    assert file_system(Path("/x"), str(tmp_path / "absent")) == ""


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        next(watch(WatchOptions(tmp_path / "absent", tmp_path), run_settings(), threading.Event()))
    with pytest.raises(UsageError, match="need a folder"):
        next(watch(WatchOptions(tmp_path, tmp_path / "out.mp4"), run_settings(), threading.Event()))


# --- the command


def watch_command(source: Path, output: Path) -> subprocess.Popen[str]:
    how = (
        "--settle",
        "0.3",
        "--scale",
        "2",
        "--model",
        "lanczos",
        "--codec",
        "ffv1",
        "--device",
        "cpu",
        "--chunk-seconds",
        "0.5",
        "--json",
    )
    return started("watch", source, "-o", output, *how)


def events_until(process: subprocess.Popen[str], kind: str) -> list[str]:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if f'"event": "{kind}"' in line:
            return lines
    raise AssertionError(process.stderr.read() if process.stderr else "")


def test_ctrl_c_ends_it_cleanly_where_nothing_is_under_way(folders: tuple[Path, Path], film: Path) -> None:
    source, output = folders
    shutil.copy(film, source / "a.mp4")
    process = watch_command(source, output)
    try:
        events_until(process, "done")
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 0
        assert process.stderr is not None
        said = process.stderr.read()
        assert "Traceback" not in said
        assert "current chunk" not in said
    finally:
        process.kill()
        process.communicate()
    assert (output / "a.96p.mkv").exists()


def test_a_killed_watch_resumes_the_film_that_was_under_way(folders: tuple[Path, Path]) -> None:
    """Case 94."""
    source, output = folders
    media.cfr(source / "a.mp4", frames=96)
    process = watch_command(source, output)
    events_until(process, "chunk")
    process.kill()
    process.communicate()
    assert not (output / "a.96p.mkv").exists()
    process = watch_command(source, output)
    try:
        lines = events_until(process, "done")
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
    finally:
        process.kill()
        process.communicate()
    assert next(json.loads(line) for line in lines if '"event": "plan"' in line)["chunks_done"] > 0
    assert (output / "a.96p.mkv").exists()
