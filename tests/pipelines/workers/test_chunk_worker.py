"""A chunk from packets to packets, on the CPU: plain classes, no child process."""

from __future__ import annotations

import math
import pickle
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.errors import MediaError, UsageError, VerificationError
from models.network import Contract
from pipelines.codec import decoder as decoder_module
from pipelines.codec import encoder
from pipelines.codec.encoder import EncodedChunk
from pipelines.frames.thumbnail import grid_for
from pipelines.inference.device import choose_device, numerics_class
from pipelines.inference.temporal_windows import Window, single_frame_window
from pipelines.media.packet_reader import PacketReader
from pipelines.media.video_info import Chunk, Frame
from pipelines.plan.events import Planned
from pipelines.planner.video_planner import plan_video
from pipelines.pool.interface import ReadyForNext
from pipelines.workers import progress_reports, span_frames, stage_threads
from pipelines.workers.chunk_worker import ChunkUpscaler
from pipelines.workers.messages import ChunkProgress, SpanTask, WorkerSetup
from tests import media
from tests.helpers.inline import QUICK
from vsr.api import run_settings


def prepared(folder: Path, **settings: object) -> tuple[ChunkUpscaler, Planned, list[object]]:
    """A worker, its plan, and all packets of a film of 24 frames."""
    source = media.cfr(folder / "in.mp4", frames=24)
    planned = plan_video(source, folder / "out.mkv", run_settings(**{**QUICK, **settings}))
    reader = PacketReader(source, 0)
    packets: list[object] = list(reader.rows(0, 24, keep_from=0))
    reader.close()
    setup = pickle.loads(pickle.dumps(WorkerSetup(planned.plan, planned.info.decoder, "cpu")))
    return ChunkUpscaler(setup), planned, packets


def test_one_decoder_feeds_many_chunks_and_those_done_are_skipped(tmp_path: Path) -> None:
    worker, planned, packets = prepared(tmp_path, chunk_seconds=0.25)
    chunks, pts = planned.plan.chunks, planned.info.pts
    wanted = (chunks[0], chunks[2])
    task = SpanTask(wanted, tuple(pts[: chunks[2].stop_frame]), 0)
    made = [
        m.value if isinstance(m, ReadyForNext) else m
        for m in worker.run(task, iter([packets[:10], packets[10:]]))
    ]  # type: ignore[list-item]
    found = [m for m in made if isinstance(m, EncodedChunk)]
    assert [c.index for c in found] == [0, 2]
    for chunk, encoded in zip(wanted, found, strict=True):
        assert sorted(encoded.pts) == list(pts[chunk.start_frame : chunk.stop_frame])
        assert len(encoded.thumbnails) == chunk.frame_count * (math.prod(grid_for(64, 48)) + 1)
    assert sum(m.frames for m in made if isinstance(m, ChunkProgress)) == sum(c.frame_count for c in wanted)


def test_a_worker_that_only_decodes_for_long_reports_as_long_as_the_decoder_gives_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 57: the pre-roll of a film whose frames are known by order is all that lies before a chunk."""
    monkeypatch.setattr(progress_reports, "_REPORT_SECONDS", 0.05)
    worker, planned, packets = prepared(tmp_path, chunk_seconds=0.25)
    chunk, pts = planned.plan.chunks[-1], planned.info.pts
    reported, decoder = threading.Event(), decoder_module.decode

    def decode_slowly(*given: Any, **named: Any) -> Iterator[Frame]:
        for number, frame in enumerate(decoder(*given, **named)):
            assert number != 4 or reported.wait(60), "nothing was said for 4 frames"
            yield frame

    monkeypatch.setattr(span_frames, "decode", decode_slowly)
    made = []
    for item in worker.run(
        SpanTask((chunk,), tuple(pts[chunk.start_frame :]), chunk.start_frame), iter([packets])
    ):  # type: ignore[list-item]
        made.append(item.value if isinstance(item, ReadyForNext) else item)
        reported.set()
    assert [m.index for m in made if isinstance(m, EncodedChunk)] == [chunk.index]
    assert sum(m.frames for m in made if isinstance(m, ChunkProgress)) == chunk.frame_count


def test_a_decoder_that_gives_nothing_is_not_reported_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 57: or a worker that hangs in it would never be replaced."""
    monkeypatch.setattr(progress_reports, "_REPORT_SECONDS", 0.01)
    worker, planned, packets = prepared(tmp_path)
    awake = threading.Event()

    def decode_never(*_: Any, **__: Any) -> Iterator[Frame]:
        assert not awake.wait(0.3), "it was reported for"
        raise MediaError("it hung")
        yield

    monkeypatch.setattr(span_frames, "decode", decode_never)
    with pytest.raises(MediaError, match="it hung"):
        for _ in worker.run(SpanTask(planned.plan.chunks, tuple(planned.info.pts), 0), iter([packets])):  # type: ignore[list-item]
            awake.set()


