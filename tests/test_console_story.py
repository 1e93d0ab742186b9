"""The console in a real browser, from the first click to a refused board.

`make picture` takes the README's picture with this test.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from console_browser import Window, need_browser
from playwright.sync_api import Locator, Page, expect

from tools.board import Board
from tools.image import build_image
from tools.iot_platform import LocalPlatform
from tools.iot_platform.console.server import ConsoleSettings

need_browser()

PK, PS = "a1ExpAkj9Hi", "ffFnFlKQW3HYjjPR"
FIRST, SECOND = "246f28aabbcc", "246f28aabbcd"
LAMP = '{"method":"thing.service.property.set","id":"7","params":{"lamp":1},"version":"1.0"}'
BOOT = 30


@pytest.fixture
def hub() -> Iterator[LocalPlatform]:
    """A platform without products."""
    with LocalPlatform(console=ConsoleSettings()) as running:
        yield running


def board(hub: LocalPlatform, folder: Path, mac: str) -> Board:
    product = {
        "productKey": PK,
        "productSecret": PS,
        "registerHost": "localhost",
        "registerPort": hub.https_port,
        "mqttHost": "localhost",
        "mqttPort": hub.mqtt_tls_port,
    }
    wifi = {"ssid": "bench", "password": "correct horse"}
    image = build_image(product, wifi, roots=[hub.ca_der])
    return Board(image, folder / mac, mac=mac, resolve={"*": "127.0.0.1"})


def view(page: Page, name: str) -> None:
    page.get_by_role("navigation").get_by_role("link", name=name).click()


def add_product(page: Page) -> None:
    view(page, "Products")
    page.get_by_role("button", name="Add product").click()
    page.get_by_label("ProductKey", exact=True).fill(PK)
    page.get_by_label("ProductSecret", exact=True).fill(PS)
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("switch", name=f"Dynamic registration of {PK}")).to_be_checked()


def add_devices(page: Page) -> None:
    view(page, "Devices")
    page.get_by_role("button", name="Add device").click()
    page.get_by_label("DeviceName", exact=True).fill(FIRST)
    page.get_by_role("button", name="Add", exact=True).click()
    expect(row(page, FIRST)).to_contain_text("never registered")
    page.get_by_role("button", name="Import CSV").click()
    page.get_by_label("List").fill(f"DeviceName,Nickname\n{SECOND},hall 2\n")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(row(page, SECOND)).to_contain_text("never registered")


def row(page: Page, name: str) -> Locator:
    return page.locator("tr", has=page.get_by_role("link", name=name, exact=True))


def test_the_story_from_an_empty_platform_to_a_refused_board(
    hub: LocalPlatform,
    window: Window,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    picture = request.config.getoption("--picture")
    page = window.open(width=1200, height=640)
    add_product(page)
    add_devices(page)

    # Each answer is delayed a little, so that every state can be seen.
    page.get_by_role("link", name=FIRST, exact=True).click()
    expect(page.locator(".steps [aria-current]")).to_have_text("Pre-registered (reached)")
    slow = page.locator("[data-fault=slow]")
    slow.get_by_label("Seconds late").fill("0.6")
    slow.get_by_label("How often").select_option("3 times")
    page.get_by_role("switch", name="Slow answers").click()
    expect(page.get_by_role("switch", name="Slow answers")).to_be_checked()

    with board(hub, tmp_path, FIRST).power_on() as first:
        current = page.locator(".steps [aria-current]")
        expect(current).to_have_text("Registered (reached)")
        expect(current).to_have_text("Online (reached)")
        expect(page.locator("main .badge.online")).to_be_visible()
        assert first.wait(r"post_reply.*\n", BOOT) == "until", first.output
        expect(page.locator(".facts")).to_contain_text("127.0.0.1:")

        page.get_by_label("Topic").fill(f"/sys/{PK}/{FIRST}/thing/service/property/set")
        page.get_by_label("Payload", exact=True).fill(LAMP)
        page.get_by_role("button", name="Publish").click()
        assert first.wait(r"property/set.*\n", BOOT) == "until", first.output
        traffic = page.locator("#traffic")
        for text in ("registered by https", "connected over TLSv1.2", '"boots":1', '"lamp":1'):
            expect(traffic).to_contain_text(text)

        view(page, "Products")
        switch = page.get_by_role("switch", name=f"Dynamic registration of {PK}")
        switch.click()
        expect(switch).not_to_be_checked()
        view(page, "Devices")
        with board(hub, tmp_path, SECOND).power_on() as second:
            assert second.wait(r"6288.*\n", BOOT) == "until", second.output
            second.power_off()
        refused = row(page, SECOND)
        expect(refused).to_contain_text("registration refused, 6288: dynamic registration is")
        expect(refused).to_contain_text("Switch dynamic registration of the product on.")
        expect(row(page, FIRST)).to_contain_text("online")
        expect(traffic.locator(".refused").first).to_contain_text("6288")
        if picture:
            page.locator(".note").last.wait_for(state="detached")
            page.screenshot(path=picture)
        first.power_off()
    expect(row(page, FIRST)).to_contain_text("offline")

    page.get_by_role("link", name=SECOND, exact=True).click()
    page.get_by_role("button", name="Switch dynamic registration on").click()
    view(page, "Products")
    expect(switch).to_be_checked()
