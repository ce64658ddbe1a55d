"""Make the pictures of README.md and docs/.

`python docs/pictures.py [--clip CLIP] [NAME...]`, of the clip that `make demo` fetches.

before-after (README.md), choosing, noisy and options (choosing.md), comparing (comparing.md: a page in the
system's Chromium), serving (README.md: the page of `vsr serve`, driven by selenium).
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
from PIL import Image
from torch import Tensor

import vsr
from pipelines.frames.images import contact_sheet, write_png
from pipelines.frames.sample_values import to_rgb
from pipelines.frames.video_reader import VideoReader
from pipelines.inference.device import choose_device
from pipelines.inference.upscaler import Upscaler
from pipelines.media.pixel_format import PixelFormat
from pipelines.planner.video_planner import plan_video
from pipelines.probe.probe import probe
from pipelines.quality.comparison import Compared, compare
from vsr.api import run_settings
from vsr.pages.compare_page import compare_page

IMAGES = Path(__file__).parent / "images"
SECONDS = 4.6
CROP = (slice(150, 420), slice(560, 840))
"""Rows and columns of the 720p frame, shown at twice their size."""
CRF = "27"
"""CRF of the downscaled H.264 copy, about 0.4 Mbit/s."""
FACE = (slice(36, 196), slice(310, 522))
"""Rows and columns of the original frame, shown at twice their size."""
SIGMA = 10
"""Standard deviation of the noise, in 8-bit values."""
RANGE = "2-4.5"
OPTIONS: tuple[dict[str, float], ...] = (
    *({"restore": n} for n in (0.0, 0.4, 0.8)),
    *({"restore": 0.6, "detail": n} for n in (0.0, 0.5, 1.0)),
    *({"restore": 0.6, "strength": n} for n in (0.0, 0.5, 1.0)),
)
"""Options of `vsr run`: a row of images for each option."""
SCENES = ("meadow-1.mkv", "meadow-2.mkv", "meadow-3.mkv")
"""Parts of the clip that are shown as films."""


def before_after(clip: Path, folder: Path) -> None:
    """The README's picture: crops of a compressed clip upscaled by Lanczos and by `vsr run`, side by side."""
    crops = []
    half = _shrunk(clip, folder / "half.mkv", CRF)
    for model in ("lanczos", "auto"):
        output = folder / f"{model}.mkv"
        for _ in vsr.upscale(half, output, scale=2, model=model, codec="h264", crf=1):
            pass
        frame = next(f for f in _frames(output) if f.time >= SECONDS).to_ndarray(format="rgb24")
        crops.append(frame[CROP].repeat(2, axis=0).repeat(2, axis=1))
    gap = np.full((crops[0].shape[0], 8, 3), 255, np.uint8)
    write_png(IMAGES / "before-after.png", np.concatenate([crops[0], gap, crops[1]], axis=1))


def choosing(clip: Path, folder: Path) -> None:
    """A clean frame through four networks."""
    _draw(
        "choosing",
        clip,
        _half(clip, folder / "half.mkv", 0),
        ("nearest", "lanczos", "fast", "quality", "adversarial"),
    )


def noisy(clip: Path, folder: Path) -> None:
    """The same frame with noise, through what takes it out and what does not."""
    models = ("nearest", "lanczos", "fast", "deconvolution-x1,fast", "deconvolution")
    _draw("noisy", clip, _half(clip, folder / "half.mkv", SIGMA), models)


def options(clip: Path, folder: Path) -> None:
    """A compressed frame at three values of --restore, of --detail and of --strength."""
    half = _shrunk(clip, folder / "half.mkv", CRF)
    small = VideoReader(probe(half))
    frame = next(f for f in small.frames() if _seconds(small, f.pts) >= SECONDS)
    tiles = []
    for some in OPTIONS:
        settings = run_settings(scale=2, model="real-fast", **some)
        plan = plan_video(half, None, settings, small.info).plan
        made = Upscaler(plan, choose_device("auto"))([frame])[0]
        tiles.append(_tile(to_rgb(made.planes, PixelFormat.parse(plan.out_pix_fmt), plan.out_color)[0]))
    rows = [tiles[:3], tiles[3:6], tiles[6:]]
    Image.fromarray(contact_sheet(rows)).save(IMAGES / "options.webp", quality=80, method=6)


