"""A target size or VMAF instead of a CRF: found from samples, fixed in the plan, and met."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from models.errors import Interrupted, UsageError
from pipelines.encoders.encoder_crf import crf_scale, with_crf
from pipelines.encoders.hardware_options import hardware_options
from pipelines.frames.crf_trial import crf_trial
from pipelines.frames.ffmpeg_metrics import MetricsProcess, VmafProcess
from pipelines.media.video_info import Chunk
from pipelines.output.journal import work_folder, work_folder_plan
from pipelines.plan.events import AlreadyDone, ChunkFinished, Finished, Note
from pipelines.planner.video_planner import plan_video
from pipelines.run import crf_search
from pipelines.run.crf_estimate import (
    ChunkSample,
    choose_crf,
    choose_samples,
    estimate_mean,
    estimate_sum,
    next_ladder,
)
from pipelines.run.job import upscale_video
from pipelines.settings.crf_target import CrfTarget, parse_bytes
from pipelines.settings.encoder_spec import Encoder
from pipelines.settings.run_settings import EncodeSettings
from tests import media
from tests.helpers.inline import finished_of, planned_of, upscaled
from tests.helpers.view import decoded, frames, planes
from vsr.api import run_settings

pytestmark = pytest.mark.usefixtures("inline")

FAST: dict[str, Any] = {
    "scale": 2,
    "model": "bicubic",
    "codec": "h264",
    "preset": "ultrafast",
    "chunk_seconds": 0.5,
    "device": "cpu",
}
ALONE: dict[str, Any] = {key: value for key, value in FAST.items() if key != "chunk_seconds"}


@pytest.fixture(autouse=True)
def _trials_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child takes a second to start."""
    monkeypatch.setattr(crf_search, "call_in_child", lambda _, *arguments, seconds: crf_trial(*arguments))


