"""The lines of an estimate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.catalog.card import TRAINED
from pipelines.diagnostics.estimate import Estimate
from pipelines.plan.output_names import report_path
from tests import media
from tests.helpers.inline import planned_of, upscaled
from vsr.views.plan_view import estimate_lines, estimate_table, plan_details, plan_line


@pytest.mark.parametrize(("share", "said"), [(1.0, ""), (0.9, ""), (0.5, "about 4 min 00 s if they go on")])
def test_where_other_programs_kept_the_machine_busy_the_estimate_says_what_that_does(
    share: float, said: str
) -> None:
    found = Estimate(120.0, 10.0, 1000, 2000, 10**9, 3, share)
    (line,) = [text for text in estimate_lines(found) if "other programs" in text] or [""]
    assert line.endswith(said)
    assert bool(line) == bool(said)
    assert estimate_table(found)["machine_share"] == share


@pytest.mark.usefixtures("inline")
def test_a_network_of_ones_own_is_distinguished_from_the_shipped_one_of_its_name(tmp_path: Path) -> None:
    own = tmp_path / "trained" / "fast-x2.safetensors"
    own.parent.mkdir()
    for suffix in (".safetensors", ".toml"):
        own.with_suffix(suffix).write_bytes((TRAINED / f"fast-x2{suffix}").read_bytes())
    source = media.cfr(tmp_path / "in.mp4", frames=2)
    for model, label, file in (
        (str(own), "fast-x2 (trained/fast-x2.safetensors)", "trained/fast-x2.safetensors"),
        ("fast-x2", "fast-x2", None),
    ):
        output = tmp_path / f"{bool(file)}.mkv"
        planned = planned_of(upscaled(source, output, model=model, scale=2))
        assert f", {label}, " in plan_line(planned)
        assert any(line.startswith(f"networks: {label} to ") for line in plan_details(planned))
        (network,) = json.loads(report_path(output).read_text())["networks"]
        assert (network["name"], network.get("file")) == ("fast-x2", file)
