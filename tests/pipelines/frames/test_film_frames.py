"""One open film for all that look at its frames: opened once, each frame decoded once, in bounded memory."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pipelines.frames import film_frames
from pipelines.frames.film_frames import FilmSamples
from pipelines.planner import video_planner
from pipelines.planner.video_planner import plan_video
from pipelines.probe.probe import open_film, probe
from pipelines.probe.quantisers import Quantisers
from tests import media
from vsr.api import run_settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    import av

LARGE = {"size": (192, 144)}


class Counted:
    """Counts what planning opens and decodes to look at frames."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened, self.decoded = 0, 0
        self._open, self._decode = film_frames.open_source, film_frames.decoded_frames
        monkeypatch.setattr(film_frames, "open_source", self.open_source)
        monkeypatch.setattr(film_frames, "decoded_frames", self.decoded_frames)

    def open_source(self, path: str) -> Any:
        self.opened += 1
        return self._open(path)

    def decoded_frames(self, packets: Iterable[Any], decoder: Any) -> Any:
        for frame in self._decode(packets, decoder):
            self.decoded += 1
            yield frame


def luma(frame: av.VideoFrame) -> np.ndarray:
    plane = frame.planes[0]
    return np.frombuffer(bytes(plane), np.uint8).reshape(plane.height, -1)[:, : plane.width]


def seen(film: FilmSamples, at: int | None, count: int | None = None) -> list[tuple[int | None, bytes]]:
    return [(frame.pts, luma(frame).tobytes()) for frame in islice(film.frames(at), count)]


def anew(path: Path, at: int | None, count: int | None = None) -> list[tuple[int | None, bytes]]:
    with FilmSamples(probe(path)) as film:
        return seen(film, at, count)


@pytest.mark.parametrize(
    ("settings", "most"),
    [({}, 48), ({"model": "fast"}, 48), ({"crop_bars": True}, 48), ({"keep_grain": True}, 84)],
    ids=str,
)
def test_a_film_is_opened_once_and_its_frames_are_decoded_once_for_all_that_look(
    settings: dict[str, Any], most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = media.cfr(tmp_path / "in.mp4", frames=48, gop=48, **LARGE)
    counted = Counted(monkeypatch)
    plan_video(source, tmp_path / "out.mkv", run_settings(scale=2, **settings))
    assert (counted.opened, counted.decoded <= most) == (1, True)


def test_a_look_behind_that_of_another_goes_on_where_it_ended(tmp_path: Path) -> None:
    source = media.cfr(tmp_path / "in.mp4", frames=48, gop=24, **LARGE)
    whole = anew(source, None)
    with open_film(source) as film:
        assert seen(film, None, 5) == whole[:5]
        assert seen(film, None, 20) == whole[:20]
        assert seen(film, None) == whole
        assert seen(film, film.info.pts[30], 3) == whole[24:27]
        assert seen(film, film.info.pts[40]) == whole[24:]
        assert seen(film, film.info.pts[10]) == whole


def test_places_behind_one_key_frame_are_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = media.cfr(tmp_path / "in.mp4", frames=48, gop=48, **LARGE)
    info = probe(source)
    counted = Counted(monkeypatch)
    with FilmSamples(info) as film:
        assert len({seen(film, at, 1)[0] for at in film.places(12, least_frames=12)}) == 1
    assert (counted.opened, counted.decoded) == (1, 1)


@pytest.mark.parametrize("frames", [0, 3])
def test_frames_beyond_the_limit_are_not_kept_and_come_all_the_same(
    frames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = media.cfr(tmp_path / "in.mp4", frames=24, gop=24, **LARGE)
    whole, info = anew(source, None), probe(source)
    with FilmSamples(info) as film:
        size = sum(plane.buffer_size for plane in next(film.frames()).planes)
    monkeypatch.setattr(film_frames, "_KEPT_BYTES", size * frames + size // 2)
    with FilmSamples(info) as film:
        for _ in range(2):
            assert seen(film, None, 10) == whole[:10]
            assert seen(film, info.pts[12]) == whole
        assert sum(len(run.kept) for run in film._runs.values()) == frames


def test_a_film_is_closed_before_the_trials_of_a_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames would lie beside an encoder for 8K."""
    films: list[FilmSamples] = []
    real = video_planner.open_film

    def noted(*arguments: Any, **options: Any) -> FilmSamples:
        films.append(real(*arguments, **options))
        return films[-1]

    def no_trial(*_: object) -> None:
        assert films[0]._runs == {}
        raise KeyboardInterrupt

    monkeypatch.setattr(video_planner, "open_film", noted)
    monkeypatch.setattr(video_planner, "try_encoder", no_trial)
    with pytest.raises(KeyboardInterrupt):
        plan_video(media.cfr(tmp_path / "in.mp4"), tmp_path / "out.mkv", run_settings(scale=2, model="fast"))


def test_a_look_at_the_flags_of_frames_leaves_them_as_they_are(tmp_path: Path) -> None:
    source = media.interlaced(tmp_path / "in.mp4")
    expected = list(probe(source).pts)
    with open_film(source) as film:
        assert film.info.scan.order == "top"
        assert [frame.pts for frame in film.frames()] == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores can't be taken away here")
def test_what_is_read_does_not_depend_on_the_number_of_cores(tmp_path: Path) -> None:
    """Threads of a decoder read packets ahead, whose quantisers would count, more with more cores."""
    source = media.cfr(tmp_path / "in.mkv", frames=40, codec="libx265", gop=40, **LARGE)
    here = os.sched_getaffinity(0)

    def read(cores: set[int]) -> list[float]:
        os.sched_setaffinity(0, cores)
        with open_film(source) as film:
            quantisers = Quantisers(film.stream, 8)
            for _ in islice(film.decoded(None, quantisers.passing), 8):
                pass
            return quantisers.taken()

    try:
        one, all_of_them = read({min(here)}), read(here)
    finally:
        os.sched_setaffinity(0, here)
    assert one == all_of_them
    assert len(one) >= 8
