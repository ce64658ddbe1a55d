"""Which container a result goes into, by its name, its codec and the tracks that fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UsageError
from pipelines.output.trial import tracks_that_fail
from pipelines.plan.encoder_spec import PICTURE_ENCODERS
from pipelines.plan.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipelines.media.video_info import Stream, VideoInfo
    from pipelines.plan.encoder_spec import Encoder
    from pipelines.plan.settings import RunSettings

__all__ = ["CONTAINERS", "Fit", "container_of", "fitting_container", "usual_suffix"]


CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}


@dataclass(frozen=True)
class Fit:
    """A container that was tried, and what of the source it does not hold."""

    suffix: str
    plan: Plan
    misfits: list[tuple[Stream, str]]
    """Streams it can't hold, and why; also those without packets."""
    remedy: str = ""
    """Suffix of another container that was tried and holds every track, where the given one does not."""
    note: str = ""
    """Why it is not the usual container."""

    @property
    def lost(self) -> list[tuple[Stream, str]]:
        """The misfits that are a loss: what has no packets is none."""
        return [(s, why) for s, why in self.misfits if s.packet_count or s.type == "attachment"]


def usual_suffix(source: Path, settings: RunSettings, *, picture: bool) -> str:
    """The ending of a result that was not named, if every track fits."""
    suffix = source.suffix.lower()
    if picture:
        return suffix if suffix.lstrip(".") in PICTURE_ENCODERS else ".png"
    codec = settings.encode.codec
    return ".mov" if codec == "prores" else ".mp4" if suffix in _LIKE_MP4 and codec != "ffv1" else ".mkv"


def fitting_container(
    plan: Plan,
    info: VideoInfo,
    choose: Callable[[str, str], Encoder],
    suffix: str,
    *,
    named: bool,
    others: bool,
    convert_subtitles: bool = False,
) -> Fit:
    """Try the container of a suffix and, where a track is lost in it, others.

    One that holds them all is the remedy where the result was named, and its place where it was not.
    choose: the encoder for a container and a suffix. others: whether to try any. convert_subtitles: see
    `tracks_that_fail`. Raises UsageError where the film alone does not fit the first.
    """
    first = Fit(suffix, plan, tracks_that_fail(plan, info, convert_subtitles=convert_subtitles))
    if not others or not first.lost:
        return first
    order = (
        (".mp4", ".mov", ".mkv") if Path(info.path).suffix.lower() in _LIKE_MP4 else (".mkv", ".mp4", ".mov")
    )
    for other in order:
        if CONTAINERS[other] == plan.encoder.container:
            continue
        try:
            tried = replace(plan, encoder=choose(CONTAINERS[other], other))
            found = Fit(other, tried, tracks_that_fail(tried, info, convert_subtitles=convert_subtitles))
        except UsageError:
            continue
        if not found.lost:
            if named:
                return replace(first, remedy=other)
            stream = first.lost[0][0]
            return replace(
                found,
                note=(
                    f"the result is a {other}, as {suffix} can't hold its {stream.type} stream {stream.index}"
                    f" ({stream.codec})"
                ),
            )
    return first


_LIKE_MP4 = frozenset({".mp4", ".mov", ".m4v", ".qt", ".3gp", ".3g2", ".f4v"})


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
        raise UsageError(
            f"a picture can't become a {suffix} file; expected {', '.join('.' + s for s in PICTURE_ENCODERS)}"
        )
    if suffix.lstrip(".") in PICTURE_ENCODERS:
        raise UsageError(
            f"a film can't become one {suffix} picture; name numbered ones, such as frame_%05d{suffix}"
        )
    if suffix in CONTAINERS:
        return CONTAINERS[suffix]
    if suffix in _NOT_WRITTEN:
        raise UsageError(f"an output that ends in {suffix} is not written, as it {_NOT_WRITTEN[suffix]}")
    raise UsageError(
        f"an output that ends in {suffix or 'nothing'} is not known; expected {', '.join(CONTAINERS)}"
    )
