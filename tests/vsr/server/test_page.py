"""The page of `vsr serve` works in a real Chromium, also after reloads and when the server is killed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests import media
from tests.helpers.browser import DESK, PHONE, Browser, browser
from tests.helpers.command import arguments, environment

pytest.importorskip("fastapi")
SECONDS = 120
WALL = (2560, 1440)
HOSTILE = "a <img src=x onerror=document.title='taken'> & 'b'.mp4"


class Server:
    """`vsr serve` on a folder of its own; it can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.films = folder / "films"
        self.films.mkdir()
        self._folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self._process: subprocess.Popen[str] | None = None
        self.address = ""

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        data = {"VSR_DATA_HOME": str(self._folder / "data"), "XDG_DATA_HOME": str(self._folder / "xdg")}
        log = (self._folder / "log.txt").open("a")
        self._process = subprocess.Popen(
            arguments("serve", "--port", str(self.port), "--root", self.films, "--no-browser"),
            env=environment(**data, OMP_NUM_THREADS="1"),
            stdout=subprocess.PIPE,
            stderr=log,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        log.close()
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().strip()
        assert self.address.startswith(self.base), (self._folder / "log.txt").read_text()

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.communicate()

    def stop(self) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.communicate(timeout=20)
        if self._process.poll() is None:
            self.kill()


class Page:
    """What people do on the page."""

    def __init__(self, chromium: Browser, server: Server) -> None:
        self.chromium, self.server = chromium, server

    def size(self, size: tuple[int, int], *, dark: bool = False) -> None:
        """The window's size and the scheme of colours."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        how = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600}
        self.chromium.command("Emulation.setDeviceMetricsOverride", **how)
        self.chromium.command("Emulation.setEmulatedMedia", features=[scheme])

    def go(self, where: str) -> None:
        self.chromium.driver.get("about:blank")
        self.chromium.driver.get(f"{self.server.base}/{where}")

    def until(self, script: str, *given: Any) -> Any:
        """What a script returns, when that is something."""
        deadline = time.monotonic() + SECONDS
        while not (found := self.chromium.run(script, *given)):
            assert time.monotonic() < deadline, f"{script}\n{self.text()}"
            time.sleep(0.1)
        return found

    def text(self, selector: str = "body") -> str:
        return str(
            self.chromium.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
        )

    def shows(self, selector: str, words: str) -> None:
        """Wait until an element's text has these words."""
        self.until(
            "return document.querySelector(arguments[0])?.innerText.includes(arguments[1])", selector, words
        )

    def button(self, text: str, within: str = "body") -> Any:
        """The button or link with that text or label, in view, when it is there and enabled."""
        return self.until(
            "const all = [...document.querySelectorAll(arguments[1] + ' :is(button, a, summary)')];"
            "const found = all.find(b => !b.disabled && b.offsetParent && [b.textContent, b.ariaLabel].includes(arguments[0]));"
            "found?.scrollIntoView({block: 'center'}); return found",
            text,
            within,
        )

    def choose(self, label: str, value: str) -> None:
        """Select in a list by its label."""
        self.until(
            "const l = [...document.querySelectorAll('.settings label')].find(l => l.textContent.startsWith(arguments[0]));"
            "const s = l && document.getElementById(l.htmlFor); if (!s) return false;"
            "s.value = arguments[1]; s.dispatchEvent(new Event('change')); return s.value === arguments[1]",
            label, value,
        )  # fmt: skip

    def open_film_link(self, name: str) -> None:
        self.until(
            "const all = [...document.querySelectorAll('a.film')];"
            "const f = all.find(a => a.querySelector('.name').textContent === arguments[0]);"
            "f?.click(); return f",
            name,
        )

    def open_film(self, name: str) -> None:
        self.open_film_link(name)
        self.shows("h1", name)
        self.until("return document.querySelector('.settings')")

    def job(self, name: str) -> str:
        """The text of a job's card."""
        cards = "return [...document.querySelectorAll('.job')].find(j => j.textContent.includes(arguments[0]))?.innerText ?? ''"
        return str(self.chromium.run(cards, name))

    def job_until(self, name: str, *words: str) -> None:
        deadline = time.monotonic() + SECONDS
        while not all(w in self.job(name) for w in words):
            assert time.monotonic() < deadline, f"{words}\n{self.text('#queue')}"
            time.sleep(0.1)

    def nothing_went_wrong(self) -> None:
        """No request left the host, and neither scripts nor the content policy complained."""
        left = [
            url
            for url in self.chromium.fetched()
            if not url.startswith(self.server.base) and url != "about:blank"
        ]
        assert left == []
        assert self.chromium.complaints() == []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("server"))
    film = media.Film(frames=130, size=(160, 96), rate=Fraction(10))
    media.write(made.films / "holiday.mp4", film, audio=(media.Audio(),))
    shutil.copy(made.films / "holiday.mp4", made.films / "birthday.mp4")
    shutil.copy(made.films / "holiday.mp4", made.films / HOSTILE)
    (made.films / "deep").mkdir()
    (made.films / "deep" / "broken.mp4").write_bytes(b"this is no film")
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("downloads")) as running:
        yield running


