"""Full or read-only disks, sources that disappear, outputs that are also inputs: nothing is lost.

The command prints one line and ends with the right exit code; it deletes nothing that the run did not make;
the same command continues afterwards, and the result has the bytes of an undisturbed run.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from pipelines.output.journal import work_folder
from tests import media
from tests.end_to_end.test_faults import CHUNKS, OPTIONS, assert_whole, mounted, read_until
from tests.helpers.command import Outcome, started, vsr
from tests.helpers.view import frames


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32 frames with sound, in four chunks of several kilobytes."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return media.write(
        path, media.Film(frames=32, rate=Fraction(25), size=(320, 240)), audio=(media.Audio(seconds=1.28),)
    )


@pytest.fixture(scope="module")
def whole(film: Path) -> bytes:
    """The result of an undisturbed run."""
    output = film.with_name("whole.mp4")
    assert vsr("run", film, "-o", output, *OPTIONS, worker="Plain").code == 0
    return output.read_bytes()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, with room for all."""
    place = tmp_path / "disk"
    mounted(place, "size=80m")
    yield place
    while os.path.ismount(place):  # a test may have bound it to itself
        subprocess.run(["umount", "-l", str(place)], check=True)


def remount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)


def assert_goes_on(film: Path, output: Path, whole: bytes, *kept: str) -> None:
    outcome = vsr("run", film, "-o", output, *OPTIONS, worker="Plain")
    assert outcome.code == 0, outcome.err
    assert output.read_bytes() == whole
    assert set(os.listdir(output.parent)) == {output.name, f"{output.name}.vsr.json", *kept}


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8, 1.2, 1.6])
def test_a_disk_that_fills_up_at_any_point_costs_no_chunk(
    film: Path, whole: bytes, disk: Path, share: float
) -> None:
    """Case 47: in the first chunks, in the journal, while the result is put together."""
    (disk / "mine.txt").write_text("kept")
    output = disk / "out.mp4"
    process = started("run", film, "-o", output, *OPTIONS, worker="Slow")
    read_until(process, "chunk")
    room = os.statvfs(disk)
    left = room.f_bavail * room.f_frsize - int(share * len(whole))
    with contextlib.suppress(OSError):  # the run writes at the same time
        (disk / "of another").write_bytes(bytes(max(0, left)))
    out, err = process.communicate(timeout=120)
    outcome = Outcome(process.returncode, out, err)
    if outcome.code:
        outcome.refused(5)
        assert not output.exists()
        assert set(os.listdir(disk)) <= {"mine.txt", "of another", work_folder(output).name}
    (disk / "of another").unlink()
    assert_goes_on(film, output, whole, "mine.txt")
    assert (disk / "mine.txt").read_text() == "kept"


def test_a_disk_that_turns_read_only_ends_with_5_and_goes_on_afterwards(
    film: Path, whole: bytes, disk: Path
) -> None:
    """Case 50: as kernels do after an error of the device."""
    output = disk / "out.mp4"
    process = started("run", film, "-o", output, *OPTIONS, worker="Slow")
    read_until(process, "chunk")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=False, capture_output=True)
    if os.access(disk, os.W_OK):  # files are open for writing
        subprocess.run(["mount", "--bind", str(disk), str(disk)], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", str(disk)], check=True)
    out, err = process.communicate(timeout=120)
    Outcome(process.returncode, out, err).refused(5)
    subprocess.run(["mount", "-o", "remount,bind,rw", str(disk)], check=False, capture_output=True)
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=False, capture_output=True)
    assert not output.exists()
    assert_goes_on(film, output, whole)


@pytest.mark.parametrize("way", ["itself", "relative", "hard link", "symbolic link", "linked folder"])
def test_an_output_that_is_its_input_by_any_name_is_refused_before_work(
    film: Path, tmp_path: Path, way: str
) -> None:
    source = tmp_path / "in.mp4"
    shutil.copy(film, source)
    content = source.read_bytes()
    target = tmp_path / "other.mp4"
    if way == "itself":
        target = source
    elif way == "relative":
        (tmp_path / "sub").mkdir()
        target = tmp_path / "sub" / ".." / "in.mp4"
    elif way == "hard link":
        os.link(source, target)
    elif way == "symbolic link":
        target.symlink_to(source)
    else:
        (tmp_path / "folder").symlink_to(tmp_path, target_is_directory=True)
        target = tmp_path / "folder" / "in.mp4"
    before = sorted(os.listdir(tmp_path))
    for more in ((), ("--overwrite",), ("--overwrite", "--fresh")):
        vsr("run", source, "-o", target, *OPTIONS, *more, worker="Plain").refused(2)
    assert source.read_bytes() == content
    assert sorted(os.listdir(tmp_path)) == before


