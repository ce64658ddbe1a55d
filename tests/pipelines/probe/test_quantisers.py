from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from pipelines.probe.probe import open_film
from pipelines.probe.quantisers import Quantisers
from pipelines.probe.restoration_level import estimate_levels

if TYPE_CHECKING:
    from pathlib import Path

FINE_AND_COARSE = {
    "libx264": ({"crf": "16"}, {"crf": "34"}),
    "libx265": (
        {"crf": "18", "x265-params": "log-level=none"},
        {"crf": "36", "x265-params": "log-level=none"},
    ),
    "libvpx-vp9": ({"crf": "16", "b:v": "0", "cpu-used": "8"}, {"crf": "52", "b:v": "0", "cpu-used": "8"}),
    "libsvtav1": ({"crf": "20", "preset": "10"}, {"crf": "52", "preset": "10"}),
}


def leaves(path: Path, codec: str, options: dict[str, str], *, frames: int = 8, depth: int = 8) -> Path:
    """A film of fine noise that moves: no encode of it looks smooth."""
    generator = np.random.default_rng(5)
    field = generator.normal(0, 1, (192, 256))
    field = field + np.roll(field, 1, 0) + np.roll(field, 1, 1) + np.roll(field, (1, 1), (0, 1))
    luma = np.clip((120 + 20 * field) * (1 << (depth - 8)), 0, (1 << depth) - 1)
    kind, dtype = ("yuv420p", np.uint8) if depth == 8 else (f"yuv420p{depth}le", np.uint16)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 256, 192, kind
        for number in range(frames):
            frame = av.VideoFrame(256, 192, kind)
            for plane, values in zip(frame.planes, (np.roll(luma, number, 1), None, None), strict=True):
                rows = np.full((plane.height, plane.line_size // dtype().itemsize), 1 << (depth - 1), dtype)
                if values is not None:
                    rows[:, : plane.width] = values
                plane.update(rows.tobytes())
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def told(path: Path, bits: int = 8) -> float:
    """The level by quantisers alone."""
    with open_film(path) as film:
        quantisers = Quantisers(film.stream, bits)
        for frame in film.decoded(None, quantisers.passing):
            quantisers.see(frame)
        return quantisers.level(quantisers.taken())


@pytest.mark.parametrize("codec", FINE_AND_COARSE)
def test_a_coarser_encode_has_a_higher_level(tmp_path: Path, codec: str) -> None:
    fine, coarse = (told(leaves(tmp_path / "film.mkv", codec, options)) for options in FINE_AND_COARSE[codec])
    assert fine < 0.55
    assert coarse > max(fine + 0.25, 0.55)


def test_ten_bits_count_as_eight_do(tmp_path: Path) -> None:
    eight, ten = (
        told(leaves(tmp_path / "film.mkv", "libx264", {"crf": "27"}, depth=depth), depth) for depth in (8, 10)
    )
    assert eight > 0.5
    assert ten == pytest.approx(eight, abs=0.06)


def test_it_is_the_same_every_time(tmp_path: Path) -> None:
    film = leaves(tmp_path / "film.mkv", "libx264", {"crf": "27"}, frames=16)
    assert len({told(film) for _ in range(4)}) == 1


def test_a_codec_that_nothing_is_known_of_says_nothing(tmp_path: Path) -> None:
    assert told(leaves(tmp_path / "film.mkv", "ffv1", {}, frames=2)) == 0


def test_what_its_pictures_hide_a_film_tells_by_its_quantisers(tmp_path: Path) -> None:
    with open_film(leaves(tmp_path / "film.mkv", "libx264", {"crf": "34"}, frames=16)) as film:
        ((_, level),), ((_, filtered),) = (
            estimate_levels(film, full=False, prefilter=prefilter) for prefilter in ("", "deblock")
        )
    assert level > 0.5
    assert filtered < level - 0.1, "a filter that takes away what the encoder did is not to be repeated"
