"""Compares FFmpeg's deinterlacers on fields made from material with twice the rate, its ground truth.

`python -m tests.benchmarks.deinterlacers` prints the table of docs/benchmarks.md: PSNR of luma, with one
output frame per frame (auto) and per field (bob), and the CPU time per frame. Real clips are found through
VSR_SHARED_DATA; without it, only generated clips are used.
"""

from __future__ import annotations

import os
import time
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FILTERS = {
    "bwdif": "bwdif=mode=send_{}:parity=tff:deint=all",
    "yadif": "yadif=mode=send_{}:parity=tff:deint=all",
    "w3fdif": "w3fdif=filter=complex:mode={}:parity=tff:deint=all",
    "w3fdif simple": "w3fdif=filter=simple:mode={}:parity=tff:deint=all",
    "estdif": "estdif=mode={}:parity=tff:deint=all",
    "estdif 6p": "estdif=mode={}:parity=tff:deint=all:interp=6p",
}
"""Name -> FFmpeg's text with "frame" or "field" left open."""
_FRAMES = 24
"""At the double rate, of each clip."""
_EDGE = 2
"""Frames at either end that are not judged: deinterlacers that look at neighbours have none there."""
_REAL = ("openshot_traffic_960x540_60fps.mp4", "portrait_4k60.mp4")


def pan(number: int) -> np.ndarray:
    """Fine texture that moves sideways and up by fractions of a pixel; (288, 352) luma."""
    y, x = np.mgrid[0:288, 0:352]
    x, y = x + 2.4 * number, y - 0.7 * number
    return 126 + 50 * np.sin(x / 2.9) * np.cos(y / 3.7) + 40 * np.sin(x / 11 + y / 7)


def bars(number: int) -> np.ndarray:
    """Slanted bars on a still ground with a fine grid, as titles and graphics are."""
    y, x = np.mgrid[0:288, 0:352]
    soft = 1 / (1 + np.exp(-8 * np.sin((x + 0.4 * y - 3.3 * number) / 9)))
    grid = 126 + 60 * ((x // 4 + y // 3) % 2)
    return np.where(y < 190, 60 + 140 * soft, grid)


def zoom(number: int) -> np.ndarray:
    """Rings that grow."""
    y, x = np.mgrid[0:288, 0:352]
    radius = np.hypot(x - 176, y - 144) * (1 - 0.004 * number)
    return 126 + 90 * np.sin(radius / 3.5 + 0.2 * number)


MADE: dict[str, Callable[[int], np.ndarray]] = {"pan": pan, "bars": bars, "zoom": zoom}


def real(path: Path) -> list[np.ndarray]:
    """Luma of its first frames, no more than 540 lines of each: every second or fourth one, of the middle."""
    found = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            luma = frame.to_ndarray(format="gray")
            height, width = min(540, luma.shape[0]) // 4 * 4, min(960, luma.shape[1]) // 2 * 2
            top, left = (luma.shape[0] - height) // 4 * 2, (luma.shape[1] - width) // 4 * 2
            found.append(np.ascontiguousarray(luma[top : top + height, left : left + width]))
            if len(found) == _FRAMES:
                break
    return found[: len(found) // 2 * 2]


def interlaced(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Frames of two fields each, top field first."""
    made = []
    for first, second in zip(pictures[0::2], pictures[1::2], strict=True):
        frame = first.copy()
        frame[1::2] = second[1::2]
        made.append(frame)
    return made


def deinterlaced(frames: Sequence[np.ndarray], text: str) -> tuple[list[np.ndarray], float]:
    """What a filter makes of frames, and its CPU seconds for each of them."""
    height, width = frames[0].shape
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=width, height=height, format=av.VideoFormat("yuv420p", width, height), time_base=Fraction(1, 25)
    )
    name, _, options = text.partition("=")
    node, sink = graph.add(name, options), graph.add("buffersink")
    source.link_to(node)
    node.link_to(sink)
    graph.configure()
    made: list[np.ndarray] = []
    spent = 0.0
    for number in range(len(frames) + 1):
        frame = None
        if number < len(frames):
            grey = np.full((height // 2, width), 128, np.uint8)
            frame = av.VideoFrame.from_ndarray(np.concatenate([frames[number], grey]), "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
        began = time.process_time()
        source.push(frame)
        while True:
            try:
                found = sink.pull()
            except (av.error.EOFError, av.error.BlockingIOError):
                break
            made.append(found.to_ndarray()[:height])
        spent += time.process_time() - began
    return made, spent / len(frames)


def psnr(made: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> float:
    """Of all frames together, in dB."""
    pairs = list(zip(made, truth, strict=True))[_EDGE:-_EDGE]
    error = np.mean([np.mean((a.astype(np.float64) - b) ** 2) for a, b in pairs])
    return float(10 * np.log10(255**2 / error))


def clips() -> dict[str, list[np.ndarray]]:
    """Pictures at the double rate, by name."""
    found = {
        name: [np.rint(make(n)).clip(16, 235).astype(np.uint8) for n in range(_FRAMES)]
        for name, make in MADE.items()
    }
    folder = Path(os.environ.get("VSR_SHARED_DATA", "")) / "train" / "videos"
    for name in _REAL:
        if (folder / name).is_file():
            found[name.partition("_")[0]] = real(folder / name)
    return found


def main() -> None:
    """Print the table."""
    material = clips()
    print(f"| filter | {' | '.join(material)} | ms per frame of 960×540, auto | bob |")
    print(f"|---|{'---:|' * (len(material) + 2)}")
    large = [np.tile(pan(n), (2, 3))[:540, :960].clip(0, 255).astype(np.uint8) for n in range(_FRAMES)]
    for name, text in FILTERS.items():
        cells = []
        for pictures in material.values():
            fields = interlaced(pictures)
            frames, _ = deinterlaced(fields, text.format("frame"))
            bob, _ = deinterlaced(fields, text.format("field"))
            cells.append(f"{psnr(frames, pictures[0::2]):.2f} / {psnr(bob, pictures):.2f}")
        costs = [1000 * deinterlaced(interlaced(large), text.format(kind))[1] for kind in ("frame", "field")]
        print(f"| {name} | {' | '.join(cells)} | {costs[0]:.1f} | {costs[1]:.1f} |", flush=True)


if __name__ == "__main__":
    main()
