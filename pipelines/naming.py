"""What results are called: `--output-template`, a file's name with fields, which can't lead out of the output's folder."""

from __future__ import annotations

import hashlib
import os
import string
from pathlib import PurePath
from typing import TYPE_CHECKING

from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pipelines.plan import Plan

__all__ = ["DEFAULT_TEMPLATE", "check_template", "is_folder", "refuse_input", "report_path", "result_name", "template_suffix"]

DEFAULT_TEMPLATE = "{stem}.{lines}p{suffix}"
FIELDS = ("stem", "suffix", "width", "height", "lines", "codec", "model")
"""stem: the input's name without its ending. suffix: the result's ending, with its dot. lines: what "2160p" says, the shorter side
of a portrait film. model: names of the networks, joined by +."""

_LONGEST_NAME = 255


def check_template(template: str) -> str:
    """The template, if it names a file by known fields. Raises UsageError."""
    said = f"--output-template {template!r}:"
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise UsageError(f"{said} {error}; expected something like {DEFAULT_TEMPLATE}") from None
    for _, field, form, conversion in parts:
        if field is not None and (field not in FIELDS or form or conversion):
            raise UsageError(f"{said} {{{field}}} is not known; expected {', '.join(f'{{{f}}}' for f in FIELDS)}")
    literal = "".join(text for text, *_ in parts)
    if any(c in literal for c in ("/", os.sep, "\0")):
        raise UsageError(f"{said} names a file, not a folder; say where it goes by -o")
    if not template_suffix(template) and not template.endswith("{suffix}"):
        raise UsageError(f"{said} must end in {{suffix}} or in a file's ending, such as .mkv")
    return template


def template_suffix(template: str) -> str:
    """The ending that is written out, in lower case; nothing where it is {suffix} or none."""
    tail = template.rpartition("}")[2]
    dot = tail.rfind(".")
    return tail[dot:].lower() if 0 <= dot < len(tail) - 1 else ""


def result_name(template: str, source: Path, suffix: str, plan: Plan) -> str:
    """The file name of a result. Raises UsageError where it is none that stays in its folder."""
    lines = min(plan.out_height, plan.out_width)
    fields = {
        "stem": source.stem,
        "suffix": suffix,
        "width": plan.out_width,
        "height": plan.out_height,
        "lines": lines,
        "codec": plan.encoder.codec,
        "model": "+".join(s.card.name for s in plan.stages).replace(os.sep, "_"),
    }
    name = template.format_map(fields)
    if name in {"", ".", ".."} or PurePath(name).name != name or "\0" in name:
        raise UsageError(f"--output-template {template!r}: {name!r} is no file name; it would leave the output's folder")
    if len(os.fsencode(name)) > _LONGEST_NAME:
        raise UsageError(f"--output-template {template!r}: {name!r} is longer than the {_LONGEST_NAME} bytes a folder takes; leave something out")
    return name


def report_path(result: Path) -> Path:
    """Where the report of a result lies: NAME.vsr.json beside it, for a long name a hash of it."""
    name = f"{result.name}.vsr.json"
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = f"{hashlib.sha256(os.fsencode(result.name)).hexdigest()[:32]}.vsr.json"
    return result.with_name(name)


def refuse_input(option: str, target: Path | None, inputs: Iterable[Path | None]) -> None:
    """Raises UsageError where a file that is to be written is one of the inputs, by whatever name."""
    if target is not None and any(path is not None and path.exists() and target.exists() and os.path.samefile(path, target) for path in inputs):
        raise UsageError(f"{option} {target}: is an input itself; choose another name")


def is_folder(output: Path) -> bool:
    """Whether an output is a folder for results: one that is there, or a name without a suffix that nothing has yet."""
    return output.is_dir() or not (output.suffix or output.exists())
