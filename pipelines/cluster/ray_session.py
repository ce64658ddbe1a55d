"""`RaySession`: connects this process as a driver to a private Ray cluster or to an existing one.

A private cluster listens on the loopback interface only, has a token and no dashboard, and keeps its files in
a separate folder. It is removed completely when the session ends or this process is killed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import ResourceError, UsageError
from pipelines.cluster.ray_internals import (
    ALWAYS,
    OF_A_PRIVATE_CLUSTER,
    job_config,
    private_options,
    silent_driver,
)
from pipelines.hardware.resources import usable_cores
from pipelines.settings.option_values import local_workers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["ClusterResources", "RaySession", "open_session", "reap"]


_ROOT = Path(__file__).resolve().parents[2]
_FOLDERS = "vsr-ray-"
_MARK = "VSR_RAY_FOLDER"
"""Variable that identifies the processes of a private cluster."""
_GRACE_SECONDS = 3.0
"""Time for processes to end by themselves."""
_STORE_BYTES = 1 << 30
_LEAST_STORE_BYTES = 75 << 20
"""OBJECT_STORE_MINIMUM_MEMORY_BYTES of Ray."""
_TOKEN = secrets.token_hex(32)
"""Token of all private clusters of this process; Ray reads it, and the other variables, once when it is
loaded."""
_LOADED_PRIVATELY: list[bool] = []
_LOCK = threading.Lock()


@dataclass(frozen=True)
class ClusterResources:
    """Resources of a private cluster."""

    devices: int = 0
    """GPUs of this machine that may be used."""
    environment: Mapping[str, str] = field(default_factory=dict)
    spare_cpus: int = 0
    """CPUs beyond the workers' share."""