class Encoders:
    """Encoders that come to their end no sooner than the network has a frame of the next chunk, and how many
    there were at a time.
    """

    def __init__(self, patch: pytest.MonkeyPatch, chunks: Sequence[Chunk], pts: Sequence[int]) -> None:
        self._lock, self._now, self.most, third = threading.Lock(), 0, 0, threading.Event()
        begun = {chunk.index: threading.Event() for chunk in chunks}
        begun[len(chunks)] = threading.Event()
        begun[len(chunks)].set()
        chunk_of = {p: chunk.index for chunk in chunks for p in pts[chunk.start_frame : chunk.stop_frame]}
        follow, encode = ChunkUpscaler.upscale, encoder.encode_chunk

        def upscale(worker: ChunkUpscaler, window: Window) -> Frame:
            begun[chunk_of[window.frame.pts]].set()
            return follow(worker, window)

        def encode_slowly(frames: Iterable[Frame], index: int, *more: Any, **named: Any) -> EncodedChunk:
            with self._lock:
                self._now += 1
                self.most = max(self.most, self._now)
                if self.most > 2:
                    third.set()
            made = encode(frames, index, *more, **named)
            overlapped = begun[index + 1].wait(60)
            if index < 2:
                third.wait(1.0)  # time for one too many to begin, if it may
            with self._lock:
                self._now -= 1
            assert overlapped, f"chunk {index + 1} waited for the encoder of the one before"
            return made

        patch.setattr(ChunkUpscaler, "upscale", upscale)
        patch.setattr(stage_threads, "encode_chunk", encode_slowly)


ENCODERS = pytest.mark.parametrize(("device", "most"), [("cpu", 1), ("cuda", 2)])
"""How many encoders may be in memory, by where the networks run; told to the worker only, so no CUDA is
needed."""


@ENCODERS
def test_a_chunk_begins_while_the_encoder_of_the_last_one_drains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, most: int
) -> None:
    worker, planned, packets = prepared(tmp_path, chunk_seconds=0.25)
    worker._device = torch.device(device)
    chunks, pts = planned.plan.chunks, planned.info.pts
    encoders = Encoders(monkeypatch, chunks, pts)
    made = list(worker.run(SpanTask(chunks, tuple(pts), 0), iter([packets])))  # type: ignore[list-item]
    assert [m.index for m in made if isinstance(m, EncodedChunk)] == [c.index for c in chunks]
    assert encoders.most == most


