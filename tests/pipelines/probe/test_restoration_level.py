from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from pipelines.datasets.recompression import Coding, recode
from pipelines.frames.sample_values import Codes
from pipelines.probe.probe import probe
from pipelines.probe.restoration_level import estimate_level, level_of_clip
from tests.helpers.footage import clip


def busy(frames: int = 3) -> Codes:
    """A clip with the spectrum of a photograph, discs before it, larger than a tile; it moves a pixel a frame."""
    generator = np.random.default_rng(2)
    height, width = 192, 240
    rows, columns = np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(width), indexing="ij")
    spectrum = np.fft.fft2(generator.standard_normal((height, width))) / np.maximum(np.hypot(rows, columns), 1 / 60) ** 1.1
    field = np.real(np.fft.ifft2(spectrum))
    y, x = np.mgrid[:height, :width]
    for _ in range(12):
        top, left, radius = generator.uniform(0, height), generator.uniform(0, width), generator.uniform(8, 30)
        field = np.where((y - top) ** 2 + (x - left) ** 2 < radius**2, field * 0.7 + generator.normal() * field.std(), field)
    luma = np.clip(120 + 45 * field / field.std(), 16, 235).astype(np.uint8)
    return Codes(np.stack([np.roll(luma, n, axis=1) for n in range(frames)]), np.full((frames, 2, 96, 120), 128, np.uint8), 8)


def level(codes: Codes) -> float:
    found = level_of_clip(codes.luma, codes.bits)
    assert found is not None
    return found


def test_a_higher_crf_is_a_higher_level() -> None:
    source = busy()
    levels = [level(recode(source, Coding("h264", crf))) for crf in (10, 26, 40)]
    assert levels == sorted(levels)
    assert levels[-1] > levels[0] + 0.2


def test_what_was_ruined_once_stays_ruined_in_a_better_encode() -> None:
    """The stream of the second encode says CRF 16, its pictures say 36."""
    source = busy()
    fine, twice = recode(source, Coding("h264", 16)), recode(recode(source, Coding("h264", 36)), Coding("h264", 16))
    assert level(twice) > level(fine) + 0.15


def test_depth_and_range_do_not_change_the_level(tmp_path: Path) -> None:
    coded = recode(busy(), Coding("h264", 28))
    assert level_of_clip(coded.luma.astype(np.uint16) << 2, 10) == level(coded)


@pytest.mark.parametrize(
    "codes", [clip(2, 32, 48), Codes(np.full((2, 256, 256), 90, np.uint8), np.full((2, 2, 128, 128), 128, np.uint8), 8)], ids=["tiny", "flat"]
)
def test_where_nothing_can_be_seen_there_is_no_level(codes: Codes) -> None:
    assert level_of_clip(codes.luma, codes.bits) is None


def test_a_film_is_looked_at_here_and_there(tmp_path: Path) -> None:
    source = busy(40)
    path = tmp_path / "film.mp4"
    levels = []
    for crf in ("12", "38"):
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"crf": crf, "preset": "ultrafast", "g": "12"})
            stream.width, stream.height, stream.pix_fmt = 240, 192, "yuv420p"
            for number, luma in enumerate(source.luma):
                frame = av.VideoFrame(240, 192, "yuv420p")
                for plane, content in zip(frame.planes, (luma, *source.chroma[number]), strict=True):
                    rows = np.zeros((plane.height, plane.line_size), np.uint8)
                    rows[:, : plane.width] = content
                    plane.update(rows.tobytes())
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        found = estimate_level(probe(path), full=False)
        assert found is not None
        levels.append(found)
    assert levels[1] > levels[0] + 0.05
