"""Bootstrap: which MQTT host and port serve a device, and devices moved between instances."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from mqtt_client import MqttClient
from platform_clients import PK, PS, Answer, post

from tools.iot_platform import Instance, LocalPlatform
from tools.iot_platform.process.commands import Commands

DN, DS = "Example_dyn1", "KGQQFFlGinIipW9Xn7xQ5U6d6MokPZD4"
NOTIFY = f"/sys/{PK}/{DN}/thing/bootstrap/notify"
SECOND = "iot-060a1234"


@contextmanager
def two_instances() -> Iterator[LocalPlatform]:
    with LocalPlatform(instances=[SECOND]) as running:
        running.registry.add_product(PK, PS)
        running.registry.add_device(PK, DN, DS)
        running.registry.add_device(PK, "another1", DS)
        yield running


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with two_instances() as running:
        yield running


def form(**changes: str | None) -> dict[str, str]:
    whole: Mapping[str, str | None] = {
        "productKey": PK,
        "deviceName": DN,
        "clientId": f"{PK}.{DN}",
        "resources": "mqtt",
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def ask(platform: LocalPlatform, **changes: str | None) -> Answer:
    return post(platform, form(**changes), "/auth/bootstrap")


def place(platform: LocalPlatform, device_name: str = DN) -> tuple[str, int]:
    """The host and port that bootstrap tells."""
    answer = ask(platform, deviceName=device_name, clientId=f"{PK}.{device_name}")
    mqtt = answer.json["data"]["resources"]["mqtt"]
    return mqtt["host"], int(mqtt["port"])


def connect(platform: LocalPlatform, instance: Instance, device_name: str = DN) -> int | None:
    """The CONNACK code of a device there."""
    with MqttClient(platform, port=instance.mqtt_tls_port) as client:
        return client.connect_device(PK, device_name, DS)


# The answer


def test_tells_host_and_port_as_text_in_compact_json(platform: LocalPlatform) -> None:
    answer = ask(platform)

    assert answer.status == 200
    assert answer.body.decode() == (
        '{"code":200,"data":{"resources":{"mqtt":{"host":"localhost","port":"'
        f'{platform.mqtt_tls_port}"}}}}}},"message":"success"}}'
    )
    (event,) = platform.record.events("bootstrap")
    assert (event.code, event.device_name) == (200, DN)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"productKey": None}, 460),
        ({"deviceName": None}, 460),
        ({"deviceName": "a|b"}, 460),
        ({"clientId": None}, 460),
        ({"resources": None}, 460),
        ({"resources": "coap"}, 460),
        ({"productKey": "a1Unknown00"}, 6250),
        ({"deviceName": "unknown1"}, 6100),
    ],
)
def test_refuses(platform: LocalPlatform, changes: dict[str, str | None], code: int) -> None:
    answer = ask(platform, **changes)

    assert (answer.status, answer.json["code"]) == (200, code)
    assert "data" not in answer.json


def test_refuses_a_device_that_was_deleted(platform: LocalPlatform) -> None:
    platform.delete(PK, DN)

    assert ask(platform).json["code"] == 6100


def test_refuses_what_is_no_form_and_no_post(platform: LocalPlatform) -> None:
    assert post(platform, "\xff", "/auth/bootstrap").json["code"] == 460
    assert post(platform, "", "/auth/bootstrap", "GET").status == 405


def test_answers_before_the_device_has_registered(platform: LocalPlatform) -> None:
    assert not platform.registry.device(PK, DN).registrations
    assert place(platform) == ("localhost", platform.mqtt_tls_port)


# Switches


def test_can_refuse(platform: LocalPlatform) -> None:
    platform.behaviour.bootstrap = "refuse"

    answer = ask(platform)
    assert (answer.json["code"], "data" in answer.json) == (500, False)


def test_can_be_silent(platform: LocalPlatform) -> None:
    platform.behaviour.bootstrap = "silence"
    with pytest.raises(TimeoutError):
        post(platform, form(), "/auth/bootstrap", timeout=0.5)


@pytest.mark.parametrize(
    ("wrong", "body"),
    [
        ("no host", '{"port":"'),
        ("no port", '{"host":"localhost"}'),
        ("port no number", '{"host":"localhost","port":"mqtt"}'),
        ("port out of range", '{"host":"localhost","port":"65536"}'),
        ("empty host", '{"host":"","port":"'),
        ("not JSON", None),
    ],
)
def test_can_answer_wrongly(platform: LocalPlatform, wrong: str, body: str | None) -> None:
    platform.behaviour.bootstrap = wrong  # type: ignore[assignment]
    text = ask(platform).body.decode()

    if body is None:
        with pytest.raises(json.JSONDecodeError):
            json.loads(text)
    else:
        assert f'"mqtt":{body}' in text


def test_can_name_a_host_that_serves_nobody(platform: LocalPlatform) -> None:
    platform.behaviour.bootstrap = "another host"

    host, port = place(platform)
    assert (host, port) == ("nowhere.invalid", platform.mqtt_tls_port)


def test_an_injected_answer_can_be_for_bootstrap_alone(platform: LocalPlatform) -> None:
    platform.faults.raw_http(
        b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n", path="/auth/bootstrap"
    )

    assert post(platform, "x").status == 200, "a registration goes on"
    assert ask(platform).status == 503
    assert ask(platform).status == 200


# Moves


def test_a_device_is_moved_and_bootstrap_tells(platform: LocalPlatform) -> None:
    second = platform.instances[SECOND]
    platform.move(PK, DN, SECOND)

    assert place(platform) == ("localhost", second.mqtt_tls_port)
    assert place(platform, "another1") == ("localhost", platform.mqtt_tls_port)
    assert second.mqtt_tls_port != platform.mqtt_tls_port


def test_a_moved_device_connects_there_and_nowhere_else(platform: LocalPlatform) -> None:
    first, second = platform.instances["default"], platform.instances[SECOND]
    assert (connect(platform, first), connect(platform, second)) == (0, 4)
    platform.move(PK, DN, SECOND)
    assert (connect(platform, first), connect(platform, second)) == (4, 0)
    platform.move(PK, DN, "default")
    assert (connect(platform, first), connect(platform, second)) == (0, 4)
    assert platform.registry.device(PK, DN).device_secret == DS


def test_registration_over_mqtt_keeps_to_the_instance_too(platform: LocalPlatform) -> None:
    platform.move(PK, DN, SECOND)
    with MqttClient(platform) as client:
        assert client.register(DN) == 4
    with MqttClient(platform, port=platform.instances[SECOND].mqtt_tls_port) as client:
        assert client.register(DN) == 0


def test_the_code_at_the_wrong_instance_is_a_switch(platform: LocalPlatform) -> None:
    platform.behaviour.wrong_instance_connack = 5

    assert connect(platform, platform.instances[SECOND]) == 5


def test_a_connected_device_is_told_when_it_is_moved(platform: LocalPlatform) -> None:
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS)
        assert platform.move(PK, DN, SECOND), "told"

        topic, payload = client.message()
        body = json.loads(payload)
        assert topic == NOTIFY
        assert body == {
            "id": body["id"],
            "version": "1.0",
            "params": {"cmd": 0},
            "method": "thing.bootstrap.notify",
        }
        client.publish(NOTIFY + "_reply", b'{"id":"1","code":200,"data":{}}')
        (event,) = platform.record.wait_for("publish")
        assert event.code == 200
        assert platform.online(PK, DN), "it leaves by itself"


def test_messages_reach_a_device_at_either_instance(platform: LocalPlatform) -> None:
    platform.move(PK, DN, SECOND)
    topic = f"/sys/{PK}/{DN}/thing/service/property/set"
    with MqttClient(platform, port=platform.instances[SECOND].mqtt_tls_port) as client:
        client.connect_device(PK, DN, DS)
        assert platform.publish(PK, DN, topic, b"{}")
        assert client.message() == (topic, b"{}")
        (event,) = platform.record.events("connect")
        assert event.details["instance"] == SECOND


def test_both_instances_serve_their_own_host_over_tls(platform: LocalPlatform) -> None:
    instance = platform.instances[SECOND]
    host = f"{SECOND}.mqtt.iothub.aliyuncs.com"
    platform.move(PK, DN, SECOND)
    with MqttClient(platform, host=host, port=instance.mqtt_tls_port) as client:
        assert client.connect_device(PK, DN, DS) == 0
    with pytest.raises(ssl.SSLCertVerificationError):
        MqttClient(platform, host="example.com", port=instance.mqtt_tls_port)


def test_a_device_can_be_told_to_ask_again_without_a_move(platform: LocalPlatform) -> None:
    assert not platform.notify_bootstrap(PK, DN), "offline"
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS)
        assert platform.notify_bootstrap(PK, DN, cmd=7)
        assert json.loads(client.message()[1])["params"] == {"cmd": 7}


def test_a_move_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with LocalPlatform(instances=[SECOND], database=path) as platform:
        platform.registry.add_product(PK, PS)
        platform.registry.add_device(PK, DN, DS)
        platform.move(PK, DN, SECOND)
    with LocalPlatform(instances=[SECOND], database=path) as platform:
        assert place(platform)[1] == platform.instances[SECOND].mqtt_tls_port
    with LocalPlatform(database=path) as platform:
        assert place(platform)[1] == platform.mqtt_tls_port, "an instance that is gone: default"


def test_a_device_deleted_and_added_again_is_back_at_the_default(platform: LocalPlatform) -> None:
    platform.move(PK, DN, SECOND)
    platform.delete(PK, DN)
    platform.registry.add_device(PK, DN, DS)

    assert connect(platform, platform.instances["default"]) == 0


def test_a_move_needs_an_instance_and_a_device(platform: LocalPlatform) -> None:
    with pytest.raises(ValueError, match=r"no instance 'moon'; expected default, iot-060a1234"):
        platform.move(PK, DN, "moon")
    with pytest.raises(KeyError, match="no device"):
        platform.move(PK, "unknown1", SECOND)


@pytest.mark.parametrize("name", ["default", "", "a b", "x" * 65, "a.b"])
def test_an_instance_needs_a_name_of_its_own(name: str) -> None:
    with pytest.raises(ValueError, match="instance"):
        LocalPlatform(instances=[name])


def test_an_instance_cannot_be_there_twice() -> None:
    with pytest.raises(ValueError, match="twice"):
        LocalPlatform(instances=[SECOND, SECOND]).start()


def test_commands_move_and_notify(platform: LocalPlatform) -> None:
    commands = Commands(platform)
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS)
        assert commands.run(f"move {PK}/{DN} {SECOND}") == (
            f"belongs to {SECOND} now; it was told to ask again"
        )
        assert commands.run(f"bootstrap {PK}/{DN}") == "sent"
        assert [client.message()[0] for _ in range(2)] == [NOTIFY] * 2
    platform.record.wait_for("disconnect")
    assert commands.run(f"move {PK}/{DN} default") == "belongs to default now; it is offline"
    assert commands.run(f"move {PK}/{DN} moon").startswith("no instance 'moon'")
