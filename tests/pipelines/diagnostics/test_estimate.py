"""What `vsr plan --measure` estimates."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from models.errors import OutputError
from pipelines.diagnostics.benchmark import estimate_seconds
from pipelines.diagnostics.estimate import Estimate, TriedFrames, _chunks, estimate, estimated, estimating
from pipelines.diagnostics.preview import Preview, preview
from pipelines.diagnostics.run_time import expected_rate, machine_share, mean_frame_seconds, run_seconds
from pipelines.hardware.resources import WorkerAllocation
from pipelines.plan.events import Note, Planned
from pipelines.planner.video_planner import plan_video
from pipelines.run import chunk_loop
from pipelines.workers.messages import StageSeconds
from pipelines.workers.stage_timer import _queued_seconds
from tests import media
from tests.helpers import patches
from tests.helpers.inline import QUICK, finished_of, planned_of, upscaled
from vsr.api import run_settings

pytestmark = pytest.mark.usefixtures("inline")

SAMPLE = StageSeconds({"network": 0.1}, {"network": 0.2}, 2, False, 0, 0.0, 0, 0, key_bytes=3000.0, bytes_a_frame=100.0)  # fmt: skip


@pytest.fixture
def planned(tmp_path: Path) -> Planned:
    source = media.cfr(tmp_path / "in.mp4", frames=50)
    return plan_video(source, tmp_path / "out.mkv", run_settings(**QUICK, chunk_seconds=0.5))


def test_size_and_disk_follow_from_the_samples(planned: Planned) -> None:
    chunks = len(planned.plan.chunks)
    found = estimated(planned, [TriedFrames(SAMPLE), TriedFrames(replace(SAMPLE, bytes_a_frame=300.0))])
    assert chunks > 2
    video = chunks * 3000 + (50 - chunks) * 200
    assert found.output_bytes - video == found.disk_bytes - 2 * video < Path(planned.info.path).stat().st_size
    assert found.seconds == pytest.approx(4 + 50 * (0.1 + 0.0025) * 1.1)
    assert found.free_bytes > 0


def test_small_frames_take_longer_than_their_stages_alone(planned: Planned) -> None:
    for alone in (0.002, 0.2):
        stages = replace(SAMPLE, wall={"network": alone}, cpu={"network": 2 * alone})
        assert estimate_seconds(planned, stages) == pytest.approx(run_seconds(50, alone + 0.0025))


@pytest.mark.parametrize(("told", "factor"), [(0.0, 1.0), (0.5, 2.0), (2.0, 0.5), (0.01, 4.0), (100.0, 0.25)])
def test_where_the_film_is_busier_than_at_the_places_its_own_packets_say_so(
    planned: Planned, told: float, factor: float
) -> None:
    sizes = [s for s, key in zip(planned.info.index.size, planned.info.index.clean, strict=True) if not key]
    mean = sum(sizes) / len(sizes)
    assert mean > 20 / told if told > 0.1 else True
    plain, found = (estimated(planned, [TriedFrames(SAMPLE, source)]) for source in (0.0, told * mean))
    keys = len(planned.plan.chunks) * 3000
    tracks = plain.output_bytes - keys - (50 - len(planned.plan.chunks)) * 100
    moved = max(0.25, min(4.0, mean / max(20.0, told * mean))) if told else 1.0
    assert moved == pytest.approx(factor, rel=0.6 if told == 0.01 else 0.01)
    assert found.output_bytes - keys - tracks == pytest.approx(
        (50 - len(planned.plan.chunks)) * 100 * moved, abs=2
    )


RECORDED = json.loads(Path(__file__).with_name("recorded_estimates.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("run", RECORDED["runs"], ids=lambda run: run["name"])
def test_of_recorded_runs_on_a_busy_machine_the_cpu_time_is_estimated_within_15_percent(
    run: dict[str, Any],
) -> None:
    """Their wall-clock time would say how much the other programs took."""
    samples = [
        replace(SAMPLE, wall=p["wall"], cpu=p["cpu"], queued=p["queued"], cores=run["cores"])
        for p in run["places"]
    ]
    planned = SimpleNamespace(plan=SimpleNamespace(frame_count=run["frames"]), frames_done=0)
    seconds = estimate_seconds(planned, mean_frame_seconds(samples))  # type: ignore[arg-type]
    a_frame = (run["run_cpu_seconds"] - RECORDED["start_cpu_seconds"]) / run["frames"] / run["cores"]
    assert seconds == pytest.approx(run_seconds(run["frames"], a_frame), rel=0.15)
    assert machine_share(samples) < 0.2


def test_a_network_takes_as_long_everywhere_but_where_the_picture_stands_still() -> None:
    moving, slowed, still = (
        replace(SAMPLE, wall={"network": w}, cpu={"network": 2 * w}, tiles=10, reused=reused)
        for w, reused in ((0.1, 0), (0.3, 0), (0.05, 5))
    )
    assert mean_frame_seconds([moving, slowed]).wall["network"] == pytest.approx(0.1)
    assert mean_frame_seconds([moving, slowed, still]).cpu["network"] == pytest.approx(0.2 * 2.5 / 3)
    frozen = replace(still, reused=10)
    assert mean_frame_seconds([moving, frozen]).wall["network"] == pytest.approx((0.1 + 0.05) / 2)


@pytest.mark.parametrize(("queued", "share"), [((0.0, 0.0), 1.0), ((0.2, 0.2), 0.5), ((0.0, 1.2), 0.25)])
def test_the_machine_share_is_computed_from_the_time_threads_waited_for_a_core(
    planned: Planned, queued: tuple[float, float], share: float
) -> None:
    found = estimated(planned, [TriedFrames(replace(SAMPLE, queued=q)) for q in queued])
    assert found.share == pytest.approx(share)
    assert found.seconds == estimated(planned, [TriedFrames(SAMPLE)]).seconds


def test_what_threads_waited_for_a_core_is_read_of_each_of_them(tmp_path: Path) -> None:
    for number, text in enumerate(("100 1500000000 7", "5 500000000 1", "nonsense")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "schedstat").write_text(text, encoding="ascii")
    (tmp_path / "gone").mkdir()
    assert _queued_seconds(tmp_path) == 2.0
    assert _queued_seconds(tmp_path / "elsewhere") == 0.0


def test_places_lie_inside_the_film_and_not_at_its_beginning(tmp_path: Path) -> None:
    plan = plan_video(
        media.cfr(tmp_path / "in.mp4", frames=144), tmp_path / "out.mkv", run_settings(**QUICK)
    ).plan
    assert len(plan.chunks) == 3
    assert [(c.start_frame, c.stop_frame) for c in _chunks(plan)] == [(18, 30), (66, 78), (114, 126)]
    assert [
        (c.start_frame, c.stop_frame) for c in _chunks(replace(plan, start_frame=100, stop_frame=120))
    ] == [(107, 113)]
    assert [
        (c.start_frame, c.stop_frame) for c in _chunks(replace(plan, start_frame=100, stop_frame=103))
    ] == [(100, 103)]
    assert [(c.start_frame, c.stop_frame) for c in _chunks(replace(plan, stop_frame=57))] == [
        (10, 19),
        (38, 47),
    ]
    for count in range(12, 144):  # no range costs as much to estimate as to run
        assert sum(c.frame_count for c in _chunks(replace(plan, stop_frame=count))) <= count / 3
    far = replace(plan, stop_frame=100_000, linear=True)
    assert 9_000 < _chunks(far)[-1].stop_frame < 10_000
    assert _chunks(replace(far, stop_frame=1000))[-1].stop_frame < 240
    # A long film can afford more places, so that its scenes even out.
    for count, places in ((959, 3), (960, 4), (2880, 12), (172_800, 12)):
        long = replace(plan, stop_frame=count, linear=False)
        assert [c.frame_count for c in _chunks(long)] == [12] * places
        assert _chunks(long)[-1].start_frame > count * (1 - 1 / places)


def test_only_short_films_are_said_to_take_little_longer(tmp_path: Path) -> None:
    planned = plan_video(
        media.cfr(tmp_path / "in.mp4", frames=200), tmp_path / "out.mkv", run_settings(**QUICK)
    )
    note = next(event for event in estimating(planned, run_settings(**QUICK).execution))
    assert isinstance(note, Note)
    assert "trying 36 frames" in note.text
    assert "little longer" not in note.text


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "h264"])
def test_every_place_is_tried_whatever_shares_a_decoder(tmp_path: Path, suffix: str) -> None:
    source = (
        media.raw(tmp_path / "in.h264", frames=100)
        if suffix == "h264"
        else media.long_gop(tmp_path / f"in.{suffix}", frames=100)
    )
    planned = plan_video(source, tmp_path / "out.mkv", run_settings(**QUICK))
    *told, found = estimating(planned, run_settings(**QUICK).execution)
    assert isinstance(found, Estimate)
    assert found.places == 3
    said = [note.text for note in told if isinstance(note, Note)]
    assert said[0] == (
        "trying 33 frames of the film at 3 places: decoder, networks, encoder; a run of such a short film takes"
        " little longer"
    )
    assert [text[:21] for text in said[1:]] == ["1 of 3 places tried: ", "2 of 3 places tried: "]


@pytest.mark.parametrize(
    ("codec", "options"),
    [("h264", {"crf": 18.0}), ("hevc", {}), ("hevc", {"crf": 8.0}), ("ffv1", {}), ("prores", {})],
)
def test_before_anything_is_measured_the_disk_is_bounded_above(
    tmp_path: Path, codec: str, options: dict[str, float]
) -> None:
    """Noise, of which no encoder makes anything small."""
    rng = np.random.default_rng(1)
    noise = [
        [rng.normal(120, 8, size).clip(16, 235).astype(np.uint8) for size in ((96, 128), (48, 64), (48, 64))]
        for _ in range(12)
    ]
    source = patches.write_planes(
        tmp_path / "in.mkv", noise, "yuv420p", (1, 1, 1, 1), codec="libx264", qp="20"
    )
    output = tmp_path / ("out.mov" if codec == "prores" else "out.mkv")
    events = upscaled(source, output, scale=2, model="bicubic", codec=codec, **options)
    assert 2 * finished_of(events).bytes <= planned_of(events).estimated_bytes


@pytest.mark.parametrize("suffix", ["png", "tiff", "dpx", "jpg", "webp"])
def test_the_disk_that_numbered_pictures_take_is_bounded_and_measured(tmp_path: Path, suffix: str) -> None:
    source = media.cfr(tmp_path / "in.mp4", frames=12, size=(128, 96))
    settings = {"scale": 2, "model": "bicubic", "codec": "hevc", "preset": "balanced"}
    output = tmp_path / f"up_%02d.{suffix}"
    planned = plan_video(source, output, run_settings(**{**QUICK, **settings}))
    measured = estimate(planned, run_settings(**{**QUICK, **settings}).execution)
    done = finished_of(upscaled(source, output, **settings))
    assert measured.output_bytes == pytest.approx(done.bytes, rel=0.2)
    assert measured.disk_bytes == pytest.approx(2 * done.bytes, rel=0.2)
    assert 2 * done.bytes <= planned.estimated_bytes


def test_a_disk_that_may_be_too_small_is_said_and_one_that_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = media.cfr(tmp_path / "in.mp4", frames=4, size=(640, 480))
    settings = {"scale": 4, "model": "nearest"}
    most = plan_video(source, tmp_path / "out.mkv", run_settings(**{**QUICK, **settings})).estimated_bytes
    usage = {"free": most - 1}
    monkeypatch.setattr(chunk_loop.shutil, "disk_usage", lambda _: SimpleNamespace(**usage))
    monkeypatch.setattr(chunk_loop, "_LEAST_FREE_BYTES", 0)
    said = [e.text for e in upscaled(source, tmp_path / "out.mkv", **settings) if isinstance(e, Note)]
    assert any("GB may be needed; vsr plan" in text for text in said)
    usage["free"] = most // 9
    with pytest.raises(OutputError, match=r"up to .* GB needed; free some space"):
        upscaled(source, tmp_path / "other.mkv", **settings)


def test_a_run_comes_out_as_large_as_estimated(planned: Planned, tmp_path: Path) -> None:
    found = estimate(planned, run_settings(**QUICK, chunk_seconds=0.5).execution)
    assert found.places == 2
    done = finished_of(upscaled(Path(planned.input), tmp_path / "out.mkv", chunk_seconds=0.5))
    assert found.output_bytes == pytest.approx(done.bytes, rel=0.2)


@pytest.mark.parametrize(
    ("allocation", "a_frame"),
    [
        (WorkerAllocation(1, ("0",)), 0.1),  # its encoder, with the cores it has threads for
        (WorkerAllocation(2, ("0",)), 0.05),
        (WorkerAllocation(4, ("0",)), 0.04),  # the device they share
        (WorkerAllocation(4, ("0", "1")), 0.03125),  # the cores
        (WorkerAllocation(40, ("0", "1")), 0.03125),
        (None, 0.1),
    ],
)
def test_workers_on_cuda_share_cores_and_devices(
    planned: Planned, allocation: WorkerAllocation | None, a_frame: float
) -> None:
    stages = StageSeconds(
        {"decode": 0.02, "network": 0.04, "encode": 0.1},
        {"decode": 0.1, "network": 0.0, "encode": 0.4},
        16,
        True,
        0,
        0.0,
        0,
        0,
    )
    many, single = (
        replace(planned, plan=replace(planned.plan, spans=spans))
        for spans in (planned.plan.spans * 40, planned.plan.spans[:1])
    )
    assert estimate_seconds(many, stages, allocation) == pytest.approx(4 + 50 * 1.1 * a_frame)
    assert estimate_seconds(single, stages, allocation) == pytest.approx(
        4 + 50 * 1.1 * 0.1
    )  # there is nothing for a second one


def test_the_bar_of_a_run_begins_with_what_plan_and_preview_estimated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same plan on the same workers; what else was estimated says nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source, output = media.cfr(tmp_path / "in.mp4", frames=50), tmp_path / "out.mkv"
    settings, others = run_settings(**QUICK), run_settings(**QUICK, chunk_seconds=0.5)
    planned = plan_video(source, output, settings)
    assert expected_rate(settings.execution, planned.plan) is None
    found = estimate(planned, settings.execution)
    assert expected_rate(settings.execution, planned.plan) == pytest.approx(
        50 / (found.seconds - 4), rel=1e-6
    )
    assert expected_rate(replace(settings.execution, workers=2), planned.plan) is None
    other = plan_video(source, output, others)
    assert expected_rate(settings.execution, other.plan) is None
    *_, shown = preview(source, tmp_path / "shown", others, models=(settings.model,), at=("0",))
    assert isinstance(shown, Preview)
    assert expected_rate(settings.execution, other.plan) == pytest.approx(
        50 / (shown.choices[0].seconds - 4), rel=1e-6
    )
