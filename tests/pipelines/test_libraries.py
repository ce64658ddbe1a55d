"""Versions are compared as numbers, and floors are those of the project file."""

from __future__ import annotations

import tomllib

import pytest

from pipelines.libraries import Library, libraries
from tests.helpers.command import ROOT


@pytest.mark.parametrize(
    ("version", "fits"),
    [("18.1", True), ("18.1.0", True), ("18.10.2+cpu", True), ("18.2rc1", True), ("18.0.9", False), ("9.9", False), ("19.0", False), ("", False)],
)
def test_a_version_fits_between_floor_and_ceiling(version: str, fits: bool) -> None:
    assert Library("av", version, "18.1", "19").fits == fits


def test_without_a_ceiling_any_newer_version_fits() -> None:
    assert Library("torch", "2.10", "2.9").fits
    assert not Library("torch", "2.9.1", "2.10").fits


def test_every_dependency_of_the_project_is_looked_at() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {library.wanted for library in libraries()} == {line.partition(";")[0] for line in wanted}
    assert [library.name for library in libraries()][:2] == ["av", "torch"]
