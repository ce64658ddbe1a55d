"""`Journal`: which chunks of a plan are finished, on disk, so that a killed run resumes.

The work directory is next to the output, so that an unfinished output in it can be renamed. Everything in it
is first written under a temporary name, flushed, and renamed. A chunk counts only if its data has the hash in
its manifest. There is one writer at a time.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
import zlib
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import OutputError, UsageError, VsrError, counted
from pipelines.output.chunk_record import ChunkRecord, matches_manifest
from pipelines.output.plan_differences import Cut, earlier_options, plan_differences
from pipelines.plan.plan_id import plan_id
from pipelines.settings.crf_target import CrfTarget
from pipelines.storage.atomic_file import TEMPORARY, not_made, write_atomically
from pipelines.storage.file_lock import REMOVES_OPEN_FILES, lock_file

if TYPE_CHECKING:
    from collections.abc import Container

    from pipelines.codec.encoder import EncodedChunk

__all__ = [
    "Journal",
    "OutputInUseError",
    "UnfinishedRun",
    "WorkFolderPlan",
    "read_job",
    "refuse_other_chunks",
    "work_folder",
    "work_folder_plan",
]


_OURS = re.compile(
    rf"(lock|plan\.json|numerics\.json|result|samples|publishing|report|\d{{6,}}\.(chunk|json))(\.tmp)?|{TEMPORARY}"
)
"""Pattern of the names of files that a run creates in its work directory; all other files belong to somebody
else, and are kept."""


def work_folder(output: Path) -> Path:
    """The work directory of an output: `.NAME.vsr-work` in the same folder."""
    name = f".{output.name}.vsr-work"
    if len(os.fsencode(name)) > 255:
        name = f".{hashlib.sha256(os.fsencode(output.name)).hexdigest()[:32]}.vsr-work"
    return output.parent / name


class OutputInUseError(UsageError):
    """Another run is writing this output."""


class Journal:
    """The work directory of one output, locked during the lifetime of this object."""

    def __init__(self, folder: Path, asked: str = "") -> None:
        """Create or open the directory and lock it.

        asked: id of the plan that the command makes for the input; a run may come to another plan, with
        smaller tiles or counted frames. Raises OutputInUseError if another run holds the lock, UsageError if
        it is a link or can't be created there, OutputError if the disk fails or it can't be locked.
        """
        self.folder, self.asked = folder, asked
        if folder.is_symlink():
            raise UsageError(
                f"{folder}: is a symbolic link; a work directory must be a real one; remove the link"
            )
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            self._lock = os.open(
                folder / "lock", os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600
            )
        except OSError as error:
            raise not_made(folder, error, "choose another place for the output with -o") from error
        try:
            self._take_lock()
        except VsrError:
            os.close(self._lock)
            raise

    def _take_lock(self) -> None:
        try:
            # The process that held the lock may have removed the directory after we opened it and before we
            # locked it.
            is_ours = lock_file(self._lock) and os.path.samestat(
                os.fstat(self._lock), os.stat(self.folder / "lock")
            )
        except FileNotFoundError:
            is_ours = False
        except OSError as error:
            raise OutputError(
                f"{self.folder}: can't be locked: {error.strerror}; choose another place for the output"
                " with -o"
            ) from error
        if not is_ours:
            raise OutputInUseError(
                f"{self.folder}: another run is writing this output; wait for it, or choose another -o"
            )

    @property
    def result(self) -> Path:
        """Path at which the output is muxed: a file, or a folder of images."""
        return self.folder / "result"

    def clear_result(self) -> None:
        """Delete the unfinished output."""
        _delete(self.result)

    def close(self) -> None:
        """Unlock; the directory is kept."""
        os.close(self._lock)

    def remove(self) -> None:
        """Delete the files of runs, and the directory unless it contains other files; unlock.

        `plan.json` and the lock are deleted last, so that `is_over` is right after an interruption.
        """
        for path in sorted(self._ours(), key=lambda p: (p.name in {"plan.json", "lock"}, p.name == "lock")):
            if path.name == "lock" and not REMOVES_OPEN_FILES:
                self.close()
            _delete(path)
        with contextlib.suppress(OSError):
            self.folder.rmdir()
        if REMOVES_OPEN_FILES:
            self.close()

    def _ours(self) -> list[Path]:
        """Files that runs have created here."""
        return [path for path in self.folder.iterdir() if _OURS.fullmatch(path.name)]

    @property
    def is_over(self) -> bool:
        """Whether the work directory is no longer needed once the command's output exists.

        True for work of the same command, and if there is none.
        """
        begun = work_folder_plan(self.folder)
        return self.is_empty if begun is None else self.asked in {begun.id, begun.asked}

    @property
    def is_empty(self) -> bool:
        """Whether no chunk is stored here."""
        return not _manifests(self.folder)

    def clear(self) -> None:
        """Delete everything that runs have stored here."""
        for path in self._ours():
            if path.name != "lock":
                _delete(path)

    def adopt(
        self,
        plan_id: str,
        plan: dict[str, Any],
        source: str = "",
        *,
        supersede: bool = False,
        cut: Cut | None = None,
    ) -> tuple[list[ChunkRecord], list[str]]:
        """Assign the directory to a plan.

        Returns (its finished chunks, changes since another plan was worked on). source: the input's path, for
        information. supersede: the same command has come to this plan, so chunks of the other plan are
        useless. cut: see `refuse_other_chunks`. Damaged chunks are deleted. Raises UsageError if chunks of
        another plan are stored here.
        """
        self.clear_result()  # from a run that was killed while muxing
        old = _table(self.folder / "plan.json")
        if old is not None and plan_id in {old.get("id"), _own_id(old)}:
            if old.get("id") != plan_id:  # by a version with other ids; its chunks keep them
                old = {**old, "id": plan_id, "former": old.get("id"), "asked": self.asked or plan_id}
                write_atomically(self.folder / "plan.json", json.dumps(old, indent=1).encode())
            return self._valid_chunks(_ids_of(old)), []
        before = old.get("plan") if old is not None else None
        changed = plan_differences(before, plan) if isinstance(before, dict) else []
        found: list[ChunkRecord] = []
        if not supersede:
            refuse_other_chunks(self.folder, plan_id, plan, cut)
            found = self._valid_chunks([plan_id])  # their plan is incomplete, but they are intact
        else:
            self.clear()
        told = {
            "id": plan_id,
            "asked": self.asked or plan_id,
            "input": os.path.abspath(source) if source else "",
            "plan": plan,
        }
        write_atomically(self.folder / "plan.json", json.dumps(told, indent=1).encode())
        if not found:
            self.forget_numerics()
        return found, changed

    def forget_numerics(self) -> bool:
        """Let the next worker set the numerics class, if no chunk was made with the stored one.

        Returns whether one was stored.
        """
        was_noted = (self.folder / "numerics.json").exists()
        (self.folder / "numerics.json").unlink(missing_ok=True)
        return was_noted

    def adopt_numerics(self, facts: dict[str, str]) -> tuple[list[str], list[str]]:
        """Store the numerics class of the chunks.

        Returns (differences from the stored one, facts that were not stored although there are chunks). Facts
        that a former version did not store are assumed to be unchanged, and stored.
        """
        old = _table(self.folder / "numerics.json") or {}
        differing = [
            f"{key}: {old[key]} before, {facts.get(key, 'none')} now"
            for key in sorted(old)
            if old[key] != facts.get(key)
        ]
        missing = sorted(facts.keys() - old.keys())
        if differing or not missing:
            return differing, []
        write_atomically(self.folder / "numerics.json", json.dumps({**facts, **old}).encode())
        return [], [] if self.is_empty else missing

    def commit(self, plan_id: str, chunk: EncodedChunk) -> ChunkRecord:
        """Store a chunk: data first, manifest last.

        Storing the same chunk again changes nothing.
        """
        path = self.folder / f"{chunk.index:06d}.chunk"
        manifest, sha256 = path.with_suffix(".json"), chunk.sha256
        write_atomically(path, chunk.data)
        record = {
            "plan": plan_id,
            "index": chunk.index,
            "bytes": len(chunk.data),
            "sha256": sha256,
            "header_sha256": chunk.header_sha256,
            "pts": list(chunk.pts),
            "corrupt": chunk.corrupt,
            "thumbnails": base64.b85encode(zlib.compress(chunk.thumbnails)).decode(),
            **({"dynamic_hdr": list(chunk.dynamic_hdr)} if chunk.dynamic_hdr else {}),
        }
        write_atomically(manifest, json.dumps(record).encode())
        facts = sha256, chunk.header_sha256, chunk.corrupt, chunk.dynamic_hdr
        return ChunkRecord(chunk.index, path, array("q", chunk.pts), *facts)

    def _valid_chunks(self, plan_ids: Container[Any]) -> list[ChunkRecord]:
        found = []
        for manifest in _manifests(self.folder):
            table = _table(manifest)
            path = manifest.with_suffix(".chunk")
            if (
                table is not None
                and table.get("plan") in plan_ids
                and table.get("index") == int(manifest.stem)
                and matches_manifest(path, table)
            ):
                marks = tuple(table.get("dynamic_hdr", ()))
                facts = table["sha256"], table["header_sha256"], table["corrupt"], marks
                found.append(ChunkRecord(table["index"], path, array("q", table["pts"]), *facts))
            else:
                manifest.unlink()
                path.unlink(missing_ok=True)
        return found


def refuse_other_chunks(folder: Path, plan_id: str, plan: dict[str, Any], cut: Cut | None = None) -> None:
    """Raise UsageError if a work directory has intact chunks of another plan, with differences and advice.

    cut: returns this plan's chunks for another number of seconds per chunk.
    """
    tables = [(path.with_suffix(".chunk"), _table(path)) for path in _manifests(folder)]
    kept = sum(
        table is not None and table.get("plan") != plan_id and matches_manifest(path, table)
        for path, table in tables
    )
    if not kept:
        return
    before = (_table(folder / "plan.json") or {}).get("plan")
    before = before if isinstance(before, dict) else {}
    changed = plan_differences(before, plan) if before else []
    chunks = before.get("chunks")
    total = f" of {counted(len(chunks), 'chunk')}" if isinstance(chunks, list) else " chunks"
    options = earlier_options(before, plan, (_table(folder / "numerics.json") or {}).get("device", ""), cut)
    how = f" ({options})" if options else ""
    raise UsageError(
        f"{folder}: {kept}{total} of an earlier run are kept, and with this command they"
        f" would get other bits: {', '.join(changed) or 'what they are of can not be read any more'}; go"
        f" on with the earlier command{how}, choose another -o, or throw them away with --fresh"
    )


@dataclass(frozen=True)
class WorkFolderPlan:
    """What a work directory is for: ids of its chunks' plan, and of the plan that the command made."""

    id: str
    asked: str
    target: CrfTarget | None = None
    """The requested size or VMAF, with the CRF found for it; None if none was requested."""


