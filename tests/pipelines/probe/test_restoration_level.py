from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pipelines.codec.filter_graph import prefiltered
from pipelines.datasets.recompression import Coding, recode
from pipelines.frames import level_estimator
from pipelines.frames.film_frames import FilmSamples
from pipelines.frames.level_estimator import level_of_clip, rounded
from pipelines.frames.sample_values import SampleValues
from pipelines.probe import restoration_level
from pipelines.probe.probe import open_film, probe
from pipelines.probe.restoration_level import changes, estimate_levels
from tests.helpers.footage import clip


def busy(frames: int = 3, seed: int = 2) -> SampleValues:
    """A clip with the spectrum of a photograph, discs before it, some of them smooth, larger than a tile.

    It moves a pixel a frame.
    """
    generator = np.random.default_rng(seed)
    height, width = 192, 240
    rows, columns = np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(width), indexing="ij")
    spectrum = (
        np.fft.fft2(generator.standard_normal((height, width)))
        / np.maximum(np.hypot(rows, columns), 1 / 60) ** 1.5
    )
    field = np.real(np.fft.ifft2(spectrum))
    field /= field.std()
    y, x = np.mgrid[:height, :width]
    for _ in range(12):
        top, left, radius = (
            generator.uniform(0, height),
            generator.uniform(0, width),
            generator.uniform(8, 30),
        )
        field = np.where(
            (y - top) ** 2 + (x - left) ** 2 < radius**2,
            field * generator.uniform(0, 0.7) + generator.normal(),
            field,
        )
    luma = np.clip(120 + 45 * field / field.std(), 16, 235).astype(np.uint8)
    return SampleValues(
        np.stack([np.roll(luma, n, axis=1) for n in range(frames)]),
        np.full((frames, 2, 96, 120), 128, np.uint8),
        8,
    )


def level(codes: SampleValues) -> float:
    found = level_of_clip(codes.luma, codes.bits)
    assert found is not None
    return found


def test_a_higher_crf_is_a_higher_level() -> None:
    source = busy()
    levels = [level(recode(source, Coding("h264", crf))) for crf in (10, 26, 40)]
    assert levels == sorted(levels)
    assert levels[0] < 0.1
    assert levels[-1] > levels[0] + 0.5


def test_what_was_ruined_once_stays_ruined_in_a_better_encode() -> None:
    """The stream of the second encode says CRF 16, its pictures say 36."""
    source = busy()
    fine, twice = (
        recode(source, Coding("h264", 16)),
        recode(recode(source, Coding("h264", 36)), Coding("h264", 16)),
    )
    assert level(twice) > level(fine) + 0.4


def test_depth_and_range_do_not_change_the_level(tmp_path: Path) -> None:
    coded = recode(busy(), Coding("h264", 28))
    assert level_of_clip(coded.luma.astype(np.uint16) << 2, 10) == level(coded)


@pytest.mark.parametrize(
    "codes",
    [
        clip(2, 32, 48),
        SampleValues(np.full((2, 256, 256), 90, np.uint8), np.full((2, 2, 128, 128), 128, np.uint8), 8),
    ],
    ids=["tiny", "flat"],
)
def test_where_nothing_can_be_seen_there_is_no_level(codes: SampleValues) -> None:
    assert level_of_clip(codes.luma, codes.bits) is None


