"""`RemoteFile`: a file at an s3, gs or https URL, read and written through fsspec.

Nothing is downloaded because of a name alone: only `--allow-url` makes URLs of names.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import MediaError, OutputError, ResourceError, UsageError, missing_package, redacted
from pipelines.storage.atomic_file import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RemoteFile", "Url", "is_url", "parse_json", "refuse_url", "staged_path", "url_digest"]


_IN = ("s3", "gs", "https")
_OUT = ("s3", "gs")
_PIECE_BYTES = 16 << 20
_ATTEMPTS = 3


class Url(str):
    """A URL; not a path, which would merge its slashes."""

    __slots__ = ()


def is_url(text: str) -> bool:
    """Whether a name looks like a URL that could be downloaded."""
    return re.match(r"[a-z][a-z0-9+.-]*://", text) is not None


def refuse_url(text: str) -> None:
    """Raise UsageError for a URL that is not the name of a file, where only files are taken."""
    if isinstance(text, str) and is_url(text) and not os.path.lexists(text):
        raise UsageError(
            f"{text}: only vsr run and vsr plan take addresses (with --allow-url); download the file first"
        )


def staged_path(url: Url, folder: Path) -> Path:
    """The staging path of a URL: always the same, so that a later run resumes."""
    name = posixpath.basename(url.partition("?")[0].rstrip("/"))
    if name in {"", ".", ".."} or "\0" in name:
        raise UsageError(f"{redacted(url)}: names no file")
    return folder / url_digest(url) / name


def url_digest(url: Url) -> str:
    """A short name for a URL."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]


