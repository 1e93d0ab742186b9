"""A real browser for the console's page: Debian's chromium, without a window."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tools.iot_platform import LocalPlatform

if TYPE_CHECKING:  # other tests need not wait for it
    from playwright.sync_api import Browser, ConsoleMessage, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT = 15_000
"""Milliseconds until something that must show up has not."""


def find_browser() -> str | None:
    """The browser to use: $CHROMIUM, or one that is installed."""
    chosen = os.environ.get("CHROMIUM")
    return chosen or next((path for name in NAMES if (path := shutil.which(name))), None)


def need_browser() -> None:
    """Skips the tests of a module where there is no browser."""
    if find_browser() is None:
        pytest.skip("no browser: `apt-get install chromium`", allow_module_level=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=find_browser(), args=OPTIONS)
        yield started
        started.close()


class Window:
    """Opens the console's page; notes what goes wrong in it, and what it asks for."""

    def __init__(self, browser: Browser, platform: LocalPlatform) -> None:
        self._browser = browser
        self.url = platform.console_url
        self.problems: list[str] = []
        self.asked: list[str] = []

    def _note(self, message: ConsoleMessage) -> None:
        if not message.text.startswith("Failed to load resource"):  # a refusal, which it shows
            self.problems.append(message.text)

    def open(
        self, where: str = "", *, width: int = 1360, height: int = 860, scheme: str = "light"
    ) -> Page:
        """A page of its own; `where`: such as "#/products"."""
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        page = context.new_page()
        page.set_default_timeout(WAIT)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", lambda dialog: self.problems.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto(self.url + where)
        page.wait_for_selector("#live.good")
        return page


@pytest.fixture
def window(browser: Browser, hub: LocalPlatform) -> Iterator[Window]:
    """Also sees to it that no page had an error or asked for anything elsewhere."""
    made = Window(browser, hub)
    yield made
    for context in browser.contexts:
        context.close()
    assert made.problems == []
    assert [url for url in made.asked if not url.startswith(made.url)] == []
