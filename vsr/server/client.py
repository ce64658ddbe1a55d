"""Calls to a server, for `vsr submit` and `vsr jobs`."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

from models.errors import ResourceError, UsageError, VsrError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Client", "token_of"]


_SECONDS = 30.0


class Client:
    """A server by its address and token."""

    def __init__(self, address: str, token: str) -> None:
        """address: such as http://127.0.0.1:8787. Raises UsageError if it is not the address of a server."""
        found = urllib.parse.urlsplit(address)
        if found.scheme not in {"http", "https"} or not found.hostname:
            raise UsageError(f"--server {address}: expected an address such as http://127.0.0.1:8787")
        self._base = f"{found.scheme}://{found.netloc}"
        self._token = token or (urllib.parse.parse_qs(found.query).get("token") or [""])[0]

    def submit(self, path: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Queue a film by its path below a root; returns the job."""
        job: dict[str, Any] = self._call("POST", "/api/v1/jobs", {"path": path, "settings": dict(settings)})
        return job

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs, in their order."""
        jobs: list[dict[str, Any]] = self._call("GET", "/api/v1/jobs")
        return jobs

    def job(self, job_id: str) -> dict[str, Any]:
        """One job."""
        job: dict[str, Any] = self._call("GET", f"/api/v1/jobs/{urllib.parse.quote(job_id, safe='')}")
        return job

    def act(self, job_id: str, action: str) -> dict[str, Any]:
        """Pause, resume, cancel or retry a job."""
        job: dict[str, Any] = self._call(
            "POST", f"/api/v1/jobs/{urllib.parse.quote(job_id, safe='')}/{action}"
        )
        return job

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = json.dumps(body).encode() if body is not None else (b"" if method == "POST" else None)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self._base + path, data=data, method=method, headers=headers)  # noqa: S310 - http(s), see above
        opener = urllib.request.build_opener(_NoRedirect)
        try:
            with opener.open(request, timeout=_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise _refusal(error, self._base) from error
        except (OSError, ValueError) as error:
            why = getattr(error, "reason", None) or error
            raise ResourceError(
                f"{self._base}: can't be reached: {getattr(why, 'strerror', None) or why}; start `vsr serve`"
                " there, or give another address with --server"
            ) from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses redirections, so that the token is sent to the given server only."""

    def redirect_request(self, *args: Any, **more: Any) -> None:
        """Refuse the redirection."""
        del args, more


def _refusal(error: urllib.error.HTTPError, base: str) -> VsrError:
    """The server's error message, with its exit code."""
    try:
        told = json.load(error)
        text, exit_code = str(told["error"]), int(told["exit_code"])
    except (ValueError, KeyError, TypeError):
        text, exit_code = (
            f"{base}: answers {error.code}, which is not from vsr serve; check which server that is",
            2,
        )
    if error.code == 401:
        text = f"{base}: no valid token; give VSR_TOKEN, or --token-file with the file that vsr serve wrote"
    refused = UsageError(text)
    refused.exit_code = exit_code
    return refused


def token_of(file: Path | None, default: Path) -> str:
    """The token: from the given file, else VSR_TOKEN, else of this user's server here. Raises UsageError."""
    if file is None and os.environ.get("VSR_TOKEN"):
        return os.environ["VSR_TOKEN"].strip()
    place = file or default
    try:
        return place.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        if file is None:
            return ""
        raise UsageError(
            f"--token-file {file}: can't be read: {getattr(error, 'strerror', None) or 'is no ASCII text'}"
        ) from error
