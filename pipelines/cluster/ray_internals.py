"""Everything that is used beyond Ray's public interface.

tests/pipelines/cluster/test_ray_internals.py checks it against the installed Ray. The rest of this package
calls only what docs.ray.io documents.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ray.job_config import JobConfig

__all__ = ["ALWAYS", "OF_A_PRIVATE_CLUSTER", "TRIED", "job_config", "private_options", "silent_driver"]


TRIED = ("2.54.0", "2.60.0")
"""Tested versions of Ray: the oldest that pyproject.toml allows, and the newest."""

ALWAYS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_enable_worker_prestart": "0",
}
"""Environment variables, which Ray reads when it is loaded."""
OF_A_PRIVATE_CLUSTER = {
    "RAY_AUTH_MODE": "token",
    # Ray's switch for "no cluster": everything listens on 127.0.0.1
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_prestart_worker_first_driver": "0",  # unused workers cost seconds at the start
    "RAY_worker_niceness": "0",  # as a child of ours would run; Ray's own default is 15
}


def private_options(folder: Path) -> dict[str, Any]:
    """Options of `ray.init`: listen on the loopback interface only, keep all files in a folder."""
    return {"_node_ip_address": "127.0.0.1", "_temp_dir": str(folder)}


def job_config(root: Path) -> JobConfig:
    """A job configuration with which workers import our packages from the driver's path."""
    from ray.job_config import JobConfig

    return JobConfig(_py_driver_sys_path=[str(root)])


@contextlib.contextmanager
def silent_driver() -> Iterator[None]:
    """Suppress Ray's messages about dead workers on standard output, which is reserved for events.

    vsr reports dead workers itself. `log_to_driver=False` only silences the output of workers. Nothing is
    suppressed if this version of Ray has no `print_to_stdstream`.
    """
    import ray

    worker: Any = getattr(getattr(ray, "_private", None), "worker", None)
    if not hasattr(worker, "print_to_stdstream"):
        yield
        return
    said = worker.print_to_stdstream
    worker.print_to_stdstream = lambda *_, **__: None
    try:
        yield
    finally:
        worker.print_to_stdstream = said
