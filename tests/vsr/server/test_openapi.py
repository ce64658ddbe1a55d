"""Requests that Schemathesis generates from the server's own description.

None may end with status 500, and answers must match the description.

VSR_EXAMPLES: the maximum of requests per call; VSR_SECONDS: the duration; VSR_SEED: other requests. By
default, commands end at once with an error; with VSR_WORKER=Plain they are real.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.figures import record
from tests.helpers.serving import TOKEN, Server

pytest.importorskip("schemathesis", reason="schemathesis is not installed")

SECONDS = int(os.environ.get("VSR_SECONDS", "25"))
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.mark.timeout(0 if SECONDS > 25 else 300)
def test_no_request_ends_with_500_and_answers_are_as_described(films: Path, tmp_path: Path) -> None:
    """Case 100."""
    server = Server([films], tmp_path / "data", worker=os.environ.get("VSR_WORKER", "Refusing")).start()
    given = [
        *("--header", f"Authorization: Bearer {TOKEN}", "--checks", CHECKS, "--continue-on-failure"),
        *("--max-time", str(SECONDS), "--max-examples", os.environ.get("VSR_EXAMPLES", "12")),
        *(
            "--phases",
            "examples,fuzzing",
            "--seed",
            os.environ.get("VSR_SEED", "1"),
            "--no-color",
            "--warnings",
            "off",
        ),
        *("--exclude-path", "/api/v1/events"),  # it does not end
        *("--exclude-path", "/api/v1/doctor"),  # it has no parameters, and takes long
        *("--suppress-health-check", "all", "--generation-database", "none", "--request-timeout", "120"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", f"{server.base}/openapi.json", *given],
        cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS + 600, check=False,
    )  # fmt: skip
    server.stop()
    assert "Exception in ASGI application" not in (server.data / "log").read_text()
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    count = re.search(r"(\d+) generated", done.stdout)
    assert count is not None, done.stdout[-3000:]
    record(serve_requests=int(count[1]))
