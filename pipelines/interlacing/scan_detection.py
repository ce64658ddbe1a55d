"""`find_scan`: whether a film is interlaced or telecined, from its flags and its frames.

A few segments of the film are decoded, and the field times of moving blocks are measured
(`field_motion`). Flags alone are not enough: captured and re-encoded video has often lost
them, and film is often flagged as interlaced. Without a flag, many blocks all over the image must agree in
one field order; against a flag, more are needed. Anything less is a doubt, which is reported and not acted
upon.
"""

from __future__ import annotations

from array import array
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import av

from pipelines.interlacing.field_evidence import (
    CONTRARY,
    SHARE,
    InterlaceSample,
    hints_at_fields,
    legible,
    order_of_vertical_motion,
    order_shown,
    plainly_shows_fields,
    shows_fields,
    shows_order,
    shows_whole_frames,
    together,
)
from pipelines.interlacing.field_motion import field_phase, sample
from pipelines.media.video_info import ScanType

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from av.video.frame import VideoFrame

    from pipelines.frames.film_frames import FilmSamples
    from pipelines.interlacing.field_evidence import Order
    from pipelines.interlacing.field_motion import Sample
    from pipelines.media.video_info import VideoInfo

__all__ = ["find_scan", "judge"]


_PLACES = 6
_FRAMES = 12
"""Frames examined in every place; half of them if none looks interlaced: the cycle of telecine is five
long."""
_TALLEST, _FASTEST = 1152, Fraction(31)
"""No interlaced format has more lines or frames per second; other video is examined only if flagged."""
_SHORTEST = 240
"""No interlaced format has fewer lines. In such frames fine patterns are as large as their motion, and alias:
without a flag, nearly everything must show fields."""
_LEAST_OF_TWO_CYCLES = 8
"""Frames out of ten that match pulldown, if the others show nothing."""
_FLAGGED = {2: "top", 3: "bottom", 4: "bottom", 5: "top"}
"""AVFieldOrder -> field shown first (TT, BB, TB: top coded, bottom shown first, BT)."""


def find_scan(film: FilmSamples, field_order: int) -> ScanType:
    """Examine a film. field_order: of its stream (AVFieldOrder), for codecs that don't flag their frames."""
    info = film.info
    soft = _is_soft_telecine(info.pts)
    if (
        info.is_picture
        or "f16" in info.pix_fmt
        or "f32" in info.pix_fmt
        or not len(info.pts)
        or (not info.interlaced and _FLAGGED.get(field_order) is None and _is_beyond(info))
    ):
        return ScanType(pulldown="soft" if soft else "")
    looks = _looks(film)
    # HEVC stores each field as a separate picture, so a whole picture is a field.
    flag, small = _FLAGGED.get(field_order, ""), info.height < _SHORTEST
    return judge(looks, flag, soft=soft, apart=info.codec == "hevc", small=small)


def _is_beyond(info: VideoInfo) -> bool:
    return info.height > _TALLEST or info.rate > _FASTEST


def judge(
    looks: Sequence[InterlaceSample],
    stream_flag: str,
    *,
    soft: bool = False,
    apart: bool = False,
    small: bool = False,
) -> ScanType:
    """The verdict over all segments.

    Flags are believed unless the frames clearly show otherwise: another order, or progressive frames. Without
    flags, frames must clearly show fields in one order. stream_flag: first field according to the stream's
    header, or "". soft: timestamps are those of soft telecine. apart: flagged frames are single fields, which
    have no other field to be compared with. small: frames are smaller than those of any interlaced format.
    """
    looks = legible(looks)
    film = together(looks)
    hard = any(_is_hard_telecine(look.kinds) for look in looks)
    marked: Order = "top" if film.flagged["top"] >= film.flagged["bottom"] else "bottom"
    by_flags = marked if film.flagged[marked] else stream_flag if stream_flag and not soft else ""
    shown = order_shown(film)
    share = 1 / 5 if hard else SHARE
    pulldown: Literal["", "soft", "hard"] = "soft" if soft else ""
    telecine: Literal["", "soft", "hard"] = "hard" if hard else pulldown
    if by_flags:
        flag: Order = "top" if by_flags == "top" else "bottom"
        if apart:
            return ScanType(flag, "flags", telecine)
        if shown != flag and shows_fields(film, shown, share, strictness=CONTRARY):
            return ScanType(shown, "pictures", telecine)
        if not hard and shows_whole_frames(looks):
            return ScanType("progressive", "pictures", pulldown, doubt=flag)
        if shown != flag and shows_order(film, shown):
            return ScanType(shown, "pictures", telecine)
        return ScanType(flag, "flags", telecine)
    if plainly_shows_fields(film, shown) if small and not hard else shows_fields(film, shown, share):
        return ScanType(shown, "pictures", telecine)
    doubt = shown if hints_at_fields(film, shown) else order_of_vertical_motion(film)
    return ScanType(pulldown=pulldown, doubt=doubt or "")


