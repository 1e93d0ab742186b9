"""A device's MQTT session at the local platform: topics, subscriptions, QoS, keepalive, ends."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from platform_clients import PK, PS, MqttClient

from tools.iot_platform import Behaviour, LocalPlatform

DN, DS = "Example_dyn1", "KGQQFFlGinIipW9Xn7xQ5U6d6MokPZD4"
SYS = f"/sys/{PK}/{DN}"
POST = f"{SYS}/thing/event/property/post"
SET = f"{SYS}/thing/service/property/set"
GET = f"/{PK}/{DN}/user/get"
NO_SS = {"_ss": 0}


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with LocalPlatform() as running:
        running.registry.add_product(PK, PS)
        running.registry.add_device(PK, DN, DS)
        running.registry.add_device(PK, "another1", DS)
        yield running


@pytest.fixture
def device(platform: LocalPlatform) -> Iterator[MqttClient]:
    with MqttClient(platform) as client:
        assert client.connect_device(PK, DN, DS) == 0
        yield client


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


def test_a_second_connection_of_the_same_device_throws_out_the_first(
    platform: LocalPlatform, device: MqttClient
) -> None:
    with MqttClient(platform) as second:
        assert second.connect_device(PK, DN, DS, ident="another.client") == 0

        assert device.receive() is None
        assert platform.online(PK, DN)
        (event,) = platform.record.wait_for("disconnect")
        assert event.details["reason"] == "connected elsewhere"
        platform.publish(PK, DN, SET, b"{}")
        assert second.message() == (SET, b"{}")


def test_the_same_client_id_of_two_devices_is_no_conflict(
    platform: LocalPlatform, device: MqttClient
) -> None:
    with MqttClient(platform) as second:
        second.connect_device(PK, "another1", DS, ident=f"{PK}.{DN}")

        assert platform.online(PK, DN)
        assert device.request(POST, {})["code"] == 200


def test_closes_a_session_that_is_silent_for_one_and_a_half_keepalives() -> None:
    behaviour = Behaviour(keepalive_minimum=1)
    with LocalPlatform(behaviour=behaviour) as platform:
        platform.registry.add_product(PK, PS)
        platform.registry.add_device(PK, DN, DS)
        with MqttClient(platform) as client:
            client.connect_device(PK, DN, DS, keepalive=1)
            began = time.monotonic()
            time.sleep(0.8)
            client.send(12, 0, b"")
            assert client.receive() is not None
            assert client.receive() is None
            lasted = time.monotonic() - began

    assert lasted > 2.2
    assert [e.details["reason"] for e in platform.record.events("disconnect")] == ["keepalive"]


def test_a_long_keepalive_is_cut() -> None:
    behaviour = Behaviour(keepalive_minimum=1, keepalive_maximum=1, keepalive_factor=0.5)
    with LocalPlatform(behaviour=behaviour) as platform:
        platform.registry.add_product(PK, PS)
        platform.registry.add_device(PK, DN, DS)
        with MqttClient(platform) as client:
            assert client.connect_device(PK, DN, DS, keepalive=1000) == 0
            assert client.receive() is None


def test_notes_how_a_session_ended(platform: LocalPlatform) -> None:
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS)
        client.send(14, 0, b"")
        assert client.receive() is None
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS)
    events = platform.record.wait_for("disconnect", count=2)

    assert [e.details["reason"] for e in events] == ["disconnected", "connection lost"]
    assert not platform.online(PK, DN)


def test_a_second_connect_packet_ends_the_session(
    platform: LocalPlatform, device: MqttClient
) -> None:
    device.send(1, 0, b"\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x")

    assert device.receive() is None


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x00\x00", id="type 0"),
        pytest.param(b"\x20\x02\x00\x00", id="CONNACK"),
        pytest.param(b"\x30\xff\xff\xff\x7f", id="a message of 256 MB"),
        pytest.param(b"\x30\x02\x00\x09", id="a topic longer than its packet"),
        pytest.param(b"\x30\x04\x00\x02/#", id="a wildcard in a topic name"),
        pytest.param(b"\x82\x00", id="an empty SUBSCRIBE"),
    ],
)
def test_closes_on_a_broken_packet(
    platform: LocalPlatform, device: MqttClient, data: bytes
) -> None:
    device.send_raw(data)

    assert device.receive() is None
    assert platform.record.wait_for("disconnect")


def test_takes_a_payload_of_256_kb(platform: LocalPlatform, device: MqttClient) -> None:
    device.publish(f"/{PK}/{DN}/user/update", b"x" * 256 * 1024)

    (event,) = platform.record.wait_for("publish")
    assert event.details["size"] == 256 * 1024


def test_disconnect_closes_a_devices_connection(
    platform: LocalPlatform, device: MqttClient
) -> None:
    assert platform.disconnect(PK, DN)
    assert not platform.online(PK, DN)
    assert device.receive() is None
    assert not platform.disconnect(PK, DN)


def test_disabling_throws_a_device_out(platform: LocalPlatform, device: MqttClient) -> None:
    platform.disable(PK, DN)

    assert device.receive() is None


def test_sends_qos_1_and_takes_the_acknowledgement(
    platform: LocalPlatform, device: MqttClient
) -> None:
    platform.publish(PK, DN, SET, b"a", qos=1)

    packet = device.receive()
    assert packet is not None
    assert (packet.kind, packet.flags) == (3, 2)


def test_a_clean_session_starts_without_subscriptions(platform: LocalPlatform) -> None:
    for _ in range(2):
        with MqttClient(platform) as client:
            client.connect_device(PK, DN, DS, extra=NO_SS)
            assert not client.session_present
            assert not platform.publish(PK, DN, SET, b"{}")
            client.subscribe(SET)


def test_a_kept_session_gets_what_it_missed(platform: LocalPlatform) -> None:
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS, clean=False, extra=NO_SS)
        client.subscribe(SET)
    platform.record.wait_for("disconnect")

    assert platform.publish(PK, DN, SET, b"kept", qos=1)
    assert not platform.publish(PK, DN, SET, b"lost", qos=0)

    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS, clean=False, extra=NO_SS)
        assert client.session_present
        assert client.message() == (SET, b"kept")
        assert platform.publish(PK, DN, SET, b"new")


def test_publish_tells_that_a_device_is_offline(platform: LocalPlatform) -> None:
    assert not platform.publish(PK, DN, SET, b"{}")

    (event,) = platform.record.events("undelivered")
    assert event.details["reason"] == "offline"


@pytest.mark.parametrize("topic", ["", "/a/+", "#"])
def test_publish_refuses_a_topic_that_is_none(platform: LocalPlatform, topic: str) -> None:
    with pytest.raises(ValueError, match="topic"):
        platform.publish(PK, DN, topic, b"{}")


def test_a_device_that_reads_nothing_is_cut_off(
    platform: LocalPlatform, device: MqttClient
) -> None:
    for _ in range(80):
        platform.publish(PK, DN, SET, b"x" * 256_000)

    (event,) = platform.record.wait_for("disconnect")
    assert event.details["reason"] == "does not read"
