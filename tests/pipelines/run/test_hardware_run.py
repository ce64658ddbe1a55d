"""A whole run with a hardware encoder, which is simulated in software."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import pipelines.planner.video_planner as planner
from models.errors import ResourceError, UsageError
from pipelines.codec.encoder import EncodedChunk, encode_chunk
from pipelines.plan.events import Note
from pipelines.run.job import upscale_video
from tests import media
from tests.helpers.inline import H264, finished_of, planned_of, upscaled
from tests.helpers.stand_in_encoders import made_stand_in
from tests.helpers.view import frames
from vsr.api import run_settings

FILM = media.Film(frames=12, size=(128, 96))


@pytest.fixture(autouse=True)
def hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan's encoder is called one of hardware, which is there."""

    def proven(settings: Any, choose: Any, vendor: str, **_: Any) -> Any:
        return made_stand_in(choose(replace(settings, encoder="software"))), []

    monkeypatch.setattr(planner, "proven_encoder", proven)
    monkeypatch.setattr("pipelines.workers.chunk_worker.encoder_hardware", lambda _: "GPU, driver 1")


@pytest.mark.usefixtures("inline")
def test_a_film_is_encoded_verified_and_named_by_hardware(tmp_path: Path) -> None:
    source = media.write(tmp_path / "film.mp4", FILM)
    events = upscaled(source, tmp_path / "out.mp4", **{**H264, "preset": "balanced"}, chunk_seconds=0.25)
    assert planned_of(events).plan.encoder.vendor == "nvenc"
    assert len(planned_of(events).plan.chunks) > 1
    assert finished_of(events).frames == 12
    assert len(frames(tmp_path / "out.mp4")) == 12


@pytest.mark.usefixtures("inline")
def test_an_encoder_that_keeps_failing_ends_the_run_with_what_does_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 89."""
    import pipelines.workers.stage_threads as threads

    kept = threads.encode_chunk

    def loses(frames: Any, index: int, *given: Any, **named: Any) -> EncodedChunk:
        made = kept(frames, index, *given, **named)
        return replace(made, pts=made.pts[:-1]) if index == 1 else made

    monkeypatch.setattr(threads, "encode_chunk", loses)
    source = media.write(tmp_path / "film.mp4", FILM)
    with pytest.raises(
        ResourceError,
        match=r"chunk 1: the encoder gave .* packets .*--encoder software --fresh does without it",
    ):
        upscaled(source, tmp_path / "out.mp4", **{**H264, "preset": "balanced"}, chunk_seconds=0.25)


def _wrong(way: str, frames: Any, index: int, *given: Any, **named: Any) -> EncodedChunk:
    """A chunk as a driver may spoil it."""
    if way in {"repeat", "swap"}:
        frames = list(frames)
        before, after = frames[1], frames[2]
        frames[1] = replace(before, planes=after.planes)
        if way == "swap":
            frames[2] = replace(after, planes=before.planes)
    made = encode_chunk(frames, index, *given, **named)
    if way == "header":
        return replace(made, header_sha256="another")
    if way == "times":
        return replace(made, pts=[made.pts[0], made.pts[2], made.pts[1], *made.pts[3:]])
    if way == "cut":
        return replace(made, data=made.data[:-400])
    return made


_SAID = {
    "repeat": "shows something else than its source",
    "swap": "shows something else than its source",
    "header": "another header than",
    "times": "is shown at another time",
    "cut": "encoded frame",
}


def _with_other_headers(times: dict[int, int], tries: Counter[int]) -> Any:
    """An encoder that spoils the header of a chunk so many times, and counts in `tries`."""

    def encode(frames: Any, index: int, *given: Any, **named: Any) -> EncodedChunk:
        tries[index] += 1
        way = "header" if tries[index] <= times.get(index, 0) else ""
        return _wrong(way, frames, index, *given, **named)

    return encode


@pytest.mark.parametrize("times", [{1: 1}, {1: 2, 2: 2}])
@pytest.mark.usefixtures("inline")
def test_a_chunk_that_can_t_be_joined_with_the_others_has_three_attempts(
    times: dict[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 89."""
    tries = Counter[int]()
    source = media.write(tmp_path / "film.mp4", replace(FILM, frames=24))
    options = {**H264, "preset": "balanced", "chunk_seconds": 0.13}
    upscaled(source, tmp_path / "right.mp4", **options)
    monkeypatch.setattr("pipelines.workers.stage_threads.encode_chunk", _with_other_headers(times, tries))
    events = upscaled(source, tmp_path / "out.mp4", **options)
    assert {index: count for index, count in tries.items() if count > 1} == {
        index: count + 1 for index, count in times.items()
    }
    assert finished_of(events).frames == 24
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "right.mp4").read_bytes()


