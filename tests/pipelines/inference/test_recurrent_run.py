"""A recurrent network in a run: neighbouring frames, shots, and chunks that begin anywhere."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from models.architectures.recurrent import Recurrent
from models.catalog.loader import load_network
from models.catalog.lookup import find_cards
from models.errors import UsageError
from pipelines.inference.upscaler import Upscaler
from pipelines.model_files.card_writer import NetworkFacts, export
from pipelines.planner import plan_builder
from pipelines.planner.network_choice import choose_stages
from pipelines.training.weight_transfer import transfer_weights
from pipelines.workers import progress_reports
from pipelines.workers.chunk_worker import ChunkUpscaler
from tests.helpers.inline import planned_of, upscaled, without_processes
from tests.helpers.sameness import assert_same_timing

SIZE = (128, 96)
FRAMES = 30
CUT = 17


@pytest.fixture
def network(tmp_path: Path) -> str:
    """A recurrent network that begins as `fast-x2` and then listens to its neighbours and its memory a
    little.
    """
    torch.manual_seed(5)
    module = Recurrent(scale=2, width=32, depth=8)
    weights, _ = transfer_weights(module, load_network(find_cards("fast-x2")[0]).module.state_dict())  # type: ignore[attr-defined]
    weights["head.weight"][:, [n for n in range(50) if n not in module.old_inputs["head.weight"]]] += (
        0.03 * torch.randn(32, 44, 3, 3)
    )
    settings = {"width": 32, "depth": 8}
    return str(
        export(
            weights,
            NetworkFacts("recurrent", settings, 2),
            folder=tmp_path / "net",
            name="memory-x2",
        )
    )


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A picture that pans, and from frame CUT on another one; a key frame every eight frames."""
    path = tmp_path / "film.mp4"
    pictures = [
        np.kron(np.random.default_rng(n).integers(lo, hi, (20, 40)), np.ones((8, 8)))
        for n, (lo, hi) in enumerate([(20, 120), (90, 235)])
    ]
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=24, options={"crf": "8", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.gop_size = 8
        for number in range(FRAMES):
            luma = pictures[number >= CUT][
                number : number + SIZE[1], 2 * number : 2 * number + SIZE[0]
            ].astype(np.uint8)
            frame = av.VideoFrame(*SIZE, "yuv420p")
            for plane, values in zip(
                frame.planes, (luma, luma[::2, ::2] // 2 + 64, 190 - luma[::2, ::2] // 2), strict=True
            ):
                rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
                rows[: values.shape[0], : values.shape[1]] = values
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def lumas(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [f.to_ndarray()[: f.height].astype(np.float64) for f in container.decode(video=0)]


def run(film: Path, output: Path, network: str, **settings: object) -> list[np.ndarray]:
    upscaled(film, output, **{"model": network, "scale": 2, **settings})
    assert_same_timing(output, film) if "range" not in settings else None
    return lumas(output)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, ((a - b) ** 2).mean())))


def test_a_chunk_looks_the_same_wherever_its_decoding_began(
    film: Path, network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 19."""
    without_processes(monkeypatch)
    whole = run(film, tmp_path / "whole.mkv", network)
    cut = run(film, tmp_path / "cut.mkv", network, chunk_seconds=0.2)
    alone = run(film, tmp_path / "alone.mkv", "fast-x2")
    assert (
        planned_of(upscaled(film, tmp_path / "p.mkv", model=network, scale=2, chunk_seconds=0.2))
        .plan.chunks[1]
        .start_frame
        <= 8
    )
    assert min(psnr(a, b) for a, b in zip(whole, cut, strict=True)) >= 45
    # It does listen: or the line above would say nothing.
    assert max(psnr(a, b) for a, b in zip(whole[1:16], alone[1:16], strict=True)) < 45


def test_nothing_of_the_shot_before_is_seen_after_a_cut(
    film: Path, network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 19."""
    without_processes(monkeypatch)
    whole = run(film, tmp_path / "whole.mkv", network)
    behind = run(film, tmp_path / "behind.mkv", network, range=f"{CUT / 24:.6f}-")
    assert len(behind) == FRAMES - CUT
    assert all(np.array_equal(a, b) for a, b in zip(whole[CUT:], behind, strict=True))


def test_chunks_made_anew_after_a_stop_have_the_same_bits(
    film: Path, network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 19: what a worker remembers of the chunks it made before does not show in the next one."""
    without_processes(monkeypatch)
    cut = run(film, tmp_path / "cut.mkv", network, chunk_seconds=0.2)
    fresh: list[int] = []
    follow = ChunkUpscaler.upscale

    def failing(self: ChunkUpscaler, window: object) -> object:
        fresh.append(1)
        if len(fresh) == 14:
            raise KeyboardInterrupt
        return follow(self, window)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ChunkUpscaler, "upscale", failing)
        upscaled(film, tmp_path / "again.mkv", model=network, scale=2, chunk_seconds=0.2)
    events = upscaled(film, tmp_path / "again.mkv", model=network, scale=2, chunk_seconds=0.2)
    assert planned_of(events).chunks_done > 0
    assert all(np.array_equal(a, b) for a, b in zip(lumas(tmp_path / "again.mkv"), cut, strict=True))


def test_frames_it_only_settles_with_are_reported_for(
    film: Path, network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 57: at 8K each of them takes as long as one that is kept."""
    without_processes(monkeypatch)
    monkeypatch.setattr(progress_reports, "_REPORT_SECONDS", 0.0)
    seen: list[str] = []
    follow, report = Upscaler.follow, progress_reports.ProgressReports.now
    monkeypatch.setattr(Upscaler, "follow", lambda *given: (seen.append("frame"), follow(*given))[1])
    monkeypatch.setattr(
        progress_reports.ProgressReports, "now", lambda reports: (seen.append("report"), report(reports))[1]
    )
    run(film, tmp_path / "out.mkv", network, chunk_seconds=0.5)
    assert seen.count("frame") > FRAMES
    assert ("frame", "frame") not in list(pairwise(seen)), "nothing was said between two frames"


def test_tiles_with_a_memory_equal_the_whole_frame(
    film: Path, network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    without_processes(monkeypatch)
    whole = run(film, tmp_path / "whole.mkv", network)
    made = plan_builder.make_plan
    monkeypatch.setattr(
        "pipelines.planner.video_planner.make_plan", lambda *a, **k: replace(made(*a, **k), tile_px=(32, 48))
    )
    tiled = run(film, tmp_path / "tiled.mkv", network)
    assert max(float(np.abs(a - b).max()) for a, b in zip(whole, tiled, strict=True)) <= 2


def test_the_long_way_round_gives_what_the_direct_one_gives(
    film: Path, network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_processes(monkeypatch)
    direct = run(film, tmp_path / "direct.mkv", network)
    monkeypatch.setattr("pipelines.inference.upscaler.Upscaler._is_direct", lambda _: False)
    assert (
        max(
            float(np.abs(a - b).max())
            for a, b in zip(run(film, tmp_path / "long.mkv", network), direct, strict=True)
        )
        <= 2
    )


def test_a_network_with_a_memory_comes_first_and_others_finish_what_it_leaves(network: str) -> None:
    memory, fast = find_cards(network), find_cards("fast")
    with pytest.raises(UsageError, match="must come first"):
        choose_stages([find_cards("lanczos"), memory], 128, 96, 512, 384)
    stages = choose_stages([memory], 128, 96, 512, 384)
    assert [s.card.architecture for s in stages] == ["recurrent", "compact"]
    assert fast
    assert Fraction(stages[-1].width, 128) == 4
