"""FFmpeg's filters between decoder and network, with exact timestamps in and out.

This is the only place where a filter graph is run over a film. A graph gets frame numbers as times, and its
outputs are matched by their order, so changes that a filter makes to timestamps (bwdif halves the time base)
never reach the result. Filters use no more frames than `Plan.context` allows, so a result does not depend on
where a decoder run started.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from models.errors import MediaError, VerificationError
from pipelines.codec.decoder import picture_planes
from pipelines.codec.field_weaving import field_alone, weave_frames
from pipelines.codec.prefilters import clean_frames, clean_luma
from pipelines.media.pixel_format import PixelFormat
from pipelines.media.video_info import Frame
from pipelines.settings.option_values import prefilter_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from av.video.frame import VideoFrame

    from pipelines.plan.plan import Plan

__all__ = ["chain", "cleaned", "filtered", "prefiltered", "try_filters", "whole_frames"]


_BASE = Fraction(1, 25)
_GREY = {"ya8": "gray", "ya16le": "gray16le", "yaf32le": "grayf32le"}
"""Filters don't support grey with alpha; alpha bypasses them."""


def chain(plan: Plan) -> tuple[str, ...]:
    """The filters that turn fields into frames, in FFmpeg's syntax: name=option=value:..."""
    names: list[str] = []
    if plan.deinterlacing is not None:
        names.append(_deinterlacer(plan.deinterlacing.first_field, bob=plan.deinterlacing.bob))
    return tuple(names)


def _deinterlacer(first_field: str, *, bob: bool) -> str:
    # All frames, whatever their own flags say: a field pair that is flagged as one picture would stay combed.
    order = {"top": "tff", "bottom": "bff"}[first_field]
    return f"bwdif=mode={'send_field' if bob else 'send_frame'}:parity={order}:deint=all"


def prefiltered(luma: np.ndarray, names: str, bits: int) -> np.ndarray:
    """Apply prefilters to one plane of (H,W) sample values: they treat each plane separately."""

    def run(plane: np.ndarray, filters: tuple[str, ...], pixels: PixelFormat) -> np.ndarray:
        graph = _Graph(filters, plane.shape[1], plane.shape[0], pixels)
        (picture,) = [*graph.push(Frame(0, [plane]), 0), *graph.end()]
        return picture_planes(picture, pixels)[0].copy()

    return clean_luma(luma, names, bits, run)


def filtered(
    frames: Iterable[Frame], plan: Plan, *, first: int, before: int, shown: Sequence[int]
) -> Iterator[Frame]:
    """Turn fields into frames, apply prefilters, and crop as the plan says; see `whole_frames`."""
    return cleaned(whole_frames(frames, plan, first=first, before=before, shown=shown), plan)


def cleaned(frames: Iterable[Frame], plan: Plan) -> Iterator[Frame]:
    """Apply the plan's prefilters and crop to progressive frames."""

    def run(given: Iterable[Frame], filters: tuple[str, ...], pixels: PixelFormat) -> Iterator[Frame]:
        return _run(given, filters, pixels, None)

    return (_cropped(frame, plan) for frame in clean_frames(frames, plan, run, _run_planes))


def _run_planes(frames: Iterable[Frame], filters: tuple[str, ...], pixels: PixelFormat) -> Iterator[Frame]:
    """Run each plane except alpha through a separate graph.

    This is for filters that support more grey than colour formats.
    """
    grey = PixelFormat.parse("gray" if pixels.bits == 8 else f"gray{pixels.bits}le")
    graphs: list[_Graph] = []
    for number, frame in enumerate(frames):
        colours = frame.planes[: pixels.plane_count - pixels.alpha]
        if not graphs:
            graphs = [_Graph(filters, plane.shape[1], plane.shape[0], grey) for plane in colours]
        made = [graph.push(Frame(0, [plane]), number) for graph, plane in zip(graphs, colours, strict=True)]
        if any(len(pictures) != 1 for pictures in made):
            raise VerificationError(f"the filters {', '.join(filters)} lost or doubled frame {number}")
        planes = [picture_planes(pictures[0], grey)[0] for pictures in made]
        origin = frame.planes if frame.origin is None else frame.origin
        yield replace(frame, planes=[*planes, *frame.planes[len(planes) :]], origin=origin)


