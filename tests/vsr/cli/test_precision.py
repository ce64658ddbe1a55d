"""`--precision`: decided with the plan, kept by it, refused if it is not available.

Also `vsr quantize` for the user's own network.
"""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest

from models.layers.int8 import int8_is_exact
from pipelines.frames.images import write_png
from tests import media
from tests.helpers.integers import card_with_integers, network

exact = pytest.mark.skipif(not int8_is_exact(), reason="needs a CPU with VNNI, AMX or their like")
CPU = ("--device", "cpu", "--scale", "2")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    return card_with_integers(tmp_path_factory.mktemp("small")).path


def video_of(path: Path) -> list[bytes]:
    """The packets of the video stream."""
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux(container.streams.video[0])]


@exact
def test_a_run_on_integers_is_the_same_in_other_tiles_and_threads(
    here, small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = media.cfr(tmp_path / "in.mp4", frames=2)
    given = ("run", source, "--model", small, *CPU, "--codec", "h264", "--precision", "int8")
    assert here(*given, "-o", tmp_path / "a.mkv").code == 0
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert here(*given, "-o", tmp_path / "b.mkv", "--tile", "32x32").code == 0
    assert video_of(tmp_path / "a.mkv") == video_of(tmp_path / "b.mkv")


@pytest.mark.parametrize(
    ("pix_fmt", "model", "reason"),
    [
        ("yuv420p", "lanczos", "it is for networks, and lanczos is a classical scaler"),
        ("yuv420p10le", "", "is not known to be near enough to fp32 on 10-bit ramps"),
        ("yuv420p12le", "", "it is for sources of 8 or 10 bits, and this one is yuv420p12le"),
        ("yuv444p", "", "left-sited 4:2:0"),
    ],
)
def test_integers_are_refused_with_the_reason_before_work(
    here, small: str, tmp_path: Path, pix_fmt: str, model: str, reason: str
) -> None:
    source = media.cfr(tmp_path / "in.mkv", frames=2, codec="ffv1", pix_fmt=pix_fmt)
    here("plan", source, "--model", model or small, *CPU, "--precision", "int8").refused(
        2, "--precision int8", reason, "leave it out"
    )


@pytest.mark.parametrize(("precision", "device"), [("fp16", "cpu"), ("int8", "xpu"), ("int8", "cuda")])
def test_a_precision_that_the_device_has_not_is_refused(
    here, small: str, tmp_path: Path, precision: str, device: str
) -> None:
    source = media.cfr(tmp_path / "in.mp4", frames=2)
    given = ("plan", source, "--model", small, "--scale", "2", "--device", device, "--precision", precision)
    # Without such a device, that is what is said.
    here(*given).refused(2, *(("--precision fp16",) if device == "cpu" else ()), device)


@exact
def test_quantize_keeps_a_network_and_adds_integers(here, tmp_path: Path) -> None:
    from pipelines.model_files.card_writer import NetworkFacts, export

    folder = tmp_path / "pictures"
    for number in range(3):
        rng = np.random.default_rng(number)
        rows = np.sin(np.linspace(0, 9 + number, 260))[:, None] * np.cos(np.linspace(0, 5, 260)) * 100 + 120
        write_png(
            folder / f"{number}.png", (rows[..., None] + rng.integers(0, 20, 3)).clip(0, 255).astype(np.uint8)
        )
    weights = export(
        network().state_dict(),
        NetworkFacts("compact", {"width": 32, "depth": 2}, 2),
        folder=tmp_path,
        name="mine-x2",
    )
    before = weights.read_bytes()
    made = here(
        "quantize", weights, "--data", folder, "-o", tmp_path / "out" / "mine-x2.safetensors", "--json"
    )
    assert made.code == 0, made.err
    told = json.loads(made.out)
    assert told["count"] == 3
    assert abs(told["cost_db"]) < 1
    assert told["near_db"] > 40
    assert weights.read_bytes() == before
    source = media.cfr(tmp_path / "in.mp4", frames=2)
    assert here("plan", source, "--model", told["path"], *CPU, "--precision", "int8").code == 0
    here("quantize", weights, "--data", folder, "-o", told["path"]).refused(2, "already exists")
    here("quantize", "recurrent-x2", "--data", folder).refused(2, "architecture recurrent")
