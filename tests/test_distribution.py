"""Checks how `make test` divides the tests: none is left out, and those that start Ray stay together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("xdist", reason="pytest-xdist is not installed")

from tests.helpers.command import ROOT
from tests.helpers.distribution import LONG, RAY, group, rank


def test_files_with_tests_that_start_ray_are_those_that_are_marked() -> None:
    marked = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
        if re.search(r"^[^#\n]*\bmark\.cluster\b", path.read_text(encoding="utf-8"), re.MULTILINE)
        and path != Path(__file__)
    }
    assert marked == RAY


def test_files_that_begin_early_are_there() -> None:
    assert [file for file in LONG if not (ROOT / file).is_file()] == []


def test_all_of_ray_is_one_group_which_begins_first_and_other_files_are_one_each() -> None:
    assert {group(f"{file}::test_a[x::y]") for file in RAY} == {"ray"}
    assert {rank(f"{file}::test_a") for file in RAY} == {0}
    assert group("tests/a/test_b.py::test_c[x::y]") == "tests/a/test_b.py"
    later = [rank(f"{file}::test_a") for file in (*LONG, "tests/a/test_b.py")]
    assert later == sorted(set(later))
