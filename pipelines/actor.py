"""`Station`: what lives in an actor's process: one worker at a time, fed and asked by the driver over there. See `cluster.py`."""

from __future__ import annotations

import gc
import hashlib
import os
import pickle
import queue
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray.util.metrics import Counter

from models.errors import ResourceError
from pipelines.work import SILENCE_SECONDS, as_told, make_worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.work import Worker

__all__ = ["Station", "code_digest"]

_ROOT = Path(__file__).resolve().parents[1]
_FED = 2
"""Parts of a long input that may wait in the actor."""


def code_digest() -> str:
    """Hash of our own source; driver and workers must agree in it."""
    digest = hashlib.sha256()
    for package in ("models", "pipelines"):
        for path in sorted((_ROOT / package).glob("*.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


class Station:
    """Makes a worker of a setup, and runs one task at a time.

    `prepare` and `run` go one after the other; `hello`, `feed` and `withdraw` beside them, in a thread of their own.
    """

    def __init__(self) -> None:
        self._worker: Worker | None = None
        self._lock = threading.Lock()
        self._begun: set[int] = set()
        self._withdrawn: set[int] = set()
        self._inputs: dict[int, queue.Queue[tuple[bytes, bool]]] = {}
        self._counters: dict[str, Any] = {}

    def hello(self) -> dict[str, Any]:
        """Who this is."""
        context = ray.get_runtime_context()
        devices = [d for ids in context.get_accelerator_ids().values() for d in ids]
        return {"host": socket.gethostname(), "pid": os.getpid(), "node": context.get_node_id(), "devices": devices, "code": code_digest()}

    def stay(self) -> None:
        """Never return: the driver sees this call fail when the process ends."""
        threading.Event().wait()

    def prepare(self, worker: str, setup: bytes, files: dict[str, list[Any]]) -> tuple[str, Any]:
        """Make a worker: ("facts", its facts) or ("error", what it raised). files: name, a SHA-256 first -> where the bytes are."""
        self._worker = None  # two at once may not fit
        try:
            made = pickle.loads(setup)  # noqa: S301 - from our driver
            if files:
                made = made.placed({name: _kept(name, refs[0]) for name, refs in files.items()})
            self._worker = make_worker(worker, made)
            gc.collect()  # of an earlier worker
            gc.freeze()  # what is there now stays; later collections need not look through all of torch
        except BaseException as error:  # noqa: BLE001 - told to the driver
            return "error", as_told(error)
        return "facts", self._worker.facts

    def run(self, number: int, payload: Any, whole: bool, *parts: bytes) -> Iterator[tuple[str, Any]]:
        """Work on a task: ("item", value)…, then ("last", value); ("done", None) where there was none, or ("error", what was raised).

        An item is held until the next one comes, so that the driver learns with the last one that it was: one message less a task.
        whole: no more input will be fed.
        """
        with self._lock:
            self._begun.add(number)
            if number in self._withdrawn:
                return
        incoming = self._pieces(number, parts, whole)
        held: list[Any] = []
        try:
            assert self._worker is not None
            for item in self._worker.run(payload, incoming):
                self._count(item)
                if held:
                    yield "item", held.pop()
                held.append(item)
            for _ in incoming:
                pass
            yield ("last", held.pop()) if held else ("done", None)
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - told to the driver
            yield "error", as_told(error)
        finally:
            with self._lock:
                self._inputs.pop(number, None)

    def _pieces(self, number: int, parts: tuple[bytes, ...], whole: bool) -> Iterator[Any]:
        for part in parts:
            yield pickle.loads(part)  # noqa: S301 - from our driver
        line = self._line(number)
        while not whole:
            try:
                part, whole = line.get(timeout=SILENCE_SECONDS)
            except queue.Empty:
                raise ResourceError(f"no input came for {SILENCE_SECONDS:.0f} s") from None
            if part:
                yield pickle.loads(part)  # noqa: S301 - from our driver

    def _line(self, number: int) -> queue.Queue[tuple[bytes, bool]]:
        with self._lock:
            return self._inputs.setdefault(number, queue.Queue(maxsize=_FED))

    def feed(self, number: int, last: bool, part: bytes) -> bool:
        """More input of a task; whether it was taken (else it is to be sent again)."""
        try:
            self._line(number).put((part, last), timeout=0.5)
        except queue.Full:
            return False
        return True

    def _count(self, item: Any) -> None:
        """Counters of the cluster's own monitoring, for items that have something to count."""
        for name, tags, amount in getattr(item, "counts", tuple)():
            if name not in self._counters:
                self._counters[name] = Counter(name, tag_keys=tuple(tags))
            if amount > 0:
                self._counters[name].inc(amount, tags=tags)

    def withdraw(self, number: int) -> bool:
        """Take a task back that was not begun; whether it was not."""
        with self._lock:
            self._withdrawn.add(number)
            return number not in self._begun


def _kept(name: str, ref: Any) -> Path:
    """A file whose SHA-256 its name begins with, on this machine; fetched if there is none yet."""
    private = os.environ.get("VSR_RAY_FOLDER")  # goes with the private cluster
    folder = Path(private) / "files" if private else Path("/tmp") / f"vsr-files-{os.getuid()}"  # noqa: S108 - content is checked by hash
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / name
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise ResourceError(f"{folder}: does not belong to us; remove it")
    if path.is_symlink() or not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != path.stem:
        partial = folder / f"{name}.{os.getpid()}"
        partial.write_bytes(ray.get(ref))
        os.replace(partial, path)
    return path
