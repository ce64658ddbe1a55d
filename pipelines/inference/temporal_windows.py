"""`FrameBuffer` and `windows`: each frame with the neighbours that a network uses, shot by shot.

Processing starts a few frames before a chunk, wherever decoding began, so that the state of a recurrent
network has settled and its output does not depend on the chunks that the worker made before.
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

__all__ = ["FrameBuffer", "Window", "single_frame_window", "windows"]


@dataclass(frozen=True, eq=False)
class Window:
    """A frame and its neighbours of the same shot.

    At the ends of the shot, its first or last frame is repeated.
    """

    frames: tuple[Frame, ...]
    """`past` frames, the frame itself, `future` frames; oldest first."""
    now: int
    """Position of the frame itself."""
    starts: bool
    """Whether this is a new shot, without a state."""
    number: int = 0
    """Number of the frame itself in the film."""

    @property
    def frame(self) -> Frame:
        """The frame itself."""
        return self.frames[self.now]


class FrameBuffer:
    """Frames of a decoder run, by number.

    The last few are kept, as the next chunk needs frames before its start.
    """

    def __init__(self, frames: Iterator[Frame], first: int, keep: int) -> None:
        """first: number of the first frame. keep: how many frames before the newest can be requested."""
        self._frames = frames
        self.next = first
        """Number of the next frame to be read."""
        self._kept: deque[Frame] = deque(maxlen=keep + 1)

    def __getitem__(self, number: int) -> Frame:
        """The frame with that number. Raises VerificationError if the run ends before it."""
        while self.next <= number:
            frame = next(self._frames, None)
            if frame is None:
                raise VerificationError(f"frame {number} did not come")
            self._kept.append(frame)
            self.next += 1
        return self._kept[number - self.next]


def single_frame_window(frame: Frame, contract: Contract, number: int = 0) -> Window:
    """A window of a single frame, without neighbours."""
    return Window((frame,) * (contract.past + 1 + contract.future), contract.past, True, number)


def windows(
    buffer: FrameBuffer, first: int, stop: int, contract: Contract, *, last: int, bits: int
) -> Iterator[Window]:
    """Windows of the frames [first, stop) for a network, in order; the first one starts a shot.

    last: number of the last available frame, at most stop - 1 + future. bits: bit depth of luma.
    """
    past, future = contract.past, contract.future
    if not contract.temporal:
        for number in range(first, stop):
            yield Window((buffer[number],), 0, number == first, number)
        return
    detector = ShotDetector()
    starts: deque[bool] = deque()
    ahead = first
    begun = first
    for number in range(first, stop):
        while ahead <= min(number + future, last):
            starts.append(detector.starts_shot(buffer[ahead].planes[0], bits))
            ahead += 1
        if starts[0]:
            begun = number
        ends = next(
            (number + step - 1 for step in range(1, len(starts)) if starts[step]), min(number + future, last)
        )
        shown = [min(max(n, begun), ends) for n in range(number - past, number + future + 1)]
        yield Window(tuple(buffer[n] for n in shown), past, starts.popleft(), number)
