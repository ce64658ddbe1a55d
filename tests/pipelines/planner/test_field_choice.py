"""What `--deinterlace` results in for telecined film, in messages and in the plan."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import MediaError, UsageError
from pipelines.plan.plan import Deinterlacing
from pipelines.planner import field_choice
from pipelines.planner.field_choice import FieldChoice, choose_fields
from pipelines.probe.probe import probe
from tests import media
from tests.helpers.telecine import film_frame, pulled_down, three_two, write_fields


@pytest.fixture(scope="module")
def film() -> dict[int, np.ndarray]:
    return {n: film_frame(n) for n in range(60)}


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def choose(
    path: Path, fields: list[int], film: dict[int, np.ndarray], wanted: str, **more: Any
) -> FieldChoice:
    info = probe(write_fields(path, pulled_down(film, fields).frames, **more))
    return choose_fields(info, wanted, (0, info.frame_count))


def words(choice: FieldChoice) -> str:
    return " ".join(choice.notes)


def test_auto_takes_it_where_the_whole_film_shows_it(tmp_path: Path, film: dict[int, np.ndarray]) -> None:
    """Case 97."""
    for flagged in (True, False):
        found = choose(tmp_path / f"{flagged}.mkv", three_two(range(60)), film, "auto", flagged=flagged)
        assert found.pulldown is not None
        assert found.pulldown.letters == "AB-CD" * 15
        assert found.deinterlacing is None
        assert "hard-telecined" in words(found)
        assert "60 frames of 75" in words(found)


def test_auto_says_that_a_part_is_telecined_and_what_to_type(
    tmp_path: Path, film: dict[int, np.ndarray]
) -> None:
    """Case 97."""
    video = {100 + n: film_frame(n, speed=1.5) for n in range(60)}
    fields = three_two(range(60)) + list(range(100, 160))
    both = {**film, **video}
    found = choose(tmp_path / "in.mkv", fields, both, "auto")
    assert found.pulldown is None
    assert found.deinterlacing is not None
    assert "7" in words(found).partition(" % of its frames are telecined film")[0][-2:]
    assert "--deinterlace ivtc" in words(found)
    asked = choose(tmp_path / "in.mkv", fields, both, "ivtc")
    assert asked.pulldown is not None
    assert re.search("(29|30) are video, deinterlaced at its own rate", words(asked))


def test_video_is_refused_with_what_to_type(tmp_path: Path) -> None:
    """Case 97."""
    video = {n: film_frame(n, speed=1.5) for n in range(60)}
    with pytest.raises(MediaError, match=r"shows no pulldown: .* --deinterlace on"):
        choose(tmp_path / "in.mkv", list(range(60)), video, "ivtc")


def test_whole_frames_are_left_as_they_are(tmp_path: Path, film: dict[int, np.ndarray]) -> None:
    """Case 97: film at 25 frames a second in 50 fields (2:2) is progressive by its pictures."""
    twice = [n for n in range(30) for _ in range(2)]
    for wanted in ("ivtc", "auto"):
        found = choose(tmp_path / "in.mkv", twice, film, wanted, rate=Fraction(25))
        assert (found.pulldown, found.deinterlacing) == (None, None)
    assert "nothing to do" in words(choose(tmp_path / "in.mkv", twice, film, "ivtc", rate=Fraction(25)))


def test_two_to_two_one_field_late_is_woven(tmp_path: Path, film: dict[int, np.ndarray]) -> None:
    """Case 97."""
    late = [n for n in range(60) for _ in range(2)][1:]
    found = choose(tmp_path / "in.mkv", late, film, "ivtc", rate=Fraction(25))
    assert found.pulldown is not None
    assert found.pulldown.letters == "-" + "P" * 58
    assert "one field late" in words(found)


def test_euro_pulldown_is_refused(tmp_path: Path, film: dict[int, np.ndarray]) -> None:
    """Case 97."""
    fields = [n for n in range(60) for _ in range(3 if n % 12 == 11 else 2)]
    with pytest.raises(MediaError, match=r"Euro pulldown .*--deinterlace on"):
        choose(tmp_path / "in.mkv", fields, film, "ivtc", rate=Fraction(25))


def test_soft_telecine_has_film_frames_already(tmp_path: Path) -> None:
    """Case 97: their times are those the flags say."""
    info = probe(media.soft_telecined(tmp_path / "in.ts"))
    for wanted in ("ivtc", "auto"):
        found = choose_fields(info, wanted, (0, info.frame_count))
        assert (found.pulldown, found.deinterlacing) == (None, None)
        assert "its film frames keep their own times" in words(found)


def test_a_look_is_remembered_and_children_see_the_same(
    tmp_path: Path, film: dict[int, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 97."""
    source = write_fields(tmp_path / "in.mkv", pulled_down(film, three_two(range(60), 2)).frames)
    info = probe(source)
    alone = choose_fields(info, "ivtc", (0, info.frame_count))
    looks = []
    monkeypatch.setattr(field_choice, "_facts", lambda *told: looks.append(told))
    assert choose_fields(info, "ivtc", (0, info.frame_count)) == alone
    assert not looks
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    monkeypatch.setattr(field_choice, "_SMALLEST", 30)
    monkeypatch.setattr(field_choice, "usable_cores", lambda: 2)
    assert choose_fields(info, "ivtc", (0, info.frame_count)) == alone


def test_a_part_is_looked_at_alone(
    tmp_path: Path, film: dict[int, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(field_choice, "_BESIDE", 5)
    info = probe(write_fields(tmp_path / "in.mkv", pulled_down(film, three_two(range(60))).frames))
    found = choose_fields(info, "ivtc", (20, 40)).pulldown
    assert found is not None
    assert (found.first_frame, found.letters) == (15, "AB-CD" * 6)


def test_progressive_film_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 97: a run without pulldown is not longer to plan."""
    monkeypatch.setattr(field_choice, "_facts", lambda *_: pytest.fail("looked at every frame"))
    for source in (media.cfr(tmp_path / "p.mp4", size=(128, 96)), media.fields(tmp_path / "i.mp4")):
        info = probe(source)
        choose_fields(info, "auto", (0, info.frame_count))


@pytest.mark.parametrize("interlaced", [True, False])
@pytest.mark.parametrize(("order", "first"), [("tff", "top"), ("bff", "bottom")])
def test_a_given_field_order_replaces_the_detected_one(
    tmp_path: Path, order: str, first: str, interlaced: bool
) -> None:
    make = media.fields if interlaced else media.cfr
    info = probe(make(tmp_path / "in.mp4", frames=12))
    for wanted in ("auto", "on", "bob"):
        found = choose_fields(info, wanted, (0, info.frame_count), order=order)
        assert found.deinterlacing == Deinterlacing(first, bob=wanted == "bob")  # type: ignore[arg-type]
        assert f"is interlaced, {first} field first by --field-order" in f"is {words(found)}"
    with pytest.raises(MediaError, match="by --field-order"):
        choose_fields(info, "refuse", (0, info.frame_count), order=order)


def test_video_that_is_given_as_progressive_is_not_deinterlaced(tmp_path: Path) -> None:
    info = probe(media.fields(tmp_path / "in.mp4", frames=12))
    whole = (0, info.frame_count)
    for wanted in ("auto", "off", "refuse"):
        found = choose_fields(info, wanted, whole, order="progressive")
        assert found == FieldChoice(notes=("taken for progressive, by --field-order",))
    for wanted in ("on", "bob", "ivtc"):
        with pytest.raises(UsageError, match=f"leave --deinterlace {wanted} out"):
            choose_fields(info, wanted, whole, order="progressive")