def whole_frames(
    frames: Iterable[Frame], plan: Plan, *, first: int, before: int, shown: Sequence[int]
) -> Iterator[Frame]:
    """Weave film frames or deinterlace, as the plan says; other frames pass.

    frames: frames of the decoder, in order, from source frame `first` on, with neighbours on both sides.
    before: number of leading frames that are only neighbours. shown: timestamps of the results of the frames
    that follow; any frames after those are neighbours again. Each result keeps the decoder's frame as
    `Frame.origin`. Raises VerificationError if a filter loses or duplicates a frame.
    """
    names, pixels = chain(plan), plan.decoded_pixels
    if not names and plan.pulldown is None:
        yield from frames
        return
    if plan.pulldown is not None:
        frames = weave_frames(frames, plan.pulldown, first, lambda like: _FieldGraph(plan, like))
    results = iter(shown)
    skipped = plan.results(first + before) - plan.results(first)
    for number, frame in enumerate(_run(frames, names, pixels, plan) if names else frames):
        if number < skipped:
            continue
        pts = next(results, None)
        # the graph is run to its end; otherwise promised neighbours would not be counted
        if pts is not None:
            yield replace(frame, pts=pts)


def _cropped(frame: Frame, plan: Plan) -> Frame:
    """Remove the cropped rows and columns.

    This comes last: otherwise codec blocks would no longer be aligned to the grid.
    """
    if not plan.crop:
        return frame
    pixels, (height, width) = plan.pixels, frame.planes[0].shape
    parts = [plan.crop.of_plane(n, pixels, width, height) for n in range(len(frame.planes))]
    planes = [p[part] for p, part in zip(frame.planes, parts, strict=True)]
    if frame.origin is None:
        return replace(frame, planes=planes)
    return replace(
        frame, planes=planes, origin=[p[part] for p, part in zip(frame.origin, parts, strict=True)]
    )


def _run(
    frames: Iterable[Frame], names: Sequence[str], pixels: PixelFormat, fields: Plan | None
) -> Iterator[Frame]:
    """Run frames through a graph. fields: the plan, if the graph turns fields into frames."""
    graph: _Graph | None = None
    waiting: deque[Frame] = deque()
    given = 0
    pixels = _without_alpha(pixels)
    for number, frame in enumerate(frames):
        height, width = frame.planes[0].shape
        graph = graph or _Graph(names, width, height, pixels)
        waiting.append(frame)
        for picture in graph.push(frame, number):
            yield _made(picture, waiting, given, pixels, fields)
            given += 1
    for picture in graph.end() if graph is not None else ():
        yield _made(picture, waiting, given, pixels, fields)
        given += 1
    if waiting:
        raise VerificationError(
            f"the filters {', '.join(names)} gave {given} pictures, {len(waiting)} frames of the source are"
            " left over"
        )


def _without_alpha(pixels: PixelFormat) -> PixelFormat:
    return PixelFormat.parse(_GREY[pixels.name]) if pixels.is_interleaved else pixels


def _made(
    picture: VideoFrame, waiting: deque[Frame], number: int, pixels: PixelFormat, fields: Plan | None
) -> Frame:
    """Return the graph's `number`-th output as a frame.

    The input frame is removed from the queue with its last output.
    """
    if not waiting:
        raise VerificationError(f"the filters gave more pictures than the {number} that belong to the source")
    per_frame = 1 if fields is None else fields.per_frame
    place = number % per_frame
    source = waiting.popleft() if place == per_frame - 1 else waiting[0]
    origin = source.planes if source.origin is None else source.origin
    if fields is not None and fields.deinterlacing is not None:
        bottom = (fields.deinterlacing.first_field == "bottom") != bool(place)
        origin = [field_alone(p, int(bottom)) for p in source.planes]
    first = place == 0
    planes = [*picture_planes(picture, pixels), *source.planes[pixels.plane_count :]]
    captions = source.captions if first else b""
    return Frame(
        source.pts, planes, source.corrupt and first, captions, origin, dynamic_hdr=source.dynamic_hdr
    )


