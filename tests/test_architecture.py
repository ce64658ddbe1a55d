"""The house stays as it was drawn: imports point down, heavy packages have one door, docstrings name the files."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import media
from tests.helpers.command import ROOT, environment

PACKAGES = ("vsr", "pipelines", "models")
FILES = [p for package in PACKAGES for p in sorted((ROOT / package).glob("*.py"))]


def imported(path: Path) -> set[str]:
    """Modules a file imports at run time, wherever in it the import stands; what is for type checkers only is left out."""
    found: set[str] = set()

    def walk(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                walk(other)
            return
        if isinstance(node, ast.Import):
            found.update(a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            found.update(f"{node.module}.{a.name}" for a in node.names)
        for child in ast.iter_child_nodes(node):
            walk(child)

    walk(ast.parse(path.read_text(encoding="utf-8")))
    return found


def users_of(package: str) -> set[str]:
    """Our files that import a package."""
    return {f"{p.parent.name}/{p.name}" for p in FILES if any(m == package or m.startswith(f"{package}.") for m in imported(p))}


def test_the_import_reader_sees_late_imports_and_skips_those_for_type_checkers(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import ray\ndef f():\n    import torch.nn\n    from models.errors import VsrError\n"
    )
    assert {"torch.nn", "models.errors"} <= imported(path)
    assert "ray" not in imported(path)


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_imports_point_down_only(path: Path) -> None:
    """vsr -> pipelines -> models."""
    above = PACKAGES[: PACKAGES.index(path.parent.name)]
    wrong = [m for m in imported(path) if m.split(".")[0] in above]
    # The version is written down once.
    assert [m for m in wrong if not m.startswith("vsr.__version__") and m != "vsr"] == []


def test_only_cluster_imports_ray() -> None:
    assert users_of("ray") <= {f"pipelines/{name}.py" for name in ("cluster", "driver", "machines", "parcels", "actor", "session", "peers")}


def test_only_the_command_draws_and_parses() -> None:
    for package in ("click", "tqdm"):
        assert {f.split("/")[0] for f in users_of(package)} == {"vsr"}


def test_media_is_opened_in_pipelines_only() -> None:
    assert {f.split("/")[0] for f in users_of("av")} == {"pipelines"}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_docstring_of_a_package_lists_its_files_on_disk(package: str) -> None:
    text = ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8"))) or ""
    listed = re.findall(r"^\s*(\w+\.py)\s", text, re.MULTILINE)
    assert len(listed) == len(set(listed))
    on_disk = {p.name for p in (ROOT / package).glob("*.py")} - {"__init__.py", "__main__.py"}
    assert set(listed) == on_disk


def test_no_file_imports_by_the_name_of_a_test() -> None:
    assert users_of("tests") == set()


@pytest.mark.parametrize("command", ["plan", "run", "probe"])
def test_the_parent_of_a_run_never_loads_torch_or_ray(tmp_path: Path, command: str) -> None:
    source = media.cfr(tmp_path / "in.mp4", frames=4)
    more = (
        [] if command == "probe" else ["-o", str(tmp_path / "out.mkv"), "--scale", "1", "--model", "identity", "--codec", "ffv1", "--device", "cpu"]
    )
    program = (
        "import sys\nfrom vsr.cli.main import main\n"
        f"try: main([{command!r}, {str(source)!r}, *{more!r}])\n"
        "except SystemExit as e: assert not e.code, e.code\n"
        "print('loaded', sorted({'torch', 'ray', 'spandrel', 'safetensors'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], env=environment(), capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.splitlines()[-1] == "loaded []", done.stdout + done.stderr
    assert (tmp_path / "out.mkv").exists() == (command == "run")


def test_help_loads_neither_media_nor_numbers() -> None:
    program = "import sys\nfrom vsr.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass\nprint(sorted({'av', 'numpy', 'torch', 'tqdm'} & set(sys.modules)))\n"
    done = subprocess.run([sys.executable, "-P", "-c", program], env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
