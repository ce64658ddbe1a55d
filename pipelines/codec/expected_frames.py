"""Checks that a decoder returned exactly the frames that the packet index promised."""

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

__all__ = ["ExpectedFrames", "IndexMismatchError", "checked_frames"]


class IndexMismatchError(MediaError):
    """The decoded frames are not those that the packets promised, though nothing is damaged.

    The frames of the film then have to be counted by decoding.
    """


_MOST_NAMED = 10
"""Most damaged frames that are listed by number."""


@dataclass(frozen=True)
class ExpectedFrames:
    """The expected frames of a segment: these timestamps, in this order, once each."""

    pts: Sequence[int]
    """Ascending ticks; if frames are known by order only, the times they are given."""
    linear: bool = False
    """Frames are known by order, counted from the first one decoded."""
    first: int = 0
    """If `linear`: frames to skip before the first expected one."""
    number: int = 0
    """Number of the first expected frame in the whole film, for messages."""
    clock: tuple[int, Fraction] = (0, Fraction(1))
    """(pts of the film's first frame, seconds per tick), for messages."""

    def change_error(self, place: int, change: str) -> MediaError:
        """The error for an expected frame, given by its place, that differs from the film's first one."""
        what, _, remedy = change.partition("; ")
        pts, (first, tick) = self.pts[place], self.clock
        at = f"at frame {self.number + place} ({float((pts - first) * tick):.3f} s)"
        return MediaError(f"{what} {at}; {remedy or 'cut the file there and upscale the parts'}")

    def missing_error(self, pts: int) -> IndexMismatchError:
        """The error for an expected frame that did not come."""
        first, tick = self.clock
        number = self.number + self.pts.index(pts)
        return IndexMismatchError(
            f"no frame came for frame {number} ({float((pts - first) * tick):.3f} s), though its"
            " packet is there"
        )

    def damage_error(self, pts: Iterable[int]) -> CorruptError:
        """The error that lists damaged frames, all of which were expected."""
        place = {p: self.number + n for n, p in enumerate(self.pts)}
        numbers = [place[p] for p in pts if p in place]
        first = self.pts[numbers[0] - self.number]
        more = f" and {len(numbers) - _MOST_NAMED} more" if len(numbers) > _MOST_NAMED else ""
        named = ", ".join(map(str, numbers[:_MOST_NAMED])) + more
        begin, tick = self.clock
        at = f"{float((first - begin) * tick):.3f} s"
        what = (
            f"frame {named} is damaged (at {at})"
            if len(numbers) == 1
            else f"frames {named} are damaged (from {at} on)"
        )
        return CorruptError(f"{what}; --on-corrupt conceal would keep what the decoder made of it")


def checked_frames(
    frames: Iterable[Frame], expected: ExpectedFrames, *, conceal: bool = False
) -> Iterator[Frame]:
    """Yield the expected frames from the decoder's output.

    Pre-roll and post-roll are dropped, everything else must match. conceal: damaged frames pass, and a
    missing one is replaced by the last good one. Otherwise raises CorruptError for damage, and
    IndexMismatchError for a difference without damage.
    """
    if expected.linear:
        yield from _checked_by_order(frames, expected, conceal=conceal)
        return
    waiting = deque(expected.pts)
    last: Frame | None = None
    for frame in frames:
        if not waiting:
            continue  # post-roll; the decoder must be drained nevertheless
        if frame.pts < waiting[0]:
            if frame.pts > expected.pts[0] and not conceal:
                raise _not_expected(frame)
            last = frame if not frame.change else last
            continue
        while waiting and frame.pts > waiting[0]:
            yield from _missing(waiting.popleft(), last or frame, expected, conceal=conceal)
        if waiting:
            _refuse_unlike(frame, frames, expected, len(expected.pts) - len(waiting), conceal=conceal)
            waiting.popleft()
            last = frame
            yield frame
    while waiting:
        yield from _missing(waiting.popleft(), last, expected, conceal=conceal)


def _not_expected(frame: Frame) -> IndexMismatchError:
    return IndexMismatchError(f"a frame came at pts {frame.pts}, where none was promised")


def _refuse_unlike(
    frame: Frame, coming: Iterable[Frame], expected: ExpectedFrames, place: int, *, conceal: bool
) -> None:
    """Raise an error if a frame is not the one expected at that place, or is damaged.

    coming: the frames after it; damaged ones among them are listed too.
    """
    if frame.pts != expected.pts[place]:
        raise _not_expected(frame)
    if frame.change:
        raise expected.change_error(place, frame.change)
    if frame.corrupt and not conceal:
        raise expected.damage_error([frame.pts, *(f.pts for _, f in _corrupt(enumerate(coming)))])


def _missing(pts: int, last: Frame | None, expected: ExpectedFrames, *, conceal: bool) -> Iterator[Frame]:
    if not conceal or last is None or last.change:
        raise expected.missing_error(pts)
    yield Frame(pts=pts, planes=last.planes, corrupt=True, dynamic_hdr=last.dynamic_hdr)


def _corrupt(frames: Iterable[tuple[int, Frame]]) -> Iterator[tuple[int, Frame]]:
    """The damaged ones among the following frames, as far as they can be decoded."""
    with suppress(MediaError):
        yield from ((number, frame) for number, frame in frames if frame.corrupt)


def _checked_by_order(frames: Iterable[Frame], expected: ExpectedFrames, *, conceal: bool) -> Iterator[Frame]:
    number, last = -1, None
    stop = expected.first + len(expected.pts)
    # the packets reach the end of the film; the rest need not be decoded
    counted = enumerate(islice(frames, stop))
    for number, frame in counted:
        if number < expected.first:
            continue
        if frame.change:
            raise expected.change_error(number - expected.first, frame.change)
        if frame.corrupt and not conceal:
            raise expected.damage_error(
                [expected.pts[n - expected.first] for n in (number, *(n for n, _ in _corrupt(counted)))]
            )
        last = frame
        yield replace(frame, pts=expected.pts[number - expected.first])
    for place in range(max(number + 1, expected.first), stop):
        yield from _missing(expected.pts[place - expected.first], last, expected, conceal=conceal)
