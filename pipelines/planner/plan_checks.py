"""Reasons to refuse a plan, and messages about it."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UsageError
from pipelines.codec.expected_frames import ExpectedFrames
from pipelines.containers.container_support import incompatible_streams
from pipelines.containers.container_tags import lost_tags
from pipelines.containers.subtitle_text import conversion_messages, is_converted
from pipelines.encoders.pixel_format_choice import lost_bits, result_format
from pipelines.media.cicp import HDR_TRANSFERS, Primaries, Range, Transfer
from pipelines.plan.timeline import clock_text, timeline
from pipelines.planner.dynamic_hdr_choice import enhancement_layers
from pipelines.planner.geometry import square_size, target_size, upright_sar
from pipelines.planner.licences import licence_notes

if TYPE_CHECKING:
    from collections.abc import Container

    from pipelines.media.pixel_format import PixelCrop, PixelFormat
    from pipelines.media.video_info import Stream, VideoInfo
    from pipelines.plan.plan import Plan
    from pipelines.plan.timeline import Timeline
    from pipelines.planner.container_choice import ContainerTrial, OutputLocation
    from pipelines.settings.run_settings import EncodeSettings, RunSettings

__all__ = [
    "PHOTO_CONTAINERS",
    "needless_streams",
    "output_size",
    "plan_warnings",
    "range_notes",
    "refuse_changes",
    "refuse_damage",
    "refuse_target",
    "refuse_unsignalled",
    "target_messages",
    "track_notes",
]


_RATES = frozenset(
    {
        "crf",
        "qp",
        "b",
        "bitrate",
        "tbr",
        "rc",
        "lossless",
        "global_quality",
        "cq",
        "qp_i",
        "qp_p",
        "qp_b",
        "qmin",
        "qmax",
    }
)
"""Options that set a bit rate."""


def output_size(
    info: VideoInfo, settings: RunSettings, source: PixelFormat, crop: PixelCrop, *, picture: bool
) -> tuple[int, int]:
    """Width and height of the output."""
    width, height = info.orientation.turn(*crop.size(info.width, info.height))
    if settings.square_pixels:
        width, height = square_size(width, height, upright_sar(info))
    even = (False, False)
    if not picture and settings.encode.codec != "ffv1":
        made = result_format(settings.encode, source)
        subsampled = (made,) if settings.encode.pixel_format is not None else (source, made)
        even = (any(f.sub_x for f in subsampled), any(f.sub_y for f in subsampled))
    return target_size(width, height, settings.target, even=even)


def refuse_target(encode: EncodeSettings, plan: Plan) -> None:
    """Raise UsageError if no CRF can be searched for."""
    target, encoder = encode.crf_target, plan.encoder
    if target is None:
        return
    name = target.option
    if encoder.is_picture:
        raise UsageError(f"{name}: pictures have no CRF; leave it out")
    given = [
        *encode.options,
        *(
            pair.partition("=")[0]
            for key, text in encode.options.items()
            if key.endswith("-params")
            for pair in text.split(":")
        ),
    ]
    clash = sorted(_RATES.intersection(given))
    if clash:
        raise UsageError(
            f"{name} searches for a CRF, and --encoder-option {clash[0]} sets the rate itself; leave one out"
        )
    if plan.out_pixels.family == "rgb":
        raise UsageError(f"{name}: samples of {plan.out_pix_fmt} can't be tried; leave --pixel-format out")


def target_messages(plan: Plan) -> list[str]:
    """Messages before the search."""
    target = plan.target
    if target is None:
        return []
    said = [f"{target.option}: the CRF is found from samples before work starts"]
    if target.kind == "vmaf" and plan.out_color.transfer in HDR_TRANSFERS:
        said.append("VMAF has learned from SDR: of PQ and HLG it tells more and less, no absolute quality")
    return said


_LONG_PACKET = 0.1
"""Seconds of sound that a listener misses."""


def range_notes(info: VideoInfo, settings: RunSettings, left_out: Container[int] = ()) -> list[str]:
    """Notes on a range that ends after the film, maybe by mistake, and on tracks that begin after its start.

    left_out: indexes of streams.
    """
    if settings.seconds is None:
        return []
    start, stop = settings.seconds
    said = []
    if stop is not None and stop > info.seconds + info.time_base:
        said.append(
            f"--range {settings.range}: the video ends at {clock_text(float(info.seconds))}, and so does the"
            " result"
        )
    kept = [s for s in info.streams if start and s.index not in left_out and s.packet_count]
    for stream in kept:
        if stream.type == "video" and not stream.is_cover:
            said.append(f"video stream {stream.index} begins with its first key frame in the range")
        elif stream.type == "audio" and stream.longest > _LONG_PACKET and not stream.codec.startswith("pcm_"):
            said.append(
                f"audio stream {stream.index} ({stream.codec}) has packets of {stream.longest:.2f} s and"
                " begins with its first whole one in the range"
            )
    return said


def refuse_changes(info: VideoInfo, plan: Plan) -> None:
    """Raise MediaError if properties of the whole film change within the range."""
    for place, change in info.changes:
        if plan.start_frame <= place < plan.stop_frame:
            raise ExpectedFrames(
                info.pts[place : place + 1], number=place, clock=info.decoder.clock
            ).change_error(0, change)


def refuse_damage(info: VideoInfo, plan: Plan) -> None:
    """Raise CorruptError if frame counting found damaged frames in the range, unless damage is concealed."""
    found = [info.pts[place] for place in info.damaged if plan.start_frame <= place < plan.stop_frame]
    if found and plan.on_corrupt == "fail":
        raise ExpectedFrames(info.pts).damage_error(found)


def refuse_unsignalled(plan: Plan) -> None:
    """Raise UsageError if neither the encoder nor FFmpeg's muxer signals a property that players need."""
    if plan.encoder.name in {"libx264", "libx265"} and plan.out_color.primaries == Primaries.EBU3213:
        raise UsageError(
            f"its primaries are EBU Tech. 3213 (22), which {plan.encoder.name} can't write; use --codec av1,"
            " prores or ffv1"
        )


