"""Files that lie elsewhere: staged to disk, hashed, then opened; results go up when they are verified. By fsspec, and only when asked.

Nothing here is reached by a name alone: `--allow-url` is what makes an address of a name.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import MediaError, OutputError, ResourceError, UsageError, VerificationError
from pipelines.atomic_file import write_atomically
from pipelines.events import AlreadyDone, Event, Finished, Note, Planned
from pipelines.naming import report_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Remote", "Trip", "Url", "digest", "is_url", "redacted", "staged_path", "upscale_remote"]

_IN = ("s3", "gs", "https")
_OUT = ("s3", "gs")
_PIECE_BYTES = 16 << 20
_ATTEMPTS = 3


class Url(str):
    """An address; not a path, which would fold its slashes."""

    __slots__ = ()


def is_url(text: str) -> bool:
    """Whether it looks like an address that could be fetched."""
    return re.match(r"[a-z][a-z0-9+.-]*://", text) is not None


def redacted(text: str) -> str:
    """A text without what addresses in it may give away: names and passwords before the host, signatures behind the path."""
    return re.sub(r"([a-z][a-z0-9+.-]*://)[^/\s@]*@", r"\1", re.sub(r"([a-z][a-z0-9+.-]*://[^\s?#]*)[?#]\S*", r"\1", text))


def staged_path(url: Url, folder: Path) -> Path:
    """Where an address is staged: the same place each time, so that a later run goes on there."""
    name = posixpath.basename(url.partition("?")[0].rstrip("/"))
    if name in {"", ".", ".."} or "\0" in name:
        raise UsageError(f"{redacted(url)}: names no file")
    return folder / digest(url) / name


def digest(url: Url) -> str:
    """A short name for an address."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]


class Remote:
    """One file elsewhere."""

    def __init__(self, url: Url, *, write: bool = False) -> None:
        """Raises UsageError where its kind can't be read or written, or the package for it is missing."""
        self.shown = redacted(url)
        scheme = url.partition("://")[0]
        if scheme not in (_OUT if write else _IN):
            raise UsageError(
                f"{self.shown}: can't be {'written' if write else 'read'}; expected {', '.join(f'{s}://' for s in (_OUT if write else _IN))}"
            )
        try:
            import fsspec

            options: dict[str, Any] = {"skip_instance_cache": True, "use_listings_cache": False}
            self._fs, self._path = fsspec.core.url_to_fs(url, **options)
        except ImportError as error:
            raise UsageError(f"{self.shown}: {error.name or error} is missing; install vsr with its extra: pip install '.[remote]'") from None
        except Exception as error:  # noqa: BLE001 - whatever a driver raises for credentials or settings
            raise UsageError(f"{self.shown}: can't be reached: {redacted(str(error))}") from None

    def version(self) -> tuple[int, str] | None:
        """(bytes, what changes when the content does); None where there is no such file. Raises ResourceError."""
        try:
            found = self._fs.info(self._path)
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001
            raise ResourceError(f"{self.shown}: can't be asked for: {_said(error)}") from None
        if found.get("type") == "directory":
            return None
        mark = next((str(found[k]) for k in ("ETag", "etag", "md5Hash", "LastModified", "mtime") if found.get(k)), "")
        return int(found.get("size") or 0), mark.strip('"')

    def listed(self) -> list[str]:
        """Addresses of the files in a folder, or that a pattern means with the reports beside them, by name. Raises ResourceError."""
        scheme = "s3" if "s3" in self._fs.protocol else "gs"
        try:
            names = (
                [*self._fs.glob(self._path), *self._fs.glob(f"{self._path}.vsr.json")] if "*" in self._path else self._fs.ls(self._path, detail=False)
            )
        except FileNotFoundError:
            return []
        except Exception as error:  # noqa: BLE001
            raise ResourceError(f"{self.shown}: can't be listed: {_said(error)}") from None
        return [f"{scheme}://{name}" for name in sorted(set(names)) if not name.endswith("/")]

    def read(self) -> bytes:
        """All of a small file; nothing where there is none."""
        try:
            return bytes(self._fs.cat_file(self._path))
        except Exception:  # noqa: BLE001 - a report that can't be read is no report
            return b""

    def download(self, path: Path) -> Iterator[str]:
        """Bring it to `path`, resuming an earlier call; yields texts for the user. Raises MediaError, ResourceError, OutputError."""
        found = self.version()
        if found is None:
            raise MediaError(f"{self.shown}: is not there")
        size, mark = found
        card, part = path.with_name(f"{path.name}.staged.json"), path.with_name(f"{path.name}.part")
        known = _read_card(card)
        if known.get("size") == size and known.get("mark") == mark and path.exists() and known.get("sha256") == _sha256(path):
            return
        if (known.get("size"), known.get("mark")) != (size, mark):
            part.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        write_atomically(card, json.dumps({"url": self.shown, "size": size, "mark": mark}).encode())
        begun = part.stat().st_size if part.exists() else 0
        yield f"{'going on with' if begun else 'fetching'} {self.shown}: {size / 1e6:.1f} MB{f', {begun / 1e6:.1f} are there' if begun else ''}"
        try:
            with open(part, "ab") as file:
                while file.tell() < size:
                    piece = self._piece(file.tell(), min(size, file.tell() + _PIECE_BYTES))
                    file.write(piece)
                    file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(f"{part}: can't be written: {error.strerror}; free some space, or choose another --staging") from None
        if self.version() != found:
            part.unlink(missing_ok=True)
            raise ResourceError(f"{self.shown}: changed while it was fetched; give the same command again")
        write_atomically(card, json.dumps({"url": self.shown, "size": size, "mark": mark, "sha256": _sha256(part)}).encode())
        os.replace(part, path)

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
        raise ResourceError(f"{self.shown}: can't be fetched: {_said(last)}; what is there is kept, the same command goes on from there")

    def sha256(self, size: int) -> str:
        """Of so many bytes of it. Raises ResourceError."""
        total = hashlib.sha256()
        for start in range(0, size, _PIECE_BYTES):
            total.update(self._piece(start, min(size, start + _PIECE_BYTES)))
        return total.hexdigest()

    def upload(self, path: Path) -> None:
        """Put a file there, whole or not at all. Raises ResourceError."""
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
        raise ResourceError(f"{self.shown}: can't be written: {_said(last)}; the result lies in {path}, the same command uploads it")


