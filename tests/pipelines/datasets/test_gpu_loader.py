from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pipelines.datasets.batch_loader import BatchLoader, BatchSettings
from pipelines.datasets.gpu_loader import ResidentPairs, have_equal_sizes, size_bytes
from pipelines.datasets.shards import Pair, Shards, ShardWriter
from pipelines.frames.sample_values import SampleValues
from tests.helpers.footage import clip

CPU = torch.device("cpu")


def shards_of(
    folder: Path, *, bits: tuple[int, ...] = (8, 8, 8), frames: int = 3, sides: tuple[int, ...] = (64, 64, 64)
) -> Shards:
    """The training part of a data set whose pairs have two halves that have nothing to do with each other.

    Only places matter here.
    """
    folder.mkdir(exist_ok=True)
    shards = []
    for split in ("train", "validation"):
        with ShardWriter(folder, split, 1 << 20) as writer:
            for number, (depth, side) in enumerate(zip(bits, sides, strict=True)):
                low, truth = (
                    deep(clip(frames, side // 2, side // 2, seed=number), depth),
                    deep(clip(frames, side, side, seed=number + 50), depth),
                )
                writer.add(
                    Pair(str(number), low, truth, {"degradation": {"stages": [{"kernel": "bicubic"}]}})
                )
        shards += [{**s, "split": split} for s in writer.shards]
    manifest = {"format": "vsr-pairs-1", "settings": {"scale": 2}, "shards": shards}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return Shards([folder], "train")


def deep(codes: SampleValues, bits: int) -> SampleValues:
    return (
        codes
        if bits == 8
        else SampleValues(codes.luma.astype("u2") * 4 + 3, codes.chroma.astype("u2") * 4 + 1, bits)
    )


@pytest.mark.parametrize("bits", [(8, 8, 8), (8, 10, 10)])
@pytest.mark.parametrize("orientations", [2, 8])
def test_batches_cut_on_the_device_are_those_cut_from_the_files(
    tmp_path: Path, bits: tuple[int, ...], orientations: int
) -> None:
    shards = shards_of(tmp_path, bits=bits)
    settings = BatchSettings(pairs=6, truth_px=32, frames=2, orientations=orientations)
    here, there = (
        BatchLoader(shards, settings, 0),
        BatchLoader(shards, settings, 0, resident=ResidentPairs(shards, CPU)),
    )
    for step, (a, b) in enumerate(
        zip(here.batches(0, 4, lambda x: x), there.batches(0, 4, lambda x: x), strict=True)
    ):
        for ours, theirs in zip((*b.low, *b.truth), (*a.low, *a.truth), strict=True):
            assert ours.shape == theirs.shape
            assert torch.equal(ours, theirs), step


def test_the_share_of_a_process_is_its_part_of_the_whole_batch(tmp_path: Path) -> None:
    shards = shards_of(tmp_path)
    settings, resident = BatchSettings(pairs=4, truth_px=32), ResidentPairs(shards, CPU)
    whole = BatchLoader(shards, settings, 0, resident=resident).batch(5).truth[0]
    parts = [
        BatchLoader(shards, settings, 0, share=(n, 2), resident=resident).batch(5).truth[0] for n in range(2)
    ]
    assert torch.equal(torch.cat(parts), whole)


def test_pairs_of_many_sizes_stay_in_their_files(tmp_path: Path) -> None:
    assert have_equal_sizes(shards_of(tmp_path / "a"))
    assert not have_equal_sizes(shards_of(tmp_path / "b", sides=(64, 64, 48)))


def test_what_pairs_take_is_known_before_they_are_read(tmp_path: Path) -> None:
    shards = shards_of(tmp_path, bits=(8, 10, 8))
    resident = ResidentPairs(shards, CPU)
    held = sum(
        t.numel() * t.element_size()
        for side in (resident._low, resident._truth)
        for t in (side.luma, side.chroma)
    )
    assert size_bytes(shards) == held


def test_a_cpu_reads_from_the_files(tmp_path: Path) -> None:
    assert not ResidentPairs.fit(shards_of(tmp_path), CPU)


def test_memory_is_left_to_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = shards_of(tmp_path)
    for free, fits in ((4 * size_bytes(shards), True), (size_bytes(shards), False)):
        monkeypatch.setattr("torch.cuda.mem_get_info", lambda _, free=free: (free, 1 << 40))
        monkeypatch.setattr("torch.cuda.memory_reserved", lambda _: 5)
        monkeypatch.setattr("torch.cuda.memory_allocated", lambda _: 5)
        assert ResidentPairs.fit(shards, torch.device("cuda")) == fits
