"""What the job makes of a map that delivers twice or loses workers. Case 41."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines import spans
from pipelines.encode import EncodedChunk
from pipelines.events import Advanced, ChunkFinished, Event, Note
from pipelines.job import upscale_video
from pipelines.journal import work_folder
from pipelines.settings import RunSettings
from pipelines.work import Item, Lost, Refused
from tests import media
from tests.helpers.inline import H264, QUICK, WorkersHere, finished_of, planned_of, upscaled
from vsr.api import run_settings

pytestmark = pytest.mark.usefixtures("inline")


class Twice(WorkersHere):
    """Every chunk is delivered a second time, and what comes second is no film at all."""

    def run_tasks(self, *arguments: Any, **named: Any) -> Iterator[Any]:
        for event in super().run_tasks(*arguments, **named):
            yield event
            if isinstance(event, Item) and isinstance(event.value, EncodedChunk):
                yield replace(event, value=replace(event.value, data=b"nothing", thumbnails=b""))


class LosingOnce(WorkersHere):
    """The worker is lost after its first chunk, and all that it was at is done again."""

    def run_tasks(self, *arguments: Any, **named: Any) -> Iterator[Any]:
        for event in super().run_tasks(*arguments, **named):
            yield event
            if isinstance(event, Item) and isinstance(event.value, EncodedChunk):
                yield Lost(0, event.key, "its worker died")
                break
        yield from super().run_tasks(*arguments, **named)


class OneBroken(WorkersHere):
    """A second worker's GPU fails."""

    def run_tasks(self, *arguments: Any, **named: Any) -> Iterator[Any]:
        yield Refused(1, "GPU 0 of north failed 3 times in a row and gets no more work", "north")
        yield from super().run_tasks(*arguments, **named)


def notes(events: list[Event]) -> list[str]:
    return [e.text for e in events if isinstance(e, Note)]


def test_a_worker_that_takes_no_part_is_named_with_its_own_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "local_workers", lambda *_: OneBroken())
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
    (said,) = notes(upscaled(film, output, chunk_seconds=0.25))
    assert re.search(r"earlier run: it would give other bits \(torch: 1.0 before, \S+ now\); they are made anew", said), said


def test_of_a_chunk_that_comes_twice_the_first_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = media.cfr(tmp_path / "in.mp4", frames=24)
    once, twice = tmp_path / "once" / "out.mp4", tmp_path / "twice" / "out.mp4"
    for place in (once, twice):
        place.parent.mkdir()
    upscaled(film, once, **H264, chunk_seconds=0.25)
    monkeypatch.setattr(spans, "local_workers", lambda *_: Twice())
    events = upscaled(film, twice, **H264, chunk_seconds=0.25)
    assert [e.index for e in events if isinstance(e, ChunkFinished)] == [0, 1, 2]
    assert twice.read_bytes() == once.read_bytes()


def test_frames_that_are_done_again_are_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One decoder feeds all chunks, so the first one is done again with the others."""
    monkeypatch.setattr(spans, "local_workers", lambda *_: LosingOnce())
    monkeypatch.setattr("pipelines.worker._REPORT_SECONDS", 0.0)
    film = media.cfr(tmp_path / "in.mp4", frames=96, gop=96)
    events = upscaled(film, tmp_path / "out.mkv", chunk_seconds=0.25)
    longest = max(planned_of(events).plan.spans, key=lambda span: len(span.chunks))
    assert len(longest.chunks) > 1
    told = [e.frames for e in events if isinstance(e, Advanced)]
    assert max(told) == told[-1] == finished_of(events).frames == 96


@pytest.mark.parametrize(("model", "policy"), [("lanczos", "PASSIVE"), ("identity, bicubic", "PASSIVE"), ("lanczos,fast", None), ("auto", None)])
def test_threads_of_classical_scalers_sleep_while_they_wait(monkeypatch: pytest.MonkeyPatch, model: str, policy: str | None) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (one,) = spans._environments(RunSettings(model=model))
    assert one.get("OMP_WAIT_POLICY") == policy
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")  # the user's own word counts
    assert "OMP_WAIT_POLICY" not in spans._environments(RunSettings(model=model))[0]
