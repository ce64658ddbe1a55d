"""`make_plan`: builds a `Plan` from the facts of a video and the `Choices` made for it."""

from __future__ import annotations

import dataclasses
from array import array
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from models.errors import UsageError
from pipelines.media.cicp import ColorTags
from pipelines.media.pixel_format import PixelCrop, PixelFormat
from pipelines.media.video_info import Chunk
from pipelines.plan.chunking import (
    SETTLING_FRAMES,
    clean_starts,
    cut_chunks,
    cut_spans,
    timing_digest,
)
from pipelines.plan.color_tags import output_tags
from pipelines.plan.plan import LARGEST_CHUNK_BYTES, Plan, with_restoration
from pipelines.plan.pulldown import PARTS
from pipelines.plan.tiling import YUV_TILE_PX
from pipelines.planner.geometry import upright_sar
from pipelines.planner.network_choice import SMALL_NETWORK, choose_stages
from pipelines.planner.precision_choice import choose_precision
from pipelines.settings.run_settings import detail_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from models.catalog.card import Card
    from pipelines.media.video_info import VideoInfo
    from pipelines.plan.plan import Deinterlacing, NetworkStage, RestoreLevels
    from pipelines.plan.pulldown import Pulldown
    from pipelines.settings.encoder_spec import Encoder
    from pipelines.settings.run_settings import RunSettings

__all__ = ["Choices", "cut_otherwise", "make_plan", "with_smaller_tiles"]


@dataclass(frozen=True)
class Choices:
    """Choices for one video, from which its plan is made."""

    cards: Sequence[Sequence[Card]]
    """Cards of the named networks."""
    encoder: Encoder
    """The encoder for the target."""
    part: tuple[int, int]
    """Frames [start, stop) of the source in the range."""
    decoded: PixelFormat
    """Planar format of decoded frames."""
    color: ColorTags
    """The resolved tags of the source."""
    deinterlacing: Deinterlacing | None = None
    pulldown: Pulldown | None = None
    crop: PixelCrop = field(default_factory=PixelCrop)
    """Rows and columns of the stored frame that are removed."""
    bars: PixelCrop = field(default_factory=PixelCrop)
    """Black bars of the stored frame that are kept, but not processed by networks."""
    grain: tuple[tuple[float, ...], ...] = ()
    """Grain to be synthesised, for each plane of the output."""
    restore: RestoreLevels = ()
    """Restoration levels for networks that take one; they begin with the first frame of the range."""


def make_plan(info: VideoInfo, settings: RunSettings, chosen: Choices) -> Plan:
    """Build the plan."""
    encoder, crop, pixels = chosen.encoder, chosen.crop, chosen.decoded
    width, height = info.orientation.turn(*crop.size(info.width, info.height))
    out_width, out_height = encoder.width, encoder.height
    start, stop = chosen.part
    levels = [level for _, level in chosen.restore] or [0.0]
    details = [detail_at(level, settings.detail) for level in levels]
    stages = tuple(
        with_restoration(s, levels[0], details[0])
        for s in choose_stages(chosen.cards, width, height, out_width, out_height)
    )
    varied = len(levels) > 1 and any(s.restore is not None for s in stages)
    sar = Fraction(1) if settings.square_pixels else upright_sar(info)
    fields = 2 if chosen.deinterlacing is not None and chosen.deinterlacing.bob else 1
    most_frames = _most_frames(encoder, stages, fields) if encoder.is_sequence else None
    parts, rate, pulldown = fields, info.rate * fields, chosen.pulldown
    chunks = _cut(info, settings.chunk_seconds, (start, stop), most_frames, pulldown)
    if pulldown is not None:
        parts = PARTS
        rate = info.rate if pulldown.share("WVP") > _MOSTLY else info.rate * Fraction(4, 5)
    plan = Plan(
        source_fingerprint=info.fingerprint,
        stream_index=info.stream_index,
        width=width,
        height=height,
        out_width=out_width,
        out_height=out_height,
        sar=sar,
        orientation=info.orientation,
        pix_fmt=pixels.name,
        out_pix_fmt=encoder.pix_fmt,
        color=chosen.color,
        out_color=output_tags(chosen.color, pixels, encoder, of_pictures=info.made_of_pictures),
        stages=stages,
        encoder=encoder,
        time_base=info.time_base / parts,
        rate=rate,
        start_frame=start,
        stop_frame=stop,
        linear=info.linear,
        on_corrupt=settings.on_corrupt,
        timing_digest=timing_digest(info.pts, info.durations, start, stop),
        chunks=chunks,
        spans=(),
        tile_px=_tile_px(settings, stages),
        hdr=info.hdr,
        deinterlacing=chosen.deinterlacing,
        pulldown=pulldown,
        prefilter=",".join(settings.prefilters),
        strength=settings.strength,
        crop=crop,
        bars=chosen.bars.turned(info.orientation),
        grain=chosen.grain,
        full_chroma=settings.chroma == "network" and _has_full_chroma(pixels, encoder.pixels, stages),
        target=settings.encode.crf_target,
        restore_levels=chosen.restore if varied else (),
        detail_levels=tuple(details) if varied and len(set(details)) > 1 else (),
        first_number=1
        if info.first_number is None
        else info.first_number + (start * fields if pulldown is None else pulldown.results(start)),
    )
    spans = cut_spans(info.index, info.pts, chunks, linear=info.linear, context=plan.context)
    return dataclasses.replace(plan, spans=spans, precision=choose_precision(settings, plan))


