"""The installed wheel, run from a folder that contains other packages called `models` and `pipelines`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests import media
from tests.helpers.command import ROOT
from tests.helpers.view import frames

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def copied(folder: Path) -> Path:
    """What the wheel is built from, without what lies beside it here."""
    folder.mkdir()
    for name in ("vsr", "pipelines", "models", "configs", "pyproject.toml", "README.md", "LICENSE"):
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, folder / name)
    return folder


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with our wheel; everything else comes from this one's site-packages."""
    pytest.importorskip("hatchling", reason="building the wheel without a network needs hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    source = copied(folder / "source")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--disable-pip-version-check",
        "-q",
        "-w",
        str(folder),
        str(source),
    ]
    subprocess.run(build, check=True, timeout=300)
    (wheel,) = folder.glob("*.whl")
    place = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True, timeout=120)
    python = place / "bin" / "python"
    target = Path(
        subprocess.run(
            [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout.strip()
    )
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--no-deps",
        "--no-index",
        "--disable-pip-version-check",
        "-q",
        str(wheel),
    ]
    subprocess.run(install, check=True, timeout=120)
    # Dependencies from here, but not the project itself: its own .pth files are not read again from a path
    # that is only appended.
    (target / "dependencies.pth").write_text(
        f"import sys; sys.path.append({sysconfig.get_path('purelib')!r})\n"
    )
    return place


def run(place: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PYTHONSAFEPATH"}}
    return subprocess.run(
        [str(place / "bin" / arguments[0]), *arguments[1:]],
        cwd=cwd,
        env=clean,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.fixture
def decoys(tmp_path: Path) -> Path:
    for name in ("models", "pipelines"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the decoy was run')\n")
    return tmp_path


def test_the_installed_command_works_among_decoys(installed: Path, decoys: Path) -> None:
    where = run(
        installed,
        "python",
        "-P",
        "-c",
        "import vsr, models; print(vsr.__file__, models.__file__)",
        cwd=decoys,
    ).stdout.split()
    assert all(str(installed) in w for w in where), where
    listed = run(installed, "vsr", "models", cwd=decoys)
    assert listed.returncode == 0, listed.stderr
    assert "lanczos" in listed.stdout
    media.cfr(decoys / "in.mp4", frames=6)
    options = "--scale 2 --model lanczos --codec h264 --crf 12 --preset ultrafast --device cpu".split()
    done = run(installed, "vsr", "run", "in.mp4", "-o", "out.mp4", *options, cwd=decoys)
    assert done.returncode == 0, done.stderr
    assert len(frames(decoys / "out.mp4")) == 6
    assert list((decoys / "models").iterdir()) == [decoys / "models" / "__init__.py"]


def test_python_m_vsr_among_decoys_says_so_in_one_line(installed: Path, decoys: Path) -> None:
    done = run(installed, "python", "-m", "vsr", "models", cwd=decoys)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("vsr: ")
    assert "is not ours" in line


def test_weights_and_settings_are_in_the_wheel(installed: Path, decoys: Path) -> None:
    program = "import vsr, models.catalog.lookup, pathlib; print(pathlib.Path(vsr.__file__).parent); print(models.catalog.card.TRAINED)"
    package, trained = (
        Path(p) for p in run(installed, "python", "-P", "-c", program, cwd=decoys).stdout.split()
    )
    for path in sorted((ROOT / "configs").rglob("*.toml")):
        assert (package / "configs" / path.relative_to(ROOT / "configs")).is_file(), path
    for path in sorted((ROOT / "models" / "trained").glob("*")):
        assert (trained / path.name).is_file(), path


def test_wheel_and_source_archive_have_the_same_bytes_wherever_and_whenever_they_are_built(
    tmp_path: Path,
) -> None:
    pytest.importorskip("hatchling", reason="building without a network needs hatchling")
    for name, built in (("here", 1_000_000_000), ("elsewhere", 1_700_000_000)):
        source = copied(tmp_path / name)
        for path in source.rglob("*"):
            os.utime(path, (built, built))
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "--directory", str(tmp_path / f"{name}.dist")],
            cwd=source,
            check=True,
            timeout=300,
        )
    first, second = (sorted((tmp_path / f"{name}.dist").iterdir()) for name in ("here", "elsewhere"))
    assert [p.name.partition("-")[0] for p in first] == ["vsr_upscale", "vsr_upscale"]
    assert [p.suffix for p in first] == [".whl", ".gz"] or [p.suffix for p in first] == [".gz", ".whl"]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    pytest.importorskip("twine", reason="what an index would say needs twine")
    checked = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *first],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
