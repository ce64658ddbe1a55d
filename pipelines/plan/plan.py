"""`Plan`: everything that affects the bits of an output, in one hashed value."""

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
from pipelines.plan.color_tags import mirrored_siting
from pipelines.plan.plan_id import former_id, plan_id
from pipelines.plan.pulldown import Pulldown, surrounding_frames

if TYPE_CHECKING:
    from typing import Literal

    from models.catalog.card import Card
    from pipelines.settings.crf_target import CrfTarget
    from pipelines.settings.encoder_spec import Encoder

__all__ = [
    "LARGEST_CHUNK_BYTES",
    "Deinterlacing",
    "NetworkStage",
    "Plan",
    "RestoreLevels",
    "levels_within",
    "with_restoration",
]


FORMAT_VERSION = 3
"""Raised whenever the same settings would give other bits than before."""


BETWEEN_STAGES = "integers, 6 bits finer"
"""How samples are rounded between two stages of a plan with `Plan.is_direct`."""


LARGEST_CHUNK_BYTES = 128 << 20
"""Largest size of the samples of an image sequence's chunk."""


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
        "detail_levels",
    }
)
"""Fields that former plans did not have: omitted if empty, so that ids stay the same."""


RestoreLevels = tuple[tuple[int, float], ...]
"""(first frame of the source, restoration level from there on)."""


@dataclass(frozen=True)
class NetworkStage:
    """One network of the cascade, and the size of its output."""

    card: Card
    width: int
    height: int
    restore: float | None = None
    """Restoration level given to its network, 0 to 1, unless `Plan.restore_levels` has others."""
    detail: float | None = None
    """From the network's faithful weights, 0, to its crisp ones, 1, unless `Plan.detail_levels` has others;
    None if the network has only one set of weights."""


@dataclass(frozen=True)
class Deinterlacing:
    """Settings of FFmpeg's deinterlacer bwdif."""

    first_field: Literal["top", "bottom"]
    bob: bool
    """One frame per field instead of one per frame."""


