"""The proof that the frames a decoder gave are those that the packet index promised."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING

from models.errors import CorruptError, MediaError
from pipelines.media.video_info import Frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["IndexMismatchError", "Promise", "deliver"]


class IndexMismatchError(MediaError):
    """The frames that came are not those the packets promised, though nothing is damaged.

    They have to be counted.
    """


_MOST_NAMED = 10
"""Damaged frames that are named by number."""


@dataclass(frozen=True)
class Promise:
    """What a stretch of video must give: these timestamps, in this order, once each."""

    pts: Sequence[int]
    """Ascending ticks; where frames are known by order only, the times to give them."""
    linear: bool = False
    """Frames are known by order, counted from the first one decoded."""
    first: int = 0
    """With `linear`: frames to skip before the first promised one."""
    number: int = 0
    """Of the first promised frame in the whole film, to name frames by."""
    clock: tuple[int, Fraction] = (0, Fraction(1))
    """(pts of the film's first frame, seconds a tick), to name moments by."""

    def refuse(self, place: int, change: str) -> MediaError:
        """The error for a frame, by its place among the promised ones, that is not like the film's
        first one.
        """
        what, _, remedy = change.partition("; ")
        pts, (first, tick) = self.pts[place], self.clock
        at = f"at frame {self.number + place} ({float((pts - first) * tick):.3f} s, pts {pts})"
        return MediaError(f"{what} {at}; {remedy or 'cut the file there and upscale the parts'}")

    def damage(self, pts: Iterable[int]) -> CorruptError:
        """The error that names damaged frames, all of which were promised."""
        place = {p: self.number + n for n, p in enumerate(self.pts)}
        numbers = [place[p] for p in pts if p in place]
        first = self.pts[numbers[0] - self.number]
        more = f" and {len(numbers) - _MOST_NAMED} more" if len(numbers) > _MOST_NAMED else ""
        named = ", ".join(map(str, numbers[:_MOST_NAMED])) + more
        what = (
            f"frame {named} is damaged (pts {first})"
            if len(numbers) == 1
            else f"frames {named} are damaged (from pts {first})"
        )
        return CorruptError(f"{what}; --on-corrupt conceal would keep what the decoder made of it")


def deliver(frames: Iterable[Frame], promise: Promise, *, conceal: bool = False) -> Iterator[Frame]:
    """The promised frames out of what the decoder gave.

    Pre-roll and post-roll dropped, everything else accounted for.

    conceal: damaged frames pass, a missing one is replaced by the last good one; otherwise CorruptError for
    damage and IndexMismatchError for a difference without damage.
    """
    if promise.linear:
        yield from _deliver_by_order(frames, promise, conceal=conceal)
        return
    waiting = deque(promise.pts)
    last: Frame | None = None
    for frame in frames:
        if not waiting:
            continue  # post-roll; the decoder must be drained all the same
        if frame.pts < waiting[0]:
            if frame.pts > promise.pts[0] and not conceal:
                raise _not_promised(frame)
            last = frame if not frame.change else last
            continue
        while waiting and frame.pts > waiting[0]:
            yield from _missing(waiting.popleft(), last or frame, conceal=conceal)
        if waiting:
            _refuse_unlike(frame, frames, promise, len(promise.pts) - len(waiting), conceal=conceal)
            waiting.popleft()
            last = frame
            yield frame
    while waiting:
        yield from _missing(waiting.popleft(), last, conceal=conceal)


def _not_promised(frame: Frame) -> IndexMismatchError:
    return IndexMismatchError(f"a frame came at pts {frame.pts}, where none was promised")


def _refuse_unlike(
    frame: Frame, coming: Iterable[Frame], promise: Promise, place: int, *, conceal: bool
) -> None:
    """Raise where a frame is not the promised one of that place, or is damaged.

    coming: the frames behind it, the damaged ones of which are named, too.
    """
    if frame.pts != promise.pts[place]:
        raise _not_promised(frame)
    if frame.change:
        raise promise.refuse(place, frame.change)
    if frame.corrupt and not conceal:
        raise promise.damage([frame.pts, *(f.pts for _, f in _corrupt(enumerate(coming)))])


def _missing(pts: int, last: Frame | None, *, conceal: bool) -> Iterator[Frame]:
    if not conceal or last is None or last.change:
        raise IndexMismatchError(f"no frame came for pts {pts}, though its packet is there")
    yield Frame(pts=pts, planes=last.planes, corrupt=True, dynamic_hdr=last.dynamic_hdr)


def _corrupt(frames: Iterable[tuple[int, Frame]]) -> Iterator[tuple[int, Frame]]:
    """The damaged ones of the frames that are still to come, as far as they can be decoded."""
    with suppress(MediaError):
        yield from ((number, frame) for number, frame in frames if frame.corrupt)


def _deliver_by_order(frames: Iterable[Frame], promise: Promise, *, conceal: bool) -> Iterator[Frame]:
    number, last = -1, None
    stop = promise.first + len(promise.pts)
    # the packets reach to the end of the film; what else they hold need not be decoded
    counted = enumerate(islice(frames, stop))
    for number, frame in counted:
        if number < promise.first:
            continue
        if frame.change:
            raise promise.refuse(number - promise.first, frame.change)
        if frame.corrupt and not conceal:
            raise promise.damage(
                [promise.pts[n - promise.first] for n in (number, *(n for n, _ in _corrupt(counted)))]
            )
        last = frame
        yield replace(frame, pts=promise.pts[number - promise.first])
    for place in range(max(number + 1, promise.first), stop):
        yield from _missing(promise.pts[place - promise.first], last, conceal=conceal)
