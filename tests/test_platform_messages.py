"""Messages at the local platform: requests and their answers, topics, subscriptions, QoS."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from platform_clients import PK, MqttClient
from platform_devices import DN, DS, GET, NO_SS, POST, SET, SYS, device_platform

from tools.iot_platform import LocalPlatform


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with device_platform() as running:
        yield running


def test_answers_a_property_post_as_documented(device: MqttClient) -> None:
    device.publish(POST, b'{"id":"7","version":"1.0","params":{"t":1}}')

    assert device.message() == (
        POST + "_reply",
        b'{"code":200,"data":{},"id":"7","message":"success",'
        b'"method":"thing.event.property.post","version":"1.0"}',
    )


def test_answers_an_event_post_and_repeats_its_method(device: MqttClient) -> None:
    reply = device.request(f"{SYS}/thing/event/alarm/post", {}, method="thing.event.alarm.post")

    assert (reply["code"], reply["method"]) == (200, "thing.event.alarm.post")


def test_is_silent_when_the_device_wants_no_reply(device: MqttClient) -> None:
    device.publish(POST, b'{"id":"1","params":{},"sys":{"ack":0}}')
    reply = device.request(POST, {}, "2", sys={"ack": 1})

    assert reply["id"] == "2", "the first reply to come is the second request's"


def test_can_answer_even_if_the_device_wants_no_reply(
    platform: LocalPlatform, device: MqttClient
) -> None:
    platform.behaviour.silent_on_ack_0 = False

    assert device.request(POST, {}, sys={"ack": 0})["code"] == 200


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="no JSON"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"\xff\xfe", id="no UTF-8"),
        pytest.param(b"[" * 50_000, id="deeply nested"),
        pytest.param(b'{"params":{}}', id="no id"),
        pytest.param(b'{"id":true,"params":{}}', id="an id that is no text"),
        pytest.param(b'{"id":"abc","params":{}}', id="an id that is no number"),
        pytest.param(b'{"id":"4294967296","params":{}}', id="an id past 32 bits"),
        pytest.param(b'{"id":"1","params":"{"}', id="params that are broken text"),
    ],
)
def test_refuses_a_payload_that_is_no_request(device: MqttClient, payload: bytes) -> None:
    device.publish(POST, payload)

    _, reply = device.message()
    assert json.loads(reply)["code"] == 460


@pytest.mark.parametrize("number", ["0", "4294967295"])
def test_ids_are_numbers_of_32_bits(device: MqttClient, number: str) -> None:
    assert device.request(POST, {}, number)["id"] == number


def test_acknowledges_qos_1(device: MqttClient) -> None:
    device.publish(f"/{PK}/{DN}/user/update", b"x", qos=1, packet_id=513)

    packet = device.receive()
    assert packet is not None
    assert (packet.kind, packet.body) == (4, b"\x02\x01")


def test_closes_on_qos_2(platform: LocalPlatform, device: MqttClient) -> None:
    device.send(3, 4, b"\x00\x02/a\x00\x01x")

    assert device.receive() is None
    (event,) = platform.record.wait_for("disconnect")
    assert "QoS 2" in event.details["reason"]


def test_answers_pings(device: MqttClient) -> None:
    device.send(12, 0, b"")

    packet = device.receive()
    assert packet is not None
    assert packet.kind == 13


def test_keeps_the_messages_of_devices(platform: LocalPlatform, device: MqttClient) -> None:
    device.publish(f"/{PK}/{DN}/user/update", b"\x00\x01 raw")
    platform.record.wait_for("publish")

    (message,) = platform.record.messages(f"/{PK}/{DN}/user/update")
    assert (message.device_name, message.payload) == (DN, b"\x00\x01 raw")


def test_ss_subscribes_system_topics_and_nothing_else(
    platform: LocalPlatform, device: MqttClient
) -> None:
    assert platform.publish(PK, DN, SET, b"{}")
    assert device.message() == (SET, b"{}")

    assert not platform.publish(PK, DN, GET, b"{}")
    (event,) = platform.record.events("undelivered")
    assert event.details["reason"] == "not subscribed"


def test_without_ss_only_what_was_subscribed_arrives(platform: LocalPlatform) -> None:
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS, extra=NO_SS)

        assert not platform.publish(PK, DN, SET, b"{}")
        assert client.subscribe(SET, GET) == [0, 0]
        assert platform.publish(PK, DN, SET, b"1")
        assert platform.publish(PK, DN, GET, b"2")
        assert [client.message(), client.message()] == [(SET, b"1"), (GET, b"2")]


@pytest.mark.parametrize("wanted", [f"{SYS}/thing/service/#", f"{SYS}/thing/+/property/set"])
def test_subscriptions_may_have_wildcards(platform: LocalPlatform, wanted: str) -> None:
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS, extra=NO_SS)
        client.subscribe(wanted)

        assert platform.publish(PK, DN, SET, b"{}")
        assert not platform.publish(PK, DN, f"{SYS}/thing/event/a/b", b"{}")


def test_unsubscribe_ends_delivery(platform: LocalPlatform) -> None:
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS, extra=NO_SS)
        client.subscribe(SET)
        client.send(10, 2, b"\x00\x02" + len(SET).to_bytes(2, "big") + SET.encode())
        packet = client.receive()

        assert packet is not None
        assert (packet.kind, packet.body) == (11, b"\x00\x02")
        assert not platform.publish(PK, DN, SET, b"{}")


@pytest.mark.parametrize(
    "wanted",
    [
        f"/sys/{PK}/another1/thing/service/property/set",
        f"/{PK}/another1/user/get",
        "#",
        f"/sys/{PK}/+/thing/service/property/set",
        "/" + "x" * 128,
        f"{SYS}/a/b/c/d/e",
    ],
)
def test_refuses_a_subscription_to_what_is_not_the_devices(
    device: MqttClient, wanted: str
) -> None:
    assert device.subscribe(wanted) == [0x80]


def test_refuses_more_than_eight_topics_in_one_subscribe(device: MqttClient) -> None:
    topics = [f"/{PK}/{DN}/user/{n}" for n in range(9)]

    assert device.subscribe(*topics[:8]) == [0] * 8
    assert device.subscribe(*topics) == [0x80] * 9


def test_refuses_the_101st_subscription(device: MqttClient) -> None:
    topics = [f"/{PK}/{DN}/user/{n}" for n in range(104)]
    codes = [code for n in range(0, 104, 8) for code in device.subscribe(*topics[n : n + 8])]

    assert codes == [0] * 100 + [0x80] * 4


@pytest.mark.parametrize(
    "topic",
    [
        f"/sys/{PK}/another1/thing/event/property/post",
        "/sys/a1Unknown00/x/thing/event/property/post",
        "anything",
        f"{SYS}/thing/event/property/post/{'x' * 100}",
        f"{SYS}/1/2/3/4/5",
    ],
)
def test_takes_no_message_on_a_topic_that_is_not_the_devices(
    platform: LocalPlatform, device: MqttClient, topic: str
) -> None:
    device.publish(topic, b'{"id":"1","params":{}}')

    (event,) = platform.record.wait_for("publish")
    assert (event.code, event.device_name) == (403, DN)
    assert platform.record.messages() == []
