"""Checks the layout: layers of imports, no cycles, few users of heavy packages, complete lists of modules."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import media
from tests.helpers.command import COPIED_AS_FFV1, ROOT, python

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = ("models", "pipelines", "vsr")

LAYERS = (
    "models.errors",
    "models.sandbox",
    "models.network",
    "models.layers",
    "models.architectures",
    "models.catalog",
    "models.losses",
    "pipelines.storage",
    "pipelines.file_parsing",
    "pipelines.media",
    "pipelines.settings",
    "pipelines.plan",
    "pipelines.hardware",
    "pipelines.codec",
    "pipelines.encoders",
    "pipelines.frames",
    "pipelines.interlacing",
    "pipelines.probe",
    "pipelines.inference",
    "pipelines.containers",
    "pipelines.output",
    "pipelines.planner",
    "pipelines.pool",
    "pipelines.cluster",
    "pipelines.workers",
    "pipelines.run",
    "pipelines.model_files",
    "pipelines.datasets",
    "pipelines.quality",
    "pipelines.objectives",
    "pipelines.training",
    "pipelines.diagnostics",
    "vsr.presets",
    "vsr.flat_settings",
    "vsr.api",
    "vsr.views",
    "vsr.pages",
    "vsr.server",
    "vsr.cli",
    "vsr.__main__",
)
"""Subpackages, and modules that lie directly in a package, from bottom to top: each imports from itself and
from earlier ones."""

ALLOWED = {
    "av": {
        "pipelines.media", "pipelines.codec", "pipelines.encoders", "pipelines.frames.film_frames",
        "pipelines.interlacing", "pipelines.probe", "pipelines.containers", "pipelines.output", "pipelines.workers",
        "pipelines.datasets.recompression", "pipelines.quality", "pipelines.diagnostics",
    },
    "torch": {
        "models", "pipelines.frames", "pipelines.inference", "pipelines.workers", "pipelines.model_files", "pipelines.datasets", "pipelines.quality",
        "pipelines.objectives", "pipelines.training",
    },
    "ray": {"pipelines.cluster", "pipelines.training.distributed"},
    "click": {"vsr.cli"},
    "fastapi": {"vsr.server"},
    "pydantic": {"vsr.server"},
    "starlette": {"vsr.server"},
    "uvicorn": {"vsr.server"},
    "tqdm": {"vsr.views"},
    "fsspec": {"pipelines.storage"},
    "watchdog": {"pipelines.run.folder_changes"},
    "onnx": {"pipelines.model_files"},
}  # fmt: skip
"""Third-party package -> subpackages and modules that may import it."""

MOST_MODULES = 16
MOST_LINES = 400
SHARED_NAMES = {"settings", "events", "registry"}
"""Names that several modules of `pipelines` may have."""


class Tree:
    """The modules of a checkout and what each imports."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = {
            self.name_of(p): p for package in PACKAGES for p in sorted((root / package).rglob("*.py"))
        }
        self.imports = {name: set(self._imports(path)) for name, path in self.files.items()}

    def name_of(self, path: Path) -> str:
        return ".".join(path.relative_to(self.root).with_suffix("").parts).removesuffix(".__init__")

    def _imports(self, path: Path) -> Iterator[str]:
        """Modules a file imports, wherever the import stands: in functions and under TYPE_CHECKING, too."""
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (a.name for a in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: relative import"
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    yield whole if whole in self.files else str(node.module)

    def upward(self) -> list[str]:
        """Imports of a later layer."""
        place = {layer: n for n, layer in enumerate(LAYERS)}
        found = []
        for name, imports in self.imports.items():
            if name in PACKAGES:
                continue
            assert layer_of(name) in place, f"{name}: lies in no layer of LAYERS"
            for other in imports:
                if other in PACKAGES or other.split(".")[0] not in PACKAGES:
                    continue
                if place[layer_of(other)] > place[layer_of(name)]:
                    found.append(f"{name} -> {other}")
        return found

    def cycles(self) -> list[list[str]]:
        """Strongly connected modules, by Tarjan's algorithm."""
        order: dict[str, int] = {}
        low: dict[str, int] = {}
        stack: list[str] = []
        found: list[list[str]] = []

        def visit(name: str) -> None:
            order[name] = low[name] = len(order)
            stack.append(name)
            for other in self.imports[name] & self.files.keys():
                if other not in order:
                    visit(other)
                    low[name] = min(low[name], low[other])
                elif other in stack:
                    low[name] = min(low[name], order[other])
            if low[name] == order[name]:
                members = stack[stack.index(name) :]
                del stack[stack.index(name) :]
                if len(members) > 1:
                    found.append(sorted(members))

        for name in self.files:
            if name not in order:
                visit(name)
        return found

    def users_of(self, package: str) -> set[str]:
        return {
            name
            for name, imports in self.imports.items()
            if any(m == package or m.startswith(f"{package}.") for m in imports)
        }

    def forbidden(self) -> list[str]:
        """Users of third-party packages that ALLOWED does not name."""
        return [
            f"{user} imports {package}"
            for package, allowed in ALLOWED.items()
            for user in self.users_of(package)
            if not any(user == a or user.startswith(f"{a}.") for a in allowed)
        ]

    def too_large(self) -> list[str]:
        counts = Counter(
            name.rpartition(".")[0] for name, path in self.files.items() if path.name != "__init__.py"
        )
        found = [
            f"{package}: {n} modules"
            for package, n in counts.items()
            if n > MOST_MODULES and package != "models.architectures"
        ]
        lengths = {
            name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in self.files.items()
        }
        long = {name: n for name, n in lengths.items() if n > MOST_LINES}
        return found + [f"{name}: {n} lines" for name, n in long.items()]

    def unlisted(self) -> list[str]:
        """Packages whose docstring does not list exactly their files and subpackages, or whose `__init__`
        imports something.
        """
        found = []
        for name, path in self.files.items():
            if path.name != "__init__.py":
                continue
            tree = ast.parse(path.read_text(encoding="utf-8"))
            listed = re.findall(r"^(\w+(?:\.py|/))\s", ast.get_docstring(tree) or "", re.MULTILINE)
            here = {p.name for p in path.parent.glob("*.py")} - {"__init__.py", "__main__.py"}
            here |= {f"{p.parent.name}/" for p in path.parent.glob("*/__init__.py")} | (
                {"trained/"} if name == "models" else set()
            )
            if Counter(listed) != Counter(here):
                found.append(f"{name}: lists {sorted(set(listed) ^ here)} wrongly")
            if name != "vsr" and self.imports[name]:
                found.append(f"{name}: its __init__ imports")
        return found

    def same_names(self) -> list[str]:
        """Modules of `pipelines` that share a name."""
        counts = Counter(
            n.rpartition(".")[2]
            for n in self.files
            if n.startswith("pipelines.") and self.files[n].name != "__init__.py"
        )
        return [n for n, times in counts.items() if times > 1 and n not in SHARED_NAMES]

    def shared_classes(self) -> dict[str, list[str]]:
        """Public classes of one name in several modules."""
        found = defaultdict(list)
        for name, path in self.files.items():
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    found[node.name].append(name)
        return {k: v for k, v in found.items() if len(v) > 1}


def layer_of(name: str) -> str:
    """`pipelines.media.cicp` -> `pipelines.media`; `models.errors` stays."""
    return ".".join(name.split(".")[:2])


TREE = Tree(ROOT)


def test_imports_point_down_the_layers() -> None:
    assert TREE.upward() == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert TREE.cycles() == []


def test_heavy_packages_have_few_users() -> None:
    assert TREE.forbidden() == []


def test_subpackages_and_modules_stay_small() -> None:
    assert TREE.too_large() == []


def test_every_package_lists_its_files_and_imports_nothing() -> None:
    assert TREE.unlisted() == []


def test_no_module_lies_directly_in_pipelines() -> None:
    assert [p.name for p in (ROOT / "pipelines").glob("*.py")] == ["__init__.py"]


def test_no_two_modules_of_pipelines_share_a_name() -> None:
    assert TREE.same_names() == []


def test_no_two_public_classes_share_a_name() -> None:
    assert TREE.shared_classes() == {}


def test_no_module_imports_tests() -> None:
    assert TREE.users_of("tests") == set()


def test_every_package_is_marked_as_typed() -> None:
    assert [p for p in PACKAGES if not (ROOT / p / "py.typed").exists()] == []


def write(root: Path, files: dict[str, str]) -> Tree:
    """A small checkout with those modules, whose packages list them."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for package in PACKAGES:
        (root / package).mkdir(exist_ok=True)
    for folder in sorted(
        {p.parent for p in root.rglob("*.py")} | {root / p for p in PACKAGES}, key=lambda p: -len(p.parts)
    ):
        if not (folder / "__init__.py").exists():
            names = [f"{p.name}  x" for p in folder.glob("*.py")] + [
                f"{p.parent.name}/  x" for p in folder.glob("*/__init__.py")
            ]
            if folder == root / "models":
                names.append("trained/  x")
            (folder / "__init__.py").write_text('"""X.\n\n' + "\n".join(names) + '\n"""\n', encoding="utf-8")
    return Tree(root)


def test_a_small_checkout_in_order_is_accepted(tmp_path: Path) -> None:
    tree = write(
        tmp_path,
        {
            "models/errors.py": "",
            "pipelines/media/x.py": "import av\nfrom models.errors import VsrError\n",
            "vsr/api.py": "import pipelines.media.x\n",
        },
    )
    found = [
        tree.upward(),
        tree.cycles(),
        tree.forbidden(),
        tree.too_large(),
        tree.unlisted(),
        tree.same_names(),
    ]
    assert found == [[]] * 6


def test_an_upward_import_in_a_function_is_found(tmp_path: Path) -> None:
    tree = write(
        tmp_path,
        {"pipelines/media/x.py": "def f():\n    from pipelines.run.y import g\n", "pipelines/run/y.py": ""},
    )
    assert tree.upward() == ["pipelines.media.x -> pipelines.run.y"]


def test_an_upward_import_for_the_type_checker_is_found(tmp_path: Path) -> None:
    tree = write(
        tmp_path,
        {
            "models/network.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from vsr.api import upscale\n",
            "vsr/api.py": "",
        },
    )
    assert tree.upward() == ["models.network -> vsr.api"]


def test_a_circle_within_a_subpackage_is_found(tmp_path: Path) -> None:
    tree = write(
        tmp_path,
        {
            "pipelines/run/x.py": "from pipelines.run import y\n",
            "pipelines/run/y.py": "def f():\n    from pipelines.run.x import g\n",
        },
    )
    assert tree.cycles() == [["pipelines.run.x", "pipelines.run.y"]]


def test_torch_in_the_parent_of_a_run_is_found(tmp_path: Path) -> None:
    tree = write(
        tmp_path,
        {
            "pipelines/run/x.py": "def f():\n    import torch.nn\n",
            "pipelines/inference/y.py": "import torch\n",
        },
    )
    assert tree.forbidden() == ["pipelines.run.x imports torch"]


def test_one_module_too_many_and_one_too_long_are_found(tmp_path: Path) -> None:
    assert (
        write(tmp_path / "a", {f"pipelines/run/m{n}.py": "" for n in range(MOST_MODULES)}).too_large() == []
    )
    assert write(
        tmp_path / "b", {f"pipelines/run/m{n}.py": "" for n in range(MOST_MODULES + 1)}
    ).too_large() == ["pipelines.run: 17 modules"]
    assert write(tmp_path / "c", {"pipelines/run/x.py": "\n" * (MOST_LINES + 1)}).too_large() == [
        "pipelines.run.x: 401 lines"
    ]


def test_a_file_its_package_does_not_list_is_found(tmp_path: Path) -> None:
    write(tmp_path, {"pipelines/run/x.py": ""})
    (tmp_path / "pipelines/run/y.py").write_text("", encoding="utf-8")
    (tmp_path / "pipelines/media").mkdir()
    (tmp_path / "pipelines/media/__init__.py").write_text('"""X."""\nimport os\n', encoding="utf-8")
    found = Tree(tmp_path).unlisted()
    assert found == [
        "pipelines: lists ['media/'] wrongly",
        "pipelines.media: its __init__ imports",
        "pipelines.run: lists ['y.py'] wrongly",
    ]


def test_modules_of_one_name_are_found(tmp_path: Path) -> None:
    tree = write(
        tmp_path, {f"pipelines/{p}/{n}.py": "" for p in ("run", "media") for n in ("settings", "same")}
    )
    assert tree.same_names() == ["same"]


@pytest.mark.parametrize("command", ["plan", "run", "probe"])
def test_the_parent_of_a_run_never_loads_torch_or_ray(tmp_path: Path, command: str) -> None:
    source = media.cfr(tmp_path / "in.mp4", frames=4)
    more = (
        []
        if command == "probe"
        else [
            "-o",
            str(tmp_path / "out.mkv"),
            *COPIED_AS_FFV1,
            "--device",
            "cpu",
        ]
    )
    program = (
        "import sys\nfrom vsr.cli.main import main\n"
        f"try: main([{command!r}, {str(source)!r}, *{more!r}])\n"
        "except SystemExit as e: assert not e.code, e.code\n"
        "print('loaded', sorted({'torch', 'ray', 'spandrel', 'safetensors'} & set(sys.modules)))\n"
    )
    done = python(program, seconds=120)
    assert done.stdout.splitlines()[-1] == "loaded []", done.stdout + done.stderr
    assert (tmp_path / "out.mkv").exists() == (command == "run")


def test_help_loads_neither_media_nor_numbers() -> None:
    program = "import sys\nfrom vsr.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass\nprint(sorted({'av', 'numpy', 'torch', 'tqdm'} & set(sys.modules)))\n"
    done = python(program, seconds=60)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