def _cut(
    info: VideoInfo,
    chunk_seconds: float | None,
    part: tuple[int, int],
    most_frames: int | None,
    pulldown: Pulldown | None,
) -> tuple[Chunk, ...]:
    clean = clean_starts(info.index)[0] if not info.linear else array("q")
    chunks = cut_chunks(info.pts, info.time_base, chunk_seconds, clean, part, most_frames)
    return chunks if pulldown is None else _with_results(chunks, pulldown)


def cut_otherwise(plan: Plan, info: VideoInfo, chunk_seconds: float | None) -> tuple[Chunk, ...]:
    """The chunks that a plan would have with another `--chunk-seconds`; None: without it."""
    most = _most_frames(plan.encoder, plan.stages, plan.per_frame) if plan.encoder.is_sequence else None
    return _cut(info, chunk_seconds, (plan.start_frame, plan.stop_frame), most, plan.pulldown)


_MOSTLY = 0.5
"""Share of video frames above which their rate is the output's, for encoders; timestamps are exact anyway."""


def _with_results(chunks: Sequence[Chunk], pulldown: Pulldown) -> tuple[Chunk, ...]:
    """Join chunks without output frames to the ones before them.

    If the first chunk has none, it is joined to the next.
    """
    bounds = [chunks[0].start_frame]
    for chunk in chunks:
        if pulldown.results(chunk.stop_frame) > pulldown.results(bounds[-1]):
            bounds.append(chunk.stop_frame)
    if len(bounds) == 1:
        raise UsageError(
            "--range: its frames hold only fields of film frames that lie outside; take a longer part"
        )
    bounds[-1] = chunks[-1].stop_frame
    return tuple(Chunk(n, a, b) for n, (a, b) in enumerate(pairwise(bounds)))


def _has_full_chroma(source: PixelFormat, result: PixelFormat, stages: Sequence[NetworkStage]) -> bool:
    """Whether source and output have full chroma resolution, and a network can process it as luma."""
    full = all(
        p.family == "rgb" or (p.family == "yuv" and not (p.sub_x or p.sub_y)) for p in (source, result)
    )
    return full and any(s.card.sha256 and s.card.pixels == "yuv420" and not s.card.temporal for s in stages)


def _most_frames(encoder: Encoder, stages: Sequence[NetworkStage], fields: int) -> int:
    """Source frames per chunk of an image sequence, which is in memory as a whole.

    A recurrent network gets at least the frames it needs to settle.
    """
    return max(
        SETTLING_FRAMES if stages[0].card.recurrent else 1,
        LARGEST_CHUNK_BYTES // (encoder.picture_bytes * fields),
    )


def _tile_px(settings: RunSettings, stages: Sequence[NetworkStage]) -> tuple[int, int]:
    if settings.tile_px is not None:
        return settings.tile_px
    if all(s.card.pixels == "yuv420" for s in stages):
        return YUV_TILE_PX
    # R'G'B' networks have wide halos and full-resolution feature maps, and large networks have many of them.
    return (544, 1280) if all(s.card.parameters <= SMALL_NETWORK for s in stages) else (288, 480)


_SMALLEST_PX = 80 * 128
"""Tile size below which halos would be most of the work."""


def with_smaller_tiles(plan: Plan) -> Iterator[Plan]:
    """Yield the same plan with smaller and smaller tiles, for retrying after running out of memory.

    Sides are halved, as multiples of 16. Only sizes that actually split a frame are yielded; nothing is
    yielded if no network of the plan uses tiles.
    """
    sizes = [(plan.height, plan.width), *((stage.height, stage.width) for stage in plan.stages)]
    tiled = [
        size
        for size, stage in zip(sizes, plan.stages, strict=False)
        if stage.card.sha256 and stage.card.halo_px is not None
    ]
    height, width = plan.tile_px
    while True:
        height, width = -(-height // 32) * 16, -(-width // 32) * 16
        if height * width < _SMALLEST_PX:
            return
        if any(height < rows or width < columns for rows, columns in tiled):
            yield replace(plan, tile_px=(height, width))
