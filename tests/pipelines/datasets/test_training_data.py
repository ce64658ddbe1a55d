"""How training continues after a power cut, and data that it must never see. Cases 82 to 84."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from models.errors import MediaError, OutputError
from pipelines.datasets import shards
from pipelines.datasets.shards import FORMAT, Pair, Shards, ShardWriter
from pipelines.datasets.validation_split import ShotSegment, hold_out
from pipelines.diagnostics import preview
from pipelines.diagnostics.preview import _labels
from pipelines.frames.sample_values import SampleValues
from pipelines.media.image_sequence import Pattern
from pipelines.model_files.card_writer import to_toml
from pipelines.quality.evaluation import EvaluationRow
from pipelines.training.fine_tuning import _plain
from pipelines.training.training_log import TrainLog


@pytest.mark.parametrize(
    "tail", [b'{"step": 30, "lo', b"\0" * 40, b"\xff\xfe", b"[1]\n", b'{"loss": 1}\n', b""]
)
def test_a_torn_log_does_not_stop_a_training(tmp_path: Path, tail: bytes) -> None:
    """Case 82: killed in mid-line, or cut off from power.

    What is whole is kept, and the next line begins on its own.
    """
    path = tmp_path / "log.jsonl"
    lines = [json.dumps({"step": step, "loss": 1.0}) + "\n" for step in (10, 20)]
    path.write_bytes("".join(lines).encode() + tail)
    log = TrainLog(tmp_path)
    log.forget_after(20)
    log.write({"step": 30, "loss": 0.5})
    log.draw(np.zeros((8, 8, 3), np.uint8))
    assert [json.loads(line)["step"] for line in path.read_text(encoding="utf-8").splitlines()] == [
        10,
        20,
        30,
    ]


def test_a_log_that_can_t_be_written_is_an_error_of_the_disk(tmp_path: Path) -> None:
    """Case 82."""
    log = TrainLog(tmp_path)
    (tmp_path / "log.jsonl").mkdir()
    with pytest.raises(OutputError, match=r"log\.jsonl: can't be written: .*--resume"):
        log.write({"step": 1, "loss": 1.0})


def dataset(
    folder: Path, frames: list[int], *, held: list[list[int]], split: str = "train", source: str = "a" * 64
) -> Path:
    """A data set of one frame a pair."""
    folder.mkdir()
    clip = SampleValues(np.full((1, 4, 4), 7, np.uint8), np.full((1, 2, 2, 2), 9, np.uint8), 8)
    with ShardWriter(folder, f"{split}-0000", 1 << 20) as writer:
        for number in frames:
            writer.add(Pair(f"{number:06d}", clip, clip, {"source": source[:16], "frame": number}))
    manifest = {
        "format": FORMAT,
        "settings": {"scale": 1, "frames": 1, "context_frames": 0},
        "sources": [{"name": "film", "sha256": source, "held": held}],
        "shards": [{**shard, "split": split} for shard in writer.shards],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def test_a_shard_of_the_right_size_and_other_bits_is_refused(tmp_path: Path) -> None:
    """Case 82: such as zeros after a power cut."""
    folder = dataset(tmp_path / "data", [1, 2], held=[])
    assert len(Shards([folder], "train")) == 2
    shard = next(folder.glob("*.tar"))
    content = bytearray(shard.read_bytes())
    content[600:700] = bytes(100)
    shard.write_bytes(content)
    os.utime(shard, ns=(1, 1))
    with pytest.raises(
        MediaError, match=r"train-0000-000\.tar: is not what its manifest says .*; make the data set again"
    ):
        Shards([folder], "train")


def test_a_shard_has_its_name_only_when_it_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 82: flushed under another name first."""
    flushed: list[list[str]] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        flushed.append([p.name for p in (tmp_path / "data").iterdir()])
        fsync(descriptor)

    monkeypatch.setattr(shards.os, "fsync", watched)
    dataset(tmp_path / "data", [1], held=[])
    assert flushed[0] == ["train-0000-000.tar.partial"]


def test_what_one_data_set_holds_out_no_other_teaches(tmp_path: Path) -> None:
    """Case 83: of one film, held out by one data set and learned from in another, by itself or beside
    others.
    """
    one = dataset(tmp_path / "one", [0, 5, 10, 15, 20], held=[[30, 40]])
    two = dataset(tmp_path / "two", [12, 22, 33], held=[[5, 11], [20, 21]])
    other = dataset(tmp_path / "other", [5, 10], held=[], source="b" * 64)
    mixed = Shards([one, two, other], "train")
    found = [(mixed.record(n)["source"][0], mixed.record(n)["frame"]) for n in range(len(mixed))]
    assert found == [("a", 0), ("a", 15), ("a", 12), ("a", 22), ("b", 5), ("b", 10)]
    assert list(mixed.firsts.values()) == [0, 2, 4]
    assert [mixed[n].record["frame"] for n in range(len(mixed))] == [0, 15, 12, 22, 5, 10]


def frames_of(stretches: list[ShotSegment]) -> set[int]:
    return {n for s in stretches if s.split == "validation" for n in range(s.start, s.stop)}


def test_what_a_small_share_holds_out_a_larger_one_does_too() -> None:
    """Case 83: over films of many cuts, of few, and of none."""
    rng = np.random.default_rng(5)
    for film in range(200):
        cuts = np.unique(rng.integers(1, 2000, int(rng.integers(0, 40))))
        shots = list(zip([0, *map(int, cuts)], [*map(int, cuts), 2000], strict=True))
        before: set[int] = set()
        for share in (0.02, 0.08, 0.15, 0.3):
            held = frames_of(hold_out(shots, share, f"film {film}"))
            assert before <= held
            assert held
            assert len(held) <= (share + 0.34) * 2000
            before = held


def test_a_mean_is_over_the_items_that_have_the_score() -> None:
    """Case 84: a picture has no flicker."""
    row = EvaluationRow("fast-x2", 2, "set", "clean")
    for scores in ({"psnr": 30.0, "flicker": 3.0}, {"psnr": 32.0}, {"psnr": 34.0, "flicker": 1.0}):
        row.add(scores)
    assert (row.scores, row.count) == ({"psnr": 32.0, "flicker": 2.0}, 3)


def test_files_of_one_name_get_pictures_of_their_own() -> None:
    """Case 84: in two folders, in one, by case alone, and under the name of the picture that shows all."""
    names = ["a/best.safetensors", "b/best.safetensors", "b/BEST.toml", "fast", "x/side-by-side.safetensors"]
    labels = _labels(names)
    assert labels == ["a-best", "b-best", "b-BEST-2", "fast", "side-by-side-2"]
    assert len({label.casefold() for label in labels} | {preview._TOGETHER}) == len(names) + 1


def test_names_that_are_no_text_are_taken_as_they_are(tmp_path: Path) -> None:
    """Case 72: a file system holds any bytes."""
    name = os.fsdecode(b"\xff_")
    pattern = Pattern(tmp_path, name, 2, ".png")
    pattern.path(1).write_bytes(b"1")
    assert len(pattern.fingerprint()) == 64
    assert _plain(f"{name} x") == "__-x"
    assert to_toml({"description": f"tuned on {name}"}).encode(errors="replace")
