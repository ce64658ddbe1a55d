"""How the job handles a map that delivers chunks twice or loses workers. Case 41."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from models.errors import ResourceError, UsageError
from pipelines.codec.encoder import EncodedChunk
from pipelines.hardware.resources import WorkerAllocation
from pipelines.output.journal import work_folder
from pipelines.plan.events import Advanced, ChunkFinished, Event, Note
from pipelines.planner.video_planner import plan_video
from pipelines.pool.interface import NoneAdmittedError, WorkerLost, WorkerRejected, WorkItem
from pipelines.run import worker_pools
from pipelines.run.job import upscale_video
from pipelines.run.worker_pools import local_workers
from pipelines.settings.run_settings import ExecutionSettings, RunSettings
from tests import media
from tests.helpers.inline import H264, QUICK, WorkersHere, finished_of, planned_of, upscaled
from vsr.api import run_settings

pytestmark = pytest.mark.usefixtures("inline")


class Twice(WorkersHere):
    """Every chunk is delivered a second time, and what comes second is no film at all."""

    def run_tasks(self, *arguments: Any, **named: Any) -> Iterator[Any]:
        for event in super().run_tasks(*arguments, **named):
            yield event
            if isinstance(event, WorkItem) and isinstance(event.value, EncodedChunk):
                yield replace(event, value=replace(event.value, data=b"nothing", thumbnails=b""))


class LosingOnce(WorkersHere):
    """The worker is lost after its first chunk, and all that it was at is done again."""

    def run_tasks(self, *arguments: Any, **named: Any) -> Iterator[Any]:
        for event in super().run_tasks(*arguments, **named):
            yield event
            if isinstance(event, WorkItem) and isinstance(event.value, EncodedChunk):
                yield WorkerLost(0, event.key, "its worker died")
                break
        yield from super().run_tasks(*arguments, **named)


class OneBroken(WorkersHere):
    """A second worker's GPU fails."""

    def run_tasks(self, *arguments: Any, **named: Any) -> Iterator[Any]:
        yield WorkerRejected(1, "GPU 0 of north failed 3 times in a row and gets no more work", "north")
        yield WorkerRejected(1, "GPU 0 of north failed 3 times in a row and gets no more work", "north")
        yield from super().run_tasks(*arguments, **named)


def notes(events: list[Event]) -> list[str]:
    return [e.text for e in events if isinstance(e, Note)]


def test_a_worker_that_takes_no_part_is_named_with_its_own_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_pools, "local_workers", lambda *_: OneBroken())
    film = media.cfr(tmp_path / "in.mp4", frames=8)
    expected = ["a worker takes no part: GPU 0 of north failed 3 times in a row and gets no more work"]
    assert notes(upscaled(film, tmp_path / "out.mkv")) == expected


def test_what_other_bits_a_worker_would_give_is_said(tmp_path: Path) -> None:
    film, output = media.cfr(tmp_path / "in.mp4", frames=24), tmp_path / "out.mkv"
    stream = upscale_video(film, output, run_settings(**QUICK, chunk_seconds=0.25))
    while not isinstance(next(stream), ChunkFinished):
        pass
    stream.close()  # type: ignore[attr-defined]
    facts = work_folder(output) / "numerics.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "torch": "1.0"}))
    before = {path.name: path.read_bytes() for path in work_folder(output).iterdir()}
    with pytest.raises(
        UsageError,
        match=r"1 of \d chunks are kept, .* other bits \(torch: 1.0 before, \S+ now\); .*--device.*--mixed-hardware.*--fresh",
    ):
        upscaled(film, output, chunk_seconds=0.25)
    assert {path.name: path.read_bytes() for path in work_folder(output).iterdir()} == before
    assert planned_of(upscaled(film, output, chunk_seconds=0.25, mixed_hardware=True)).chunks_done == 1


def test_where_no_chunk_is_kept_other_numerics_are_in_nobody_s_way(tmp_path: Path) -> None:
    """Case 42."""
    film, output = media.cfr(tmp_path / "in.mp4", frames=24), tmp_path / "out.mkv"
    stream = upscale_video(film, output, run_settings(**QUICK, chunk_seconds=0.25))
    while not isinstance(next(stream), ChunkFinished):
        pass
    stream.close()  # type: ignore[attr-defined]
    for path in work_folder(output).glob("0*"):
        path.unlink()
    facts = work_folder(output) / "numerics.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "torch": "1.0"}))
    assert finished_of(upscaled(film, output, chunk_seconds=0.25)).frames == 24


