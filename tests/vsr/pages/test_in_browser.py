"""Pages work in a real Chromium, opened from disk, at the size of a phone and of a desktop."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pipelines.frames.images import png
from pipelines.quality.blind_test import BlindTest, BlindTrial
from pipelines.quality.comparison import METRICS, Compared, Figures, WorstMoment
from pipelines.quality.ratings import merge_ratings
from tests.helpers.browser import DESK, PHONE, Browser, browser
from vsr.pages.blind_test_page import blind_page
from vsr.pages.compare_page import compare_page
from vsr.pages.html import document, slider

RED, BLUE = (png(np.full((240, 320, 3), colour, np.uint8)) for colour in ((200, 30, 30), (30, 30, 200)))
SECONDS = 60


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def chromium(downloads: Path) -> Iterator[Browser]:
    with browser(downloads) as running:
        yield running


def figures(file: str, level: float, frames: int) -> Figures:
    wave = level + np.sin(np.arange(frames) / 9)
    values = {m.name: wave.copy() for m in METRICS}
    values["psnr"][3] = np.inf
    values["flicker"][0] = np.nan
    return Figures(file, values, {name: float(np.nanmean(v)) for name, v in values.items()})


def report(frames: int = 900) -> Compared:
    moments = tuple(
        WorstMoment(
            n * 2.5,
            ("truth.mkv", "a long <name> of a result.mkv", "two.mkv"),
            (RED, BLUE, RED),
            ({"vmaf": 80.0, "psnr": 30.0, "ssim": 0.9},) * 2,
        )
        for n in range(5)
    )
    both = (figures("a long <name> of a result.mkv", 80, frames), figures("two.mkv", 90, frames))
    return Compared(
        "truth.mkv", (1920, 1080), "vmaf_v0.6.1", both, np.arange(frames) / 25, (), ("a note",), moments
    )


def blind(trials: int = 4) -> BlindTest:
    return BlindTest(
        "0123456789abcdef",
        ("red.mkv", "blue.mkv"),
        tuple(BlindTrial(n / 2, (RED, BLUE)) for n in range(trials)),
        (),
        (),
    )


def pages() -> dict[str, str]:
    return {
        "compare": compare_page(report()),
        "blind": blind_page(blind()),
        "preview": document("preview", slider(["lanczos", "fast"], [RED, BLUE])),
    }


@pytest.fixture(scope="module")
def page_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("pages")
    for name, text in pages().items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return lambda name: folder / f"{name}.html"


@pytest.mark.parametrize("name", ["compare", "blind", "preview"])
@pytest.mark.parametrize(("size", "dark"), [(PHONE, True), (DESK, False)], ids=["phone", "desk"])
def test_a_page_fits_the_window_fetches_nothing_and_has_no_errors(
    chromium: Browser, page_of: Callable[[str], Path], name: str, size: tuple[int, int], dark: bool
) -> None:
    chromium.open(page_of(name), size, dark=dark)
    assert chromium.overflow() <= 0
    assert chromium.fetched() == []
    assert chromium.complaints() == []
    smallest = "return Math.min(...[...document.querySelectorAll('main *')].filter(e => e.innerText).map(e => parseFloat(getComputedStyle(e).fontSize)))"
    assert chromium.run(smallest) >= 11
    ground, ink = chromium.run(
        "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color].map(c => +c.match(/\\d+/)[0])"
    )
    assert (ground < 60 < 200 < ink) if dark else (ink < 60 < 200 < ground)


def test_the_content_policy_forbids_what_a_page_could_fetch(
    chromium: Browser, page_of: Callable[[str], Path]
) -> None:
    chromium.open(page_of("compare"))
    refused = chromium.driver.execute_async_script(
        "const done = arguments[0]; const i = new Image(); i.onload = () => done(false); i.onerror = () => done(true); i.src = 'http://127.0.0.1:9/x.png'"
    )
    assert refused
    assert any("Content Security Policy" in text for text in chromium.complaints())


def test_the_line_of_a_slider_is_dragged_and_moved_by_keys(
    chromium: Browser, page_of: Callable[[str], Path]
) -> None:
    chromium.open(page_of("preview"))
    stage, handle = chromium.one("before-after .stage"), chromium.one("before-after input")
    at = "return parseFloat(document.querySelector('before-after .stage').style.getPropertyValue('--at'))"
    width = stage.size["width"]
    assert width == 320
    assert chromium.run(at) == 50
    chromium.drag(handle, 0, -width // 4)
    assert chromium.run(at) == pytest.approx(25, abs=4)
    clip = chromium.run("return getComputedStyle(document.querySelectorAll('.stage img')[1]).clipPath")
    assert float(clip.rstrip(")").split()[-1].rstrip("%")) == pytest.approx(25, abs=4)
    handle.send_keys("\ue014")  # arrow right
    assert chromium.run(at) > 20
    names = chromium.all("before-after select")
    assert [n.get_attribute("value") for n in names] == ["0", "1"]
    chromium.run(
        "const s = document.querySelector('before-after select'); s.value = 1; s.dispatchEvent(new Event('change'))"
    )
    assert chromium.run(
        "const [a, b] = document.querySelectorAll('.stage img'); return a.src === b.src && a.alt === 'fast'"
    )


def test_curves_and_bars_are_drawn_and_read_out(chromium: Browser, page_of: Callable[[str], Path]) -> None:
    chromium.open(page_of("compare"))
    shown = "return [...document.querySelectorAll('figure')].filter(f => f.offsetHeight).map(f => f.dataset.metric)"
    assert chromium.run(shown) == ["vmaf"]
    box = "const b = document.querySelector('figure:not([hidden]) ' + arguments[0]).getBoundingClientRect(); return [b.width, b.height]"
    width, height = chromium.run(box, "polyline.s0")
    assert width > 600
    assert 20 < height < 240
    assert all(side > 2 for side in chromium.run(box, "rect.s1"))
    next(b for b in chromium.all(".tabs button") if b.text == "PSNR").click()
    assert chromium.run(shown) == ["psnr"]
    chromium.hover(chromium.one("figure:not([hidden]) .plot"), 0)
    text = chromium.one("figure:not([hidden]) output").text
    assert text.startswith("0:00:1")
    assert "two.mkv" in text
    assert "a long <name> of a result.mkv" in chromium.one("h1").text


def rate(chromium: Browser, *, red: int, blue: int) -> None:
    """Go through a whole test, knowing by the colour which picture is whose."""
    colour = (
        "const i = arguments[0], c = document.createElement('canvas'); c.width = c.height = 1;"
        "const x = c.getContext('2d'); x.drawImage(i, 0, 0); return x.getImageData(0, 0, 1, 1).data[0] > 100"
    )
    while chromium.one("#test").is_displayed():
        assert not chromium.one("#next").is_enabled()
        for side in [s for s in chromium.all(".side") if s.is_displayed()]:
            value = red if chromium.run(colour, side.find_element("css selector", "img")) else blue
            side.find_element("css selector", f"input[value='{value}']").click()
        chromium.one("#next").click()


def saved(folder: Path, count: int) -> list[Path]:
    deadline = time.monotonic() + SECONDS
    while len(found := sorted(folder.glob("ratings-*.json"))) < count and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def test_a_blind_test_is_rated_saved_and_merged(
    chromium: Browser, downloads: Path, page_of: Callable[[str], Path]
) -> None:
    for number, (red, blue) in enumerate([(5, 2), (4, 4)], start=1):
        chromium.open(page_of("blind"), PHONE if number == 1 else DESK)
        chromium.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
        rate(chromium, red=red, blue=blue)
        rows = [r.text for r in chromium.all("#result tbody tr")]
        assert rows == (
            [f"red.mkv {red}.00 ± 0.00 100 %", f"blue.mkv {blue}.00 ± 0.00 0 %"]
            if red > blue
            else [f"{n}.mkv 4.00 ± 0.00 50 %" for n in ("red", "blue")]
        )
        chromium.one("#rater").send_keys("Ada")
        chromium.one("#save").click()
        assert len(saved(downloads, number)) == number
        assert chromium.fetched() == []
    files = saved(downloads, 2)
    table = json.loads(files[0].read_text(encoding="utf-8"))
    assert table["name"] == "Ada"
    assert len(table["trials"]) == 4
    found = merge_ratings(files)
    assert (found.raters, found.ratings, found.preferred) == (2, 8, (4, 4, 0))
    assert [(o.name, o.mean) for o in found.opinions] == [("red.mkv", 4.5), ("blue.mkv", 3.0)]


def test_sides_are_drawn_anew_each_time(chromium: Browser, tmp_path: Path) -> None:
    (tmp_path / "many.html").write_text(blind_page(blind(40)), encoding="utf-8")
    seen = set()
    for _ in range(2):
        chromium.open(tmp_path / "many.html")
        seen.add(chromium.run("return trials.map(t => t.element.querySelector('img').src.slice(-40)).join()"))
    assert len(seen) == 2
    assert all(len(set(text.split(","))) == 2 for text in seen)
