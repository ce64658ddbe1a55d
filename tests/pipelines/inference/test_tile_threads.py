from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from models.catalog.lookup import find_cards
from pipelines.inference.tile_threads import TileThreadPool
from pipelines.inference.upscaler import Upscaler
from pipelines.media.video_info import Frame
from pipelines.plan.tiling import YUV_TILE_PX
from tests.benchmarks.rates import srvgg_weights
from tests.pipelines.inference.test_upscaler import plan_of


@pytest.fixture(params=[1, 2, 3])
def cores(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_each_lane_has_its_share_of_the_cores_and_results_keep_their_order(cores: int) -> None:
    lanes = TileThreadPool(2)
    assert lanes.count == (2 if cores == 2 else 1)  # 3 can't be shared out
    together = threading.Barrier(lanes.count)

    def work(given: int) -> tuple[int, int]:
        if given < lanes.count:
            together.wait(60)  # all lanes are at work at once
        return given, torch.get_num_threads()

    assert list(lanes.map(work, range(5))) == [(n, cores // lanes.count) for n in range(5)]


@pytest.mark.parametrize(("most", "count"), [(1, 1), (3, 3), (4, 4), (5, 4), (64, 4)])
def test_there_are_no_more_lanes_than_tiles_and_four(most: int, count: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(12)
    try:
        assert TileThreadPool(most).count == count
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("cores", "most", "count"), [(1, 4, 1), (2, 4, 4), (3, 4, 4), (2, 3, 3), (2, 2, 2), (4, 4, 4)]
)
def test_small_tiles_share_too_few_cores_until_the_last_one_ends(cores: int, most: int, count: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(cores)
    try:
        lanes = TileThreadPool(most, small_maps=True)
        assert lanes.count == count
        assert set(lanes.map(lambda _: torch.get_num_threads(), range(8))) == {1}
        assert torch.get_num_threads() == cores
    finally:
        torch.set_num_threads(before)


def test_threads_that_come_later_have_all_cores(cores: int) -> None:
    TileThreadPool(2)
    found: list[int] = []
    later = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert found == [torch.get_num_threads()] == [cores]


def test_what_a_tile_raises_is_raised_when_nothing_is_at_work_any_more() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        lanes = TileThreadPool(2)
        begun, ended = threading.Event(), []

        def work(given: int) -> None:
            if given == 0:
                begun.wait(60)
                raise MemoryError
            begun.set()
            time.sleep(0.3)
            ended.append(given)

        with pytest.raises(MemoryError):
            list(lanes.map(work, range(2)))
        assert ended == [1]
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("foreign", [False, True], ids=["yuv", "rgb"])
def test_bits_do_not_depend_on_how_many_tiles_are_made_at_once(tmp_path: Path, foreign: bool) -> None:
    """Nor on how many cores a convolution has.

    The plan of one job may be worked at on machines of any size.
    """
    name = str(srvgg_weights(tmp_path / "srvgg.safetensors", width=16, depth=2)) if foreign else "fast-x2"
    (card,) = find_cards(name)
    assert (card.pixels == "rgb") == foreign
    plan = plan_of(card, 160, 96, 2, tile=(48, 80))
    rng = np.random.default_rng(0)
    frame = Frame(0, [rng.integers(16, 235, s).astype(np.uint8) for s in ((96, 160), (48, 80), (48, 80))])
    before, found = torch.get_num_threads(), []
    try:
        for count, lanes in ((1, 1), (2, 2), (2, 4), (6, 3)):
            torch.set_num_threads(count)
            upscaler = Upscaler(plan, torch.device("cpu"))
            upscaler._lanes = upscaler._cascade._lanes = TileThreadPool(4, small_maps=lanes == 4)
            assert upscaler._lanes.count == lanes
            (made,) = upscaler([frame])
            found.append(made.planes)
    finally:
        torch.set_num_threads(before)
    for planes in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(planes, found[0], strict=True))


def test_small_tiles_are_made_one_by_one_for_memory_is_short() -> None:
    (card,) = (c for c in find_cards("fast") if c.scale == 2)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        large, small = (
            Upscaler(plan_of(card, 1920, 1080, 2, tile=tile), torch.device("cpu"))
            for tile in (YUV_TILE_PX, (272, 480))
        )
    finally:
        torch.set_num_threads(before)
    assert (large._lanes.count, small._lanes.count) == (4, 1)


def test_only_networks_between_codes_have_more_tiles_at_work_than_cores(tmp_path: Path) -> None:
    """R'G'B' networks have large maps in float, on which memory would be spent twice."""
    foreign = str(srvgg_weights(tmp_path / "srvgg.safetensors", width=16, depth=2))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        counts = [
            Upscaler(
                plan_of(find_cards(name)[0], 1920, 1080, 2, tile=YUV_TILE_PX), torch.device("cpu")
            )._lanes.count
            for name in ("fast-x2", foreign)
        ]
    finally:
        torch.set_num_threads(before)
    assert counts == [4, 2]
