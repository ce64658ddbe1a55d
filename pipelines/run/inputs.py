"""`find_inputs`: files, folders and glob patterns -> videos and images, with the place of each output."""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import MediaError, UsageError, redacted
from pipelines.media.file_types import PHOTO_SUFFIXES, PICTURE_SUFFIXES, VIDEO_SUFFIXES
from pipelines.media.image_sequence import pattern_of
from pipelines.plan.output_names import is_folder, refuse_unreachable, report_path
from pipelines.storage.atomic_file import not_made
from pipelines.storage.cache_folder import cache_folder
from pipelines.storage.object_store import RemoteFile, Url, staged_path, url_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Input", "fetch", "find_inputs", "image_messages", "videos_in"]


@dataclass(frozen=True)
class Input:
    """One video, and the place of its output."""

    path: Path
    output: Path | None = None
    """File or folder; None: next to the input."""
    is_mirrored: bool = False
    """The folder mirrors one of the inputs', and is created when its first video begins."""
    url: Url | None = None
    """URL from which it is downloaded to `path`."""
    output_url: Url | None = None
    """URL to which the output is uploaded: a file, or a folder with a slash at its end."""

    @property
    def shown(self) -> str:
        """Name of the input for display, without credentials."""
        return redacted(self.url) if self.url is not None else str(self.path)


def find_inputs(
    given: Sequence[Path | Url],
    output: Path | Url | None,
    *,
    recursive: bool = False,
    allow_url: bool = False,
    staging: Path | None = None,
    makes_folder: bool = True,
) -> list[Input]:
    """Find the videos that paths mean, each once, in the given order; those of a folder or pattern by name.

    A path that exists means itself, whatever characters it has. One that doesn't exist and has *, ? or [ is a
    pattern (** matches any folders). In folders and patterns, hidden files and outputs of earlier runs (those
    with a report) are skipped. A folder with videos means only these, because images next to films are
    posters and thumbnails; a folder without videos means its images.

    output: a file for one input, a folder for several or for a folder; created if missing, unless
    makes_folder is off. recursive: include
    subfolders, which the output mirrors. allow_url: download URLs, instead of treating them as file names.
    staging: download folder; None: the user's cache. Raises MediaError if nothing is found, UsageError if
    several inputs would share one output file, and for a URL that is not allowed.
    """
    staging = staging or cache_folder() / "staged"
    if isinstance(output, Url):
        return _with_output_url(given, output, recursive=recursive, allow_url=allow_url, staging=staging)
    found: dict[str, Input] = {}
    several = len(given) > 1
    for item in given:
        if isinstance(item, Url) and not os.path.exists(item):
            urls = _urls(item, allow_url=allow_url)
            several = several or urls != [item]
            if output is None:
                raise UsageError(f"{redacted(item)}: say by -o where its result goes")
            for url in urls:
                found.setdefault(url, Input(staged_path(url, staging), output, url=url))
            continue
        path = Path(item)
        refuse_unreachable(path)
        pairs = _videos_of(path, recursive=recursive)
        several = several or len(pairs) > 1 or path.is_dir()
        for video, below in pairs:
            found.setdefault(
                os.path.abspath(video),
                Input(video, output if output is None else output / below, is_mirrored=below != Path()),
            )
    _refuse_missing(given)
    if output is not None and (several or is_folder(output)):
        _check_folder(output, [one.path for one in found.values()])
        if makes_folder:
            _make_folder(output)
    return list(found.values())


def _videos_of(path: Path, *, recursive: bool) -> list[tuple[Path, Path]]:
    """(video, its folder within the given one) for each that a path means. Raises MediaError if none does."""
    if path.is_dir():
        videos = _of_folder(path, VIDEO_SUFFIXES, recursive=recursive) or _of_folder(
            path, PHOTO_SUFFIXES, recursive=recursive
        )
        _refuse_none(videos, path, "no video and no picture in this folder", recursive=recursive)
        return [(p, p.parent.relative_to(path)) for p in videos]
    if _is_pattern(path):
        matches = map(Path, sorted(glob.glob(str(path), recursive=True)))
        videos = [p for p in matches if p.is_file() and _is_wanted(p)]
        _refuse_none(videos, path, "no file is called like that", recursive=True)
        return [(p, Path()) for p in videos]
    return [(path, Path())]


