"""Checks that the non-public parts of Ray that we use exist.

No cluster is started; the other tests of this folder do that. For another version: `pip install --no-deps
--target DIR ray==VERSION`, and these tests with PYTHONPATH=DIR.
"""

from __future__ import annotations

import importlib.util
import mmap
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pipelines.cluster import ray_internals
from tests.helpers.command import ROOT, environment

if importlib.util.find_spec("ray") is None:  # not imported here: a private cluster must load it first
    pytest.skip("Ray is not installed", allow_module_level=True)

PROGRAM = """
import contextlib, inspect, json, ray
from pathlib import Path
from pipelines.cluster import ray_internals

said = ray._private.worker.print_to_stdstream
with ray_internals.silent_driver():
    silenced = ray._private.worker.print_to_stdstream is not said
    ray._private.worker.print_to_stdstream({"lines": ["x"], "pid": "raylet", "is_err": False}, ignore_prefix=False)
print(json.dumps({
    "silenced": silenced,
    "restored": ray._private.worker.print_to_stdstream is said,
    "takes": sorted(inspect.signature(said).parameters),
    "calls": "print_to_stdstream(" in inspect.getsource(ray._private.worker.listen_error_messages),
    "path": ray_internals.job_config(Path("/somewhere"))._py_driver_sys_path,
    "takes_options": inspect.getsource(inspect.unwrap(ray.init)),
    "version": ray.__version__,
    "native": ray._raylet.__file__,
}))
"""


@pytest.fixture(scope="module")
def seen() -> dict[str, object]:
    """From a process of its own: how Ray is loaded first is how it is for all tests of a process."""
    import json

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_what_ray_says_of_dead_workers_can_be_kept_from_standard_output(seen: dict[str, object]) -> None:
    assert (seen["silenced"], seen["restored"], seen["calls"]) == (True, True, True)
    assert seen["takes"] == ["data", "ignore_prefix"]


def test_workers_search_the_given_path_for_our_packages(seen: dict[str, object]) -> None:
    assert seen["path"] == ["/somewhere"]


def test_ray_init_takes_the_options_of_a_private_cluster(seen: dict[str, object]) -> None:
    for option in ray_internals.private_options(Path("/somewhere")):
        assert option in str(seen["takes_options"])


def test_ray_knows_every_variable_that_is_set(seen: dict[str, object]) -> None:
    """Those of its native part by their names without RAY_; the others stand in its Python."""
    package = Path(str(seen["native"])).parent
    python = "".join(p.read_text(errors="replace") for p in (package / "_private").rglob("*.py"))
    python += "".join(p.read_text(errors="replace") for p in (package / "_common").rglob("*.py"))
    with (
        open(str(seen["native"]), "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as native,
    ):
        for name in {**ray_internals.ALWAYS, **ray_internals.OF_A_PRIVATE_CLUSTER, "RAY_AUTH_TOKEN": ""}:
            known = name in python or native.find(name.removeprefix("RAY_").encode()) >= 0
            assert known, f"Ray {seen['version']} knows no {name}"


def test_the_oldest_version_that_was_tried_is_the_oldest_that_is_allowed() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    (oldest,) = [d.partition(">=")[2] for d in wanted if d.startswith("ray>=")]
    assert ray_internals.TRIED[0].startswith(f"{oldest}.")


def test_nothing_else_of_ours_reaches_into_ray() -> None:
    inside = re.compile(r"ray\._|from ray\._|_raylet")
    found = [
        str(path.relative_to(ROOT))
        for package in ("vsr", "pipelines", "models")
        for path in (ROOT / package).rglob("*.py")
        if inside.search(path.read_text(encoding="utf-8"))
    ]
    assert found in ([], ["pipelines/cluster/ray_internals.py"])
