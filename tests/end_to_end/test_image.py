"""The image for CPUs, built and run by buildah on a Debian of its own: no daemon, no registry of images.

It fetches a Debian, PyTorch and the other packages: some gigabytes, and half an hour on two cores. So it is a
part of `make nightly`, which sets VSR_IMAGE. VSR_TORCH_WHEEL names a wheel of PyTorch for CPUs where its own
index can't be reached.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import media
from tests.helpers.command import ROOT
from tests.helpers.view import frames

TOOLS = ("buildah", "debootstrap")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7200),
    pytest.mark.skipif("VSR_IMAGE" not in os.environ, reason="a part of `make nightly`: set VSR_IMAGE"),
    pytest.mark.skipif(os.geteuid() != 0, reason="a Debian of its own is made as root"),
    pytest.mark.skipif(
        any(shutil.which(tool) is None for tool in TOOLS), reason=f"no {' or no '.join(TOOLS)}"
    ),
]
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


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Buildah:
    folder = tmp_path_factory.mktemp("image")
    root, buildah = folder / "debian", Buildah(folder)
    packages = "python3,python3-venv,python3-pip,ca-certificates"
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", root],
        check=True,
        timeout=3000,
    )
    shutil.copy(CERTIFICATES, root / CERTIFICATES.lstrip("/"))
    index = ["--build-arg", f"TORCH_INDEX={TORCH_INDEX}"]
    variables = {"PIP_CERT": CERTIFICATES}
    if wheel := os.environ.get("VSR_TORCH_WHEEL"):
        place = root / "opt" / "wheels"
        place.mkdir()
        shutil.copy(wheel, place)
        version = Path(wheel).name.split("-")[1]
        (place / "constraints.txt").write_text(f"torch=={version}\n")
        variables |= {"PIP_FIND_LINKS": "/opt/wheels", "PIP_CONSTRAINT": "/opt/wheels/constraints.txt"}
        index = []
    (root / "usr/bin/python").symlink_to("python3")
    base = buildah("from", "scratch")
    buildah("add", "--quiet", base, root, "/")
    for name, value in variables.items():
        buildah("config", "--env", f"{name}={value}", base)
    buildah("commit", "--quiet", "--rm", base, "docker.io/library/python:3.11-slim")
    buildah(
        "bud", "--isolation", "chroot", "--pull-never", "--layers=false", "-f", ROOT / "docker" / "Dockerfile",
        "--target", "cpu", "--build-arg", "PYTHON=3.11", *index,
        "-t", "vsr:cpu", ROOT,
    )  # fmt: skip
    return buildah


def test_the_image_upscales_a_film_as_a_user_without_rights(image: Buildah, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    media.cfr(tmp_path / "films" / "film.mp4", frames=6)
    (tmp_path / "films").chmod(0o777)
    box = image("from", "--pull-never", "vsr:cpu")
    run = ["run", "--isolation", "chroot", "--volume", f"{tmp_path / 'films'}:/films", box, "--"]
    try:
        assert image(*run, "id", "-u") == "1000"
        assert "vsr, version" in image(*run, "vsr", "--version")
        image(*run, "vsr", "run", "film.mp4", "--scale", "2", "--model", "fast", "--codec", "h264")
    finally:
        image("rm", box)
    assert len(frames(tmp_path / "films" / "film.192p.mp4")) == 6
