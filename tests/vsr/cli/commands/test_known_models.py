"""`vsr models search`, `info` and `get`, and a run with a network that is not installed.

Messages and exit codes.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
import torch

from models.errors import UsageError
from tests import media
from tests.helpers.file_server import FileServer, serving
from tests.helpers.inline import without_sandbox
from tests.models.catalog.index_networks import tiny
from vsr.cli.commands.known_models import download_missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.helpers.command import Outcome

    Here = Callable[..., Outcome]


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A list with one network, which is served, named by VSR_MODEL_INDEX."""
    torch.manual_seed(0)
    torch.save(tiny("Compact", 2).state_dict(), tmp_path / "house.pth")
    data = (tmp_path / "house.pth").read_bytes()
    without_sandbox(monkeypatch)
    monkeypatch.setenv("VSR_DATA_HOME", str(tmp_path / "data"))
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(tmp_path) as served:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        monkeypatch.setenv("VSR_MODEL_INDEX", str(tmp_path / "list.toml"))
        served.files["/house.pth"] = data
        (tmp_path / "list.toml").write_text(
            '[House-Style]\nscale = 2\narchitecture = "Compact"\npurposes = ["film"]\ndescription = "The house style."\nauthor = "the house"\n'
            f'licence = "CC-BY-NC-4.0"\ncommercial = "no"\nurl = "{served.address("/house.pth")}"\nsha256 = "{hashlib.sha256(data).hexdigest()}"\n'
            f"bytes = {len(data)}\ngflop_per_megapixel = 82.4\n"
        )
        yield served


def test_search_lists_what_fits_with_cost_size_and_licence(here: Here) -> None:
    done = here("models", "search", "--for", "animation", "--commercial", "animevideo")
    assert done.code == 0
    head, *rows, hint = done.out.splitlines()
    assert head.split() == ["name", "scale", "cost", "file", "licence", "what", "it", "is", "for"]
    assert len(rows) == 3
    assert [r.split()[:6] for r in rows if r.split()[0] == "realesr-animevideov3"] == [
        ["realesr-animevideov3", "x4", "30", "x", "2.5", "MB"]
    ]
    assert all("BSD-3-Clause" in r for r in rows)
    assert "vsr models get NAME" in hint
    assert "none of the 61 networks in the index matches" in here("models", "search", "zeppelin").out
    found = [
        json.loads(line) for line in here("models", "search", "nomoswebphoto", "--json").out.splitlines()
    ]
    assert {e["here"] for e in found} == {False}


def test_info_says_all_there_is_to_know(here: Here) -> None:
    done = here("models", "info", "RealESR-General_x4v3")
    for word in ("realesr-general-x4v3", "for film, restore; enlarges by 4; Compact", "2418 GFLOP", "59 x that of fast-x2", "BSD-3-Clause, commercial use allowed",
                 "https://github.com/xinntao/", "8dc7edb9ac80ccdc", "not installed: `vsr models get realesr-general-x4v3` downloads it"):  # fmt: skip
        assert word in done.out
    ours = here("models", "info", "fast-x2")
    assert "licence MIT, commercial use allowed" in ours.out
    here("models", "info", "animevideov3").refused(
        2, "no network of this name in the list of 61", "did you mean realesr-animevideov3?"
    )
    here("models", "info", "fastt").refused(2, "did you mean fast?")
    here("models", "get", "fast").refused(2, "is already installed, and needs no download")
    here("models", "get", "zeppelin").refused(
        2, "no network of this name in the list of 61; `vsr models search` shows them all"
    )


def test_get_fetches_by_name_and_a_run_takes_it_from_there(
    here: Here, listed: FileServer, tmp_path: Path
) -> None:
    """Case 90: the licence stands in the plan, in the report and among the notes, and a preset for commercial
    use refuses it.
    """
    film = media.cfr(tmp_path / "film.mp4", 2)
    first = here("models", "get", "house-style")
    assert first.code == 0, first.err
    assert f"House-Style: x2, installed as {tmp_path / 'data'}" in first.out
    assert "licence: CC-BY-NC-4.0, no commercial use. To use it: --model House-Style" in first.out
    assert "is already installed" in here("models", "get", "House-Style").out
    assert "* House-Style" in here("models", "search").out
    done = here(
        "run",
        film,
        "--model",
        "House-Style",
        "--scale",
        "2",
        "-o",
        tmp_path / "out.mkv",
        "--codec",
        "ffv1",
        "--json",
    )
    assert done.code == 0, done.err
    plan = done.event("plan")
    assert plan["licences"] == {"House-Style": {"licence": "CC-BY-NC-4.0", "commercial": "no"}}
    assert "House-Style: licence CC-BY-NC-4.0, no commercial use; by the house" in plan["notes"]
    (network,) = json.loads((tmp_path / "out.mkv.vsr.json").read_text())["networks"]
    assert (network["name"], network["licence"], network["commercial"]) == (
        "House-Style",
        "CC-BY-NC-4.0",
        "no",
    )
    (tmp_path / "strict.toml").write_text("commercial = true\n")
    strict = here(
        "run",
        film,
        "--model",
        "House-Style",
        "--scale",
        "2",
        "--config",
        tmp_path / "strict.toml",
        "-o",
        tmp_path / "other.mkv",
    )
    strict.refused(2, "its licence, CC-BY-NC-4.0, allows no commercial use", "vsr models search --commercial")
    unknown = here(
        "plan", film, "--model", tmp_path / "house.pth", "--scale", "2", "--config", tmp_path / "strict.toml"
    )
    unknown.refused(2, "its licence is not known", "vsr models add", "--commercial yes")
    assert (
        here("plan", film, "--model", "fast", "--scale", "2", "--config", tmp_path / "strict.toml").code == 0
    )


def test_a_run_that_names_a_network_which_is_not_here_says_what_to_type(
    here: Here, listed: FileServer, tmp_path: Path
) -> None:
    """Case 90: without a terminal nothing is fetched unasked; --yes fetches."""
    film = media.cfr(tmp_path / "film.mp4", 2)
    output = ("--scale", "2", "-o", tmp_path / "out.mkv", "--codec", "ffv1")
    refused = here("run", film, "--model", "house-style", *output)
    refused.refused(
        2,
        "House-Style: not installed",
        "kB from https://127.0.0.1",
        "CC-BY-NC-4.0, no commercial use",
        "vsr models get House-Style",
        "--yes",
    )
    assert not listed.asked
    done = here("run", film, "--model", "House-Style", "--yes", *output)
    assert done.code == 0, done.err
    assert len(listed.asked) == 1


def test_on_a_terminal_the_question_says_name_size_address_and_licence(
    listed: FileServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers: list[Any] = [False, True]
    monkeypatch.setattr(click, "confirm", lambda *_, **__: answers.pop(0))
    with pytest.raises(UsageError, match="House-Style: was not fetched; choose another --model"):
        download_missing("fast,House-Style", yes=False, asks=True)
    said = capsys.readouterr().err
    assert (
        f"from {listed.address('/house.pth')}\nlicence: CC-BY-NC-4.0, no commercial use; by the house" in said
    )
    download_missing("fast,House-Style", yes=False, asks=True)
    download_missing("fast,House-Style", yes=False, asks=True)  # it is here: nobody is asked
    assert not answers


def test_a_preview_of_nothing_but_absent_networks_says_what_to_type(
    here: Here, listed: FileServer, tmp_path: Path
) -> None:
    film = media.cfr(tmp_path / "film.mp4", 2)
    here("preview", film, "--models", "House-Style").refused(
        2, "House-Style: not installed", "vsr models get House-Style", "--yes"
    )
    assert not listed.asked
