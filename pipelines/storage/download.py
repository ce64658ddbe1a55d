"""`download`: a file at an https URL, with a known SHA-256, resumed after a break, of limited size.

Proxies come from `https_proxy` and `no_proxy`, certificates from the system or `SSL_CERT_FILE`. No login is
ever sent.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import ssl
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

from models.errors import MediaError, OutputError, ResourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["MOST_BYTES", "download", "read_text"]


MOST_BYTES = 2 << 30
_BLOCK_BYTES = 1 << 20
_TIMEOUT_SECONDS = 60
_ATTEMPTS = 3
_MOST_REDIRECTIONS = 5


class _BrokenError(Exception):
    """The connection failed; the received part is kept, and another attempt may complete it."""


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirections to https URLs of any host, as used by release pages.

    The hash proves that it is the right file.
    """

    max_redirections = _MOST_REDIRECTIONS

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        target = urllib.parse.urljoin(req.full_url, headers.get("location") or "")
        if not target.lower().startswith("https://"):
            raise ResourceError(
                f"{req.full_url}: leads on to {target or 'nowhere'}, which is not an https address; it was"
                " not followed"
            )
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def download(address: str, path: Path, *, sha256: str, size: int | None = None) -> Iterator[int]:
    """Download a file to `path`, resuming an earlier call; yields the number of bytes so far.

    sha256: hash of the whole file, in hex. size: in bytes, if known. A file with another hash is never left
    at `path`. Raises UsageError if the URL is not https, MediaError if the server has another file than
    expected, ResourceError if it can't be reached (the received part is kept), OutputError if `path` can't be
    written.
    """
    if not address.startswith("https://"):
        raise UsageError(f"{address}: expected an https address")
    resumed = path.exists()
    while True:
        yield from _complete(address, path, size)
        if _sha256(path) == sha256.lower():
            return
        found = _sha256(path)
        path.unlink()
        if not resumed:
            raise MediaError(
                f"{address}: its SHA-256 is {found}, not {sha256.lower()}; another file lies there now, or it"
                " was changed on its way"
            )
        resumed = False  # the part from an earlier call may be from another file


def read_text(address: str, *, most: int) -> str:
    """Download a small text file.

    Raises UsageError if the URL is not https, ResourceError, MediaError if it is larger or not UTF-8.
    """
    if not address.startswith("https://"):
        raise UsageError(f"{address}: expected an https address")
    try:
        with _open(address, 0) as answer:
            data: bytes = answer.read(most + 1)
        if len(data) > most:
            raise MediaError(f"{address}: is larger than {most / 1e6:.0f} MB")
        return str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise MediaError(f"{address}: is not UTF-8 text") from error
    except _BrokenError as error:
        raise ResourceError(f"{address}: can't be fetched: {error}") from error


def _complete(address: str, path: Path, size: int | None) -> Iterator[int]:
    """Download the missing part, with new attempts as long as each makes progress."""
    failures, there = 0, -1
    while True:
        try:
            yield from _attempt(address, path, size)
        except _BrokenError as error:
            now = path.stat().st_size if path.exists() else 0
            failures, there = (failures + 1 if now <= there else 1), now
            if failures >= _ATTEMPTS:
                kept = f"; {now / 1e6:.1f} MB are kept; run the same command again to continue" if now else ""
                raise ResourceError(f"{address}: can't be fetched: {error}{kept}") from error
        else:
            return


def _attempt(address: str, path: Path, size: int | None) -> Iterator[int]:
    """Make one attempt.

    Raises _BrokenError if the connection ends early, MediaError if the file has another length than expected.
    """
    begun = path.stat().st_size if path.exists() else 0
    if begun == size:
        return
    most = MOST_BYTES if size is None else size
    if begun > most:
        path.unlink()
        begun = 0
    with _open(address, begun) as answer:
        if begun and not (answer.headers.get("Content-Range") or "").startswith(f"bytes {begun}-"):
            begun = 0  # this server starts from the beginning
        told = answer.headers.get("Content-Length")
        total = begun + int(told) if told and told.isdecimal() else None
        if total is not None:
            _refuse_length(address, total, size)
        there = begun
        try:
            with open(path, "ab" if begun else "wb") as file:
                while block := _read(answer):
                    there += len(block)
                    if there > most:
                        break
                    file.write(block)
                    yield there
        except OSError as error:
            raise OutputError(
                f"{path}: can't be written: {error.strerror or error}; free some space, what came is kept"
            ) from error
    if there > most:
        path.unlink()
        raise MediaError(f"{address}: does not end after {most} bytes, as it should; nothing of it was kept")
    wanted = size if size is not None else total
    if wanted is not None and there < wanted:
        raise _BrokenError(f"the connection ended after {there} of {wanted} bytes")


def _refuse_length(address: str, total: int, size: int | None) -> None:
    """Raise MediaError if the server has another length than expected, or more than any file may have."""
    if size is not None and total != size:
        raise MediaError(f"{address}: is {total} bytes long, not {size}; another file lies there now")
    if total > (MOST_BYTES if size is None else size):
        raise MediaError(
            f"{address}: is larger than {MOST_BYTES >> 30} GiB; download it by other means and give the file"
        )


def _read(answer: Any) -> bytes:
    try:
        return bytes(answer.read(_BLOCK_BYTES))
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(_said(error)) from error


@contextlib.contextmanager
def _open(address: str, begin: int) -> Iterator[Any]:
    """Request all bytes from `begin` on.

    Raises _BrokenError, ResourceError if trying again would not help.
    """
    request = urllib.request.Request(address, headers={"User-Agent": "vsr", "Accept-Encoding": "identity"})  # noqa: S310 - https, as checked
    if begin:
        request.add_header("Range", f"bytes={begin}-")
    opener = urllib.request.build_opener(
        _HttpsOnly, urllib.request.HTTPSHandler(context=ssl.create_default_context())
    )
    try:
        answer = opener.open(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if begin and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            with _open(address, 0) as whole:
                yield whole
            return
        if error.code < http.HTTPStatus.INTERNAL_SERVER_ERROR:
            raise ResourceError(f"{address}: the server says {error.code} {error.reason}") from error
        raise _BrokenError(f"the server says {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        if isinstance(reason := getattr(error, "reason", None), ssl.SSLCertVerificationError):
            raise ResourceError(
                f"{address}: its certificate can't be trusted ({reason.verify_message}); behind a company's"
                " proxy, let SSL_CERT_FILE name the company's certificates"
            ) from error
        raise _BrokenError(_said(error)) from error
    try:
        yield answer
    finally:
        answer.close()


def _said(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return str(getattr(reason, "strerror", None) or reason) or type(error).__name__


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
