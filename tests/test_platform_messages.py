"""Messages at the local platform: requests and their answers, topics, subscriptions, QoS."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from mqtt_client import MqttClient
from platform_clients import PK
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
        pytest.param(b'{"id":"' + b"1" * 5000 + b'","params":{}}', id="an id of 5,000 digits"),
        pytest.param(b'{"id":"","params":{}}', id="an empty id"),
        pytest.param(b'{"id":null,"params":{}}', id="an id that is null"),
        pytest.param(b'{"id":"1","params":"' + b"[" * 50_000 + b'"}', id="deeply nested params"),
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
        "/broadcast/a1Other0000",
        "/broadcast/a1Other0000/news",
        "/broadcast/+",
        "/broadcast/#",
        "/broadcast",
        "/ext/#",
        "/ext/+",
        "/ext/error/+/+",
        f"/ext/error/{PK}/another1",
        f"/ext/ntp/{PK}/another1/response",
        f"/shadow/get/{PK}/another1",
        "$SYS/#",
    ],
)
def test_refuses_a_subscription_to_what_is_not_the_devices(
    device: MqttClient, wanted: str
) -> None:
    assert device.subscribe(wanted) == [0x80]


@pytest.mark.parametrize(
    "wanted",
    [
        f"/broadcast/{PK}",
        f"/broadcast/{PK}/news",
        f"/broadcast/{PK}/#",
        "/ext/notify",
        "/ext/register",
        "/ext/regnwl",
        "/ext/rrpc/+/sys/thing",
        f"/ext/error/{PK}/{DN}",
        f"/ext/ntp/{PK}/{DN}/response",
        f"/shadow/get/{PK}/{DN}",
        f"/ota/device/upgrade/{PK}/{DN}",
        f"/{PK}/{DN}/user/#",
    ],
)
def test_grants_a_subscription_to_what_is_the_devices_or_its_products(
    device: MqttClient, wanted: str
) -> None:
    assert device.subscribe(wanted) == [0]


def test_a_broadcast_reaches_who_subscribed_to_it(
    platform: LocalPlatform, device: MqttClient
) -> None:
    topic = f"/broadcast/{PK}/news"
    assert not platform.publish(PK, DN, topic, b"x"), "_ss does not subscribe broadcasts"
    device.subscribe(topic)
    assert platform.publish(PK, DN, topic, b"x")
    assert device.message() == (topic, b"x")


def test_no_device_publishes_a_broadcast(platform: LocalPlatform, device: MqttClient) -> None:
    device.publish(f"/broadcast/{PK}", b"x")

    (event,) = platform.record.wait_for("publish")
    assert event.code == 403


NTP = f"/ext/ntp/{PK}/{DN}"


@pytest.mark.parametrize("sent", ["1571724098000", 1571724098000, "0"])
def test_tells_the_time_in_milliseconds_as_text(device: MqttClient, sent: str | int) -> None:
    began = int(time.time() * 1000)
    device.publish(f"{NTP}/request", json.dumps({"deviceSendTime": sent}).encode())
    topic, payload = device.message()
    answer = json.loads(payload)

    assert topic == f"{NTP}/response"
    assert list(answer) == ["deviceSendTime", "serverRecvTime", "serverSendTime"]
    assert answer["deviceSendTime"] == str(sent)
    received, left = answer["serverRecvTime"], answer["serverSendTime"]
    assert isinstance(received, str) and isinstance(left, str)
    assert began <= int(received) <= int(left) <= time.time() * 1000
    assert b" " not in payload


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b"{}",
        b'{"deviceSendTime":null}',
        b'{"deviceSendTime":true}',
        b'{"deviceSendTime":"now"}',
        b'{"deviceSendTime":"-1"}',
        b"\xff",
        b"[" * 50_000,
        b'{"deviceSendTime":"' + b"1" * 5000 + b'"}',
    ],
)
def test_a_question_for_the_time_that_is_none_gets_no_answer(
    platform: LocalPlatform, device: MqttClient, payload: bytes
) -> None:
    device.publish(f"{NTP}/request", payload)
    reply = device.request(POST, {}, "2")

    assert reply["id"] == "2", "the first answer to come is the post's"
    (event, _) = platform.record.events("request")
    assert event.code == 460


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
