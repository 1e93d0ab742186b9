"""A gateway on the simulated board, and a local platform with 100 sensors for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import MAC, WIFI

from tools.board import Board, BootResult
from tools.image import build_image
from tools.iot_platform import Behaviour, LocalPlatform

GATEWAY = ("a1GatewayKey", MAC)
SENSOR_KEY = "a1SensorKey"
SECRET = "gateway-secret"
HEAD = """\
from aliyun_iot.device import Device
from aliyun_iot.gateway import Gateway
device = Device.open()
session = device.connect()
gateway = Gateway(session)
def names(first, end):
    return [("a1SensorKey", "sensor-%03d" % n) for n in range(first, end)]
def tell(key, name, error=None):
    print(name, error or "online")
"""

MakeGateway = Callable[[str], Board]


def sensors(count: int) -> list[str]:
    return [f"sensor-{number:03}" for number in range(count)]


@contextmanager
def sensor_platform() -> Iterator[LocalPlatform]:
    with LocalPlatform(behaviour=Behaviour(logins_per_minute=5, connects_per_minute=5)) as running:
        running.registry.add_product(GATEWAY[0], node_type="gateway")
        running.registry.add_device(*GATEWAY, device_secret=SECRET)
        running.registry.add_product(SENSOR_KEY, "sensors-product-secret")
        running.registry.add_devices(SENSOR_KEY, sensors(100))
        yield running


def gateway_boards(platform: LocalPlatform, folder: Path) -> MakeGateway:
    """Make a gateway with its own DeviceSecret; `main` runs after `HEAD`."""

    def make(main: str) -> Board:
        image = build_image(
            {
                "productKey": GATEWAY[0],
                "mqttHost": "localhost",
                "mqttPort": platform.mqtt_tls_port,
                "deviceName": MAC,
            },
            device={"productKey": GATEWAY[0], "deviceName": MAC, "deviceSecret": SECRET},
            wifi=WIFI,
            main=HEAD + main,
            roots=[platform.ca_der],
        )
        return Board(image, folder / "gateway", mac=MAC, resolve={"*": "127.0.0.1"})

    return make


def boot(board: Board, until: str = "the end") -> BootResult:
    result = board.boot(until, timeout=30)
    assert result.ending == "until", result.output
    return result


def registrations(platform: LocalPlatform) -> list[str | None]:
    return [e.device_name for e in platform.record.events("register", SENSOR_KEY, code=200)]


def online(platform: LocalPlatform) -> list[str]:
    return sorted(name.device_name for name in platform.subdevices_online(GATEWAY))


def stored(board: Board) -> dict[str, str]:
    """The DeviceSecret of each sub-device on the board's flash."""
    found = {}
    for path in board.files():
        if path.startswith("/subdevices/"):
            for place, text in json.loads(board.read(path) or b"{}").items():
                if place != "check":
                    found[text.split(" ")[1]] = text.split(" ")[2]
    return found


def known(platform: LocalPlatform, names: list[str]) -> dict[str, str]:
    """The DeviceSecret of each sensor in the platform's registry."""
    return {name: platform.registry.device(SENSOR_KEY, name).device_secret for name in names}
