"""`Plan`: target size, networks, encoder and chunks, worked out before any work starts; pure, and needs no media to test.

Whatever shapes the bits of the result is in the plan, and its id names the work that belongs to it.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import hashlib
import json
from array import array
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from models.errors import UsageError
from pipelines.cicp import ColorTags, HdrMetadata, Matrix
from pipelines.plan_id import former_id, plan_id
from pipelines.planes import Crop, Orientation, PixelFormat
from pipelines.settings import BOXES, parse_range, parse_tile
from pipelines.tags import output_tags
from pipelines.tiles import YUV_TILE_PX
from pipelines.video import NO_PTS, Chunk, Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Literal

    from models.catalog import Card
    from pipelines.encoder import Encoder
    from pipelines.settings import RunSettings, TargetSettings
    from pipelines.video import PacketIndex, VideoInfo

__all__ = ["Deinterlacing", "Plan", "Stage", "choose_stages", "cut_chunks", "cut_spans", "frame_range", "square_size", "target_size", "upright_sar"]

FORMAT_VERSION = 3
"""Raised whenever the same settings would give other bits than before."""

_LARGEST_DEFAULT_4K = 1920 * 1088
_SMALL_NETWORK = 2_000_000
"""Parameters; Real-ESRGAN's video networks have 0.6 to 1.2 million, its large ones 17."""
_SETTLING_FRAMES = 8
"""A network that remembers is shown so many frames before a chunk; what it gives for the chunk then hardly depends on where
it began (measured in tests/benchmarks/seams.py)."""
_LARGEST_CHUNK_BYTES = 128 << 20
"""Samples of the numbered pictures of one chunk."""
_LONGEST_PREROLL = 3
"""A chunk that would have to decode more than so many times its own frames in advance shares the decoder of the one before."""


@dataclass(frozen=True)
class Stage:
    """One network of the cascade and the size it leads to."""

    card: Card
    width: int
    height: int


@dataclass(frozen=True)
class Deinterlacing:
    """Whole pictures of fields, by bwdif."""

    first_field: Literal["top", "bottom"]
    bob: bool
    """A picture of each field instead of one of each frame."""


