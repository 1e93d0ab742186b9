"""Devices on slow links: who makes progress is not cut off, who makes none is."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from mqtt_client import MqttClient
from platform_clients import PK
from platform_devices import DN, DS, SET, device_platform

from tools.iot_platform import LocalPlatform

LARGEST = 262_144


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with device_platform() as running:
        running.behaviour.keepalive_minimum = running.behaviour.keepalive_maximum = 1
        running.behaviour.keepalive_factor = 0.5
        yield running


@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "TCP"])
def test_a_device_that_reads_slowly_is_not_silent(platform: LocalPlatform, tls: bool) -> None:
    """Its pings wait unread behind the messages that it has not taken yet."""
    with MqttClient(platform, tls=tls, receive_buffer=16_384) as client:
        client.connect_device(PK, DN, DS)
        for _ in range(24):
            assert platform.publish(PK, DN, SET, b"x" * LARGEST)
        for _ in range(24):  # longer than the 0.5 s of silence that are allowed
            time.sleep(0.05)
            client.send(12, 0, b"")
            assert len(client.message()[1]) == LARGEST


@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "TCP"])
def test_a_device_that_stops_reading_is_cut_off(platform: LocalPlatform, tls: bool) -> None:
    with MqttClient(platform, tls=tls, receive_buffer=16_384) as client:
        client.connect_device(PK, DN, DS)
        for _ in range(24):
            platform.publish(PK, DN, SET, b"x" * LARGEST)

        (event,) = platform.record.wait_for("disconnect")
        assert event.details["reason"] == "does not read"


def test_a_large_message_that_goes_on_coming_is_a_sign_of_life(platform: LocalPlatform) -> None:
    topic = f"/{PK}/{DN}/user/update".encode()
    body = len(topic).to_bytes(2, "big") + topic + b"x" * 40_000
    whole = (
        bytes([0x30, len(body) & 127 | 128, len(body) >> 7 & 127 | 128, len(body) >> 14]) + body
    )
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS)
        for at in range(0, len(whole), 4000):
            client.send_raw(whole[at : at + 4000])
            time.sleep(0.1)

        (event,) = platform.record.wait_for("publish")
        assert event.details["size"] == 40_000


def test_a_small_packet_byte_by_byte_is_none(platform: LocalPlatform) -> None:
    with MqttClient(platform, tls=False) as client:
        client.connect_device(PK, DN, DS)
        with pytest.raises(OSError):  # reset or broken, as it comes
            for byte in b"\x30\x50" + bytes(80):
                client.send_raw(bytes([byte]))
                time.sleep(0.1)
        (event,) = platform.record.wait_for("disconnect")
        assert event.details["reason"] == "keepalive"