def written(
    path: Path, parts: list[SampleValues], crf: str, *, full: bool = False, scenecut: str = "40"
) -> Path:
    """Clips one after another, encoded as one film. scenecut: 0: with no key frame at a cut."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=25, options={"crf": crf, "preset": "medium", "g": "12", "sc_threshold": scenecut}
        )
        stream.width, stream.height, stream.pix_fmt = 240, 192, "yuv420p"
        for codes in parts:
            for luma, chroma in zip(codes.luma, codes.chroma, strict=True):
                frame = av.VideoFrame(240, 192, "yuv420p")
                shown = (
                    np.rint((luma.astype(float) - 16) * 255 / 219).clip(0, 255).astype(np.uint8)
                    if full
                    else luma
                )
                for plane, content in zip(frame.planes, (shown, *chroma), strict=True):
                    rows = np.zeros((plane.height, plane.line_size), np.uint8)
                    rows[:, : plane.width] = content
                    plane.update(rows.tobytes())
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def estimated(path: Path, **options: Any) -> float:
    found = parts(path, **options)
    assert len(found) == 1
    return found[0][1]


def parts(path: Path, **options: Any) -> tuple[tuple[int, float], ...]:
    with open_film(path) as film:
        return estimate_levels(film, **{"full": False, **options})


def test_a_film_is_looked_at_here_and_there(tmp_path: Path) -> None:
    source = busy(40)
    levels = [estimated(written(tmp_path / "film.mp4", [source], crf)) for crf in ("12", "36")]
    assert levels[1] > levels[0] + 0.2


def test_what_a_prefilter_makes_of_the_frames_is_judged(tmp_path: Path) -> None:
    noisy = busy(12)
    noise = np.random.default_rng(0).normal(0, 5, noisy.luma.shape)
    noisy = SampleValues(np.clip(np.rint(noisy.luma + noise), 16, 235).astype(np.uint8), noisy.chroma, 8)
    film = written(tmp_path / "film.mp4", [noisy], "10")
    made = SampleValues(np.stack([prefiltered(luma, "denoise", 8) for luma in noisy.luma]), noisy.chroma, 8)
    denoised = estimated(written(tmp_path / "denoised.mp4", [made], "1"))
    assert abs(denoised - estimated(film)) > 0.1
    assert estimated(film, prefilter="denoise") == pytest.approx(denoised, abs=0.05)


def test_full_range_is_judged_as_what_it_shows(tmp_path: Path) -> None:
    coded = recode(busy(8), Coding("h264", 34))
    limited, full = (
        estimated(written(tmp_path / f"{n}.mp4", [coded], "4", full=n), full=n) for n in (False, True)
    )
    assert full == pytest.approx(limited, abs=0.1)


def test_sums_within_the_networks_are_exact() -> None:
    """So no CPU and no library sees another level.

    Every number is a multiple of a power of two, and small.
    """
    weights = level_estimator._weights()
    for name, tensor in weights.items():
        if name not in {"mean", "deviation"}:
            assert np.array_equal(rounded(tensor), tensor), name
            assert np.abs(tensor).sum(-1).max() < 1024, name


def test_soft_and_dark_pictures_are_not_taken_for_ruined_ones() -> None:
    source = busy()
    values = source.luma.astype(float)
    dark = SampleValues(np.rint(16 + (values - 16) * 0.3).astype(np.uint8), source.chroma, 8)
    ruined = recode(source, Coding("h264", 40))
    assert level(dark) < level(ruined) - 0.2


# --- shot by shot


def spliced(path: Path, *shots: tuple[int, int, int | None], scenecut: str = "40") -> Path:
    """(frames, what they show, CRF they went through before) of each shot, encoded as one film."""
    clips = [(busy(frames, seed), crf) for frames, seed, crf in shots]
    return written(
        path,
        [c if crf is None else recode(c, Coding("h264", crf)) for c, crf in clips],
        "8",
        scenecut=scenecut,
    )


def test_one_small_picture_is_too_little_to_be_sure(tmp_path: Path) -> None:
    """Of a picture with one tile, in place of several frames, a sixth of the level is believed."""
    ruined = recode(busy(1), Coding("h264", 40))
    path = tmp_path / "small.png"
    pixels = av.VideoFrame.from_ndarray(ruined.luma[0], format="gray")
    with av.open(path, "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("png", rate=1, options={})
        stream.width, stream.height, stream.pix_fmt = pixels.width, pixels.height, "gray"
        container.mux(stream.encode(pixels))
        container.mux(stream.encode())
    ((start, found),) = parts(path, full=True)
    assert start == 0
    assert 0 < found < level(ruined) / 3


@pytest.mark.parametrize(
    ("through", "cut"),
    [(250, 50), (24, 50), (24, 30)],
    ids=["read-through", "here-and-there", "few-key-frames"],
)
def test_a_film_of_two_sources_has_two_levels_that_meet_at_the_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, through: int, cut: int
) -> None:
    monkeypatch.setattr(restoration_level, "_THROUGH", through)
    film = spliced(tmp_path / "film.mp4", (cut, 2, None), (cut - 4, 3, 42), scenecut="0")
    (first, clean), (second, ruined) = parts(film)
    assert (first, second) == (0, cut)
    assert ruined > clean + 0.3


def test_shots_of_one_source_have_one_level(tmp_path: Path) -> None:
    assert len(parts(spliced(tmp_path / "film.mp4", (40, 2, 30), (40, 3, 30)))) == 1


@pytest.mark.parametrize("through", [250, 24], ids=["read-through", "here-and-there"])
def test_what_no_cut_divides_has_one_level(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, through: int
) -> None:
    monkeypatch.setattr(restoration_level, "_THROUGH", through)
    shot = busy(96)
    clips = [shot.frames(slice(0, 32)), recode(shot.frames(slice(32, None)), Coding("h264", 42))]
    assert len(parts(written(tmp_path / "film.mp4", clips, "8", scenecut="0"))) == 1


def test_a_shot_that_is_too_short_has_the_level_of_those_around_it(tmp_path: Path) -> None:
    assert len(parts(spliced(tmp_path / "film.mp4", (30, 2, None), (8, 3, 42), (30, 4, None)))) == 1


@pytest.mark.parametrize(
    ("levels", "found"),
    [
        ([0.2, 0.3, 0.25, 0.2, 0.28], []),
        ([0.2, 0.2, 0.8, 0.2, 0.2], []),
        ([0.2, 0.2, 0.2, 0.7, 0.7], [3]),
        ([0.2, 0.2, 0.2, 0.7, 0.7, 0.7, 0.1, 0.1], [3, 6]),
    ],
)
def test_a_level_changes_only_where_several_places_say_so(levels: list[float], found: list[int]) -> None:
    assert changes(levels, [1.0] * len(levels)) == found


def test_however_long_a_film_is_few_places_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Times say that it lasts two hours."""
    film = spliced(tmp_path / "film.mp4", (60, 2, None))
    info = replace(probe(film), time_base=Fraction(2 * 3600, 60 * 512))
    looked: list[int] = []
    place = restoration_level._Film.place
    monkeypatch.setattr(restoration_level, "_THROUGH", 24)
    monkeypatch.setattr(
        restoration_level._Film, "place", lambda film, at: looked.append(at) or place(film, at)
    )
    with FilmSamples(info) as samples:
        assert len(estimate_levels(samples, full=False)) == 1
    assert len(looked) == 32