def _is_hard_telecine(kinds: str) -> bool:
    """Whether three progressive frames and two combed ones alternate, at least twice.

    Two of ten may show nothing. If progressive frames show nothing at all, the combed ones are enough.
    """
    shape = kinds.replace("b", "t")
    for start in range(len(shape) - 9):
        seen = shape[start : start + 10]
        for shift in range(5):
            cycle = ("ppptt" * 3)[shift : shift + 10]
            agree = sum(a == b for a, b in zip(seen, cycle, strict=True))
            if agree + seen.count("u") == len(seen) and agree >= _LEAST_OF_TWO_CYCLES:
                return True
    return any(("ppptt" * 3)[shift : shift + 10] in shape.replace("u", "p") for shift in range(5))


def _is_soft_telecine(pts: array[int]) -> bool:
    """Whether frames last two and three fields alternately."""
    steps = [b - a for a, b in pairwise(pts[:25])]
    if len(steps) < 8:
        return False
    ratios = [Fraction(b, a) for a, b in pairwise(steps)]
    return all(
        abs(r - Fraction(3, 2)) < Fraction(1, 10) or abs(r - Fraction(2, 3)) < Fraction(1, 20) for r in ratios
    )


def _looks(film: FilmSamples) -> list[InterlaceSample]:
    pts = film.info.pts
    first, length = pts[0], pts[-1] - pts[0]
    if film.info.frame_count <= _PLACES * _FRAMES:
        return [_look(film.frames(), _PLACES * _FRAMES, None)]
    if not film.is_seekable:
        rows = film.rows(_PLACES)
        wanted = _PLACES * _FRAMES // len(rows)
        return [_look(frames, wanted, None) for frames in film.in_order(rows)]
    known: set[int] = set()
    starts = (first + length * place // _PLACES if place else None for place in range(_PLACES))
    return [_look(film.frames(start), _FRAMES, known) for start in starts]


def _look(frames: Iterable[VideoFrame], wanted: int, known: set[int] | None) -> InterlaceSample:
    """Examine the next frames. known: timestamps seen before; None: they don't identify frames.

    If there are few key frames, seeking returns to the same ones.
    """
    look = InterlaceSample()
    eye: _Eye | None = None
    count = 0
    for frame in frames:
        eye = eye or _Eye(frame)
        if not eye.fits(frame):
            continue
        if known is not None and frame.pts is not None:
            if frame.pts in known:
                return look
            known.add(frame.pts)
        eye.show(frame, look)
        count += 1
        if count == wanted or (count == wanted // 2 and not set(look.kinds) & set("tb")):
            return look
    return look


class _Eye:
    """Examines the frames of one segment, and their own flags, which only a filter can read."""

    def __init__(self, like: VideoFrame) -> None:
        self._like = (like.width, like.height, like.format.name)
        self._top = _graph(like, "select", "expr='eq(interlace_type,TOPFIRST)'")
        self._before: Sample | None = None
        self._number = 0

    def fits(self, frame: VideoFrame) -> bool:
        return (frame.width, frame.height, frame.format.name) == self._like

    def show(self, frame: VideoFrame, look: InterlaceSample) -> None:
        now = sample(frame)
        if now is not None and self._before is not None:
            look.note(field_phase(self._before, now))
        self._before = now
        if frame.interlaced_frame:
            times = frame.pts, frame.time_base
            frame.pts, frame.time_base = self._number, Fraction(1, 25)
            self._number += 1
            self._top[0].push(frame)
            frame.pts, frame.time_base = times  # others look at it, too
            look.flagged["top" if _pulled(self._top[1]) else "bottom"] += 1
        else:
            look.flagged["progressive"] += 1


def _graph(like: VideoFrame, name: str, options: str | None) -> tuple[Any, Any, Any]:
    """A filter between a source and a sink; the graph itself is returned too, to keep it alive."""
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=like.width, height=like.height, format=like.format, time_base=Fraction(1, 25)
    )
    node, sink = graph.add(name, options), graph.add("buffersink")
    source.link_to(node)
    node.link_to(sink)
    graph.configure()
    return source, sink, graph


def _pulled(sink: Any) -> list[Any]:
    found = []
    while True:
        try:
            found.append(sink.pull())
        except (av.error.EOFError, av.error.BlockingIOError):
            return found