@dataclass(frozen=True)
class Plan:
    """Everything that workers and the muxer need to know besides the packets."""

    source_fingerprint: str
    stream_index: int
    width: int
    """Width of the upright source, after `orientation`."""
    height: int
    out_width: int
    out_height: int
    sar: Fraction
    orientation: Orientation
    pix_fmt: str
    """Planar format of decoded frames."""
    out_pix_fmt: str
    color: ColorTags
    """Colour tags of the source, complete."""
    out_color: ColorTags
    """Colour tags of the output; the source's, unless its pixel format requires others (R'G'B' to YUV,
    JPEG)."""
    stages: tuple[NetworkStage, ...]
    encoder: Encoder
    time_base: Fraction
    """Time base of the output; half the source's if every field becomes a frame, a fourth if fields are
    woven."""
    rate: Fraction
    """Frame rate of the output, for encoders."""
    start_frame: int
    """First source frame of the range."""
    stop_frame: int
    linear: bool
    on_corrupt: str
    timing_digest: str
    """Hash over the expected timestamps and durations."""
    chunks: tuple[Chunk, ...]
    spans: tuple[Span, ...]
    tile_px: tuple[int, int]
    """Height and width of a tile, in pixels of a stage's input."""
    hdr: HdrMetadata = field(default_factory=HdrMetadata)
    deinterlacing: Deinterlacing | None = None
    pulldown: Pulldown | None = None
    """Film frames woven from fields, instead of deinterlacing."""
    prefilter: str = ""
    """Names of prefilters in order, joined by commas; empty for none."""
    strength: float = 1.0
    """Weight of the networks' output; the rest is the classical one."""
    crop: PixelCrop = field(default_factory=PixelCrop)
    """Rows and columns of the stored frame that are removed after decoding and filtering."""
    bars: PixelCrop = field(default_factory=PixelCrop)
    """Black bars of the upright frame; if they are black in a frame, they are not processed by networks."""
    grain: tuple[tuple[float, ...], ...] = ()
    """Grain that is added to each plane of the output; see `grain_measurement.measure_grain`."""
    first_number: int = 1
    """Number of the first image, if the output is an image sequence."""
    precision: str = ""
    """Precision of the networks: int8, bf16, fp16 or fp32; "" for the default of the device, of which a job
    has one kind."""
    memory_format: str = ""
    """Memory format of feature maps on a GPU: nhwc or nchw; "" for the default of its kind."""
    dynamic_hdr: tuple[str, ...] = ()
    """Metadata that is kept for every frame: "hdr10+", "dolby-vision"."""
    full_chroma: bool = False
    """Chroma at luma's resolution is processed by the networks like luma, plane by plane, instead of being
    resized."""
    raised_from: str = ""
    """The 8-bit format of decoded frames, if deband converts them to `pix_fmt`; empty if they are decoded to
    `pix_fmt`."""
    target: CrfTarget | None = None
    """A requested size or VMAF; once its CRF is found, it is in the encoder's options."""
    restore_levels: RestoreLevels = ()
    """Restoration levels of shots, if the film is not equally degraded throughout."""
    detail_levels: tuple[float, ...] = ()
    """Details for `restore_levels`, if they differ."""

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON values, in a fixed order."""
        table = json.loads(json.dumps(dataclasses.asdict(self), default=str))
        # Missing values of a stage are omitted, so that ids of plans without them stay the same.
        table["stages"] = [{k: v for k, v in stage.items() if v is not None} for stage in table["stages"]]
        table = {k: v for k, v in table.items() if v or k not in _LATER}
        if self.is_direct and len(self.computed) > 1:
            table["between_stages"] = BETWEEN_STAGES
        return {"format": FORMAT_VERSION, **table}

    @property
    def per_frame(self) -> int:
        """Output frames of the filters for each input frame."""
        return 2 if self.deinterlacing is not None and self.deinterlacing.bob else 1

    def results(self, frame: int) -> int:
        """Output frames made from the source frames before `frame`, if all are in the range."""
        return frame * self.per_frame if self.pulldown is None else self.pulldown.results(frame)

    def results_of(self, chunk: Chunk) -> int:
        """Number of output frames of a chunk."""
        return self.results(chunk.stop_frame) - self.results(chunk.start_frame)

    @property
    def decoded_pixels(self) -> PixelFormat:
        """Planar format of the decoder's output."""
        return PixelFormat.parse(self.raised_from or self.pix_fmt)

    @property
    def is_learned(self) -> bool:
        """Whether frames go through a trained network, not only through classical scalers."""
        return any(stage.card.sha256 for stage in self.stages)

    @property
    def pixels(self) -> PixelFormat:
        """Planar format of the frames that the networks get."""
        return PixelFormat.parse(self.pix_fmt)

    @property
    def out_pixels(self) -> PixelFormat:
        """Planar format of the output's frames."""
        return PixelFormat.parse(self.out_pix_fmt)

    @property
    def is_filtered(self) -> bool:
        """Whether frames pass through filters before the networks."""
        return self.deinterlacing is not None or self.pulldown is not None or bool(self.prefilter)

    @property
    def source_offset(self) -> tuple[float, float]:
        """(vertical, horizontal) siting of the rotated planes.

        Rotating a frame also rotates its chroma siting.
        """
        vertical, horizontal = SITING_OFFSETS[Siting(self.color.siting)]
        turn, down, across = self.orientation, 1 << self.pixels.sub_y, 1 << self.pixels.sub_x
        if turn.transpose:
            vertical, horizontal, down, across = horizontal, vertical, across, down
        return (
            mirrored_siting(vertical, self.height, down) if turn.flip_y else vertical,
            mirrored_siting(horizontal, self.width, across) if turn.flip_x else horizontal,
        )

    @property
    def keeps_layout(self) -> bool:
        """Whether input and output are 4:2:0 with the siting of YUV-native networks.

        Frames can then be processed from integers to integers.
        """
        fmt = self.pixels
        left = SITING_OFFSETS[Siting.LEFT]
        return (
            (fmt.family, fmt.sub_x, fmt.sub_y, fmt.alpha) == ("yuv", 1, 1, False)
            and self.pix_fmt == self.out_pix_fmt
            and self.color == self.out_color
            and self.strength == 1
            and self.source_offset == SITING_OFFSETS[Siting(self.color.siting)] == left
        )

    @property
    def computed(self) -> list[Card]:
        """The cards of the stages that change samples."""
        return [stage.card for stage in self.stages if stage.card.name != "identity"]

    @property
    def is_direct(self) -> bool:
        """Whether all networks are YUV-native ones between 4:2:0 planes; a classical scaler may follow.

        Between the stages there are integers then, of a few bits more than the source's.
        """
        cards = self.computed
        networks = cards[:-1] if cards and cards[-1].architecture == "interpolation" else cards
        return (
            bool(networks)
            and all(
                (card.pixels, card.architecture == "interpolation") == ("yuv420", False)
                and card.halo_px is not None
                for card in networks
            )
            and self.keeps_layout
        )

    @property
    def takes_int8(self) -> bool:
        """Whether its networks can run on 8-bit integers.

        All must have such layers; a classical scaler may follow. Input and output must have the same samples,
        of 8 or 10 bits.
        """
        return self.is_direct and all(
            card.suits_int8(self.pixels.bits)
            for card in self.computed
            if card.architecture != "interpolation"
        )

    @property
    def is_exact(self) -> bool:
        """Whether all computations are on integers, or on floats in a fixed order.

        Every CPU gives the same bits.
        """
        return self.precision == "int8" and not self.grain and not self.is_filtered

    @property
    def luma_matrix(self) -> int:
        """Matrix of the luma by which source and output are compared: the source's own.

        For R'G'B' it is the output's.
        """
        return self.out_color.matrix if self.color.matrix == Matrix.RGB else self.color.matrix

    @property
    def context(self) -> tuple[int, int]:
        """Frames before and after its own that a result depends on.

        Chunks decode them too, so that no boundary is visible.
        """
        filters = 1 if self.deinterlacing is not None or self.pulldown is not None else 0
        before, after = self.network_context
        return before + max(
            filters, self.pulldown.longest_gap if self.pulldown is not None else 0
        ), after + filters

    @property
    def network_context(self) -> tuple[int, int]:
        """Context of the networks alone.

        These source frames before and after a chunk contain the input of its first network.
        """
        before, after = self.network_results
        if self.pulldown is not None:
            return surrounding_frames(self.pulldown, before, after)
        return before // self.per_frame, after // self.per_frame

    @property
    def network_results(self) -> tuple[int, int]:
        """Filtered frames before and after a chunk that its first network uses.

        If fields become frames, both fields of each frame count.
        """
        first = self.stages[0].card
        before = max(first.past, SETTLING_FRAMES if first.recurrent else 0)
        return -(-before // self.per_frame) * self.per_frame, -(
            -first.future // self.per_frame
        ) * self.per_frame

    @property
    def frame_count(self) -> int:
        """Number of output frames."""
        return self.results(self.stop_frame) - self.results(self.start_frame)

    @property
    def numbers(self) -> range:
        """Numbers of the images, if the output is an image sequence."""
        return range(self.first_number, self.first_number + self.frame_count)

    def __repr__(self) -> str:
        networks = ", ".join(stage.card.name for stage in self.stages)
        return (
            f"Plan({self.width}x{self.height} -> {self.out_width}x{self.out_height}, {networks},"
            f" {self.encoder.name}, {len(self.chunks)} chunks)"
        )

    @functools.cached_property
    def id(self) -> str:
        """SHA-256, in hex, of everything that affects the bits of the output."""
        return plan_id(self.to_json())

    @functools.cached_property
    def ids(self) -> frozenset[str]:
        """All ids of this plan: the current one, and the one that earlier versions of vsr would give it."""
        return frozenset({self.id, former_id(self.to_json())})


def levels_within(levels: RestoreLevels, start: int, stop: int) -> RestoreLevels:
    """Select the restoration levels of the frames [start, stop) from those of the whole film."""
    first = max((place for place in levels if place[0] <= start), default=levels[0])
    return (start, first[1]), *(place for place in levels if max(start, first[0]) < place[0] < stop)


def with_restoration(stage: NetworkStage, restore: float, detail: float) -> NetworkStage:
    """Set restoration level and detail of a stage, if its network takes them."""
    if not stage.card.restores:
        return stage
    return dataclasses.replace(stage, restore=restore, detail=detail if stage.card.crisp else None)
