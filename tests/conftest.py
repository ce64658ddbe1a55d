"""Shared fixtures."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # children import `tests.*` by the parent's path
    sys.path.insert(0, str(ROOT))

os.environ["VSR_DATA_HOME"] = "/nonexistent"  # no model of whoever runs the tests


@pytest.fixture(scope="module", autouse=True)
def _settled() -> None:
    """What is there for good, as all of torch, needn't be looked through by the collections at the end of
    each chunk.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers run in this process."""
    from tests.helpers.inline import without_processes

    without_processes(monkeypatch)


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for media that many tests read and none changes."""
    return tmp_path_factory.mktemp("shelf")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real clips that VSR_SHARED_DATA names."""
    place = os.environ.get("VSR_SHARED_DATA", "")
    if not place or not Path(place).is_dir():
        pytest.skip("VSR_SHARED_DATA does not name a folder with real clips")
    return Path(place)


def pytest_sessionfinish() -> None:
    """Give back what was frozen: bindings that count their objects at exit would take it for leaked."""
    gc.unfreeze()
