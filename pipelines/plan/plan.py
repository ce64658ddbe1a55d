"""`Plan`: everything that shapes the bits of a result, in one hashed value."""

from __future__ import annotations

import dataclasses
import functools
import json
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pipelines.media.cicp import SITING_OFFSETS, ColorTags, HdrMetadata, Matrix, Siting
from pipelines.media.pixel_format import Orientation, PixelCrop, PixelFormat
from pipelines.media.video_info import Chunk, Span
from pipelines.plan.chunking import SETTLING_FRAMES
from pipelines.plan.plan_id import former_id, plan_id
from pipelines.plan.pulldown import Pulldown, reach

if TYPE_CHECKING:
    from typing import Literal

    from models.catalog.card import Card
    from pipelines.plan.encoder_spec import Encoder
    from pipelines.plan.rate_target import RateTarget

__all__ = ["LARGEST_CHUNK_BYTES", "Deinterlacing", "NetworkStage", "Plan", "RestoreLevels", "told"]


FORMAT_VERSION = 3
"""Raised whenever the same settings would give other bits than before."""


LARGEST_CHUNK_BYTES = 128 << 20
"""Samples of the numbered pictures of one chunk."""


_LATER = frozenset(
    {
        "precision",
        "memory_format",
        "full_chroma",
        "dynamic_hdr",
        "pulldown",
        "raised_from",
        "target",
        "restore_levels",
    }
)
"""Fields that plans did not always have: left out where they are empty, so that ids stay."""


RestoreLevels = tuple[tuple[int, float], ...]
"""(first frame of the source, restoration level from there on)."""


