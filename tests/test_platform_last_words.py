"""What a client sent before its connection ended counts, however it ended."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from mqtt_client import MqttClient, connect_packet
from platform_clients import PK
from platform_devices import DN, DS, POST, device_platform

from tools.iot_platform import LocalPlatform

UPDATE = f"/{PK}/{DN}/user/update"


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with device_platform() as running:
        yield running


def publish_packet(topic: str, payload: bytes, packet_id: int | None = None) -> bytes:
    """A PUBLISH of less than 16 kB, of QoS 1 if it has a packet id."""
    name = topic.encode()
    body = struct.pack("!H", len(name)) + name
    body += b"" if packet_id is None else struct.pack("!H", packet_id)
    body += payload
    first = 0x30 if packet_id is None else 0x32
    return bytes([first, len(body) & 127 | 128, len(body) >> 7]) + body


def answered(number: int) -> bytes:
    """A property post, which the platform answers: a broken connection meets those writes."""
    payload = f'{{"id":"{number}","params":{{}},"pad":"{"x" * 200}"}}'
    return publish_packet(POST, payload.encode(), number)


def reason(platform: LocalPlatform) -> str:
    (event,) = platform.record.wait_for("disconnect", 20.0)
    return str(event.details["reason"])


@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "TCP"])
def test_messages_before_a_disconnect_arrive_and_so_does_the_disconnect(
    platform: LocalPlatform, tls: bool
) -> None:
    client = MqttClient(platform, tls=tls)
    client.connect_device(PK, DN, DS)
    for number in range(50):
        client.publish(UPDATE, b"%d" % number)
    client.send(14, 0, b"")
    client.close()

    assert reason(platform) == "disconnected"
    payloads = [message.payload for message in platform.record.messages(UPDATE)]
    assert payloads == [b"%d" % number for number in range(50)]


@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "TCP"])
def test_answered_messages_before_a_disconnect_arrive(platform: LocalPlatform, tls: bool) -> None:
    client = MqttClient(platform, tls=tls)
    client.connect_device(PK, DN, DS)
    client.send_raw(b"".join(answered(number) for number in range(1, 51)) + b"\xe0\x00")
    client.close()

    assert reason(platform) == "disconnected"
    assert len(platform.record.messages(POST)) == 50


@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "TCP"])
@pytest.mark.parametrize("count", [50, 1500])
def test_what_came_before_a_reset_is_processed(
    platform: LocalPlatform, tls: bool, count: int
) -> None:
    client = MqttClient(platform, tls=tls)
    client.connect_device(PK, DN, DS)
    for number in range(1, count + 1):
        client.send_raw(answered(number))
    client.wait_until_sent()
    client.reset()

    assert reason(platform) == "connection lost"
    assert len(platform.record.messages(POST)) == count


def test_a_message_cut_by_the_end_is_not_processed(platform: LocalPlatform) -> None:
    client = MqttClient(platform)
    client.connect_device(PK, DN, DS)
    client.send_raw(answered(1) + answered(2)[:-1])
    client.close()

    assert reason(platform) == "connection lost"
    assert len(platform.record.messages(POST)) == 1


def test_a_connect_and_messages_in_one_segment_arrive(platform: LocalPlatform) -> None:
    """A client need not wait for CONNACK (MQTT 3.1.1, 3.1.4)."""
    client = MqttClient(platform, tls=False)
    whole = connect_packet(DN, DS, tls=False) + publish_packet(UPDATE, b"first") + b"\xe0\x00"
    client.send_raw(whole)
    client.close()

    assert reason(platform) == "disconnected"
    assert [m.payload for m in platform.record.messages(UPDATE)] == [b"first"]
