"""`Journal`: which chunks of this very plan are done, on disk, so that a killed run resumes.

The work directory lies beside the output, so that an unfinished result can lie in it and still be renamed.
Everything in it is written under another name first, flushed, and renamed; a chunk counts only if its data
has the hash its manifest says. One writer at a time.
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

from models.errors import OutputError, UsageError, VsrError
from pipelines.output.chunk_record import ChunkRecord, holds
from pipelines.output.plan_differences import model_options, plan_differences
from pipelines.plan.plan_id import plan_id
from pipelines.plan.rate_target import RateTarget
from pipelines.storage.atomic_file import TEMPORARY, write_atomically
from pipelines.storage.file_lock import REMOVES_OPEN_FILES, lock_file

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from pipelines.codec.encoder import EncodedChunk

__all__ = ["Begun", "BegunRun", "Journal", "OutputInUseError", "begun_plan", "read_job", "work_folder"]


_OURS = re.compile(
    rf"(lock|plan\.json|numerics\.json|result|samples|publishing|report|\d{{6,}}\.(chunk|json))(\.tmp)?|{TEMPORARY}"
)
"""What a run makes in its work directory, as a pattern of names; whatever else lies there is somebody else's,
and stays."""


def work_folder(output: Path) -> Path:
    """The work directory of an output: `.NAME.vsr-work` beside it."""
    name = f".{output.name}.vsr-work"
    if len(os.fsencode(name)) > 255:
        name = f".{hashlib.sha256(os.fsencode(output.name)).hexdigest()[:32]}.vsr-work"
    return output.parent / name


class OutputInUseError(UsageError):
    """Another run is writing this output."""


class Journal:
    """The work directory of one output, locked while this object lives."""

    def __init__(self, folder: Path, asked: str = "") -> None:
        """Make or open the directory and lock it.

        asked: id of the plan that the command makes of the input; a run may come to another, with smaller
        tiles or counted frames. Raises OutputInUseError where another run holds it, UsageError where it is a
        link, OutputError where it can't be made or locked.
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
            raise OutputError(
                f"{folder}: can't be made: {error.strerror}; choose another place for the output with -o"
            ) from error
        try:
            self._take_lock()
        except VsrError:
            os.close(self._lock)
            raise

    def _take_lock(self) -> None:
        try:
            # Its holder may have removed the directory between our opening and our locking.
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
        """Where the result is put together: a file, or a folder of pictures."""
        return self.folder / "result"

    def clear_result(self) -> None:
        """Delete what was put together there."""
        _delete(self.result)

    def close(self) -> None:
        """Unlock; the directory stays."""
        os.close(self._lock)

    def remove(self) -> None:
        """Delete what runs made here, and the directory unless somebody else put something there; unlock.

        Ended in between, it leaves what `is_over` still knows.
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
        """What runs made in here."""
        return [path for path in self.folder.iterdir() if _OURS.fullmatch(path.name)]

    @property
    def is_over(self) -> bool:
        """Whether nothing here is worth keeping once the command's result is there.

        Work of the same command, or none at all.
        """
        begun = begun_plan(self.folder)
        return self.is_empty if begun is None else self.asked in {begun.id, begun.asked}

    @property
    def is_empty(self) -> bool:
        """No chunk is kept here."""
        return not _manifests(self.folder)

    def clear(self) -> None:
        """Delete all that runs have kept here."""
        for path in self._ours():
            if path.name != "lock":
                _delete(path)

    def adopt(
        self, plan_id: str, plan: dict[str, Any], source: str = "", *, supersede: bool = False
    ) -> tuple[list[ChunkRecord], list[str]]:
        """Make the directory that plan's.

        (chunks of it that are done, what changed since another plan was worked on).

        source: the input's path, for whoever looks into the directory. supersede: the same command has come
        to this plan, for which chunks of the other are of no use. Chunks that are torn or were tampered with
        are deleted. Raises UsageError where chunks of another plan are kept here.
        """
        self.clear_result()  # of a run that was killed while it put it together
        old = self._read("plan.json")
        if old is not None and plan_id in {old.get("id"), _own_id(old)}:
            if old.get("id") != plan_id:  # by a version that gave other ids; its chunks keep theirs
                old = {**old, "id": plan_id, "former": old.get("id"), "asked": self.asked or plan_id}
                write_atomically(self.folder / "plan.json", json.dumps(old, indent=1).encode())
            return self._valid_chunks(_ids_of(old)), []
        before = old.get("plan") if old is not None else None
        changed = plan_differences(before, plan) if isinstance(before, dict) else []
        found: list[ChunkRecord] = []
        if not supersede:
            self._refuse_to_replace(plan_id, changed, before if isinstance(before, dict) else {})
            found = self._valid_chunks([plan_id])  # their plan was torn, they are whole
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

    def _refuse_to_replace(self, plan_id: str, changed: Sequence[str], before: dict[str, Any]) -> None:
        """Raises UsageError where there are whole chunks of another plan, with what differs and the
        ways on.
        """
        tables = [(path.with_suffix(".chunk"), self._read(path.name)) for path in _manifests(self.folder)]
        kept = sum(
            table is not None and table.get("plan") != plan_id and holds(path, table)
            for path, table in tables
        )
        if not kept:
            return
        total = f" of {len(before['chunks'])}" if isinstance(before.get("chunks"), list) else ""
        device = (self._read("numerics.json") or {}).get("device", "")
        is_model = any(word.startswith("the model ") for word in changed)
        how = f" ({model_options(before, device)})" if is_model and model_options(before, device) else ""
        raise UsageError(
            f"{self.folder}: {kept}{total} chunks of an earlier run are kept, and with this command they"
            f" would get other bits: {', '.join(changed) or 'what they are of can not be read any more'}; go"
            f" on with the earlier command{how}, choose another -o, or throw them away with --fresh"
        )

    def forget_numerics(self) -> bool:
        """Let the next worker set the numerics class anew, where no chunk is of the one noted.

        Whether one was.
        """
        was_noted = (self.folder / "numerics.json").exists()
        (self.folder / "numerics.json").unlink(missing_ok=True)
        return was_noted

    def adopt_numerics(self, facts: dict[str, str]) -> tuple[list[str], list[str]]:
        """Note the numerics class the chunks are made in.

        (what differs from the one noted before, what of it was not noted though chunks are kept).

        What was not noted, as by a former version, is taken to be as it is now, and noted.
        """
        old = self._read("numerics.json") or {}
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
        """Keep a chunk: data first, manifest last.

        The same chunk again changes nothing that was kept before.
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
            table = self._read(manifest.name)
            path = manifest.with_suffix(".chunk")
            if (
                table is not None
                and table.get("plan") in plan_ids
                and table.get("index") == int(manifest.stem)
                and holds(path, table)
            ):
                marks = tuple(table.get("dynamic_hdr", ()))
                facts = table["sha256"], table["header_sha256"], table["corrupt"], marks
                found.append(ChunkRecord(table["index"], path, array("q", table["pts"]), *facts))
            else:
                manifest.unlink()
                path.unlink(missing_ok=True)
        return found

    def _read(self, name: str) -> dict[str, Any] | None:
        """A JSON file of the directory; None where it is not there or torn."""
        try:
            table = json.loads((self.folder / name).read_bytes())
        except (OSError, ValueError):
            return None
        return table if isinstance(table, dict) else None


