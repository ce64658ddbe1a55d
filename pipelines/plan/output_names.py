"""Names of outputs: `--output-template`, a file name with fields, which can't leave the output's folder."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from models.errors import UsageError
from pipelines.media.image_sequence import pattern_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from fractions import Fraction

    from pipelines.media.image_sequence import Pattern
    from pipelines.plan.plan import Plan

__all__ = [
    "existing_folder",
    "filled_name",
    "is_folder",
    "output_pattern",
    "refuse_irregular",
    "refuse_place",
    "refuse_unreachable",
    "report_path",
    "result_name",
    "same_name_key",
]


_LONGEST_NAME = 255
_NOT_ON_WINDOWS = frozenset('<>:"/\\|?*') | {chr(code) for code in range(32)}
_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
    | {f"{kind}{digit}" for kind in ("COM", "LPT") for digit in "123456789\u00b9\u00b2\u00b3"}
)
"""Names that Windows reserves, whatever the suffix, and with spaces before it."""


def output_pattern(output: Path, plan: Plan) -> Pattern | None:
    """The pattern of an output's numbered images; None if the output is a single file."""
    return pattern_of(output) if plan.encoder.is_sequence else None


def result_name(
    template: str, source: Path, suffix: str, plan: Plan, part: tuple[Fraction, Fraction] | None = None
) -> str:
    """The file name of an output. Raises UsageError if it would leave its folder.

    part: seconds of the film in a `--range`, so that its name differs from those of the film and of other
    ranges.
    """
    chosen = {
        "codec": plan.encoder.codec,
        "model": "+".join(s.card.name for s in plan.stages).replace(os.sep, "_"),
    }
    return filled_name(template, source, suffix, (plan.out_width, plan.out_height), part, **chosen)


def filled_name(
    template: str,
    source: Path,
    suffix: str,
    size: tuple[int, int],
    part: tuple[Fraction, Fraction] | None,
    **chosen: str,
) -> str:
    """The file name that a template gives, if there is no plan yet. Raises UsageError.

    size: width and height. chosen: codec and model, if the template has them.
    """
    fields = {
        "stem": source.stem,
        "suffix": suffix,
        "width": size[0],
        "height": size[1],
        "lines": min(size),
        "range": f".{_time_text(part[0])}-{_time_text(part[1])}" if part is not None else "",
        **chosen,
    }
    name = template.format_map(fields)
    if name in {"", ".", ".."} or PurePath(name).name != name or "\0" in name:
        raise UsageError(
            f"--output-template {template!r}: {name!r} is not a file name; it would leave the output's folder"
        )
    if sys.platform == "win32" and (
        set(name) & _NOT_ON_WINDOWS
        or name.partition(".")[0].rstrip(" ").upper() in _DEVICES
        or name[-1] in ". "
    ):
        raise UsageError(
            f"--output-template {template!r}: {name!r} is not a valid file name on Windows; remove reserved"
            " names, characters such as : * ? and a final dot or space"
        )
    if len(os.fsencode(name)) > _LONGEST_NAME:
        raise UsageError(
            f"--output-template {template!r}: {name!r} is longer than the {_LONGEST_NAME} bytes a folder"
            " takes; leave something out"
        )
    return name


def _time_text(seconds: Fraction) -> str:
    """A time in a file name: 0m05s, 12m07.5s, 1h02m03s."""
    thousandths = round(seconds * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, fraction = divmod(rest, 1000)
    text = f"{whole:02d}{f'.{fraction:03d}'.rstrip('0') if fraction else ''}s"
    return f"{hours}h{minutes:02d}m{text}" if hours else f"{minutes}m{text}"


def same_name_key(path: Path) -> str:
    """A key that is equal for all names of one file.

    Links are resolved, and case is ignored on case-insensitive systems.
    """
    real = os.path.normcase(os.path.realpath(path))
    return real.casefold() if sys.platform in {"win32", "darwin"} else real


def report_path(result: Path) -> Path:
    """Path of an output's report: NAME.vsr.json next to it; for a long name, a hash of it."""
    name = f"{result.name}.vsr.json"
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = f"{hashlib.sha256(os.fsencode(result.name)).hexdigest()[:32]}.vsr.json"
    return result.with_name(name)


_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def refuse_irregular(target: Path) -> None:
    """Raise UsageError for a pipe, a device or a socket: a rename would put a file in its place."""
    try:
        mode = target.stat().st_mode
    except (OSError, ValueError):
        return
    kind = next((name for is_one, name in _KINDS if is_one(mode)), "")
    if kind:
        raise UsageError(f"{target}: is {kind}; an output is a file, checked before it gets its name")


def refuse_place(option: str, target: Path | None, inputs: Iterable[Path | None] = ()) -> None:
    """Raise UsageError before work starts if the file of an option, such as --report, can't be written.

    It may not be one of the inputs, under any name, and its folder must be writable.
    """
    if target is None:
        return
    if any(
        path is not None and path.exists() and target.exists() and os.path.samefile(path, target)
        for path in inputs
    ):
        raise UsageError(f"{option} {target}: is an input itself; choose another name")
    refuse_irregular(target)
    if target.is_dir():
        raise UsageError(f"{option} {target}: is a folder; name a file in it, such as {target / 'out.html'}")
    folder = existing_folder(target)
    if not folder.is_dir():
        raise UsageError(f"{option} {target}: {folder} is a file; choose another place")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"{option} {target}: {folder} can't be written to; choose another place")


def refuse_unreachable(path: Path) -> None:
    """Raise UsageError for an invalid file name, and for a path through a folder without access."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        remedy = (
            "give a shorter name"
            if error.errno == errno.ENAMETOOLONG
            else "choose another place, or get access to its folder"
        )
        raise UsageError(f"{path}: can't be looked at: {error.strerror}; {remedy}") from error
    except ValueError as error:  # a byte of value 0
        raise UsageError(f"{str(path)!r}: is not a file name: {error}") from error


def existing_folder(path: Path) -> Path:
    """The nearest existing parent of an output; the folders between are created when work begins."""
    return next(parent for parent in Path(os.path.abspath(path)).parents if parent.exists())


def is_folder(output: Path) -> bool:
    """Whether an output is a folder for several files.

    True for an existing folder, and for a new name without a suffix.
    """
    return output.is_dir() or not (output.suffix or output.exists())
