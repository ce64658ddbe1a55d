"""The report of an output as text: what was verified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.errors import counted
from vsr.views.text import size_text

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["report_words"]


def report_words(report: Mapping[str, Any]) -> list[str]:
    """One sentence for each fact of `NAME.vsr.json`.

    Facts missing in reports of older versions are skipped.
    """
    frames = report.get("frames")
    words = [f"{counted(frames, 'frame')}, every one of the source once"] if isinstance(frames, int) else []
    error = report.get("largest_pts_error_seconds")
    if isinstance(error, int | float):
        words.append(
            "every timestamp exact"
            if not error
            else f"every timestamp within {error * 1000:.3g} ms, as near as the container holds"
        )
    decoded = report.get("frames_decoded")
    if isinstance(decoded, int):
        part = "all of the result" if decoded == frames else "the result at its chunk boundaries"
        words.append(f"{part} decoded and compared with what was made ({counted(decoded, 'frame')})")
    streams, packets = report.get("streams_passed"), report.get("packets_passed")
    if isinstance(streams, int) and isinstance(packets, int) and streams:
        words.append(
            f"{counted(streams, 'other track')} copied packet by packet ({counted(packets, 'packet')})"
        )
    if report.get("concealed"):
        words.append(f"{counted(report['concealed'], 'damaged frame')} of the source concealed")
    words += [f"left out: {text}" for text in report.get("dropped") or ()]
    if isinstance(report.get("bytes"), int) and report.get("sha256"):
        words.append(f"{size_text(report['bytes'])}, SHA-256 {report['sha256']}")
    return words
