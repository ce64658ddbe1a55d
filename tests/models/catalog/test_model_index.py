"""The model index: its contents, how names are found, and that every network in it can be loaded."""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING

import pytest
import torch

from models.catalog.loader import load_network
from models.catalog.lookup import cards, find_cards, missing_entry
from models.catalog.model_index import (
    close_names,
    entry_of_name,
    parse_index,
    plain_name,
    search,
    shipped_index,
)
from models.errors import UsageError
from tests.helpers.inline import without_sandbox
from tests.models.catalog.index_networks import NETWORKS, built, count, is_cheap, tiny

if TYPE_CHECKING:
    from pathlib import Path

ENTRIES = shipped_index()
ONE = """
[mine-x2]
scale = 2
architecture = "Compact"
purposes = ["film"]
description = "Ours."
author = "us"
licence = "MIT"
commercial = "yes"
url = "https://example.invalid/mine.pth"
sha256 = "{sha256}"
bytes = 1000
gflop_per_megapixel = 10
""".replace("{sha256}", "0" * 64)


def test_the_list_has_dozens_of_networks_for_every_purpose() -> None:
    assert 45 <= len(ENTRIES) <= 70
    for purpose in ("film", "game", "animation", "restore"):
        assert sum(purpose in e.purposes for e in ENTRIES) >= 5
    assert {e.scale for e in ENTRIES} >= {1, 2, 4}


def test_names_hashes_and_addresses_are_unique() -> None:
    for kind in ("name", "sha256", "url", "description"):
        assert len({getattr(e, kind) for e in ENTRIES}) == len(ENTRIES), kind
    assert len({plain_name(e.name) for e in ENTRIES}) == len(ENTRIES)


def test_no_name_is_that_of_a_network_of_ours() -> None:
    ours = {n for c in cards() for n in (c.name, c.family)}
    assert not ours & {e.name for e in ENTRIES}


def test_a_licence_without_commercial_use_says_so() -> None:
    for entry in ENTRIES:
        assert (entry.commercial == "no") == ("-NC" in entry.licence), entry.name


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[mine-x2]", '["../mine"]', "expected letters, digits"),
        ("[mine-x2]", '["-mine"]', "expected letters, digits"),
        ("scale = 2", "scale = 0", "expected 1 to 16"),
        ("scale = 2", 'scale = "2"', "expected 1 to 16"),
        ("bytes = 1000", "bytes = true", "expected the size of the file"),
        ('["film"]', '["films"]', "expected some of film, game, animation, restore"),
        ('"yes"', '"maybe"', "expected yes, no, unknown"),
        ("https://", "http://", "expected an https address"),
        ("https://", "file:///", "expected an https address"),
        ("mine.pth", "mine.zip", "expected an https address that ends in"),
        ("0" * 64, "0" * 63, "expected 64 hex digits"),
        ("bytes = 1000", "bytes = 9000000000", "up to 2 GiB"),
        ("bytes = 1000", "", "bytes is missing or not known"),
        ("bytes = 1000", "bytes = 1000\nsize = 3", "size is missing or not known"),
        ("[mine-x2]", "[mine-x2", "is not a list of networks"),
        ("[mine-x2]", "", "expected a table with"),
    ],
)
def test_a_list_that_is_not_right_is_refused_with_the_place(old: str, new: str, said: str) -> None:
    parse_index(ONE, "list.toml")
    with pytest.raises(UsageError, match=f"^list.toml: .*{re.escape(said)}"):
        parse_index(ONE.replace(old, new), "list.toml")


def test_names_that_differ_in_punctuation_alone_are_refused() -> None:
    with pytest.raises(UsageError, match="too alike"):
        parse_index(ONE + ONE.replace("mine-x2", "Mine_X2"), "list.toml")


@pytest.mark.parametrize(
    "name", ["realesr-animevideov3", "RealESR AnimeVideo-v3", "realesr_animevideov3.pth"]
)
def test_names_are_found_whatever_their_case_and_punctuation(name: str) -> None:
    found = entry_of_name(ENTRIES, name)
    assert found is not None
    assert found.name == "realesr-animevideov3"


