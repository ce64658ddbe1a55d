"""`plan_video`: makes and checks the plan of one video: output, container, networks, encoder."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from models.catalog.lookup import find_cards
from models.errors import CorruptError, MediaError, UsageError
from pipelines.codec.encoder import try_encoder
from pipelines.codec.filter_graph import try_filters
from pipelines.containers.container_support import incompatible_streams, refuse_incompatible
from pipelines.encoders.encoder_choice import proven_encoder, wanted_vendor
from pipelines.encoders.encoder_options import EncoderTarget, choose_encoder
from pipelines.encoders.pixel_format_choice import image_settings, raised_by_prefilters
from pipelines.file_parsing.matroska_chapters import lost_chapters
from pipelines.hardware.resources import refuse_missing_device
from pipelines.media.cicp import Range, Transfer
from pipelines.media.pixel_format import PixelCrop, PixelFormat
from pipelines.plan.chunking import frame_range
from pipelines.plan.color_tags import output_tags, resolve_tags
from pipelines.plan.events import Planned
from pipelines.plan.output_names import filled_name, refuse_irregular, result_name
from pipelines.plan.plan import Plan
from pipelines.planner.container_choice import (
    checked_target,
    fitting_container,
    output_location,
    refuse_own_input,
)
from pipelines.planner.dynamic_hdr_choice import choose_dynamic_hdr
from pipelines.planner.field_choice import choose_fields
from pipelines.planner.licences import refuse_licences
from pipelines.planner.network_choice import choose_networks, choose_stages, chosen_model
from pipelines.planner.plan_builder import Choices, make_plan
from pipelines.planner.plan_checks import (
    PHOTO_CONTAINERS,
    needless_streams,
    output_size,
    plan_warnings,
    range_notes,
    refuse_changes,
    refuse_damage,
    refuse_target,
    refuse_unsignalled,
    target_messages,
    track_notes,
)
from pipelines.planner.precision_choice import with_arithmetic
from pipelines.planner.size_bound import most_disk_bytes
from pipelines.probe.black_bars import find_bars
from pipelines.probe.grain_measurement import measure_grain
from pipelines.probe.probe import probe
from pipelines.settings.option_values import parse_range

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipelines.media.cicp import ColorTags, HdrMetadata
    from pipelines.media.video_info import VideoInfo
    from pipelines.planner.container_choice import ContainerTrial, OutputLocation
    from pipelines.settings.encoder_spec import Encoder
    from pipelines.settings.run_settings import EncodeSettings, RunSettings

__all__ = ["expected_output", "plan_video"]


def plan_video(
    source: Path,
    output: Path | None,
    settings: RunSettings,
    info: VideoInfo | None = None,
    check: Callable[[Path], None] = lambda _: None,
) -> Planned:
    """Make and check the plan of one video; nothing is written.

    output: file or folder; None puts it next to the input. check: called with the output's path as soon as
    that is known, before frames are looked at. Raises UsageError, MediaError, and the errors of `check`.
    """
    if output is not None:  # before the source is examined
        refuse_irregular(output)
    refuse_own_input(source, output)
    refuse_missing_device(settings)
    until = parse_range(settings.range)[1] if settings.range else None
    info = info or probe(source, video_stream=settings.video_stream, rate=settings.frame_rate, until=until)
    try:
        return _plan(source, output, settings, info, check)
    except MediaError as error:
        if str(source) in str(error):
            raise
        raise type(error)(f"{source}: {error}") from error


@dataclass(frozen=True)
class _Source:
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
        return self.color.range == Range.FULL


def _source_of(path: Path, info: VideoInfo) -> _Source:
    if info.is_picture and info.frame_count > 1:
        raise MediaError(
            f"{path}: holds {info.frame_count} pictures, one behind the other, of which most programs show"
            " the first; make a file of each"
        )
    still = info.is_picture or (path.suffix.lower() in PHOTO_CONTAINERS and info.frame_count == 1)
    decoded = info.pixels
    tags = info.color
    if info.pix_fmt.startswith("yuvj"):
        tags = replace(tags, range=2)
    if decoded.is_float:
        # as it is decoded; the file holds linear light
        tags = replace(tags, range=int(Range.FULL), transfer=int(Transfer.SRGB))
    picture = still or info.made_of_pictures
    color, assumed = resolve_tags(tags, decoded, height=info.height, codec=info.codec, picture=picture)
    return _Source(decoded, color, assumed, still, info.codec == "webp" and decoded.family == "rgb")


def expected_output(source: Path, output: Path | None, settings: RunSettings, info: VideoInfo) -> Path | None:
    """The path that the output will get, from the facts of its source alone.

    None if frames have to be looked at, or tracks to be tried. Raises UsageError.
    """
    film = _source_of(source, info)
    place = output_location(source, output, settings, info, still=film.still)
    if place.path is not None:
        return Path(os.path.abspath(place.path))
    if settings.crop_bars or any(field in settings.output_template for field in ("{model}", "{codec}")):
        return None
    picture = place.is_picture
    if not (picture or place.is_named) and incompatible_streams(info, place.container):
        return None
    encode, _ = image_settings(
        settings.encode, film.format, from_pictures=info.made_of_pictures, to_pictures=picture
    )
    size = output_size(info, replace(settings, encode=encode), film.format, info.crop, picture=picture)
    part = None if picture else _part(info, settings)
    name = filled_name(settings.output_template, source, place.suffix, size, part)
    return Path(os.path.abspath(place.folder or Path())) / name


def _plan(
    source: Path,
    output: Path | None,
    settings: RunSettings,
    info: VideoInfo,
    check: Callable[[Path], None],
) -> Planned:
    part = frame_range(info, settings.range)
    if info.flaw and part[1] > info.flaw_from and settings.on_corrupt == "fail":
        raise CorruptError(f"{info.flaw}; get it anew, or let --on-corrupt conceal take what is there")
    film = _source_of(source, info)
    place = output_location(source, output, settings, info, still=film.still)
    encode, _ = image_settings(
        settings.encode, film.format, from_pictures=info.made_of_pictures, to_pictures=place.is_picture
    )
    _refuse_at_once(info, replace(settings, encode=encode), film, place)
    expected = expected_output(source, output, settings, info)
    if expected is not None:
        check(expected)
    grain, said_of_grain = _grain(info) if settings.keep_grain and not film.still else ((), [])
    if grain:
        # networks enlarge grain, so it would be present twice
        settings = replace(settings, prefilter=",".join(settings.prefilters) or "denoise")
    model, levels, said_of_level = choose_networks(settings, info, part, full=film.is_full)
    raised, said_of_raising = raised_by_prefilters(film.format, settings)
    raised_from, film = film.format.name if raised != film.format else "", replace(film, format=raised)
    cards = [find_cards(name.strip()) for name in model.split(",")]
    if settings.commercial:
        refuse_licences([c for choice in cards for c in choice])
    bars, crop, said_of_bars = _bars(info, settings, film, learned=any(c.sha256 for cs in cards for c in cs))
    encode, image_messages = image_settings(
        settings.encode, film.format, from_pictures=info.made_of_pictures, to_pictures=place.is_picture
    )
    settings = replace(settings, encode=encode)
    size = output_size(info, settings, film.format, crop, picture=place.is_picture)
    fields = choose_fields(info, settings.deinterlace, part)
    choice = _EncoderChoice(settings, film, size, info.hdr, place)
    plan = make_plan(
        info,
        settings,
        Choices(
            cards,
            choice.encoder,
            part,
            film.format,
            film.color,
            fields.deinterlacing,
            fields.pulldown,
            crop=crop,
            bars=bars,
            grain=_for_result(grain, film.format, choice.encoder.pixels),
            restore=levels,
        ),
    )
    plan = replace(plan, raised_from=raised_from)
    plan, said_of_arithmetic = with_arithmetic(plan, settings)
    refuse_target(settings.encode, plan)
    dynamic, said_of_dynamic = choose_dynamic_hdr(info, plan, settings.dynamic_hdr)
    plan = replace(plan, dynamic_hdr=dynamic)
    _refuse_what_fails(info, plan)
    needless = needless_streams(info)
    fit = _fit(plan, info, settings, choice, place)
    fit = replace(fit, misfits=[(s, why) for s, why in fit.misfits if s not in dict(needless)])
    target = place.path or (place.folder or Path()) / result_name(
        settings.output_template,
        source,
        fit.suffix,
        fit.plan,
        None if fit.plan.encoder.is_picture else _part(info, settings),
    )
    target = checked_target(source, target, fit.plan)
    lost = fit.misfits if place.is_picture else fit.lost
    if not settings.drop_incompatible and not place.is_numbered:  # an image sequence can't have other tracks
        refuse_incompatible(lost, target, fit.plan.encoder.container, fit.remedy)
    left_out = frozenset(s.index for s, _ in (*fit.misfits, *needless))
    notes = (
        *info.notes, *range_notes(info, settings, left_out), *said_of_level, *said_of_arithmetic,
        *choice.notes, *target_messages(plan), *said_of_raising,
        *fields.notes, *track_notes(info, fit, left_out, place, image_messages), *said_of_bars,
        *said_of_grain, *said_of_dynamic, *plan_warnings(info, fit.plan, moved=bool(fit.note)),
        *([f"assumed {', '.join(film.assumed)}"] if film.assumed else []),
    )  # fmt: skip
    dropped = tuple(
        f"{s.type} stream {s.index} ({s.codec}): "
        f"{why if (s, why) in (*lost, *needless) else 'it holds nothing'}"
        for s, why in (*fit.misfits, *needless)
    )
    if not place.is_picture and info.format.startswith("matroska"):
        dropped += tuple(f"of its chapters, {what}" for what in lost_chapters(info.path))
    info = replace(info, notes=notes)
    return Planned(
        str(source),
        str(target),
        fit.plan,
        info,
        most_disk_bytes(info, fit.plan),
        dropped=dropped,
        left_out=left_out,
    )


def _bars(
    info: VideoInfo, settings: RunSettings, film: _Source, *, learned: bool
) -> tuple[PixelCrop, PixelCrop, list[str]]:
    """(black bars that are kept, what is removed, messages for the user), of the stored frame.

    Bars are also detected if networks would only enlarge them.
    """
    if settings.crop_bars and film.format.is_float:
        raise UsageError("--crop-bars can't look at OpenEXR; leave it out")
    looked_for = settings.crop_bars or (learned and not film.still and not film.format.is_float)
    found = find_bars(info, full=film.is_full) if looked_for else PixelCrop()
    if settings.crop_bars:
        return PixelCrop(), *_crop(info, found.on_grid(film.format))
    return found, info.crop, []


class _EncoderChoice:
    """The encoder of an output, tested if it is hardware, and its equivalent for another container."""

    def __init__(
        self,
        settings: RunSettings,
        film: _Source,
        size: tuple[int, int],
        hdr: HdrMetadata,
        place: OutputLocation,
    ) -> None:
        self._encode, self._film = settings.encode, film
        suffix = place.suffix.lstrip(".")
        self._target = EncoderTarget(
            *size, place.container, suffix, film.color.transfer, hdr, film.lossless_webp
        )
        self.encoder, self.notes = proven_encoder(
            settings.encode,
            self._meant,
            wanted_vendor(settings, picture=place.is_picture),
            tags=lambda one: output_tags(film.color, film.format, one),
            hdr=hdr,
        )

    def _meant(self, encode: EncodeSettings) -> Encoder:
        return choose_encoder(encode, self._film.format, self._target)

    def for_container(self, container: str, suffix: str) -> Encoder:
        """The encoder for another file. Raises UsageError if the container does not support the codec."""
        encode = replace(self._encode, encoder=self.encoder.vendor or "software")
        target = replace(self._target, container=container, suffix=suffix.lstrip("."))
        found = choose_encoder(encode, self._film.format, target)
        if not self.encoder.vendor:
            return found
        return replace(self.encoder, container=found.container, tag=found.tag)


def _refuse_at_once(info: VideoInfo, settings: RunSettings, film: _Source, place: OutputLocation) -> None:
    """Raise UsageError for networks, size, encoder and container, before frames are looked at."""
    cards = [find_cards(name.strip()) for name in chosen_model(settings).split(",")]
    if settings.commercial and settings.model != "auto":
        refuse_licences([card for choice in cards for card in choice])
    if settings.crop_bars:
        return  # which may change the size
    size = output_size(info, settings, film.format, info.crop, picture=place.is_picture)
    choose_stages(cards, *info.orientation.turn(*info.crop.size(info.width, info.height)), *size)
    target = EncoderTarget(*size, place.container, place.suffix.lstrip("."), film.color.transfer, info.hdr)
    choose_encoder(settings.encode, raised_by_prefilters(film.format, settings)[0], target)


def _refuse_what_fails(info: VideoInfo, plan: Plan) -> None:
    """Raise an error if the source, the filters or the encoder of a plan would fail."""
    refuse_changes(info, plan)
    refuse_damage(info, plan)
    refuse_unsignalled(plan)
    try_filters(plan, info.width, info.height)
    if not plan.encoder.vendor:  # it was tried already, in another process, because a driver may crash
        try_encoder(plan.encoder, plan.out_color)


def _fit(
    plan: Plan, info: VideoInfo, settings: RunSettings, choice: _EncoderChoice, place: OutputLocation
) -> ContainerTrial:
    """The container, and the tracks it can't hold."""
    fit = fitting_container(
        plan,
        info,
        choice.for_container,
        place,
        others=not (place.is_picture or settings.drop_incompatible),
        convert_subtitles=settings.convert_subtitles,
    )
    if place.is_numbered:
        return replace(fit, misfits=[(s, "pictures hold nothing else") for s in info.streams])
    return fit


