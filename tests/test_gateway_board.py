"""A gateway on the simulated board against the local platform: real TLS, broker, flash."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import MAC, WIFI

from tools.board import Board, BootResult, Cut
from tools.gateway_story import example
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


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with LocalPlatform(behaviour=Behaviour(logins_per_minute=5, connects_per_minute=5)) as running:
        running.registry.add_product(GATEWAY[0], node_type="gateway")
        running.registry.add_device(*GATEWAY, device_secret=SECRET)
        running.registry.add_product(SENSOR_KEY, "sensors-product-secret")
        running.registry.add_devices(SENSOR_KEY, sensors(100))
        yield running


@pytest.fixture
def gateway(platform: LocalPlatform, tmp_path: Path) -> MakeGateway:
    """A gateway with a certificate of its own; what it runs after `HEAD` is the argument."""

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
        return Board(image, tmp_path / "gateway", mac=MAC, resolve={"*": "127.0.0.1"})

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
    found = {}
    for path in board.files():
        if path.startswith("/subdevices/"):
            for place, text in json.loads(board.read(path) or b"{}").items():
                if place != "check":
                    found[text.split(" ")[1]] = text.split(" ")[2]
    return found


def known(platform: LocalPlatform, names: list[str]) -> dict[str, str]:
    return {name: platform.registry.device(SENSOR_KEY, name).device_secret for name in names}


def test_the_documented_application_brings_100_online_and_after_a_reboot_without_registering(
    platform: LocalPlatform, gateway: MakeGateway
) -> None:
    board = gateway("")
    board.write("/main.py", example().encode())
    with board.power_on() as session:
        assert session.wait(r"message on .*post_reply .*\n", 30) == "until", session.output
        assert online(platform) == sensors(100)
    assert sorted(map(str, registrations(platform))) == sensors(100)
    assert stored(board) == known(platform, sensors(100))
    with board.power_on() as session:
        assert session.wait(r"message on .*post_reply .*\n", 30) == "until", session.output
        assert online(platform) == sensors(100)
        session.power_off()
        assert session.result("until").flash_operations == 0
    assert len(registrations(platform)) == 100
    post = f"/sys/{SENSOR_KEY}/sensor-000/thing/event/property/post"
    assert len(platform.record.messages(post)) == 2


def test_each_step_by_itself(platform: LocalPlatform, gateway: MakeGateway) -> None:
    board = gateway(
        "gateway.register(names(0, 31), tell)\n"
        "gateway.add_topology(names(0, 31))\n"
        "print('listed', gateway.topology(tell))\n"
        "gateway.found(names(0, 3))\n"
        "gateway.login(names(0, 31))\n"
        "gateway.logout(names(1, 3))\n"
        "gateway.logout(names(3, 4))\n"
        "gateway.delete_topology(names(30, 31))\n"
        "print('the end')\nsession.wait(20000)\n"
    )
    with board.power_on() as session:
        assert session.wait("the end", 30) == "until", session.output
        assert online(platform) == ["sensor-000", *sensors(30)[4:]]
        assert "listed 31" in session.output
    requests = platform.record.events("request")
    assert [(e.details["topic"], e.code, e.details.get("count")) for e in requests] == [
        *[("thing/sub/register", 200, 6)] * 5,
        ("thing/sub/register", 200, 1),
        *[("thing/topo/add", 200, 3)] * 10,
        ("thing/topo/add", 200, 1),
        ("thing/topo/get", 200, None),
        ("thing/list/found", 200, 3),
        *[("combine/batch_login", 200, 3)] * 10,
        ("combine/login", 200, None),
        ("combine/batch_logout", 200, 2),
        ("combine/logout", 200, None),
        ("thing/topo/delete", 200, 1),
    ]


def test_a_sub_device_hears_and_speaks_on_its_own_topics(
    platform: LocalPlatform, gateway: MakeGateway
) -> None:
    board = gateway(
        "gateway.bring_online(names(0, 2))\n"
        "gateway.subscribe('a1SensorKey', 'sensor-001', '/user/get')\n"
        "gateway.publish('a1SensorKey', 'sensor-001', '/user/update', 'hello', 1)\n"
        "print('ready')\n"
        "for _ in range(2):\n"
        "    topic, payload = gateway.wait(10000)\n"
        "    print(topic.decode(), payload.decode())\n"
        "print('the end')\n"
    )
    custom = f"/{SENSOR_KEY}/sensor-001/user/get"
    system = f"/sys/{SENSOR_KEY}/sensor-000/thing/service/property/set"
    with board.power_on() as session:
        assert session.wait("ready", 30) == "until", session.output
        assert platform.publish(SENSOR_KEY, "sensor-001", custom, b"on")
        assert platform.publish(SENSOR_KEY, "sensor-000", system, b"off")
        assert session.wait("the end", 30) == "until", session.output
        assert f"{custom} on" in session.output
        assert f"{system} off" in session.output
    (message,) = platform.record.messages(f"/{SENSOR_KEY}/sensor-001/user/update")
    assert (message.payload, message.device_name) == (b"hello", "sensor-001")


def test_notices_of_the_cloud_reach_the_application(
    platform: LocalPlatform, gateway: MakeGateway
) -> None:
    board = gateway(
        "gateway.on_notice = lambda *said: print('notice', *said[:3])\n"
        "gateway.on_add = lambda wanted: gateway.bring_online(wanted, tell)\n"
        "gateway.on_change = lambda *said: print('change', *said)\n"
        "gateway.bring_online(names(0, 3))\nprint('ready')\n"
        "while True:\n    gateway.wait(1000)\n"
    )
    with board.power_on() as session:
        assert session.wait("ready", 30) == "until", session.output
        platform.disable(SENSOR_KEY, "sensor-000")
        changed = (
            r"notice a1SensorKey sensor-000 522\nchange 8 \[\('a1SensorKey', 'sensor-000'\)\]"
        )
        assert session.wait(changed, 10) == "until", session.output
        platform.delete(SENSOR_KEY, "sensor-001")
        assert session.wait("notice a1SensorKey sensor-001 521", 10) == "until", session.output
        platform.disconnect(SENSOR_KEY, "sensor-002")
        assert session.wait("notice a1SensorKey sensor-002 427", 10) == "until", session.output
        platform.notify_topology_add(GATEWAY, [(SENSOR_KEY, "sensor-050")])
        assert session.wait("sensor-050 online", 40) == "until", session.output
        assert online(platform) == ["sensor-050"]


def test_a_message_for_a_sub_device_that_is_offline_is_reported(
    gateway: MakeGateway,
) -> None:
    board = gateway(
        "gateway.on_notice = lambda *said: print('notice', *said)\n"
        "gateway.bring_online(names(0, 1))\ngateway.logout(names(0, 1))\n"
        "gateway.publish('a1SensorKey', 'sensor-000', 'thing/x', '{\"id\":\"42\"}')\n"
        "gateway.wait(2000)\nprint('the end')\n"
    )
    assert "notice None None 520 42" in boot(board).output


def test_after_a_lost_connection_they_are_logged_in_again(
    platform: LocalPlatform, gateway: MakeGateway
) -> None:
    board = gateway(
        "from aliyun_iot.errors import NetworkError\n"
        "gateway.spacing = 500\n"
        "gateway.bring_online(names(0, 40))\ngateway.logout(names(0, 1))\nprint('ready')\n"
        "try:\n    gateway.wait(20000)\nexcept NetworkError:\n    pass\n"
        "device.connect()\nprint(gateway.reconnected(), 'again')\nprint('the end')\n"
        "gateway.wait(10000)\n"
    )
    with board.power_on() as session:
        assert session.wait("ready", 30) == "until", session.output
        assert platform.disconnect(*GATEWAY)
        assert session.wait("the end", 60) == "until", session.output
        assert "39 again" in session.output
        assert online(platform) == sensors(40)[1:]
    assert len(registrations(platform)) == 40


def test_a_power_cut_while_certificates_are_stored_loses_no_sub_device(
    platform: LocalPlatform, gateway: MakeGateway
) -> None:
    board = gateway("print(gateway.bring_online(names(0, 40)), 'online')\nprint('the end')\n")
    for operation in (2, 12, 21, 26):
        board.boot(timeout=30, power_cut=Cut(operation, "middle"))
    result = boot(board)
    assert "40 online" in result.output
    assert stored(board) == known(platform, sensors(40))


def test_one_gateway_takes_a_sub_device_over_with_the_product_secret(
    platform: LocalPlatform, gateway: MakeGateway
) -> None:
    platform.registry.add_device("a1GatewayKey", "other-gateway")
    board = gateway(
        "gateway.product_register(names(0, 3), 'sensors-product-secret', tell)\n"
        "print(gateway.bring_online(names(0, 3)), 'online')\n"
        "no = [('a1SensorKey', 'sensor-404')]\n"
        "gateway.product_register(no, 'sensors-product-secret', tell)\n"
        "gateway.product_register(names(5, 6), 'wrong', tell)\nprint('the end')\n"
    )
    output = boot(board).output
    assert "3 online" in output
    assert re.search(r"a1SensorKey/sensor-404 refused, code 6100: ", output)
    assert re.search(r"a1SensorKey/sensor-005 refused, code 6600: ", output)
    assert stored(board) == known(platform, sensors(3))


def test_a_secret_that_another_registration_replaced_is_renewed(
    platform: LocalPlatform, gateway: MakeGateway
) -> None:
    board = gateway("print(gateway.bring_online(names(0, 4)), 'online')\nprint('the end')\n")
    boot(board)
    platform.registry.issue_secret(
        platform.registry.device(SENSOR_KEY, "sensor-002").identity, True
    )
    result = boot(board)
    assert "4 online" in result.output
    assert stored(board) == known(platform, sensors(4))
    assert registrations(platform).count("sensor-002") == 2
    assert len(registrations(platform)) == 5


@pytest.mark.parametrize("lost", ["thing/sub/register", "thing/topo/add", "combine/batch_login"])
def test_a_lost_reply_only_costs_time(
    platform: LocalPlatform, gateway: MakeGateway, lost: str
) -> None:
    board = gateway(
        "gateway.timeout = 500\n"
        "print(gateway.bring_online(names(0, 5)), 'online')\nprint('the end')\n"
    )
    seen: list[str] = []

    def edit(topic: str, payload: bytes) -> list[tuple[float, str, bytes]]:
        if topic.endswith(lost + "_reply") and not seen:
            seen.append(topic)
            return [(0.7, topic, payload)]  # late: another request is under way by then
        return [(0, topic, payload)]

    platform.faults.edit_reply = edit
    output = boot(board).output
    assert "5 online" in output
    assert f"{lost}: no answer in time; asking again" in output
    assert stored(board) == known(platform, sensors(5))


def test_a_topology_of_2000_is_listed_without_being_held_in_memory(
    platform: LocalPlatform, gateway: MakeGateway
) -> None:
    names: list[Any] = [f"node-{number:05}" for number in range(2000)]
    devices = platform.registry.add_devices(SENSOR_KEY, names)
    gateway_id = platform.registry.device(*GATEWAY).identity
    platform.topology.bind(gateway_id, [device.identity for device in devices])
    board = gateway(
        "total = 0\n"
        "def count(key, name):\n    global total\n    total += int(name[5:])\n"
        "print(gateway.topology(count), total)\nprint(gateway.topology(count), total)\n"
        "print('the end')\n"
    )
    board.heap = "64wK"
    total = sum(range(2000))
    assert f"2000 {total}\n2000 {2 * total}\n" in boot(board).output


def test_memory_does_not_grow_with_the_number_of_sub_devices(
    platform: LocalPlatform, gateway: MakeGateway
) -> None:
    platform.registry.add_devices(SENSOR_KEY, [f"node-{number:05}" for number in range(330)])
    board = gateway(
        "import gc\n"
        "class Nodes:\n"
        "    def __init__(self, first, end):\n        self.range = range(first, end)\n"
        "    def __iter__(self):\n"
        "        for n in self.range:\n            yield 'a1SensorKey', 'node-%05d' % n\n"
        "for end in (30, 330):\n"
        "    print(gateway.bring_online(Nodes(end // 11, end)), 'online')\n"
        "    gc.collect()\n    print('used', gc.mem_alloc())\n"
        "print('the end')\n"
    )
    board.heap = "80wK"
    output = boot(board).output
    few, many = (int(used) for used in re.findall(r"used (\d+)", output))
    assert "28 online" in output
    assert "300 online" in output
    assert many <= few + 512
