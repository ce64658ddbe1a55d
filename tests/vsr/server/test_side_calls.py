"""Child processes that read files for the server.

Their number and time are limited, and one that hangs is replaced.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.processes import gone
from vsr.server.media.side_calls import BusyError, CommandCalls, ConcurrencyLimit, MediaCalls, RefusedError
from vsr.server.roots import Roots


@pytest.fixture
def media_calls(films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MediaCalls]:
    monkeypatch.setattr(MediaCalls, "IDLE_SECONDS", 3600.0)
    calls = MediaCalls(Roots([films]), tmp_path)
    yield calls
    calls.close()


def test_a_file_that_makes_its_process_hang_is_refused_and_the_next_one_is_not(
    media_calls: MediaCalls, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = str(films / "a.mp4")
    assert media_calls("still", film, 0.0, 64)["jpeg"]
    child = media_calls._child
    assert child is not None
    os.kill(child.pid, signal.SIGSTOP)
    monkeypatch.setattr(MediaCalls, "SECONDS", 0.5)
    with pytest.raises(RefusedError, match=r"films/a\.mp4: takes longer than 0 s to be looked into"):
        media_calls("still", film, 0.0, 64)
    assert gone([child.pid])
    monkeypatch.setattr(MediaCalls, "SECONDS", 60.0)
    assert media_calls("still", film, 0.0, 64)["jpeg"]


def test_a_file_that_makes_its_process_crash_is_refused(media_calls: MediaCalls, films: Path) -> None:
    film = str(films / "a.mp4")
    media_calls("still", film, 0.0, 64)
    assert media_calls._child is not None
    media_calls._child.kill()
    with pytest.raises(RefusedError, match="crash"):
        while True:  # until it is dead
            media_calls._child.poll = lambda: None  # type: ignore[method-assign, union-attr]
            media_calls("still", film, 0.0, 64)
    assert media_calls("still", film, 0.0, 64)["jpeg"]


def test_a_command_that_takes_too_long_is_ended(films: Path, tmp_path: Path) -> None:
    calls = CommandCalls(Roots([films]), tmp_path)
    with pytest.raises(RefusedError, match="took longer than 0 s") as caught:
        calls("plan", str(films / "a.mp4"), "--json", seconds=0.05)
    assert caught.value.exit_code == 6
    assert not calls._children


def test_too_many_at_once_are_refused() -> None:
    turns = ConcurrencyLimit(at_once=1, waiting=0)
    with turns.one(), pytest.raises(BusyError), turns.one():
        pass
    with turns.one():
        pass
