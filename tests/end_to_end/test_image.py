"""The container image for CPUs, built and run by buildah without a daemon or an image registry.

The Dockerfile is used unchanged, on a Debian base in which pip finds the packages of these tests already
installed (in a volume), so that the image contains only vsr: this takes a few minutes. With VSR_IMAGE=1
(`make nightly`), the packages are installed into the image, which takes some gigabytes, and half an hour on
two cores; VSR_TORCH_WHEEL then names a CPU wheel of PyTorch, for machines that can't reach PyTorch's package
index.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import media
from tests.helpers.command import ROOT
from tests.helpers.view import frames

WHOLE = "VSR_IMAGE" in os.environ
TOOLS = ("buildah", "debootstrap")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(os.geteuid() != 0, reason="a Debian of its own is made as root"),
    pytest.mark.skipif(
        any(shutil.which(tool) is None for tool in TOOLS), reason=f"no {' or no '.join(TOOLS)}"
    ),
    pytest.mark.skipif(
        not WHOLE and sys.version_info[:2] != (3, 11),
        reason="packages of Python 3.11 are wanted, which is Debian's; or set VSR_IMAGE",
    ),
]
DEBIAN = "bookworm"  # with Python 3.11
PACKAGES = "/packages"
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
"""This machine's, for networks that have a certificate of their own."""


class Buildah:
    """Images in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *given: str | Path, seconds: float = 6000) -> str:
        places = [
            "--root",
            self.folder / "images",
            "--runroot",
            self.folder / "run",
            "--storage-driver",
            "vfs",
        ]
        done = subprocess.run(
            ["buildah", *map(str, places), *map(str, given)],
            env={**os.environ, "BUILDAH_ISOLATION": "chroot"},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout.strip()


def base(folder: Path) -> tuple[Path, dict[str, str], list[str | Path]]:
    """A Debian's root, variables of its image, and options for the build."""
    root = folder / "debian"
    packages = "python3,python3-venv,ca-certificates"
    command = ["debootstrap", "--variant=minbase", f"--include={packages}", DEBIAN, str(root)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=3000 if WHOLE else 600)
    except subprocess.TimeoutExpired as error:
        pytest.skip(f"debootstrap makes no {DEBIAN} here within {error.timeout:g} s")
    except subprocess.CalledProcessError as error:
        lines = (error.stdout + error.stderr).strip().splitlines()
        pytest.skip(f"debootstrap makes no {DEBIAN} here: {lines[-1] if lines else error}")
    (root / "usr/bin/python").symlink_to("python3")
    if not WHOLE:
        # Built by the hatchling of these tests, too: nothing is fetched.
        return root, {"PYTHONPATH": PACKAGES, "PIP_NO_BUILD_ISOLATION": "0"}, ["--volume", mounted()]
    shutil.copy(CERTIFICATES, root / CERTIFICATES.lstrip("/"))
    variables = {"PIP_CERT": CERTIFICATES}
    wheel = os.environ.get("VSR_TORCH_WHEEL")
    if not wheel:
        return root, variables, ["--build-arg", f"TORCH_INDEX={TORCH_INDEX}"]
    place = root / "opt" / "wheels"
    place.mkdir()
    shutil.copy(wheel, place)
    version = Path(wheel).name.split("-")[1]
    (place / "constraints.txt").write_text(f"torch=={version}\n")
    variables |= {"PIP_FIND_LINKS": "/opt/wheels", "PIP_CONSTRAINT": "/opt/wheels/constraints.txt"}
    return root, variables, []


def mounted() -> str:
    """The volume with the packages of these tests."""
    torch = importlib.util.find_spec("torch")
    assert torch is not None
    assert torch.origin is not None
    return f"{Path(torch.origin).parents[1]}:{PACKAGES}:ro"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Buildah:
    folder = tmp_path_factory.mktemp("image")
    buildah = Buildah(folder)
    root, variables, options = base(folder)
    box = buildah("from", "scratch")
    buildah("add", "--quiet", box, root, "/")
    for name, value in variables.items():
        buildah("config", "--env", f"{name}={value}", box)
    buildah("commit", "--quiet", "--rm", box, "docker.io/library/python:3.11-slim")
    buildah(
        "bud", "--isolation", "chroot", "--pull-never", "--layers=false", "-f", ROOT / "docker" / "Dockerfile",
        "--target", "cpu", "--build-arg", "PYTHON=3.11", *options,
        "-t", "vsr:cpu", ROOT,
    )  # fmt: skip
    return buildah


def test_the_image_upscales_a_film_as_a_user_without_rights(image: Buildah, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    media.cfr(tmp_path / "films" / "film.mp4", frames=6)
    (tmp_path / "films").chmod(0o777)
    box = image("from", "--pull-never", "vsr:cpu")
    run = ["run", "--isolation", "chroot", "--volume", f"{tmp_path / 'films'}:/films"]
    run += [*([] if WHOLE else ["--volume", mounted()]), box, "--"]
    try:
        assert image(*run, "id", "-u") == "1000"
        assert "vsr, version" in image(*run, "vsr", "--version")
        image(*run, "vsr", "run", "film.mp4", "--scale", "2", "--model", "fast", "--codec", "h264")
    finally:
        image("rm", box)
    assert len(frames(tmp_path / "films" / "film.96p.mp4")) == 6