def film(path: Path, frames_: int = 48, sound: bool = True) -> Path:
    """Texture that moves, more of it towards the end, so that a chunk says little of another one."""
    rng = np.random.default_rng(7)
    ground = np.kron(rng.integers(60, 200, (100, 120)), np.ones((2, 2))).astype(np.uint8)
    grey = np.full((32, 96), 128, np.uint8)
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=24, options={"preset": "ultrafast", "crf": "16", "g": "12"})
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        audio = output.add_stream("aac", rate=48000, layout="stereo") if sound else None
        packets = []
        for number in range(frames_):
            luma = ground[number : number + 64, 2 * number % 100 : 2 * number % 100 + 96].copy()
            luma[: 64 - 64 * number // frames_] = 128
            frame = av.VideoFrame.from_ndarray(np.concatenate([luma, grey]), "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 24)
            packets += video.encode(frame)
        packets += video.encode(None)
        if audio is not None:
            packets += media._audio_packets(audio, media.Audio(seconds=frames_ / 24))
        for packet in packets:
            output.mux(packet)
    return path


def told(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(f"{path}.vsr.json").read_text())
    return found


def notes(events: list[Any]) -> str:
    return "\n".join(e.text for e in events if isinstance(e, Note))


# --- size


@pytest.mark.parametrize(("wanted", "suffix"), [("90kB", ".mp4"), ("120kB", ".mkv")])
def test_a_result_has_the_size_that_was_requested_sound_and_all(
    wanted: str, suffix: str, tmp_path: Path
) -> None:
    """Case 101."""
    source, made = film(tmp_path / "in.mp4"), tmp_path / f"out{suffix}"
    events = upscaled(source, made, **FAST, target_size=wanted)
    assert made.stat().st_size == pytest.approx(parse_bytes(wanted), rel=0.05)
    target = told(made)["target"]
    assert target["crf"] == float(planned_of(events).plan.encoder.options["crf"])
    assert [crf for crf, _ in target["trials"]] == sorted({crf for crf, _ in target["trials"]})
    assert f"--target-size {int(wanted[:-2])}.00 kB: the result has" in notes(events)
    assert not list(tmp_path.glob(".*"))


def test_a_part_has_the_size_with_its_own_sound(tmp_path: Path) -> None:
    """Case 101."""
    source, made = film(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    upscaled(source, made, **FAST, target_size="50kB", range="0.5-1.5")
    assert made.stat().st_size == pytest.approx(50_000, rel=0.05)


def test_the_bytes_are_those_of_the_crf_that_was_found_and_the_same_again(tmp_path: Path) -> None:
    """Case 101."""
    source = film(tmp_path / "in.mp4")
    upscaled(source, tmp_path / "a.mp4", **FAST, target_size="90kB")
    upscaled(source, tmp_path / "b.mp4", **FAST, target_size="90kB")
    crf = told(tmp_path / "a.mp4")["target"]["crf"]
    upscaled(source, tmp_path / "c.mp4", **FAST, crf=crf)
    a, b, c = (told(tmp_path / f"{name}.mp4") for name in "abc")
    assert a["target"] == b["target"]
    assert a["sha256"] == b["sha256"] == c["sha256"]
    assert a["plan"] == c["plan"] != a["asked"]


def test_a_run_that_was_stopped_resumes_without_another_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 102."""
    source, made = film(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    whole = tmp_path / "whole.mp4"
    upscaled(source, whole, **FAST, target_size="90kB")
    stop = threading.Event()
    with pytest.raises(Interrupted):
        for event in upscale_video(source, made, run_settings(**FAST, target_size="90kB"), stop=stop):
            if isinstance(event, ChunkFinished):
                stop.set()
    begun = work_folder_plan(work_folder(made))
    assert begun is not None
    assert begun.target is not None
    assert begun.target.crf == told(whole)["target"]["crf"]
    monkeypatch.setattr(crf_search, "call_in_child", None)
    events = upscaled(source, made, **FAST, target_size="90kB")
    assert finished_of(events).made < 48
    assert made.read_bytes() == whole.read_bytes()
    again = upscaled(source, made, **FAST, target_size="90kB")
    assert isinstance(again[-1], AlreadyDone)


def test_a_search_that_was_stopped_leaves_no_samples_and_begins_again(tmp_path: Path) -> None:
    """Case 102."""
    source, made = film(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    stop = threading.Event()
    run = upscale_video(source, made, run_settings(**FAST, target_size="90kB"), stop=stop)
    assert "samples" in next(e for e in run if isinstance(e, Note)).text
    stop.set()
    with pytest.raises(Interrupted, match="searches again"):
        list(run)
    assert not (work_folder(made) / crf_search.SAMPLES).exists()
    assert isinstance(upscaled(source, made, **FAST, target_size="90kB")[-1], Finished)


def test_chunks_of_another_command_are_kept_from_a_search(tmp_path: Path) -> None:
    """Case 102."""
    source, made = film(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    stop = threading.Event()
    with pytest.raises(Interrupted):
        for event in upscale_video(source, made, run_settings(**FAST, crf=30.0), stop=stop):
            if isinstance(event, ChunkFinished):
                stop.set()
    with pytest.raises(UsageError, match="chunks of an earlier run are kept"):
        upscaled(source, made, **FAST, target_size="90kB")
    events = upscaled(source, made, **FAST, target_size="90kB", fresh=True)
    assert isinstance(events[-1], Finished)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"target_size": "900MB"}, r"comes to at most .* at CRF 1; give less"),
        ({"target_size": "4kB"}, r"comes to at least .* at CRF 51; give more"),
        ({"target_size": "9kB"}, r"sound, with the container's index, alone takes .*; give more"),
        ({"target_size": "2kB"}, r": the container's index alone takes .*; give more"),
        ({"target_vmaf": 99.999}, r"comes to at most VMAF .*, at CRF 1"),
    ],
)
def test_what_can_not_be_reached_is_refused_with_what_can(
    settings: dict[str, Any], said: str, tmp_path: Path
) -> None:
    """Case 101."""
    source = film(tmp_path / "in.mp4", 24, sound=settings.get("target_size") not in {"4kB", "2kB"})
    with pytest.raises(UsageError, match=said):
        upscaled(source, tmp_path / "out.mp4", **FAST, **settings)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"], "not even a work directory is left"


@pytest.mark.parametrize(
    ("settings", "name", "said"),
    [
        ({"codec": "ffv1", "preset": "balanced"}, "out.mkv", "ffv1 has no CRF"),
        ({"codec": "prores", "preset": "balanced"}, "out.mov", "prores has no CRF"),
        ({}, "frame_%05d.png", "pictures have no CRF"),
        ({"encoder_options": {"qp": "20"}}, "out.mp4", "--encoder-option qp sets the rate itself"),
        (
            {"encoder_options": {"x264-params": "aq-mode=2:bitrate=900"}},
            "out.mp4",
            "--encoder-option bitrate sets",
        ),
        ({"crf": 20.0}, "out.mp4", "exclude each other"),
        ({"target_vmaf": 95.0}, "out.mp4", "exclude each other"),
        ({"target_size": "many"}, "out.mp4", "expected a size such as 8GB"),
        ({"target_size": None, "target_vmaf": 100.0}, "out.mp4", "expected more than 0 and less than 100"),
    ],
)
def test_where_there_is_no_crf_to_search_for_the_target_is_refused(
    settings: dict[str, Any], name: str, said: str, tmp_path: Path
) -> None:
    """Case 101."""
    source = film(tmp_path / "in.mp4", 12)
    with pytest.raises(UsageError, match=said):
        upscaled(source, tmp_path / name, **{**ALONE, "target_size": "1MB", **settings})


def test_a_target_on_the_command_line_replaces_the_crf_of_a_file(tmp_path: Path) -> None:
    config = tmp_path / "own.toml"
    config.write_text('[encode]\ncodec = "h264"\ncrf = 30.0\n')
    found = run_settings(str(config), target_size="2 GB")
    assert found.encode.crf_target == CrfTarget("size", 2e9)
    config.write_text('[encode]\ncodec = "h264"\ntarget_vmaf = 90.0\n')
    assert run_settings(str(config), crf=21.0).encode.crf_target is None
    assert run_settings(str(config), target_size="2GB").encode.crf_target == CrfTarget("size", 2e9)


def test_before_the_search_the_plan_says_that_there_will_be_one(tmp_path: Path) -> None:
    source = film(tmp_path / "in.mp4", 24)
    settings = run_settings(**FAST, target_size="90kB")
    planned = plan_video(source, tmp_path / "out.mp4", settings)
    assert planned.plan.target is not None
    assert planned.plan.target.is_open
    assert any("the CRF is found from samples" in note for note in planned.info.notes)
    assert planned.estimated_bytes < 2 * 90_000 + source.stat().st_size
    other = plan_video(
        source, tmp_path / "out.mp4", replace(settings, encode=replace(settings.encode, target_size="95kB"))
    )
    assert other.plan.id != planned.plan.id
    *said, found = crf_search.search_alone(planned, settings)
    assert found.plan.target is not None
    assert not found.plan.target.is_open
    assert len(said) == 2


# --- VMAF


def vmaf_of(made: Path, lossless: Path) -> float:
    """Mean VMAF of all frames, by another road than the samples'."""
    with VmafProcess(192, 128, 8) as meter:
        for one, other in zip(decoded(made), decoded(lossless), strict=True):
            meter.add_luma([planes(one)[0], planes(other)[0]])
        return float(meter.figures()[0]["vmaf"].mean())


def test_a_result_has_the_vmaf_that_was_requested(tmp_path: Path) -> None:
    """Case 101."""
    source, made, wanted = film(tmp_path / "in.mp4"), tmp_path / "out.mp4", 97.0
    events = upscaled(source, made, **FAST, target_vmaf=wanted)
    upscaled(source, tmp_path / "lossless.mkv", **{**FAST, "codec": "ffv1", "preset": "balanced"})
    assert vmaf_of(made, tmp_path / "lossless.mkv") == pytest.approx(wanted, abs=1.0)
    assert f"--target-vmaf {wanted:g}: VMAF" in notes(events)
    assert told(made)["target"]["kind"] == "vmaf"


def test_vmaf_alone_is_the_vmaf_of_all_figures() -> None:
    rng = np.random.default_rng(1)
    pairs = [[rng.integers(0, 255, (64, 96), np.uint8) for _ in range(2)] for _ in range(3)]
    found = []
    for kind in (MetricsProcess, VmafProcess):
        with kind(96, 64, 8) as meter:
            for pair in pairs:
                meter.add_luma(pair)
            found.append(meter.figures()[0]["vmaf"])
    assert np.allclose(found[0], found[1])


# --- arithmetic


def test_samples_lie_all_over_the_film() -> None:
    chunks = [Chunk(n, 24 * n, 24 * n + 24) for n in range(1200)]
    found = choose_samples(chunks)
    assert len(found) == 37
    assert max(b - a for a, b in zip(found, found[1:], strict=False)) <= 34
    assert choose_samples(chunks[:5]) == [0, 1, 2, 3, 4]
    assert len(choose_samples(chunks[:100])) == 8


def test_what_the_source_says_of_the_rest_is_believed_as_far_as_the_samples_agree() -> None:
    tried = [ChunkSample(100, 1000 * n, 5000.0 * n) for n in (1, 2, 3)]
    others = [ChunkSample(100, 10_000, 0), ChunkSample(100, 4000, 0)]
    assert estimate_sum(tried, others).value == pytest.approx(30_000 + 70_000)
    assert estimate_sum(tried, others).spread == pytest.approx(0, abs=1e-6)
    constant = [
        ChunkSample(100, 1000, 4000.0),
        ChunkSample(100, 1000, 6000.0),
        ChunkSample(100, 1000, 5000.0),
    ]
    found = estimate_sum(constant, others)
    assert found.value == pytest.approx(25_000)
    assert 0.02 < found.spread < 0.1
    assert estimate_sum(tried, []).spread == 0
    assert estimate_mean([ChunkSample(10, 0, 90.0), ChunkSample(30, 0, 94.0)], []).value == 93


def test_the_crf_lies_where_a_curve_through_the_trials_meets_the_aim() -> None:
    def size(crf: float) -> float:
        return float(1e9 * np.exp(-0.12 * crf - 0.001 * (crf - 20) ** 2 + 0.00002 * (crf - 20) ** 3))

    points = [(crf, size(crf)) for crf in (14.0, 20.0, 26.0)]
    for crf in (13.5, 16.0, 22.0, 26.5):
        found = choose_crf(points, size(crf), "size")
        assert found is not None
        assert size(found) == pytest.approx(size(crf), rel=0.015)
    assert choose_crf(points, size(34), "size") is None
    vmaf = [(24.0, 99.4), (30.0, 98.6), (36.0, 92.5), (42.0, 74.4), (48.0, 49.0)]
    assert 36 < (choose_crf(vmaf, 90.0, "vmaf") or 0) < 38
    assert next_ladder(points, size(34), "size", 1, 51) == [32, 38]
    assert next_ladder(points, size(3), "size", 1, 51) == [2, 8]
    assert next_ladder([(45.0, 9.0), (51.0, 8.0)], 1.0, "size", 1, 51) == []


def test_an_encoder_in_hardware_gets_the_quantisers_of_the_crf_and_keeps_what_it_lacks() -> None:
    """Case 101."""
    options = hardware_options("hevc", "nvenc", preset="balanced", crf=19, pix_fmt="yuv420p") | {
        "bf": "0",
        "gpu": "1",
    }
    encoder = Encoder("hevc", "hevc_nvenc", 256, 144, "yuv420p", options)
    found = with_crf(encoder, 27, preset="balanced", before=19).options
    assert found["qp"] == "27"
    assert (found["bf"], found["gpu"]) == ("0", "1")
    assert {k for k in options if options[k] != found[k]} == {"qp"}
    assert crf_scale(encoder).on_grid(26.6) == 27
    software = Encoder("hevc", "libx265", 256, 144, "yuv420p", {"crf": "19"})
    assert with_crf(software, 22.4, preset="balanced", before=19).options == {"crf": "22.4"}


def test_a_search_measures_what_a_run_makes(tmp_path: Path) -> None:
    """Case 101: with everything tried, what is expected is the very size, but for the container's own bytes."""
    source, made = film(tmp_path / "in.mp4", sound=False), tmp_path / "out.mkv"
    events = upscaled(source, made, **FAST, target_size="90kB")
    target = planned_of(events).plan.target
    assert target is not None
    assert target.spread == 0
    with av.open(str(made)) as container:
        packets = sum(p.size for p in container.demux(video=0))
    assert packets == pytest.approx(target.expected - 2048 - 8 * 48, rel=0.02)
    assert len(frames(made)) == 48
    assert EncodeSettings().crf_target is None
    assert Fraction(target.samples) == len(planned_of(events).plan.chunks)
