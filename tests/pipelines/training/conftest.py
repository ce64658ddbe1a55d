"""Fixtures that tests of training share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipelines.datasets.builder import make_dataset
from pipelines.datasets.crop_selection import CropSettings
from pipelines.datasets.degradation import DegradeSettings
from pipelines.datasets.settings import DatasetSettings
from tests.helpers.footage import pictures

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set of generated images, for networks that enlarge by two."""
    folder = tmp_path_factory.mktemp("training")
    settings = DatasetSettings(
        truth_px=32,
        shrink=1,
        degrade=DegradeSettings(clean=0.6),
        crops=CropSettings(per_frame=8, duplicate_bits=1),
    )
    list(make_dataset([pictures(folder / "stills", 8, 200, 260)], folder / "pairs", settings))
    return folder / "pairs"
