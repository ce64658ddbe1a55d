"""The one way to write a file: completely or not at all, with the umask, flushed."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models.errors import OutputError
from pipelines.storage import atomic_file
from pipelines.storage.atomic_file import TEMPORARY, write_atomically
from tests.helpers.command import ROOT


def by_safetensors(path: Path) -> None:
    save_file({"a": torch.zeros(3)}, path)


def torn(path: Path) -> None:
    path.write_bytes(b"half")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


WAYS: list[bytes | Callable[[Path], object]] = [b"new", lambda path: path.write_bytes(b"new"), by_safetensors]


@pytest.fixture(params=[0o022, 0o077, 0o002, 0o027])
def mask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.parametrize("content", WAYS)
def test_permissions_are_those_that_the_umask_leaves(
    tmp_path: Path, mask: int, content: bytes | Callable[[Path], object]
) -> None:
    """Case 74: nobody reads or writes what a person's umask shuts them out of."""
    write_atomically(tmp_path / "file", content)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize("content", [torn, b"new"], ids=["writing", "renaming"])
def test_a_failed_write_leaves_the_old_file_and_nothing_next_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | Callable[[Path], object]
) -> None:
    """Case 49."""
    path = tmp_path / "file"
    write_atomically(path, b"old")
    if isinstance(content, bytes):
        monkeypatch.setattr(atomic_file.os, "replace", lambda *_: torn(tmp_path / "elsewhere"))
    with pytest.raises(
        OutputError, match=r"file: can't be written: No space left on device; .*free some space"
    ) as error:
        write_atomically(path, content)
    assert error.value.exit_code == 5
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir() if p.name != "elsewhere"] == ["file"]


def test_what_a_writer_raises_comes_through_and_leaves_nothing(tmp_path: Path) -> None:
    def failing(path: Path) -> None:
        path.write_bytes(b"half")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        write_atomically(tmp_path / "file", failing)
    assert not list(tmp_path.iterdir())


def test_files_that_look_like_ours_in_the_making_are_left_alone(tmp_path: Path) -> None:
    for name in ("file.tmp", "file.partial", ".file.tmp"):
        (tmp_path / name).write_bytes(b"mine")
    write_atomically(tmp_path / "file", b"new")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == dict.fromkeys(
        ("file.tmp", "file.partial", ".file.tmp"), b"mine"
    ) | {"file": b"new"}


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    write_atomically(tmp_path / ("n" * 255), b"new")
    assert (tmp_path / ("n" * 255)).read_bytes() == b"new"


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"mine")
    (tmp_path / "file").symlink_to(tmp_path / "victim")
    write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "victim").read_bytes() == b"mine"
    assert not (tmp_path / "file").is_symlink()


def test_a_folder_that_is_missing_is_made_only_where_that_is_wanted(tmp_path: Path) -> None:
    """A work directory that was deleted comes back with its lock, or not at all."""
    path = tmp_path / "a" / "b" / "file"
    with pytest.raises(OutputError, match="can't be written: No such file or directory"):
        write_atomically(path, b"new")
    assert not list(tmp_path.iterdir())
    write_atomically(path, b"new", parents=True)
    assert path.read_bytes() == b"new"
    with pytest.raises(OutputError, match="can't be written"):
        write_atomically(path / "c", b"new", parents=True)


@pytest.mark.parametrize("content", WAYS)
def test_content_and_name_are_flushed_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | Callable[[Path], object]
) -> None:
    """Case 44: after a power cut there is the old file or the new one."""
    steps = []
    fsync, replace = os.fsync, os.replace

    def flushed(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        steps.append(
            "folder" if path == tmp_path else "content" if re.fullmatch(TEMPORARY, path.name) else path.name
        )
        fsync(descriptor)

    def renamed(source: Path, target: Path) -> None:
        steps.append("name")
        replace(source, target)

    monkeypatch.setattr(atomic_file.os, "fsync", flushed)
    monkeypatch.setattr(atomic_file.os, "replace", renamed)
    write_atomically(tmp_path / "file", content)
    assert steps == ["content", "name", "folder"]


def test_there_is_no_other_way_to_write_a_file_by_another_name() -> None:
    """Shards grow under theirs, results get theirs in `publishing` and `image_sequence`, downloads in
    `object_store`, files of a cluster in `actor`, uploads, which go over no other file, in `film_routes`.
    """
    known = {
        "actor",
        "atomic_file",
        "doctor",
        "film_routes",
        "image_sequence",
        "install",
        "object_store",
        "publishing",
        "shards",
    }
    renaming = re.compile(
        r"os\.replace\(|os\.rename\(|\.rename\(|partial\.replace\(|atomic_file import .*\brename_over\b"
    )
    found = {
        p.stem
        for package in ("vsr", "pipelines", "models")
        for p in (ROOT / package).rglob("*.py")
        if renaming.search(p.read_text())
    }
    assert found == known


def test_a_process_that_is_killed_leaves_a_name_that_is_known(tmp_path: Path) -> None:
    """Case 38."""
    script = f"""
import os, signal
from pathlib import Path
from pipelines.storage.atomic_file import write_atomically
write_atomically(Path({str(tmp_path)!r}) / "file", lambda path: os.kill(os.getpid(), signal.SIGKILL))
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False)
    (left,) = tmp_path.iterdir()
    assert re.fullmatch(TEMPORARY, left.name)
