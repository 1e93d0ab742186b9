"""The console's page in a real browser: keyboard, narrow windows, dark mode, badges."""

from __future__ import annotations

import pytest
from console_browser import DN, Window, need_browser, settle
from mqtt_client import MqttClient
from platform_clients import GATEWAY, PK, post, registration_form
from playwright.sync_api import Page, expect

from tools.iot_platform import Identity, LocalPlatform

need_browser()

DEVICE = Identity(PK, DN)
VIEWS = ["#/devices", "#/products", "#/traffic", f"#/device/{PK}/{DN}", f"#/device/{GATEWAY}/gw-1"]
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


# Keyboard only


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
    """Press Tab until the element with this name has the focus, which must be visible."""
    said = "(e) => e.getAttribute('aria-label') ?? e.textContent"
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if focused.count() and focused.evaluate(said) == name:
            assert focused.evaluate("(e) => getComputedStyle(e).outlineStyle") == "solid"
            return
    raise AssertionError(f"Tab never led to {name!r}")


def test_a_slash_moves_the_focus_to_the_search(window: Window, busy: LocalPlatform) -> None:
    page = window.open()
    settle(page)
    page.keyboard.press("/")
    page.keyboard.type("SENSOR")

    expect(page.locator("main tbody tr")).to_have_count(2)


def test_the_focus_stays_on_a_switch(window: Window, busy: LocalPlatform) -> None:
    """Each new state of the product renders the row of the switch again."""
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
    """At 360 pixels nothing overflows; text has enough contrast; controls have names."""
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


def test_every_view_has_its_own_title(window: Window, busy: LocalPlatform) -> None:
    page = window.open()
    for view, title in zip(VIEWS, ("Devices", "Products", "Traffic", DN, "gw-1"), strict=True):
        page.goto(window.url + view)
        expect(page).to_have_title(f"{title} – Local IoT Platform")


def test_every_state_has_its_badge(window: Window, busy: LocalPlatform) -> None:
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


def test_an_unknown_device_can_be_added_from_the_traffic(
    window: Window, busy: LocalPlatform
) -> None:
    page = window.open()
    post(busy, registration_form("stranger-1"))
    page.get_by_role("button", name="Add it").click()

    expect(page.get_by_role("link", name="stranger-1", exact=True)).to_be_visible()
