"""Sub-devices online at the local platform: messages, forced offline."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from mqtt_client import MqttClient
from platform_clients import GATEWAY, SUB
from platform_gateways import DS, GW, LOGIN, OTHER, bound_platform, entry, login, named, online

from tools.iot_platform import Identity, LocalPlatform

ERROR = f"/ext/error/{GATEWAY}/{GW}"


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with bound_platform() as running:
        yield running


def notice(client: MqttClient) -> tuple[int, str]:
    topic, payload = client.message()
    assert topic == ERROR
    body = json.loads(payload)
    assert str(body["id"]).isdecimal()
    return body["code"], body["message"]


def test_a_sub_device_posts_through_the_gateway(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    login(platform, gateway)
    reply = gateway.request(f"/sys/{SUB}/sub001/thing/event/property/post", {"t": 1})

    assert reply["code"] == 200
    (event,) = platform.record.events("publish", product_key=SUB)
    assert event.device_name == "sub001"


def test_a_sub_device_is_reached_through_the_gateway(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    topic = f"/sys/{SUB}/sub001/thing/service/property/set"
    assert not platform.publish(SUB, "sub001", topic, b"{}")
    login(platform, gateway)

    assert platform.publish(SUB, "sub001", topic, b"{}")
    assert gateway.message() == (topic, b"{}")


@pytest.mark.parametrize(
    ("gateway_ss", "tail", "arrives"), [(0, "", False), (0, "|_ss=1|", True), (1, "", True)]
)
def test_ss_of_the_gateway_or_of_the_login_subscribes(
    platform: LocalPlatform, gateway_ss: int, tail: str, arrives: bool
) -> None:
    with MqttClient(platform) as client:
        client.connect_device(GATEWAY, GW, DS, extra={"_ss": gateway_ss})
        client.subscribe(LOGIN + "_reply")
        assert client.request(LOGIN, entry(platform, "sub001", tail=tail))["code"] == 200

        topic = f"/sys/{SUB}/sub001/thing/service/property/set"
        assert platform.publish(SUB, "sub001", topic, b"{}") == arrives


def test_a_gateway_subscribes_for_a_sub_device_that_is_online(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    topic = f"/{SUB}/sub001/user/get"
    assert gateway.subscribe(topic) == [0x80]
    login(platform, gateway)

    assert gateway.subscribe(topic) == [0]
    assert platform.publish(SUB, "sub001", topic, b"x")
    assert gateway.message() == (topic, b"x")


def test_publishing_for_an_offline_sub_device_is_told_on_ext_error(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    gateway.publish(f"/sys/{SUB}/sub001/thing/event/property/post", b'{"id":"77","params":{}}')

    topic, payload = gateway.message()
    assert topic == ERROR
    assert payload == b'{"id":"77","code":520,"message":"device session error"}'


def test_publishing_for_a_stranger_is_not_answered(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    gateway.publish(f"/sys/{SUB}/stranger1/thing/event/property/post", b'{"id":"1"}')
    reply = gateway.request(f"/sys/{GATEWAY}/{GW}/thing/topo/get", {}, "2")

    assert reply["id"] == "2", "the first message to come is the second request's"
    assert [event.code for event in platform.record.events("publish")] == [403, 200]


def test_a_gateway_service_is_not_the_sub_devices(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    login(platform, gateway)
    gateway.publish(f"/sys/{SUB}/sub001/thing/topo/get", b'{"id":"1","params":{}}')
    reply = gateway.request(f"/sys/{GATEWAY}/{GW}/thing/topo/get", {}, "2")

    assert reply["id"] == "2", "the first reply to come is the second request's"
    assert platform.record.events("request", product_key=SUB) == []


def test_a_sub_device_online_elsewhere_is_thrown_out_with_427(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    login(platform, gateway)
    with MqttClient(platform) as other:
        other.connect_device(*OTHER, DS)
        platform.topology.bind(OTHER, [Identity(SUB, "sub001")])
        topic = f"/ext/session/{OTHER}/combine/login"
        assert other.request(topic, entry(platform, "sub001"))["code"] == 200

        assert notice(gateway) == (427, "device connect in elsewhere")
        assert online(platform) == []
        assert platform.online(SUB, "sub001")


@pytest.mark.parametrize(
    ("what", "code", "message"),
    [
        ("disable", 522, "device forbidden"),
        ("delete", 521, "device deleted"),
        ("unbind", 6401, "topo relation not exist"),
        ("disconnect", 427, "device connect in elsewhere"),
    ],
)
def test_forced_offline_is_told_on_ext_error(
    platform: LocalPlatform, gateway: MqttClient, what: str, code: int, message: str
) -> None:
    login(platform, gateway)
    getattr(platform, what)(SUB, "sub001")

    assert notice(gateway) == (code, message)
    assert not platform.online(SUB, "sub001")


def test_topology_delete_logs_out(platform: LocalPlatform, gateway: MqttClient) -> None:
    login(platform, gateway)
    topic = f"/sys/{GATEWAY}/{GW}/thing/topo/delete"

    assert gateway.request(topic, [named("sub001")])["code"] == 200
    assert not platform.online(SUB, "sub001")


def test_logins_leave_no_secret_in_the_record(
    platform: LocalPlatform, gateway: MqttClient
) -> None:
    login(platform, gateway)
    secret = platform.registry.device(SUB, "sub001").device_secret

    assert secret not in repr(platform.record.events())
    assert entry(platform, "sub001")["sign"] not in repr(platform.record.events())
    assert entry(platform, "sub001")["sign"] not in repr(platform.record.messages())