class RemoteFile:
    """A file at a URL, to be read or written."""

    def __init__(self, url: Url, *, write: bool = False) -> None:
        """Raise UsageError if its kind can't be read or written, or the package for it is missing."""
        self.shown = redacted(url)
        self._scheme = scheme = url.partition("://")[0]
        if scheme not in (_OUT if write else _IN):
            raise UsageError(
                f"{self.shown}: can't be {'written' if write else 'read'}; expected"
                f" {', '.join(f'{s}://' for s in (_OUT if write else _IN))}"
            )
        try:
            import fsspec

            options: dict[str, Any] = {"skip_instance_cache": True, "use_listings_cache": False}
            self._fs, self._path = fsspec.core.url_to_fs(url, **options)
        except ImportError as error:
            raise missing_package(
                f"{self.shown}: a remote file", error.name or str(error), "remote"
            ) from error
        except Exception as error:
            raise UsageError(f"{self.shown}: can't be reached: {redacted(str(error))}") from error

    def version(self) -> tuple[int | None, str] | None:
        """Return (bytes, a value that changes with the content), or None if there is no such file.

        Bytes: None if a server doesn't report them (https without Content-Length). Raises ResourceError.
        """
        try:
            found = self._fs.info(self._path)
        except FileNotFoundError:
            return None
        except Exception as error:
            raise ResourceError(f"{self.shown}: can't be asked for: {_said(error)}") from error
        if found.get("type") == "directory":
            return None
        mark = next(
            (str(found[k]) for k in ("ETag", "etag", "md5Hash", "LastModified", "mtime") if found.get(k)), ""
        )
        size = found.get("size")
        return None if size is None else int(size), mark.strip('"')

    def listed(self) -> list[str]:
        """URLs of the files in a folder or of a glob pattern, and of the reports next to them, by name.

        Raises UsageError for https, which has no folders, ResourceError.
        """
        if self._scheme == "https":
            raise UsageError(
                f"{self.shown}: https has no folders to list; give the addresses of files, a * in one as %2A"
            )
        try:
            names = (
                [*self._fs.glob(self._path), *self._fs.glob(f"{self._path}.vsr.json")]
                if "*" in self._path
                else self._fs.ls(self._path, detail=False)
            )
        except FileNotFoundError:
            return []
        except Exception as error:
            raise ResourceError(f"{self.shown}: can't be listed: {_said(error)}") from error
        return [f"{self._scheme}://{name}" for name in sorted(set(names)) if not name.endswith("/")]

    def read(self) -> bytes:
        """Read a small file; empty if there is none."""
        try:
            return bytes(self._fs.cat_file(self._path))
        except Exception:  # noqa: BLE001 - a report that can't be read is no report
            return b""

    def download(self, path: Path) -> Iterator[str]:
        """Download the object to `path`, resuming an interrupted download; yields messages for the user.

        Raises MediaError, ResourceError, OutputError.
        """
        found = self.version()
        if found is None:
            raise MediaError(f"{self.shown}: is not there")
        size, mark = found
        card, part = path.with_name(f"{path.name}.staged.json"), path.with_name(f"{path.name}.part")
        known = _read_card(card)
        is_known = (size is not None or mark) and (known.get("size"), known.get("mark")) == (size, mark)
        if is_known and path.exists() and known.get("sha256") == _sha256(path):
            return
        if not is_known or size is None:
            part.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        write_atomically(card, json.dumps({"url": self.shown, "size": size, "mark": mark}).encode())
        begun = part.stat().st_size if part.exists() else 0
        length = "its server does not say how long it is" if size is None else f"{size / 1e6:.1f} MB"
        yield (
            f"{'resuming' if begun else 'fetching'} {self.shown}:"
            f" {length}{f', {begun / 1e6:.1f} are there' if begun else ''}"
        )
        try:
            if size is None:
                self._fetch_whole(part)
            with open(part, "ab") as file:
                while size is not None and file.tell() < size:
                    piece = self._piece(file.tell(), min(size, file.tell() + _PIECE_BYTES))
                    file.write(piece)
                    file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(
                f"{part}: can't be written: {error.strerror}; free some space, or choose another --staging"
            ) from error
        if self.version() != found:
            part.unlink(missing_ok=True)
            raise ResourceError(f"{self.shown}: changed while it was fetched; give the same command again")
        write_atomically(
            card,
            json.dumps({"url": self.shown, "size": size, "mark": mark, "sha256": _sha256(part)}).encode(),
        )
        os.replace(part, path)

    def _fetch_whole(self, path: Path) -> None:
        """Download a file of unknown length in one go.

        Raises ResourceError, OSError if `path` can't be written.
        """
        last: Exception | None = None
        for _ in range(_ATTEMPTS):
            try:
                self._fs.get_file(self._path, str(path))
            except OSError as error:
                if error.filename is not None or error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS}:
                    raise
                last = error
            except Exception as error:  # noqa: BLE001 - drivers raise what they like
                last = error
            else:
                return
        raise ResourceError(
            f"{self.shown}: can't be fetched: {_said(last)}; the same command begins it again"
        )

    def _piece(self, start: int, stop: int) -> bytes:
        last: Exception | None = None
        for _ in range(_ATTEMPTS):
            try:
                piece = bytes(self._fs.cat_file(self._path, start=start, end=stop))
            except Exception as error:  # noqa: BLE001 - drivers raise what they like
                last = error
                continue
            if len(piece) == stop - start:
                return piece
            last = EOFError(f"{len(piece)} bytes came instead of {stop - start}")
        raise ResourceError(
            f"{self.shown}: can't be fetched: {_said(last)}; what is there is kept, the same command"
            " continues from there"
        )

    def sha256(self, size: int) -> str:
        """SHA-256 of its first bytes. Raises ResourceError."""
        total = hashlib.sha256()
        for start in range(0, size, _PIECE_BYTES):
            total.update(self._piece(start, min(size, start + _PIECE_BYTES)))
        return total.hexdigest()

    def upload(self, path: Path) -> None:
        """Upload a file completely or not at all. Raises ResourceError."""
        last: Exception | None = None
        for _ in range(_ATTEMPTS):
            try:
                self._fs.put_file(str(path), self._path)
            except Exception as error:  # noqa: BLE001
                last = error
                continue
            found = self.version()
            if found is not None and found[0] == path.stat().st_size:
                return
            last = EOFError("its size is another")
        raise ResourceError(
            f"{self.shown}: can't be written: {_said(last)}; the result is kept in {path}; run the same"
            " command again to upload it"
        )


def _read_card(path: Path) -> dict[str, Any]:
    try:
        return parse_json(path.read_bytes())
    except OSError:
        return {}


def parse_json(data: bytes) -> dict[str, Any]:
    """Parse a JSON object; empty if the data is invalid."""
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _said(error: Exception | None) -> str:
    return redacted(" ".join(str(error).split())) or type(error).__name__
