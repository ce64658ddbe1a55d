"""Which container a result goes into, by its name, its codec and the tracks that fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UsageError
from pipelines.output.container_support import incompatible_streams
from pipelines.output.trial import tracks_that_fail
from pipelines.plan.encoder_spec import PICTURE_ENCODERS
from pipelines.plan.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipelines.media.video_info import Stream, VideoInfo
    from pipelines.plan.encoder_spec import Encoder
    from pipelines.plan.settings import RunSettings

__all__ = ["CONTAINERS", "another_container", "container_of", "default_suffix"]


CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}


def another_container(
    plan: Plan, info: VideoInfo, choose: Callable[[str, str], Encoder], suffix: str
) -> tuple[str, Plan, list[tuple[Stream, str]]] | None:
    """Suffix and plan of a result that was tried and holds every track that holds anything, and those that do not; None where there is none.

    choose: the encoder for a container and a suffix.
    """
    for other in (".mkv", ".mp4", ".mov"):
        if other == suffix:
            continue
        try:
            plan = replace(plan, encoder=choose(CONTAINERS[other], other))
            misfits = tracks_that_fail(plan, info)
        except UsageError:
            continue
        if not any(s.packet_count or s.type == "attachment" for s, _ in misfits):
            return other, plan, misfits
    return None


def default_suffix(source: Path, info: VideoInfo, settings: RunSettings, *, picture: bool) -> tuple[str, list[str]]:
    """The ending of a result that was not named, and why where it is not the usual one: it goes where every track fits."""
    suffix = source.suffix.lower()
    if picture:
        return suffix if suffix.lstrip(".") in PICTURE_ENCODERS else ".png", []
    possible = _SUFFIXES_OF.get(settings.encode.codec, (".mp4", ".mov", ".mkv"))
    usual = ".mov" if settings.encode.codec == "prores" else ".mp4" if suffix in _LIKE_MP4 and ".mp4" in possible else ".mkv"
    misfits = [] if settings.drop_incompatible else incompatible_streams(info, CONTAINERS[usual])
    if not misfits:
        return usual, []
    other = next((s for s in possible if s != usual and not incompatible_streams(info, CONTAINERS[s])), None)
    stream = misfits[0][0]
    if other is None:
        return usual, []
    return other, [f"the result is a {other}, as {usual} can't hold its {stream.type} stream {stream.index} ({stream.codec})"]


_LIKE_MP4 = frozenset({".mp4", ".mov", ".m4v", ".qt", ".3gp", ".3g2", ".f4v"})


_SUFFIXES_OF = {"av1": (".mp4", ".mkv"), "prores": (".mov", ".mkv"), "ffv1": (".mkv",)}
"""Codec -> containers that hold it, where not all do."""


_NOT_WRITTEN = {
    ".3gp": "holds few codecs at small sizes: name one that ends in .mp4 or .mov",
    ".3g2": "holds few codecs at small sizes: name one that ends in .mp4 or .mov",
    ".ts": "keeps times to 1/90000 s and has no chapters: name one that ends in .mkv or .mp4",
    ".m2ts": "keeps times to 1/90000 s and has no chapters: name one that ends in .mkv or .mp4",
    ".avi": "has no timestamps and no B-frames: name one that ends in .mkv or .mp4",
    ".nut": "is played by few: name one that ends in .mkv",
}
"""Why a container is none of ours, and what to name instead."""


def container_of(suffix: str, *, picture: bool, numbered: bool) -> str:
    """FFmpeg's muxer for a suffix. Raises UsageError for one that is not written, with the reason."""
    if picture:
        if suffix.lstrip(".") in PICTURE_ENCODERS:
            return "sequence" if numbered else "image2"
        raise UsageError(f"a picture can't become a {suffix} file; expected {', '.join('.' + s for s in PICTURE_ENCODERS)}")
    if suffix.lstrip(".") in PICTURE_ENCODERS:
        raise UsageError(f"a film can't become one {suffix} picture; name numbered ones, such as frame_%05d{suffix}")
    if suffix in CONTAINERS:
        return CONTAINERS[suffix]
    if suffix in _NOT_WRITTEN:
        raise UsageError(f"an output that ends in {suffix} is not written, as it {_NOT_WRITTEN[suffix]}")
    raise UsageError(f"an output that ends in {suffix or 'nothing'} is not known; expected {', '.join(CONTAINERS)}")
