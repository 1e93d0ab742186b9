"""The console's page during events: payloads, secrets, heavy traffic, restarts."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from console_browser import DN, Window, need_browser, settle
from platform_clients import GATEWAY, PK, PS, SUB
from playwright.sync_api import Browser, expect

from tools.iot_platform import Identity, LocalPlatform
from tools.iot_platform.console.server import ConsoleSettings

need_browser()

DEVICE = Identity(PK, DN)
EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"


# Payloads are shown, never executed


def test_payloads_are_shown_as_text(window: Window, busy: LocalPlatform) -> None:
    page = window.open(f"#/device/{PK}/{DN}")
    busy.record.add("publish", DEVICE, 200, payload=EVIL.encode(), topic=f"/a/{EVIL}", size=9)
    busy.record.add("publish", DEVICE, 403, payload=b"\x1b[31m\x00", topic="/b", reason=EVIL)
    busy.record.add("register", (EVIL, EVIL), 460, via=EVIL, reason=EVIL)

    traffic = page.locator("#traffic")
    expect(traffic.locator(".payload").nth(1)).to_have_text(EVIL)
    expect(traffic.locator(".payload").first).to_have_text("1b 5b 33 31 6d 00")
    page.goto(window.url + "#/traffic")
    expect(traffic.locator(".entry").first.locator(".of")).to_have_text(f"{EVIL}/{EVIL}")
    assert page.locator("#traffic img, #traffic script").count() == 0


# Secrets


def test_a_secret_is_masked_until_its_button_is_clicked(
    window: Window,
    busy: LocalPlatform,
) -> None:
    page = window.open("#/products")
    settle(page)
    assert PS not in page.content()
    page.get_by_role("button", name=f"Show ProductSecret of {PK}").click()
    expect(page.locator(".secret").filter(has_text=PS)).to_have_count(1)
    expect(page.locator(".file:visible")).to_contain_text(f'"productSecret": "{PS}"')
    page.get_by_role("button", name=f"Show ProductSecret of {SUB}").click()
    page.get_by_role("button", name=f"Hide ProductSecret of {SUB}").wait_for()
    expect(page.locator(".secret").filter(has_text=PS)).to_have_count(0)  # one at a time
    page.get_by_role("button", name=f"Show ProductSecret of {PK}").click()
    expect(page.locator(".secret").filter(has_text=PS)).to_have_count(1)
    page.get_by_role("button", name=f"Hide ProductSecret of {PK}").click()
    expect(page.locator(".secret").filter(has_text=PS)).to_have_count(0)
    assert PS not in page.content()


# Heavy traffic


def test_the_page_handles_ten_thousand_devices_and_heavy_traffic(
    window: Window,
    busy: LocalPlatform,
) -> None:
    busy.registry.add_devices(PK, [f"unit-{n:05}" for n in range(10_000)])
    page = window.open(f"#/devices?product={PK}")
    rows = page.locator("main tbody tr")
    expect(page.locator(".pager")).to_contain_text("1–50 of 10,004")
    expect(rows).to_have_count(50)
    page.get_by_role("button", name="Next").click()
    expect(page.locator(".pager")).to_contain_text("51–100 of 10,004")
    expect(page.get_by_role("button", name="Next")).to_be_focused()
    page.get_by_role("searchbox", name="Search").fill("unit-0999")
    expect(rows).to_have_count(10)

    for number in range(1_000):
        name = f"unit-{number:05}"
        busy.record.add("publish", (PK, name), 200, payload=b"{}", topic=f"/{PK}/{name}/a")
    last = page.locator("#traffic .entry").first
    expect(last).to_contain_text("unit-00999")
    assert page.locator("#traffic .entry").count() <= 300
    expect(page.locator("#live")).to_have_text("live")

    page.goto(f"{window.url}#/traffic?device={PK}/unit-00007")
    expect(page.locator("#traffic .entry")).to_have_count(1)


def test_paused_traffic_does_not_change(window: Window, busy: LocalPlatform) -> None:
    page = window.open("#/traffic")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#traffic [role=status]")).to_have_text("paused")
    busy.record.add("admin", DEVICE, what="while paused")
    expect(page.locator("#traffic [role=status]")).to_have_text("paused, 1 since")
    expect(page.locator("#traffic")).not_to_contain_text("while paused")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#traffic .entry").first).to_contain_text("while paused")


def test_a_hidden_page_closes_its_connection(window: Window, busy: LocalPlatform) -> None:
    """Browsers allow six connections to one address: a seventh page would wait forever."""
    show = """(state) => {
      Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page = window.open()
    with page.expect_event("requestfailed", lambda request: "/api/stream" in request.url):
        page.evaluate(show, "hidden")
    busy.record.add("admin", DEVICE, what="while hidden")

    page.evaluate(show, "visible")
    expect(page.locator("#traffic")).to_contain_text("while hidden")


# Gateways


def test_a_gateway_lists_its_subdevices(window: Window, busy: LocalPlatform) -> None:
    page = window.open(f"#/device/{GATEWAY}/gw-1")
    page.locator(".subdevices").get_by_role("link", name="sensor-1").click()
    expect(page.locator(".facts")).to_contain_text("gw-1")
    page.get_by_role("button", name="Unbind").click()
    expect(page.locator(".facts")).not_to_contain_text("gw-1")

    page.get_by_role("button", name="Delete").click()
    page.locator("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Devices")).to_be_visible()
    assert busy.registry.device(SUB, "sensor-1").deleted


def test_the_address_of_an_unknown_device_shows_an_error(
    window: Window, busy: LocalPlatform
) -> None:
    page = window.open(f"#/device/{PK}/nobody")

    expect(page.locator(".callout")).to_contain_text(f"no device {PK}/nobody")


# The platform restarts; the platform is beyond loopback


def test_a_page_reconnects_to_a_restarted_platform(browser: Browser, tmp_path: Path) -> None:
    first = ConsoleSettings()
    with LocalPlatform(database=tmp_path / "db", console=first) as platform:
        platform.registry.add_product(PK, PS)
        platform.registry.add_device(PK, DN)
        page = Window(browser, platform).open()
        port = urlsplit(platform.console_url).port or 0
    expect(page.locator("#live")).to_contain_text("not connected")
    again = ConsoleSettings(port=port)
    with LocalPlatform(database=tmp_path / "db", console=again) as platform:
        expect(page.locator("#live")).to_have_text("live")
        platform.disable(PK, DN)
        expect(page.locator("main .badge.disabled")).to_be_visible()
        page.context.close()


def test_beyond_loopback_the_page_asks_for_the_token(browser: Browser) -> None:
    token = "a token of thirty-two characters"
    settings = ConsoleSettings(host="0.0.0.0", token=token)
    with LocalPlatform(console=settings) as platform:
        context = browser.new_context(ignore_https_errors=True)
        page = context.new_page()
        page.goto(platform.console_url)
        page.get_by_label("Token").fill("a guess")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("not the token")
        page.get_by_label("Token").fill(token)
        page.keyboard.press("Enter")
        expect(page.locator("#live")).to_have_text("live")
        assert token not in page.content()
        context.close()