@dataclass(frozen=True)
class Begun:
    """What a work directory is for: ids of the plan that its chunks belong to, and of the one that the
    command asked for.
    """

    id: str
    asked: str
    target: RateTarget | None = None
    """With the CRF that was found for it, where one was asked for."""


def begun_plan(folder: Path) -> Begun | None:
    """Looked at without a lock; None where there is none."""
    try:
        told = json.loads((folder / "plan.json").read_bytes())
        own, asked = _own_id(told) or str(told["id"]), str(told.get("asked", told["id"]))
        target = told["plan"].get("target")
        found = RateTarget.from_json(target) if target and target.get("crf") is not None else None
        return Begun(own, own if asked == told["id"] else asked, found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


@dataclass(frozen=True, eq=False)
class BegunRun:
    """A run that has not finished, as its work directory tells."""

    folder: Path
    input: str
    """Empty where it was not written down."""
    plan: dict[str, Any]
    done: dict[int, Path]
    """Finished chunks by index, each a small file in the container of the result."""


def read_job(folder: Path) -> BegunRun:
    """Look into a work directory without a lock and without changing anything.

    Raises UsageError where there is none.
    """
    try:
        told = json.loads((folder / "plan.json").read_bytes())
        plan_ids, plan = _ids_of(told), told["plan"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{folder}: is no work directory of a run (it is deleted when the run has finished); expected"
            " .NAME.vsr-work"
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
    return BegunRun(folder, told.get("input", ""), plan, done)


def _own_id(told: dict[str, Any]) -> str | None:
    """Id of the plan that a work directory tells, as this version makes it; None where there is no plan."""
    try:
        return plan_id(told["plan"])
    except (AttributeError, KeyError, TypeError):
        return None


def _ids_of(told: dict[str, Any]) -> list[str]:
    """Ids that its chunks may bear: the plan's, and what a former version called it."""
    return [told["id"], *([told["former"]] if "former" in told else [])]


def _manifests(folder: Path) -> list[Path]:
    """Of the chunks that are kept there, by number."""
    return sorted(path for path in folder.glob("[0-9]*.json") if _OURS.fullmatch(path.name))


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
