from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from models.catalog import find
from pipelines.device import Upscaler
from pipelines.lanes import Lanes
from pipelines.video import Frame
from tests.pipelines.test_device import plan_of


@pytest.fixture(params=[1, 2, 3])
def cores(request: pytest.FixtureRequest) -> int:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_each_lane_has_its_share_of_the_cores_and_results_keep_their_order(cores: int) -> None:
    lanes = Lanes(2)
    assert lanes.count == min(cores, 2)
    together = threading.Barrier(lanes.count)

    def work(given: int) -> tuple[int, int]:
        if given < lanes.count:
            together.wait(60)  # all lanes are at work at once
        return given, torch.get_num_threads()

    assert list(lanes.map(work, range(5))) == [(n, max(1, cores // lanes.count)) for n in range(5)]
    assert torch.get_num_threads() == cores


def test_what_a_tile_raises_is_raised_when_nothing_is_at_work_any_more(cores: int) -> None:
    del cores
    lanes, ended = Lanes(4), []

    def work(given: int) -> None:
        if given == 0:
            raise MemoryError
        ended.append(given)

    with pytest.raises(MemoryError):
        list(lanes.map(work, range(3)))
    before = len(ended)
    assert list(lanes.map(lambda n: n, range(2))) == [0, 1]
    assert len(ended) == before


def test_bits_do_not_depend_on_how_many_tiles_are_made_at_once() -> None:
    """Nor on how many cores a convolution has: the plan of one job may be worked at on machines of any size."""
    (card,) = (c for c in find("fast") if c.scale == 2)
    plan = plan_of(card, 160, 96, 2, tile=(48, 80))
    rng = np.random.default_rng(0)
    frame = Frame(0, [rng.integers(16, 235, s).astype(np.uint8) for s in ((96, 160), (48, 80), (48, 80))])
    before, found = torch.get_num_threads(), []
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            (made,) = Upscaler(plan, torch.device("cpu"))([frame])
            found.append(made.planes)
    finally:
        torch.set_num_threads(before)
    for planes in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(planes, found[0], strict=True))
