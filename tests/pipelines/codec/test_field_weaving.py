"""Film frames woven from fields by the letters of a pulldown, one source frame at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from models.errors import VerificationError
from pipelines.codec.field_weaving import weave_frames
from pipelines.media.video_info import Frame
from pipelines.plan.pulldown import Pulldown


class Neighbours:
    """A deinterlacer that gives the numbers of the frames around each, as bwdif looks at them."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.given = 0

    def push(self, frame: Frame, number: int) -> list[Sequence[np.ndarray]]:
        self.seen.append(int(frame.planes[0][0, 0]))
        return self._ready(len(self.seen) - 1)

    def end(self) -> list[Sequence[np.ndarray]]:
        return self._ready(len(self.seen))

    def _ready(self, stop: int) -> list[Sequence[np.ndarray]]:
        found = []
        for place in range(self.given, stop):
            around = [self.seen[n] if 0 <= n < len(self.seen) else 0 for n in (place - 1, place, place + 1)]
            found.append([np.array([around], np.uint8)])
        self.given = max(self.given, stop)
        return found


def source(count: int) -> list[Frame]:
    """Frames whose top lines are 10, 20, ... and whose bottom lines are one more; captions name them."""
    frames = []
    for n in range(count):
        plane = np.full((4, 2), 10 * (n + 1), np.uint8)
        plane[1::2] += 1
        frames.append(Frame(n, [plane], captions=bytes([0xFC, n, n])))
    return frames


def made(
    letters: str, first_field: str = "top", frames: list[Frame] | None = None, first: int = 0
) -> list[Frame]:
    pulldown = Pulldown("top" if first_field == "top" else "bottom", 0, letters)
    frames = frames or source(len(letters))
    return list(weave_frames(frames, pulldown, first, lambda _: Neighbours()))


@pytest.mark.parametrize(("first", "woven"), [("top", [40, 31]), ("bottom", [30, 41])])
def test_a_letter_weaves_a_first_field_with_the_second_one_before(first: str, woven: list[int]) -> None:
    """Case 97."""
    shown = [f.planes[0][:2, 0].tolist() for f in made("AB-CD", first)]
    assert shown == [[10, 11], [20, 21], woven, [50, 51]]
    assert [f.pts for f in made("AB-CD")] == [0, 1, 3, 4]


def test_captions_of_a_frame_that_gives_none_come_with_the_next() -> None:
    """Case 97."""
    shown = made("A--CD")
    assert [f.captions for f in shown] == [
        b"\xfc\0\0",
        b"\xfc\1\1\xfc\2\2\xfc\3\3",
        b"\xfc\4\4",
    ]
    full = source(5)
    padded = b"".join(bytes([0xFC if n < 6 else 0xF8, n, n]) for n in range(20))
    full = [Frame(f.pts, f.planes, captions=padded) for f in full]
    assert made("A-CDA", frames=full)[1].captions == padded[:18] * 2


def test_damage_of_either_frame_is_that_of_the_woven_one() -> None:
    frames = source(5)
    frames[2] = Frame(2, frames[2].planes, corrupt=True)
    assert [f.corrupt for f in made("AB-CD", frames=frames)] == [False, False, True, False]


def test_a_deinterlacer_sees_the_neighbours_of_those_that_are_requested() -> None:
    """Case 97: the same wherever decoding began, though the others pass it by."""
    letters = "AVVb-cVD"
    expected = {1: [10, 20, 30], 2: [20, 30, 40], 3: [30, 40, 50], 5: [50, 60, 70], 6: [60, 70, 80]}
    for begin in range(7):
        shown = made(letters, frames=source(8)[begin:], first=begin)
        for frame in shown:
            if frame.pts in expected and frame.pts > begin:
                assert frame.planes[0][0].tolist() == expected[frame.pts]
                assert frame.origin is not None
    assert made("VV")[0].planes[0][0].tolist() == [0, 10, 20]
    assert made("VV")[1].planes[0][0].tolist() == [10, 20, 0]


def test_a_deinterlacer_that_gives_nothing_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Neighbours, "_ready", lambda *_: [])
    with pytest.raises(VerificationError, match="gave nothing for frame 1"):
        made("AVA")
