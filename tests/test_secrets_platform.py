"""The local platform, and what `make run` shows, say no secret either."""

from __future__ import annotations

import json
import logging
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mqtt_client import MqttClient
from platform_clients import Answer, post, registration_form
from platform_process import Running
from watched_tools import Watched

from tools import gateway_story, story
from tools.board import Board
from tools.faults.secrets import Secrets
from tools.image import build_image
from tools.iot_platform import LocalPlatform

KEY, PRODUCT_SECRET = "a1ExpAkj9Hi", "mNq8VwZr4TcY1bLk"
GATEWAY, GATEWAY_SECRET = "a1Gateway01", "7xQ5U6d6MokPZD4KGQQFFlGinIipW9Xn"
SENSOR, PASSWORD = "a1SensorKey", "wpa2 of the production hall"
PRODUCTS = [
    {
        "productKey": KEY,
        "productSecret": PRODUCT_SECRET,
        "registrationFree": True,
        "devices": ["unit-https", "unit-mqtt", "unit-mqtt-free"],
    },
    {
        "productKey": GATEWAY,
        "nodeType": "gateway",
        "devices": [{"deviceName": "gateway01", "deviceSecret": GATEWAY_SECRET}],
    },
    {"productKey": SENSOR, "devices": [f"sensor-{n:03}" for n in range(3)]},
]
COMMANDS = """\
help
products
devices
topology a1Gateway01/gateway01
publish a1ExpAkj9Hi/unit-mqtt /a1ExpAkj9Hi/unit-mqtt/user/x text
set a1ExpAkj9Hi/unit-mqtt {"lamp":1}
set a1ExpAkj9Hi/unit-mqtt '{"lamp":1}'
notify a1Gateway01/gateway01 a1SensorKey/sensor-000
change a1Gateway01/gateway01 8 a1SensorKey/sensor-000
unbind a1SensorKey/sensor-000
switch a1ExpAkj9Hi off
switch a1ExpAkj9Hi on
reset a1ExpAkj9Hi/unit-mqtt
disable a1ExpAkj9Hi/unit-mqtt
enable a1ExpAkj9Hi/unit-mqtt
delete a1ExpAkj9Hi/unit-mqtt
disconnect a1ExpAkj9Hi/unit-https
reset a1ExpAkj9Hi/nobody
switch a1ExpAkj9Hi maybe
fault code
fault connack 3
fault lost
fault nonsense
publish 'torn
events 1000
"""
CRASHING = """
import sys, machine
from aliyun_iot.device import Device
try:
    print(Device.open().connect())
    1 / 0
except Exception as e:
    sys.print_exception(e)
    machine.reset()
"""


class Far:
    """A platform in another process, as the clients of `platform_clients` take one."""

    def __init__(self, ports: dict[str, int], ca_der: bytes) -> None:
        self.https_port, self.mqtt_tls_port = ports["https"], ports["mqtt-tls"]
        self.mqtt_tcp_port, self.ca_der = ports["mqtt-tcp"], ca_der


def board(far: Far, folder: Path, registration: str) -> Board:
    """A board that registers in that way; "gateway": with a certificate of its own."""
    gateway = registration == "gateway"
    product: dict[str, Any] = {
        "productKey": GATEWAY if gateway else KEY,
        "deviceName": "gateway01" if gateway else f"unit-{registration}",
        "registerHost": "localhost",
        "registerPort": far.https_port,
        "mqttHost": "localhost",
        "mqttPort": far.mqtt_tls_port,
    }
    more: dict[str, Any] = {}
    if gateway:
        names = {"productKey": GATEWAY, "deviceName": "gateway01"}
        more["device"] = {**names, "deviceSecret": GATEWAY_SECRET}
        more["main"] = gateway_story.example().replace("range(100)", "range(3)")
    else:
        product |= {"productSecret": PRODUCT_SECRET, "registration": registration}
    wifi = {"ssid": "hall", "password": PASSWORD}
    image = build_image(product, wifi, roots=[far.ca_der], **more)
    return Board(image, folder, resolve={"*": "127.0.0.1"})


