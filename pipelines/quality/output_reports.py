"""Reads from the reports of vsr's outputs how they relate to a film: part, times, crop."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.media.pixel_format import PixelCrop
from pipelines.plan.output_names import report_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.media.video_info import VideoInfo

__all__ = ["OutputReports"]


_LARGEST_DENOMINATOR = 1_000_000
"""Reports have seconds as floats; the time bases of containers are coarser than this."""


class OutputReports:
    """The reports of videos that are compared with the first of them.

    The first is the source of the others, or an output of the whole of the same source.
    """

    def __init__(self, videos: Sequence[VideoInfo]) -> None:
        first, *others = map(_report, videos)
        is_whole = first.get("range") == ""
        sources = {videos[0].fingerprint, *([str(first["source_fingerprint"])] if is_whole else [])}
        self._first = first if is_whole else {}
        self._others = [r if r.get("source_fingerprint") in sources else {} for r in others]
        self._is_source = [r.get("source_fingerprint") == videos[0].fingerprint for r in others]

    def range_made(self) -> str:
        """The `--range` with which all others were made; empty if there is none, or if it is unknown."""
        ranges = {str(report.get("range", "")) for report in self._others}
        return ranges.pop() if len(ranges) == 1 else ""

    def later(self, number: int) -> Fraction:
        """Seconds by which a video shows everything later than the first one; 0 if unknown."""
        report, is_source = self._others[number - 1], self._is_source[number - 1]
        if not report:
            return Fraction(0)
        return _seconds(report) - (Fraction(0) if is_source else _seconds(self._first))

    def crop(self) -> PixelCrop | None:
        """What was cut off the upright first video for all others; None if they differ, or for an output."""
        crops = {
            tuple(report.get("crop", ())) if is_source else ()
            for report, is_source in zip(self._others, self._is_source, strict=True)
        }
        found = crops.pop()
        return PixelCrop(*found) if not crops and len(found) == len(PixelCrop.__annotations__) else None


def _seconds(report: dict[str, Any]) -> Fraction:
    return Fraction(report.get("shift_seconds", 0.0)).limit_denominator(_LARGEST_DENOMINATOR)


def _report(video: VideoInfo) -> dict[str, Any]:
    """The report next to an output; empty if there is none, or if it is of another file."""
    path = Path(video.path)
    try:
        found = json.loads(report_path(path).read_bytes())
        return dict(found) if found.get("bytes") == path.stat().st_size else {}
    except (OSError, ValueError, AttributeError):
        return {}
