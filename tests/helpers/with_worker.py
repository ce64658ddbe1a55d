"""Runs the command line with another worker.

`python -m tests.helpers.with_worker CLASS run ...`; CLASS is from tests/pipelines/pool/fast_workers.py, or
given as MODULE:CLASS.

VSR_TEST_SILENCE: seconds of silence after which a worker with a task is considered hung.
VSR_TEST_MUX_SIGNAL: a signal that the command gets when the first packet of the result is written,
VSR_TEST_MUX_TWICE: and the same signal a second time.
"""

from __future__ import annotations

import functools
import os
import sys
from typing import Any

from pipelines.pool import process_pool
from pipelines.run import job, publishing
from vsr.cli.main import main as command


def main() -> None:
    """Run the command."""
    name, *arguments = sys.argv[1:]
    worker = name if ":" in name else f"tests.pipelines.pool.fast_workers:{name}"
    job.Job = functools.partial(job.Job, worker=worker)  # type: ignore[assignment,misc]
    if "VSR_TEST_SILENCE" in os.environ:
        process_pool._Server._listen = _impatient(
            process_pool._Server._listen, float(os.environ["VSR_TEST_SILENCE"])
        )  # type: ignore[method-assign]
    if "VSR_TEST_MUX_SIGNAL" in os.environ:
        start = publishing.assemble  # not the trial before work

        def signalled(*given: Any, **named: Any) -> Any:
            for _ in range(1 + ("VSR_TEST_MUX_TWICE" in os.environ)):
                os.kill(os.getpid(), int(os.environ["VSR_TEST_MUX_SIGNAL"]))
            return start(*given, **named)

        publishing.assemble = signalled
    command(arguments)


def _impatient(run: Any, seconds: float) -> Any:
    def patched(*given: Any) -> None:
        usual, process_pool.SILENCE_SECONDS = process_pool.SILENCE_SECONDS, seconds
        try:
            run(*given)
        finally:
            process_pool.SILENCE_SECONDS = usual

    return patched


if __name__ == "__main__":
    main()