class _Graph:
    """A chain of filters between a source and a sink."""

    def __init__(self, names: Sequence[str], width: int, height: int, pixels: PixelFormat) -> None:
        self._format = pixels
        self._size = width, height
        self._graph = av.filter.Graph()
        node = self._source = self._graph.add_buffer(
            width=width, height=height, format=av.VideoFormat(pixels.name, width, height), time_base=_BASE
        )
        for text in names:
            name, _, options = text.partition("=")
            following = self._graph.add(name, options or None)
            node.link_to(following)
            node = following
        self._sink = self._graph.add("buffersink")
        node.link_to(self._sink)
        self._graph.configure()

    def push(self, frame: Frame, number: int) -> list[VideoFrame]:
        """Put a frame in, and return all finished frames."""
        picture = av.VideoFrame(*self._size, self._format.name)
        for plane, values in zip(picture_planes(picture, self._format), frame.planes, strict=False):
            plane[:] = values
        picture.pts, picture.time_base = number, _BASE
        self._source.push(picture)
        return self._pull()

    def end(self) -> list[VideoFrame]:
        """Return the frames left after the last one."""
        self._source.push(None)
        return self._pull()

    def _pull(self) -> list[VideoFrame]:
        found: list[Any] = []
        while True:
            try:
                picture: Any = self._sink.pull()
            except (av.error.EOFError, av.error.BlockingIOError):
                return found
            # FFmpeg puts a conversion in front of a filter that does not know a format, and with it changes
            # colours.
            if (picture.format.name, picture.width, picture.height) != (self._format.name, *self._size):
                raise MediaError(f"pictures of {self._format.name} can't go through these filters")
            found.append(picture)


class _FieldGraph:
    """bwdif alone, at frame rate, for the frames that are not telecined film."""

    def __init__(self, plan: Plan, like: Frame) -> None:
        assert plan.pulldown is not None
        self._pixels = _without_alpha(plan.pixels)
        height, width = like.planes[0].shape
        self._graph = _Graph(
            (_deinterlacer(plan.pulldown.first_field, bob=False),), width, height, self._pixels
        )

    def push(self, frame: Frame, number: int) -> list[Sequence[np.ndarray]]:
        """Put a frame in, and return the planes of all finished frames."""
        return [picture_planes(p, self._pixels) for p in self._graph.push(frame, number)]

    def end(self) -> list[Sequence[np.ndarray]]:
        """Return the frames left after the last one."""
        return [picture_planes(p, self._pixels) for p in self._graph.end()]


def try_filters(plan: Plan, width: int, height: int) -> None:
    """Run the plan's filters over two black frames of the stored size.

    Raises MediaError if they don't accept this size or format.
    """
    deinterlacer, pixels = chain(plan), plan.decoded_pixels
    names = [*(name.partition("=")[0] for name in deinterlacer), *prefilter_names(plan.prefilter)]
    if not names:
        return
    planes = [np.zeros(pixels.plane_size(n, width, height), pixels.dtype) for n in range(pixels.plane_count)]
    try:
        frames: Iterator[Frame] = (Frame(n, planes) for n in range(2))
        if deinterlacer:
            frames = _run(frames, deinterlacer, pixels, plan)
        count = sum(1 for _ in cleaned(frames, plan))
    except (MediaError, av.error.FFmpegError):
        count = 0
    if count != 2 * plan.per_frame:
        remedy = (
            "; --deinterlace off would take its lines as they are"
            if plan.deinterlacing is not None
            else "; leave --prefilter out"
        )
        raise MediaError(
            f"{width}x{height} pictures of {pixels.name} can't go through {', '.join(names)}{remedy}"
        )
