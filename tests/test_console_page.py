"""The console's page in a real browser: keyboard, narrow and dark, much to show, nothing run."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from console_browser import Window, need_browser
from platform_clients import GATEWAY, PK, PS, SUB, MqttClient, post, registration_form
from playwright.sync_api import Browser, Page, expect

from tools.iot_platform import Identity, LocalPlatform
from tools.iot_platform.console.server import ConsoleSettings

need_browser()

DN = "246f28aabbcc"
DEVICE = Identity(PK, DN)
VIEWS = ["#/devices", "#/products", "#/traffic", f"#/device/{PK}/{DN}", f"#/device/{GATEWAY}/gw-1"]
EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"
WIDEST = "document.documentElement.scrollWidth"
CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => v / 255)
      .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const bad = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !element.checkVisibility()) continue;
    if (element.closest(":disabled, .hidden, option, noscript")) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push(`${walk.currentNode.data.trim()}: ${ratio.toFixed(2)}`);
  }
  return bad;
}"""
NAMELESS = """() => [...document.querySelectorAll("button, a, input, select, textarea")]
  .filter((e) => e.checkVisibility() && !(e.textContent.trim() && e.matches("button, a"))
    && !e.labels?.length && !e.getAttribute("aria-label")).map((e) => e.outerHTML)"""


@pytest.fixture
def busy(hub: LocalPlatform) -> LocalPlatform:
    """Devices in every state, and some traffic."""
    registry = hub.registry
    registry.add_devices(PK, [DN, "refused-1", "disabled-1", "registered-1"])
    registry.add_device(GATEWAY, "gw-1")
    registry.add_devices(SUB, ["sensor-1", "sensor-2"])
    hub.topology.bind(Identity(GATEWAY, "gw-1"), [Identity(SUB, "sensor-1")])
    post(hub, registration_form("registered-1"))
    post(hub, registration_form("refused-1", secret="wrong"))
    hub.disable(PK, "disabled-1")
    hub.set_fault(*DEVICE, "lost")
    hub.record.add("deliver", DEVICE, payload=b"x" * 300, topic=f"/sys/{DEVICE}/a", size=300)
    return hub


def settle(page: Page) -> None:
    """Waits until the view has what it shows."""
    expect(page.locator("#summary")).to_contain_text("device")
    shown = "main tbody tr, main .products li, main .facts dd, [data-view=traffic] .entry"
    expect(page.locator(shown).first).to_be_attached()


# By keyboard alone


