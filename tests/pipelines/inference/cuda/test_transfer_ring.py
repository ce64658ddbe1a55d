"""Frames in flight keep their order and their content, however late the device executes its work."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipelines.inference.cuda.transfer_ring import SLOTS, TransferRing
from tests.helpers.lazy_device import LazyDevice

SHAPE = ((4, 6), torch.int16)


def through(device: LazyDevice, count: int) -> list[tuple[int, np.ndarray]]:
    """Frame n holds n; each is doubled, and the double of the one before is added."""
    ring = TransferRing(device, [SHAPE], [SHAPE])
    landed = []
    array = np.zeros((4, 6), np.uint16)

    def work(up: list[torch.Tensor], down: list[torch.Tensor], before: list[torch.Tensor] | None) -> None:
        down[0].copy_(up[0] * 2 + (before[0] if before is not None else 0))

    for number in range(count):
        array[:] = number  # the caller's own memory is free again at once
        found = ring.put(number, [array], work)
        landed += [found] if found is not None else []
    landed += list(ring.drain())
    return [(one.ticket, one.arrays[0]) for one in landed]


@pytest.mark.parametrize("seed", range(20))
def test_results_are_right_and_in_order_however_the_streams_run(seed: int) -> None:
    found = through(LazyDevice(seed), 11)
    assert [ticket for ticket, _ in found] == list(range(11))
    for number, values in found:
        assert np.unique(values).tolist() == [number * (number + 1)]


def test_streams_work_on_different_frames_at_the_same_time() -> None:
    log = LazyDevice(3)
    through(log, 11)
    first_down = log.log.index("down")
    assert log.log[:first_down].count("up") > 1
    assert max(log.log[:n].count("up") - log.log[:n].count("down") for n in range(len(log.log))) > 1


def test_memory_of_the_device_is_made_once_and_what_comes_down_is_page_locked_on_this_side() -> None:
    few, many = LazyDevice(), LazyDevice()
    through(few, 1)
    through(many, 11)
    assert [b for b in few.buffers if not b[-1]] == [b for b in many.buffers if not b[-1]]
    assert len([b for b in many.buffers if not b[-1]]) == 2 * SLOTS
    assert len([b for b in many.buffers if b[-1]]) == SLOTS + 11, (
        "page-locked: of every slot to go up from, of every frame to come down into"
    )


def test_what_comes_back_is_not_written_over_by_later_frames() -> None:
    found = through(LazyDevice(5), 8)
    assert found[0][1].max() == 0
    assert found[1][1].min() == 2


def test_an_error_of_the_work_reaches_the_caller() -> None:
    class Eager(LazyDevice):
        def run(self, work: object) -> None:
            super().run(work)  # type: ignore[arg-type]
            self.until(lambda: not any(self._queues))

    ring = TransferRing(Eager(), [SHAPE], [SHAPE])

    def work(*_: object) -> None:
        raise torch.OutOfMemoryError("none left")

    with pytest.raises(torch.OutOfMemoryError):
        ring.put(0, [np.zeros((4, 6), np.uint16)], work)
