"""Tables of measurements with a description of the machine, for the screen and docs/benchmarks.md."""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["machine", "table", "tell"]


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """As Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def machine() -> str:
    """The machine of a measurement, in one line."""
    import torch

    import vsr

    try:
        name = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
        cpu = name.group(1).strip() if name else platform.machine()
    except OSError:
        cpu = platform.machine()
    parts = [f"{len(os.sched_getaffinity(0))} cores of {cpu}", torch.backends.cpu.get_cpu_capability()]
    if torch.cpu._is_amx_tile_supported():
        parts.append("AMX")
    if torch.cuda.is_available():
        parts += [
            torch.cuda.get_device_name(0),
            f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}",
        ]
    return ", ".join([*parts, f"torch {torch.__version__}", f"vsr {vsr.__version__} ({_commit()})"])


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "no commit"


def tell(name: str, text: str, write: Path | None) -> None:
    """Print a table, and put it between <!-- NAME --> and <!-- end of NAME --> of a page.

    Raises SystemExit if the page has no such markers.
    """
    command = f"python -m {(sys.modules['__main__'].__spec__ or sys.modules[__name__].__spec__).name} {shlex.join(sys.argv[1:])}".strip()
    today = dt.datetime.now(tz=dt.UTC).date()
    block = f"{today}, `{command}`, on {machine()}:\n\n{text}"
    print(f"\n{block}")
    if write is None:
        return
    page = write.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    if begin not in page or end not in page:
        raise SystemExit(f"{write}: has no place marked {begin} … {end}")
    before, rest = page.split(begin)
    write.write_text(f"{before}{begin}\n\n{block}\n\n{end}{rest.split(end)[1]}", encoding="utf-8")