def comparing(clip: Path, folder: Path) -> None:
    """The page of two results, of a copy of half the size, against the clip."""
    half = _shrunk(clip, folder / "half.mkv")
    results = [folder / f"{model}.mkv" for model in ("lanczos", "quality")]
    for result in results:
        for _ in vsr.upscale(half, result, scale=2, model=result.stem, codec="h264", crf=12, range=RANGE):
            pass
    truth = folder / "truth.mkv"
    for _ in vsr.upscale(clip, truth, scale=1, model="identity", codec="ffv1", range=RANGE):
        pass
    *_, found = compare(results[0], results[1], reference=truth)
    assert isinstance(found, Compared)
    _photograph("comparing", compare_page(found), folder, height=1500)


def _frames(clip: Path) -> Iterator[av.VideoFrame]:
    with av.open(str(clip)) as container:
        yield from container.decode(video=0)


def _written(path: Path, frames: Iterator[av.VideoFrame], codec: str, options: dict[str, str]) -> Path:
    with av.open(str(path), "w") as container:
        stream = None
        for frame in frames:
            if stream is None:
                stream = container.add_stream(codec, rate=25, options=options)
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
                context = stream.codec_context
                context.time_base = frame.time_base
                context.color_primaries = context.color_trc = context.colorspace = context.color_range = (
                    1  # BT.709, limited, as the clip is
                )
            container.mux(stream.encode(frame))
        assert stream is not None
        container.mux(stream.encode(None))
    return path


def _half(clip: Path, path: Path, sigma: float) -> Path:
    """The frame at SECONDS alone, in half its size, with noise."""
    rng = np.random.default_rng(0)

    def frames() -> Iterator[av.VideoFrame]:
        frame = next(f for f in _frames(clip) if f.time >= SECONDS)
        planes = frame.reformat(frame.width // 2, frame.height // 2, interpolation="AREA").to_ndarray(
            format="yuv420p"
        )
        made = av.VideoFrame.from_ndarray(
            np.clip(planes + rng.normal(0, sigma, planes.shape), 0, 255).round().astype(np.uint8),
            format="yuv420p",
        )
        made.pts, made.time_base = 0, frame.time_base
        yield made

    return _written(path, frames(), "ffv1", {})


