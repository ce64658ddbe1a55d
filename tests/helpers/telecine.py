"""Film frames and telecine for tests: for every case, the film frames that have to be restored are known."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

__all__ = ["Telecined", "film_frame", "pulled_down", "write_fields"]


def film_frame(
    number: int, width: int = 160, height: int = 96, *, seed: int = 1, speed: float = 3.0, still: float = 0.0
) -> np.ndarray:
    """(H,W) uint8.

    Smooth texture that pans, and a disc with detail that moves otherwise. still: part of the height, from
    below, at rest.
    """
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    shift = speed * number
    luma = np.full((height, width), 120.0)
    for _ in range(14):
        fx, fy, phase, size = (
            random.uniform(0.02, 0.35),
            random.uniform(-0.25, 0.25),
            random.uniform(0, 6.3),
            random.uniform(4, 16),
        )
        luma += size * np.sin(fx * (x - shift) + fy * (y - 0.3 * shift) + phase)
    cx, cy = width / 2 + width / 3 * np.sin(0.21 * number), height / 3 + height / 6 * np.cos(0.17 * number)
    disc = (x - cx) ** 2 + (y - cy) ** 2 < (height / 6) ** 2
    luma[disc] = 200 - 60 * (((x + 2 * y - shift) // 6) % 2)[disc]
    if still:
        rest = np.random.default_rng(seed + 1000)
        top = int(height * (1 - still))
        luma[top:] = 60 + 8 * (x[top:] // 9 % 2) + 30 * np.sin(0.2 * y[top:] + rest.uniform(0, 6))
    return luma.clip(16, 235)


@dataclass
class Telecined:
    """The result of a telecine: frames of fields, and the film frames of the fields."""

    frames: list[np.ndarray] = field(default_factory=list)
    fields: list[int] = field(default_factory=list)
    """Number of the film frame of each field, in time; -1 for video."""

    @property
    def whole(self) -> list[int]:
        """Film frames with both fields there, in order."""
        kinds = {
            number: {n % 2 for n, m in enumerate(self.fields) if m == number}
            for number in sorted(set(self.fields))
        }
        return [number for number, parities in kinds.items() if len(parities) == 2 and number >= 0]


def pulled_down(film: dict[int, np.ndarray], fields: list[int], first: str = "top") -> Telecined:
    """Frames woven of film frames by number: fields 2n and 2n + 1 are frame n."""
    made = Telecined([], list(fields[: len(fields) // 2 * 2]))
    for early, late in zip(made.fields[::2], made.fields[1::2], strict=True):
        frame = film[early if first == "top" else late].copy()
        frame[1::2] = film[late if first == "top" else early][1::2]
        made.frames.append(frame)
    return made


def three_two(film: range, phase: int = 0) -> list[int]:
    """Fields of 3:2 pulldown; phase: frames of the first cycle that are cut off."""
    fields = [n for place, n in enumerate(film) for _ in range(2 + place % 2)]
    return fields[2 * phase :]


def write_fields(path: Path, frames: list[np.ndarray], *, first: str = "top", codec: str = "libx264", rate: Fraction = Fraction(30000, 1001), flagged: bool = True, seconds_of_sound: float = 0.0, **options: str) -> Path:  # fmt: skip
    """Grey planes with neutral chroma, as interlaced video."""
    height, width = frames[0].shape
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = 1 / rate
        stream.options = {"crf": "12", **({"flags": "+ildct+ilme"} if flagged else {}), **options} if codec == "libx264" else {"qmin": "2", "qmax": "4", **({"flags": "+ildct+ilme"} if flagged else {}), **options}  # fmt: skip
        if codec != "libx264":
            stream.bit_rate = 8_000_000
        graph = av.filter.Graph()
        source = graph.add_buffer(
            width=width, height=height, format=av.VideoFormat("yuv420p", width, height), time_base=1 / rate
        )
        node = graph.add("setfield", f"mode={first[0]}ff" if flagged else "mode=prog")
        sink = graph.add("buffersink")
        source.link_to(node)
        node.link_to(sink)
        graph.configure()
        for number, luma in enumerate(frames):
            picture = av.VideoFrame(width, height, "yuv420p")
            for plane, values in zip(picture.planes, (luma, 128, 128), strict=True):
                rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
                view = rows[:, : plane.width]
                view[:] = np.rint(values)
            picture.pts, picture.time_base = number, 1 / rate
            source.push(picture)
            output.mux(stream.encode(sink.pull()))
        output.mux(stream.encode(None))
    return path
