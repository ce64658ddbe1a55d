from __future__ import annotations

import numpy as np
import pytest

from models.errors import VerificationError
from models.network import Contract
from pipelines.inference.temporal_windows import FrameBuffer, windows
from pipelines.media.video_info import Frame


def film(count: int, cuts: tuple[int, ...] = (), first: int = 0) -> list[Frame]:
    """Frames whose pts is their number; at each cut another picture begins."""
    frames = []
    for number in range(first, first + count):
        shot = sum(number >= c for c in cuts)
        rng = np.random.default_rng(shot)
        luma = np.kron(rng.integers(20, 235, (9, 16)), np.ones((8, 8))).astype(np.uint8)
        frames.append(Frame(number, [luma]))
    return frames


def seen(
    frames: list[Frame], first: int, stop: int, *, past: int = 1, future: int = 1
) -> list[tuple[list[int], bool]]:
    buffer = FrameBuffer(iter(frames), frames[0].pts, 8)
    contract = Contract(scale=2, pixels="yuv420", past=past, future=future, recurrent=past > 0)
    found = windows(buffer, first, stop, contract, last=frames[-1].pts, bits=8)
    return [([f.pts for f in w.frames], w.starts) for w in found]


def test_each_frame_comes_with_its_neighbours_and_the_ends_are_repeated() -> None:
    assert seen(film(4), 0, 4) == [
        ([0, 0, 1], True),
        ([0, 1, 2], False),
        ([1, 2, 3], False),
        ([2, 3, 3], False),
    ]


def test_neighbours_beyond_a_cut_are_not_shown_and_what_was_remembered_is_forgotten() -> None:
    assert seen(film(6, cuts=(3,)), 0, 6)[2:4] == [([1, 2, 2], False), ([3, 3, 4], True)]


def test_several_frames_ahead_stop_at_the_first_cut() -> None:
    assert seen(film(8, cuts=(4, 5)), 0, 8, past=2, future=2)[2:6] == [
        ([0, 1, 2, 3, 3], False),
        ([1, 2, 3, 3, 3], False),
        ([4, 4, 4, 4, 4], True),
        ([5, 5, 5, 6, 7], True),
    ]


def test_a_stretch_ends_with_the_frame_behind_it() -> None:
    assert seen(film(6), 1, 3)[-1] == ([1, 2, 3], False)


def test_without_neighbours_frames_pass_one_by_one() -> None:
    assert seen(film(3), 0, 3, past=0, future=0) == [([0], True), ([1], False), ([2], False)]


def test_a_reel_goes_back_as_far_as_it_keeps() -> None:
    buffer = FrameBuffer(iter(film(10, first=5)), 5, 3)
    assert buffer[9].pts == 9
    assert [buffer[n].pts for n in (6, 7, 8, 9)] == [6, 7, 8, 9]
    assert buffer[10].pts == 10
    with pytest.raises(IndexError):
        buffer[6]


def test_a_frame_that_does_not_come_is_noticed() -> None:
    with pytest.raises(VerificationError, match="frame 4 did not come"):
        FrameBuffer(iter(film(4)), 0, 3)[4]