@dataclass(frozen=True)
class Plan:
    """Everything a worker and the assembler need to know besides the packets."""

    source_fingerprint: str
    stream_index: int
    width: int
    """Of the source as seen, after `orientation`."""
    height: int
    out_width: int
    out_height: int
    sar: Fraction
    orientation: Orientation
    pix_fmt: str
    """Planar format frames are decoded to."""
    out_pix_fmt: str
    color: ColorTags
    """Of the source, resolved."""
    out_color: ColorTags
    """Of the result; the same, unless its kind of pixels asks for others (R'G'B' to YUV, JPEG)."""
    stages: tuple[Stage, ...]
    encoder: Encoder
    time_base: Fraction
    """Of the result; half the source's where every field becomes a frame."""
    rate: Fraction
    """Of the result, for encoders."""
    start_frame: int
    """First frame of the source that is wanted."""
    stop_frame: int
    linear: bool
    on_corrupt: str
    timing_digest: str
    """Hash over the promised timestamps and durations."""
    chunks: tuple[Chunk, ...]
    spans: tuple[Span, ...]
    tile_px: tuple[int, int]
    """Height and width of a tile, in pixels of a stage's input."""
    hdr: HdrMetadata = field(default_factory=HdrMetadata)
    deinterlacing: Deinterlacing | None = None
    prefilter: str = ""
    """denoise, deblock, or nothing."""
    strength: float = 1.0
    """Of the networks' result; the rest is the classical one."""
    crop: Crop = field(default_factory=Crop)
    """What is left out of the stored picture, after decoding and filtering."""
    bars: Crop = field(default_factory=Crop)
    """Black bars of the picture as seen; where they are black in a frame, no network looks at them."""
    grain: tuple[tuple[float, ...], ...] = ()
    """That is added to each plane of the result; see `grain.measure_grain`."""
    first_number: int = 1
    """Of the first picture, where the result is numbered pictures."""

    def to_json(self) -> dict[str, Any]:
        """As plain values, in a fixed order."""
        return {"format": FORMAT_VERSION, **json.loads(json.dumps(dataclasses.asdict(self), default=str))}

    @property
    def per_frame(self) -> int:
        """Frames of the result for each one of the source."""
        return 2 if self.deinterlacing is not None and self.deinterlacing.bob else 1

    @property
    def is_filtered(self) -> bool:
        """Frames go through filters before the networks."""
        return self.deinterlacing is not None or bool(self.prefilter)

    @property
    def luma_matrix(self) -> int:
        """Of the luma by which source and result are compared: the source's own, for R'G'B' the result's."""
        return self.out_color.matrix if self.color.matrix == Matrix.RGB else self.color.matrix

    @property
    def context(self) -> tuple[int, int]:
        """Frames before and after its own that a result looks at; chunks decode them too, so that no cut shows."""
        filters = 1 if self.deinterlacing is not None else 0
        before, after = self.network_context
        return before + filters, after + filters

    @property
    def network_context(self) -> tuple[int, int]:
        """The same, of the networks alone: filtered frames before and after a chunk that its first network is shown."""
        first = self.stages[0].card
        before = max(first.past, _SETTLING_FRAMES if first.recurrent else 0)
        return -(-before // self.per_frame), -(-first.future // self.per_frame)

    @property
    def frame_count(self) -> int:
        """Frames of the result."""
        return (self.stop_frame - self.start_frame) * self.per_frame

    @property
    def numbers(self) -> range:
        """Of the pictures, where the result is numbered pictures."""
        return range(self.first_number, self.first_number + self.frame_count)

    @functools.cached_property
    def id(self) -> str:
        """SHA-256, in hex, of what shapes the bits of the result."""
        return plan_id(self.to_json())

    @functools.cached_property
    def ids(self) -> frozenset[str]:
        """All ids that work of this very plan may bear: its own, and the one that former versions gave it."""
        return frozenset({self.id, former_id(self.to_json())})


def target_size(width: int, height: int, target: TargetSettings, *, even: tuple[bool, bool]) -> tuple[int, int]:
    """(width, height) of the result for an upright source of that size.

    A box keeps the shape, fits the largest picture, and turns for portrait material. Sides that chroma subsampling wants
    even are made even: for a factor by one more column or row, for a box by rounding to nearest.
    even: whether (width, height) must be even.
    """
    if target.scale is not None:
        return tuple(n * target.scale + (n * target.scale % 2 if e else 0) for n, e in zip((width, height), even, strict=True))  # type: ignore[return-value]
    box = target.box or BOXES["4k" if width * height <= _LARGEST_DEFAULT_4K else "8k"]
    long, short = max(box), min(box)
    if target.to is None or target.to.lower() in BOXES:
        box = (short, long) if height > width else (long, short)
    factor = min(Fraction(box[0], width), Fraction(box[1], height))
    return tuple(_round_side(n * factor, e) for n, e in zip((width, height), even, strict=True))  # type: ignore[return-value]


def upright_sar(info: VideoInfo) -> Fraction:
    """Width over height of a sample as seen."""
    return 1 / info.sar if info.orientation.transpose else info.sar


def square_size(width: int, height: int, sar: Fraction) -> tuple[int, int]:
    """(width, height) of the same picture in square pixels: the side that is too short grows."""
    return (round(width * sar), height) if sar > 1 else (width, round(height / sar))


def _round_side(side: Fraction, even: bool) -> int:
    return max(2, round(side / 2) * 2) if even else max(1, round(side))


def choose_stages(cards: Sequence[Sequence[Card]], width: int, height: int, out_width: int, out_height: int) -> tuple[Stage, ...]:
    """The cheapest cascade of the given networks that covers the target, then one antialiased resize where it overshoots.

    cards: for every name of a chain (`--model a,b`) the networks it may mean; the last name may be used several times.
    Raises UsageError where the target is not above the source, unless the networks keep the size.
    """
    need = max(Fraction(out_width, width), Fraction(out_height, height))
    stages: list[Stage] = []
    if any(c.temporal for choice in cards[1:] for c in choice):
        raise UsageError(f"--model {','.join(choice[0].family for choice in cards)}: a network that looks at neighbouring frames must come first")
    for choice in cards[:-1]:
        fixed = [c for c in choice if c.scale == 1] or list(choice)[:1]
        width, height = width * max(1, fixed[0].scale), height * max(1, fixed[0].scale)
        need /= max(1, fixed[0].scale)
        stages.append(Stage(fixed[0], width, height))
    last = cards[-1]
    if any(c.scale == 0 for c in last):
        if need <= 1:
            raise _not_above(width, height, out_width, out_height)
        exact = _factor(width, height, out_width, out_height)
        size = (width * exact, height * exact) if exact else (out_width, out_height)
        return (*stages, Stage(last[0], *size))
    if {c.scale for c in last} == {1}:
        if out_width > width + 1 or out_height > height + 1:
            raise UsageError(
                f"--model {last[0].name} keeps the size {width}x{height}; for {out_width}x{out_height} "
                f"name a second network: --model {last[0].name},lanczos"
            )
        stages.append(Stage(last[0], width, height))
        smaller = out_width < width or out_height < height
        return (*stages, Stage(_resizer(), out_width, out_height)) if smaller else tuple(stages)
    if need <= 1:
        raise _not_above(width, height, out_width, out_height)
    for card in _cascade(last, need, width, height, out_width, out_height):
        width, height = width * card.scale, height * card.scale
        stages.append(Stage(card, width, height))
    if _factor(width, height, out_width, out_height) != 1:
        stages.append(Stage(_resizer(), out_width, out_height))
    return tuple(stages)


def _not_above(width: int, height: int, out_width: int, out_height: int) -> UsageError:
    return UsageError(
        f"the target {out_width}x{out_height} is not above the source's {width}x{height}; "
        "choose a larger --to or --scale, or --model identity --scale 1"
    )


def _factor(width: int, height: int, out_width: int, out_height: int) -> int:
    """The whole factor that leads there, the one added column or row for even sides included; 0 if there is none."""
    factor = max(1, out_width // width)
    within = 0 <= out_width - width * factor <= 1 and 0 <= out_height - height * factor <= 1
    return factor if within else 0


def _cascade(choice: Sequence[Card], need: Fraction, width: int, height: int, out_width: int, out_height: int) -> list[Card]:
    best: tuple[float, list[Card]] | None = None
    for depth in range(1, 5):
        for combination in _products([c for c in choice if c.scale > 1], depth):
            total, cost = 1, 0.0
            for card in combination:
                cost += total * total * (card.gflop_per_megapixel or 1.0)
                total *= card.scale
            covers = total >= need or _factor(width * total, height * total, out_width, out_height) == 1
            if covers and (best is None or cost < best[0]):
                best = cost, combination
        if best is not None:
            return best[1]
    names = ", ".join(sorted({c.name for c in choice}))
    raise UsageError(f"a factor of {float(need):.3g} is out of reach of {names}; choose a smaller target or --model lanczos")


def _products(choice: Sequence[Card], depth: int) -> Iterator[list[Card]]:
    """All cascades of that many networks. Only the first may look at neighbouring frames; then come `_followers`."""
    if depth == 0:
        yield []
        return
    for card in choice:
        for rest in _products(_followers() if card.temporal else choice, depth - 1):
            yield [card, *rest]


@functools.cache
def _followers() -> tuple[Card, ...]:
    """Networks for what a temporal one leaves to be done: the best ones of single frames."""
    from models.catalog import cards

    known = cards()
    for family in ("quality", "fast"):
        found = tuple(c for c in known if c.family == family)
        if found:
            return found
    return ()


def _resizer() -> Card:
    from models.catalog import find

    return find("lanczos")[0]


def frame_range(info: VideoInfo, text: str | None) -> tuple[int, int]:
    """Frames [start, stop) that `--range` means; times count from the first frame. Raises UsageError for none."""
    if text is None:
        return 0, info.frame_count
    start_s, stop_s = parse_range(text)
    first = info.pts[0]
    start = bisect.bisect_left(info.pts, first + start_s / info.time_base)
    stop = info.frame_count if stop_s is None else bisect.bisect_left(info.pts, first + stop_s / info.time_base)
    if start >= stop:
        length = float((info.pts[-1] - first) * info.time_base)
        raise UsageError(f"--range {text}: there is no frame in it; the video is {length:.3f} s long")
    return start, stop


def cut_chunks(
    pts: Sequence[int], time_base: Fraction, chunk_seconds: float, clean: Sequence[int], start: int, stop: int, most_frames: int | None = None
) -> tuple[Chunk, ...]:
    """Cut the frames [start, stop) into chunks of about `chunk_seconds`, at clean points where one is near.

    pts: ascending ticks of all frames. clean: timestamps where decoding may start, ascending. most_frames: of a chunk; None: no limit.
    """
    ticks = max(1, round(Fraction(chunk_seconds) / time_base))
    chunks: list[Chunk] = []
    at = start
    while at < stop:
        ideal = pts[at] + ticks
        lo, hi = bisect.bisect_left(clean, pts[at] + (ticks + 1) // 2), bisect.bisect_right(clean, pts[at] + ticks + ticks // 2)
        near = min(clean[lo:hi], key=lambda p: abs(p - ideal), default=ideal)
        end = bisect.bisect_left(pts, max(near, pts[at] + 1), at + 1, stop)
        if stop > end and pts[stop - 1] - pts[end] < ticks // 3:
            end = stop  # no sliver at the end
        if most_frames is not None:
            end = min(end, at + most_frames)
        chunks.append(Chunk(len(chunks), at, end))
        at = end
    return tuple(chunks)


def cut_spans(
    index: PacketIndex, pts: Sequence[int], chunks: Sequence[Chunk], *, linear: bool, context: tuple[int, int] = (0, 0)
) -> tuple[Span, ...]:
    """Which packets each decoder run needs, and which chunks it feeds.

    A chunk starts decoding at the last clean point from which all its frames can be had; its packets end with the last one
    that is shown before its end, which lies behind the next clean point where the GOP is open. Where pre-roll would be
    longer than is worth it, or frames are known by order only, chunks share one run.
    context: frames before and after a chunk's own that are decoded with them, as far as the film has them.
    """
    if linear:
        return (Span(0, len(index), tuple(chunks)),)
    starts, start_rows = clean_starts(index)
    # The last row shown no later than a time is the last one from which on the earliest time still is.
    earliest = array("q", accumulate(reversed(index.pts), min))
    earliest.reverse()
    spans: list[Span] = []
    for chunk in chunks:
        start_frame, stop_frame = with_context(chunk.start_frame, chunk.stop_frame, context, len(pts))
        place = bisect.bisect_right(starts, pts[start_frame]) - 1
        first = start_rows[place] if place >= 0 else 0
        stop = bisect.bisect_right(earliest, pts[stop_frame - 1])
        preroll = chunk.start_frame - (bisect.bisect_left(pts, starts[place]) if place >= 0 else 0)
        if spans and spans[-1].first_row == first and preroll > _LONGEST_PREROLL * chunk.frame_count:
            spans[-1] = Span(first, max(stop, spans[-1].stop_row), (*spans[-1].chunks, chunk))
        else:
            spans.append(Span(first, stop, (chunk,)))
    return tuple(spans)


def with_context(start: int, stop: int, context: tuple[int, int], count: int) -> tuple[int, int]:
    """Frames [start, stop) of a film of `count`, and so many on either side as far as there are any."""
    return max(0, start - context[0]), min(count, stop + context[1])


def clean_starts(index: PacketIndex) -> tuple[array[int], array[int]]:
    """(timestamps, rows) of the points where decoding may start, both ascending.

    A key packet counts only if nothing decoded before it is shown after it.
    """
    starts, rows = array("q"), array("q")
    latest, seen = NO_PTS, 0
    row = index.clean.find(1)
    while row >= 0:
        # By slices, which are looked through at the speed of C: a film may have millions of packets.
        latest = max(latest, max(index.pts[seen:row], default=NO_PTS))
        seen = row
        if index.pts[row] > latest:
            starts.append(index.pts[row])
            rows.append(row)
        row = index.clean.find(1, row + 1)
    return starts, rows


def timing_digest(pts: array[int], durations: array[int], start: int, stop: int) -> str:
    """Hash over the timestamps and durations of the frames [start, stop)."""
    digest = hashlib.sha256(memoryview(pts)[start:stop])
    digest.update(memoryview(durations)[start:stop])
    return digest.hexdigest()


def make_plan(
    info: VideoInfo,
    settings: RunSettings,
    cards: Sequence[Sequence[Card]],
    encoder: Encoder,
    *,
    decoded: str,
    color: ColorTags,
    deinterlacing: Deinterlacing | None = None,
    crop: Crop | None = None,
    bars: Crop | None = None,
    grain: tuple[tuple[float, ...], ...] = (),
) -> Plan:
    """Put the plan together.

    cards: what the model names mean. encoder: as chosen for the target. decoded: planar format frames are decoded to.
    color: the resolved tags. crop, bars: of the stored picture. grain: for each plane of the result.
    """
    crop = crop or Crop()
    width, height = info.orientation.turn(*crop.size(info.width, info.height))
    out_width, out_height = encoder.width, encoder.height
    start, stop = frame_range(info, settings.range)
    stages = choose_stages(cards, width, height, out_width, out_height)
    sar = Fraction(1) if settings.square_pixels else upright_sar(info)
    fields = 2 if deinterlacing is not None and deinterlacing.bob else 1
    clean = clean_starts(info.index)[0] if not info.linear else array("q")
    most_frames = _most_frames(encoder, stages, fields) if encoder.is_sequence else None
    chunks = cut_chunks(info.pts, info.time_base, settings.chunk_seconds, clean, start, stop, most_frames)
    plan = Plan(
        source_fingerprint=info.fingerprint,
        stream_index=info.stream_index,
        width=width,
        height=height,
        out_width=out_width,
        out_height=out_height,
        sar=sar,
        orientation=info.orientation,
        pix_fmt=decoded,
        out_pix_fmt=encoder.pix_fmt,
        color=color,
        out_color=output_tags(color, PixelFormat.parse(decoded), encoder),
        stages=stages,
        encoder=encoder,
        time_base=info.time_base / fields,
        rate=info.rate * fields,
        start_frame=start,
        stop_frame=stop,
        linear=info.linear,
        on_corrupt=settings.on_corrupt,
        timing_digest=timing_digest(info.pts, info.durations, start, stop),
        chunks=chunks,
        spans=(),
        tile_px=_tile_px(settings, stages),
        hdr=info.hdr,
        deinterlacing=deinterlacing,
        prefilter=settings.prefilter or "",
        strength=settings.strength,
        crop=crop,
        bars=(bars or Crop()).turned(info.orientation),
        grain=grain,
        first_number=1 if info.first_number is None else info.first_number + start * fields,
    )
    return dataclasses.replace(plan, spans=cut_spans(info.index, info.pts, chunks, linear=info.linear, context=plan.context))


def _most_frames(encoder: Encoder, stages: Sequence[Stage], fields: int) -> int:
    """Source frames of a chunk of numbered pictures, which lies in memory as a whole. A network that remembers gets no fewer than it settles in."""
    return max(_SETTLING_FRAMES if stages[0].card.recurrent else 1, _LARGEST_CHUNK_BYTES // (encoder.picture_bytes * fields))


def _tile_px(settings: RunSettings, stages: Sequence[Stage]) -> tuple[int, int]:
    if settings.tile is not None:
        return parse_tile(settings.tile)
    if all(s.card.pixels == "yuv420" for s in stages):
        return YUV_TILE_PX
    # Halos of R'G'B' networks are wide, maps as large as the picture, and those of large networks many.
    return (544, 1280) if all(s.card.parameters <= _SMALL_NETWORK for s in stages) else (288, 480)
