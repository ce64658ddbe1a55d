"""Versions are compared as numbers, and minimum versions are those of pyproject.toml."""

from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path

import pytest

import vsr
from models.errors import UsageError
from pipelines.diagnostics import dependencies
from pipelines.diagnostics.dependencies import Library, libraries
from tests.helpers.command import ROOT, arguments, environment


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ("18.1", True),
        ("18.1.0", True),
        ("18.10.2+cpu", True),
        ("18.2rc1", True),
        ("18.0.9", False),
        ("9.9", False),
        ("19.0", False),
        ("", False),
    ],
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


@pytest.mark.parametrize(
    ("name", "version", "code"), [("av", "17.1.0", 2), ("torch", "2.9.1", 0), ("ray", "2.53.0", 0)]
)
def test_versions_with_known_holes_are_refused_or_warned_of_at_the_start(
    tmp_path: Path, name: str, version: str, code: int
) -> None:
    """Case 81: an old FFmpeg, which decodes untrusted films, is refused with exit 2.

    An old torch or Ray is warned of on each start.
    """
    folder = tmp_path / f"{name}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    path = os.pathsep.join((str(tmp_path), environment()["PYTHONPATH"]))
    done = subprocess.run(
        arguments("models"),
        env={**environment(), "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert f"{name} {version} has known vulnerabilities; install {name}>=" in done.stderr


@pytest.mark.parametrize("name", ["av", "torch"])
def test_the_function_refuses_and_warns_like_the_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old = Library(name, "1.0", "99.0")
    monkeypatch.setattr(dependencies, "outdated", lambda: [old])
    said = f"{name} 1.0 has known vulnerabilities; install {old.wanted}"
    if name == "av":
        with pytest.raises(UsageError, match=said):
            vsr.upscale("film.mp4")
    else:
        with pytest.warns(UserWarning, match=said):
            vsr.upscale("film.mp4")
