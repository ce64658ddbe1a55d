"""The end of a run: mux, verify, rename, write the report."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Generator
from dataclasses import asdict, astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import OutputError, UsageError, counted
from pipelines.media.image_sequence import pattern_of, publish
from pipelines.output.chunk_record import ResultParts
from pipelines.output.journal import Journal, work_folder
from pipelines.output.muxer import assemble
from pipelines.output.verification import result_hash, verify
from pipelines.plan.chunking import range_text
from pipelines.plan.events import Event, Finished, Note, Phase, Planned, limit_text
from pipelines.plan.output_names import is_folder, output_pattern, report_path
from pipelines.plan.plan import Plan
from pipelines.plan.plan_id import ID_FORMAT
from pipelines.storage.atomic_file import rename_over, sync_file, sync_folder, write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.catalog.card import Card
    from pipelines.output.stream_copy import CopiedStream
    from pipelines.run.chunk_loop import MadeChunks

__all__ = ["complete_naming", "publish_result", "refuse_foreign", "refuse_taken"]


_PUBLISHING = "publishing"
"""File of the work directory that records what is being renamed."""
_REPORT = "report"
"""The report in the work directory, before it is moved next to the output."""


def _doubt(target: Path, plan: Plan) -> str:
    """Why an output may belong to this command after all."""
    try:
        report = json.loads(report_path(target).read_bytes())
        is_former = "id_format" not in report
        pattern = output_pattern(target, plan)
        if pattern is not None and not set(plan.numbers) <= set(pattern.numbers()):
            return ", or some of its pictures are gone" if report["plan"] in plan.ids else ""
        if target.is_file() and report["bytes"] != target.stat().st_size:
            return ", or was damaged or replaced since"
    except (OSError, ValueError, TypeError, KeyError):
        return ""
    return ", or by a former version of vsr with networks that lay elsewhere" if is_former else ""


def refuse_taken(target: Path, plan: Plan, *, may_replace: bool) -> None:
    """Raise UsageError if a file that may not be replaced is in the place of the output or its report."""
    report = report_path(target)
    if report.is_dir():
        raise UsageError(
            f"{report}: is a folder, and the report of the result has this name; choose another -o"
        )
    if may_replace:
        return
    if _is_there(target, plan):
        raise UsageError(
            f"{target}: already exists and was made with other settings{_doubt(target, plan)}; give"
            " --overwrite to replace it, or another -o"
        )
    if os.path.lexists(report) and not _is_report(report):
        raise UsageError(
            f"{report}: already exists, and is not the report of a result; give --overwrite to replace it, or"
            " another -o"
        )


def refuse_foreign(output: Path | None, *, may_replace: bool) -> None:
    """Raise UsageError if a named output exists and no run has made it, before the film is looked at."""
    if output is None or may_replace or is_folder(output) or pattern_of(output) is not None:
        return
    is_renamed = (work_folder(output) / _PUBLISHING).exists()
    if output.is_file() and not is_renamed and not _is_report(report_path(output)):
        raise UsageError(
            f"{output}: already exists, and vsr did not make it; give --overwrite to replace it, or"
            " another -o"
        )


def _is_report(path: Path) -> bool:
    try:
        return "plan" in json.loads(path.read_bytes())
    except (OSError, ValueError, TypeError):
        return False


def _is_there(target: Path, plan: Plan) -> bool:
    """Whether a file is in the place of the output, other than from an interrupted rename of this run."""
    pattern = output_pattern(target, plan)
    if not os.path.lexists(target) if pattern is None else set(plan.numbers).isdisjoint(pattern.numbers()):
        return False
    try:
        mark = (work_folder(target) / _PUBLISHING).read_text(encoding="utf-8")
        return mark not in {_mark(plan_id, target if pattern is None else None) for plan_id in plan.ids}
    except OSError:
        return True


def _mark(plan_id: str, result: Path | None) -> str:
    """Content of `_PUBLISHING`: the plan's id and, for a single file, its inode, which a rename keeps."""
    return plan_id if result is None else f"{plan_id} {result.stat().st_ino}"


def _origin(card: Card) -> dict[str, str]:
    """Name of a network, its file if it is not known by the name, and the licence of its weights."""
    file = {"file": card.file} if card.file else {}
    return {
        "name": card.name,
        **file,
        "sha256": card.sha256,
        "licence": card.licence,
        "commercial": card.commercial,
    }


