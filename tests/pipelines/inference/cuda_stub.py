"""A worker for maps that does what its task says, and imports neither torch nor av."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.errors import MediaError, ResourceError
from pipelines.pool.interface import ReadyForNext


class Standin:
    """Gives back every piece doubled; tasks are (word, argument) pairs that may ask for trouble."""

    def __init__(self, setup: dict[str, Any]) -> None:
        if setup.get("broken"):
            raise MediaError("no such weights")
        if setup.get("unready"):
            raise ResourceError("no room for the weights")
        self.facts = {"pid": str(os.getpid()), "class": setup.get("class", "a")}
        self._silent = bool(setup.get("silent"))
        self._marks = Path(setup.get("marks", "/nonexistent"))
        self.pulse = 0

    def run(self, task: tuple[str, Any], pieces: Iterator[Any]) -> Iterator[Any]:
        word, argument = task
        if (
            word == "die"
            or (word == "die once" and self._first(argument))
            or (word == "die times" and self._note(argument[0]) <= argument[1])
        ):
            os.kill(os.getpid(), signal.SIGKILL)
        elif word == "hang once" and self._first(argument):
            time.sleep(3600)
        elif word == "get on in silence":
            for _ in range(round(argument * 20)):
                time.sleep(0.05)
                self.pulse += 1
        elif word == "foreseen":
            raise MediaError("no film")
        elif word == "bug":
            raise ZeroDivisionError("oops")
        elif word == "exhausted once" and self._first(argument):
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        elif word == "exhausted":
            raise ResourceError("no memory")
        elif word == "wait":
            time.sleep(argument)
        elif word == "wait for":
            self._is_there(argument)
        elif word in {"drain", "drain exhausted", "drain exhausted once"}:
            # The end of this task waits for a mark that another one makes, or for the other's death, and
            # maybe some seconds more.
            self._note(argument[0])
            yield ReadyForNext("drains")
            if not self._is_there(argument[1]):
                raise RuntimeError(f"nobody made {argument[1]} while this task came to its end")
            if word == "drain":
                time.sleep(sum(argument[2:]))
            elif word == "drain exhausted" or self._first(argument[2]):
                raise ResourceError("no memory at the end")
        elif word in {"mark", "mark and die", "mark and hang once"}:
            self._note(argument[0])
            (self._marks / argument[1]).touch()
            if word == "mark and die":
                os.kill(os.getpid(), signal.SIGKILL)
            if word == "mark and hang once" and self._first(argument[2]):
                time.sleep(3600)
        elif word == "talk":
            for number in range(argument[0]):
                time.sleep(argument[1])
                yield number
        elif word == "make":
            time.sleep(argument[0])
            yield b"x" * argument[1]
        for piece in pieces:
            if not self._silent:
                yield piece * 2
        if not self._silent:
            yield ("pid", os.getpid())

    def _is_there(self, name: str) -> bool:
        """Whether a mark is made within a minute."""
        until = time.monotonic() + 60
        while not (self._marks / name).exists() and time.monotonic() < until:
            time.sleep(0.02)
        return (self._marks / name).exists()

    def _note(self, name: str) -> int:
        """Note an attempt; its number, from 1."""
        with open(self._marks / name, "a", encoding="utf-8") as file:
            file.write("x")
        return (self._marks / name).stat().st_size

    def _first(self, name: str) -> bool:
        """Whether this is the first time, for any process."""
        try:
            (self._marks / name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True