def test_names_that_people_remember_in_part_are_offered() -> None:
    assert close_names(ENTRIES, "animevideov3") == ["realesr-animevideov3"]
    assert close_names(ENTRIES, "DeH264") == ["1xDeH264_realplksr"]
    assert len(close_names(ENTRIES, "NomosWebPhoto")) == 3
    assert close_names(ENTRIES, "zzzz") == []


def test_search_takes_words_purpose_and_licence() -> None:
    assert {e.name for e in search(ENTRIES, ["nomoswebphoto"])} == {
        f"4xNomosWebPhoto_{k}" for k in ("RealPLKSR", "esrgan", "atd")
    }
    assert all(e.scale == 2 and e.commercial == "yes" for e in search(ENTRIES, ["x2"], commercial=True))
    games = search(ENTRIES, purpose="game")
    assert games
    assert all("game" in e.purposes for e in games)
    assert search(ENTRIES, ["no such word"]) == []


def test_a_network_that_is_known_and_not_here_is_said_to_be_so() -> None:
    """Case 90."""
    with pytest.raises(
        UsageError,
        match=r"not installed: 4.9 MB from https://github.com/\S+ \(BSD-3-Clause, commercial use allowed\); `vsr models get realesr-gen",
    ):
        find_cards("realesr-general-x4v3")
    with pytest.raises(UsageError, match="did you mean realesr-animevideov3?"):
        find_cards("animevideov3")
    entry = missing_entry("RealESR-general_x4v3")
    assert entry is not None
    assert missing_entry("fast") is missing_entry("nothing-of-that-name") is None


def test_every_network_of_the_list_is_of_a_class_that_is_known() -> None:
    assert set(NETWORKS) == {e.name for e in ENTRIES if e.suffix != ".onnx"}
    for entry in ENTRIES:
        if entry.name in NETWORKS:
            assert NETWORKS[entry.name][0] == entry.architecture, entry.name


@functools.cache
def _counted(architecture: str, settings: str) -> tuple[float, int]:
    """(GFLOP a megapixel, bytes of the tensors in fp32); several networks of the list are of one kind."""
    network = built(architecture, json.loads(settings))
    return count(network, architecture), sum(4 * t.numel() for t in network.state_dict().values())


@pytest.mark.parametrize(
    "name", [e.name for e in ENTRIES if e.name in NETWORKS and is_cheap(NETWORKS[e.name][0])]
)
def test_size_and_arithmetic_are_those_of_the_network(name: str) -> None:
    architecture, settings = NETWORKS[name]
    entry = next(e for e in ENTRIES if e.name == name)
    gflop, size = _counted(architecture, json.dumps(settings))
    assert gflop == pytest.approx(entry.gflop_per_megapixel, rel=0.01)
    copies = entry.bytes / size
    # Half precision; or the running mean of the weights beside them.
    assert any(copies == pytest.approx(n, rel=0.02) for n in (0.5, 1, 2)), copies


@pytest.mark.filterwarnings("ignore")  # spandrel's own
@pytest.mark.parametrize("architecture", sorted({a for a, _ in NETWORKS.values()}))
def test_every_architecture_of_the_list_loads_and_runs(
    architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 90: described as files of others are, and loaded as by a run."""
    without_sandbox(monkeypatch)
    scale = 2
    torch.manual_seed(0)
    path = tmp_path / "net.pth"
    torch.save(tiny(architecture, scale).state_dict(), path)
    (card,) = find_cards(str(path))
    assert card.architecture == "foreign"
    assert card.scale == scale
    assert card.gflop_per_megapixel > 0
    network = load_network(card)
    side = -(-24 // network.contract.size_multiple) * network.contract.size_multiple
    with torch.inference_mode():
        made = network.module(torch.rand(1, 3, side, side))  # type: ignore[arg-type, call-arg]
    assert made.shape == (1, 3, side * scale, side * scale)  # type: ignore[attr-defined]
    assert made.isfinite().all()  # type: ignore[attr-defined]