@pytest.fixture
def page(chromium: Browser, server: Server) -> Page:
    found = Page(chromium, server)
    found.size(DESK)
    chromium.driver.get(server.address)
    found.until("return document.querySelector('a.film')")
    for name in ("holiday.mp4", "birthday.mp4", HOSTILE):  # a plan of it loads no network
        settings = "{settings: {model: 'lanczos', scale: 2}}"
        chromium.run(f"localStorage.setItem('vsr:films/' + arguments[0], JSON.stringify({settings}))", name)
    chromium.fetched()
    chromium.complaints()
    return found


def test_without_its_token_the_page_shows_nothing(chromium: Browser, server: Server) -> None:
    chromium.driver.get(f"{server.base}/healthz")
    chromium.driver.delete_all_cookies()
    chromium.driver.get(f"{server.base}/")
    assert "token" in chromium.one("body").text
    assert "holiday" not in chromium.driver.page_source


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_job(page: Page) -> None:
    """Choose, plan, preview, slide, queue two, pause, reload, kill the server, finish, and open the report."""
    chromium = page.chromium
    assert "token" not in chromium.driver.current_url
    for name in ("holiday.mp4", "birthday.mp4"):
        page.open_film(name)
        page.choose("Network", "lanczos")
        page.choose("Codec", "h264")
        page.until("const x = document.querySelector('input[value=\"×2\"]'); x.click(); return x.checked")
        page.shows(".plan-line", "320 × 192 by lanczos")
        if name == "holiday.mp4":
            assert "160x96" in page.text(".probe")
            page.button("All of the plan, and the command", ".plan").click()
            page.shows(".command", "--scale=2")
            look_before_and_after(page)
        page.button("Add to queue").click()
        page.shows(".added", "In the queue")
    page.button("Pause birthday.mp4").click()
    page.job_until("birthday.mp4", "paused")
    page.nothing_went_wrong()

    chromium.driver.refresh()
    page.job_until("birthday.mp4", "paused")
    page.shows("h1", "birthday.mp4")
    assert page.until("return document.querySelector('input[value=\"×2\"]')?.checked")
    page.nothing_went_wrong()

    page.server.kill()
    page.until("return document.body.classList.contains('away')")
    assert "Connection lost" in page.text("#connection")
    page.server.start()
    page.until("return !document.body.classList.contains('away')")
    page.job_until("birthday.mp4", "paused")
    chromium.fetched()
    chromium.complaints()  # of requests that nobody answered

    page.button("Resume birthday.mp4").click()
    for name in ("holiday.mp4", "birthday.mp4"):
        page.job_until(name, "finished and verified")
    page.button("holiday.mp4", "#queue").click()
    look_at_the_result(page)


