"""A headless Chromium of the system, controlled through its driver; what it fetches is recorded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PHONE, DESK = (390, 844), (1440, 900)


@contextmanager
def browser(downloads: Path) -> Iterator[Browser]:
    """A running browser; skips the test if there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no Chromium with its chromedriver here (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
    ):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    made = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    try:
        yield Browser(made)
    finally:
        made.quit()


class Browser:
    """What tests ask of it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, page: Path, size: tuple[int, int] = DESK, *, dark: bool = False) -> None:
        """Load a file at that size of the window."""
        self.fetched()
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=size[0],
            height=size[1],
            deviceScaleFactor=1,
            mobile=size[0] < 600,
        )
        self.command(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )
        self.driver.get(page.as_uri())

    def command(self, name: str, **arguments: Any) -> Any:
        return self.driver.execute_cdp_cmd(name, arguments)

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a script's `return`."""
        return self.driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def drag(self, element: Any, across: int, to: int) -> None:
        """Press, move and let go inside an element; pixels from its middle."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).move_to_element_with_offset(
            element, across, 0
        ).click_and_hold().move_by_offset(to - across, 0).release().perform()

    def hover(self, element: Any, across: int) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).move_to_element_with_offset(element, across, 0).perform()

    def fetched(self) -> list[str]:
        """Every address asked for since the last call, pages from disk and data inside them left out."""
        found = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] in {"Network.requestWillBeSent", "Network.webSocketCreated"}:
                found.append(message["params"].get("request", message["params"])["url"])
        return [url for url in found if not url.startswith(("file:", "data:", "blob:"))]

    def complaints(self) -> list[str]:
        """What the page's scripts and its content policy had to say."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        return int(
            self.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
        )
