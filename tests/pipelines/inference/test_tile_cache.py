"""Unchanged tiles are not computed again, and the result is the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.inference.tile_cache import TileCache
from pipelines.inference.upscaler import Upscaler
from pipelines.media.video_info import Frame
from pipelines.plan.tiling import cut_tiles
from tests.benchmarks.bars import QUICK, _lumas, menu
from tests.pipelines.inference.test_upscaler import CPU, card, picture, plan_of, same


def film(seed: int = 0) -> list[Frame]:
    """Six frames: the same twice, a small change in one corner, the same, a change of one sample, another
    picture.
    """
    first = picture("yuv420p", 96, 64, seed)
    corner, speck = [[p.copy() for p in first.planes] for _ in range(2)]
    corner[0][4:8, 4:8] ^= 9
    for planes, (y, x) in ((speck, (63, 95)),):
        planes[0][:] = corner[0]
        planes[0][y, x] ^= 1
    other = picture("yuv420p", 96, 64, seed + 1)
    shown = [first.planes, first.planes, corner, [p.copy() for p in corner], speck, other.planes]
    return [Frame(n, planes) for n, planes in enumerate(shown)]


def upscaler() -> Upscaler:
    return Upscaler(plan_of(card("fast-x2"), 96, 64, 2, tile=(32, 48)), CPU)


def test_the_result_has_the_bits_of_computing_everything() -> None:
    remembering, frames = upscaler(), film()
    for frame in frames:
        assert same(remembering([frame])[0], upscaler()([frame])[0])


def test_unchanged_tiles_are_not_computed() -> None:
    running, taken = upscaler(), []
    for frame in film():
        before = running.stills.taken
        running([frame])
        taken.append(running.stills.taken - before)
    # Four tiles a frame, each with a halo of 20 pixels; the corner is seen by one of them, the last sample
    # too.
    assert taken == [0, 4, 3, 4, 3, 0]


def test_a_change_in_the_halo_alone_is_a_change() -> None:
    stills = TileCache()
    planes = [np.zeros((64, 96), np.uint8), np.zeros((32, 48), np.uint8), np.zeros((32, 48), np.uint8)]
    parts = list(cut_tiles((64, 96), (32, 48), 8))
    result = [np.zeros((128, 192), np.uint8), np.zeros((64, 96), np.uint8), np.zeros((64, 96), np.uint8)]
    stills.keep([planes], result)
    changed = [p.copy() for p in planes]
    changed[2][16 + 3, 10] = 1  # below the first tile, within its halo of four chroma samples
    assert [stills.take([changed], part, 2, result) for part in parts] == [False, True, False, True]


def test_a_network_with_a_memory_computes_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    running = upscaler()
    (stage,) = running._direct
    network = stage.network
    stage.network = replace(network, contract=replace(network.contract, recurrent=True))
    frame = film()[0]
    stage.fused = None
    monkeypatch.setattr(stage, "run", lambda n, inputs, at, precise: [inputs[0].repeat_interleave(2, 2).repeat_interleave(2, 3), inputs[1].repeat_interleave(2, 2).repeat_interleave(2, 3), torch.zeros(1, 1, *inputs[1].shape[2:])])  # fmt: skip
    running([frame])
    running([frame])
    assert running.stills.taken == 0


@pytest.mark.parametrize("kind", ["menu", "slides"])
def test_all_tiles_of_a_menu_or_slides_that_stand_still_are_taken_over_and_nobody_can_tell(
    kind: str, tmp_path: Path
) -> None:
    frames = [Frame(n, planes) for n, planes in enumerate(_lumas(menu(tmp_path / "clip.mkv", QUICK, kind)))]
    running, forgetful = (
        Upscaler(plan_of(card("fast-x2"), 192, 108, 2, tile=(36, 64)), CPU) for _ in range(2)
    )
    parts = running._tiles(108, 192)
    still = 0
    for before, frame in zip([None, *frames], frames, strict=False):
        forgetful.stills.forget()
        assert same(running([frame])[0], forgetful([frame])[0])
        pairs = zip(before.planes, frame.planes, strict=True) if before is not None else ()
        planes = list(pairs)
        still += sum(
            bool(planes)
            and all(
                np.array_equal(a[p.read(2 if n else 1)], b[p.read(2 if n else 1)])
                for n, (a, b) in enumerate(planes)
            )
            for p in parts
        )
    assert still > len(parts)
    assert running.stills.taken == still
    assert forgetful.stills.taken == 0