@dataclass(frozen=True)
class NetworkStage:
    """One network of the cascade and the size it leads to."""

    card: Card
    width: int
    height: int
    restore: float | None = None
    """Restoration level that its network is told, 0 to 1, unless `Plan.restore_levels` has others; None: it
    takes none."""
    detail: float | None = None
    """From its faithful weights, 0, to its crisp ones, 1; None: it has one set."""


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
    stages: tuple[NetworkStage, ...]
    encoder: Encoder
    time_base: Fraction
    """Of the result; half the source's where every field becomes a frame, a fourth where fields are woven."""
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
    pulldown: Pulldown | None = None
    """Film frames woven of fields, instead of deinterlacing."""
    prefilter: str = ""
    """Names of prefilters in order, joined by commas; empty: none."""
    strength: float = 1.0
    """Of the networks' result; the rest is the classical one."""
    crop: PixelCrop = field(default_factory=PixelCrop)
    """What is left out of the stored picture, after decoding and filtering."""
    bars: PixelCrop = field(default_factory=PixelCrop)
    """Black bars of the picture as seen; where they are black in a frame, no network looks at them."""
    grain: tuple[tuple[float, ...], ...] = ()
    """That is added to each plane of the result; see `grain.measure_grain`."""
    first_number: int = 1
    """Of the first picture, where the result is numbered pictures."""
    precision: str = ""
    """What networks compute in: int8, bf16, fp16 or fp32; "": in what is fastest on the device, of which a
    job has one kind."""
    memory_format: str = ""
    """In which order a GPU has the values of their maps: nhwc or nchw; "": as its kind likes it."""
    dynamic_hdr: tuple[str, ...] = ()
    """Metadata that goes with every frame: "hdr10+", "dolby-vision"."""
    full_chroma: bool = False
    """Chroma of luma's resolution goes through the networks as luma does, plane by plane, instead of being
    resized."""
    raised_from: str = ""
    """The 8-bit format that frames are decoded to, where deband raises them to `pix_fmt`; empty: they are
    decoded to that."""
    target: RateTarget | None = None
    """A size or VMAF that was asked for; once its CRF is found, the encoder's options have it."""
    restore_levels: RestoreLevels = ()
    """Of shots, where the film is not equally damaged all through."""

    def to_json(self) -> dict[str, Any]:
        """As plain values, in a fixed order."""
        table = json.loads(json.dumps(dataclasses.asdict(self), default=str))
        # What a stage does not have is left out: ids of plans without it stay.
        table["stages"] = [{k: v for k, v in stage.items() if v is not None} for stage in table["stages"]]
        table = {k: v for k, v in table.items() if v or k not in _LATER}
        return {"format": FORMAT_VERSION, **table}

    @property
    def per_frame(self) -> int:
        """Frames that filters make of each one they are given."""
        return 2 if self.deinterlacing is not None and self.deinterlacing.bob else 1

    def results(self, frame: int) -> int:
        """Frames of the result that are made of the source's frames before `frame`, if all are wanted."""
        return frame * self.per_frame if self.pulldown is None else self.pulldown.results(frame)

    def results_of(self, chunk: Chunk) -> int:
        """Frames of the result in a chunk."""
        return self.results(chunk.stop_frame) - self.results(chunk.start_frame)

    @property
    def decoded_format(self) -> str:
        """Planar format that the decoder hands on."""
        return self.raised_from or self.pix_fmt

    @property
    def is_filtered(self) -> bool:
        """Frames go through filters before the networks."""
        return self.deinterlacing is not None or self.pulldown is not None or bool(self.prefilter)

    @property
    def source_offset(self) -> tuple[float, float]:
        """(vertical, horizontal) siting of the turned planes.

        Turning the picture turns where its chroma lies.
        """
        vertical, horizontal = SITING_OFFSETS[Siting(self.color.siting)]
        turn = self.orientation
        if turn.transpose:
            vertical, horizontal = horizontal, vertical
        return (-vertical if turn.flip_y else vertical, -horizontal if turn.flip_x else horizontal)

    @property
    def keeps_layout(self) -> bool:
        """4:2:0 planes of the siting that YUV-native networks know, before and after.

        They can go from codes to codes.
        """
        fmt = PixelFormat.parse(self.pix_fmt)
        left = SITING_OFFSETS[Siting.LEFT]
        return (
            (fmt.family, fmt.sub_x, fmt.sub_y, fmt.alpha) == ("yuv", 1, 1, False)
            and self.pix_fmt == self.out_pix_fmt
            and self.color == self.out_color
            and self.strength == 1
            and self.source_offset == SITING_OFFSETS[Siting(self.color.siting)] == left
        )

    @property
    def takes_int8(self) -> bool:
        """Its network can run on 8-bit integers.

        It has such layers, is the only one, and goes from 8-bit codes to codes.
        """
        cards = [stage.card for stage in self.stages if stage.card.name != "identity"]
        return (
            len(cards) == 1
            and cards[0].int8_cost_db is not None
            and self.keeps_layout
            and PixelFormat.parse(self.pix_fmt).bits == 8
        )

    @property
    def is_exact(self) -> bool:
        """All it computes is whole numbers, or floats in one fixed order: any CPU comes to the same bits."""
        return self.precision == "int8" and not self.grain and not self.is_filtered

    @property
    def luma_matrix(self) -> int:
        """Of the luma by which source and result are compared: the source's own, for R'G'B' the result's."""
        return self.out_color.matrix if self.color.matrix == Matrix.RGB else self.color.matrix

    @property
    def context(self) -> tuple[int, int]:
        """Frames before and after its own that a result looks at.

        Chunks decode them too, so that no cut shows.
        """
        filters = 1 if self.deinterlacing is not None or self.pulldown is not None else 0
        before, after = self.network_context
        return before + max(
            filters, self.pulldown.longest_gap if self.pulldown is not None else 0
        ), after + filters

    @property
    def network_context(self) -> tuple[int, int]:
        """The same, of the networks alone.

        Source frames before and after a chunk that have what its first network is shown.
        """
        before, after = self.network_results
        if self.pulldown is not None:
            return reach(self.pulldown, before, after)
        return before // self.per_frame, after // self.per_frame

    @property
    def network_results(self) -> tuple[int, int]:
        """Filtered frames before and after a chunk that its first network is shown.

        Where fields become frames, both fields of each.
        """
        first = self.stages[0].card
        before = max(first.past, SETTLING_FRAMES if first.recurrent else 0)
        return -(-before // self.per_frame) * self.per_frame, -(
            -first.future // self.per_frame
        ) * self.per_frame

    @property
    def frame_count(self) -> int:
        """Frames of the result."""
        return self.results(self.stop_frame) - self.results(self.start_frame)

    @property
    def numbers(self) -> range:
        """Of the pictures, where the result is numbered pictures."""
        return range(self.first_number, self.first_number + self.frame_count)

    def __repr__(self) -> str:
        networks = ", ".join(stage.card.name for stage in self.stages)
        return (
            f"Plan({self.width}x{self.height} -> {self.out_width}x{self.out_height}, {networks},"
            f" {self.encoder.name}, {len(self.chunks)} chunks)"
        )

    @functools.cached_property
    def id(self) -> str:
        """SHA-256, in hex, of what shapes the bits of the result."""
        return plan_id(self.to_json())

    @functools.cached_property
    def ids(self) -> frozenset[str]:
        """All ids that work of this very plan may bear: its own, and the one that former versions gave it."""
        return frozenset({self.id, former_id(self.to_json())})


def told(stage: NetworkStage, restore: float, detail: float) -> NetworkStage:
    """A stage with what its network is told of the footage and of the wish, where it takes that."""
    if not stage.card.restores:
        return stage
    return dataclasses.replace(
        stage, restore=restore, detail=detail if stage.card.settings.get("crisp") else None
    )
