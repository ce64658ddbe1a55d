"""What a command asks of a video."""

from __future__ import annotations

import pytest

from pipelines.plan.settings import RunSettings
from pipelines.planner.video_planner import chosen_model


@pytest.mark.parametrize(
    ("devices", "settings", "model"),
    [
        ("", {}, "fast"),
        ("0,1", {}, "quality"),
        ("0", {"device": "cpu"}, "fast"),
        ("", {"device": "cuda"}, "quality"),
        ("0", {"model": "lanczos"}, "lanczos"),
    ],
)
def test_the_default_network_is_larger_on_a_gpu(monkeypatch: pytest.MonkeyPatch, devices: str, settings: dict[str, str], model: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", devices)
    assert chosen_model(RunSettings(**settings)) == model  # type: ignore[arg-type]
