"""QoS at the local platform: what is granted, how messages are delivered, kept and bounded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from mqtt_client import MqttClient, Packet
from platform_clients import PK
from platform_devices import DN, DS, GET, NO_SS, SET, device_platform

from tools.iot_platform import LocalPlatform

QOS_1, DUP = 2, 8


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with device_platform() as running:
        yield running


def packet_of(client: MqttClient) -> Packet:
    packet = client.receive()
    assert packet is not None and packet.kind == 3, packet
    return packet


def packet_id(packet: Packet) -> bytes:
    at = 2 + int.from_bytes(packet.body[:2], "big")
    return packet.body[at : at + 2]


def offline_device(platform: LocalPlatform) -> None:
    """The device subscribes in a session that is kept, and goes."""
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS, clean=False, extra=NO_SS)
        client.subscribe(SET, qos=1)
        client.send(14, 0, b"")
        assert client.receive() is None


@pytest.mark.parametrize(("asked", "granted"), [(0, 0), (1, 1), (2, 1)])
def test_grants_what_was_asked_up_to_1(device: MqttClient, asked: int, granted: int) -> None:
    assert device.subscribe(SET, GET, qos=asked) == [granted, granted]


@pytest.mark.parametrize("subscribed", [0, 1])
@pytest.mark.parametrize("published", [0, 1])
def test_delivers_at_the_publishers_qos(
    platform: LocalPlatform, subscribed: int, published: int
) -> None:
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS, extra=NO_SS)
        client.subscribe(SET, qos=subscribed)
        platform.publish(PK, DN, SET, b"x", qos=published)

        assert packet_of(client).flags == published << 1


@pytest.mark.parametrize("subscribed", [0, 1])
@pytest.mark.parametrize("published", [0, 1])
def test_can_deliver_at_the_lower_of_both_as_mqtt_says(
    platform: LocalPlatform, subscribed: int, published: int
) -> None:
    platform.behaviour.delivery_qos = "lower"
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS, extra=NO_SS)
        client.subscribe(SET, qos=subscribed)
        platform.publish(PK, DN, SET, b"x", qos=published)

        assert packet_of(client).flags == min(subscribed, published) << 1


def test_overlapping_subscriptions_give_the_highest_of_their_qos(platform: LocalPlatform) -> None:
    platform.behaviour.delivery_qos = "lower"
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS, extra=NO_SS)
        client.subscribe(SET, qos=1)
        client.subscribe(f"/sys/{PK}/{DN}/#", qos=0)
        platform.publish(PK, DN, SET, b"x", qos=1)

        assert packet_of(client).flags == QOS_1


def test_a_later_subscription_to_the_same_filter_replaces_the_first(
    platform: LocalPlatform,
) -> None:
    platform.behaviour.delivery_qos = "lower"
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS, extra=NO_SS)
        client.subscribe(SET, qos=1)
        client.subscribe(SET, qos=0)
        platform.publish(PK, DN, SET, b"x", qos=1)

        assert packet_of(client).flags == 0


# Kept


def test_an_offline_message_comes_without_dup_at_first_and_with_it_again(
    platform: LocalPlatform,
) -> None:
    offline_device(platform)
    platform.publish(PK, DN, SET, b"x", qos=1)

    for flags in (QOS_1, QOS_1 | DUP, QOS_1 | DUP):
        with MqttClient(platform) as client:
            client.connect_device(PK, DN, DS, clean=False, extra=NO_SS)
            assert packet_of(client).flags == flags


def test_what_was_sent_and_what_waits_come_in_their_order(platform: LocalPlatform) -> None:
    offline_device(platform)
    platform.publish(PK, DN, SET, b"first", qos=1)
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS, clean=False, extra=NO_SS)
        packet_of(client)
        client.send(14, 0, b"")
        assert client.receive() is None
    platform.publish(PK, DN, SET, b"second", qos=1)

    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS, clean=False, extra=NO_SS)
        packets = [packet_of(client), packet_of(client)]
    assert [packet.flags for packet in packets] == [QOS_1 | DUP, QOS_1]
    assert [packet.body[-6:] for packet in packets] == [packets[0].body[-6:], b"second"]


def test_an_acknowledged_message_does_not_come_again(platform: LocalPlatform) -> None:
    offline_device(platform)
    platform.publish(PK, DN, SET, b"first", qos=1)
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS, clean=False, extra=NO_SS)
        assert client.message() == (SET, b"first")
        client.send(14, 0, b"")
        assert client.receive() is None
    platform.publish(PK, DN, SET, b"second", qos=1)

    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS, clean=False, extra=NO_SS)
        assert client.message() == (SET, b"second")


# Bounds


def test_messages_for_an_offline_device_are_bounded(platform: LocalPlatform) -> None:
    offline_device(platform)
    taken = [platform.publish(PK, DN, SET, b"x", qos=1) for _ in range(1010)]

    assert taken == [True] * 1000 + [False] * 10
    events = platform.record.events("undelivered")
    assert [e.details["reason"] for e in events] == ["too many messages wait already"] * 10


def test_70000_messages_for_an_offline_device_come_to_an_end(platform: LocalPlatform) -> None:
    """Past 65,535 there is no packet id left: it must not be looked for without end."""
    offline_device(platform)
    broker = platform._platform.broker
    device = platform.registry.device(PK, DN).identity

    taken = platform._call(
        lambda: sum(broker.publish(device, SET, b"x", 1) for _ in range(70_000))
    )
    assert taken == 1000


def test_the_bytes_kept_for_an_offline_device_are_bounded(platform: LocalPlatform) -> None:
    offline_device(platform)
    payload = b"x" * 256 * 1024
    taken = [platform.publish(PK, DN, SET, payload, qos=1) for _ in range(40)]

    assert sum(taken) == 32, "8 MB"


def test_at_most_100_messages_are_unacknowledged_the_others_wait(platform: LocalPlatform) -> None:
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS)
        for _ in range(110):
            assert platform.publish(PK, DN, SET, b"x", qos=1)
        sent = [packet_of(client) for _ in range(100)]
        client.send(12, 0, b"")
        packet = client.receive()
        assert packet is not None and packet.kind == 13, "no 101st came before the ping's answer"

        client.send(4, 0, packet_id(sent[0]))
        assert packet_of(client).flags == QOS_1


def test_packet_ids_wrap_and_never_are_0(platform: LocalPlatform) -> None:
    offline_device(platform)
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS, clean=False, extra=NO_SS)
        broker = platform._platform.broker
        session = broker.sessions(platform.registry.device(PK, DN).identity)[0]
        session.kept.next_id = 65_534
        ids = []
        for _ in range(4):
            platform.publish(PK, DN, SET, b"x", qos=1)
            packet = packet_of(client)
            client.send(4, 0, packet_id(packet))
            ids.append(int.from_bytes(packet_id(packet), "big"))
    assert ids == [65_534, 65_535, 1, 2]


def test_a_deleted_device_leaves_nothing_to_its_successor(platform: LocalPlatform) -> None:
    offline_device(platform)
    platform.publish(PK, DN, SET, b"for the old one", qos=1)
    platform.delete(PK, DN)
    platform.registry.add_device(PK, DN, DS)

    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS, clean=False, extra=NO_SS)
        assert not client.session_present


@pytest.mark.parametrize(
    ("topic", "payload", "qos"),
    [
        pytest.param("/x" * 65, b"", 0, id="a topic of 130 bytes"),
        pytest.param("/a/b/c/d/e/f/g/h", b"", 0, id="8 slashes"),
        pytest.param("/a\0", b"", 0, id="NUL"),
        pytest.param("/\ud800", b"", 0, id="a surrogate"),
        pytest.param(SET, b"x" * (256 * 1024 + 1), 0, id="a payload past 256 kB"),
        pytest.param(SET, b"", 2, id="QoS 2"),
    ],
)
def test_publish_refuses_what_the_platform_cannot_send(
    platform: LocalPlatform, topic: str, payload: bytes, qos: int
) -> None:
    with pytest.raises(ValueError, match=r"expected|longer|slashes"):
        platform.publish(PK, DN, topic, payload, qos)
