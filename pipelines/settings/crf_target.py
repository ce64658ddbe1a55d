"""`CrfTarget`: the requested size or VMAF of an output, and the CRF found for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.errors import UsageError, counted

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CrfTarget", "parse_bytes", "shown_bytes"]


_UNITS = {
    "b": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "ki": 1 << 10,
    "mi": 1 << 20,
    "gi": 1 << 30,
    "ti": 1 << 40,
}
_SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,6})?) ?(?:([kmgt]i?)b?|b)", re.ASCII)
"""A size with its unit: 8 alone is rarely meant to be bytes."""


def parse_bytes(text: str) -> int:
    """Parse a size in bytes; KB, MB, GB and TB are powers of 1000, KiB, MiB, GiB and TiB of 1024.

    Raises UsageError.

    >>> parse_bytes("4.7GB")
    4700000000
    """
    match = _SIZE.fullmatch(text.strip().lower())
    size = round(float(match[1]) * _UNITS[match[2] or "b"]) if match is not None else 0
    if size < 1:
        raise UsageError(f"--target-size {text}: expected a size such as 8GB, 700MB or 4.3GiB")
    return size


def shown_bytes(size: float) -> str:
    """A size with at least three digits.

    >>> shown_bytes(4_700_000_000)
    '4.70 GB'
    """
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.2f} {name}"
    return f"{size:.0f} bytes"


@dataclass(frozen=True)
class CrfTarget:
    """The request that replaces a CRF. `crf` is None until it was found."""

    kind: str
    """"size" or "vmaf"."""
    wanted: float
    """Bytes of the whole output, or its mean VMAF."""
    crf: float | None = None
    """The CRF that was found, in the scale of the codec's software encoder."""
    expected: float = 0.0
    """Predicted size or VMAF at that CRF, from the samples."""
    spread: float = 0.0
    """Standard error of `expected`, from the differences between samples: a share of the size, or points of
    VMAF; 0 if the whole film was tried."""
    trials: tuple[tuple[float, float], ...] = ()
    """(CRF, predicted bytes or VMAF of the output) of each trial."""
    samples: int = 0
    frames: int = 0
    """Number of frames in all samples."""

    @property
    def is_open(self) -> bool:
        """Whether a CRF has still to be found."""
        return self.crf is None

    @property
    def asked(self) -> CrfTarget:
        """The request alone, without results of a search."""
        return CrfTarget(self.kind, self.wanted)

    @property
    def option(self) -> str:
        """The option as typed."""
        return (
            f"--target-size {shown_bytes(self.wanted)}"
            if self.kind == "size"
            else f"--target-vmaf {self.wanted:g}"
        )

    def shown(self, value: float) -> str:
        """A size or a VMAF, in words."""
        return shown_bytes(value) if self.kind == "size" else f"VMAF {value:.2f}"

    def outcome(self, size: int) -> str:
        """The outcome in words. size: bytes of the finished output."""
        if self.kind == "size":
            off = (size - self.wanted) / self.wanted
            return f"{self.option}: the result has {shown_bytes(size)}, {off:+.1%}, at CRF {self.crf:g}"
        where = f"on {counted(self.samples, 'sample')} at CRF {self.crf:g}"
        return f"{self.option}: VMAF {self.expected:.2f} {where}"

    @classmethod
    def from_json(cls, table: Mapping[str, Any]) -> CrfTarget:
        """Read a target from a plan. Raises KeyError, TypeError, ValueError if it is invalid."""
        trials = tuple((float(crf), float(value)) for crf, value in table["trials"])
        return cls(**{**table, "trials": trials})
