from __future__ import annotations

from pathlib import Path

import pytest

from models.architectures import ARCHITECTURES
from pipelines import overview
from pipelines.card import export
from tests.helpers.footage import pictures


def test_networks_that_restore_are_judged_on_noise_and_the_others_on_clean_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, architecture, scale in (("espcn-x2", "espcn", 2), ("deconvolution-x1", "deconvolution", 1)):
        settings = {"width": 16}
        network = ARCHITECTURES[architecture](scale=scale, **settings)
        export(network.state_dict(), architecture=architecture, settings=settings, scale=scale, folder=tmp_path / "trained", name=name)
    monkeypatch.setattr(overview, "TRAINED", tmp_path / "trained")
    monkeypatch.setattr(overview, "frames_per_second", lambda *_, **__: 1.0)
    text = overview.overview([pictures(tmp_path / "stills", 1, 64, 80)])
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| `")}
    # Untrained, they are bicubic: no gain, and with noise of sigma 10 the noisy input's 28.1 dB.
    assert "(+0.00) noisy" in rows["`deconvolution-x1`"]
    assert "(+0.00) |" in rows["`espcn-x2`"]
    assert float(rows["`deconvolution-x1`"].split("|")[5].split()[0]) == pytest.approx(28.1, abs=0.5)