@dataclass(frozen=True)
class Trip:
    """One video that comes from elsewhere, or goes there."""

    path: Path
    """The input, or where it is staged."""
    output: Path | None
    """Where the result is made."""
    url: Url | None
    output_url: Url | None
    """File, or folder with a slash at its end."""
    overwrite: bool
    full: bool = False
    """A result that is there is looked at, whatever its size says."""

    @property
    def made_in(self) -> Path:
        """The folder of the result, where it goes elsewhere from there."""
        assert self.output is not None
        assert self.output_url is not None
        return self.output if self.output_url.endswith("/") else self.output.parent


def upscale_remote(trip: Trip, name_of: Callable[[], tuple[str, frozenset[str]]], run: Callable[[], Iterator[Event]]) -> Iterator[Event]:
    """Fetch, upscale, upload; staged files are removed when the result is where it belongs.

    name_of: plans the run; gives (name of the result, ids that the plan is known by). run: the run itself. Raises the errors of both.
    """
    trip.path.parent.mkdir(parents=True, exist_ok=True)
    if trip.url is not None:
        for text in Remote(trip.url).download(trip.path):
            yield Note(text)
    where = ""
    if trip.output_url is not None:
        trip.made_in.mkdir(parents=True, exist_ok=True)
        name, ids = name_of()
        where = trip.output_url + name if trip.output_url.endswith("/") else trip.output_url
        there = Remote(Url(where), write=True).version()
        if there is not None and not trip.overwrite:
            report = _json(Remote(Url(f"{where}.vsr.json")).read())
            if not ids.isdisjoint({report.get("plan"), report.get("asked")}) and report.get("bytes") == there[0]:
                if trip.full and Remote(Url(where), write=True).sha256(there[0]) != report.get("sha256"):
                    raise VerificationError(f"{redacted(where)}: is no longer what was verified; give --overwrite to make it anew")
                _forget(trip)
                yield AlreadyDone(redacted(where), int(report.get("frames", 0)), there[0])
                return
            raise UsageError(f"{redacted(where)}: is already there, and not by this very command; give --overwrite to replace it, or another -o")
        if there is None and not trip.overwrite and (found := Remote(Url(f"{where}.vsr.json")).read()) and "plan" not in _json(found):
            raise UsageError(
                f"{redacted(where)}.vsr.json: is already there, and is no report of a result; give --overwrite to replace it, or another -o"
            )
    for event in run():
        if isinstance(event, Planned):
            yield replace(event, input=redacted(trip.url) if trip.url else event.input, output=redacted(where) or event.output)
        elif isinstance(event, Finished | AlreadyDone):
            if where:
                made = Path(event.output)
                if not trip.overwrite and Remote(Url(where), write=True).version() is not None:
                    raise UsageError(
                        f"{redacted(where)}: came to be there meanwhile; the result lies in {made}; give --overwrite to replace what is there"
                    )
                yield Note(f"uploading {redacted(where)}")
                Remote(Url(where), write=True).upload(made)
                Remote(Url(f"{where}.vsr.json"), write=True).upload(report_path(made))
                for path in (made, report_path(made)):
                    path.unlink(missing_ok=True)
            _forget(trip)
            yield replace(event, output=redacted(where) or event.output)
        else:
            yield event


def _forget(trip: Trip) -> None:
    if trip.url is not None:
        for path in (trip.path, trip.path.with_name(f"{trip.path.name}.staged.json")):
            path.unlink(missing_ok=True)
    for folder in (trip.made_in if trip.output_url is not None else None, trip.path.parent if trip.url is not None else None):
        if folder is not None and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _read_card(path: Path) -> dict[str, Any]:
    try:
        return _json(path.read_bytes())
    except OSError:
        return {}


def _json(data: bytes) -> dict[str, Any]:
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
