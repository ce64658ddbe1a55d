"""`plan_video`: makes and checks the plan of one video: output, container, networks, encoder."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from models.catalog.lookup import find_cards, network_names
from models.errors import CorruptError, MediaError
from pipelines.codec.encoder import try_encoder
from pipelines.codec.filter_graph import try_filters
from pipelines.containers.container_support import incompatible_streams, refuse_incompatible
from pipelines.encoders.encoder_choice import proven_encoder, wanted_vendor
from pipelines.encoders.encoder_options import EncoderTarget, choose_encoder
from pipelines.encoders.pixel_format_choice import image_settings, raised_by_prefilters
from pipelines.file_parsing.matroska_chapters import lost_chapters
from pipelines.frames.film_frames import FilmSamples
from pipelines.hardware.resources import refuse_missing_device
from pipelines.plan.chunking import frame_range
from pipelines.plan.color_tags import output_tags
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
from pipelines.planner.frame_look import look_at_frames, source_format
from pipelines.planner.licences import refuse_licences
from pipelines.planner.network_choice import choose_stages, chosen_model
from pipelines.planner.plan_builder import Choices, make_plan
from pipelines.planner.plan_checks import (
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
from pipelines.probe.probe import open_film, probe
from pipelines.settings.option_values import parse_range

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipelines.media.pixel_format import PixelCrop, PixelFormat
    from pipelines.media.video_info import VideoInfo
    from pipelines.planner.container_choice import ContainerTrial, OutputLocation
    from pipelines.planner.field_choice import FieldChoice
    from pipelines.planner.frame_look import FrameLook, SourceFormat
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
    samples = (
        open_film(source, video_stream=settings.video_stream, rate=settings.frame_rate, until=until)
        if info is None
        else FilmSamples(info)
    )
    with samples:
        try:
            return _plan(source, output, settings, samples, check)
        except MediaError as error:
            if str(source) in str(error):
                raise
            raise type(error)(f"{source}: {error}") from error


def expected_output(source: Path, output: Path | None, settings: RunSettings) -> Path | None:
    """The path that the output will get, from the facts of its source alone.

    None if frames have to be looked at, or tracks to be tried. Raises UsageError, MediaError.
    """
    info = probe(source, video_stream=settings.video_stream, rate=settings.frame_rate)
    decoded = source_format(source, info)
    place = output_location(source, output, settings, info, still=decoded.still)
    return _request(source, settings, info, decoded, place).expected_output()


@dataclass(frozen=True)
class _Request:
    """What is to be made of a source, and where."""

    source: Path
    settings: RunSettings
    """With those that images imply."""
    info: VideoInfo
    decoded: SourceFormat
    place: OutputLocation
    said_of_images: list[str]

    def size(self, crop: PixelCrop) -> tuple[int, int]:
        """Size of the output."""
        picture = self.place.is_picture
        return output_size(self.info, self.settings, self.decoded.format, crop, picture=picture)

    @property
    def part(self) -> tuple[Fraction, Fraction] | None:
        """Seconds of the film in a `--range`, for the output's name; None without one.

        Image sequences show it by their numbers.
        """
        if self.settings.seconds is None or self.place.is_picture:
            return None
        (start, stop), end = self.settings.seconds, self.info.seconds
        return start, min(end, stop) if stop is not None else end

    def refuse_at_once(self) -> None:
        """Raise UsageError for networks, size, encoder and container, before frames are looked at."""
        info, settings, source = self.info, self.settings, self.decoded
        cards = [find_cards(name) for name in network_names(chosen_model(settings))]
        if settings.commercial and settings.model != "auto":
            refuse_licences([card for choice in cards for card in choice])
        if settings.crop_bars:
            return  # which may change the size
        size = self.size(info.crop)
        choose_stages(cards, *info.orientation.turn(*info.crop.size(info.width, info.height)), *size)
        choose_encoder(settings.encode, raised_by_prefilters(source.format, settings)[0], self.target(size))

    def target(self, size: tuple[int, int]) -> EncoderTarget:
        """What an encoder is chosen for."""
        place = self.place
        suffix = place.suffix.lstrip(".")
        transfer, is_webp = self.decoded.color.transfer, self.decoded.lossless_webp
        return EncoderTarget(*size, place.container, suffix, transfer, self.info.hdr, is_webp)

    def expected_output(self) -> Path | None:
        """`expected_output` of it."""
        place, settings = self.place, self.settings
        if place.path is not None:
            return Path(os.path.abspath(place.path))
        if settings.crop_bars or any(field in settings.output_template for field in ("{model}", "{codec}")):
            return None
        if not (place.is_picture or place.is_named) and incompatible_streams(self.info, place.container):
            return None
        size = self.size(self.info.crop)
        name = filled_name(settings.output_template, self.source, place.suffix, size, self.part)
        return Path(os.path.abspath(place.folder or Path())) / name

    def output(self, fit: ContainerTrial) -> Path:
        """The output's path. Raises UsageError if it can't be written there."""
        place, path = self.place, self.place.path
        if path is None:
            template = self.settings.output_template
            name = result_name(template, self.source, fit.suffix, fit.plan, self.part)
            path = (place.folder or Path()) / name
        return checked_target(self.source, path, fit.plan)


def _request(
    source: Path, settings: RunSettings, info: VideoInfo, decoded: SourceFormat, place: OutputLocation
) -> _Request:
    encode, said = image_settings(
        settings.encode, decoded.format, from_pictures=info.made_of_pictures, to_pictures=place.is_picture
    )
    return _Request(source, replace(settings, encode=encode), info, decoded, place, said)


def _plan(
    source: Path,
    output: Path | None,
    settings: RunSettings,
    samples: FilmSamples,
    check: Callable[[Path], None],
) -> Planned:
    info = samples.info
    part = frame_range(info, settings.range)
    if info.flaw and part[1] > info.flaw_from and settings.on_corrupt == "fail":
        raise CorruptError(f"{info.flaw}; get it anew, or let --on-corrupt conceal take what is there")
    decoded = source_format(source, info)
    place = output_location(source, output, settings, info, still=decoded.still)
    request = _request(source, settings, info, decoded, place)
    request.refuse_at_once()
    expected = request.expected_output()
    if expected is not None:
        check(expected)
    look = look_at_frames(samples, settings, decoded, part)
    samples.close()  # trials need the memory
    request = _request(source, look.settings, info, look.source, place)
    settings = request.settings
    fields = choose_fields(info, settings.deinterlace, part, order=settings.field_order)
    choice = _EncoderChoice(request, request.size(look.crop))
    plan = _drafted(info, settings, look, fields, choice.encoder, part)
    plan, said_of_arithmetic = with_arithmetic(plan, settings)
    refuse_target(settings.encode, plan)
    dynamic, said_of_dynamic = choose_dynamic_hdr(info, plan, settings.dynamic_hdr)
    plan = replace(plan, dynamic_hdr=dynamic)
    _refuse_what_fails(info, plan)
    fit = _fit(plan, request, choice)
    target = request.output(fit)
    left_out, dropped = _dropped(request, fit, target)
    notes = (
        *info.notes, *range_notes(info, settings, left_out), *look.said_of_levels, *said_of_arithmetic,
        *choice.notes, *target_messages(plan), *look.said_of_raising,
        *([f"filtered before the networks: {plan.prefilter.replace(',', ', ')}"] if plan.prefilter else []),
        *fields.notes, *track_notes(info, fit, left_out, place, request.said_of_images), *look.said_of_bars,
        *look.said_of_grain, *said_of_dynamic, *plan_warnings(info, fit.plan, moved=bool(fit.note)),
        *([f"assumed {', '.join(decoded.assumed)}"] if decoded.assumed else []),
    )  # fmt: skip
    return Planned(
        str(source),
        str(target),
        fit.plan,
        replace(info, notes=notes),
        most_disk_bytes(info, fit.plan),
        dropped=dropped,
        left_out=left_out,
    )


def _drafted(
    info: VideoInfo,
    settings: RunSettings,
    look: FrameLook,
    fields: FieldChoice,
    encoder: Encoder,
    part: tuple[int, int],
) -> Plan:
    """The plan, before its precision, dynamic HDR metadata and container are chosen."""
    decoded = look.source
    chosen = Choices(
        look.cards,
        encoder,
        part,
        decoded.format,
        decoded.color,
        fields.deinterlacing,
        fields.pulldown,
        crop=look.crop,
        bars=look.bars,
        grain=_for_result(look.grain, decoded.format, encoder.pixels),
        restore=look.levels,
    )
    return replace(make_plan(info, settings, chosen), raised_from=look.raised_from)


def _dropped(request: _Request, fit: ContainerTrial, target: Path) -> tuple[frozenset[int], tuple[str, ...]]:
    """(indexes of the tracks that the output will not have, what is dropped in words).

    Raises UsageError if something would be dropped without a request for it.
    """
    info, settings, place = request.info, request.settings, request.place
    lost = fit.misfits if place.is_picture else fit.lost
    if not settings.drop_incompatible and not place.is_numbered:  # an image sequence can't have other tracks
        refuse_incompatible(lost, target, fit.plan.encoder.container, fit.remedy)
    needless = needless_streams(info)
    said = [
        f"{s.type} stream {s.index} ({s.codec}): "
        f"{why if (s, why) in (*lost, *needless) else 'it holds nothing'}"
        for s, why in (*fit.misfits, *needless)
    ]
    if not place.is_picture and info.format.startswith("matroska"):
        said += [f"of its chapters, {what}" for what in lost_chapters(info.path)]
    return frozenset(s.index for s, _ in (*fit.misfits, *needless)), tuple(said)


class _EncoderChoice:
    """The encoder of an output, tested if it is hardware, and its equivalent for another container."""

    def __init__(self, request: _Request, size: tuple[int, int]) -> None:
        settings, decoded = request.settings, request.decoded
        self._encode, self._decoded = settings.encode, decoded
        self._target = request.target(size)
        self.encoder, self.notes = proven_encoder(
            settings.encode,
            self._meant,
            wanted_vendor(settings, picture=request.place.is_picture),
            tags=lambda one: output_tags(decoded.color, decoded.format, one),
            hdr=request.info.hdr,
        )

    def _meant(self, encode: EncodeSettings) -> Encoder:
        return choose_encoder(encode, self._decoded.format, self._target)

    def for_container(self, container: str, suffix: str) -> Encoder:
        """The encoder for another file. Raises UsageError if the container does not support the codec."""
        encode = replace(self._encode, encoder=self.encoder.vendor or "software")
        target = replace(self._target, container=container, suffix=suffix.lstrip("."))
        found = choose_encoder(encode, self._decoded.format, target)
        if not self.encoder.vendor:
            return found
        return replace(self.encoder, container=found.container, tag=found.tag)


def _refuse_what_fails(info: VideoInfo, plan: Plan) -> None:
    """Raise an error if the source, the filters or the encoder of a plan would fail."""
    refuse_changes(info, plan)
    refuse_damage(info, plan)
    refuse_unsignalled(plan)
    try_filters(plan, info.width, info.height)
    if not plan.encoder.vendor:  # it was tried already, in another process, because a driver may crash
        try_encoder(plan.encoder, plan.out_color)


def _fit(plan: Plan, request: _Request, choice: _EncoderChoice) -> ContainerTrial:
    """The container, and the tracks it can't hold."""
    info, settings, place = request.info, request.settings, request.place
    fit = fitting_container(
        plan,
        info,
        choice.for_container,
        place,
        others=not (place.is_picture or settings.drop_incompatible),
        convert_subtitles=settings.convert_subtitles,
    )
    if place.is_numbered:
        fit = replace(fit, misfits=[(s, "pictures hold nothing else") for s in info.streams])
    needless = dict(needless_streams(info))
    return replace(fit, misfits=[(s, why) for s, why in fit.misfits if s not in needless])


def _for_result(
    grain: tuple[tuple[float, ...], ...], source: PixelFormat, result: PixelFormat
) -> tuple[tuple[float, ...], ...]:
    """Convert grain of a source's planes to those of an output.

    If they differ in kind, that of the first plane is used for brightness.
    """
    if not grain or (source.family == result.family):
        return grain
    return grain[:1] * (3 if result.family == "rgb" else 1)
