"""`find_scan`: whether a film is interlaced or telecined, by its flags and by its pictures.

A few stretches all over the film are decoded and shown to FFmpeg's idet, which compares neighbouring lines within and
between frames. Flags alone are not enough: captured and re-encoded video has often lost them. idet alone is not either: it
takes slow vertical motion and fades for fields, so a frame counts only if its lines are combed as well.
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import av
import numpy as np

from pipelines.source import film_decoder, open_source
from pipelines.video import NO_PTS, Scan

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from pipelines.video import VideoInfo

__all__ = ["Look", "comb_share", "find_scan", "judge"]

_PLACES = 6
_FRAMES = 12
"""Looked at in every place."""
_TALLEST, _FASTEST = 1152, Fraction(31)
"""No interlaced format has more lines or frames a second; what is beyond is not looked at unless flagged."""
_LEAST = 4
"""Frames a stretch must show as interlaced before its pictures are believed without flags."""
_COMB_STEP = 10
"""Codes of 8 bits by which a line of a comb stands out from both its neighbours."""
_COMBED = 5e-4
"""Part of the picture that combs cover in a frame of two moments; whole frames of natural pictures stay below, probed."""
_CONTRARY = 8
"""The pictures overrule the flagged field order where they are that many times surer."""

_FLAGGED = {2: "top", 3: "bottom", 4: "bottom", 5: "top"}
"""AVFieldOrder -> field shown first (TT, BB, TB: top coded, bottom shown first, BT)."""


@dataclass
class Look:
    """What one stretch of a film shows: frames by what idet takes them for, and by their own flags."""

    seen: Counter[str] = field(default_factory=Counter)
    """top, bottom (both combed, too), progressive, undetermined."""
    flagged: Counter[str] = field(default_factory=Counter)
    """top, bottom, progressive."""
    kinds: str = ""
    """One letter a frame in order: t, b (interlaced), p, u."""


def find_scan(info: VideoInfo, field_order: int) -> Scan:
    """Look at a film. field_order: of its stream (AVFieldOrder), for codecs whose frames don't say themselves."""
    soft = _is_soft_telecine(info.pts)
    if (
        info.is_picture
        or "f16" in info.pix_fmt
        or "f32" in info.pix_fmt
        or not len(info.pts)
        or (not info.interlaced and _FLAGGED.get(field_order) is None and _is_beyond(info))
    ):
        return Scan(pulldown="soft" if soft else "")
    container = open_source(info.path)
    try:
        looks = _looks(container, info)
    except av.error.FFmpegError:
        looks = []  # what is wrong with it is said where it matters
    finally:
        container.close()
    return judge(looks, _FLAGGED.get(field_order, ""), soft=soft)


def _is_beyond(info: VideoInfo) -> bool:
    return info.height > _TALLEST or info.rate > _FASTEST


def judge(looks: Sequence[Look], stream_flag: str, *, soft: bool = False) -> Scan:
    """The verdict over all stretches.

    Flagged frames make a film interlaced. Without flags it takes a stretch most of whose frames show fields of two moments
    in one and the same order. stream_flag: field that the stream's header says comes first, or "".
    """
    seen, flagged = Counter[str](), Counter[str]()
    for look in looks:
        seen += look.seen
        flagged += look.flagged
    hard = any(_is_hard_telecine(look.kinds) for look in looks)
    marked = max(("top", "bottom"), key=lambda o: flagged[o])
    by_flags = marked if flagged[marked] else stream_flag if stream_flag and not soft else ""
    shown = max(("top", "bottom"), key=lambda o: seen[o])
    against = seen[{"top": "bottom", "bottom": "top"}[shown]]
    certain = any(_shows_fields(look, shown) for look in looks) and seen[shown] > 3 * against
    pulldown: Literal["", "soft", "hard"] = "hard" if hard and (certain or by_flags) else "soft" if soft else ""
    if by_flags:
        contrary = shown != by_flags and certain and seen[shown] >= _CONTRARY * max(1, against)
        return Scan("top" if (shown if contrary else by_flags) == "top" else "bottom", "pictures" if contrary else "flags", pulldown)
    if certain:
        return Scan("top" if shown == "top" else "bottom", "pictures", pulldown)
    return Scan(pulldown=pulldown)


def _shows_fields(look: Look, order: str) -> bool:
    """Most of what can be told of a stretch is interlaced in that order; telecined film: two frames of five."""
    told = look.seen["top"] + look.seen["bottom"] + look.seen["progressive"]
    return look.seen[order] >= _LEAST and 3 * look.seen[order] >= told


def _is_hard_telecine(kinds: str) -> bool:
    """Three whole frames and two combed ones in turn, twice at least."""
    shape = kinds.replace("b", "t").replace("u", "p")
    return any(("ppptt" * 3)[shift : shift + 10] in shape for shift in range(5))


def _is_soft_telecine(pts: array[int]) -> bool:
    """Frames last two and three fields in turn."""
    steps = [b - a for a, b in pairwise(pts[:25])]
    if len(steps) < 8:
        return False
    ratios = [Fraction(b, a) for a, b in pairwise(steps)]
    return all(abs(r - Fraction(3, 2)) < Fraction(1, 10) or abs(r - Fraction(2, 3)) < Fraction(1, 20) for r in ratios)