def work_folder_plan(folder: Path) -> WorkFolderPlan | None:
    """Read, without the lock, for which plan a work directory was begun; None if there is none."""
    try:
        told = json.loads((folder / "plan.json").read_bytes())
        own, asked = _own_id(told) or str(told["id"]), str(told.get("asked", told["id"]))
        target = told["plan"].get("target")
        found = CrfTarget.from_json(target) if target and target.get("crf") is not None else None
        return WorkFolderPlan(own, own if asked == told["id"] else asked, found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


@dataclass(frozen=True, eq=False)
class UnfinishedRun:
    """An unfinished run, as recorded in its work directory."""

    folder: Path
    input: str
    """Empty if it was not recorded."""
    plan: dict[str, Any]
    done: dict[int, Path]
    """Finished chunks by index, each a small file in the container of the output."""


def read_job(folder: Path) -> UnfinishedRun:
    """Read a work directory without a lock and without changing it.

    Raises UsageError if there is none.
    """
    try:
        told = json.loads((folder / "plan.json").read_bytes())
        plan_ids, plan = _ids_of(told), told["plan"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{folder}: is not the work directory of a run (it is deleted when the run has finished);"
            " expected .NAME.vsr-work"
        ) from error
    done = {}
    for manifest in _manifests(folder):
        try:
            table = json.loads(manifest.read_bytes())
        except (OSError, ValueError):
            continue
        path = manifest.with_suffix(".chunk")
        if (
            isinstance(table, dict)
            and table.get("plan") in plan_ids
            and table.get("index") == int(manifest.stem)
            and path.is_file()
        ):
            done[table["index"]] = path
    return UnfinishedRun(folder, told.get("input", ""), plan, done)


def _own_id(told: dict[str, Any]) -> str | None:
    """Id of the plan in a work directory, as computed by this version; None if there is no plan."""
    try:
        return plan_id(told["plan"])
    except (AttributeError, KeyError, TypeError):
        return None


def _ids_of(told: dict[str, Any]) -> list[str]:
    """Ids that its chunks may have: that of the plan, and that of a former version."""
    return [told["id"], *([told["former"]] if "former" in told else [])]


def _table(path: Path) -> dict[str, Any] | None:
    """A JSON file; None if it is missing or damaged."""
    try:
        table = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return table if isinstance(table, dict) else None


def _manifests(folder: Path) -> list[Path]:
    """Manifests of the stored chunks, by number."""
    return sorted(path for path in folder.glob("[0-9]*.json") if _OURS.fullmatch(path.name))


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
