"""The template of output names, and its check."""

from __future__ import annotations

import os
import string

from models.errors import UsageError

__all__ = ["DEFAULT_TEMPLATE", "check_template", "template_suffix"]


DEFAULT_TEMPLATE = "{stem}.{lines}p{range}{suffix}"
FIELDS = ("stem", "suffix", "width", "height", "lines", "codec", "model", "range")
"""stem: the input's name without its suffix. suffix: the output's suffix, with its dot. lines: the number in
"2160p", the shorter side of a portrait film. model: names of the networks, joined by +. range: the times of a
`--range`, such as ".0m05s-0m10s", else nothing."""


def check_template(template: str) -> str:
    """Return the template, if it names a file by known fields. Raises UsageError."""
    said = f"--output-template {template!r}:"
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise UsageError(
            f"{said} is not a valid template ({error}); try something like {DEFAULT_TEMPLATE}"
        ) from error
    for _, field, form, conversion in parts:
        if field is not None and (field not in FIELDS or form or conversion):
            raise UsageError(
                f"{said} {{{field}}} is not known; expected {', '.join(f'{{{f}}}' for f in FIELDS)}"
            )
    literal = "".join(text for text, *_ in parts)
    if any(c in literal for c in ("/", os.sep, "\0")):
        raise UsageError(f"{said} names a file, not a folder; say where it goes by -o")
    if not template_suffix(template) and not template.endswith("{suffix}"):
        raise UsageError(f"{said} must end in {{suffix}} or in a file's ending, such as .mkv")
    return template


def template_suffix(template: str) -> str:
    """A suffix that is written out, in lower case; empty if it is {suffix} or missing."""
    tail = template.rpartition("}")[2]
    dot = tail.rfind(".")
    return tail[dot:].lower() if 0 <= dot < len(tail) - 1 else ""
