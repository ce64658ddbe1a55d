"""What `vsr plan --measure` estimates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.diagnostics.benchmark import estimate_seconds
from pipelines.diagnostics.estimate import estimate, estimated
from pipelines.plan.events import Planned
from pipelines.planner.resources import Crew
from pipelines.planner.video_planner import plan_video
from pipelines.workers.messages import Stages
from tests import media
from tests.helpers.inline import QUICK, finished_of, upscaled
from vsr.api import run_settings

pytestmark = pytest.mark.usefixtures("inline")

SAMPLE = Stages({"network": 0.1}, {"network": 0.2}, 2, False, 0, 0.0, 0, 0, key_bytes=3000.0, bytes_a_frame=100.0)  # fmt: skip


@pytest.fixture
def planned(tmp_path: Path) -> Planned:
    source = media.cfr(tmp_path / "in.mp4", frames=50)
    return plan_video(source, tmp_path / "out.mkv", run_settings(**QUICK, chunk_seconds=0.5))[0]


def test_size_and_disk_follow_from_the_samples(planned: Planned) -> None:
    chunks = len(planned.plan.chunks)
    found = estimated(planned, [SAMPLE, replace(SAMPLE, bytes_a_frame=300.0)])
    assert chunks > 2
    video = chunks * 3000 + (50 - chunks) * 200
    assert found.output_bytes - video == found.disk_bytes - 2 * video < Path(planned.info.path).stat().st_size
    assert found.seconds == pytest.approx(4 + 50 * 0.1 * 1.1)
    assert found.free_bytes > 0


def test_a_run_comes_out_as_large_as_estimated(planned: Planned, tmp_path: Path) -> None:
    found = estimate(planned, run_settings(**QUICK, chunk_seconds=0.5))
    assert found.places == 3
    done = finished_of(upscaled(Path(planned.input), tmp_path / "out.mkv", chunk_seconds=0.5))
    assert found.output_bytes == pytest.approx(done.bytes, rel=0.3)


@pytest.mark.parametrize(
    ("crew", "a_frame"),
    [
        (Crew(1, ("0",)), 0.1),  # its encoder, with the cores it has threads for
        (Crew(2, ("0",)), 0.05),
        (Crew(4, ("0",)), 0.04),  # the device they share
        (Crew(4, ("0", "1")), 0.03125),  # the cores
        (Crew(40, ("0", "1")), 0.03125),
        (None, 0.1),
    ],
)
def test_workers_on_cuda_share_cores_and_devices(planned: Planned, crew: Crew | None, a_frame: float) -> None:
    stages = Stages({"decode": 0.02, "network": 0.04, "encode": 0.1}, {"decode": 0.1, "network": 0.0, "encode": 0.4}, 16, True, 0, 0.0, 0, 0)
    many, single = (replace(planned, plan=replace(planned.plan, spans=spans)) for spans in (planned.plan.spans * 40, planned.plan.spans[:1]))
    assert estimate_seconds(many, stages, crew) == pytest.approx(4 + 50 * 1.1 * a_frame)
    assert estimate_seconds(single, stages, crew) == pytest.approx(4 + 50 * 1.1 * 0.1)  # there is nothing for a second one
