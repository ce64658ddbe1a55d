"""The path and container of an output, chosen by name, codec and tracks."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UsageError
from pipelines.media.image_sequence import pattern_of
from pipelines.output.trial import tracks_that_fail
from pipelines.plan.output_names import existing_folder, is_folder, refuse_irregular
from pipelines.plan.plan import Plan
from pipelines.settings.encoder_spec import CONTAINERS, PICTURE_ENCODERS
from pipelines.settings.name_template import template_suffix

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from pipelines.media.video_info import Stream, VideoInfo
    from pipelines.settings.encoder_spec import Encoder
    from pipelines.settings.run_settings import RunSettings

__all__ = [
    "ContainerTrial",
    "OutputLocation",
    "checked_target",
    "fitting_container",
    "output_location",
    "refuse_own_input",
]


@dataclass(frozen=True)
class ContainerTrial:
    """A container that was tried, and the tracks it can't hold."""

    suffix: str
    plan: Plan
    misfits: list[tuple[Stream, str]]
    """Streams it can't hold, with reasons; also those without packets."""
    remedy: str = ""
    """Suffix of another container that was tried and holds every track, if this one does not."""
    note: str = ""
    """Why it is not the usual container."""

    @property
    def lost(self) -> list[tuple[Stream, str]]:
        """The tracks that don't fit and are a loss; those without packets are not."""
        return [(s, why) for s, why in self.misfits if s.packet_count or s.type == "attachment"]


@dataclass(frozen=True)
class OutputLocation:
    """Location of an output, as far as it is known before the plan."""

    output: Path | None
    """The output as requested."""
    folder: Path | None
    """Folder in which the output gets a generated name; None if it was named."""
    suffix: str
    is_named: bool
    """Whether the suffix was given, in a name or a template."""
    is_numbered: bool
    """An image sequence."""
    is_picture: bool
    """An image, or an image sequence."""
    container: str
    """FFmpeg's muxer for the suffix."""

    @property
    def path(self) -> Path | None:
        """The output's path, if it was named."""
        return self.output if self.folder is None else None


def output_location(
    source: Path, output: Path | None, settings: RunSettings, info: VideoInfo, *, still: bool
) -> OutputLocation:
    """Determine the location of an output. Raises UsageError for an unsupported container.

    output: file or folder; None puts it next to the input. still: the source is one image.
    """
    if output is not None and str(output) == "-":
        raise UsageError("-o -: a result is a file, checked before it gets its name; name a file or a folder")
    folder = source.parent if output is None else output if is_folder(output) else None
    if output is None or folder is not None:
        numbered = not still and info.first_number is not None
        named = template_suffix(settings.output_template)
    else:
        numbered = not still and pattern_of(output) is not None
        named = output.suffix.lower()
    picture = still or numbered
    suffix = named or _usual_suffix(source, settings, picture=picture)
    container = _container_of(suffix, picture=picture, numbered=numbered)
    return OutputLocation(output, folder, suffix, bool(named), numbered, picture, container)


def _usual_suffix(source: Path, settings: RunSettings, *, picture: bool) -> str:
    """The suffix of an unnamed output, if every track fits."""
    suffix = source.suffix.lower()
    if picture:
        return suffix if suffix.lstrip(".") in PICTURE_ENCODERS else ".png"
    codec = settings.encode.codec
    return ".mov" if codec == "prores" else ".mp4" if suffix in _LIKE_MP4 and codec != "ffv1" else ".mkv"


def fitting_container(
    plan: Plan,
    info: VideoInfo,
    choose: Callable[[str, str], Encoder],
    place: OutputLocation,
    *,
    others: bool,
    convert_subtitles: bool = False,
) -> ContainerTrial:
    """Try the container of the output's suffix and, if a track doesn't fit, others.

    A container that holds them all is suggested if the output was named, and used if it was not. choose:
    returns the encoder for a container and a suffix. others: whether to try any. convert_subtitles: see
    `tracks_that_fail`. Raises UsageError if the film alone does not fit the first.
    """
    first = ContainerTrial(
        place.suffix, plan, tracks_that_fail(plan, info, convert_subtitles=convert_subtitles)
    )
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
            found = ContainerTrial(
                other, tried, tracks_that_fail(tried, info, convert_subtitles=convert_subtitles)
            )
        except UsageError:
            continue
        if not found.lost:
            if place.is_named:
                return replace(first, remedy=other)
            stream = first.lost[0][0]
            what = "stays" if other == Path(info.path).suffix.lower() else "is"
            return replace(
                found,
                note=(
                    f"the result {what} a {other}, as {place.suffix} can't hold its {stream.type} stream"
                    f" {stream.index} ({stream.codec})"
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
"""Why a container is not supported, and what to use instead."""


def _container_of(suffix: str, *, picture: bool, numbered: bool) -> str:
    """FFmpeg's muxer for a suffix. Raises UsageError for an unsupported one, with the reason."""
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
        f"an output that ends in {suffix or 'nothing'} is not known; expected {', '.join(CONTAINERS)}, or"
        " numbered pictures such as up/frame_%05d.png"
    )


def checked_target(source: Path, target: Path, plan: Plan) -> Path:
    """The output's full path, checked as far as possible without writing."""
    target = Path(os.path.abspath(target))
    existing = existing_folder(target)
    if not existing.is_dir():
        raise UsageError(f"{existing}: is a file, so {target.name} can't lie in it; choose another -o")
    refuse_irregular(target)
    if not target.exists() and _is_locked(existing):
        raise UsageError(f"{existing}: no permission to write there; choose another -o")
    if plan.encoder.is_sequence:
        _check_pattern(source, target, plan.numbers)
    elif target.is_symlink() or target.exists():
        if target.is_dir():
            raise UsageError(f"{target}: is a folder")
        refuse_own_input(source, target)
    return target


def _is_locked(folder: Path) -> bool:
    """Whether a folder may not be written to, other than on a read-only disk."""
    read_only = hasattr(os, "statvfs") and os.statvfs(folder).f_flag & os.ST_RDONLY
    return not read_only and not os.access(folder, os.W_OK | os.X_OK)


def refuse_own_input(source: Path, target: Path | None) -> None:
    """Raise UsageError if the output is the input, or one of its images, under any name."""
    if target is None or not target.exists():
        return
    given = pattern_of(source)
    if any(
        path.exists() and os.path.samefile(path, target)
        for path in ([source] if given is None else map(given.path, given.numbers()))
    ):
        raise UsageError(f"{target}: is the input itself; choose another -o")


def _check_pattern(source: Path, target: Path, made: Container[int]) -> None:
    """Check that an image sequence has a valid pattern, and does not replace the images it is made from."""
    wanted, given = pattern_of(target), pattern_of(source)
    if wanted is None:
        raise UsageError(
            f"{target}: numbered pictures need a place for the number, such as frame_%05d{target.suffix}"
        )
    numbers = [n for n in wanted.numbers() if n in made]
    if given is not None and any(
        given.path(n).exists() and os.path.samefile(given.path(n), wanted.path(n)) for n in numbers
    ):
        raise UsageError(f"{target}: are the input's own pictures; choose another -o")
    folder = next((n for n in numbers if wanted.path(n).is_dir()), None)
    if folder is not None:
        raise UsageError(f"{wanted.path(folder)}: is a folder; choose another -o")
