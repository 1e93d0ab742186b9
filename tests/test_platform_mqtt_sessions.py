"""A device's MQTT session at the local platform: takeovers, keepalive, what is kept, ends."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from mqtt_client import MqttClient
from platform_clients import PK, PS
from platform_devices import DN, DS, NO_SS, POST, SET, device_platform

from tools.iot_platform import Behaviour, LocalPlatform


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with device_platform() as running:
        yield running


def test_a_second_connection_of_the_same_device_throws_out_the_first(
    platform: LocalPlatform, device: MqttClient
) -> None:
    with MqttClient(platform) as second:
        assert second.connect_device(PK, DN, DS, ident="another.client") == 0

        assert device.message()[0] == "/ext/notify"
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
