"""On a CUDA device, results do not depend on stills, graphs or frames in flight, and are close to fp32.

`make gpu` runs these.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.errors import NoMemoryError
from pipelines.inference.cuda.cuda_graph import GraphedNetwork
from pipelines.inference.cuda.transfer_ring import StreamAccelerator
from pipelines.inference.device import choose_device, numerics_class
from pipelines.inference.temporal_windows import single_frame_window
from pipelines.inference.upscaler import Upscaler
from pipelines.media.video_info import Frame
from tests.helpers.command import ROOT, environment
from tests.pipelines.inference.cuda.test_cuda_pipeline import partly_still
from tests.pipelines.inference.test_upscaler import CPU, card, picture, plan_of, same

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

SIZE = (640, 360)


def on_cuda(
    *,
    graph: bool = True,
    pix_fmt: str = "yuv420p",
    name: str = "quality-x2",
    accelerator: StreamAccelerator | None = None,
) -> Upscaler:
    upscaler = Upscaler(
        plan_of(card(name), *SIZE, 2, pix_fmt, tile=(180, 320)),
        choose_device("cuda"),
        accelerator=accelerator,
    )
    assert upscaler._accelerated is not None
    if not graph:
        upscaler._accelerated.graphed._record = None
    return upscaler


def film(pix_fmt: str = "yuv420p") -> list[Frame]:
    return [replace(picture(pix_fmt, *SIZE, seed), pts=seed) for seed in range(6)]


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize("name", ["fast-x2", "quality-x2"])
def test_the_picture_is_that_of_fp32(name: str, pix_fmt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = on_cuda(pix_fmt=pix_fmt, name=name)(film(pix_fmt))
    monkeypatch.setattr("pipelines.inference.upscaler.computing_dtype", lambda *_: torch.float32)
    exact = Upscaler(plan_of(card(name), *SIZE, 2, pix_fmt, tile=(180, 320)), CPU)(film(pix_fmt))
    peak = 255 if pix_fmt == "yuv420p" else 1023
    for a, b in zip(found, exact, strict=True):
        for x, y in zip(a.planes, b.planes, strict=True):
            assert 10 * np.log10(peak**2 / max(1e-9, np.square(x.astype(float) - y).mean())) >= 50


def test_stills_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 1: tiles are made beside others in one frame, and taken over in the next."""
    frames, running = partly_still(SIZE), on_cuda()
    found = running(frames)
    assert 0 < running.stills.taken < running.stills.tiles
    monkeypatch.setattr("pipelines.inference.tile_cache.TileCache.same", lambda *_: False)
    assert all(same(a, b) for a, b in zip(found, on_cuda()(frames), strict=True))


def test_where_a_film_is_entered_leaves_no_trace() -> None:
    """Case 1: the first frame of a chunk has none before it to take tiles over from."""
    frames = partly_still(SIZE)
    found = on_cuda()(frames)
    for start in range(1, len(frames), 3):
        assert all(same(a, b) for a, b in zip(on_cuda()(frames[start:]), found[start:], strict=True))


def test_graphs_leave_no_trace() -> None:
    assert all(same(a, b) for a, b in zip(on_cuda(graph=False)(film()), on_cuda()(film()), strict=True))


def test_frames_in_flight_are_those_made_one_by_one() -> None:
    running, together = on_cuda(), on_cuda()(film())
    assert all(
        same(running.follow(single_frame_window(f, running.contract)), b)
        for f, b in zip(film(), together, strict=True)
    )


def test_a_second_run_has_the_same_bytes() -> None:
    assert all(same(a, b) for a, b in zip(on_cuda()(film()), on_cuda()(film()), strict=True))


def test_out_of_memory_in_the_middle_ends_the_run_and_changes_no_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Case 53."""
    running, calls = on_cuda(graph=False), []
    plain = GraphedNetwork._plain

    def full(self: GraphedNetwork, *tensors: torch.Tensor, **how: bool) -> tuple[torch.Tensor, ...]:
        calls.append(tensors[0].shape[0])
        if len(calls) == 3:
            torch.empty(1 << 50, dtype=torch.uint8, device="cuda")
        return plain(self, *tensors, **how)

    monkeypatch.setattr(GraphedNetwork, "_plain", full)
    with pytest.raises(NoMemoryError, match="memory of the device ran out"):
        running(film())
    assert calls == [4, 4, 4]
    assert all(same(a, b) for a, b in zip(running(film()), on_cuda()(film()), strict=True))


def test_copies_and_the_network_run_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the network is what takes time."""
    from tests.benchmarks.gpu import Marked, beside

    plain = GraphedNetwork._plain

    def slow(self: GraphedNetwork, *tensors: torch.Tensor, **how: bool) -> tuple[torch.Tensor, ...]:
        return [plain(self, *tensors, **how) for _ in range(20)][-1]

    monkeypatch.setattr(GraphedNetwork, "_plain", slow)
    marked = Marked(choose_device("cuda"))
    on_cuda(accelerator=marked)(film() * 8)
    assert beside(*marked.milliseconds()) > 0.5


def test_the_numerics_class_names_the_device() -> None:
    facts = numerics_class(choose_device("cuda"))
    assert facts["device"] == "cuda"
    assert facts["dtype"] == "float16"


def test_a_device_side_assert_is_reported_as_a_lost_worker() -> None:
    """Case 55."""
    program = (
        "import torch\nfrom pipelines.pool.interface import to_sendable_error\n"
        "try:\n    torch.zeros(4, device='cuda')[torch.tensor([9], device='cuda')].sum().item()\n"
        "except BaseException as error:\n    print(type(to_sendable_error(error)).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["ResourceError"], done.stderr[-1000:]
