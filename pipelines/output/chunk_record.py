"""`ChunkRecord`: a finished chunk in the journal; `ResultParts`: all parts of an output."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.media.video_info import VideoInfo
    from pipelines.plan.plan import Plan

__all__ = ["ChunkRecord", "ResultParts", "matches_manifest"]


@dataclass(frozen=True, eq=False)
class ChunkRecord:
    """A finished chunk: the path of its data, and its manifest."""

    index: int
    path: Path
    pts: array[int]
    """Timestamps of its packets in decode order."""
    sha256: str
    header_sha256: str
    corrupt: int
    dynamic_hdr: tuple[int, ...] = ()
    """`DynamicHdr.mark` of its frames in display order; empty if the plan keeps no such metadata."""

    @property
    def thumbnails(self) -> bytes:
        """Thumbnails of its source frames in display order.

        Read from the manifest, as those of a whole film are large.
        """
        table = json.loads(self.path.with_suffix(".json").read_bytes())
        return zlib.decompress(base64.b85decode(table["thumbnails"]))

    def read(self) -> bytes:
        """Read its data. Raises VerificationError if it has changed."""
        data = self.path.read_bytes()
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise VerificationError(
                f"{self.path}: changed on the disk since it was written; give the same command again"
            )
        return data

    def delete(self) -> None:
        """Delete it, the manifest first, so that no run takes it for finished."""
        self.path.with_suffix(".json").unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True, eq=False)
class ResultParts:
    """All parts of an output."""

    plan: Plan
    info: VideoInfo
    """Facts of the source; its other tracks are copied."""
    records: Sequence[ChunkRecord]
    """Every chunk of the plan, in order."""


def matches_manifest(path: Path, table: dict[str, Any]) -> bool:
    """Whether the data matches its manifest."""
    needed = {"index", "bytes", "sha256", "header_sha256", "pts", "thumbnails", "corrupt"}
    if (
        not needed <= set(table)
        or not isinstance(table["pts"], list)
        or not all(type(p) is int and abs(p) < 1 << 63 for p in table["pts"])
    ):
        return False
    if path.is_symlink() or not path.is_file() or path.stat().st_size != table["bytes"]:
        return False
    return bool(hashlib.sha256(path.read_bytes()).hexdigest() == table["sha256"])
