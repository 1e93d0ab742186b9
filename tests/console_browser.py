"""A real browser for the console's page: Debian's chromium, headless."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from platform_clients import GATEWAY, PK, SUB, post, registration_form

from tools.iot_platform import Identity, LocalPlatform

if TYPE_CHECKING:  # spares other tests the slow import
    from playwright.sync_api import Browser, ConsoleMessage, Page

DN = "246f28aabbcc"
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
"""Timeout in milliseconds for anything that must appear."""


def find_browser() -> str | None:
    """The path of the browser: $CHROMIUM, or an installed one."""
    chosen = os.environ.get("CHROMIUM")
    return chosen or next((path for name in NAMES if (path := shutil.which(name))), None)


def need_browser() -> None:
    """Skip the tests of a module if there is no browser."""
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
    """Opens the console's page, and records its errors and requests."""

    def __init__(self, browser: Browser, platform: LocalPlatform) -> None:
        self._browser = browser
        self.url = platform.console_url
        self.problems: list[str] = []
        self.requested: list[str] = []

    def _note(self, message: ConsoleMessage) -> None:
        if not message.text.startswith("Failed to load resource"):  # a refusal, shown in the page
            self.problems.append(message.text)

    def open(
        self, where: str = "", *, width: int = 1360, height: int = 860, scheme: str = "light"
    ) -> Page:
        """Open a page in a new context. where: such as "#/products"."""
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        page = context.new_page()
        page.set_default_timeout(WAIT)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", lambda dialog: self.problems.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: self.requested.append(request.url))
        page.goto(self.url + where)
        page.wait_for_selector("#live.good")
        return page


@pytest.fixture
def window(browser: Browser, hub: LocalPlatform) -> Iterator[Window]:
    """Checks afterwards that no page had an error or made a request to another host."""
    made = Window(browser, hub)
    yield made
    for context in browser.contexts:
        context.close()
    assert made.problems == []
    assert [url for url in made.requested if not url.startswith(made.url)] == []


def settle(page: Page) -> None:
    """Wait until the view has loaded its content."""
    from playwright.sync_api import expect

    expect(page.locator("#summary")).to_contain_text("device")
    shown = "main tbody tr, main .products li, main .facts dd, [data-view=traffic] .entry"
    expect(page.locator(shown).first).to_be_attached()


@pytest.fixture
def busy(hub: LocalPlatform) -> LocalPlatform:
    """A platform with devices in every state, and some traffic."""
    registry, device = hub.registry, Identity(PK, DN)
    registry.add_devices(PK, [DN, "refused-1", "disabled-1", "registered-1"])
    registry.add_device(GATEWAY, "gw-1")
    registry.add_devices(SUB, ["sensor-1", "sensor-2"])
    hub.topology.bind(Identity(GATEWAY, "gw-1"), [Identity(SUB, "sensor-1")])
    post(hub, registration_form("registered-1"))
    post(hub, registration_form("refused-1", secret="wrong"))
    hub.disable(PK, "disabled-1")
    hub.set_fault(*device, "lost")
    hub.record.add("deliver", device, payload=b"x" * 300, topic=f"/sys/{device}/a", size=300)
    return hub
