"""The programs in docs/examples: each is a whole main.py and does what it says on a board."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import DEVICE_TESTS, PRODUCT_KEY, PRODUCT_SECRET, WIFI, product_of
from test_umqtt_versions import source_of

from tools.board import Board
from tools.image import build_image
from tools.iot_platform import LocalPlatform
from tools.layout import ROOT

EXAMPLES = ROOT / "docs" / "examples"
NAMES = sorted(path.name for path in EXAMPLES.glob("*.py"))
MOST_LINES = 40
SENSOR_KEY = "a1SensorKey"
TESTED = {
    "another_instance.py",
    "coroutines.py",
    "deep_sleep.py",
    "gateway.py",
    "mqtt_as_client.py",
    "property.py",
    "reset_thing.py",
    "rrpc.py",
    "serial_number.py",
    "umqtt_simple.py",
    "unique_certificate.py",
    "watchdog.py",
}


class Cloud:
    """One platform for all examples, with a device for each."""

    def __init__(self, platform: LocalPlatform, folder: Path) -> None:
        self.platform = platform
        self.folder = folder
        platform.registry.add_product(PRODUCT_KEY, PRODUCT_SECRET, node_type="gateway")
        platform.registry.add_product(SENSOR_KEY, "SensorSecret0000")

    def board(
        self,
        example: str,
        name: str | None = None,
        files: Mapping[str, bytes | str] | None = None,
        change: tuple[str, str] | None = None,
        product: Mapping[str, Any] | None = None,
        device: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Board:
        """A board with this example as main.py. name: DeviceName, its MAC address by default."""
        mac = f"246f28ee{NAMES.index(example):04x}"
        self.name = name or mac
        secret = (device or {}).get("deviceSecret")
        self.platform.registry.add_device(PRODUCT_KEY, self.name, secret)
        main = (EXAMPLES / example).read_text("utf-8")
        if change:
            assert change[0] in main
            main = main.replace(*change)
        image = build_image(
            product_of(self.platform, **(product or {})),
            WIFI,
            device,
            main=main,
            roots=[self.platform.ca_der],
            files=files,
            check=False,
        )
        folder = self.folder / mac
        return Board(image, folder, mac=mac, resolve={"*": "127.0.0.1"}, **options)

    def topic(self, tail: str) -> str:
        return f"/sys/{PRODUCT_KEY}/{self.name}/{tail}"

    def user_topic(self, tail: str) -> str:
        return f"/{PRODUCT_KEY}/{self.name}/user/{tail}"

    def send(self, topic: str, payload: bytes) -> None:
        assert self.platform.publish(PRODUCT_KEY, self.name, topic, payload)

    def published(self, topic: str) -> list[Any]:
        """The payloads that devices published to a topic."""
        return [json.loads(m.payload) for m in self.platform.record.messages(topic)]

    def count(self, kind: Any, code: int | None = None) -> int:
        return len(self.platform.record.events(kind, PRODUCT_KEY, self.name, code))


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("examples")
    with LocalPlatform(certificates=folder / "ca") as platform:
        yield Cloud(platform, folder)


def test_each_example_is_short_and_tested() -> None:
    assert set(NAMES) == TESTED
    listed = (EXAMPLES / "README.md").read_text("utf-8")
    for name in NAMES:
        lines = (EXAMPLES / name).read_text("utf-8").splitlines()
        assert len(lines) < MOST_LINES, name
        assert lines[0].startswith("# "), f"{name}: begins with what it is for"
        assert f"]({name})" in listed, f"{name}: not in docs/examples/README.md"


def test_the_property_example_posts_and_sets_a_property(cloud: Cloud) -> None:
    with cloud.board("property.py").power_on() as board:
        assert board.wait("connected as") == "until", board.output
        cloud.platform.record.wait_for("publish", device_name=cloud.name)
        request = b'{"id":"77","method":"thing.service.property.set","params":{"lamp":1}}'
        cloud.send(cloud.topic("thing/service/property/set"), request)
        assert board.wait("state: {'lamp': 1}") == "until", board.output
    posted = cloud.published(cloud.topic("thing/event/property/post"))
    assert [message["params"]["lamp"] for message in posted] == [0, 1]
    assert cloud.published(cloud.topic("thing/service/property/set_reply")) == [
        {"id": "77", "code": 200, "data": {}}
    ]


def test_the_serial_number_is_the_device_name(cloud: Cloud) -> None:
    board = cloud.board("serial_number.py", "SN-2026-0001", {"/serial.txt": "SN-2026-0001\n"})
    assert board.boot("online as SN-2026-0001").ending == "until"
    assert cloud.count("register", 200) == 1


def test_a_unique_certificate_connects_without_registering(cloud: Cloud) -> None:
    name = "burned-0001"
    device = {"productKey": PRODUCT_KEY, "deviceName": name, "deviceSecret": "0" * 32}
    product = {"productSecret": None}
    board = cloud.board("unique_certificate.py", name, product=product, device=device)
    result = board.boot("online with the certificate of burned-0001")
    assert result.ending == "until", result.output
    assert cloud.count("register") == 0
    board.write("/device.json", None)
    result = board.boot(">>> ")
    assert "back to the factory: product.json: productSecret: missing" in result.output


def test_a_gateway_brings_its_sensors_online(cloud: Cloud) -> None:
    for number in range(3):
        cloud.platform.registry.add_device(SENSOR_KEY, f"sensor-{number:03}")
    with cloud.board("gateway.py").power_on() as board:
        assert board.wait("3 sensors online") == "until", board.output
        record = cloud.platform.record
        for number in range(3):
            record.wait_for("publish", device_name=f"sensor-{number:03}", code=200)
    assert "sensor-001 online" in board.output


def test_the_coroutines_example_posts_a_count(cloud: Cloud) -> None:
    with cloud.board("coroutines.py").power_on() as board:
        assert board.wait("(?s:(post_reply.*){2})") == "until", board.output
    counted = cloud.published(cloud.topic("thing/event/property/post"))
    assert counted[1]["params"]["count"] - counted[0]["params"]["count"] == 1


def test_an_rrpc_is_answered(cloud: Cloud) -> None:
    with cloud.board("rrpc.py").power_on() as board:
        assert board.wait("connected as") == "until", board.output
        ask = cloud.platform.rrpc
        assert json.loads(ask(PRODUCT_KEY, cloud.name, b"time"))["time"] > 0
        answer = json.loads(ask(PRODUCT_KEY, cloud.name, b"reboot", cloud.user_topic("call")))
        assert answer == {"error": "expected: time"}


def test_the_credentials_work_with_mqtt_as(cloud: Cloud, tmp_path: Path) -> None:
    """tests/device/mqtt_as.py stands in for the real mqtt_as."""
    stand_in = {"/mqtt_as.py": (DEVICE_TESTS / "mqtt_as.py").read_bytes()}
    root = ("globalsign-root-ca.der", "0.der")
    board = cloud.board("mqtt_as_client.py", files=stand_in, change=root)
    board.frozen = frozen(tmp_path)
    result = board.boot("message on .*post_reply.*")
    assert result.ending == "until", result.output
    assert cloud.count("connect", 0) == 1


def test_mqtt_as_verifies_the_server(cloud: Cloud, tmp_path: Path) -> None:
    """The root in the example is not that of the local platform, so the connection fails."""
    root = (ROOT / "firmware/roots/globalsign-root-ca.der").read_bytes()
    stand_in = (DEVICE_TESTS / "mqtt_as.py").read_bytes()
    files = {"/mqtt_as.py": stand_in, "/roots/globalsign-root-ca.der": root}
    device = {"deviceName": "with-another-root", "deviceSecret": "1" * 32}
    product = {"deviceName": "with-another-root"}
    name = "with-another-root"
    board = cloud.board("mqtt_as_client.py", name, files, product=product, device=device)
    board.frozen = frozen(tmp_path)
    result = board.boot(">>> ")
    assert "not correctly signed by the trusted CA" in result.output
    assert cloud.count("connect") == 0


def test_the_credentials_work_with_umqtt_simple(cloud: Cloud, tmp_path: Path) -> None:
    board = cloud.board("umqtt_simple.py")
    board.frozen = frozen(tmp_path)
    result = board.boot("message on .*post_reply.*")
    assert result.ending == "until", result.output


def frozen(folder: Path, version: str = "1.4.0") -> Path:
    """The umqtt.simple of stock firmware."""
    place = folder / "frozen" / "umqtt"
    place.mkdir(parents=True)
    (place / "simple.py").write_text(source_of(version))
    return place.parent


def test_the_watchdog_resets_a_board_that_stops_feeding_it(cloud: Cloud) -> None:
    board = cloud.board("watchdog.py", change=("120_000", "3_000"))
    with board.power_on(max_boots=2) as running:
        assert running.wait("online, after reset cause 1") == "until", running.output
        assert running.wait("online, after reset cause 3", 3.5) == "timeout", "it was not fed"
        running.send(b"\x03")
        assert running.wait(timeout=10) == "repl", running.output  # now nothing feeds it
        while running.resets == 0:
            running.step(1)
        assert running.wait("online, after reset cause 3") == "until", running.output


def test_deep_sleep_registers_once_and_posts_at_each_wake_up(cloud: Cloud) -> None:
    """Three wake-ups: one registration, a message each, and no flash writes in the later ones."""
    board = cloud.board("deep_sleep.py")
    first = board.boot()
    assert (first.ending, cloud.count("register", 200)) == ("reset", 1), first.output
    later = board.boot(max_boots=2)
    assert (later.ending, later.resets) == ("reset", 1), later.output
    assert later.flash_operations == 0
    assert len(cloud.published(cloud.topic("thing/event/property/post"))) == 3
    assert cloud.count("register") == 1
    print(f"one wake-up: {later.seconds / 2:.2f} s, {later.flash.reads // 2} reads of flash")


def test_a_board_without_a_network_goes_back_to_sleep(cloud: Cloud) -> None:
    board = cloud.board("deep_sleep.py", "no-network", wifi={})
    assert board.boot().ending == "reset"


def test_a_board_registers_again_after_a_reset(cloud: Cloud) -> None:
    with cloud.board("reset_thing.py", hurry=100).power_on() as board:
        assert board.wait("online") == "until", board.output
        old = cloud.platform.registry.device(PRODUCT_KEY, cloud.name).device_secret
        cloud.platform.reset(PRODUCT_KEY, cloud.name)
        cloud.send(cloud.user_topic("register"), b"")
        assert board.wait("(?s:online.*online)") == "until", board.output
    assert cloud.count("register", 200) == 2
    assert cloud.platform.registry.device(PRODUCT_KEY, cloud.name).device_secret != old


def test_a_board_moves_to_another_instance(cloud: Cloud) -> None:
    """The other instance is a second platform with the same CA and device."""
    board = cloud.board("another_instance.py")
    with (
        LocalPlatform(certificates=cloud.folder / "ca") as other,
        board.power_on(max_boots=2) as running,
    ):
        assert running.wait("online at localhost") == "until", running.output
        move = cloud.user_topic("move")
        cloud.send(move, b'{"mqttPort":"one"}')
        assert running.wait("not moved: product.json: mqttPort") == "until", running.output
        secret = cloud.platform.registry.device(PRODUCT_KEY, cloud.name).device_secret
        other.registry.add_product(PRODUCT_KEY, PRODUCT_SECRET)
        other.registry.add_device(PRODUCT_KEY, cloud.name, secret)
        cloud.send(move, json.dumps({"mqttPort": other.mqtt_tls_port}).encode())
        assert running.wait("(?s:moving.*online at localhost)") == "until", running.output
        assert len(other.record.events("connect", PRODUCT_KEY, cloud.name, 0)) == 1
    assert cloud.count("connect") == 1