def _part(info: VideoInfo, settings: RunSettings) -> tuple[Fraction, Fraction] | None:
    """Seconds of the film in a `--range`, for the output's name; image sequences show it by their numbers.

    None without a `--range`.
    """
    if settings.seconds is None:
        return None
    start, stop = settings.seconds
    return start, min(info.seconds, stop) if stop is not None else info.seconds


def _crop(info: VideoInfo, crop: PixelCrop) -> tuple[PixelCrop, list[str]]:
    """The crop, and messages for the user."""
    if not crop:
        return info.crop, ["no black bars were found: --crop-bars has nothing to do"]
    width, height = crop.within(info.crop).size(info.width, info.height)
    cut = f"top {crop.top}, bottom {crop.bottom}, left {crop.left}, right {crop.right}"
    return crop.within(info.crop), [f"black bars cut off: {cut}; {width}x{height} are left"]


def _grain(info: VideoInfo) -> tuple[tuple[tuple[float, ...], ...], list[str]]:
    """Grain of the source, and messages for the user."""
    found = measure_grain(info)
    if not found:
        return (), ["no film grain was found: --keep-grain has nothing to do"]
    note = (
        f"film grain of up to {max(found[0]):.1f} codes of 255: removed before the networks, and as much"
        " synthesised after them"
    )
    return found, [note]


def _for_result(
    grain: tuple[tuple[float, ...], ...], source: PixelFormat, result: PixelFormat
) -> tuple[tuple[float, ...], ...]:
    """Convert grain of a source's planes to those of an output.

    If they differ in kind, that of the first plane is used for brightness.
    """
    if not grain or (source.family == result.family):
        return grain
    return grain[:1] * (3 if result.family == "rgb" else 1)
