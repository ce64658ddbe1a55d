"""Every network of the wider family in a run.

All frames are at their times, and images are the same however the work was divided.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from models.architectures.registry import ARCHITECTURES
from models.catalog.lookup import find_cards
from pipelines.inference.upscaler import Upscaler
from pipelines.model_files.card_writer import NetworkFacts, export
from pipelines.model_files.install import install_model
from tests import media
from tests.helpers.inline import planned_of, upscaled
from tests.helpers.sameness import assert_same_frames, assert_same_timing
from tests.helpers.view import frames
from tests.pipelines.inference.test_upscaler import CPU, picture, plan_of

FAMILY: dict[str, dict[str, int]] = {
    "srcnn": {}, "espcn": {}, "edsr": {"depth": 1}, "progressive": {"depth": 1}, "backprojection": {}, "cosine": {}, "autoencoder": {},
    "deconvolution": {"depth": 1}, "adversarial": {"depth": 1}, "vae": {"depth": 1}, "diffusion": {"steps": 2},
}  # fmt: skip
"""Architecture -> settings that make it small."""


def trained(name: str, scale: int, folder: Path) -> str:
    """A weights file of a small network that does something, as after training."""
    torch.manual_seed(1)
    settings = {"width": 16, **FAMILY[name]}
    network = ARCHITECTURES[name](scale=scale, **settings)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    return str(
        export(
            network.state_dict(),
            NetworkFacts(name, settings, scale),
            folder=folder,
            name=f"{name}-x{scale}",
        )
    )


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize(("name", "scale"), [*((name, 2) for name in FAMILY), ("deconvolution", 1)])
def test_a_run_keeps_frames_and_times_and_chunks_leave_no_trace(
    name: str, scale: int, tmp_path: Path
) -> None:
    source = media.vfr(
        tmp_path / "in.mkv", pts=(0, 40, 100, 120, 200, 210, 300, 380), time_base=Fraction(1, 1000)
    )
    weights = trained(name, scale, tmp_path)
    many, one = tmp_path / "many.mkv", tmp_path / "one.mkv"
    for output, seconds in ((many, 0.1), (one, 1e6)):
        events = upscaled(source, output, model=weights, scale=scale, chunk_seconds=seconds)
        plan = planned_of(events).plan
        assert (len(plan.chunks) > 1) == (output == many)
        assert (plan.out_width, plan.out_height) == (64 * scale, 48 * scale)
        assert_same_timing(output, source)
    assert_same_frames(frames(many), frames(one))


@pytest.mark.parametrize(
    ("name", "pix_fmt"),
    [*((name, "yuv420p") for name in FAMILY), ("autoencoder", "yuv444p"), ("diffusion", "yuv444p")],
)
def test_tiles_give_the_picture_of_the_whole_frame(name: str, pix_fmt: str, tmp_path: Path) -> None:
    card = find_cards(trained(name, 2, tmp_path))[0]
    frame = picture(pix_fmt, 130, 94)
    whole, tiled = (
        Upscaler(plan_of(card, 130, 94, 2, pix_fmt, tile=tile), CPU)([frame])[0]
        for tile in ((96, 136), (32, 48))
    )
    for a, b in zip(whole.planes, tiled.planes, strict=True):
        error = np.square(a.astype(float) - b.astype(float)).mean()
        assert error == 0 or 10 * np.log10(255**2 / error) >= 45


@pytest.mark.usefixtures("inline")
def test_restoring_first_and_upscaling_then_is_a_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VSR_DATA_HOME", str(tmp_path / "home"))
    install_model(trained("deconvolution", 1, tmp_path), name="restoring")
    source = media.cfr(tmp_path / "in.mkv", frames=4)
    events = upscaled(source, tmp_path / "out.mkv", model="restoring-x1,fast", scale=2)
    assert [(s.card.name, s.width) for s in planned_of(events).plan.stages] == [
        ("restoring-x1", 64),
        ("fast-x2", 128),
    ]
    assert_same_timing(tmp_path / "out.mkv", source)
