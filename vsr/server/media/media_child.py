"""A child that reads films, so that no parser of untrusted files runs in the server itself.

Requests come as JSON objects on standard input, one per line; answers go to standard output. The child has no
access to sockets or other processes, and it ends when the server does.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

__all__ = ["main"]


def _probe(path: str) -> dict[str, Any]:
    from pipelines.probe.probe import probe
    from vsr.views.probe_view import info_table, info_words

    info = probe(Path(path))
    table = info_table(info)
    return {**table, "words": info_words(info), "duration": table["seconds"], "rate": float(info.rate)}


def _output(path: str, output: str | None, settings: dict[str, Any]) -> dict[str, Any]:
    from pipelines.planner.video_planner import expected_output
    from vsr.flat_settings import run_settings

    own = {name: value for name, value in settings.items() if name not in {"output", "overwrite"}}
    made, source = run_settings(**own), Path(path)
    found = expected_output(source, Path(output) if output is not None else None, made)
    return {"output": str(found) if found is not None else None}


def _still(path: str, seconds: float, width: int) -> dict[str, Any]:
    from pipelines.diagnostics.film_still import still_frame

    return {"jpeg": base64.b64encode(still_frame(Path(path), seconds, width)).decode()}


def _pair(output: str, chunk: int) -> dict[str, Any]:
    from pipelines.diagnostics.film_still import latest_pair

    pair = latest_pair(Path(output), not_chunk=chunk)
    if pair is None:
        return {}
    return {
        "chunk": pair.chunk,
        "before": base64.b64encode(pair.before).decode(),
        "after": base64.b64encode(pair.after).decode(),
    }


_LONGEST_SECONDS = 90
_CALLS: dict[str, Any] = {"probe": _probe, "output": _output, "still": _still, "pair": _pair}


def _end_after(seconds: int) -> None:
    """Let the system end this process after some time, even if the server is gone.

    0: cancel this.
    """
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def main() -> None:
    """Answer until standard input closes."""
    from models.errors import VsrError
    from models.sandbox import with_bounded_memory, without_network

    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # output of libraries must not mix with answers
    without_network()
    with_bounded_memory()
    for line in sys.stdin:
        asked = json.loads(line)
        _end_after(_LONGEST_SECONDS)
        try:
            found = _CALLS[asked["call"]](*asked["arguments"])
        except VsrError as error:
            found = {"error": str(error), "exit_code": error.exit_code}
        except Exception as error:  # noqa: BLE001 - a file no parser was ready for
            found = {
                "error": f"{asked['arguments'][0]}: can't be looked into: {type(error).__name__}: {error}",
                "exit_code": 3,
            }
        _end_after(0)
        print(json.dumps(found), file=answers, flush=True)


if __name__ == "__main__":
    main()
