"""Generated footage for training: sharp moving textures, cut into shots."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from pipelines.frames.images import write_png
from pipelines.frames.sample_values import SampleValues


def texture(height: int, width: int, seed: int) -> np.ndarray:
    """(H,W) luma codes: lines and blocks with hard edges, different for every seed."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width), 110.0)
    for _ in range(height * width // 40):
        top, left = rng.integers(height), rng.integers(width)
        picture[top : top + rng.integers(1, 9), left : left + rng.integers(1, 9)] = rng.integers(30, 220)
    return picture.astype(np.uint8)


def clip(frames: int = 4, height: int = 64, width: int = 96, seed: int = 0, bits: int = 8) -> SampleValues:
    """A texture that moves two pixels a frame, with chroma that is a texture of its own."""
    shift = 8 * frames
    luma, chroma = (
        texture(height, width + 4 * shift, seed),
        texture(height, width + 4 * shift, seed + 1000) // 2 + 64,
    )
    lines = np.stack([luma[:, 2 * t : 2 * t + width] for t in range(frames)])
    colours = np.stack(
        [
            np.stack([chroma[: height // 2, t : t + width // 2], chroma[height // 2 :, t : t + width // 2]])
            for t in range(frames)
        ]
    )
    if bits > 8:
        return SampleValues(
            lines.astype(np.uint16) << (bits - 8), colours.astype(np.uint16) << (bits - 8), bits
        )
    return SampleValues(lines, colours, 8)


def film(
    path: Path,
    shots: tuple[int, ...] = (12, 14),
    *,
    width: int = 192,
    height: int = 128,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
) -> Path:
    """A video whose shots have that many frames each."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=24)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, 24)
        stream.codec_context.time_base = Fraction(1, 24)
        stream.options = options if options is not None else {"crf": "10", "preset": "ultrafast"}
        number = 0
        for shot, frames in enumerate(shots):
            codes = clip(frames, height, width, seed=7 * shot + 1)
            brightness = 40 * (shot % 2)  # so that shots differ as a whole, too
            for luma, chroma in zip(codes.luma, codes.chroma, strict=True):
                frame = av.VideoFrame(width, height, "yuv420p")
                for plane, content in zip(
                    frame.planes, (np.minimum(luma, 190) + brightness, chroma[0], chroma[1]), strict=True
                ):
                    rows = np.zeros((plane.height, plane.line_size), np.uint8)
                    rows[:, : plane.width] = content
                    plane.update(rows.tobytes())
                frame.pts, frame.time_base = number, Fraction(1, 24)
                number += 1
                output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def pictures(folder: Path, count: int = 4, height: int = 130, width: int = 170) -> Path:
    """A folder of PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        grey = texture(height, width, 50 + number)
        write_png(folder / f"picture{number}.png", np.stack([grey, np.roll(grey, 3, 1), 255 - grey], -1))
    return folder