@ENCODERS
def test_a_task_begins_while_the_encoder_of_the_last_one_drains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, most: int
) -> None:
    worker, planned, packets = prepared(tmp_path, chunk_seconds=0.25)
    worker._device = torch.device(device)
    chunks, pts = planned.plan.chunks, planned.info.pts
    encoders = Encoders(monkeypatch, chunks, pts)
    made: list[EncodedChunk] = []
    ends: list[threading.Thread] = []
    for chunk in chunks:
        task = SpanTask((chunk,), tuple(pts[chunk.start_frame : chunk.stop_frame]), chunk.start_frame)
        running = worker.run(task, iter([packets]))  # type: ignore[list-item]
        assert any(isinstance(item, ReadyForNext) for item in running)
        ends.append(threading.Thread(target=lambda it=running: made.extend(it)))
        ends[-1].start()
    for end in ends:
        end.join()
    assert [m.index for m in made] == [c.index for c in chunks]
    assert encoders.most == most


def test_fewer_promised_frames_than_come_are_loud(tmp_path: Path) -> None:
    from pipelines.codec.expected_frames import IndexMismatchError

    worker, planned, packets = prepared(tmp_path)
    pts = list(planned.info.pts)
    del pts[7]
    with pytest.raises((VerificationError, IndexMismatchError)):
        list(worker.run(SpanTask(planned.plan.chunks, tuple(pts), 0), iter([packets])))  # type: ignore[list-item]


@pytest.mark.parametrize("model", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_a_grey_picture_stays_grey_and_a_flat_one_flat(tmp_path: Path, model: str) -> None:
    worker, _, _ = prepared(tmp_path, scale=3, model=model)
    flat = Frame(
        0,
        [np.full((48, 64), 77, np.uint8), np.full((24, 32), 128, np.uint8), np.full((24, 32), 99, np.uint8)],
    )
    made = worker.upscale(single_frame_window(flat, Contract(2, "yuv420")))
    assert [p.shape for p in made.planes] == [(144, 192), (72, 96), (72, 96)]
    assert [set(np.unique(p)) for p in made.planes] == [{77}, {128}, {99}]


def test_nearest_repeats_every_sample(tmp_path: Path) -> None:
    worker, _, _ = prepared(tmp_path, scale=2, model="nearest")
    planes = media.planes_of(3, 64, 48)
    made = worker.upscale(single_frame_window(Frame(0, planes), Contract(2, "yuv420")))
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


def test_a_worker_s_pulse_grows_with_every_tile_layer_and_packet_and_not_by_itself(tmp_path: Path) -> None:
    """Case 57: or a frame that takes an hour on a small CPU would be taken for a hang, and a hang for a slow
    frame.
    """
    worker, planned, packets = prepared(tmp_path, model="fast-x2", scale=2, tile="32x32")
    frame = Frame(0, media.planes_of(0, 64, 48))
    tiles = len(worker.upscaler._now._tiles(48, 64))
    assert tiles >= 4
    for _ in range(2):
        worker.upscaler.stills.forget()
        before = worker.pulse
        worker.upscaler.follow(single_frame_window(frame, worker.upscaler.contract))
        assert worker.pulse == before + tiles
    before = worker.pulse
    made = list(
        worker.run(SpanTask(planned.plan.chunks, tuple(planned.info.pts), 0, frozenset()), iter([packets]))
    )  # type: ignore[list-item]
    assert any(isinstance(m.value if isinstance(m, ReadyForNext) else m, EncodedChunk) for m in made)
    done = worker.pulse
    assert (
        done > before + 24 + 2 * tiles
    )  # packets of 24 frames, and their tiles, as far as they don't stand still
    assert worker.pulse == done


def test_a_large_network_that_sees_a_whole_frame_at_once_counts_its_layers(tmp_path: Path) -> None:
    """Case 57."""
    from tests.pipelines.run.test_color_exact import foreign

    worker, _, _ = prepared(tmp_path, model=str(foreign(tmp_path / "rgb.safetensors", last=0.0)), scale=2)
    before = worker.upscaler._now._lanes.done
    layers = worker.pulse
    frame = Frame(0, media.planes_of(0, 64, 48))
    worker.upscaler.follow(single_frame_window(frame, worker.upscaler.contract))
    assert worker.pulse - layers > 5 + worker.upscaler._now._lanes.done - before
