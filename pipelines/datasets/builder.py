"""`make_dataset`: builds a data set of pairs from footage: shards, a manifest and a contact sheet.

A unit is one video, or up to 64 images. Its shards get their names together with a marker file, so the same
command resumes after a stop. Everything random depends on the seed and the unit alone, so the result is the
same.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch

from models.catalog.loader import load_network
from models.catalog.lookup import find_cards
from models.errors import MediaError, OutputError, UsageError
from pipelines.datasets.crop_selection import CropHistory
from pipelines.datasets.degradation import described
from pipelines.datasets.events import DatasetDone, Progress, UnitLeftOut
from pipelines.datasets.pair_maker import PairOrder, PairSetup, make_pair
from pipelines.datasets.shards import FORMAT, Pair, Shards, ShardWriter, is_whole
from pipelines.datasets.validation_split import held_out_images
from pipelines.frames.images import contact_sheet, to_pixels, write_png
from pipelines.frames.reference_upscaler import classical
from pipelines.media.file_types import PICTURE_SUFFIXES, find_inputs
from pipelines.pool import interface
from pipelines.probe.probe import fingerprint
from pipelines.storage.atomic_file import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from models.catalog.card import Card
    from models.network import Network
    from pipelines.datasets.settings import DatasetSettings
    from pipelines.pool.interface import WorkerPool

__all__ = ["make_dataset"]


_PICTURES_PER_UNIT = 64
_SHEET_PAIRS = 12
_SIDE_BY_SIDE = 2
_GROUP = 4
"""Pairs that a cluster worker makes at a time."""
_GROUPS = 128
"""Groups that may be pending: they are held in memory here."""
_Make: TypeAlias = "Callable[[Iterator[PairOrder]], Iterator[tuple[Pair, str]]]"


@dataclass(frozen=True)
class _Unit:
    """The part of a data set that is made at once."""

    number: int
    files: tuple[Path, ...]
    held: frozenset[str]
    """Fingerprints of its images that are held out."""
    digest: str
    """Hash of everything its pairs depend on."""

    @property
    def name(self) -> str:
        first = self.files[0].name
        return first if len(self.files) == 1 else f"{first} … {self.files[-1].name}"


def make_dataset(
    inputs: Iterable[str | Path],
    folder: str | Path,
    settings: DatasetSettings,
    *,
    teacher: str = "",
    workers: int | None = None,
    cluster: str | None = None,
) -> Iterator[Progress | UnitLeftOut | DatasetDone]:
    """Make, or finish, the data set of `inputs` (videos, images, folders of them) in `folder`.

    teacher: name or file of a network that makes the ground truth from footage without one. workers: pairs
    made in parallel; None: two. cluster: a Ray cluster to make them on ("local[:N]", "auto", HOST:PORT); the
    footage is read on this machine. A file that can't be read is skipped with an event; raises UsageError if
    nothing is left.
    """
    files = find_inputs(inputs)
    card = _teacher(teacher, settings.scale) if teacher else None
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    done: list[dict[str, Any]] = []
    with _pair_makers(settings.scale, card, workers, cluster) as make:
        for unit in _units(files, settings, teacher):
            finished = _finished(target, unit)
            if finished is not None:
                yield UnitLeftOut(unit.name, "already done")
                done.append(finished)
                continue
            _refuse_other(target, unit)
            try:
                marker = yield from _make_unit(unit, target, settings, make, taught=card is not None)
            except MediaError as error:
                yield UnitLeftOut(unit.name, str(error))
            else:
                done.append(marker)
    yield _finish(target, settings, teacher, done)


@contextmanager
def _pair_makers(
    scale: int, teacher: Card | None, workers: int | None, cluster: str | None
) -> Iterator[_Make]:
    """Make pairs from tasks, in order.

    Threads make them here, or a cluster for the duration of the context.
    """
    if cluster is None:
        network = load_network(teacher).module if teacher is not None else None
        yield lambda tasks: _made(tasks, scale, network, workers or _SIDE_BY_SIDE)
        return
    from pipelines.cluster.ray_session import ClusterResources, open_session

    session, most, cpus = open_session(
        cluster, ClusterResources(), workers=workers, cpus_per_worker=None, usual=_SIDE_BY_SIDE
    )
    with session:
        from pipelines.cluster.ray_pool import RayPool  # Ray is loaded now, as the session wants it

        with RayPool(
            session, workers=most if session.private else None, cpus_per_worker=cpus or 1, device="cpu"
        ) as pool:
            yield lambda tasks: _made_by(pool, tasks, PairSetup(scale, teacher))


def _teacher(name: str, scale: int) -> Card:
    cards = [c for c in find_cards(name) if c.scale == scale]
    if not cards:
        raise UsageError(f"--teacher {name}: has no network of scale {scale}; choose another")
    return cards[0]


def _units(files: list[Path], settings: DatasetSettings, teacher: str) -> Iterator[_Unit]:
    pictures = {file: fingerprint(file) for file in files if file.suffix.lower() in PICTURE_SUFFIXES}
    held = held_out_images(pictures.values(), settings.validation, alone=len(pictures) == len(files))
    groups: list[list[Path]] = []
    for file in files:
        if file in pictures and groups and groups[-1][0] in pictures and len(groups[-1]) < _PICTURES_PER_UNIT:
            groups[-1].append(file)
        else:
            groups.append([file])
    base = json.dumps(
        [FORMAT, {**asdict(settings), "degrade": described(settings.degrade)}, teacher], sort_keys=True
    )
    for number, group in enumerate(groups):
        prints = [pictures.get(file) or fingerprint(file) for file in group]
        validation = held.intersection(prints)
        digest = hashlib.sha256((base + "".join(prints)).encode())
        if group[0] in pictures:
            digest.update(json.dumps(sorted(validation)).encode())
        yield _Unit(number, tuple(group), validation, digest.hexdigest())


def _marker_path(folder: Path, unit: _Unit) -> Path:
    return folder / f"unit-{unit.number:04d}.json"


def _finished(folder: Path, unit: _Unit) -> dict[str, Any] | None:
    """The marker of a finished unit, if its files are complete."""
    try:
        marker: dict[str, Any] = json.loads(_marker_path(folder, unit).read_text(encoding="utf-8"))
        whole = marker["digest"] == unit.digest and all(
            is_whole(folder / s["name"], s) for s in marker["shards"]
        )
    except (OSError, ValueError, KeyError):
        return None
    return marker if whole else None


def _refuse_other(folder: Path, unit: _Unit) -> None:
    """Raise UsageError if pairs of other settings or footage are in the place of this unit's."""
    path = _marker_path(folder, unit)
    try:
        digest = json.loads(path.read_text(encoding="utf-8"))["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if digest != unit.digest:
        raise UsageError(
            f"{path}: is of pairs by other settings or of other footage; choose another folder, or delete"
            " this one first"
        )


def _make_unit(
    unit: _Unit, folder: Path, settings: DatasetSettings, make: _Make, *, taught: bool
) -> Generator[Progress | UnitLeftOut, None, dict[str, Any]]:
    """Make the shards of a unit; yields Progress, returns the marker."""
    from pipelines.datasets.pair_planner import PairPlanner

    rng = np.random.default_rng([settings.seed, int(unit.digest[:12], 16)])
    scout = PairPlanner(unit.files, settings, rng, held=unit.held, prefix=f"{unit.number:04d}", taught=taught)
    limit = settings.shard_mb << 20
    writers = {
        split: ShardWriter(folder, f"{split}-{unit.number:04d}", limit) for split in ("train", "validation")
    }
    pairs = 0
    try:
        with writers["train"], writers["validation"], _one_thread_each():
            for pair, split in make(scout.tasks()):
                writers[split].add(pair)
                pairs += 1
                yield Progress(unit.name, scout.done, scout.total, pairs)
    except OSError as error:
        raise OutputError(f"{folder}: can't be written: {error.strerror}") from error
    for name, reason in scout.left_out:
        yield UnitLeftOut(name, reason)
    shards = [{**shard, "split": split} for split, writer in writers.items() for shard in writer.shards]
    marker = {
        "digest": unit.digest,
        "files": scout.described,
        "shards": shards,
        "rejected": asdict_of(scout.seen),
    }
    write_atomically(_marker_path(folder, unit), json.dumps(marker, indent=1).encode())
    return marker


def asdict_of(seen: CropHistory) -> dict[str, int]:
    """Counts of rejected crops, by reason."""
    return {"flat": seen.flat, "blurred": seen.blurred, "duplicate": seen.duplicate}


def _made(
    tasks: Iterator[PairOrder], scale: int, teacher: Network | None, workers: int
) -> Iterator[tuple[Pair, str]]:
    """Pairs in the order of their tasks, a few being made ahead."""
    waiting: deque[tuple[Future[Pair], str]] = deque()
    with ThreadPoolExecutor(max(1, workers)) as pool:
        try:
            for task in tasks:
                waiting.append((pool.submit(make_pair, task, scale, teacher), task.split))
                if len(waiting) > 2 * workers:
                    future, split = waiting.popleft()
                    yield future.result(), split
            while waiting:
                future, split = waiting.popleft()
                yield future.result(), split
        finally:
            for future, _ in waiting:
                future.cancel()


def _made_by(pool: WorkerPool, tasks: Iterator[PairOrder], setup: PairSetup) -> Iterator[tuple[Pair, str]]:
    """Pairs made by workers of a cluster, some hundred at a time."""
    while some := list(itertools.islice(tasks, _GROUPS * _GROUP)):
        groups = [some[i : i + _GROUP] for i in range(0, len(some), _GROUP)]
        made: dict[int, list[Pair]] = {number: [] for number in range(len(groups))}
        orders = [
            interface.Task(number, f"pairs {group[0].key} to {group[-1].key}", None)
            for number, group in enumerate(groups)
        ]
        by_number = dict(enumerate(groups))
        for event in pool.run_tasks(
            orders,
            worker="pipelines.datasets.pair_maker:PairMaker",
            setup=setup,
            feed=partial(_group_of, by_number),
        ):
            if isinstance(event, interface.WorkerLost):
                made[event.key].clear()
            elif isinstance(event, interface.WorkItem):
                made[event.key].append(event.value)
        for number, group in enumerate(groups):
            for pair, task in zip(made[number], group, strict=True):
                yield pair, task.split


def _group_of(groups: dict[int, list[PairOrder]], _: int, order: interface.Task) -> list[PairOrder]:
    return groups[order.key]


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Use one torch thread each: pairs are small and made in parallel."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _finish(folder: Path, settings: DatasetSettings, teacher: str, done: list[dict[str, Any]]) -> DatasetDone:
    """Write the manifest and the contact sheet."""
    shards = [s for unit in done for s in unit["shards"]]
    counts = {
        split: sum(s["pairs"] for s in shards if s["split"] == split) for split in ("train", "validation")
    }
    if not counts["train"]:
        of_all = "what is not held out to validate by" if counts["validation"] else "all the footage"
        raise UsageError(
            f"{folder}: no crop of {of_all} was worth learning from; give more or sharper footage, or loosen"
            " [crops]"
        )
    rejected = {
        reason: sum(unit["rejected"][reason] for unit in done) for reason in ("flat", "blurred", "duplicate")
    }
    manifest = {
        "format": FORMAT,
        "settings": asdict(settings),
        "teacher": teacher,
        "pairs": counts,
        "rejected": rejected,
        "sources": [f for unit in done for f in unit["files"]],
        "shards": shards,
    }
    write_atomically(folder / "manifest.json", json.dumps(manifest, indent=1).encode())
    _write_sheet(folder)
    return DatasetDone(str(folder), counts["train"], counts["validation"], rejected)


def _write_sheet(folder: Path) -> None:
    """`contact-sheet.png`: pairs from the whole training part: input, its Lanczos upscale, ground truth."""
    shards = Shards([folder], "train")
    chosen = sorted({round(i) for i in np.linspace(0, len(shards) - 1, _SHEET_PAIRS)})
    rows = []
    for index in chosen:
        pair = shards[index]
        rows.append(_tiles(pair, shards.scale))
    two = [rows[i] + rows[i + 1] for i in range(0, len(rows) - 1, 2)] or rows
    write_png(folder / "contact-sheet.png", contact_sheet(two))


def _tiles(pair: Pair, scale: int) -> list[np.ndarray]:
    from pipelines.frames.sample_values import to_values

    low, truth = to_values(pair.low.frames(slice(-1, None))), to_values(pair.truth.frames(slice(-1, None)))
    matrix = int(pair.record.get("matrix", 5))
    return [
        to_pixels(p, 0, matrix)
        for p in (classical(low, scale, "nearest"), classical(low, scale, "lanczos"), truth)
    ]
