"""A chunk from packets to packets, on the CPU: plain classes, no process."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from models.errors import UsageError, VerificationError
from models.network import Contract
from pipelines.device import choose_device, numerics_class
from pipelines.encode import EncodedChunk
from pipelines.events import Planned
from pipelines.request import plan_video
from pipelines.source import PacketReader
from pipelines.task import Progress, SpanTask, WorkerSetup
from pipelines.windows import alone
from pipelines.worker import ChunkUpscaler
from tests import media
from tests.helpers.inline import QUICK
from vsr.api import run_settings


def prepared(folder: Path, **settings: object) -> tuple[ChunkUpscaler, Planned, list[object]]:
    """A worker, its plan, and all packets of a film of 24 frames."""
    source = media.cfr(folder / "in.mp4", frames=24)
    planned, _ = plan_video(source, folder / "out.mkv", run_settings(**{**QUICK, **settings}))
    reader = PacketReader(source, 0)
    packets: list[object] = list(reader.rows(0, 24, keep_from=0))
    reader.close()
    setup = pickle.loads(pickle.dumps(WorkerSetup(planned.plan, planned.info.decoder, "cpu")))
    return ChunkUpscaler(setup), planned, packets


def test_one_decoder_feeds_many_chunks_and_those_done_are_skipped(tmp_path: Path) -> None:
    worker, planned, packets = prepared(tmp_path, chunk_seconds=0.25)
    chunks, pts = planned.plan.chunks, planned.info.pts
    wanted = (chunks[0], chunks[2])
    task = SpanTask(wanted, tuple(pts[: chunks[2].stop_frame]), 0, frozenset())
    made = list(worker.run(task, iter([packets[:10], packets[10:]])))  # type: ignore[list-item]
    found = [m for m in made if isinstance(m, EncodedChunk)]
    assert [c.index for c in found] == [0, 2]
    for chunk, encoded in zip(wanted, found, strict=True):
        assert sorted(encoded.pts) == list(pts[chunk.start_frame : chunk.stop_frame])
        assert len(encoded.thumbnails) == chunk.frame_count * 18 * 32
    assert sum(m.frames for m in made if isinstance(m, Progress)) == sum(c.frame_count for c in wanted)


def test_fewer_promised_frames_than_come_are_loud(tmp_path: Path) -> None:
    from pipelines.decode import IndexMismatchError

    worker, planned, packets = prepared(tmp_path)
    pts = list(planned.info.pts)
    del pts[7]
    with pytest.raises((VerificationError, IndexMismatchError)):
        list(worker.run(SpanTask(planned.plan.chunks, tuple(pts), 0, frozenset()), iter([packets])))  # type: ignore[list-item]


@pytest.mark.parametrize("model", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_a_grey_picture_stays_grey_and_a_flat_one_flat(tmp_path: Path, model: str) -> None:
    from pipelines.video import Frame

    worker, _, _ = prepared(tmp_path, scale=3, model=model)
    flat = Frame(0, [np.full((48, 64), 77, np.uint8), np.full((24, 32), 128, np.uint8), np.full((24, 32), 99, np.uint8)])
    made = worker.upscale(alone(flat, Contract(2, "yuv420")))
    assert [p.shape for p in made.planes] == [(144, 192), (72, 96), (72, 96)]
    assert [set(np.unique(p)) for p in made.planes] == [{77}, {128}, {99}]


def test_nearest_repeats_every_sample(tmp_path: Path) -> None:
    from pipelines.video import Frame

    worker, _, _ = prepared(tmp_path, scale=2, model="nearest")
    planes = media.planes_of(3, 64, 48)
    made = worker.upscale(alone(Frame(0, planes), Contract(2, "yuv420")))
    assert np.array_equal(made.planes[0], planes[0].repeat(2, 0).repeat(2, 1))


def test_facts_are_plain_words_so_that_the_parent_loads_nothing() -> None:
    facts = numerics_class(choose_device("cpu"))
    assert {type(v) for v in facts.values()} == {str}
    assert b"torch.torch_version" not in pickle.dumps(facts)


def test_cuda_is_refused_where_there_is_none() -> None:
    """Case 58."""
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(UsageError, match="no CUDA device"):
        choose_device("cuda")
