"""Commands typed at the running platform, in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mqtt_client import MqttClient
from platform_clients import PK, PS, SUB, post, registration_form
from platform_process import DN, GATEWAY

from tools.iot_platform import LocalPlatform
from tools.iot_platform.process.commands import Commands, Quit


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with LocalPlatform() as running:
        yield running


@pytest.fixture
def commands(platform: LocalPlatform, products: Path) -> Commands:
    made = Commands(platform)
    assert made.run(f"add-product {products}").startswith(f"added product {PK}, device {PK}/{DN}")
    return made


def test_a_file_is_added_once(commands: Commands, products: Path) -> None:
    assert commands.run(f"add-product {products}") == "nothing to add: all of it exists already"


def test_a_product_json_of_a_board_will_do(platform: LocalPlatform, tmp_path: Path) -> None:
    path = tmp_path / "product.json"
    path.write_text(
        json.dumps({"productKey": PK, "productSecret": PS, "registration": "mqtt-free"})
    )
    Commands(platform).run(f"add-product {path}")

    assert platform.registry.product(PK).registration_free


def test_help_names_every_command(commands: Commands) -> None:
    names = [text.split()[0] for text in commands.run("help").splitlines()]

    assert {"publish", "reset", "notify", "change", "fault", "quit"} <= set(names)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", ""),
        ("nonsense", "no command 'nonsense'; `help` lists them"),
        ("reset", "usage: reset PK/DN"),
        ("reset a b", "usage: reset PK/DN"),
        ("reset a/bcde", "no device a/bcde"),
        ("publish a/bcde '/x", "a quote is not closed"),
        ('publish a/bcde "/x', "a quote is not closed"),
        ("publish a/bcde /x\\", "nothing follows the last backslash"),
        ("switch x on", "no product x"),
        (f"switch {PK} maybe", "'maybe': expected on or off"),
        (f"set {PK}/{DN} nonsense", "'nonsense': expected JSON (put it in single quotes)"),
        (f"publish {PK}/{DN} /a/# x", "topic '/a/#': expected a topic name without wildcards"),
        ("fault nonsense", "'nonsense': expected lost, refuse, stall, connack, code or clear"),
        ("fault connack", "connack: expected a code"),
        ("events x", "'x': expected a number"),
    ],
)
def test_a_wrong_command_is_answered(commands: Commands, text: str, answer: str) -> None:
    assert commands.run(text) == answer


@pytest.mark.parametrize(
    "text",
    [
        "reset {0}",
        "disable {0}",
        "enable {0}",
        "delete {0}",
        "disconnect {0}",
        "publish {0} /a x",
        "set {0} {{}}",
        "rrpc {0} x",
        "move {0} default",
        "bootstrap {0}",
        "unbind {0}",
        "topology {0}",
        "notify {0} {1}",
        "notify {1} {0}",
        "change {0} 0 {1}",
        "change {1} 0 {0}",
    ],
)
@pytest.mark.parametrize("absent", [f"{PK}/nobody", "a1Unknown00/nobody", f"{SUB}/sub002"])
def test_a_device_that_is_not_there_is_said_so(
    commands: Commands, platform: LocalPlatform, text: str, absent: str
) -> None:
    platform.delete(SUB, "sub002")

    assert commands.run(text.format(absent, f"{PK}/{DN}")) == f"no device {absent}"


def test_a_product_that_is_not_there_is_said_so(commands: Commands) -> None:
    assert commands.run("devices a1Unknown00") == "no product a1Unknown00"


def test_unbind_says_what_there_was_to_unbind(commands: Commands, platform: LocalPlatform) -> None:
    subdevice = platform.registry.device(SUB, "sub001").identity
    gateway = platform.registry.device(GATEWAY, "gateway01").identity
    assert commands.run(f"unbind {subdevice}") == "belongs to no gateway"
    platform.topology.bind(gateway, [subdevice])
    assert commands.run(f"unbind {subdevice}") == "taken from its gateway"
    assert commands.run(f"unbind {subdevice}") == "belongs to no gateway"


def test_a_gateway_that_is_deleted_leaves_its_sub_devices_free(
    commands: Commands, platform: LocalPlatform
) -> None:
    subdevice = platform.registry.device(SUB, "sub001").identity
    gateway = platform.registry.device(GATEWAY, "gateway01").identity
    platform.topology.bind(gateway, [subdevice])
    commands.run(f"delete {gateway}")
    assert commands.run(f"unbind {subdevice}") == "belongs to no gateway"


def test_rrpc_shows_the_answer(commands: Commands, platform: LocalPlatform) -> None:
    device = platform.registry.device(GATEWAY, "gateway01").identity
    with MqttClient(platform) as client, ThreadPoolExecutor(1) as pool:
        client.connect_device(*device, "gatewaySecret")
        asked = pool.submit(commands.run, f"rrpc {device} 'is the lamp on?'")
        topic, payload = client.message()
        client.publish(topic.replace("request", "response"), b"yes \xff")
        assert (payload, asked.result(5)) == (b"is the lamp on?", r"yes \xff")
    platform.record.wait_for("disconnect")
    assert commands.run(f"rrpc {device} x") == f"{device} is offline or not subscribed"


def test_quit(commands: Commands) -> None:
    with pytest.raises(Quit):
        commands.run("quit")


def test_lists(commands: Commands, platform: LocalPlatform) -> None:
    platform.topology.bind(
        platform.registry.device(GATEWAY, "gateway01").identity,
        [platform.registry.device(SUB, "sub001").identity],
    )

    assert f"{SUB}          device   2 devices, dynamic registration off" in commands.run(
        "products"
    )
    assert "sub001" in commands.run(f"devices {SUB}")
    assert f"under {GATEWAY}/gateway01" in commands.run("devices")
    assert commands.run(f"topology {GATEWAY}/gateway01").endswith(" offline")
    assert commands.run(f"topology {PK}/{DN}") == "no sub-devices"


def test_the_switch(commands: Commands, platform: LocalPlatform) -> None:
    commands.run(f"switch {PK} off")
    assert post(platform, registration_form()).json["code"] == 6288

    commands.run(f"switch {PK} on")
    assert post(platform, registration_form()).json["code"] == 200


def test_device_commands(commands: Commands, platform: LocalPlatform) -> None:
    device = platform.registry.device(GATEWAY, "gateway01").identity
    with MqttClient(platform) as client:
        client.connect_device(*device, "gatewaySecret")
        assert commands.run(f"set {device} '{{\"LED\": 1}}'") == "sent"
        topic, payload = client.message()
        assert topic == f"/sys/{device}/thing/service/property/set"
        assert json.loads(payload)["params"] == {"LED": 1}
        assert commands.run(f"publish {device} /sys/{device}/a 'b c'") == "sent"
        assert client.message() == (f"/sys/{device}/a", b"b c")
        assert commands.run(f"notify {device} {SUB}/sub001 {SUB}/sub002") == "sent"
        assert client.message()[0].endswith("/thing/topo/add/notify")
        assert commands.run(f"change {device} 0 {SUB}/sub001") == "sent"
        assert client.message()[0].endswith("/thing/topo/change")
        assert commands.run(f"disconnect {device}") == "disconnected"
        assert client.receive() is None
    assert commands.run(f"disconnect {device}") == "not online"
    assert commands.run(f"reset {device}") == "may be registered again"
    assert commands.run(f"disable {device}") == "disabled"
    assert "disabled" in commands.run("devices")
    assert commands.run(f"enable {device}") == "enabled"
    assert commands.run(f"delete {device}") == "deleted"
    assert "admin" in commands.run("events 5")


def test_fault_commands(commands: Commands, platform: LocalPlatform) -> None:
    assert commands.run("fault code 429 2") == "armed"
    assert [post(platform, registration_form()).json["code"] for _ in range(3)] == [429, 429, 200]
    assert commands.run("fault connack 3") == "armed"
    with MqttClient(platform) as client:
        assert client.connect_device(GATEWAY, "gateway01", "gatewaySecret") == 3
    commands.run("fault lost 9")
    commands.run("fault refuse 9")
    assert commands.run("fault clear") == "no faults are armed"
    assert post(platform, registration_form()).json["code"] == 200