def open_session(
    address: str,
    resources: ClusterResources,
    *,
    workers: int | None,
    cpus_per_worker: float | None,
    usual: int,
) -> tuple[RaySession, int | None, float | None]:
    """Open a session for an address of the command line: (session, most workers, CPUs of each or None).

    address: "local" or "local:N", a private cluster on this machine with N workers; "auto" or HOST:PORT, an
    existing one. workers: maximum number; None: the number in the address. usual: default number of
    workers of a private cluster.
    """
    if address.partition(":")[0] != "local":
        return RaySession(address), workers, cpus_per_worker
    count = local_workers(address)
    cores = usable_cores()
    most = min([n for n in (count, workers) if n], default=usual)
    cpus = cpus_per_worker or max(1, cores // most)
    session = RaySession(
        "local",
        cpus=max(cores, most * cpus) + resources.spare_cpus,
        gpus=resources.devices,
        environment=dict(resources.environment),
    )
    return session, most, cpus


class RaySession:
    """A connection to Ray that ends with the context. A process can have one at a time."""

    def __init__(
        self,
        address: str,
        *,
        cpus: float | None = None,
        gpus: float | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        """Start or join a cluster.

        address: "local", "auto" (the cluster this machine belongs to) or HOST:PORT. cpus, gpus: resources of
        a private one; None: all. environment: variables of its workers, if it is private. Raises UsageError
        if the address can't be joined from here, ResourceError if Ray does not start.
        """
        if address.startswith("ray://"):
            raise UsageError(
                f"--cluster {address}: Ray's client protocol is not used; start vsr on a machine of the"
                " cluster, with --cluster auto"
            )
        if not _LOCK.acquire(blocking=False):
            raise UsageError("--cluster: this process is connected to a cluster already; one at a time")
        self.address, self.private = address, address == "local"
        self._folder: Path | None = None
        self._reaper: subprocess.Popen[bytes] | None = None
        self._before: dict[str, str | None] = {}
        self._undo = contextlib.ExitStack()
        """Restores the state of this process when the session ends."""
        try:
            with _own_signals():
                self._undo.enter_context(_own_logging())
                if self.private:
                    self._start(cpus, gpus, environment or {})
                else:
                    self._join(address)
        except BaseException:
            self.close()
            raise

    @property
    def guarded(self) -> bool:
        """Whether the cluster requires a token."""
        return os.environ.get("RAY_AUTH_MODE", "").lower() == "token" or self.private

    def _start(self, cpus: float | None, gpus: float | None, environment: dict[str, str]) -> None:
        if "ray" in sys.modules and not _LOADED_PRIVATELY:
            raise UsageError(
                "--cluster local: this process has loaded Ray before, without a token; start the private"
                " cluster first"
            )
        # It contains sockets, and their paths may have only about a hundred bytes, so TMPDIR is not used.
        self._folder = Path(tempfile.mkdtemp(prefix=_FOLDERS, dir="/tmp"))
        path = os.pathsep.join(p for p in (str(_ROOT), os.environ.get("PYTHONPATH", "")) if p)
        bootstrap = (
            f"import sys; sys.path[:0] = [{str(_ROOT)!r}]; from pipelines.cluster.ray_session import reap;"
            f" reap({str(self._folder)!r})"
        )
        # In a separate process group, so Ctrl-C in the terminal does not reach it.
        self._reaper = subprocess.Popen(
            [sys.executable, "-P", "-c", bootstrap], stdin=subprocess.PIPE, start_new_session=True
        )
        variables = {
            **ALWAYS,
            **OF_A_PRIVATE_CLUSTER,
            "RAY_AUTH_TOKEN": _TOKEN,
            "PYTHONPATH": path,
            _MARK: str(self._folder),
            **environment,
        }
        with self._environment(variables):
            _LOADED_PRIVATELY.append(True)
            self._init(
                address="local",
                num_cpus=cpus,
                num_gpus=gpus,
                object_store_memory=_store_bytes(),
                include_dashboard=False,
                **private_options(self._folder),
            )

    def _join(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        if port.isdecimal():
            try:  # Ray itself tries for minutes
                socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
            except OSError as error:
                raise UsageError(
                    f"--cluster {address}: nothing answers there ({error.strerror or error}); expected the"
                    " address that `ray start --head` tells"
                ) from error
        with self._environment(ALWAYS):
            self._init(address=address)

    def _init(self, **options: Any) -> None:
        import ray

        self._undo.enter_context(silent_driver())
        try:
            ray.init(
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                namespace="vsr",
                job_config=job_config(_ROOT),
                **options,
            )
            logging.getLogger("ray").setLevel(logging.CRITICAL)
        except Exception as error:
            text = (str(error).strip().splitlines() or [repr(error)])[0]
            if self.private:
                raise ResourceError(f"--cluster local: Ray does not start here ({text})") from error
            host = socket.gethostname()
            raise UsageError(
                f"--cluster {options['address']}: can't be joined from {host} ({text}); the machine must be"
                " part of the cluster (`ray start --address=HEAD:6379 --num-cpus=0` lends none of its own"
                " cores), with the cluster's RAY_AUTH_TOKEN"
            ) from error

    @contextlib.contextmanager
    def _environment(self, variables: dict[str, str]) -> Iterator[None]:
        """Set variables for processes started inside the context.

        Variables of Ray stay set until the session ends, because Ray's threads read them later.
        """
        self._before = {key: os.environ.get(key) for key in variables}
        os.environ.update(variables)
        try:
            yield
        finally:
            self._restore([key for key in variables if not key.startswith("RAY_")])

    def _restore(self, keys: list[str]) -> None:
        for key in keys:
            value = self._before.pop(key)
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value

    def __enter__(self) -> RaySession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the cluster; a private one is ended, with all its files."""
        if not _LOCK.locked():
            return
        try:
            with _own_signals():
                import ray

                ray.shutdown()
            if self._reaper is not None:
                self._reaper.communicate()
        finally:
            self._undo.close()
            self._restore(list(self._before))
            _LOCK.release()


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Undo Ray's handler for SIGTERM, which would end the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _own_logging() -> Iterator[None]:
    """Keep Ray's warnings out of the output; afterwards its logger is restored."""
    logger = logging.getLogger("ray")
    before = logger.level, logger.propagate, [*logger.handlers]
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        level, logger.propagate, logger.handlers[:] = before
        logger.setLevel(level)


def _store_bytes() -> int:
    """Size of Ray's object store: up to half of /dev/shm, or of the disk if that is small.

    Docker's /dev/shm has 64 MB; Ray then uses the disk. Raises ResourceError if both are too small.
    """
    room = 0
    for place in ("/dev/shm", tempfile.gettempdir()):  # noqa: S108 - the places of Ray's object store
        with contextlib.suppress(OSError):
            room = shutil.disk_usage(place).free // 2
            if room >= _LEAST_STORE_BYTES:
                return min(_STORE_BYTES, room)
    raise ResourceError(
        f"--cluster local: Ray's object store needs {2 * _LEAST_STORE_BYTES / 1e6:.0f} MB of /dev/shm or of"
        f" {tempfile.gettempdir()}, half as much is not free; free some space, or leave --cluster out"
    )


def reap(folder: str) -> None:
    """End the remaining processes of a private cluster, and delete its folder, when standard input ends.

    Standard input ends when the driver does.
    """
    sys.stdin.buffer.read()
    until = time.monotonic() + _GRACE_SECONDS
    while (left := _processes_of(folder)) and time.monotonic() < until:
        time.sleep(0.05)
    while left:
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
        left = _processes_of(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _processes_of(folder: str) -> list[int]:
    """Running processes that were started for this private cluster, whatever their names."""
    mark = f"{_MARK}={folder}\0".encode()
    found = []
    for place in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in place.read_bytes():
                found.append(int(place.parent.name))
    return found
