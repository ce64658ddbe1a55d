"""`look_at_frames`: what the frames of a source decide: networks, restoration, black bars and grain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from models.catalog.lookup import find_cards, network_names
from models.errors import MediaError, UsageError
from pipelines.encoders.pixel_format_choice import raised_by_prefilters
from pipelines.media.cicp import Range, Transfer
from pipelines.media.pixel_format import PixelCrop, PixelFormat
from pipelines.plan.color_tags import resolve_tags
from pipelines.planner.licences import refuse_licences
from pipelines.planner.network_choice import choose_networks
from pipelines.planner.plan_checks import PHOTO_CONTAINERS
from pipelines.probe.black_bars import find_bars
from pipelines.probe.grain_measurement import measure_grain

if TYPE_CHECKING:
    from pathlib import Path

    from models.catalog.card import Card
    from pipelines.frames.film_frames import FilmSamples
    from pipelines.media.cicp import ColorTags
    from pipelines.media.video_info import VideoInfo
    from pipelines.plan.plan import RestoreLevels
    from pipelines.settings.run_settings import RunSettings

__all__ = ["FrameLook", "SourceFormat", "look_at_frames", "source_format"]


@dataclass(frozen=True)
class SourceFormat:
    """The decoded format of a source, and its resolved colours."""

    format: PixelFormat
    color: ColorTags
    assumed: tuple[str, ...]
    """Assumptions for missing tags, in words."""
    still: bool
    """A single image."""
    lossless_webp: bool

    @property
    def is_full(self) -> bool:
        """Whether samples have full range."""
        return self.color.range == Range.FULL


def source_format(path: Path, info: VideoInfo) -> SourceFormat:
    """The decoded format and the colours of a source. Raises MediaError for a file of several images."""
    if info.is_picture and info.frame_count > 1:
        raise MediaError(
            f"{path}: holds {info.frame_count} pictures, one behind the other, of which most programs show"
            " the first; make a file of each"
        )
    still = info.is_picture or (path.suffix.lower() in PHOTO_CONTAINERS and info.frame_count == 1)
    decoded = info.pixels
    tags = info.color
    if info.pix_fmt.startswith("yuvj"):
        tags = replace(tags, range=int(Range.FULL))
    if decoded.is_float:
        # as it is decoded; the file holds linear light
        tags = replace(tags, range=int(Range.FULL), transfer=int(Transfer.SRGB))
    picture = still or info.made_of_pictures
    color, assumed = resolve_tags(tags, decoded, height=info.height, codec=info.codec, picture=picture)
    return SourceFormat(decoded, color, assumed, still, info.codec == "webp" and decoded.family == "rgb")


@dataclass(frozen=True)
class FrameLook:
    """What the frames of a source decided."""

    settings: RunSettings
    """With a prefilter that removes grain."""
    source: SourceFormat
    """With the depth that prefilters compute in."""
    raised_from: str
    """The decoded format, if that is another one; else empty."""
    cards: list[list[Card]]
    """Cards of each network that was named or chosen."""
    levels: RestoreLevels
    bars: PixelCrop
    """Black bars that are kept."""
    crop: PixelCrop
    """What is removed."""
    grain: tuple[tuple[float, ...], ...]
    said_of_levels: list[str]
    said_of_raising: list[str]
    said_of_bars: list[str]
    said_of_grain: list[str]


def look_at_frames(
    samples: FilmSamples, settings: RunSettings, source: SourceFormat, part: tuple[int, int]
) -> FrameLook:
    """Look at the frames of a source for all that is chosen by them. part: frames [start, stop)."""
    grain, said_of_grain = _grain(samples) if settings.keep_grain and not source.still else ((), [])
    if grain:
        # networks enlarge grain, so it would be present twice
        settings = replace(settings, prefilter=",".join(settings.prefilters) or "denoise")
    model, levels, said_of_levels = choose_networks(settings, samples, part, full=source.is_full)
    raised, said_of_raising = raised_by_prefilters(source.format, settings)
    raised_from = source.format.name if raised != source.format else ""
    source = replace(source, format=raised)
    cards = [find_cards(name) for name in network_names(model)]
    if settings.commercial:
        refuse_licences([c for choice in cards for c in choice])
    learned = any(c.sha256 for choice in cards for c in choice)
    bars, crop, said_of_bars = _bars(samples, settings, source, learned=learned)
    return FrameLook(
        settings, source, raised_from, cards, levels, bars, crop, grain,
        said_of_levels, said_of_raising, said_of_bars, said_of_grain,
    )  # fmt: skip


def _bars(
    samples: FilmSamples, settings: RunSettings, source: SourceFormat, *, learned: bool
) -> tuple[PixelCrop, PixelCrop, list[str]]:
    """(black bars that are kept, what is removed, messages for the user), of the stored frame.

    Bars are also detected if networks would only enlarge them.
    """
    if settings.crop_bars and source.format.is_float:
        raise UsageError("--crop-bars can't look at OpenEXR; leave it out")
    looked_for = settings.crop_bars or (learned and not source.still and not source.format.is_float)
    found = find_bars(samples, full=source.is_full) if looked_for else PixelCrop()
    if settings.crop_bars:
        return PixelCrop(), *_crop(samples.info, found.on_grid(source.format))
    return found, samples.info.crop, []


def _crop(info: VideoInfo, crop: PixelCrop) -> tuple[PixelCrop, list[str]]:
    """The crop, and messages for the user."""
    if not crop:
        return info.crop, ["no black bars were found: --crop-bars has nothing to do"]
    width, height = crop.within(info.crop).size(info.width, info.height)
    cut = f"top {crop.top}, bottom {crop.bottom}, left {crop.left}, right {crop.right}"
    return crop.within(info.crop), [f"black bars cut off: {cut}; {width}x{height} are left"]


def _grain(samples: FilmSamples) -> tuple[tuple[tuple[float, ...], ...], list[str]]:
    """Grain of the source, and messages for the user."""
    found = measure_grain(samples)
    if not found:
        return (), ["no film grain was found: --keep-grain has nothing to do"]
    note = (
        f"film grain of up to {max(found[0]):.1f} codes of 255: removed before the networks, and as much"
        " synthesised after them"
    )
    return found, [note]