def test_where_nobody_takes_part_for_another_reason_the_run_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nobody(WorkersHere):
        def run_tasks(self, *_: Any, **__: Any) -> Any:
            raise NoneAdmittedError("has another version of vsr")

    monkeypatch.setattr(worker_pools, "local_workers", lambda *_: Nobody())
    with pytest.raises(ResourceError, match="no worker takes part: has another version of vsr"):
        upscaled(media.cfr(tmp_path / "in.mp4", frames=8), tmp_path / "out.mkv")


def test_what_an_earlier_run_did_not_note_of_its_libraries_is_said_and_its_chunks_are_kept(
    tmp_path: Path,
) -> None:
    """Case 42: as a former version noted it, which knew neither encoders nor numba."""
    film, output = media.cfr(tmp_path / "in.mp4", frames=24), tmp_path / "out.mkv"
    stream = upscale_video(film, output, run_settings(**QUICK, chunk_seconds=0.25))
    while not isinstance(next(stream), ChunkFinished):
        pass
    stream.close()  # type: ignore[attr-defined]
    facts = work_folder(output) / "numerics.json"
    known = ("torch", "numpy", "dtype", "device", "compute")
    facts.write_text(json.dumps({k: v for k, v in json.loads(facts.read_text()).items() if k in known}))
    events = upscaled(film, output, chunk_seconds=0.25)
    assert planned_of(events).chunks_done == 1
    (said,) = notes(events)
    assert re.search(
        r"don't say what they were made with of: av \S+, ffmpeg .*, numba .*, svtav1 .*, x264 .*, x265 .*; taken to be the same; --fresh",
        said,
    ), said


def test_of_a_chunk_that_comes_twice_the_first_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = media.cfr(tmp_path / "in.mp4", frames=24)
    once, twice = tmp_path / "once" / "out.mp4", tmp_path / "twice" / "out.mp4"
    for place in (once, twice):
        place.parent.mkdir()
    upscaled(film, once, **H264, chunk_seconds=0.25)
    monkeypatch.setattr(worker_pools, "local_workers", lambda *_: Twice())
    events = upscaled(film, twice, **H264, chunk_seconds=0.25)
    assert [e.index for e in events if isinstance(e, ChunkFinished)] == [0, 1, 2]
    assert twice.read_bytes() == once.read_bytes()


