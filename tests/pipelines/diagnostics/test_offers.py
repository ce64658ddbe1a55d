"""Cost of networks that are not installed, reported before they are downloaded."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from models.catalog.model_index import entry_of_name, shipped_index
from pipelines.diagnostics.offers import offers
from pipelines.diagnostics.preview import Choice
from vsr.pages.preview_page import offer_table, offer_text

GENERAL = entry_of_name(shipped_index(), "realesr-general-x4v3")


def seen(*choices: Choice, size: tuple[int, int] = (1920, 1080), made: tuple[int, int] = (3840, 2160)) -> Any:
    plan = SimpleNamespace(width=size[0], height=size[1], out_width=made[0], out_height=made[1])
    return SimpleNamespace(planned=SimpleNamespace(plan=plan), choices=choices)


def choice(fps: float, gflop: float) -> Choice:
    return Choice("fast", 10, (3840, 2160), fps, 1.0, 1, gflop, 0.1)


def test_speed_is_that_of_a_network_that_was_tried_by_their_arithmetic() -> None:
    assert GENERAL is not None
    (offer,) = offers(seen(choice(9.0, 0.0), choice(6.0, 100.0)), [GENERAL])
    assert offer.gflop == pytest.approx(2418 * 1.920 * 1.080)
    assert offer.fps == pytest.approx(1 / (0.1 * offer.gflop / 100))
    assert offer.memory_bytes == GENERAL.bytes + 12 * (1920 * 1080 + 7680 * 4320)
    text = offer_text(offer)
    for word in ("realesr-general-x4v3 is not here", "about 0.20 fps by its arithmetic", "427.9 MB of memory at least", "4.9 MB to fetch", "BSD-3-Clause",
                 "`vsr models get realesr-general-x4v3`, or --yes"):  # fmt: skip
        assert word in text
    assert offer_table(offer)["fps"] == pytest.approx(0.1994, abs=1e-3)


def test_a_factor_that_is_too_small_is_counted_as_often_as_it_takes() -> None:
    double = entry_of_name(shipped_index(), "2xHFA2kAVCCompact")
    assert double is not None
    (once,), (twice,) = (offers(seen(choice(1.0, 1.0), size=s), [double]) for s in ((1920, 1080), (960, 540)))
    assert once.gflop == pytest.approx(1196.9 * 1.92 * 1.08)
    assert twice.gflop == pytest.approx(1196.9 * (0.96 * 0.54 + 1.92 * 1.08))


def test_where_nothing_was_tried_the_speed_is_not_guessed() -> None:
    assert GENERAL is not None
    (offer,) = offers(seen(choice(9.0, 0.0)), [GENERAL])
    assert offer.fps is None
    assert "speed not known" in offer_text(offer)
    (slow,) = offers(seen(choice(0.5, 10.0)), [GENERAL])
    assert "a frame by its arithmetic" in offer_text(slow)
