from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.errors import MediaError, UsageError
from models.layers.resampling import resample
from pipelines.datasets.batch_loader import BatchLoader, BatchSettings
from pipelines.datasets.builder import make_dataset
from pipelines.datasets.crop_selection import (
    CropHistory,
    CropSettings,
    choose_crops,
    content_box,
    fingerprint_of,
    round_trip_db,
)
from pipelines.datasets.degradation import DegradeSettings, read_record
from pipelines.datasets.degrading import degrade
from pipelines.datasets.events import DatasetDone, Progress, UnitLeftOut
from pipelines.datasets.pair_maker import Motion, PairOrder, clip_of_picture
from pipelines.datasets.settings import DatasetSettings
from pipelines.datasets.shards import Pair, Shards, ShardWriter, read_manifest
from pipelines.datasets.validation_split import held_out_images, hold_out
from pipelines.frames.images import write_png
from pipelines.frames.sample_values import SampleValues, from_values, oriented, to_values
from pipelines.frames.shot_detection import shots
from pipelines.frames.video_reader import VideoReader
from pipelines.probe.probe import fingerprint, probe
from pipelines.settings.settings_file import read_settings
from tests.helpers.footage import clip, film, pictures, texture

SMALL = DatasetSettings(
    truth_px=32, every_frames=2, context_frames=2, shrink=1, crops=CropSettings(per_frame=3, duplicate_bits=1)
)


def made(inputs: list[Path], folder: Path, settings: DatasetSettings = SMALL, **more: Any) -> list[Any]:
    return list(make_dataset(inputs, folder, settings, **more))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("film") / "film.mp4", (10, 12, 10), width=160, height=96)


