"""`weave_frames`: restores the film frames of a telecined source (inverse telecine).

The plan says how each film frame is made: from one source frame; from its first field and the second field of
the frame before; or, if both would show combing, from the first field alone, by a deinterlacer that gets the
frame and its neighbours. So the result does not depend on where decoding started.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from models.errors import VerificationError
from pipelines.media.video_info import Frame
from pipelines.plan.pulldown import NONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.plan.pulldown import Pulldown

__all__ = ["Deinterlacer", "field_alone", "weave_frames"]


_TRIPLET = 3
_MOST_TRIPLETS = 31
"""Most caption triplets that a frame can hold (cc_count has five bits)."""


class Deinterlacer(Protocol):
    """Returns the n-th frame once it was given the next one, or the end; like bwdif."""

    def push(self, frame: Frame, number: int) -> list[Sequence[np.ndarray]]:
        """Put a frame in, and return all finished frames."""

    def end(self) -> list[Sequence[np.ndarray]]:
        """Return the frames left after the last one."""


def weave_frames(
    frames: Iterable[Frame], pulldown: Pulldown, first: int, deinterlacer: Callable[[Frame], Deinterlacer]
) -> Iterator[Frame]:
    """Yield film frames, with the timestamps of the source frames that they are made of.

    frames: source frames from number `first` on, with one neighbour on either side. deinterlacer:
    creates a deinterlacer for frames like the given one.
    """
    top = pulldown.first_field == "top"
    fields = _FieldPictures(deinterlacer)
    before: Frame | None = None
    captions = b""
    for number, (frame, following) in enumerate(_with_next(frames), start=first):
        captions = _joined(captions, frame.captions)
        if pulldown.letter(number) != NONE:
            made = frame
            if pulldown.is_deinterlaced(number):
                planes = fields.of(before, frame, following, number)
                planes = [*planes, *frame.planes[len(planes) :]]  # alpha bypasses the deinterlacer
                made = replace(
                    frame, planes=planes, origin=[field_alone(p, 0 if top else 1) for p in frame.planes]
                )
            elif pulldown.is_woven(number) and before is not None:
                made = replace(
                    frame,
                    planes=[_woven(a, b, top=top) for a, b in zip(frame.planes, before.planes, strict=True)],
                )
                made = replace(made, corrupt=frame.corrupt or before.corrupt)
            yield replace(made, captions=captions)
            captions = b""
        before = frame


def field_alone(plane: np.ndarray, first: int) -> np.ndarray:
    """Make a frame from one field.

    Its lines are kept; each line between them is the mean of those above and below. first: 0 for the top
    field, 1 for the bottom field.
    """
    made = plane.copy()
    lines = plane[first::2].astype(np.float32)
    between = (lines[:-1] + lines[1:]) / 2
    made[first + 1 : first + 1 + 2 * len(between) : 2] = between
    if first:
        made[0] = plane[1]
    if len(plane) % 2 == first:
        made[-1] = plane[-2]
    return made


def _woven(first: np.ndarray, second: np.ndarray, *, top: bool) -> np.ndarray:
    """The first field of one plane with the second field of another.

    top: whether the top field is the first.
    """
    made = np.array(second)
    own = 0 if top else 1
    made[own::2] = first[own::2]
    return made


def _with_next(frames: Iterable[Frame]) -> Iterator[tuple[Frame, Frame | None]]:
    last: Frame | None = None
    for frame in frames:
        if last is not None:
            yield last, frame
        last = frame
    if last is not None:
        yield last, None


def _joined(one: bytes, other: bytes) -> bytes:
    """Join the captions of a dropped source frame with those of the next one.

    If a frame can't hold both, padding is dropped first.
    """
    joined = one + other
    if len(joined) > _MOST_TRIPLETS * _TRIPLET:
        triplets = [joined[n : n + _TRIPLET] for n in range(0, len(joined), _TRIPLET)]
        joined = b"".join(t for t in triplets if t[0] & 4)
    return joined[: _MOST_TRIPLETS * _TRIPLET]


class _FieldPictures:
    """Deinterlaces single frames of a film on request.

    A deinterlacer is reused as long as each request is for the next frame.
    """

    def __init__(self, deinterlacer: Callable[[Frame], Deinterlacer]) -> None:
        self._new = deinterlacer
        self._running: Deinterlacer | None = None
        self._next = -1
        """Number of the source frame that the deinterlacer returns next."""
        self._shown = -1
        self._ready: list[Sequence[np.ndarray]] = []

    def of(
        self, before: Frame | None, frame: Frame, following: Frame | None, number: int
    ) -> Sequence[np.ndarray]:
        """Planes of one deinterlaced frame."""
        if self._running is None or self._next != number:
            self._running, self._ready = self._new(frame), []
            self._next = number
            if before is not None:
                self._next = number - 1
                self._show(before)
            self._show(frame)
        if following is not None:
            self._show(following)
        else:
            self._ready += self._running.end()
        skipped = number - self._next
        if len(self._ready) <= skipped:
            raise VerificationError(f"the deinterlacer gave nothing for frame {number}")
        planes = self._ready[skipped]
        del self._ready[: skipped + 1]
        self._next = number + 1
        if following is None:
            self._running = None
        return planes

    def _show(self, frame: Frame) -> None:
        assert self._running is not None
        self._shown += 1
        self._ready += self._running.push(frame, self._shown)