_FULL_CHROMA = (
    "colour goes through the networks as brightness does, at up to three times the work; --chroma classical"
    " resizes it"
)


_NOT_BLENDED = "the networks are classical: --strength has nothing to do"


def plan_warnings(info: VideoInfo, plan: Plan, *, moved: bool = False) -> list[str]:
    """Messages about a plan. Raises UsageError if two frames would get the same timestamp.

    moved: the container is not the usual one, in which a track was lost.
    """
    encoder = plan.encoder
    hdr = Transfer(plan.color.transfer).name if plan.color.transfer in HDR_TRANSFERS else ""
    beside = sum(s.type == "video" for s in info.streams) if info.is_picture or encoder.is_picture else 0
    becomes_limited = plan.color.range == Range.FULL and plan.out_color.range == Range.LIMITED
    rate = "they vary here" if info.vfr else f"this is {float(plan.rate):.6g} frames a second"
    side = f"{beside} beside it (alpha, depth, a thumbnail) are left out"
    captions = (
        f"closed captions inside the video can't be kept in {encoder.codec}; use --codec hevc, h264 or av1"
    )
    lost = lost_bits(encoder, plan.pixels)
    checks: tuple[tuple[object, str], ...] = (
        (plan.full_chroma, _FULL_CHROMA),
        (plan.strength < 1 and not plan.is_learned, _NOT_BLENDED),
        (
            encoder.is_sequence and (info.vfr or info.first_number is None),
            f"numbered pictures carry no times; {rate}",
        ),
        (lost, lost),
        (
            becomes_limited and encoder.name == "prores_ks",
            "full range becomes limited range: ProRes has no other",
        ),
        (info.orientation, "the rotation tag is applied to the pixels"),
        (hdr and plan.is_learned, f"{hdr} goes through the networks as it is; they have learned from SDR"),
        *((True, note) for note in licence_notes(plan)),
        (beside, f"the result is made of its main picture; {side}"),
        (info.hdr and encoder.is_picture, "a picture can't hold the mastering display metadata"),
        (info.captions and encoder.codec not in {"h264", "hevc", "av1"}, captions),
    )
    return [*_of_times(info, plan, moved=moved), *(text for applies, text in checks if applies)]


def _of_times(info: VideoInfo, plan: Plan, *, moved: bool) -> list[str]:
    """Consequences of Matroska's milliseconds. Raises UsageError if timestamps coincide."""
    ticks = plan.time_base.denominator
    if plan.encoder.container not in {"matroska", "webm"} or ticks <= 1000 or 1000 % ticks == 0:
        return []
    close = min(info.steps[0], info.durations[-1]) * plan.time_base < Fraction(1, 1000)
    if close and _fall_together(timeline(info, plan)):
        raise UsageError(
            f"{info.path}: some frames are less than 1 ms apart, which Matroska can't hold; name an"
            " output that ends in .mp4"
        )
    fits = (
        plan.encoder.codec in {"h264", "hevc", "av1"} and not moved and not incompatible_streams(info, "mp4")
    )
    remedy = (
        "; an output that ends in .mp4 keeps every tick (for a folder, --output-template '{stem}.mp4')"
        if fits
        else ""
    )
    return [f"Matroska keeps times to 1 ms{remedy}"]


def _fall_together(times: Timeline) -> bool:
    """Whether two frames have the same timestamp in milliseconds."""
    base = times.time_base * 1000
    ticks = ((2 * p * base.numerator + base.denominator) // (2 * base.denominator) for p in times.pts)
    return any(a >= b for a, b in itertools.pairwise(ticks))


PHOTO_CONTAINERS = frozenset({".heic", ".heif", ".avif"})
"""Files of one picture or of several in time, with other images that belong to each of them."""


def needless_streams(info: VideoInfo) -> list[tuple[Stream, str]]:
    """Streams that belong to the film's own pictures, and why they are dropped."""
    why = "it is part of its pictures (alpha, depth, a thumbnail, or the first one as a photo)"
    is_photo = Path(info.path).suffix.lower() in PHOTO_CONTAINERS and info.frame_count > 1
    parts = [(s, why) for s in info.streams if s.type == "video"] if is_photo else []
    return [*enhancement_layers(info), *parts]


def track_notes(
    info: VideoInfo,
    fit: ContainerTrial,
    left_out: frozenset[int],
    place: OutputLocation,
    image_messages: list[str],
) -> list[str]:
    """Messages about the container, converted subtitles and lost tags."""
    said_of_container = [*([fit.note] if fit.note else []), *image_messages]
    if place.is_picture:
        return said_of_container
    container = fit.plan.encoder.container
    kept = [s for s in info.streams if s.index not in left_out]
    converted = conversion_messages(
        [s for s in kept if s.type == "subtitle" and is_converted(s.codec, container)], container
    )
    lost = lost_tags(info, container, set(left_out))
    said_of_tags = [f"{container} can't hold these tags: {'; '.join(lost)}"] if lost else []
    return [*converted, *said_of_container, *said_of_tags]
