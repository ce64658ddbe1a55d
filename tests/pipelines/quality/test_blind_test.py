"""A blind test shows where two results differ."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from models.errors import UsageError
from pipelines.quality.blind_test import BlindTest, blind_test
from pipelines.quality.frame_alignment import Misaligned
from tests import media


def film(path: Path, frames: int = 24, **more: object) -> Path:
    return media.cfr(path, frames=frames, rate=Fraction(24), size=(96, 64), **more)


def test_moments_lie_all_over_the_film_where_both_differ(tmp_path: Path) -> None:
    fine, coarse = film(tmp_path / "fine.mkv"), film(tmp_path / "coarse.mkv", options={"crf": "44"})
    (test,) = list(blind_test(fine, coarse, shots=3))
    assert isinstance(test, BlindTest)
    assert test.names == ("fine.mkv", "coarse.mkv")
    assert [int(t.seconds * 3) for t in test.trials] == [0, 1, 2]
    assert all(len(set(t.pictures)) == 2 for t in test.trials)
    assert list(blind_test(fine, coarse, shots=3)) == [test]


def test_the_first_picture_is_the_first_film_s(tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    one, other = film(tmp_path / "one.mkv", 2), film(tmp_path / "other.mkv", 2, first_number=7)
    (test,) = [e for e in blind_test(one, other, shots=1) if isinstance(e, BlindTest)]
    grey = np.asarray(pillow.open(io.BytesIO(test.trials[0].pictures[0])).convert("L")).astype(int)
    expected = media.planes_of(round(test.trials[0].seconds * 24), 96, 64)[0]
    assert np.corrcoef(grey.ravel(), expected.ravel())[0, 1] > 0.98


def test_equal_videos_leave_nothing_to_judge(tmp_path: Path) -> None:
    same = film(tmp_path / "same.mkv", 4)
    with pytest.raises(UsageError, match="nothing to judge"):
        list(blind_test(same, same))


def test_what_does_not_line_up_is_said(tmp_path: Path) -> None:
    first, *_ = blind_test(film(tmp_path / "a.mkv"), film(tmp_path / "b.mkv", 20, options={"crf": "44"}))
    assert isinstance(first, Misaligned)
    assert first.kind == "count"