@pytest.mark.parametrize(("seconds", "wrong"), [(0.13, {0: 1}), (0.25, {0: 1})])
@pytest.mark.usefixtures("inline")
def test_a_wrong_header_of_the_first_chunk_is_not_taken_for_that_of_the_film(
    seconds: float, wrong: dict[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 89."""
    source = media.write(tmp_path / "film.mp4", FILM)
    options = {**H264, "preset": "balanced", "chunk_seconds": seconds}
    upscaled(source, tmp_path / "right.mp4", **options)
    tries = Counter[int]()
    monkeypatch.setattr("pipelines.workers.stage_threads.encode_chunk", _with_other_headers(wrong, tries))
    events = upscaled(source, tmp_path / "out.mp4", **options)
    assert tries[0] == 2
    assert finished_of(events).frames == 12
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "right.mp4").read_bytes()


@pytest.mark.usefixtures("inline")
def test_a_first_chunk_that_always_has_another_header_is_the_one_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 89."""
    source = media.write(tmp_path / "film.mp4", FILM)
    encode = _with_other_headers({0: 99}, Counter())
    monkeypatch.setattr("pipelines.workers.stage_threads.encode_chunk", encode)
    with pytest.raises(ResourceError, match=r"chunk 0: .*another header .*--encoder software --fresh does"):
        upscaled(source, tmp_path / "out.mp4", **{**H264, "preset": "balanced"}, chunk_seconds=0.13)


@pytest.mark.parametrize("way", _SAID)
@pytest.mark.usefixtures("inline")
def test_a_driver_that_always_spoils_a_chunk_ends_the_run(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 89."""

    def always(frames: Any, index: int, *given: Any, **named: Any) -> EncodedChunk:
        return _wrong(way if index == 1 else "", frames, index, *given, **named)

    monkeypatch.setattr("pipelines.workers.stage_threads.encode_chunk", always)
    source = media.write(tmp_path / "film.mp4", FILM)
    with pytest.raises(ResourceError, match=f"chunk 1: .*{_SAID[way]}.*--encoder software --fresh does"):
        upscaled(source, tmp_path / "out.mp4", **{**H264, "preset": "balanced"}, chunk_seconds=0.13)


@pytest.mark.usefixtures("inline")
def test_workers_without_the_plan_s_gpu_take_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 89."""
    source = media.write(tmp_path / "film.mp4", FILM)
    monkeypatch.setattr("pipelines.workers.chunk_worker.encoder_hardware", lambda _: "")
    with pytest.raises(
        (ResourceError, UsageError), match="the GPU whose encoder the plan names is not there"
    ):
        upscaled(source, tmp_path / "out.mp4", **{**H264, "preset": "balanced"})


@pytest.mark.usefixtures("inline")
def test_chunks_of_another_driver_are_not_mixed_with_those_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 89."""
    import pipelines.workers.stage_threads as threads

    kept = threads.encode_chunk
    monkeypatch.setattr(
        threads,
        "encode_chunk",
        lambda frames, index, *a, **n: kept(frames, index if index == 0 else 1 // 0, *a, **n),
    )
    source = media.write(tmp_path / "film.mp4", FILM)
    with pytest.raises(ZeroDivisionError):
        upscaled(source, tmp_path / "out.mp4", **{**H264, "preset": "balanced"}, chunk_seconds=0.25)
    monkeypatch.setattr(threads, "encode_chunk", kept)
    monkeypatch.setattr("pipelines.workers.chunk_worker.encoder_hardware", lambda _: "GPU, driver 2")
    with pytest.raises(UsageError, match="encoder: GPU, driver 1 before, GPU, driver 2 now"):
        upscaled(source, tmp_path / "out.mp4", **{**H264, "preset": "balanced"}, chunk_seconds=0.25)


def test_a_frame_that_a_driver_repeats_once_is_right_at_the_next_attempt_of_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 89."""
    source = media.write(tmp_path / "film.mp4", FILM)
    settings = run_settings(**{**H264, "preset": "balanced", "chunk_seconds": 0.25})
    mark = tmp_path / "spoilt"
    monkeypatch.setenv("VSR_TEST_MARK", str(mark))
    made = []
    for name in ("out.mp4", "right.mp4"):  # the second one is not spoilt
        worker = "tests.pipelines.pool.failing_workers:SpoilingOnce"
        events = list(upscale_video(source, tmp_path / name, settings, worker=worker))
        said = [e.text for e in events if isinstance(e, Note)]
        assert any("shows something else" in text for text in said) == (name == "out.mp4")
        assert mark.exists()
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]
