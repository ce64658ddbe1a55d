"""Relates quantisers to restoration levels: `python -m tests.benchmarks.level_by_quantiser [CLIP...]`.

Clips of the shared material are downscaled by two and encoded with each codec at several qualities. Prints
the level measured against the clip before encoding, the estimates from frames and from quantisers, and bits
per pixel. The lines in `pipelines.probe.quantisers` were fitted to these results.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import av
import numpy as np

from pipelines.datasets.damage import level_of_damage, measure_damage
from pipelines.datasets.degradation import Degradation
from pipelines.datasets.degrading import degrade
from pipelines.frames.film_frames import frames_at
from pipelines.frames.level_estimator import level_of_clip
from pipelines.frames.sample_values import SampleValues
from pipelines.frames.video_reader import VideoReader
from pipelines.probe.probe import open_film, probe
from pipelines.probe.quantisers import Quantisers
from tests.benchmarks.report import table

_FRAMES = 12
_QUALITIES: dict[str, tuple[dict[str, str], ...]] = {
    "libx264": tuple({"crf": str(crf), "preset": "medium"} for crf in (16, 20, 24, 28, 32, 36)),
    "libx265": tuple(
        {"crf": str(crf), "preset": "fast", "x265-params": "log-level=none"} for crf in (20, 26, 32)
    ),
    "libvpx-vp9": tuple({"crf": str(crf), "b:v": "0", "cpu-used": "5"} for crf in (20, 34, 48)),
    "libsvtav1": tuple({"crf": str(crf), "preset": "9"} for crf in (22, 34, 48)),
}


def halved(path: Path) -> SampleValues:
    """Some frames of a film, at half its size."""
    reader = VideoReader(probe(path))
    height, width = reader.height // 16 * 16, reader.width // 16 * 16
    first = max(0, min(reader.info.frame_count * 2 // 5, reader.info.frame_count - _FRAMES))
    clip = [
        reader.codes(frame).crop(0, 0, height, width)
        for _, frame in frames_at(reader.info, [(first, first + _FRAMES)])
    ]
    joined = SampleValues(
        np.concatenate([c.luma for c in clip]), np.concatenate([c.chroma for c in clip]), reader.bits
    )
    return degrade(joined, Degradation(), scale=2)


def encoded(path: Path, clip: SampleValues, codec: str, options: dict[str, str]) -> Path:
    """A clip as a film."""
    height, width = clip.luma.shape[1:]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for luma, chroma in zip(clip.luma, clip.chroma, strict=True):
            frame = av.VideoFrame(width, height, "yuv420p")
            for plane, values in zip(frame.planes, (luma, *chroma), strict=True):
                rows = np.zeros((plane.height, plane.line_size), np.uint8)
                rows[:, : plane.width] = values
                plane.update(rows.tobytes())
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def told(path: Path) -> tuple[SampleValues, float]:
    """A film's frames, and the level by its quantisers."""
    with open_film(path) as film:
        quantisers = Quantisers(film.stream, 8)
        frames = []
        for frame in film.decoded(None, quantisers.passing):
            quantisers.see(frame)
            frames.append([plane.copy() for plane in film.planes(frame)])
        luma, chroma = np.stack([f[0] for f in frames]), np.stack([np.stack(f[1:]) for f in frames])
        return SampleValues(luma, chroma, 8), quantisers.level(quantisers.taken())


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", nargs="*", default=["bigbuckbunny", "foliage", "sintel", "racer"])
    given = parser.parse_args()
    folder = Path(os.environ["VSR_SHARED_DATA"]) / "eval"
    paths = sorted([*folder.glob("video/*.mp4"), *folder.glob("vid4_*.mkv")])
    rows = []
    with tempfile.TemporaryDirectory() as made:
        for path in (p for p in paths if any(name in p.name for name in given.clips)):
            clip = halved(path)
            for codec, options in ((c, o) for c, choices in _QUALITIES.items() for o in choices):
                film = encoded(Path(made) / "film.mkv", clip, codec, options)
                low, level = told(film)
                measured = level_of_damage(measure_damage(low, clip))
                seen = level_of_clip(low.luma, 8) or 0.0
                size = film.stat().st_size * 8 / low.luma.size
                rows.append(
                    [
                        path.stem,
                        f"{codec} {options['crf']}",
                        f"{measured:.2f}",
                        f"{seen:.2f}",
                        f"{level:.2f}",
                        f"{size:.2f}",
                    ]
                )
                print(" ".join(rows[-1]), flush=True)
    print(
        table(
            ["clip", "encoder, CRF", "measured", "by its pictures", "by its quantisers", "bits a pixel"], rows
        )
    )


if __name__ == "__main__":
    main()
