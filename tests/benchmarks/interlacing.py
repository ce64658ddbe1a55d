"""Runs `find_scan` on progressive and interlaced clips. `python -m tests.benchmarks.interlacing`.

Prints a confusion table: progressive clips must be detected as progressive, interlaced ones with their field
order. Every clip is generated from its number (`tests.benchmarks.interlacing_clips`) and kept for the next
run. Clips with low numbers were used to choose the thresholds of `pipelines.interlacing.field_evidence`,
those from number 421 on were not: `--unseen N` of each kind. Real clips are taken from the folder
VSR_SHARED_DATA; without it there are fewer clips. `--write docs/color.md` writes the table to that page,
`--processes N` examines N clips at a time. Exits with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from pipelines.probe.probe import probe
from tests.benchmarks.interlacing_clips import Clip, corpus, kept
from tests.benchmarks.report import table, tell
from tests.helpers.figures import record

MOST_MISSED = 0.02
FIRST_UNSEEN = 421


def verdict(made: Clip) -> str:
    """The result of the probe: progressive, top or bottom; with a question mark if it is in doubt."""
    scan = probe(kept(made)).scan
    return scan.order + ("?" if scan.doubt else "")


_FLAGS = (
    "not flagged as interlaced",
    "flagged as interlaced",
    "flagged correctly",
    "flagged in the other order",
)


def confusion(found: dict[Clip, str]) -> list[tuple[str, ...]]:
    """Rows of the table: how many clips of each kind were detected as what."""
    rows = []
    for kind, orders in (("progressive", {"progressive"}), ("interlaced", {"top", "bottom"})):
        for flags in _FLAGS:
            clips = [c for c in found if c.order in orders and _flags(c) == flags]
            for name, is_unseen in (("chosen with these clips", False), ("not chosen with these", True)):
                some = [c for c in clips if (c.number >= FIRST_UNSEEN) == is_unseen]
                right = sum(found[c].strip("?") == c.order for c in some)
                whole = sum(found[c].strip("?") == "progressive" for c in some)
                doubted = sum(found[c].endswith("?") for c in some)
                if some:
                    rows.append(
                        (
                            kind,
                            flags,
                            name,
                            *map(
                                str,
                                (
                                    len(some),
                                    right if kind == "interlaced" else len(some) - whole,
                                    whole,
                                    doubted,
                                ),
                            ),
                        )
                    )
    return rows


def _flags(made: Clip) -> str:
    if made.flag == "progressive":
        return "not flagged as interlaced"
    if made.order == "progressive":
        return "flagged as interlaced"
    return "flagged correctly" if made.flag == made.order else "flagged in the other order"


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--progressive", type=int, default=320, metavar="N")
    parser.add_argument("--interlaced", type=int, default=160, metavar="N")
    parser.add_argument("--unseen", type=int, default=40, metavar="N")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)), metavar="N")
    parser.add_argument("--write", type=Path, metavar="FILE")
    given = parser.parse_args()
    with_real = bool(os.environ.get("VSR_SHARED_DATA"))
    clips = [
        *corpus(given.progressive, given.interlaced, with_real=with_real),
        *corpus(given.unseen, given.unseen, with_real=with_real, first=FIRST_UNSEEN),
    ]
    with ProcessPoolExecutor(given.processes, get_context("spawn")) as pool:
        found = dict(zip(clips, pool.map(verdict, clips, chunksize=4), strict=True))
    for made, shown in found.items():
        if shown.strip("?") != made.order:
            print(f"{shown:12} {made.name}")
    head = (
        "pictures",
        "flags",
        "thresholds",
        "clips",
        "interlaced, right order",
        "detected as progressive",
        "of these, reported as in doubt",
    )
    tell("interlacing", table(head, confusion(found)), given.write)
    false = sum(found[c].strip("?") != "progressive" for c in found if c.order == "progressive")
    missed = sum(found[c] != c.order for c in found if c.order != "progressive")
    record(interlacing_clips=len(found), taken_for_interlaced=false, interlaced_missed=missed)
    whole = sum(c.order == "progressive" for c in clips)
    print(
        f"{false} of {whole} progressive clips taken for interlaced, {missed} of {len(clips) - whole} interlaced ones missed"
    )
    return int(false > 0 or missed > MOST_MISSED * (len(clips) - whole))


if __name__ == "__main__":
    sys.exit(main())