def look_before_and_after(page: Page) -> None:
    """Pick two moments, have them shown, and move the line."""
    chromium = page.chromium
    moment = chromium.one(".track input")
    moment.send_keys("\ue011", "\ue00f")  # Home, Page Down
    page.button("Pick this moment").click()
    moment.send_keys("\ue010", "\ue007")  # End, Enter
    assert len(chromium.all(".chips li")) == 2
    page.button("Show before and after").click()
    page.until(
        "const p = [...document.querySelectorAll('before-after .stage img')]; return p.length === 2 && p.every(i => i.complete && i.naturalWidth)"
    )
    at = "return parseFloat(document.querySelector('before-after .stage').style.getPropertyValue('--at'))"
    handle = chromium.one("before-after input")
    chromium.run("arguments[0].scrollIntoView({block: 'center'})", handle)
    before = chromium.run(at)
    chromium.drag(handle, 0, -handle.size["width"] // 4)
    assert chromium.run(at) < before - 10
    handle.send_keys("\ue014" * 5)
    assert handle.get_attribute("aria-valuetext").endswith("% from the left")
    sources = "return [...document.querySelectorAll('before-after .stage img')].map(i => i.src)"
    first = chromium.run(sources)
    assert len(set(first)) == 2
    chromium.one(".chip").click()
    page.until(f"return String((() => {{ {sources} }})()) !== arguments[0]", ",".join(first))
    page.button("2:1").click()
    assert chromium.run(
        "const i = document.querySelector('.stage img'); return i.width === 2 * i.naturalWidth"
    )
    page.button("Fit").click()


def look_at_the_result(page: Page) -> None:
    """Verification in words, playback, download, the comparison and the report."""
    chromium = page.chromium
    page.shows(".verified", "130")
    assert page.until(
        "const v = document.querySelector('video'); return v.readyState > 0 && [v.videoWidth, v.videoHeight]"
    ) == [320, 192]
    page.button("Download").click()
    page.button("Compare with the film").click()
    link = page.button("Open the comparison")
    page.nothing_went_wrong()
    addresses = [link.get_attribute("href"), page.button("Report").get_attribute("href")]
    chromium.driver.get(addresses[0])
    assert "holiday" in page.text("h1")
    assert page.until("return document.querySelector('figure[data-metric] polyline')")
    chromium.driver.get(addresses[1])
    assert '"frames": 130' in re.sub(r'":(?=\S)', '": ', page.text())
    assert str(page.server.films) not in page.text()
    page.nothing_went_wrong()


def test_films_that_wait_are_put_in_order_by_buttons_and_by_dragging(page: Page) -> None:
    order = "return [...document.querySelectorAll('.waiting .job b')].map(b => b.textContent)"
    for name in ("holiday.mp4", "birthday.mp4", HOSTILE):
        page.chromium.run(
            "const [path, done] = arguments; fetch('/api/v1/jobs', {method: 'POST', headers: {'Content-Type': 'application/json'},"
            " body: JSON.stringify({path, settings: {scale: 3, model: 'lanczos'}})}).then(a => a.json())"
            ".then(job => fetch(`/api/v1/jobs/${job.id}/pause`, {method: 'POST'}))",
            f"films/{name}",
        )  # fmt: skip
        page.job_until(name, "paused")
    names = page.until(f"const found = (() => {{ {order} }})(); return found.length === 3 && found")
    page.button(f"Move {names[2]} up").click()
    page.until(f"return (() => {{ {order} }})()[1] === arguments[0]", names[2])
    assert page.chromium.run("return document.activeElement.ariaLabel") == f"Move {names[2]} up"
    page.chromium.run(
        "const [from, to] = [2, 0].map(n => document.querySelectorAll('.waiting .job')[n]), data = new DataTransfer();"
        "const at = to.getBoundingClientRect().top + 2;"
        "from.dispatchEvent(new DragEvent('dragstart', {dataTransfer: data, bubbles: true}));"
        "for (const kind of ['dragover', 'drop']) to.dispatchEvent(new DragEvent(kind, {dataTransfer: data, clientY: at, bubbles: true, cancelable: true}));"
    )
    page.until(f"return (() => {{ {order} }})()[0] === arguments[0]", names[1])
    for name in names:
        page.button(f"Cancel {name}").click()
        page.job_until(name, "cancelled")
    page.nothing_went_wrong()


def test_a_hostile_name_is_text(page: Page) -> None:
    page.open_film(HOSTILE)
    page.until("return document.querySelector('.plan-line, .plan .error')")
    assert page.text("h1") == HOSTILE
    assert page.chromium.run("return document.querySelectorAll('img[src=x]').length") == 0
    assert page.chromium.driver.title != "taken"
    page.nothing_went_wrong()


def test_an_error_is_the_command_s_line_with_its_remedy(page: Page) -> None:
    page.button("deep", "#films").click()
    page.open_film_link("broken.mp4")
    page.shows(".error", "films/deep/broken.mp4")
    page.shows(".trail", "deep")
    page.go("#/film/films%2Fholiday.mp4")
    page.until("return document.querySelector('.figures')")
    boxes = page.chromium.all(".range input")
    boxes[0].send_keys("soon\ue004")
    page.shows(".settings", "That is not a time")
    boxes[0].clear()
    boxes[0].send_keys("20\ue004")
    page.shows(".plan .error", ";")
    assert not page.chromium.run("return document.querySelector('.plan .first').disabled === false")


VIEWS = {"films": "#/", "film": "#/film/films%2Fholiday.mp4", "queue": "#/queue", "job": ""}


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_fits_any_window_and_has_no_barriers(page: Page, view: str) -> None:
    """By axe-core: nothing serious or critical, in light and in dark."""
    page.go(VIEWS[view] or page.until("return document.querySelector('.job-link')?.hash"))
    page.until(
        "return document.querySelector('.film') && document.querySelector('.job, .plan-line, .welcome')"
    )
    if view == "film":
        page.until("return document.querySelector('.figures')")
    page.chromium.run(axe_script())
    for dark in (False, True):
        for size in (PHONE, (360, 740), WALL, DESK):
            page.size(size, dark=dark)
            assert page.chromium.overflow() <= 0, size
            if size in (PHONE, DESK):
                found = page.chromium.driver.execute_async_script("axe.run().then(arguments[0])")
                grave = [v for v in found["violations"] if v["impact"] in {"serious", "critical"}]
                assert {v["id"]: [n["target"] for n in v["nodes"]] for v in grave} == {}, (size, dark)
    page.nothing_went_wrong()


def axe_script() -> str:
    package = pytest.importorskip("axe_playwright_python", reason="axe-core is not installed")
    (found,) = Path(os.path.dirname(package.__file__)).rglob("axe.min.js")
    return found.read_text(encoding="utf-8")


def test_the_page_is_worked_by_keyboard_alone(page: Page) -> None:
    from selenium.webdriver import ActionChains

    page.go("#/film/films%2Fholiday.mp4")
    page.until("return document.querySelector('.figures')")
    seen = []
    for _ in range(60):
        ActionChains(page.chromium.driver).send_keys("\ue004").perform()
        name = page.chromium.run(
            "const e = document.activeElement; return e === document.body ? '' : e.ariaLabel ?? e.labels?.[0]?.textContent ?? e.textContent"
        )
        if name == "Add to queue":
            break
        seen.append(str(name))
    else:
        raise AssertionError(seen)
    wanted = ["Moment of the film", "Pick this moment", "Show before and after", "Preset", "Network", "Codec"]
    places = [next(n for n, text in enumerate(seen) if text.startswith(label)) for label in wanted]
    assert places == sorted(places)
