"""A gateway on the simulated board against the local platform: real TLS, broker and flash."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_board_helpers import (
    GATEWAY,
    SENSOR_KEY,
    MakeGateway,
    boot,
    gateway_boards,
    known,
    online,
    registrations,
    sensor_platform,
    sensors,
    stored,
)

from tools.gateway_story import example
from tools.iot_platform import LocalPlatform


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with sensor_platform() as running:
        yield running


@pytest.fixture
def gateway(platform: LocalPlatform, tmp_path: Path) -> MakeGateway:
    return gateway_boards(platform, tmp_path)


def test_the_documented_application_brings_100_online_and_registers_them_only_once(
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


def test_each_step_works_by_itself(platform: LocalPlatform, gateway: MakeGateway) -> None:
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


def test_a_sub_device_receives_and_sends_on_its_own_topics(
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


def test_notices_from_the_platform_reach_the_application(
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


def test_a_gateway_registers_sub_devices_with_the_product_secret(
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


def test_a_topology_of_2000_is_listed_without_holding_it_in_memory(
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