def test_two_runs_of_one_output_under_two_names_exclude_each_other(
    film: Path, whole: bytes, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "same").symlink_to(tmp_path / "out", target_is_directory=True)
    first = started("run", film, "-o", tmp_path / "out" / "x.mp4", *OPTIONS, worker="Slow")
    read_until(first, "plan")
    second = vsr("run", film, "-o", tmp_path / "same" / "x.mp4", *OPTIONS, worker="Plain")
    if second.code:
        second.refused(second.code, "another")
    else:
        assert second.event("done")["already"]
    _, err = first.communicate(timeout=120)
    assert first.returncode == 0, err
    assert_whole(tmp_path / "out" / "x.mp4", whole)


@pytest.mark.parametrize("fate", ["deleted", "another film", "cut short", "out of sight"])
def test_a_source_that_goes_away_while_it_is_read_costs_no_chunk(
    film: Path, whole: bytes, tmp_path: Path, fate: str
) -> None:
    """Case 42: a finished result is that of the film as it was, or there is none; the run goes on."""
    source, output = tmp_path / "in" / "in.mp4", tmp_path / "out" / "out.mp4"
    source.parent.mkdir()
    output.parent.mkdir()
    shutil.copy2(film, source)
    process = started("run", source, "-o", output, *OPTIONS, worker="Slow")
    read_until(process, "chunk")
    if fate == "deleted":
        source.unlink()
    elif fate == "another film":
        other = media.write(tmp_path / "other.mp4", media.Film(frames=32, size=(320, 240), first_number=90))
        os.replace(other, source)
    elif fate == "cut short":
        os.truncate(source, source.stat().st_size // 2)
    else:
        source.parent.rename(tmp_path / "away")
    out, err = process.communicate(timeout=120)
    outcome = Outcome(process.returncode, out, err)
    if outcome.code:
        outcome.refused(outcome.code, "in.mp4")
        assert outcome.code in {3, 4}
        assert not output.exists()
        assert os.listdir(output.parent) == [work_folder(output).name]
    else:
        assert output.read_bytes() == whole
    source.parent.mkdir(exist_ok=True)
    shutil.copy2(film, source)
    again = vsr("run", source, "-o", output, *OPTIONS, worker="Plain")
    assert again.code == 0, again.err
    assert [f.digest for f in frames(output)] == [f.digest for f in frames(film.with_name("whole.mp4"))]


@pytest.mark.parametrize("place", ["/nonexistent", "/proc"])
def test_a_folder_for_temporary_files_that_can_not_be_written_is_not_needed(
    film: Path, whole: bytes, tmp_path: Path, place: str
) -> None:
    outcome = vsr("run", film, "-o", tmp_path / "out.mp4", *OPTIONS, worker="Plain", TMPDIR=place)
    assert outcome.code == 0, outcome.err
    assert_whole(tmp_path / "out.mp4", whole)


def test_chunks_from_the_future_are_kept(film: Path, whole: bytes, tmp_path: Path) -> None:
    """A clock that was put back between a stop and the same command."""
    source, output = tmp_path / "in.mp4", tmp_path / "out" / "out.mp4"
    output.parent.mkdir()
    shutil.copy2(film, source)
    os.utime(source, (4_000_000_000, 4_000_000_000))
    process = started("run", source, "-o", output, *OPTIONS, worker="Slow")
    read_until(process, "chunk")
    process.terminate()
    process.communicate(timeout=120)
    done = sorted(path.name for path in work_folder(output).iterdir())
    for path in work_folder(output).rglob("*"):
        os.utime(path, (4_000_000_000, 4_000_000_000))
    outcome = vsr("run", source, "-o", output, *OPTIONS, worker="Plain")
    assert outcome.code == 0, outcome.err
    assert len(done) > 1
    assert len([e for e in outcome.events if e["event"] == "chunk"]) < CHUNKS
    assert_whole(output, whole)
