"""`plan_video`: what one command asks of one video, checked and worked out: output, container, networks,
encoder, plan.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from models.catalog.lookup import default_model, find, restoring_model
from models.errors import CorruptError, MediaError, UsageError
from pipelines.codec.decoder import Promise, planar_format
from pipelines.codec.encoder import try_encoder
from pipelines.codec.filter_graph import try_filters
from pipelines.media.cicp import HDR_TRANSFERS, Primaries, Range, Transfer
from pipelines.media.image_sequence import pattern_of
from pipelines.media.pixel_format import PixelCrop, PixelFormat
from pipelines.output.container_support import lost_tags, refuse_incompatible
from pipelines.output.subtitle_text import is_converted, said_of_conversion
from pipelines.plan.chunking import frame_range
from pipelines.plan.color_tags import output_tags, resolve
from pipelines.plan.events import Planned
from pipelines.plan.name_template import template_suffix
from pipelines.plan.output_names import existing_folder, is_folder, result_name
from pipelines.plan.plan import Deinterlacing, Plan
from pipelines.plan.settings import parse_range, parse_rate
from pipelines.plan.timeline import clock, timeline
from pipelines.planner.arithmetic_choice import with_arithmetic
from pipelines.planner.container_selection import container_of, fitting_container, usual_suffix
from pipelines.planner.dynamic_hdr_choice import choose_dynamic_hdr
from pipelines.planner.encoder_choice import proven_encoder, wanted_maker
from pipelines.planner.encoder_options import choose_encoder, film_of_pictures, lost_bits, result_format
from pipelines.planner.geometry import square_size, target_size, upright_sar
from pipelines.planner.licences import licence_notes, refuse_licences
from pipelines.planner.plan_builder import make_plan
from pipelines.planner.resources import computing_device, cuda_devices
from pipelines.planner.size_bound import most_bytes
from pipelines.probe.black_bars import find_bars
from pipelines.probe.grain_measurement import measure_grain
from pipelines.probe.probe import probe
from pipelines.probe.restoration_level import estimate_level

if TYPE_CHECKING:
    from collections.abc import Container

    from pipelines.media.video_info import Scan, VideoInfo
    from pipelines.plan.encoder_spec import Encoder
    from pipelines.plan.settings import EncodeSettings, RunSettings
    from pipelines.plan.timeline import Timeline

__all__ = ["chosen_model", "plan_video"]


_RESTORED_FROM = 0.1
"""The estimated level from which networks for compressed footage are better than those for clean sources
(docs/choosing.md). The estimate is rather too low: on four films at CRF 18 to 32 a level of 0.2 to 0.5 is
better than none, and the estimate is 0.04 to 0.7."""
_STILLS = frozenset({".heic", ".heif", ".avif"})


def plan_video(
    source: Path, output: Path | None, settings: RunSettings, info: VideoInfo | None = None
) -> tuple[Planned, frozenset[int]]:
    """Work out everything for one video and check that it can be done; nothing is written.

    output: file or folder; None puts it beside the input. Returns the plan and the indexes of streams that
    are left out. Raises UsageError, MediaError.
    """
    info = info or probe(
        source,
        video_stream=settings.video_stream,
        rate=parse_rate(settings.rate) if settings.rate is not None else None,
    )
    try:
        return _plan(source, output, settings, info)
    except MediaError as error:
        raise type(error)(f"{source}: {error}") if str(source) not in str(error) else error from None


def chosen_model(settings: RunSettings) -> str:
    """What the settings name, or the default of the device that the networks would run on here."""
    if settings.model != "auto":
        return settings.model
    return default_model(
        on_gpu=settings.device not in {"auto", "cpu"}
        or bool(settings.device == "auto" and (cuda_devices() or computing_device(settings) != "cpu"))
    )


def _restoring(
    settings: RunSettings, info: VideoInfo, *, full: bool, prefilter: str
) -> tuple[str, float, list[str]]:
    """Which networks, the restoration level for those that take one, and what a person should know of the
    choice.

    Where nobody names a network, a film above the level at which those for compressed footage are better gets
    one of them.
    """
    model = chosen_model(settings)
    restoring = restoring_model(model) if settings.model == "auto" else None
    if restoring is None and not any(c.restores for name in model.split(",") for c in find(name.strip())):
        return model, 0.0, []
    given = settings.restore != "auto"
    level = (
        float(settings.restore)
        if given
        else estimate_level(info, full=full, part=frame_range(info, settings.range), prefilter=prefilter)
    )
    if level is None:
        return model, 0.0, []
    said = f"restoration level {level:.2f}, {'as given' if given else 'by its frames'}"
    if restoring is None:
        return model, level, [said]
    if level < _RESTORED_FROM:
        return model, level, [f"{said}: clean enough for {model}"]
    width, height = info.upright_size
    wanted = target_size(width, height, settings.target, even=(False, False))
    most = max(card.scale for card in find(restoring))
    # A resize behind it costs more than the network.
    if wanted[0] > most * width + 1 or wanted[1] > most * height + 1:
        reason = f"{model}, for {restoring} goes up to ×{most}; --model {restoring} takes it all the same"
        return model, level, [f"{said}: {reason}"]
    return restoring, level, [f"{said}: {restoring}, which takes compression and noise away"]


def _plan(
    source: Path, output: Path | None, settings: RunSettings, info: VideoInfo
) -> tuple[Planned, frozenset[int]]:
    if info.flaw and settings.on_corrupt == "fail":
        raise CorruptError(f"{info.flaw}; get it anew, or let --on-corrupt conceal take what is there")
    still = info.is_picture or source.suffix.lower() in _STILLS
    decoded = planar_format(info.pix_fmt)
    tags = info.color
    if info.pix_fmt.startswith("yuvj"):
        tags = replace(tags, range=2)
    if decoded.is_float:
        # as it is decoded; the file holds linear light
        tags = replace(tags, range=int(Range.FULL), transfer=int(Transfer.SRGB))
    color, assumed = resolve(
        tags, decoded, height=info.height, codec=info.codec, picture=still or info.made_of_pictures
    )
    grain, said_of_grain = _grain(info) if settings.keep_grain and not still else ((), [])
    if grain:
        # networks enlarge the grain they see: it would be there twice
        settings = replace(settings, prefilter="denoise")
    model, level, said_of_level = _restoring(
        settings, info, full=color.range == Range.FULL, prefilter=settings.prefilter or ""
    )
    cards = [find(name.strip()) for name in model.split(",")]
    if settings.commercial:
        refuse_licences([c for choice in cards for c in choice])
    learned = any(c.sha256 for choice in cards for c in choice)
    if settings.crop_bars and decoded.is_float:
        raise UsageError("--crop-bars can't look at OpenEXR; leave it out")
    looked_for = settings.crop_bars or (learned and not still and not decoded.is_float)
    found = find_bars(info, full=color.range == Range.FULL) if looked_for else PixelCrop()
    crop, said_of_bars = _crop(info, found.on_grid(decoded)) if settings.crop_bars else (info.crop, [])
    width, height = info.orientation.turn(*crop.size(info.width, info.height))
    if settings.square_pixels:
        width, height = square_size(width, height, upright_sar(info))
    folder = source.parent if output is None else output if is_folder(output) else None
    numbered = not still and (
        info.first_number is not None
        if output is None or folder is not None
        else pattern_of(output) is not None
    )
    picture = still or numbered
    named = (
        template_suffix(settings.output_template)
        if output is None or folder is not None
        else output.suffix.lower()
    )
    suffix = named or usual_suffix(source, settings, picture=picture)
    container = container_of(suffix, picture=picture, numbered=numbered)
    maker = wanted_maker(settings, picture=picture)
    even, said_of_container = (False, False), []
    if info.made_of_pictures and not picture:
        encode, said_of_pictures = film_of_pictures(settings.encode, decoded)
        settings = replace(settings, encode=encode)
        said_of_container = said_of_pictures
    if not picture and settings.encode.codec != "ffv1":
        made = result_format(settings.encode, decoded)
        subsampled = (made,) if settings.encode.pixel_format is not None else (decoded, made)
        even = (any(f.sub_x for f in subsampled), any(f.sub_y for f in subsampled))
    size = target_size(width, height, settings.target, even=even)
    deinterlacing, said = _deinterlacing(info, settings.deinterlace)

    def meant(encode: EncodeSettings, container: str = container, suffix: str = suffix) -> Encoder:
        return choose_encoder(
            encode,
            decoded,
            width=size[0],
            height=size[1],
            container=container,
            suffix=suffix.lstrip("."),
            transfer=color.transfer,
            hdr=info.hdr,
        )

    encoder, said_of_encoder = proven_encoder(
        settings.encode, meant, maker, tags=lambda one: output_tags(color, decoded, one), hdr=info.hdr
    )
    encode = replace(settings.encode, encoder=encoder.maker or "software")

    def choose(container: str, suffix: str) -> Encoder:
        found = meant(encode, container, suffix)
        return replace(encoder, container=found.container, tag=found.tag) if encoder.maker else found

    plan = make_plan(
        info,
        settings,
        cards,
        encoder,
        decoded=decoded.name,
        color=color,
        deinterlacing=deinterlacing,
        crop=crop,
        bars=PixelCrop() if settings.crop_bars else found,
        grain=_for_result(grain, decoded, PixelFormat.parse(encoder.pix_fmt)),
        restore=level,
    )
    plan, said_of_arithmetic = with_arithmetic(plan, settings)
    dynamic, said_of_dynamic = choose_dynamic_hdr(info, plan, settings.dynamic_hdr)
    plan = replace(plan, dynamic_hdr=dynamic)
    _refuse_changes(info, plan)
    _refuse_damage(info, plan)
    _refuse_unsaid(plan)
    try_filters(plan, info.width, info.height)
    if not encoder.maker:  # which was tried already, elsewhere: a driver may end the process
        try_encoder(encoder, plan.out_color)
    others, convert = not (picture or settings.drop_incompatible), settings.convert_subtitles
    fit = fitting_container(
        plan, info, choose, suffix, named=bool(named), others=others, convert_subtitles=convert
    )
    if numbered:
        fit = replace(fit, misfits=[(s, "pictures hold nothing else") for s in info.streams])
    suffix, plan, misfits, container = fit.suffix, fit.plan, fit.misfits, fit.plan.encoder.container
    lost = misfits if picture else fit.lost
    said_of_container = [*([fit.note] if fit.note else []), *said_of_container]
    target = (
        output
        if output is not None and folder is None
        else (folder or Path())
        / result_name(settings.output_template, source, suffix, plan, _part(info, settings, plan))
    )
    target = _checked(source, target, plan)
    if not settings.drop_incompatible:
        refuse_incompatible(lost, target, container, fit.remedy)
    gone = {s.index for s, _ in misfits}
    if not picture:
        said.extend(
            said_of_conversion(
                [s for s in info.streams if s.index not in gone and is_converted(s.codec, container)],
                container,
            )
        )
    tags_lost = [] if picture else lost_tags(info, container, gone)
    said_of_tags = [f"{container} can't hold these tags: {'; '.join(tags_lost)}"] if tags_lost else []
    notes = (f"assumed {', '.join(assumed)}",) if assumed else ()
    more = (
        *_said_of_range(info, settings), *said_of_level, *said_of_arithmetic, *said_of_encoder, *said,
        *said_of_container, *said_of_tags, *said_of_bars, *said_of_grain, *said_of_dynamic,
    )  # fmt: skip
    info = replace(info, notes=(*info.notes, *more, *_warnings(info, plan), *notes))
    dropped = tuple(
        f"{s.type} stream {s.index} ({s.codec}): {why if (s, why) in lost else 'it holds nothing'}"
        for s, why in misfits
    )
    return Planned(str(source), str(target), plan, info, most_bytes(info, plan), dropped=dropped), frozenset(
        gone
    )


def _part(info: VideoInfo, settings: RunSettings, plan: Plan) -> tuple[Fraction, Fraction] | None:
    """Seconds of a film that `--range` takes, for the result's name.

    None without, and of numbered pictures, whose numbers tell.
    """
    if settings.range is None or plan.encoder.is_picture:
        return None
    start, stop = parse_range(settings.range)
    return start, min(info.seconds, stop) if stop is not None else info.seconds


def _said_of_range(info: VideoInfo, settings: RunSettings) -> list[str]:
    """That a range reaches beyond the end, which may be a slip of the hand."""
    stop = parse_range(settings.range)[1] if settings.range is not None else None
    if stop is None or stop <= info.seconds + info.time_base:
        return []
    return [
        f"--range {settings.range}: the video ends at {clock(float(info.seconds))}, and so does the result"
    ]


def _refuse_changes(info: VideoInfo, plan: Plan) -> None:
    """Raise MediaError where what holds for the whole film changes within what is wanted of it."""
    for place, change in info.changes:
        if plan.start_frame <= place < plan.stop_frame:
            raise Promise(info.pts[place : place + 1], number=place, clock=info.decoder.clock).refuse(
                0, change
            )


def _refuse_damage(info: VideoInfo, plan: Plan) -> None:
    """Raise CorruptError where frames that are wanted are known to be damaged, as they were decoded to be
    counted.
    """
    found = [info.pts[place] for place in info.damaged if plan.start_frame <= place < plan.stop_frame]
    if found and plan.on_corrupt == "fail":
        raise Promise(info.pts).damage(found)


def _refuse_unsaid(plan: Plan) -> None:
    """Raise UsageError where neither the encoder nor FFmpeg's muxer writes down what a player must know of
    the picture.
    """
    if plan.encoder.name in {"libx264", "libx265"} and plan.out_color.primaries == Primaries.EBU3213:
        raise UsageError(
            f"its primaries are EBU Tech. 3213 (22), which {plan.encoder.name} can't write; use --codec av1,"
            " prores or ffv1"
        )
    if (
        plan.sar != 1
        and plan.encoder.name in {"libsvtav1", "prores_ks"}
        and plan.encoder.container not in {"mp4", "mov"}
    ):
        suffix = ".mp4" if plan.encoder.name == "libsvtav1" else ".mov"
        raise UsageError(
            f"a sample is {plan.sar} wide for its height, which {plan.encoder.codec} in"
            f" {plan.encoder.container} can't say; name an output that ends in {suffix}, or give"
            " --square-pixels"
        )


def _crop(info: VideoInfo, crop: PixelCrop) -> tuple[PixelCrop, list[str]]:
    """What is cut off, and what a person should know of it."""
    if not crop:
        return info.crop, ["no black bars were found: --crop-bars has nothing to do"]
    width, height = crop.within(info.crop).size(info.width, info.height)
    cut = f"top {crop.top}, bottom {crop.bottom}, left {crop.left}, right {crop.right}"
    return crop.within(info.crop), [f"black bars cut off: {cut}; {width}x{height} are left"]


def _grain(info: VideoInfo) -> tuple[tuple[tuple[float, ...], ...], list[str]]:
    """What grain the source has, and what a person should know of it."""
    found = measure_grain(info)
    if not found:
        return (), ["no film grain was found: --keep-grain has nothing to do"]
    note = (
        f"film grain of up to {max(found[0]):.1f} codes of 255: taken out before the networks, and as much"
        " made anew behind them"
    )
    return found, [note]


def _for_result(
    grain: tuple[tuple[float, ...], ...], source: PixelFormat, result: PixelFormat
) -> tuple[tuple[float, ...], ...]:
    """Grain of a source's planes for those of a result.

    Where they are not of one kind, what the first plane has goes to the brightness.
    """
    if not grain or (source.family == result.family):
        return grain
    return grain[:1] * (3 if result.family == "rgb" else 1)


def _deinterlacing(info: VideoInfo, wanted: str) -> tuple[Deinterlacing | None, list[str]]:
    """What is done about fields, and what a person should know of it.

    Raises MediaError where interlaced video is not wanted.
    """
    scan = info.scan
    if scan.order == "progressive":
        said = (
            ["soft telecine (pulldown flags): its film frames keep their own times"]
            if scan.pulldown == "soft"
            else []
        )
        if wanted == "on" or (wanted == "bob" and scan.doubt):
            return _forced(scan, bob=wanted == "bob")
        if scan.doubt and wanted != "off":
            said.append(_doubt(scan))
        return None, [
            *said,
            *(["it is progressive: --deinterlace bob has nothing to do"] if wanted == "bob" else []),
        ]
    kind = "hard-telecined film (3:2 pulldown)" if scan.pulldown == "hard" else "interlaced"
    what = f"{kind}, {scan.order} field first by its {scan.found}"
    if wanted == "refuse":
        raise MediaError(f"is {what}; --deinterlace auto would make whole frames of it")
    if wanted == "off":
        return None, [f"{what}; its lines are upscaled as they are, because of --deinterlace off"]
    if info.codec == "hevc" and scan.found == "flags":
        raise MediaError(
            f"is {what}, and HEVC keeps each field as a picture of its own; weave it first, or upscale the"
            " fields with --deinterlace off"
        )
    how = _RATES[wanted == "bob"]
    if scan.pulldown == "hard":
        how += "; an inverse telecine before would give back the film's own frames"
    return Deinterlacing(scan.order, bob=wanted == "bob"), [f"{what}; deinterlaced {how}"]


_RATES = {
    True: "at field rate, two frames of each",
    False: "at frame rate; --deinterlace bob would keep the motion of every field",
}


def _doubt(scan: Scan) -> str:
    """What speaks for fields in video that was taken for progressive, and what to type."""
    first = f"{scan.doubt} field first"
    what = (
        f"flagged as interlaced, {first}, but its pictures are whole"
        if scan.found == "pictures"
        else f"some of its pictures look interlaced, {first}"
    )
    return (
        f"{what}: taken for progressive; if it combs, --deinterlace on (frame rate) or bob (field rate) would"
        " deinterlace it"
    )


def _forced(scan: Scan, *, bob: bool) -> tuple[Deinterlacing, list[str]]:
    """What a person asked for against what was found."""
    order = scan.doubt or "top"
    known = f"{order} field first{'' if scan.doubt else ' (assumed)'}"
    return Deinterlacing(order, bob=bob), [
        f"taken for progressive; deinterlaced as asked for, {known}, {_RATES[bob].partition(';')[0]}"
    ]


def _checked(source: Path, target: Path, plan: Plan) -> Path:
    """The output's full path, checked as far as can be without writing."""
    target = Path(os.path.abspath(target))
    existing = existing_folder(target)
    if not existing.is_dir():
        raise UsageError(f"{existing}: is a file, so {target.name} can't lie in it; choose another -o")
    if plan.encoder.is_sequence:
        _check_pattern(source, target, plan.numbers)
    elif target.is_symlink() or target.exists():
        if target.is_dir():
            raise UsageError(f"{target}: is a folder")
        given = pattern_of(source)
        if target.exists() and any(
            os.path.samefile(path, target)
            for path in ([source] if given is None else map(given.path, given.numbers()))
        ):
            raise UsageError(f"{target}: is the input itself; choose another -o")
    return target


