"""`Reel` and `windows`: each frame with the neighbours a network looks at, shot by shot.

A chunk is seen from a few frames before its own first one, wherever decoding began: so a network that
remembers has settled by then, and what it gives does not depend on which chunks were made before by the same
worker.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.errors import VerificationError
from pipelines.frames.shot_detection import ShotDetector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from models.network import Contract
    from pipelines.media.video_info import Frame

__all__ = ["Reel", "Window", "alone", "windows"]


@dataclass(frozen=True, eq=False)
class Window:
    """A frame and its neighbours of the same shot.

    Where there are none, the last one that is of it, again.
    """

    frames: tuple[Frame, ...]
    """`past` frames, the frame itself, `future` frames; oldest first."""
    now: int
    """Where the frame itself is."""
    starts: bool
    """Nothing that is remembered belongs to this shot."""
    number: int = 0
    """Of the frame itself, in the film."""

    @property
    def frame(self) -> Frame:
        """The frame itself."""
        return self.frames[self.now]


class Reel:
    """Frames of a decoder run by number.

    The last few are kept, for the next chunk begins before the end of the last.
    """

    def __init__(self, frames: Iterator[Frame], first: int, keep: int) -> None:
        """first: number of the first frame that will come. keep: how far behind the newest one can be asked
        for.
        """
        self._frames = frames
        self.next = first
        """Number of the first frame that was not asked for yet."""
        self._kept: deque[Frame] = deque(maxlen=keep + 1)

    def __getitem__(self, number: int) -> Frame:
        """The frame of that number. Raises VerificationError where the run ends before it."""
        while self.next <= number:
            frame = next(self._frames, None)
            if frame is None:
                raise VerificationError(f"frame {number} did not come")
            self._kept.append(frame)
            self.next += 1
        return self._kept[number - self.next]


def alone(frame: Frame, contract: Contract, number: int = 0) -> Window:
    """A frame without a film around it."""
    return Window((frame,) * (contract.past + 1 + contract.future), contract.past, True, number)


def windows(
    reel: Reel, first: int, stop: int, contract: Contract, *, last: int, bits: int
) -> Iterator[Window]:
    """Windows of the frames [first, stop) for a network, told in order; the first one starts a shot.

    last: number of the last frame there is, not beyond stop - 1 + future. bits: of the frames' luma.
    """
    past, future = contract.past, contract.future
    if not contract.temporal:
        for number in range(first, stop):
            yield Window((reel[number],), 0, number == first, number)
        return
    detector = ShotDetector()
    starts: deque[bool] = deque()
    ahead = first
    begun = first
    for number in range(first, stop):
        while ahead <= min(number + future, last):
            starts.append(detector.starts_shot(reel[ahead].planes[0], bits))
            ahead += 1
        if starts[0]:
            begun = number
        ends = next(
            (number + step - 1 for step in range(1, len(starts)) if starts[step]), min(number + future, last)
        )
        shown = [min(max(n, begun), ends) for n in range(number - past, number + future + 1)]
        yield Window(tuple(reel[n] for n in shown), past, starts.popleft(), number)