def test_a_running_platform_shows_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its loudest, in development mode: devices of all kinds, commands, refusals, the end."""
    known = {"ProductSecret": PRODUCT_SECRET, "DeviceSecret": GATEWAY_SECRET}
    watched = Watched(tmp_path, known)
    for name, value in watched.environment().items():
        monkeypatch.setenv(name, value)
    products = watched.file("products.json", json.dumps(PRODUCTS))
    words = ("--database", tmp_path / "db", "--certificates", tmp_path, "--product", products)
    running = Running(*words, "--json", "--verbose", "--no-limits")
    try:
        ports = json.loads(running.wait_for('"ports"').string)["ports"]
        far = Far(ports, (tmp_path / "ca.der").read_bytes())
        running.wait_for("help")
        with closing(sqlite3.connect(tmp_path / "db")) as books:
            made = [row[0] for row in books.execute("SELECT product_secret FROM products")]
            for way in ("https", "mqtt", "mqtt-free", "gateway"):
                result = board(far, tmp_path / way, way).boot("post_reply", 20)
                assert result.ending == "until", result.output
            refused = registration_form("unit-https", secret="another")
            assert post(far, refused).json["code"] == 6600  # type: ignore[arg-type]
            with MqttClient(far) as client:  # type: ignore[arg-type]
                assert client.connect_device(KEY, "unit-https", "another") == 4
            made += [row[0] for row in books.execute("SELECT device_secret FROM devices")]
            made += [row[0] for row in books.execute("SELECT device_token FROM clients")]
            events = "\n".join(str(row) for row in books.execute("SELECT * FROM events"))
        for mode in tmp_path.glob("db*"):
            assert mode.stat().st_mode & 0o077 == 0, f"others can read {mode}"
        for line in COMMANDS.splitlines():
            running.type(line)
        running.type("quit")
        assert running.end() == 0
    finally:
        running.close()
    for text in ("via=mqtt-free", "6600 via=https", "CONNACK 4", "via=gateway", "armed"):
        assert text in running.output, running.output
    assert len(made) == 3 + 7 + 1
    for value in made:
        watched.secrets.add("a secret that the platform made", value)
    watched.check(running.output)
    assert watched.secrets.seen_in(events) == []


@pytest.mark.parametrize(
    "products",
    [
        f'[{{"productKey": "{KEY}", "productSecret": "{PRODUCT_SECRET}',
        f'{{"productKey": "{KEY}", "productSecret": "{PRODUCT_SECRET} !"}}',
        f'{{"productKey": "{KEY}", "productSecret": ["{PRODUCT_SECRET}"]}}',
        f'{{"productKey": "{KEY}", "registrationFree": "{PRODUCT_SECRET}"}}',
        f'{{"productKey": "{KEY}", "devices": "{PRODUCT_SECRET}"}}',
        f'{{"productKey": "{PRODUCT_SECRET} !"}}',
        f'{{"productKey": "{KEY}", "nodeType": "{PRODUCT_SECRET}"}}',
        f'{{"productKey": "{KEY}", "devices": ["{PRODUCT_SECRET} !"]}}',
    ],
    ids=["torn", "space", "list", "flag", "devices", "as key", "as type", "as name"],
)
def test_a_file_of_products_is_refused_without_repeating_it(tmp_path: Path, products: str) -> None:
    """In process: what the command prints is this exception's text."""
    from tools.iot_platform.store.seed import SeedError, add_from_file

    secrets = Secrets()
    secrets.add("ProductSecret", PRODUCT_SECRET)
    path = tmp_path / "products.json"
    path.write_text(products)
    with LocalPlatform() as platform, pytest.raises(SeedError) as caught:
        add_from_file(platform.registry, path)
    assert str(path) in str(caught.value)
    assert secrets.seen_in(f"{caught.value} {caught.value!r}") == []


def test_a_platform_that_fails_itself_says_so_without_the_request(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """An exception in the middle of registrations and logins: tracebacks, at every log level."""
    secrets = Secrets()
    with caplog.at_level(logging.DEBUG), LocalPlatform() as platform:
        secrets.watch(platform)
        registry: Any = platform.registry
        registry.add_product(KEY, PRODUCT_SECRET)
        device = registry.add_device(KEY, "unit-1")
        good = registry.issue_secret

        def fail(*arguments: Any, **named: Any) -> Any:
            good(*arguments, **named)
            raise RuntimeError("no disk")

        registry.issue_secret = registry.activate = fail
        answer: Answer = post(platform, registration_form("unit-1", secret=PRODUCT_SECRET))
        assert answer.json["code"] == 500
        with MqttClient(platform) as client:
            client.register("unit-1", secret=PRODUCT_SECRET)
        secret = registry.device(KEY, "unit-1").device_secret
        with MqttClient(platform) as client:
            client.connect_device(KEY, "unit-1", secret)
    assert secret != device.device_secret
    assert caplog.text.count("the platform itself failed") >= 2
    out, err = capfd.readouterr()
    for shown in (caplog.text, out, err, answer.body.decode()):
        assert secrets.seen_in(shown) == []


@pytest.fixture
def watched_story(monkeypatch: pytest.MonkeyPatch) -> Iterator[Secrets]:
    """The secrets of a story, which it makes up by itself."""
    secrets = Secrets()
    secrets.add("Wi-Fi password", "correct horse")

    class Watching(LocalPlatform):
        def start(self) -> LocalPlatform:
            super().start()
            secrets.watch(self)
            return self

    for module in (story, gateway_story):
        monkeypatch.setattr(module, "LocalPlatform", Watching)
    names = [f"sensor-{number:03}" for number in range(3)]
    example = gateway_story.example().replace("range(100)", "range(3)")
    monkeypatch.setattr(gateway_story, "SENSORS", names)
    monkeypatch.setattr(gateway_story, "example", lambda: example)
    monkeypatch.setattr(sys, "argv", ["story"])
    yield secrets


@pytest.mark.parametrize("module", [story, gateway_story])
def test_a_story_shows_no_secret(
    watched_story: Secrets, module: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    assert module.main() == 0
    shown = capfd.readouterr().out
    assert "issued" in shown
    assert watched_story.seen_in(shown) == []


@pytest.mark.parametrize("module", [story, gateway_story])
def test_a_story_that_fails_shows_no_secret(
    watched_story: Secrets,
    module: Any,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It tells all that the board said."""
    good = build_image

    def another_main(product: dict[str, Any], *records: Any, **image: Any) -> bytes:
        return good(product, *records, **image | {"main": CRASHING})

    monkeypatch.setattr(module, "build_image", another_main)
    assert module.main() == 1
    shown = capfd.readouterr().out
    assert "FAILED" in shown and "ZeroDivisionError" in shown
    assert watched_story.seen_in(shown) == []