@pytest.fixture(scope="module")
def pairs(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "pairs"
    made(
        [source, pictures(source.parent / "stills", 6)],
        folder,
        replace(SMALL, degrade=DegradeSettings(clean=0.5)),
    )
    return folder


def test_shots_begin_at_hard_cuts_and_nowhere_else(source: Path) -> None:
    frames = (np.asarray(f.planes[0]) for f in VideoReader(probe(source)).frames())
    assert shots(frames) == [(0, 10), (10, 22), (22, 32)]


def test_a_fast_pan_is_one_shot() -> None:
    wide = texture(96, 2000, 3)
    assert shots(wide[:, 30 * t : 30 * t + 160] for t in range(40)) == [(0, 40)]


def test_a_flash_is_no_cut() -> None:
    still = texture(96, 160, 5) // 2
    assert shots([still] * 5 + [still + 90] * 2 + [still] * 5) == [(0, 12)]


def test_a_fade_through_black_divides_shots() -> None:
    still = texture(96, 160, 5).astype(float)
    fade = [still * level for level in (1, 0.7, 0.4, 0.1, 0, 0, 0.1, 0.4, 0.7, 1)]
    assert shots(16 + f * 0.8 for f in fade) == [(0, 4), (4, 6), (6, 10)]


def test_held_out_shots_are_whole() -> None:
    stretches = hold_out([(0, 30), (30, 50), (50, 100), (100, 140)], 0.2, "film")
    assert {(s.start, s.stop) for s in stretches} == {(0, 30), (30, 50), (50, 100), (100, 140)}
    assert {s.split for s in stretches} == {"train", "validation"}


def test_a_single_shot_holds_out_its_end_after_a_gap() -> None:
    train, validation = hold_out([(0, 100)], 0.1, "film")
    assert (train.start, train.stop, train.split) == (0, 80, "train")
    assert (validation.start, validation.stop, validation.split) == (90, 100, "validation")


def test_no_shot_is_in_both_splits(pairs: Path) -> None:
    places = {
        split: {(r["source"], shot_of(r)) for r in records(pairs, split)} for split in ("train", "validation")
    }
    assert places["train"]
    assert places["validation"]
    assert not places["train"] & places["validation"]


def shot_of(record: dict[str, Any]) -> int:
    return int(np.searchsorted([10, 22, 32], record["frame"], side="right"))


def records(folder: Path, split: str) -> Iterator[dict[str, Any]]:
    shards = Shards([folder], split)  # type: ignore[arg-type]
    for number in range(len(shards)):
        yield shards.record(number)


def test_letterbox_flat_blurred_and_seen_crops_are_left_out() -> None:
    frame = np.full((128, 192), 16, np.uint8)
    frame[32:96] = texture(64, 192, 1)
    frame[32:96, :64] = 120  # flat
    smooth = resample(torch.from_numpy(np.random.default_rng(2).uniform(60, 190, (8, 8))), 64, 64, "bicubic")
    frame[32:96, 64:128] = smooth.round().numpy()  # blurred
    assert content_box(frame, 8, 8.0) == (32, 96, 0, 192)
    seen = CropHistory([])
    chosen = choose_crops(frame, 8, 64, CropSettings(), seen, np.random.default_rng(0))
    assert [(c.top, c.left) for c in chosen] == [(32, 128)]
    assert (seen.flat, seen.blurred, seen.duplicate) == (1, 1, 0)
    assert not choose_crops(frame, 8, 64, CropSettings(), seen, np.random.default_rng(0))
    assert seen.duplicate == 1


def test_hashes_are_close_for_alike_and_far_for_different_crops() -> None:
    a = texture(64, 64, 1)
    assert (fingerprint_of(a) ^ fingerprint_of(np.minimum(a, 250) + 3)).bit_count() <= 2
    assert (fingerprint_of(a) ^ fingerprint_of(texture(64, 64, 2))).bit_count() > 10
    assert round_trip_db(a, 8) < 40


def test_a_clean_pair_is_the_film_itself_and_its_downscale(source: Path, tmp_path: Path) -> None:
    made([source], tmp_path / "d", replace(SMALL, turn=False, degrade=DegradeSettings(clean=1.0)))
    frames = [VideoReader(probe(source)).codes(f) for f in VideoReader(probe(source)).frames()]
    shards = Shards([tmp_path / "d"], "train")
    for number in range(len(shards)):
        pair = shards[number]
        top, left = pair.record["place"]
        piece = frames[pair.record["frame"]].crop(top, left, 32, 32)
        assert np.array_equal(pair.truth.luma, piece.luma)
        assert np.array_equal(pair.truth.chroma, piece.chroma)
        again = degrade(piece, read_record(pair.record["degradation"]), scale=2)
        assert np.array_equal(pair.low.luma, again.luma)


def test_pairs_are_recorded_well_enough_to_make_them_again(pairs: Path) -> None:
    degraded = [r for r in records(pairs, "train") if len(r["degradation"]["stages"][0]) > 1]
    assert degraded
    shards = Shards([pairs], "train")
    for number in range(len(shards)):
        pair = shards[number]
        done = read_record(pair.record["degradation"])
        if not done.coded:  # a codec also wants the frames before, which the pair does not hold
            assert np.array_equal(degrade(pair.truth, done, scale=2).luma, pair.low.luma)


def test_shards_have_the_webdataset_layout(pairs: Path) -> None:
    manifest = read_manifest(pairs)
    assert manifest["pairs"]["train"] > 10
    for shard in manifest["shards"]:
        with tarfile.open(pairs / shard["name"]) as tar:
            names = tar.getnames()
            record = json.load(tar.extractfile(names[0]))  # type: ignore[arg-type]
            sizes = {m.name.partition(".")[2]: m.size for m in list(tar)[:3]}
        keys = [n.partition(".")[0] for n in names]
        assert [n.partition(".")[2] for n in names[:3]] == ["json", "low.yuv", "truth.yuv"]
        assert all(
            keys[i] == keys[i + 1] == keys[i + 2] for i in range(0, len(keys), 3)
        )  # a sample's members are neighbours
        assert sizes["truth.yuv"] == 32 * 32 * 3 // 2
        assert sizes["low.yuv"] == 16 * 16 * 3 // 2
        assert record["bits"] == 8


def test_a_data_set_is_the_same_for_any_number_of_workers(source: Path, tmp_path: Path) -> None:
    for workers in (1, 4):
        made([source], tmp_path / str(workers), workers=workers)
    assert (tmp_path / "1" / "manifest.json").read_bytes() == (tmp_path / "4" / "manifest.json").read_bytes()


def test_an_interrupted_data_set_goes_on_and_ends_the_same(source: Path, tmp_path: Path) -> None:
    stills = pictures(tmp_path / "stills", 3)
    whole = made([source, stills], tmp_path / "whole")
    running = make_dataset([source, stills], tmp_path / "cut", SMALL)
    for event in running:
        if isinstance(event, Progress) and event.unit.startswith("picture"):
            running.close()  # type: ignore[attr-defined]
    assert not (tmp_path / "cut" / "manifest.json").exists()
    assert not list((tmp_path / "cut").glob("*.partial"))
    again = made([source, stills], tmp_path / "cut")
    assert [e.reason for e in again if isinstance(e, UnitLeftOut)] == ["already done"]
    assert (tmp_path / "cut" / "manifest.json").read_bytes() == (
        tmp_path / "whole" / "manifest.json"
    ).read_bytes()
    assert whole[-1].train_pairs == again[-1].train_pairs


def test_pairs_of_other_settings_are_not_replaced(source: Path, tmp_path: Path) -> None:
    """Case 42."""
    made([source], tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(
        UsageError,
        match=r"unit-0000\.json: is of pairs by other settings or of other footage; choose another folder",
    ):
        made([source], tmp_path, replace(SMALL, seed=1))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_files_that_cannot_be_read_are_left_out_and_said(source: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no film at all")
    events = made([broken, source], tmp_path / "d")
    assert [e.unit for e in events if isinstance(e, UnitLeftOut)] == ["broken.mp4"]
    assert isinstance(events[-1], DatasetDone)
    stills = pictures(tmp_path / "stills", 3)
    (stills / "picture1.png").write_bytes(b"no picture at all")
    assert [e.unit for e in made([stills], tmp_path / "f") if isinstance(e, UnitLeftOut)] == ["picture1.png"]
    with pytest.raises(UsageError, match="no crop"):
        made([broken], tmp_path / "e")


def test_clips_have_their_frames_in_order(source: Path, tmp_path: Path) -> None:
    made([source, pictures(tmp_path / "stills", 2)], tmp_path / "d", replace(SMALL, frames=4, turn=False))
    shards = Shards([tmp_path / "d"], "train")
    films = [shards[n] for n in range(len(shards)) if "region" not in shards.record(n)]
    assert films
    for pair in films:
        assert pair.low.luma.shape == (4, 16, 16)
        for now, after in zip(pair.truth.luma, pair.truth.luma[1:], strict=False):
            # The textures move two pixels to the left from frame to frame.
            assert (
                np.abs(now[:, 2:].astype(int) - after[:, :-2]).mean()
                < 0.5 * np.abs(now.astype(int) - after).mean()
            )


def test_a_picture_moves_by_the_motion_and_ends_as_itself() -> None:
    rgb = torch.from_numpy(texture(96, 96, 4)).float()[None, None].expand(1, 3, -1, -1) / 255
    record = {"place": [32, 32], "region": [0, 0]}
    task = PairOrder(
        "0",
        "train",
        rgb,
        32,
        1,
        0,
        Motion(across_px=3.0),
        3,
        0,
        read_record({"stages": [{"kernel": "bicubic"}], "seed": 0}),
        record,
    )
    luma, _ = clip_of_picture(task, 3)
    assert torch.allclose(luma[2, 0], rgb[0, 0, 32:64, 32:64], atol=1e-5)
    assert torch.allclose(luma[1, 0], rgb[0, 0, 32:64, 35:67], atol=1e-4)
    assert torch.allclose(luma[0, 0], rgb[0, 0, 32:64, 38:70], atol=1e-4)


LAPS = replace(SMALL, passes=4, turn=False, degrade=DegradeSettings(clean=1.0, kernels=("bicubic",)))


@pytest.fixture(scope="module")
def laps(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "laps"
    made([source, pictures(source.parent / "laps", 4)], folder, LAPS)
    return folder


def test_more_passes_see_the_footage_at_more_sizes(laps: Path) -> None:
    shrinks = [(r["shrink"], "region" in r) for r in records(laps, "train")]
    for still in (False, True):
        found = [s for s, picture in shrinks if picture == still]
        assert 1 in found
        assert len({s for s in found if 1 < s <= 2}) >= 3
        assert not [s for s in found if s < 1 or s > 2]
    assert {r["shrink"] for r in records(laps, "validation")} == {1}


def test_a_rescaled_pair_is_the_source_made_smaller(source: Path, laps: Path) -> None:
    frames = [VideoReader(probe(source)).codes(f) for f in VideoReader(probe(source)).frames()]
    shards = Shards([laps], "train")
    checked = 0
    for number in range(len(shards)):
        pair = shards[number]
        shrink, (top, left) = pair.record["shrink"], pair.record["place"]
        if shrink == 1 or "region" in pair.record:
            continue
        side = round(32 * shrink / 2) * 2
        top, left = min(round(top * shrink / 2) * 2, 96 - side), min(round(left * shrink / 2) * 2, 160 - side)
        luma, chroma = to_values(frames[pair.record["frame"]].crop(top, left, side, side))
        again = from_values(
            (resample(luma, 32, 32, "bicubic"), resample(chroma, 16, 16, "bicubic", offset=(0.0, -0.25))), 8
        )
        assert np.array_equal(pair.truth.luma, again.luma)
        assert np.array_equal(pair.truth.chroma, again.chroma)
        checked += 1
    assert checked >= 3


def test_a_rescaled_picture_keeps_its_proportions(tmp_path: Path) -> None:
    """Squares of a checkerboard stay square and get smaller by what is recorded."""
    y, x = np.mgrid[:200, :260]
    for name, shift in (("a.png", 0), ("b.png", 7)):  # two, of which one at most is held out
        board = (((y + shift) // 20 + x // 20) % 2 * 180 + 30).astype(np.uint8)
        write_png(tmp_path / "stills" / name, np.stack([board] * 3, -1))
    crops = CropSettings(per_frame=2, duplicate_bits=-1, blurred_db=99.0)
    made([pictures(tmp_path / "stills", 3)], tmp_path / "d", replace(LAPS, truth_px=64, crops=crops))
    shards = Shards([tmp_path / "d"], "train")
    sources = {fingerprint(tmp_path / "stills" / name)[:16] for name in ("a.png", "b.png")}
    boards = [p for p in (shards[n] for n in range(len(shards))) if p.record["source"] in sources]
    assert len({p.record["shrink"] for p in boards}) >= 3
    for pair in boards:
        for line in (pair.truth.luma[0, 32], pair.truth.luma[0, :, 32]):
            edges = np.flatnonzero(np.diff(line.astype(int) > 128))
            if len(edges) > 1:
                assert np.diff(edges).mean() == pytest.approx(20 / pair.record["shrink"], abs=1.5)


def test_sets_of_any_seed_and_settings_hold_out_the_same(tmp_path: Path) -> None:
    """Several sets of one footage can then be mixed, and what one holds out is in none of the others."""
    footage = [
        film(tmp_path / "film.mp4", (6,) * 9, width=96, height=64),
        pictures(tmp_path / "stills", 9, 64, 64),
    ]
    held = []
    for seed in range(3):
        folder = tmp_path / str(seed)
        made(
            footage,
            folder,
            replace(
                SMALL, seed=seed, every_frames=1 + seed, validation=0.12, degrade=DegradeSettings(clean=1.0)
            ),
        )
        held.append({(r["source"], r["frame"] // 6) for r in records(folder, "validation")})
    assert len(held[0]) >= 2
    assert held[0] == held[1] == held[2]


def test_a_picture_is_held_out_or_not_whatever_lies_next_to_it() -> None:
    prints = [hashlib.sha256(bytes([n])).hexdigest() for n in range(200)]
    held = held_out_images(prints, 0.08, alone=False)
    assert len(held) == pytest.approx(16, abs=8)
    assert held_out_images(prints[50:], 0.08, alone=False) == held.intersection(prints[50:])
    assert held < held_out_images(prints, 0.2, alone=False)


def test_pictures_alone_hold_out_one_and_a_single_one_is_learned_from() -> None:
    prints = ["f" * 64, "e" * 64]
    assert held_out_images(prints, 0.08, alone=True) == {"e" * 64}
    assert not held_out_images(prints, 0.08, alone=False)
    assert not held_out_images(prints[:1] * 2, 0.08, alone=True)


def test_pictures_between_films_are_learned_from(tmp_path: Path) -> None:
    """Each of them is a unit of its own."""
    stills = pictures(tmp_path / "stills", 3, 64, 64)
    film(stills / "picture0.mp4", (12, 12), width=96, height=64)
    film(stills / "picture1.mp4", (12, 12), width=96, height=64)
    made([stills], tmp_path / "d")
    splits = {s["name"]: s["split"] for s in read_manifest(tmp_path / "d")["sources"] if "split" in s}
    assert splits == dict.fromkeys(("picture0.png", "picture1.png", "picture2.png"), "train")


def test_one_picture_makes_a_data_set_without_validation(tmp_path: Path) -> None:
    done = made([pictures(tmp_path / "stills", 1)], tmp_path / "d")[-1]
    assert done.train_pairs > 0
    assert done.validation_pairs == 0


def test_footage_of_which_only_what_is_held_out_is_sharp_is_said_to_be_so(tmp_path: Path) -> None:
    stills = pictures(tmp_path / "stills", 1)
    for grey in range(100):  # flat pictures, until one is not the first to be held out
        write_png(stills / "flat.png", np.full((64, 64, 3), 50 + grey, np.uint8))
        if fingerprint(stills / "flat.png") > fingerprint(stills / "picture0.png"):
            break
    with pytest.raises(UsageError, match="what is not held out"):
        made([stills], tmp_path / "d", replace(SMALL, validation=0.001))


def test_sizes_that_can_not_be_are_refused() -> None:
    for odd in ((0.0, 1.0), (0.8, 0.5), (0.5, 1.5), (0.5,)):
        with pytest.raises(UsageError, match="rescale"):
            DatasetSettings(rescale=odd)
    with pytest.raises(UsageError, match="passes"):
        DatasetSettings(passes=0)


def test_a_teacher_makes_the_truth(source: Path, tmp_path: Path) -> None:
    made([source], tmp_path / "d", replace(SMALL, truth_px=64), teacher="fast-x2")
    pair = Shards([tmp_path / "d"], "train")[0]
    assert pair.truth.luma.shape == (1, 64, 64)
    assert pair.low.luma.shape == (1, 32, 32)
    with pytest.raises(UsageError, match="no network of scale 3"):
        made([source], tmp_path / "e", replace(SMALL, scale=3, truth_px=48), teacher="fast-x2")


@pytest.mark.parametrize("turn", range(8))
def test_turns_move_luma_exactly_and_chroma_with_its_place(turn: int) -> None:
    """A picture whose colour is a ramp over places.

    After a turn every chroma sample has the colour of where it now lies.
    """
    size = 64
    y, x = np.mgrid[:size, :size]
    luma = torch.from_numpy((3 * x + y).astype(np.float32))[None, None]
    # Left-sited: chroma sample (k, j) lies at luma row 2k + 0.5, column 2j.
    cy, cx = np.mgrid[: size // 2, : size // 2]
    colour = torch.from_numpy((3 * 2 * cx + 2 * cy + 0.5).astype(np.float32))[None, None].expand(1, 2, -1, -1)
    turned_luma, turned_chroma = oriented((luma, colour), turn)
    plain = luma.flip([a for a, bit in ((-1, 1), (-2, 2)) if turn & bit])
    expected = plain.transpose(-1, -2) if turn & 4 else plain
    assert torch.equal(turned_luma, expected)
    rows = (expected[0, 0, 0::2, 0::2] + expected[0, 0, 1::2, 0::2]) / 2  # luma at the places of chroma
    assert (turned_chroma[0, 0] - rows)[
        4:-4, 4:-4
    ].abs().max() < 0.3  # Lanczos bends a ramp by that much; wrong siting would be off by 1.5 and more


def test_batches_follow_from_seed_and_step_alone(pairs: Path) -> None:
    settings = BatchSettings(pairs=4, truth_px=16)
    loaders = [BatchLoader(Shards([pairs], "train"), settings, seed) for seed in (0, 0, 1)]
    loaders[0].batch(3)
    a, b, c = loaders[0].batch(7), loaders[1].batch(7), loaders[2].batch(7)
    assert torch.equal(a.truth[0], b.truth[0])
    assert torch.equal(a.low[1], b.low[1])
    assert not torch.equal(a.truth[0], c.truth[0])
    ahead = list(loaders[0].batches(6, 8, lambda batch: batch))
    assert torch.equal(ahead[1].truth[0], a.truth[0])


@pytest.mark.parametrize("orientations", [1, 2, 8])
def test_crops_of_input_and_truth_are_of_the_same_place(tmp_path: Path, orientations: int) -> None:
    truth = clip(1, 64, 64, seed=3)
    low = degrade(truth, read_record({"stages": [{"kernel": "bicubic"}], "seed": 0}), scale=2)
    write_pairs(tmp_path, [Pair("0", low, truth, {})])
    batch = BatchLoader(
        Shards([tmp_path], "train"), BatchSettings(pairs=16, truth_px=32, orientations=orientations), 0
    ).batch(0)
    assert batch.low[0].shape == (16, 1, 16, 16)
    assert batch.truth[1].shape == (16, 2, 16, 16)
    for ours, theirs in zip(batch.low, batch.truth, strict=True):
        small = torch.nn.functional.avg_pool2d(theirs, 2)
        centre = (slice(None), slice(None), slice(2, -2), slice(2, -2))
        same, other = (
            (small - ours)[centre[: small.ndim]].abs().mean(),
            (small.flip(0) - ours)[centre].abs().mean(),
        )
        assert same < 0.4 * other


def write_pairs(folder: Path, found: list[Pair]) -> None:
    with ShardWriter(folder, "train", 1 << 20) as writer:
        for pair in found:
            writer.add(pair)
    manifest = {
        "format": "vsr-pairs-1",
        "settings": {"scale": 2},
        "shards": [{**s, "split": "train"} for s in writer.shards],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_ten_and_eight_bits_mix_in_a_batch(tmp_path: Path) -> None:
    eight, ten = clip(1, 32, 32), clip(1, 32, 32, bits=10)
    write_pairs(tmp_path, [Pair("0", small_of(eight), eight, {}), Pair("1", small_of(ten), ten, {})])
    shards = Shards([tmp_path], "train")
    assert shards[1].truth.luma.dtype == np.uint16
    assert np.array_equal(shards[1].truth.chroma, ten.chroma)
    batch = BatchLoader(shards, BatchSettings(pairs=8, truth_px=32, orientations=1), 0).batch(0)
    assert torch.allclose(
        batch.truth[0], to_values(eight)[0].expand(8, -1, -1, -1), atol=1e-6
    )  # the same picture in both depths


def small_of(codes: SampleValues) -> SampleValues:
    return from_values(tuple(torch.nn.functional.avg_pool2d(p, 2) for p in to_values(codes)), codes.bits)  # type: ignore[arg-type]


def test_damaged_data_sets_are_refused(pairs: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a data set"):
        Shards([tmp_path], "train")
    (tmp_path / "manifest.json").write_text('{"format": "other"}')
    with pytest.raises(MediaError, match="vsr-pairs-1"):
        Shards([tmp_path], "train")
    manifest = read_manifest(pairs)
    for shard in manifest["shards"]:
        (tmp_path / shard["name"]).write_bytes((pairs / shard["name"]).read_bytes()[:-512])
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(MediaError, match="its manifest says"):
        Shards([tmp_path], "train")


def test_batches_larger_than_the_pairs_are_refused(pairs: Path) -> None:
    with pytest.raises(UsageError, match="a batch needs 64x64"):
        BatchLoader(Shards([pairs], "train"), BatchSettings(truth_px=64), 0)
    with pytest.raises(UsageError, match="multiple of 4"):
        BatchLoader(Shards([pairs], "train"), BatchSettings(truth_px=30), 0)


def test_every_one_of_mixed_data_sets_must_hold_a_batch(pairs: Path, tmp_path: Path) -> None:
    stills = pictures(tmp_path / "stills", 3)
    made([stills], tmp_path / "larger", replace(SMALL, truth_px=64))
    made([stills], tmp_path / "longer", replace(SMALL, frames=2))
    for other, batch in (
        ("larger", BatchSettings(truth_px=64)),
        ("longer", BatchSettings(truth_px=32, frames=2)),
    ):
        BatchLoader(Shards([tmp_path / other], "train"), batch, 0)
        with pytest.raises(UsageError, match=f"{pairs}: its pairs are 32x32, 1 frame"):
            BatchLoader(Shards([tmp_path / other, pairs], "train"), batch, 0)


def test_the_default_configuration_is_the_defaults() -> None:
    default = Path(__file__).parents[3] / "configs" / "dataset" / "default.toml"
    assert read_settings(DatasetSettings, default) == DatasetSettings()


def test_the_shipped_configuration_reads() -> None:
    shipped = Path(__file__).parents[3] / "configs" / "dataset" / "shipped.toml"
    assert read_settings(DatasetSettings, shipped).degrade.kernels == ("bicubic",)


@pytest.mark.cluster
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_makes_the_same_pairs(tmp_path: Path) -> None:
    source = pictures(tmp_path / "stills", 6, 200, 260)
    settings = DatasetSettings(truth_px=32, shrink=1, crops=CropSettings(per_frame=6, duplicate_bits=1))
    found = {}
    for name, cluster in (("threads", None), ("cluster", "local:2")):
        list(make_dataset([source], tmp_path / name, settings, cluster=cluster))
        found[name] = {p.name: p.read_bytes() for p in (tmp_path / name).iterdir() if p.suffix != ".png"}
    assert len(found["threads"]) >= 4
    assert found["threads"] == found["cluster"]
