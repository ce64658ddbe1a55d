"""Ratings are combined with the confidence intervals of the standards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.errors import UsageError
from pipelines.quality.ratings import FORMAT, merge_ratings


def saved(
    path: Path, ratings: list[tuple[int, int]], *, rater: str = "", test: str = "t", **more: object
) -> Path:
    trials = [{"seconds": float(n), "ratings": pair} for n, pair in enumerate(ratings)]
    table = {
        "format": FORMAT,
        "test": test,
        "rater": rater or path.stem,
        "names": ["a.mkv", "b.mkv"],
        "trials": trials,
        **more,
    }
    path.write_text(json.dumps(table))
    return path


def test_scores_of_all_raters_together(tmp_path: Path) -> None:
    found = merge_ratings(
        [saved(tmp_path / "one.json", [(5, 3), (4, 4)]), saved(tmp_path / "two.json", [(4, 2), (3, 4)])]
    )
    assert (found.raters, found.ratings) == (2, 4)
    one, other = found.opinions
    assert (one.name, one.mean, other.name, other.mean) == ("a.mkv", 4.0, "b.mkv", 3.25)
    assert one.interval == pytest.approx(1.96 * (2 / 3) ** 0.5 / 2)
    assert found.preferred == (2, 1, 1)
    assert found.rate == pytest.approx(2.5 / 4)


def test_the_preference_has_wilson_s_interval(tmp_path: Path) -> None:
    found = merge_ratings([saved(tmp_path / "one.json", [(5, 1)] * 8 + [(1, 5)] * 2)])
    assert (found.low, found.high) == pytest.approx((0.4902, 0.9433), abs=5e-4)


def test_a_single_rating_has_no_interval(tmp_path: Path) -> None:
    assert merge_ratings([saved(tmp_path / "one.json", [(5, 1)])]).opinions[0].interval is None


def test_what_can_not_be_merged_is_refused(tmp_path: Path) -> None:
    one = saved(tmp_path / "one.json", [(5, 1)])
    with pytest.raises(UsageError, match="of another blind test"):
        merge_ratings([one, saved(tmp_path / "x.json", [(5, 1)], test="u")])
    with pytest.raises(UsageError, match=r"by the same rater as .*one\.json"):
        merge_ratings([one, saved(tmp_path / "again.json", [(5, 1)], rater="one")])
    (tmp_path / "no.json").write_text("[]")
    for bad in (
        tmp_path / "no.json",
        saved(tmp_path / "high.json", [(6, 1)]),
        saved(tmp_path / "none.json", []),
        saved(tmp_path / "other.json", [(5, 1)], format="x"),
    ):
        with pytest.raises(UsageError, match="holds no ratings"):
            merge_ratings([one, bad])
    with pytest.raises(UsageError, match="can't be read"):
        merge_ratings([tmp_path / "missing.json"])