def _refuse_missing(given: Sequence[Path | Url]) -> None:
    """Raise UsageError for a name among several that means no file, before the others are upscaled."""
    named = [Path(item) for item in given if not isinstance(item, Url)]
    for path in named if len(given) > 1 else ():
        if not os.path.lexists(path) and pattern_of(path) is None and not _is_pattern(path):
            as_output = len(named) == 2 and path == named[1]
            remedy = f"to give the output this name: -o {path}" if as_output else "leave it out"
            if path.name.startswith("-"):
                remedy = "what follows -- is the name of a file: put options before it"
            raise UsageError(f"{path}: no such file or folder; {remedy}")


def fetch(one: Input) -> Iterator[str]:
    """Download a remote input to its path, where a run finds it; yields messages for the user."""
    if one.url is not None:
        one.path.parent.mkdir(parents=True, exist_ok=True)
        yield from RemoteFile(one.url).download(one.path)


def _with_output_url(
    given: Sequence[Path | Url], output: Url, *, recursive: bool, allow_url: bool, staging: Path
) -> list[Input]:
    """Make outputs in the staging folder, to be uploaded from there."""
    if not allow_url:
        raise UsageError(f"{redacted(output)}: to send results to an address, give --allow-url")
    RemoteFile(output, write=True)  # raises the error now
    folder = staging / f"results-{url_digest(output)}"
    found = find_inputs(given, folder / "", recursive=recursive, allow_url=True, staging=staging)
    if len(found) > 1 or output.endswith("/"):
        base = output.rstrip("/")
        return [
            replace(
                one, output_url=Url("/".join([base, *(one.output or folder).relative_to(folder).parts, ""]))
            )
            for one in found
        ]
    name = staged_path(output, staging).name
    return [replace(found[0], output=folder / name, output_url=output)]


def _urls(item: Url, *, allow_url: bool) -> list[Url]:
    """The URL, or those of the videos in the folder that it means."""
    if not allow_url:
        raise MediaError(
            f"{redacted(item)}: there is no such file; to fetch it from that address, give --allow-url"
        )
    is_folder = item.endswith("/")
    if not is_folder and "*" not in item:
        return [item]
    names = RemoteFile(item).listed()
    results = {n.removesuffix(".vsr.json") for n in names if n.endswith(".vsr.json")}
    videos = [
        Url(n)
        for n in names
        if n not in results
        and (Path(n).suffix.lower() in VIDEO_SUFFIXES or not is_folder)
        and not n.endswith(".vsr.json")
    ]
    if not videos:
        raise MediaError(f"{redacted(item)}: no video is there")
    return videos


def _is_pattern(path: Path) -> bool:
    return not path.exists() and pattern_of(path) is None and glob.has_magic(str(path))


def _files(folder: Path, *, recursive: bool) -> Iterator[Path]:
    """Files by name, folder by folder.

    Raises UsageError for a folder that can't be listed: its videos would be skipped silently.
    """

    def refuse(error: OSError) -> None:
        raise UsageError(
            f"{error.filename}: can't be listed: {error.strerror}; get access to it, or name what lies"
            " beside it"
        ) from error

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(f for f in folders if recursive and not f.startswith("."))
        yield from (Path(place) / name for name in sorted(names))


def videos_in(folder: Path, *, recursive: bool = False) -> list[Path]:
    """Videos of a folder by name, without hidden files and outputs.

    Raises UsageError if a folder can't be listed.
    """
    return _of_folder(folder, VIDEO_SUFFIXES, recursive=recursive)


