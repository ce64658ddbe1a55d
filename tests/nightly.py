"""Runs the long versions of the reliability tests: `make nightly`, or `python -m tests.nightly [PART...]`.

A part takes at most about 40 minutes on two idle cores. Finished parts are recorded: the same command
continues with the next one, and starts over after the last one. Figures are written to docs/reliability.json
as they are measured, and docs/reliability.md is generated from them. `--list` shows the parts and which of
them are finished.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.docs import test_reliability

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".nightly.json"
_KILLS = "test_whatever_is_killed_no_job_is_lost_and_none_is_done_twice"
_FACTS = "tests/pipelines/probe/test_container_facts.py"


@dataclass(frozen=True)
class Part:
    """A command that takes some minutes, and exits with 0 on success."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)


def _pytest(*given: str) -> tuple[str, ...]:
    return ("pytest", "-q", "-x", "--timeout=0", "-p", "no:cacheprovider", *given)


def parts() -> list[Part]:
    """The parts, in the order in which they run."""
    crash, soak = (
        "tests/end_to_end/test_faults.py::test_a_run_killed_at_any_moment_ends_with_the_same_bytes",
        "tests/end_to_end/test_soak.py",
    )
    found = [
        Part("guards", ("tests.benchmarks.guards", "640x360", "48")),
        Part("interlacing", ("tests.benchmarks.interlacing",)),
        Part("steps", _pytest("tests/pipelines/run/test_crash.py"), {"VSR_STEPS": "1"}),
        *(
            Part(f"crashes {n + 1}/4", _pytest(crash), {"VSR_CRASHES": "50", "VSR_SEED": str(100 + n)})
            for n in range(4)
        ),
        *(
            Part(f"fuzz {n + 1}/2", ("tests.fuzz", "--first", str(10_000 + 500 * n), "--count", "500"))
            for n in range(2)
        ),
        *(
            Part(f"pairs {n + 1}/5", ("tests.pairs", "--first", str(1000 + 100 * n), "--count", "100"))
            for n in range(5)
        ),
        Part(
            "pixels",
            _pytest("tests/pipelines/inference/test_pixel_formats.py", "-k", "combination"),
            {"VSR_COMBINATIONS": "200", "VSR_SEED": "100"},
        ),
        Part(
            "every pixel format",
            _pytest("tests/pipelines/run/test_every_pixel_format.py"),
            {"VSR_CASES": "2000", "VSR_SEED": "100"},
        ),
        *(Part(f"mutants {n + 1}/4", ("tests.mutants", "--part", f"{n + 1}/4")) for n in range(4)),
        *(
            Part(
                f"{name} {n + 1}/2",
                _pytest(f"{_FACTS}::{test}"),
                {"VSR_CASES": "100", "VSR_FIRST": str(1000 + 100 * n)},
            )
            for name, test in (
                ("edit lists", "test_any_edit_list_is_shown_as_ffmpeg_shows_it"),
                ("changes", "test_any_change_in_mid_stream_is_right_or_refused_where_it_is"),
            )
            for n in range(2)
        ),
        *(
            Part(
                f"server kills {n + 1}/4",
                _pytest(f"tests/vsr/server/test_kills.py::{_KILLS}"),
                {"VSR_CRASHES": "50", "VSR_SEED": str(100 + n)},
            )
            for n in range(4)
        ),
        Part(
            "requests",
            _pytest("tests/vsr/server/test_openapi.py"),
            {"VSR_SECONDS": "1200", "VSR_EXAMPLES": "100000", "VSR_WORKER": "Plain"},
        ),
        Part(
            "lengths",
            _pytest("tests/pipelines/plan/test_any_length.py"),
            {"VSR_CASES": "200", "VSR_FIRST": "1000", "VSR_PACKETS": "1000000"},
        ),
        Part(
            "soak here",
            _pytest(f"{soak}::test_whatever_a_run_holds_stays_flat[here]"),
            {"VSR_SOAK_FRAMES": "20000"},
        ),
        Part(
            "soak ray",
            _pytest(f"{soak}::test_whatever_a_run_holds_stays_flat[ray]"),
            {"VSR_SOAK_FRAMES": "20000"},
        ),
    ]
    found.append(Part("slurm", _pytest("tests/end_to_end/test_slurm.py")))
    found.append(Part("job server", _pytest("tests/end_to_end/test_ray_job.py")))
    found.append(Part("image", _pytest("tests/end_to_end/test_image.py"), {"VSR_IMAGE": "1"}))
    media = os.environ.get("VSR_SHARED_DATA", "")
    if media:
        found.append(
            Part("every file", ("tests.benchmarks.every_file", str(Path(media) / "media"), "--write"))
        )
        found.append(Part("torture", ("tests.benchmarks.torture", str(Path(media) / "media"))))
    return found


def run(part: Part) -> dict[str, Any]:
    """Run a part; returns its figures. Raises CalledProcessError."""
    with tempfile.NamedTemporaryFile("r", suffix=".jsonl") as figures:
        subprocess.run(
            [sys.executable, "-m", *part.command],
            cwd=ROOT,
            env={**os.environ, **part.environment, "VSR_FIGURES": figures.name},
            check=True,
        )
        found: dict[str, Any] = {}
        for line in figures.read().splitlines():
            found |= json.loads(line)
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return table


def _write(path: Path, table: dict[str, Any]) -> None:
    path.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def main() -> int:
    """Run the unfinished parts, or the named ones; returns 1 if one failed."""
    everything = parts()
    wanted = [a for a in sys.argv[1:] if not a.startswith("-")]
    done = _read(STATE)
    if "--list" in sys.argv:
        print("\n".join(f"{'done' if p.name in done else '    '}  {p.name}" for p in everything))
        return 0
    unknown = set(wanted) - {p.name for p in everything}
    if unknown:
        print(f"no such part: {', '.join(sorted(unknown))}; --list names them", file=sys.stderr)
        return 2
    failed = 0
    for part in everything:
        if part.name in done if not wanted else part.name not in wanted:
            continue
        print(f"== {part.name}", flush=True)
        try:
            figures = run(part)
        except subprocess.CalledProcessError as error:
            print(f"== {part.name} failed with {error.returncode}", file=sys.stderr, flush=True)
            failed = 1
            continue
        day = dt.datetime.now(dt.UTC).date().isoformat()
        done[part.name] = day
        _write(STATE, done)
        _write(
            test_reliability.FIGURES, {**_read(test_reliability.FIGURES), part.name: {"day": day, **figures}}
        )
        test_reliability.main()
    if {p.name for p in everything} <= set(done):
        STATE.unlink()  # the next run begins anew
    return failed


if __name__ == "__main__":
    sys.exit(main())
