from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from models.architectures.registry import ARCHITECTURES
from models.catalog.lookup import find_cards
from models.errors import UsageError
from pipelines.inference import upscaler
from pipelines.model_files.card_writer import NetworkFacts, export
from tests.benchmarks import network_speed, networks_page
from tests.benchmarks.networks_page import OverviewSettings
from tests.helpers.footage import film, pictures


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two untrained networks in place of the shipped ones, which are as good as bicubic."""
    for name, architecture, scale in (
        ("espcn-x2", "espcn", 2),
        ("deconvolution-x1", "deconvolution", 1),
        ("fast-x2", "compact", 2),
    ):
        settings = {"width": 16, **({"depth": 1} if architecture == "compact" else {})}
        network = ARCHITECTURES[architecture](scale=scale, **settings)
        export(
            network.state_dict(),
            NetworkFacts(architecture, settings, scale),
            folder=tmp_path / "trained",
            name=name,
        )
    monkeypatch.setattr(networks_page, "TRAINED", tmp_path / "trained")
    monkeypatch.setattr(networks_page, "frames_per_second", lambda *_, **__: 12.0)
    return tmp_path / "trained"


@pytest.mark.usefixtures("shipped")
def test_networks_that_restore_are_judged_on_noise_and_the_others_on_clean_pictures(tmp_path: Path) -> None:
    text = networks_page.overview(OverviewSettings((pictures(tmp_path / "stills", 1, 64, 80),)))
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| `")}
    # Untrained, they are bicubic: no gain, and with noise of sigma 10 the noisy input's 28.1 dB.
    assert "(+0.00) noisy" in rows["`deconvolution-x1`"]
    assert "(+0.00) |" in rows["`espcn-x2`"]
    plain = next(line for line in text.splitlines() if line.startswith("| bicubic ×2")).split("|")
    assert [plain[5].strip(), plain[6].strip()] == [
        rows["`espcn-x2`"].split("|")[5].split()[0],
        rows["`espcn-x2`"].split("|")[6].strip(),
    ]
    assert float(rows["`deconvolution-x1`"].split("|")[5].split()[0]) == pytest.approx(28.1, abs=0.5)
    assert (
        0.1 < float(rows["`espcn-x2`"].split("|")[6]) < 0.95 < float(rows["`deconvolution-x1`"].split("|")[6])
    )
    assert list(rows) == ["`fast-x2`", "`deconvolution-x1`", "`espcn-x2`"]  # the built-in family first
    missing = next(line for line in text.splitlines() if line.startswith("Not shipped yet"))
    assert "`fast-x3`" in missing
    assert "`fast-x2`" not in missing


@pytest.mark.usefixtures("shipped")
def test_clips_are_for_networks_of_films_and_strips_for_all(tmp_path: Path) -> None:
    clip = film(tmp_path / "film.mp4", (12,), width=240, height=200)
    images = tmp_path / "networks"
    text = networks_page.overview(
        OverviewSettings((pictures(tmp_path / "stills", 1, 64, 80),), (clip,), clip, images, frames=2)
    )
    table = text.partition("On films, the first 2 frames")[2]
    assert "| `fast-x2` |" in table.partition("- Scores")[0]
    assert "| `espcn-x2` |" not in table
    for name in ("espcn-x2", "deconvolution-x1", "fast-x2"):
        assert f"![{name}](networks/{name}.jpg)" in text
        with Image.open(images / f"{name}.jpg") as picture:
            assert picture.size == (2 * (4 * 112 + 3 * 4), 2 * 112)
    with pytest.raises(UsageError, match="192x192"):
        networks_page.overview(
            OverviewSettings(
                (pictures(tmp_path / "stills", 1, 64, 80),),
                picture=tmp_path / "stills" / "picture0.png",
                images=images,
            )
        )
    with pytest.raises(UsageError, match="-o"):
        networks_page.overview(OverviewSettings((tmp_path,), picture=clip))


@pytest.mark.usefixtures("shipped")
def test_earlier_speeds_are_kept_where_none_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stills = (pictures(tmp_path / "stills", 1, 64, 80),)
    before = networks_page.overview(OverviewSettings(stills))
    assert before.count("| 12 |") == 3
    monkeypatch.setattr(networks_page, "frames_per_second", lambda *_, **__: pytest.fail("measured"))
    assert networks_page.overview(OverviewSettings(stills, earlier=before)) == before
    (tmp_path / "trained" / "espcn-x2.toml").rename(tmp_path / "trained" / "espcn-new-x2.toml")
    (tmp_path / "trained" / "espcn-x2.safetensors").rename(tmp_path / "trained" / "espcn-new-x2.safetensors")
    after = networks_page.overview(OverviewSettings(stills, earlier=before))
    assert after.count("| 12 |") == 2
    assert next(line for line in after.splitlines() if "espcn-new" in line).split("|")[4].strip() == "–"
    assert "not measured" in networks_page.overview(OverviewSettings(stills, earlier=""))


def test_speed_is_of_frames_that_really_go_through(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    follow = upscaler.Upscaler.follow
    monkeypatch.setattr(
        upscaler.Upscaler, "follow", lambda self, window: seen.append(window) or follow(self, window)
    )
    speed = network_speed.frames_per_second(find_cards("fast-x2")[0], seconds=0.0)
    assert speed > 0
    assert len(seen) == 2  # one that warms up, one that is timed


@pytest.mark.usefixtures("shipped")
def test_what_a_benchmark_wrote_before_the_tables_stays(tmp_path: Path) -> None:
    wrote = "## On compressed footage\n\nMeans.\n\n<!-- footage -->\n\n| a |\n\n<!-- end of footage -->"
    opening = networks_page.opening_of(f"# Networks\n\n{wrote}\n\n## Clean\n")
    assert opening == wrote
    settings = OverviewSettings((pictures(tmp_path / "stills", 1, 64, 80),), opening=opening)
    assert networks_page.overview(settings).partition("\n| network")[0].endswith(f"by hand.\n\n{wrote}\n")
