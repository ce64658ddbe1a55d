"""Shared fixtures."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # children import `tests.*` by the parent's path
    sys.path.insert(0, str(ROOT))

os.environ["VSR_DATA_HOME"] = "/nonexistent"  # no model of whoever runs the tests
if "PYTEST_XDIST_WORKER" in os.environ:
    # Threads of two processes that wait for each other on the same cores cost many times the work itself.
    # Bits don't depend on their number (tests/pipelines/inference/test_tile_threads.py).
    os.environ.setdefault("OMP_NUM_THREADS", "1")
else:  # what is set here reaches the processes of pytest-xdist, too
    _CACHE = tempfile.TemporaryDirectory(prefix="vsr-tests-")
    Path(_CACHE.name).chmod(0o1777)  # some commands run as another user
    os.environ.setdefault("MPLCONFIGDIR", str(Path.home() / ".cache" / "matplotlib"))  # its list of fonts
    os.environ["XDG_CACHE_HOME"] = _CACHE.name  # nothing that former runs remembered


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object | None:
    """With `-n`, assign whole files to processes, and all files that start Ray to the same one."""
    if config.getoption("dist") != "load":
        return None
    from tests.helpers.distribution import ByFile

    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several processes, begin with the longest files."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        from tests.helpers.distribution import rank

        items.sort(key=lambda item: rank(item.nodeid))


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
