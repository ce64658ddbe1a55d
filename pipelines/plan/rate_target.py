"""`RateTarget`: the size or VMAF that a result is to have, and the CRF that samples gave for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RateTarget", "parse_bytes", "shown_bytes"]


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
"""With a unit: 8 alone is rarely meant to be bytes."""


def parse_bytes(text: str) -> int:
    """A size in bytes; KB, MB, GB and TB count in thousands, KiB, MiB, GiB and TiB in 1024s.

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
    """A size with three digits or more.

    >>> shown_bytes(4_700_000_000)
    '4.70 GB'
    """
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.2f} {name}"
    return f"{size:.0f} bytes"


@dataclass(frozen=True)
class RateTarget:
    """What was asked for instead of a CRF. Until it is searched for, `crf` is None."""

    kind: str
    """"size" or "vmaf"."""
    wanted: float
    """Bytes of the whole result, or its mean VMAF."""
    crf: float | None = None
    """In the scale of the codec's software encoder."""
    expected: float = 0.0
    """Of the result at that CRF, by the samples: bytes or VMAF."""
    spread: float = 0.0
    """Standard error of `expected`, by how much the samples differ: a share of the size, or points of VMAF;
    0 where all was tried."""
    trials: tuple[tuple[float, float], ...] = ()
    """(CRF, bytes or VMAF of the result) as the samples had it."""
    samples: int = 0
    frames: int = 0
    """Of all samples together."""

    @property
    def is_open(self) -> bool:
        """Whether a CRF is still to be found."""
        return self.crf is None

    @property
    def asked(self) -> RateTarget:
        """The same as the command asks for it, before any search."""
        return RateTarget(self.kind, self.wanted)

    @property
    def option(self) -> str:
        """As it is typed."""
        return (
            f"--target-size {shown_bytes(self.wanted)}"
            if self.kind == "size"
            else f"--target-vmaf {self.wanted:g}"
        )

    def shown(self, value: float) -> str:
        """A value of its kind, in words."""
        return shown_bytes(value) if self.kind == "size" else f"VMAF {value:.2f}"

    def outcome(self, size: int) -> str:
        """What came of it, in words. size: bytes of the finished result."""
        if self.kind == "size":
            off = (size - self.wanted) / self.wanted
            return f"{self.option}: the result has {shown_bytes(size)}, {off:+.1%}, at CRF {self.crf:g}"
        return f"{self.option}: VMAF {self.expected:.2f} on {self.samples} samples at CRF {self.crf:g}"

    @classmethod
    def from_json(cls, table: Mapping[str, Any]) -> RateTarget:
        """As it stands in a plan. Raises KeyError, TypeError, ValueError where it is none."""
        trials = tuple((float(crf), float(value)) for crf, value in table["trials"])
        return cls(**{**table, "trials": trials})