def test_a_device_is_added_by_keyboard(window: Window, hub: LocalPlatform) -> None:
    page = window.open()
    keys = page.keyboard
    settle_empty(page)
    keys.press("Tab")
    expect(page.locator("#skip")).to_be_focused()
    keys.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    press_until(page, "Add device")
    keys.press("Enter")
    expect(page.get_by_label("DeviceName", exact=True)).to_be_focused()
    keys.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Add device")).to_be_focused()

    keys.press("Enter")
    expect(page.get_by_label("DeviceName", exact=True)).to_be_focused()
    keys.type("bad")
    keys.press("Enter")
    expect(page.locator("dialog .wrong").first).to_be_attached()
    expect(page.get_by_label("DeviceName", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(page.locator("dialog")).to_contain_text("expected 4 to 32 letters")
    expect(page.get_by_label("DeviceName", exact=True)).to_be_focused()
    keys.press("Control+A")
    keys.type(DN)
    keys.press("Enter")
    expect(page.get_by_role("link", name=DN, exact=True)).to_be_visible()

    press_until(page, DN)
    keys.press("Enter")
    expect(page.get_by_role("heading", name=DN)).to_be_focused()
    press_until(page, "Answer lost")
    keys.press("Space")
    expect(page.get_by_role("switch", name="Answer lost")).to_be_checked()
    expect(page.get_by_role("switch", name="Answer lost")).to_be_focused()
    assert [switch.fault for switch in hub.switches.of(DEVICE)] == ["lost"]


def settle_empty(page: Page) -> None:
    expect(page.locator("main .empty")).to_contain_text("No device yet")


def press_until(page: Page, name: str) -> None:
    """Presses Tab until the element with this name has the focus, which must be visible."""
    said = "(e) => e.getAttribute('aria-label') ?? e.textContent"
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if focused.count() and focused.evaluate(said) == name:
            assert focused.evaluate("(e) => getComputedStyle(e).outlineStyle") == "solid"
            return
    raise AssertionError(f"Tab never led to {name!r}")


def test_a_slash_leads_to_the_search(window: Window, busy: LocalPlatform) -> None:
    page = window.open()
    settle(page)
    page.keyboard.press("/")
    page.keyboard.type("SENSOR")

    expect(page.locator("main tbody tr")).to_have_count(2)


def test_the_focus_stays_on_a_switch(window: Window, busy: LocalPlatform) -> None:
    """What it stands in is made anew with the product's new state."""
    page = window.open("#/products")
    switch = page.get_by_role("switch", name=f"Dynamic registration of {PK}")
    expect(switch).to_be_checked()
    switch.focus()
    for state in (False, True):
        page.keyboard.press("Space")
        expect(switch).to_be_checked(checked=state)
        expect(switch).to_be_focused()


# In a narrow window, light and dark


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_can_be_read(
    window: Window,
    busy: LocalPlatform,
    scheme: str,
) -> None:
    """At 360 pixels nothing runs out at the side; text stands out; controls have names."""
    page = window.open(width=360, height=740, scheme=scheme)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark == "rgb(17, 21, 26)") == (scheme == "dark")
    for view in VIEWS:
        page.goto(window.url + view)
        expect(page.locator("body")).to_have_attribute("data-view", view.split("/")[1])
        settle(page)
        assert page.evaluate(WIDEST) == 360, view
        assert page.evaluate(CONTRAST) == [], view
        assert page.evaluate(NAMELESS) == [], view


def test_every_state_has_its_word(window: Window, busy: LocalPlatform) -> None:
    page = window.open()
    settle(page)

    def words(name: str) -> list[str]:
        row = page.locator("tr", has=page.get_by_role("link", name=name, exact=True))
        return row.locator(".badge").all_inner_texts()

    assert words(DN) == ["offline", "never registered", "1 fault switch on"]
    assert words("registered-1") == ["offline", "registered"]
    assert words("disabled-1") == ["offline", "never registered", "disabled"]
    secret = busy.registry.device(PK, "registered-1").device_secret
    with MqttClient(busy) as client:
        client.connect_device(PK, "registered-1", secret)
        expect(page.locator(".badge.online")).to_have_text("online")
        assert words("registered-1") == ["online", "active"]
    expect(page.locator(".badge.online")).to_have_count(0)
    assert words("registered-1") == ["offline", "active"]
    refused = page.locator("tr", has_text="refused-1")
    expect(refused).to_contain_text("registration refused, 6600")
    expect(refused).to_contain_text("correct its product.json")


def test_a_refused_stranger_is_added_from_the_traffic(window: Window, busy: LocalPlatform) -> None:
    page = window.open()
    post(busy, registration_form("stranger-1"))
    page.get_by_role("button", name="Add it").click()

    expect(page.get_by_role("link", name="stranger-1", exact=True)).to_be_visible()


# What devices send is shown, never run


def test_payloads_are_text(window: Window, busy: LocalPlatform) -> None:
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


def test_a_secret_is_masked_until_it_is_asked_for(
    window: Window,
    busy: LocalPlatform,
) -> None:
    page = window.open("#/products")
    settle(page)
    assert PS not in page.content()
    page.get_by_role("button", name=f"Show ProductSecret of {PK}").click()
    expect(page.locator(".secret").filter(has_text=PS)).to_have_count(1)
    expect(page.locator(".file:visible")).to_contain_text(f'"productSecret": "{PS}"')
    page.get_by_role("button", name=f"Hide ProductSecret of {PK}").click()
    expect(page.locator(".secret").filter(has_text=PS)).to_have_count(0)
    assert PS not in page.content()


# Much to show


def test_ten_thousand_devices_and_a_storm(
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

    for number in range(3_000):
        name = f"unit-{number:05}"
        busy.record.add("publish", (PK, name), 200, payload=b"{}", topic=f"/{PK}/{name}/a")
    last = page.locator("#traffic .entry").first
    expect(last).to_contain_text("unit-02999")
    assert page.locator("#traffic .entry").count() <= 300
    expect(page.locator("#live")).to_have_text("live")

    page.goto(f"{window.url}#/traffic?device={PK}/unit-00007")
    expect(page.locator("#traffic .entry")).to_have_count(1)


def test_paused_traffic_stands_still(window: Window, busy: LocalPlatform) -> None:
    page = window.open("#/traffic")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#traffic [role=status]")).to_have_text("paused")
    busy.record.add("admin", DEVICE, what="while paused")
    expect(page.locator("#traffic [role=status]")).to_have_text("paused, 1 since")
    expect(page.locator("#traffic")).not_to_contain_text("while paused")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#traffic .entry").first).to_contain_text("while paused")


# Gateways


def test_a_gateway_and_its_subdevices(window: Window, busy: LocalPlatform) -> None:
    page = window.open(f"#/device/{GATEWAY}/gw-1")
    page.locator(".subdevices").get_by_role("link", name="sensor-1").click()
    expect(page.locator(".facts")).to_contain_text("gw-1")
    page.get_by_role("button", name="Unbind").click()
    expect(page.locator(".facts")).not_to_contain_text("gw-1")

    page.get_by_role("button", name="Delete").click()
    page.locator("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Devices")).to_be_visible()
    assert busy.registry.device(SUB, "sensor-1").deleted


def test_an_address_that_leads_to_nothing(window: Window, busy: LocalPlatform) -> None:
    page = window.open(f"#/device/{PK}/nobody")

    expect(page.locator(".callout")).to_contain_text(f"no device {PK}/nobody")


# The platform ends and comes back; the platform is elsewhere


def test_a_page_outlives_its_platform(browser: Browser, tmp_path: Path) -> None:
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


def test_elsewhere_the_page_asks_for_the_token(browser: Browser) -> None:
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
