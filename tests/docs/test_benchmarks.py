"""Tests of the benchmarks' own arithmetic, not of what they measure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.benchmarks.bars import QUICK, SECTIONS, _same_tiles, menu
from tests.benchmarks.cluster import Driver, outlook
from tests.benchmarks.gpu import beside
from tests.benchmarks.rates import srvgg_weights
from tests.benchmarks.report import table, tell
from tests.helpers.command import ROOT


def test_a_table_goes_to_its_place_on_the_page_and_replaces_the_one_before(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("above\n<!-- bars -->\nold\n<!-- end of bars -->\nbelow\n", encoding="utf-8")
    for value in (1, 2):
        tell("bars", table(("what", "measured"), [("x", value)]), page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("above\n<!-- bars -->")
    assert text.endswith("<!-- end of bars -->\nbelow\n")
    assert "| x | 2 |" in text
    assert "| x | 1 |" not in text
    assert "old" not in text
    with pytest.raises(SystemExit, match="no place marked"):
        tell("gpu", "", page)


@pytest.mark.parametrize(
    ("page", "name"),
    [
        *(("benchmarks", section) for section in SECTIONS),
        ("benchmarks", "peers"),
        ("benchmarks", "integer peers"),
        ("benchmarks", "gpu"),
        ("server", "server"),
        ("color", "interlacing"),
        ("cluster", "cluster"),
        ("scaling", "scaling"),
    ],
)
def test_the_page_has_a_place_for_every_table(page: str, name: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    assert text.index(f"<!-- {name} -->") < text.index(f"<!-- end of {name} -->")


def test_what_a_driver_has_to_do_follows_from_what_a_chunk_a_megabyte_and_a_report_cost() -> None:
    lines = outlook(Driver(chunk=0.010, megabyte=0.001, report=0.001, rest=0.02)).splitlines()
    (row,) = [line for line in lines if line.startswith("| 64 |")]
    # 64 workers at 22 frames a second of chunks with 144: 9.8 chunks a second, each 10 + 21 ms, and 128
    # reports.
    assert row == "| 64 | 9.8 | 58.7 minutes | 0.45 | 205 MB/s | 147 MB/s | 1,024 |"
    assert lines[-1] == "The driver has one core's work at 145 GPUs."


def test_an_upload_overlaps_the_network_where_it_ends_while_a_frame_before_is_computed() -> None:
    assert beside([0, 1, 2, 3], [10, 20, 30, 40]) == 0, "all were up before the second frame was begun"
    assert beside([0, 1, 15, 25], [10, 20, 30, 40]) == 1.0
    assert beside([0, 20, 40, 60], [10, 30, 50, 70]) == 0, "one after the other"
    assert beside([0, 1, 15, 60], [10, 20, 30, 70]) == 0.5


def test_slides_stand_still_but_for_their_changes(tmp_path: Path) -> None:
    same, total = _same_tiles(menu(tmp_path / "slides.mkv", QUICK, "slides"))
    assert same == total - total // 12
    same, total = _same_tiles(menu(tmp_path / "menu.mkv", QUICK, "menu"))
    assert same < total


def test_the_network_of_the_peers_is_one_that_spandrel_loads(tmp_path: Path) -> None:
    from models.catalog.loader import load_network
    from models.catalog.lookup import find_cards

    card = find_cards(str(srvgg_weights(tmp_path / "srvgg.safetensors", depth=1)))[0]
    assert (card.scale, card.pixels) == (2, "rgb")
    picture = torch.from_numpy(np.random.default_rng(0).random((1, 3, 16, 24), dtype=np.float32))
    with torch.inference_mode():
        made = load_network(card).module(picture)  # type: ignore[arg-type]
    assert (made - picture.repeat_interleave(2, 2).repeat_interleave(2, 3)).abs().mean() < 0.1  # type: ignore[operator, union-attr]
