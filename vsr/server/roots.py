"""`Roots`: the folders a server shows, by name, and text without absolute paths."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["OutsideError", "Roots"]


_NO_TEXT = re.compile(
    r"(<script>.*?</script>|<style>.*?</style>|data:[\w/+.-]+;base64,[A-Za-z0-9+/=]+)", re.DOTALL
)
"""The parts of our pages without names: in the data of images, paths would be found by mistake."""
_ABSOLUTE = re.compile(
    r"(?<![\w.~/\\:-])(?:[A-Za-z]:)?[\\/](?:[^\s/\\;:,'\"<>()]+[\\/])+([^\s/\\;:,'\"<>()]*)"
)
"""An absolute path in a sentence; its last part is kept."""
_LONGEST_PATH = 4096


class OutsideError(Exception):
    """A path that is not below a root; the message has no absolute path."""


class Roots:
    """Folders by name. A path of a request is ROOT/relative/path, with slashes."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Raises UsageError if a folder is missing, or can't be given a name."""
        self._folders: dict[str, Path] = {}
        self._as_given: list[tuple[str, str]] = []
        for folder in folders:
            real = Path(os.path.realpath(folder))
            if not real.is_dir():
                raise UsageError(f"--root {folder}: is not a folder; expected one with films")
            if real in self._folders.values():
                continue
            name = self._free_name(real.name or "root")
            self._folders[name] = real
            self._as_given += [(str(real), name), (os.path.abspath(folder), name)]
        self._as_given.sort(key=lambda pair: -len(pair[0]))  # a folder in another one first

    def _free_name(self, wanted: str) -> str:
        wanted = wanted.encode(errors="replace").decode("utf-8")
        number, name = 1, wanted
        while name in self._folders:
            number += 1
            name = f"{wanted}-{number}"
        return name

    @property
    def folders(self) -> Mapping[str, Path]:
        """Name -> real path."""
        return self._folders

    def resolve(self, path: str) -> Path:
        """The real path of an existing file or folder.

        Raises OutsideError for anything that is not below a root.
        """
        root, parts = self._parts(path)
        try:
            real = Path(os.path.realpath(root.joinpath(*parts), strict=True))
        except (OSError, ValueError) as error:
            raise OutsideError(f"{path}: there is no such file") from error
        self._refuse_outside(real, path)
        return real

    def resolve_new(self, path: str) -> Path:
        """Resolve the path of a file that may not exist yet, in an existing folder."""
        root, parts = self._parts(path)
        if not parts:
            return root
        parent = self.resolve("/".join(path.split("/")[:-1]))
        if not parent.is_dir():
            raise OutsideError(f"{path}: there is no such folder")
        target = parent / parts[-1]
        if os.path.lexists(target):
            return self.resolve(path)
        return target

    def _parts(self, path: str) -> tuple[Path, list[str]]:
        name, *parts = path.split("/")
        shown = path[:200]
        if len(path) > _LONGEST_PATH or not _is_text(path):
            raise OutsideError("the path is too long, or no text; expected ROOT/folder/name")
        if not name:
            raise OutsideError(
                "an absolute path is not accepted; expected ROOT/folder/name, with ROOT one of"
                f" {', '.join(self._folders)}"
            )
        if name not in self._folders:
            raise OutsideError(
                f"{shown}: begins with the name of no root; expected one of {', '.join(self._folders)}, such"
                f" as {next(iter(self._folders), 'ROOT')}/{shown}"
            )
        if any(
            p in {"", ".", ".."}
            or p.startswith(".")
            or "\0" in p
            or (sys.platform == "win32" and set(p) & set("\\:"))
            for p in parts
        ):
            raise OutsideError(f"{shown}: is not a path below a root; expected ROOT/folder/name")
        return self._folders[name], parts

    def _refuse_outside(self, real: Path, path: str) -> None:
        if self.shown(real) is None:
            raise OutsideError(f"{path[:200]}: leads out of the roots")

    def shown(self, path: Path | str) -> str | None:
        """ROOT/relative/path of a real path; None if it is not below a root."""
        text = os.fspath(path)
        for folder, name in self._as_given:
            below = folder.rstrip(os.sep) + os.sep
            if text == folder:
                return name
            if text.startswith(below):
                return f"{name}/{text[len(below) :].replace(os.sep, '/')}"
        return None

    def redacted(self, text: str) -> str:
        """The text with names instead of paths of roots; other absolute paths are cut to their last part."""
        for folder, name in self._as_given:
            text = re.sub(rf"{re.escape(folder)}(?=[/\\\s:;,.'\"]|$)", lambda _, name=name: name, text)  # type: ignore[misc]
        return _ABSOLUTE.sub(lambda found: f"…/{found[1]}", text)

    def redacted_page(self, page: str) -> str:
        """Remove absolute paths from one of our pages; its images, scripts and styles are unchanged."""
        parts = _NO_TEXT.split(page)
        return "".join(part if n % 2 else self.redacted(part) for n, part in enumerate(parts))


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