def image_messages(given: Sequence[Path | Url], *, recursive: bool = False) -> list[str]:
    """Messages about images in the folders among inputs.

    They are about images that are skipped, and images that look like the frames of a film.
    """
    said = []
    for folder in (Path(item) for item in given if not isinstance(item, Url) and os.path.isdir(item)):
        pictures = _of_folder(folder, PHOTO_SUFFIXES, recursive=recursive)
        if pictures and _of_folder(folder, VIDEO_SUFFIXES, recursive=recursive):
            below = "**/*" if recursive else "*"
            patterns = " ".join(
                f"'{folder / below}{suffix}'" for suffix in sorted({p.suffix for p in pictures})
            )
            said.append(
                f"{folder}: {len(pictures)} picture{'s' * (len(pictures) > 1)} beside the videos left alone;"
                f" {patterns} would take them"
            )
            continue
        for pattern, numbers in _numbered(pictures):
            count, span = len(numbers), max(numbers) - min(numbers) + 1
            if count >= (_FRAMES_IN_A_ROW if span == count else _FRAMES_OF_A_FILM):
                said.append(
                    f"{folder}: {count} numbered pictures, each upscaled by itself and with a restoration"
                    f" level of its own; {pattern} would take them as a film, steady and faster"
                )
    return said


def _numbered(paths: Iterable[Path]) -> list[tuple[Path, list[int]]]:
    """Patterns of numbered images among paths, each with its numbers."""
    found: dict[tuple[Path, str, int, str], list[int]] = {}
    for path in paths:
        if path.suffix.lower() in PICTURE_SUFFIXES and (match := _NUMBERED.fullmatch(path.stem)):
            kind = (path.parent, match[1], len(match[2]), path.suffix)
            found.setdefault(kind, []).append(int(match[2]))
    return [
        (parent / f"{stem.replace('%', '%%')}%0{digits}d{suffix}", numbers)
        for (parent, stem, digits, suffix), numbers in found.items()
    ]


_NUMBERED = re.compile(r"(.*?)(\d+)")
_FRAMES_IN_A_ROW, _FRAMES_OF_A_FILM = 3, 24
"""Minimum numbers of images, numbered without and with gaps, from which vsr suggests that they are a film."""


def _of_folder(folder: Path, suffixes: frozenset[str], *, recursive: bool) -> list[Path]:
    files = list(_files(folder, recursive=recursive))
    reported = (p.with_name(p.name.removesuffix(_REPORT)) for p in files if p.name.endswith(_REPORT))
    patterns = (pattern for name in reported if (pattern := pattern_of(name)))
    made = {pattern.path(n) for pattern in patterns for n in pattern.numbers()}
    return [
        p for p in files if p.suffix.lower() in suffixes and p.is_file() and _is_wanted(p) and p not in made
    ]


_REPORT = ".vsr.json"


def _is_wanted(path: Path) -> bool:
    """Whether a file is neither hidden nor an output.

    A second run would otherwise upscale outputs of the first.
    """
    return (
        not path.name.startswith(".") and not path.name.endswith(_REPORT) and not report_path(path).exists()
    )


def _refuse_none(videos: Iterable[Path], path: Path, what: str, *, recursive: bool) -> None:
    if not videos:
        hint = "" if recursive else "; --recursive looks into those below it, too"
        raise MediaError(f"{path}: {what} (hidden files and results of earlier runs aside){hint}")


def _check_folder(output: Path, inputs: Iterable[Path]) -> None:
    """Raise UsageError for a name that is not one of a folder."""
    if output.suffix and not output.is_dir():
        films = [pattern for pattern, numbers in _numbered(inputs) if len(numbers) >= _FRAMES_IN_A_ROW]
        hint = f"; {films[0]} would take the numbered pictures as one film" if films else ""
        raise UsageError(f"{output}: several inputs need a folder as -o{hint}")


def _make_folder(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_made(output, error) from error
