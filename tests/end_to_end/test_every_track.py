"""Tracks and options from FFmpeg's own tables, checked with PyAV alone. Cases 21, 23, 85."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from tests import media
from tests.helpers.judge import read, wrong_with
from tests.pairs import pairs

FIRST = int(os.environ.get("VSR_PAIRS_FIRST", "0"))
COUNT = int(os.environ.get("VSR_PAIRS_COUNT", "20"))


def test_any_track_is_right_in_the_result_or_refused_before_work(tmp_path: Path) -> None:
    """Cases 21, 23 and 85: VSR_PAIRS_COUNT of them from the seed VSR_PAIRS_FIRST on.

    `python -m tests.pairs --first SEED --count 1` does one again.
    """
    endings = list(pairs(FIRST, COUNT, tmp_path))
    assert len(endings) == COUNT
    bad = [f"seed {e.seed}: {e.what}: {e.bad}: {e.said[:300]}" for e in endings if e.bad]
    assert not bad, "\n".join(bad)


def test_the_judge_finds_what_is_wrong(tmp_path: Path) -> None:
    """What it calls right would mean nothing else."""
    film = media.Film(frames=8, rate=Fraction(25))
    sound = media.Audio(seconds=0.32)

    def made(name: str, film: media.Film = film, **more: object) -> Path:
        return media.write(tmp_path / name, film, **{"audio": (sound,), **more})  # type: ignore[arg-type]

    source = read(made("in.mkv"))
    assert wrong_with(source, read(made("same.mkv")), 1, "") == []
    for name, words, other in (
        ("frames.mkv", "7 frames of 8", made("frames.mkv", replace(film, frames=7))),
        ("times.mkv", "times off", made("times.mkv", replace(film, pts=(0, 1, 2, 3, 5, 6, 7, 8)))),
        ("size.mkv", "80x48, expected 64x48", made("size.mkv", replace(film, size=(80, 48)))),
        ("shape.mkv", "sample aspect ratio 16/11", made("shape.mkv", replace(film, sar=Fraction(16, 11)))),
        ("tags.mkv", "matrix 6, expected 1", made("tags.mkv", replace(film, tags=(6, 1, 6, 6)))),
        ("pictures.mkv", "is another picture", made("pictures.mkv", replace(film, first_number=9))),
        ("gone.mkv", "audio stream 1 (aac) is gone", made("gone.mkv", audio=())),
        ("payload.mkv", "bytes in", made("payload.mkv", audio=(replace(sound, hertz=600.0),))),
        (
            "late.mkv",
            "begins 100.000 ms off",
            made("late.mkv", audio=(replace(sound, start=Fraction(1, 10)),)),
        ),
    ):
        found = wrong_with(source, read(other), 1, "")
        assert any(words in one for one in found), (name, found)