def _shrunk(clip: Path, path: Path, crf: str = "18") -> Path:
    frames = (f.reformat(f.width // 2, f.height // 2, interpolation="AREA") for f in _frames(clip))
    return _written(path, frames, "libx264", {"crf": crf})


def _draw(name: str, clip: Path, half: Path, models: Sequence[str]) -> None:
    """Crops of the frame at SECONDS, upscaled from half its size by each network, and the original.

    Two rows of three, with every pixel as 2x2.
    """
    whole, small = VideoReader(probe(clip)), VideoReader(probe(half))
    pictures = []
    for model in models:
        plan = plan_video(half, None, run_settings(scale=2, model=model), small.info).plan
        made = Upscaler(plan, choose_device("auto"))([next(small.frames())])[0]
        pictures.append(to_rgb(made.planes, PixelFormat.parse(plan.out_pix_fmt), plan.out_color)[0])
    truth = next(f for f in whole.frames() if _seconds(whole, f.pts) >= SECONDS)
    pictures.append(to_rgb(truth.planes, PixelFormat.parse("yuv420p"), whole.tags)[0])
    tiles = [_tile(p) for p in pictures]
    Image.fromarray(contact_sheet([tiles[:3], tiles[3:]])).save(IMAGES / f"{name}.webp", quality=80, method=6)


def _seconds(film: VideoReader, pts: int) -> float:
    return float((pts - film.info.pts[0]) * film.info.time_base)


def _tile(rgb: Tensor) -> np.ndarray:
    """(3,H,W), 0..1 -> FACE as bytes, every pixel as 2x2."""
    face = rgb[(..., *FACE)].clamp(0, 1) * 255
    return np.asarray(face.round().byte().permute(1, 2, 0).numpy().repeat(2, 0).repeat(2, 1))


def _photograph(name: str, text: str, folder: Path, *, height: int) -> None:
    """A page as Chromium shows it."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("no Chromium here (Debian: chromium)")
    source, shot = folder / "page.html", folder / "page.png"
    source.write_text(text, encoding="utf-8")
    flags = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--window-size=1100,{height}",
        f"--screenshot={shot}",
    ]
    subprocess.run([chromium, *flags, source.as_uri()], check=True, capture_output=True)
    Image.open(shot).convert("RGB").save(IMAGES / f"{name}.webp", quality=85, method=6)


def serving(clip: Path, folder: Path) -> None:
    """The page of `vsr serve`: a moment of the small copy before and after, and two films in the queue."""
    films = folder / "films"
    films.mkdir()
    half = [f.reformat(f.width // 2, f.height // 2, interpolation="AREA") for f in _frames(clip)]
    for number, name in enumerate(SCENES):
        _written(films / name, iter(half[44 * number : 44 * (number + 1)]), "libx264", {"crf": CRF})
    command = [sys.executable, "-m", "vsr", "serve", "--root", str(films), "--port", "0", "--no-browser"]
    server = subprocess.Popen(
        command, env={**os.environ, "VSR_DATA_HOME": str(folder / "data")}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        Image.open(io.BytesIO(_page_at_work(address))).convert("RGB").save(
            IMAGES / "serving.webp", quality=82, method=6
        )
    finally:
        server.kill()  # the job with it
        server.communicate()


def _page_at_work(address: str) -> bytes:
    """The page as PNG, when a preview is shown and a job has begun."""
    from selenium import webdriver
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.wait import WebDriverWait

    options = webdriver.ChromeOptions()
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "hide-scrollbars"):
        options.add_argument(f"--{flag}")
    driver = shutil.which("chromedriver")
    if driver is None:
        raise SystemExit("no chromedriver here (Debian: chromium-driver)")
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver)) as page:
        wait = WebDriverWait(page, 900)

        def until(script: str, *given: str) -> None:
            wait.until(lambda _: page.execute_script(f"return {script}", *given))

        def press(text: str) -> None:
            buttons = "[...document.querySelectorAll('button, .segments span')]"
            found = f"{buttons}.find(b => b.textContent === arguments[0] && !b.disabled)"
            until(found, text)
            page.execute_script(f"{found}.click()", text)

        size = {"width": 1440, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        page.get(address)
        for name in SCENES:
            page.get(f"{address.partition('?')[0]}#/film/films%2F{name}")
            until("document.querySelector('h1')?.textContent === arguments[0]", name)
            press("×2")
            until("document.querySelector('.plan-line')?.textContent.startsWith('1280')")
            if name != SCENES[-1]:
                press("Add to queue")
                until("document.querySelector('.added')")
        page.find_element("css selector", ".track input").send_keys(
            Keys.END, *[Keys.PAGE_DOWN] * 2, Keys.ENTER
        )
        press("Show before and after")
        until("document.querySelectorAll('before-after .stage img')[1]?.naturalWidth")
        until("document.querySelector('.bar')?.ariaValueNow > 5")
        until("[...document.images].every(i => i.complete)")
        page.execute_script("document.querySelector('#work').scrollTop = 0")
        return bytes(page.get_screenshot_as_png())


PICTURES = {
    "before-after": before_after,
    "choosing": choosing,
    "noisy": noisy,
    "options": options,
    "comparing": comparing,
    "serving": serving,
}


def main() -> None:
    """Make those that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *PICTURES], metavar="NAME")
    parser.add_argument("--clip", type=Path, default=Path("demo/bigbuckbunny.mp4"))
    given = parser.parse_args()
    for name in given.names or PICTURES:
        with tempfile.TemporaryDirectory() as folder:
            PICTURES[name](given.clip, Path(folder))


if __name__ == "__main__":
    main()
