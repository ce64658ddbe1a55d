"""Compares inverse telecine with FFmpeg's `fieldmatch,decimate`: restored film frames and their PSNR.

`python -m tests.benchmarks.inverse_telecine [FILM...]` telecines each film at 720x480 with a different phase,
a break of the cadence in its middle and noise, encodes it as interlaced H.264 (CRF 12) and MPEG-2, and prints
for both methods how many film frames were restored once, how many twice or never, and the PSNR of luma.
"""

from __future__ import annotations

import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from pipelines.interlacing.cadence import find_cadence
from pipelines.interlacing.field_matching import match_fields
from pipelines.plan.pulldown import NONE, Pulldown
from pipelines.probe.probe import probe
from tests.helpers.telecine import film_frame, pulled_down, three_two, write_fields

_SIZE = 720, 480
_MOST = 240
_NOISE = 2.0


def main(paths: list[str]) -> None:
    """Print a line for each film, codec and way."""
    films = {Path(p).stem: _film(Path(p)) for p in paths}
    films["made by code"] = {n: film_frame(n, *_SIZE, seed=1 + n // 50) for n in range(120)}
    print(
        "film | codec | way | film frames | once | twice | never | others | worst dB | mean dB | ms a frame"
    )
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, film) in enumerate(films.items()):
            fields = three_two(range(len(film)), number % 5)
            half = len(fields) // 20 * 10 + 4
            made = pulled_down(film, fields[:half] + fields[half + 6 :])
            random = np.random.default_rng(number)
            noisy = [(f + random.normal(0, _NOISE, f.shape)).clip(0, 255) for f in made.frames]
            for codec in ("libx264", "mpeg2video"):
                preset = {"preset": "veryfast"} if codec == "libx264" else {}
                source = write_fields(Path(folder) / "in.mkv", noisy, codec=codec, **preset)
                for way, shown in (("vsr", _ours), ("ffmpeg", _ffmpeg)):
                    clock = time.process_time()
                    pictures = shown(source)
                    spent = (time.process_time() - clock) / len(noisy) * 1000
                    print(
                        f"{name} | {codec} | {way} | {len(made.whole)} |",
                        f"{_judged(pictures, film, made.whole)} | {spent:.1f}",
                        flush=True,
                    )


def _film(path: Path) -> dict[int, np.ndarray]:
    found: dict[int, np.ndarray] = {}
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if len(found) == _MOST:
                break
            found[len(found)] = frame.reformat(*_SIZE, format="gray").to_ndarray().astype(np.float32)
    return found


def _decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [_luma(frame) for frame in container.decode(video=0)]


def _luma(frame: av.VideoFrame) -> np.ndarray:
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: frame.height, : frame.width].copy()


def _ours(path: Path) -> list[np.ndarray]:
    """Film frames by the plan's letters, without those that comb, as FFmpeg's are not deinterlaced either."""
    info = probe(path)
    pulldown = Pulldown("top", 0, find_cadence(match_fields(info, "top", 0, info.frame_count)))
    frames, found = _decoded(path), []
    for number, frame in enumerate(frames):
        if pulldown.letter(number) == NONE:
            continue
        picture = frame.copy()
        if pulldown.is_woven(number):
            picture[1::2] = frames[number - 1][1::2]
        found.append(picture)
    return found


def _ffmpeg(path: Path) -> list[np.ndarray]:
    graph = av.filter.Graph()
    found: list[np.ndarray] = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        told = f"video_size={_SIZE[0]}x{_SIZE[1]}:pix_fmt=yuv420p:time_base=1001/30000"
        node = source = graph.add("buffer", f"{told}:frame_rate=30000/1001")  # decimate asks for a rate
        for name, options in (
            ("fieldmatch", "order=tff:combmatch=full"),
            ("decimate", None),
            ("buffersink", None),
        ):
            following = graph.add(name, options)
            node.link_to(following)
            node = following
        graph.configure()
        for number, frame in enumerate([*container.decode(stream), None]):
            if frame is not None:
                frame.pts, frame.time_base = number, Fraction(1001, 30000)
            source.push(frame)
            while True:
                try:
                    found.append(_luma(node.pull()))
                except (av.error.BlockingIOError, av.error.EOFError):
                    break
    return found


def _judged(pictures: list[np.ndarray], film: dict[int, np.ndarray], whole: list[int]) -> str:
    """Once, twice, never, others (pictures of no film frame) and PSNR of those that came."""
    seen: dict[int, list[float]] = {}
    others, near = 0, 0
    for picture in pictures:
        around = [n for n in range(near - 4, near + 9) if n in film]
        errors = {n: float(np.mean((picture.astype(np.float32) - film[n]) ** 2)) for n in around}
        near = min(errors, key=errors.__getitem__)
        quality = 10 * np.log10(255**2 / max(1e-9, errors[near]))
        if quality < 30:
            others += 1
            continue
        seen.setdefault(near, []).append(float(quality))
    counts = [len(seen.get(n, [])) for n in whole]
    best = [max(seen[n]) for n in whole if n in seen]
    return (
        f"{counts.count(1)} | {sum(c > 1 for c in counts)} | {counts.count(0)} | {others} | {min(best):.1f}"
        f" | {np.mean(best):.1f}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