def publish_result(
    planned: Planned,
    made: MadeChunks,
    journal: Journal,
    *,
    verify_all: bool,
    may_replace: bool,
    stop: threading.Event | None = None,
) -> Generator[Event, None, Finished]:
    """Mux, verify, and only then rename the output.

    verify_all: verify the whole output, not only around chunk boundaries. Returns the closing event, with the
    seconds of this step.
    """
    began = time.monotonic()
    plan, info, target = planned.plan, planned.info, Path(planned.output)
    parts = ResultParts(plan, info, made.records)
    concealed = sum(r.corrupt for r in made.records)
    try:
        yield Phase("putting the result together")
        passed = assemble(parts, journal.result, dropped=planned.left_out, stop=stop)
        yield Phase("verifying")
        report = verify(journal.result, parts, passed, full=verify_all, stop=stop)
        summary = {
            "plan": plan.id, "asked": journal.asked, "id_format": ID_FORMAT,
            "tile": [*reversed(plan.tile_px)], "bytes": 0,
            "networks": [_origin(s.card) for s in plan.stages],
            "source": Path(info.path).name, "source_fingerprint": plan.source_fingerprint,
            "range": range_text(info.pts, info.time_base, (plan.start_frame, plan.stop_frame)),
            "crop": [*astuple(plan.crop.turned(info.orientation))],
            "concealed": concealed, "flaw": info.flaw, "dropped": list(planned.dropped), **asdict(report),
        }  # fmt: skip
        yield Phase("bringing it to the disk")
        refuse_taken(target, plan, may_replace=may_replace)  # hours may have passed
        if plan.target is not None:
            summary["target"] = asdict(plan.target)
        size = _give_name(journal, target, plan, summary)
    except OSError as error:
        raise OutputError(
            f"{target}: can't be written: {error.strerror}; what is done is kept, free some space and give"
            " the same command again"
        ) from error
    finally:
        journal.clear_result()
    if concealed:
        yield Note(f"damaged or missing frames of the source were concealed: {concealed}")
    if plan.target is not None:
        yield Note(plan.target.outcome(size))
    if stay := _others(target, plan):
        yield Note(stay)
    return Finished(
        str(target),
        report.frames,
        time.monotonic() - began,
        size,
        limit_text(made.seconds, is_learned=plan.is_learned),
        summary,
        made.frames,
        _kept(passed, planned, report.chapters),
    )


def _kept(passed: Sequence[CopiedStream], planned: Planned, chapters: int) -> tuple[str, ...]:
    """Tracks of the source that the output has too, in words."""
    counts = Counter(_TRACKS.get(p.type, f"{p.type} track") for p in passed if not p.is_cover)
    if not planned.plan.encoder.is_picture:
        # in Matroska an attachment
        counts["cover"] = sum(s.is_cover and s.index not in planned.left_out for s in planned.info.streams)
        counts["chapter"] = chapters
    return tuple(f"{count} {noun}{'s' * (count > 1)}" for noun, count in counts.items() if count)


_TRACKS = {
    "video": "other film",
    "subtitle": "subtitle track",
    "attachment": "attachment",
    "data": "data track",
}


def _others(target: Path, plan: Plan) -> str:
    """A message about images of the same pattern that are not from this run; empty if there are none."""
    pattern = output_pattern(target, plan)
    others = [n for n in pattern.numbers() if n not in plan.numbers] if pattern is not None else []
    return (
        f"{counted(len(others), 'picture')} of the same pattern that this run did not make stay:"
        f" {others[0]}{f' to {others[-1]}' if len(others) > 1 else ''}"
        if others
        else ""
    )


def _give_name(journal: Journal, target: Path, plan: Plan, summary: dict[str, Any]) -> int:
    """Move the verified output and its report to their places, flushed; returns the output's size in bytes.

    The report of a single file is complete before the file gets its name: a run that is killed between the
    two leaves only the report to be moved (`complete_naming`). summary: gets size and hash.
    """
    pattern = output_pattern(target, plan)
    mark = journal.folder / _PUBLISHING
    if pattern is not None:
        size = publish(journal.result, pattern, mark, _mark(plan.id, None))
        _write_report(journal, summary, size, result_hash(target, plan))
    else:
        sync_file(journal.result)
        size = journal.result.stat().st_size
        _write_report(journal, summary, size, result_hash(journal.result, plan))
        write_atomically(mark, _mark(plan.id, journal.result).encode())
        rename_over(journal.result, target)
        sync_folder(target.parent)
    rename_over(journal.folder / _REPORT, report_path(target))
    sync_folder(target.parent)
    return size


def _write_report(journal: Journal, summary: dict[str, Any], size: int, sha256: str) -> None:
    summary["bytes"], summary["sha256"] = size, sha256
    write_atomically(journal.folder / _REPORT, json.dumps(summary, indent=1).encode())


def complete_naming(target: Path, plan: Plan) -> None:
    """Move the report next to an output that a run had named right before it was killed.

    Raises OutputInUseError if another run holds the lock, OutputError.
    """
    folder = work_folder(target)
    if not (folder / _REPORT).is_file() or _is_there(target, plan):
        return
    journal = Journal(folder, plan.id)
    try:
        if os.path.lexists(target) or output_pattern(target, plan) is not None:
            rename_over(folder / _REPORT, report_path(target))
            sync_folder(target.parent)
    except OSError as error:
        raise OutputError(
            f"{report_path(target)}: can't be written: {error.strerror}; give the same command again"
        ) from error
    finally:
        journal.close()
