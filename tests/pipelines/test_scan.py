"""Whether a film is interlaced, by its flags and by its pictures. Case 15."""

from __future__ import annotations

from array import array
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest

from pipelines import scan
from pipelines.probe import probe
from pipelines.scan import Look, comb_share, judge
from pipelines.video import Scan
from tests import media


@pytest.mark.parametrize("first", ["top", "bottom"])
def test_flags_tell_which_field_comes_first(tmp_path: Path, first: str) -> None:
    """Case 15."""
    assert probe(media.fields(tmp_path / "in.mp4", first)).scan == Scan(first, "flags")


@pytest.mark.parametrize("first", ["top", "bottom"])
def test_without_flags_pictures_tell_it(tmp_path: Path, first: str) -> None:
    """Case 15."""
    source = media.fields(tmp_path / "in.mp4", first, flagged=False)
    assert probe(source).scan == Scan(first, "pictures")


def test_pictures_overrule_a_flagged_order_they_plainly_contradict(tmp_path: Path) -> None:
    source = media.fields(tmp_path / "in.mp4", "top", field_flags="bff")
    assert probe(source).scan == Scan("top", "pictures")


def test_whole_frames_in_motion_are_not_taken_for_fields(tmp_path: Path) -> None:
    assert probe(media.cfr(tmp_path / "wave.mp4", frames=40, size=(128, 96))).scan == Scan()


def test_a_ball_that_falls_is_not_believed_to_be_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 15."""
    y, x = np.mgrid[0:96, 0:128]
    with av.open(str(tmp_path / "in.mkv"), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "gray"
        for number in range(16):
            ball = np.where((x - 40) ** 2 + (y - 10 - 1.5 * number) ** 2 < 200, 200, 40).astype(np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(ball, format="gray")))
        output.mux(stream.encode(None))
    assert probe(tmp_path / "in.mkv").scan == Scan()
    monkeypatch.setattr(scan, "_COMBED", -1.0)
    assert probe(tmp_path / "in.mkv").interlaced, "idet was not fooled, and nothing is proved"


def test_frames_that_only_roll_by_a_line_are_no_fields() -> None:
    """What idet says of them is not believed where lines are not combed."""
    smooth = np.tile((np.arange(96)[:, None] * 2).astype(np.uint8), (1, 64))
    assert comb_share(smooth) == 0.0
    comb = smooth.copy()
    comb[1::2] = np.minimum(comb[1::2] + 40, 255)
    assert comb_share(comb) > 0.9
    assert comb_share(smooth[:4]) == 0.0


def test_few_combed_frames_do_not_make_a_film_interlaced() -> None:
    look = Look(Counter(top=3, progressive=9), Counter(progressive=12), "tttppppppppp")
    assert judge([look], "") == Scan()
    assert judge([Look(Counter(top=9, bottom=8), Counter(), "")], "") == Scan(), "both orders: that is no field order"
    assert judge([Look(Counter(top=6, progressive=6), Counter(), "")], "") == Scan("top", "pictures")


def test_one_flagged_stretch_is_enough() -> None:
    whole = Look(Counter(progressive=12), Counter(progressive=12), "p" * 12)
    marked = Look(Counter(progressive=12), Counter(progressive=10, bottom=2), "p" * 12)
    assert judge([whole, marked, whole], "") == Scan("bottom", "flags")


def test_the_stream_s_own_order_counts_where_frames_say_nothing() -> None:
    assert judge([], "bottom") == Scan("bottom", "flags")
    assert judge([], "bottom", soft=True) == Scan(pulldown="soft")


def test_hard_telecine_is_known_by_its_rhythm(tmp_path: Path) -> None:
    assert probe(media.telecined(tmp_path / "in.mp4")).scan == Scan("top", "pictures", "hard")


def test_soft_telecine_is_known_by_its_times_and_stays_whole(tmp_path: Path) -> None:
    info = probe(media.soft_telecined(tmp_path / "in.ts"))
    assert info.scan == Scan(pulldown="soft")


def test_times_that_are_not_two_and_three_in_turn_are_no_telecine() -> None:
    assert not scan._is_soft_telecine(array("q", range(0, 30 * 40, 40)))
    assert not scan._is_soft_telecine(array("q", [0, 2, 5, 7]))
    assert scan._is_soft_telecine(array("q", [33 * 5 * n // 2 if n % 2 == 0 else 33 * (5 * (n // 2) + 2) for n in range(20)]))