def _looks(container: InputContainer, info: VideoInfo) -> list[Look]:
    stream, decoder = film_decoder(container, info.stream_index)
    first, length = info.pts[0], info.pts[-1] - info.pts[0]
    # Frames known by order only, and clocks that jump, can't be sought: their start is looked at for longer.
    places = 1 if info.linear or info.epochs or info.frame_count <= _PLACES * _FRAMES else _PLACES
    wanted = _FRAMES if places > 1 else _PLACES * _FRAMES
    found = []
    known: set[int] = set()
    for place in range(places):
        if place:
            container.seek(first + length * place // places, stream=stream)
        found.append(_look(container.demux(stream), decoder, wanted, known))
    return found


def _look(packets: Iterable[Packet[VideoStream]], decoder: VideoCodecContext, wanted: int, known: set[int]) -> Look:
    """The next frames. known: timestamps seen before; where there are few key frames, seeking leads to the same ones again."""
    look = Look()
    eye: _Eye | None = None
    count = 0
    for packet in packets:
        try:
            frames = decoder.decode(packet)
        except av.error.EOFError:
            break
        except av.error.InvalidDataError:
            continue
        for frame in frames:
            eye = eye or _Eye(frame)
            if not eye.fits(frame) or frame.is_corrupt:
                continue
            if frame.pts is not None and frame.pts in known:
                return look
            known.add(NO_PTS if frame.pts is None else frame.pts)
            eye.show(frame, look)
            count += 1
            if count == wanted:
                break
        if count == wanted:
            break
    if eye is not None:
        eye.finish(look)
    return look


class _Eye:
    """idet over one stretch, and the frames' own flags, which only a filter can read."""

    def __init__(self, like: VideoFrame) -> None:
        self._like = (like.width, like.height, like.format.name)
        self._idet = _graph(like, "idet", None)
        self._top = _graph(like, "select", "expr='eq(interlace_type,TOPFIRST)'")
        self._number = 0

    def fits(self, frame: VideoFrame) -> bool:
        return (frame.width, frame.height, frame.format.name) == self._like

    def show(self, frame: VideoFrame, look: Look) -> None:
        frame.pts, frame.time_base = self._number, Fraction(1, 25)
        self._number += 1
        if frame.interlaced_frame:
            self._top[0].push(frame)
            look.flagged["top" if _pulled(self._top[1]) else "bottom"] += 1
        else:
            look.flagged["progressive"] += 1
        self._idet[0].push(frame)
        self._note(look)

    def finish(self, look: Look) -> None:
        self._idet[0].push(None)
        self._note(look)

    def _note(self, look: Look) -> None:
        for picture in _pulled(self._idet[1]):
            kind = picture.metadata["lavfi.idet.multiple.current_frame"]
            if kind in {"tff", "bff"}:
                combed = comb_share(_luma(picture)) >= _COMBED
                kind = {"tff": "top", "bff": "bottom"}[kind] if combed else "undetermined"
            look.seen[kind] += 1
            look.kinds += kind[0]


def _graph(like: VideoFrame, name: str, options: str | None) -> tuple[Any, Any, Any]:
    """A filter between a source and a sink; the graph itself comes along, to be kept."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=like.width, height=like.height, format=like.format, time_base=Fraction(1, 25))
    node, sink = graph.add(name, options), graph.add("buffersink")
    source.link_to(node)
    node.link_to(sink)
    graph.configure()
    return source, sink, graph


def _luma(picture: VideoFrame) -> np.ndarray:
    """(H,W) uint8: the first plane, its upper 8 bits."""
    plane, part = picture.planes[0], picture.format.components[0]
    step = 2 if part.bits > 8 else 1
    rows: Any = np.frombuffer(memoryview(plane), np.uint8 if step == 1 else np.uint16).reshape(-1, plane.line_size // step)[:, : picture.width]
    return (rows >> max(0, part.bits - 8)).astype(np.uint8)  # type: ignore[no-any-return]


def comb_share(luma: np.ndarray) -> float:
    """The part of a picture's samples, 0..1, that stand out from the lines above and below as only a comb does.

    luma: (H,W) uint8. A line of a comb differs from both neighbours by much the same, and little from the next but one.
    """
    if luma.shape[0] < 5:
        return 0.0
    lines = luma.astype(np.int16)
    above, own, below = lines[1:-3], lines[2:-2], lines[3:-1]
    up, down = own - above, own - below
    out = ((up > _COMB_STEP) & (down > _COMB_STEP)) | ((up < -_COMB_STEP) & (down < -_COMB_STEP))
    half = np.abs(up) // 2
    alike = (np.abs(lines[:-4] - own) < half) & (np.abs(lines[4:] - own) < half) & (np.abs(above - below) < half)
    return float((out & alike).mean())


def _pulled(sink: Any) -> list[Any]:
    found = []
    while True:
        try:
            found.append(sink.pull())
        except (av.error.EOFError, av.error.BlockingIOError):
            return found
