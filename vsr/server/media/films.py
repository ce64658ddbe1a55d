"""`FilmLibrary`: listings of the roots, facts about films, and thumbnails.

Results are cached until the file changes.
"""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import OutputError, redacted
from pipelines.media.file_types import PHOTO_SUFFIXES, VIDEO_SUFFIXES
from pipelines.plan.output_names import report_path
from pipelines.storage.atomic_file import write_atomically
from vsr.server.roots import OutsideError

if TYPE_CHECKING:
    from vsr.server.media.side_calls import MediaCalls
    from vsr.server.roots import Roots

__all__ = ["FilmLibrary", "file_key"]


_MOST_ENTRIES = 2000
_MOST_PROBED = 256
_MOST_STILLS_BYTES = 200 << 20
_EVERY_STILLS = 64
"""Number of stills between two checks of the size of the cache."""


class FilmLibrary:
    """Answers about files; paths in and out are ROOT/relative/path."""

    def __init__(self, roots: Roots, media: MediaCalls, stills: Path) -> None:
        """stills: folder of the cached images."""
        self._roots, self._media, self._stills = roots, media, stills
        self._probed: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._lock = threading.Lock()
        self._made = 0

    def film(self, path: str) -> Path:
        """The real path of a film. Raises OutsideError for anything else."""
        real = self._roots.resolve(path)
        if not real.is_file() or real.suffix.lower() not in VIDEO_SUFFIXES | PHOTO_SUFFIXES:
            raise OutsideError(f"{path}: is not a film; expected a file such as .mp4 or .mkv")
        return real

    def listing(self, path: str) -> dict[str, Any]:
        """Folders and films of a folder, by name.

        Hidden ones, and links that lead out of the roots, are left out.
        """
        folder = self._roots.resolve(path)
        if not folder.is_dir():
            raise OutsideError(f"{path}: is not a folder")
        folders: list[dict[str, Any]] = []
        films: list[dict[str, Any]] = []
        left_out = 0
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda e: e.name.casefold())
        except OSError as error:
            raise OutsideError(f"{path}: can't be listed: {error.strerror}") from error
        reports = {e.name for e in entries if e.name.endswith(".vsr.json")}
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if len(folders) + len(films) >= _MOST_ENTRIES:
                left_out += 1
                continue
            try:
                self._add(entry, path, folders, films, reports)
            except (OSError, UnicodeEncodeError, OutsideError):
                left_out += 1
        return {"path": path, "folders": folders, "films": films, "left_out": left_out}

    def _add(
        self, entry: os.DirEntry[str], path: str, folders: list[Any], films: list[Any], reports: set[str]
    ) -> None:
        entry.name.encode()
        place = f"{path}/{entry.name}"
        if entry.is_symlink():
            self._roots.resolve(place)
        if entry.is_dir():
            folders.append({"name": entry.name, "path": place})
        elif entry.is_file() and Path(entry.name).suffix.lower() in VIDEO_SUFFIXES:
            state = entry.stat()
            made = report_path(Path(entry.name)).name in reports
            films.append(
                {
                    "name": entry.name,
                    "path": place,
                    "bytes": state.st_size,
                    "modified": round(state.st_mtime, 3),
                    "made": made,
                }
            )

    def probe(self, path: str) -> dict[str, Any]:
        """Result of `vsr probe`, without absolute paths. Raises OutsideError, BusyError, RefusedError."""
        real = self.film(path)
        key = file_key(real)
        with self._lock:
            found = self._probed.get(key)
        if found is None:
            found = self._media("probe", str(real))
            found["words"] = [self._roots.redacted(redacted(line)) for line in found["words"]]
            found["notes"] = [self._roots.redacted(line) for line in found["notes"]]
            with self._lock:
                self._probed[key] = found
                while len(self._probed) > _MOST_PROBED:
                    self._probed.popitem(last=False)
        return {**found, "path": path}

    def still(self, path: str, seconds: float, width: int) -> bytes:
        """A frame as JPEG. Raises OutsideError, BusyError, RefusedError."""
        real = self.film(path)
        kept = self._stills / f"{file_key(real, seconds, width)}.jpg"
        try:
            return kept.read_bytes()
        except OSError:
            pass
        data = base64.b64decode(self._media("still", str(real), seconds, width)["jpeg"])
        self._keep(kept, data)
        return data

    def _keep(self, file: Path, data: bytes) -> None:
        try:
            write_atomically(file, data, parents=True)
        except OutputError:
            return
        with self._lock:
            self._made += 1
            if self._made % _EVERY_STILLS:
                return
        kept = sorted(
            ((p.stat().st_mtime, p.stat().st_size, p) for p in self._stills.glob("*.jpg")), reverse=True
        )
        total = 0
        for _, size, old in kept:
            total += size
            if total > _MOST_STILLS_BYTES:
                old.unlink(missing_ok=True)


def file_key(path: Path, *more: object) -> str:
    """A key that changes with the file and the other values."""
    state = path.stat()
    return hashlib.sha256(repr((str(path), state.st_size, state.st_mtime_ns, *more)).encode()).hexdigest()[
        :32
    ]
