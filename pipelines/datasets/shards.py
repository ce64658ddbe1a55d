"""`ShardWriter` and `Shards`: pairs of clips on disk in WebDataset layout.

They can be read with `webdataset` and `ray.data.read_webdataset`. A shard is a plain tar file. Each pair has
three members in a row: `KEY.json` (sizes, bits, source, degradation), `KEY.low.yuv` and `KEY.truth.yuv`
(planar 4:2:0 frames one after another, 8-bit, or 16-bit little-endian with 10-bit values). A data set is a
folder of shards with a `manifest.json`.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from models.errors import MediaError, OutputError, UsageError
from pipelines.frames.sample_values import SampleValues
from pipelines.storage.atomic_file import sync_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

__all__ = [
    "FORMAT",
    "Pair",
    "ShardWriter",
    "Shards",
    "is_dataset",
    "is_whole",
    "manifest_hash",
    "read_manifest",
]


FORMAT = "vsr-pairs-1"
Split = Literal["train", "validation"]


@dataclass(frozen=True, eq=False)
class Pair:
    """A low-resolution clip and its ground truth."""

    key: str
    low: SampleValues
    truth: SampleValues
    record: dict[str, Any]
    """Source, frame, crop, orientation and degradation."""


class ShardWriter:
    """Writes the pairs of one split into numbered tar files of about `shard_bytes`.

    Files get their names when they are complete.
    """

    def __init__(self, folder: Path, stem: str, shard_bytes: int) -> None:
        self._folder, self._stem, self._limit = folder, stem, shard_bytes
        self._tar: tarfile.TarFile | None = None
        self._pairs = 0
        self.shards: list[dict[str, Any]] = []
        """Name, SHA-256, bytes and number of pairs of each finished shard."""

    def add(self, pair: Pair) -> None:
        """Append a pair. Raises OutputError if it can't be written."""
        low, truth = pair.low, pair.truth
        record = {
            **pair.record,
            "bits": truth.bits,
            "frames": len(truth.luma),
            "low_size": list(low.luma.shape[1:]),
            "truth_size": list(truth.luma.shape[1:]),
        }
        try:
            if self._tar is None:
                self._tar = tarfile.open(self._partial, "w:", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - closed by _finish
            for suffix, content in (
                ("json", json.dumps(record).encode()),
                ("low.yuv", _packed(low)),
                ("truth.yuv", _packed(truth)),
            ):
                # all other fields are constant, so equal pairs make equal bytes
                member = tarfile.TarInfo(f"{pair.key}.{suffix}")
                member.size = len(content)
                self._tar.addfile(member, io.BytesIO(content))
        except OSError as error:
            raise OutputError(f"{self._partial}: can't be written: {error.strerror}") from error
        self._pairs += 1
        if self._tar.offset >= self._limit:
            self._finish()

    def close(self) -> None:
        """Finish the last shard."""
        if self._tar is not None:
            self._finish()

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif self._tar is not None:
            self._tar.close()
            self._partial.unlink(missing_ok=True)

    @property
    def _partial(self) -> Path:
        return self._folder / f"{self._stem}-{len(self.shards):03d}.tar.partial"

    def _finish(self) -> None:
        assert self._tar is not None
        self._tar.close()
        partial = self._partial
        final = partial.with_suffix("")
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        partial.replace(final)
        sync_folder(self._folder)
        self.shards.append(
            {"name": final.name, "sha256": digest, "bytes": final.stat().st_size, "pairs": self._pairs}
        )
        self._tar, self._pairs = None, 0


def _packed(codes: SampleValues) -> bytes:
    dtype = np.uint8 if codes.bits == 8 else np.dtype("<u2")
    parts = [
        np.ascontiguousarray(p, dtype).tobytes()
        for luma, chroma in zip(codes.luma, codes.chroma, strict=True)
        for p in (luma, chroma)
    ]
    return b"".join(parts)


def is_dataset(folder: Path) -> bool:
    """Whether `folder` contains a data set made by `vsr dataset`."""
    return (folder / "manifest.json").is_file()


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a data set. Raises UsageError if there is none, MediaError if it is damaged."""
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror}; expected a data set, as `vsr dataset FILMS -o pairs` makes it"
        ) from error
    except ValueError as error:
        raise MediaError(f"{path}: is damaged: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise MediaError(
            f"{path}: is not a manifest of format {FORMAT}; make the data set again with vsr dataset"
        )
    return manifest


def manifest_hash(folder: Path) -> str:
    """SHA-256 of the manifest, which contains the hash of every shard: it identifies the data."""
    return hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()


def is_whole(path: Path, shard: dict[str, Any]) -> bool:
    """Whether a shard's file matches its manifest, by hash.

    Raises OSError if it can't be read.
    """
    found = path.stat()
    return bool(
        found.st_size == shard["bytes"] and _sha256(path, found.st_size, found.st_mtime_ns) == shard["sha256"]
    )


@functools.lru_cache(maxsize=4096)
def _sha256(path: Path, _size: int, _changed_ns: int) -> str:
    """SHA-256 of a file in that state; read once per process."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class _Place:
    """Position of a pair."""

    key: str
    tar: int
    json: slice
    low: slice
    truth: slice


class Shards:
    """The pairs of one split of one or more data sets, by number.

    Files are memory-mapped: only requested parts are read.
    """

    def __init__(self, folders: Sequence[Path], split: Split) -> None:
        """Open the data sets of some folders.

        Raises UsageError if a folder is not a data set or has no pairs, or if scales differ, and MediaError
        for damage.
        """
        manifests = [read_manifest(f) for f in folders]
        scales = {int(m["settings"]["scale"]) for m in manifests}
        if len(scales) != 1:
            raise UsageError(
                f"data sets of scales {sorted(scales)} can't be mixed: {', '.join(map(str, folders))}"
            )
        self.scale = scales.pop()
        self._maps: list[np.memmap[Any, np.dtype[np.uint8]]] = []
        self._places: list[_Place] = []
        self.firsts: dict[Path, int] = {}
        """Number of the first pair of each data set that has any."""
        self._records: dict[int, dict[str, Any]] = {}
        held = _held_out(manifests) if split == "train" and len(manifests) > 1 else {}
        for folder, manifest in zip(folders, manifests, strict=True):
            first = len(self)
            for shard in manifest["shards"]:
                if shard["split"] == split:
                    self._add(folder / shard["name"], shard)
            if held:
                self._leave_out(first, held, manifest["settings"])
            if len(self) > first:
                self.firsts[folder] = first
        if not self._places:
            raise UsageError(
                f"{', '.join(map(str, folders))}: has no {split} pairs; make a data set of more footage"
            )

    def _leave_out(
        self, first: int, held: dict[str, list[tuple[int, int]]], settings: dict[str, Any]
    ) -> None:
        """Drop pairs, from `first` on, with a frame that another data set holds out."""
        length = int(settings.get("frames", 1)) + int(settings.get("context_frames", 0))

        def is_held(record: dict[str, Any]) -> bool:
            last = int(record.get("frame", 0))
            return any(
                last >= start and last - length + 1 < stop
                for start, stop in held.get(str(record.get("source", "")), ())
            )

        kept = [
            place
            for number, place in enumerate(self._places[first:], start=first)
            if not is_held(self.record(number))
        ]
        self._places[first:] = kept
        self._records.clear()

    def _add(self, path: Path, shard: dict[str, Any]) -> None:
        try:
            if not is_whole(path, shard):
                raise MediaError(
                    f"{path}: is not what its manifest says (another size or SHA-256), so it is damaged; make"
                    " the data set again"
                )
            with tarfile.open(path, "r:") as tar:
                members = {m.name: slice(m.offset_data, m.offset_data + m.size) for m in tar}
            self._maps.append(np.memmap(path, np.uint8, "r"))
        except (OSError, tarfile.TarError) as error:
            raise MediaError(f"{path}: can't be read as a shard: {error}") from error
        keys = [name.removesuffix(".json") for name in members if name.endswith(".json")]
        number = len(self._maps) - 1
        self._places += [
            _Place(k, number, members[f"{k}.json"], members[f"{k}.low.yuv"], members[f"{k}.truth.yuv"])
            for k in keys
        ]

    def __len__(self) -> int:
        return len(self._places)

    @functools.cached_property
    def bits(self) -> int:
        """Bit depth of the deepest pair."""
        return max(int(self.record(n)["bits"]) for n in range(len(self)))

    def record(self, index: int) -> dict[str, Any]:
        """The record of a pair."""
        if index not in self._records:
            place = self._places[index]
            self._records[index] = json.loads(self._maps[place.tar][place.json].tobytes())
        return self._records[index]

    def __getitem__(self, index: int) -> Pair:
        place, record = self._places[index], self.record(index)
        mapped = self._maps[place.tar]
        low = _unpacked(mapped[place.low], record["low_size"], record)
        return Pair(place.key, low, _unpacked(mapped[place.truth], record["truth_size"], record), record)


def _held_out(manifests: Sequence[dict[str, Any]]) -> dict[str, list[tuple[int, int]]]:
    """First 16 digits of a source's SHA-256 -> frames [start, stop) that any of the data sets holds out."""
    held: dict[str, list[tuple[int, int]]] = {}
    for manifest in manifests:
        for source in manifest.get("sources", []):
            ranges = (
                [(0, 1)]
                if source.get("split") == "validation"
                else [(int(a), int(b)) for a, b in source.get("held", [])]
            )
            held.setdefault(str(source["sha256"])[:16], []).extend(ranges)
    return {name: ranges for name, ranges in held.items() if ranges}


def _unpacked(content: np.ndarray, size: Sequence[int], record: dict[str, Any]) -> SampleValues:
    """Views of the mapped bytes."""
    height, width = size
    samples = np.asarray(content) if record["bits"] == 8 else np.asarray(content).view("<u2")
    frames = samples.reshape(record["frames"], height * width * 3 // 2)
    luma = frames[:, : height * width].reshape(-1, height, width)
    return SampleValues(
        luma, frames[:, height * width :].reshape(-1, 2, height // 2, width // 2), record["bits"]
    )