def _check_pattern(source: Path, target: Path, made: Container[int]) -> None:
    """Numbered pictures go where a pattern leads, and never over those they are made of."""
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


def _warnings(info: VideoInfo, plan: Plan) -> list[str]:
    found = []
    if (
        plan.encoder.container in {"matroska", "webm"}
        and plan.time_base.denominator > 1000
        and 1000 % plan.time_base.denominator != 0
    ):
        found.append("Matroska keeps times to 1 ms; name an output that ends in .mp4 to keep every tick")
        if min(info.steps[0], info.durations[-1]) * plan.time_base < Fraction(1, 1000) and _fall_together(
            timeline(info, plan)
        ):
            raise UsageError(
                f"{info.path}: some frames are less than 1 ms apart, which Matroska can't hold; name an"
                " output that ends in .mp4"
            )
    if plan.full_chroma:
        found.append(
            "colour goes through the networks as brightness does, at up to three times the work; --chroma"
            " classical resizes it"
        )
    if plan.strength < 1 and not any(s.card.sha256 for s in plan.stages):
        found.append("the networks are classical: --strength has nothing to do")
    if plan.encoder.is_sequence and (info.vfr or info.first_number is None):
        found.append(
            "numbered pictures carry no times;"
            f" {'they vary here' if info.vfr else f'this is {float(plan.rate):.6g} frames a second'}"
        )
    lost = lost_bits(plan.encoder, PixelFormat.parse(plan.pix_fmt))
    if lost:
        found.append(lost)
    if (
        plan.color.range == Range.FULL
        and plan.out_color.range == Range.LIMITED
        and plan.encoder.name == "prores_ks"
    ):
        found.append("full range becomes limited range: ProRes has no other")
    if info.orientation:
        found.append("the rotation tag is applied to the pixels")
    if plan.color.transfer in HDR_TRANSFERS and any(s.card.sha256 for s in plan.stages):
        found.append(
            f"{Transfer(plan.color.transfer).name} goes through the networks as it is; they have learned"
            " from SDR"
        )
    found += licence_notes(plan)
    beside = sum(s.type == "video" for s in info.streams) if info.is_picture or plan.encoder.is_picture else 0
    if beside:
        found.append(
            f"the result is made of its main picture; {beside} beside it (alpha, depth, a thumbnail) are"
            " left out"
        )
    if info.hdr and plan.encoder.is_picture:
        found.append("a picture can't hold the mastering display metadata")
    if info.captions and plan.encoder.codec not in {"h264", "hevc"}:
        found.append(
            f"closed captions inside the video can't be kept in {plan.encoder.codec}; use --codec hevc or"
            " h264"
        )
    return found


def _fall_together(times: Timeline) -> bool:
    """Whether two frames have the same time in milliseconds."""
    base = times.time_base * 1000
    ticks = ((2 * p * base.numerator + base.denominator) // (2 * base.denominator) for p in times.pts)
    return any(a >= b for a, b in itertools.pairwise(ticks))