def test_frames_that_are_done_again_are_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One decoder feeds all chunks, so the first one is done again with the others."""
    monkeypatch.setattr(worker_pools, "local_workers", lambda *_: LosingOnce())
    monkeypatch.setattr("pipelines.workers.progress_reports._REPORT_SECONDS", 0.0)
    film = media.cfr(tmp_path / "in.mp4", frames=96, gop=96)
    events = upscaled(film, tmp_path / "out.mkv", chunk_seconds=0.25)
    longest = max(planned_of(events).plan.spans, key=lambda span: len(span.chunks))
    assert len(longest.chunks) > 1
    told = [e.frames for e in events if isinstance(e, Advanced)]
    assert max(told) == told[-1] == finished_of(events).frames == 96


@pytest.mark.parametrize(
    ("model", "policy"),
    [("lanczos", "PASSIVE"), ("identity, bicubic", "PASSIVE"), ("lanczos,fast", None), ("auto", None)],
)
def test_threads_of_classical_scalers_sleep_while_they_wait(
    monkeypatch: pytest.MonkeyPatch, model: str, policy: str | None
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (one,) = worker_pools._environments(RunSettings(model=model), WorkerAllocation())
    assert one.get("OMP_WAIT_POLICY") == policy
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")  # the user's own word counts
    assert (
        "OMP_WAIT_POLICY" not in worker_pools._environments(RunSettings(model=model), WorkerAllocation())[0]
    )


@pytest.mark.parametrize(
    ("devices", "cores", "workers", "seen"),
    [
        ("0,3", 4, 5, ["0", "3", "0", "3", "0"]),  # as many as were asked for, by turns
        ("0,3", 4, 1, ["0"]),
        ("0,3", 4, None, ["0", "3"]),
        ("0,3", 16, None, ["0", "3", "0", "3"]),  # eight cores a device: two encoders
        ("GPU-5a", 16, None, ["GPU-5a"] * 4),
        ("", 16, None, [None]),
        ("", 16, 2, [None, None]),
    ],
)
def test_children_share_the_devices_by_turns(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    devices: str,
    cores: int,
    workers: int | None,
    seen: list[str | None],
) -> None:
    environments: list[dict[str, str]] = []
    monkeypatch.setattr(
        worker_pools,
        "local_workers",
        lambda settings, _, allocation: (
            environments.extend(worker_pools._environments(settings, allocation)) or WorkersHere()
        ),
    )
    monkeypatch.setattr("pipelines.hardware.resources.usable_cores", lambda: cores)
    monkeypatch.setattr("pipelines.hardware.resources.usable_memory", lambda: 10**12)
    monkeypatch.setattr("pipelines.hardware.resources._device_memory", lambda _: None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", devices)
    planned = plan_video(media.cfr(tmp_path / "in.mp4", frames=2), None, RunSettings())
    settings = ExecutionSettings(workers=workers)
    with worker_pools.open_workers(settings, plan=planned.plan):
        assert [one.get("CUDA_VISIBLE_DEVICES") for one in environments] == seen
    environments.clear()
    with worker_pools.open_workers(ExecutionSettings(workers=workers, device="cpu"), plan=planned.plan):
        assert len(environments) == (workers or 1)
        assert all("CUDA_VISIBLE_DEVICES" not in one for one in environments)


def test_default_workers_take_part_only_if_torch_can_use_the_devices() -> None:
    many = WorkerAllocation(4, ("0",))
    for settings, reasons in (
        (ExecutionSettings(), [False, True]),
        (ExecutionSettings(workers=4), [False, False]),
    ):
        found = local_workers(settings, {}, many)
        assert [bool(found._refused(None, n, {"device": "cpu"})) for n in (0, 3)] == reasons
        assert not found._refused(None, 3, {"device": "cuda"})


@pytest.mark.parametrize(
    ("cluster", "devices", "workers", "asked", "share"),
    [
        ("local", "0", None, None, 0.25),  # sixteen cores
        ("local:3", "0,1", None, None, 0.5),  # three of two have room only where two share one
        ("local:6", "0", None, None, 0.1666),
        ("local:2", "0,1", None, None, 1.0),
        ("local:2", "", None, None, 0.5),
        ("local:4", "0", None, 0.125, 0.125),
        ("auto", "0", 4, None, 1.0),
    ],
)
def test_workers_of_a_private_cluster_share_the_devices_that_are_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cluster: str,
    devices: str,
    workers: int | None,
    asked: float | None,
    share: float,
) -> None:
    class Session:
        def __init__(self, address: str, **offered: Any) -> None:
            self.private = address == "local"

        __enter__ = __exit__ = lambda *_: None

    made: list[dict[str, Any]] = []

    @contextmanager
    def found(_: Any, **named: Any) -> Iterator[None]:
        made.append(named)
        yield

    monkeypatch.setattr("pipelines.cluster.ray_session.RaySession", Session)
    monkeypatch.setitem(sys.modules, "pipelines.cluster.ray_pool", SimpleNamespace(RayPool=found))
    monkeypatch.setattr("pipelines.hardware.resources.usable_cores", lambda: 16)
    monkeypatch.setattr("pipelines.hardware.resources.usable_memory", lambda: 10**12)
    monkeypatch.setattr("pipelines.hardware.resources._device_memory", lambda _: None)
    planned = plan_video(media.cfr(tmp_path / "in.mp4", frames=2), None, RunSettings())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", devices)
    with worker_pools.open_workers(
        ExecutionSettings(cluster=cluster, workers=workers, gpus_per_worker=asked), plan=planned.plan
    ):
        assert made[0]["gpus_per_worker"] == share
        assert share * made[0]["workers"] <= max(1, len(devices.split(","))) or cluster == "auto"
