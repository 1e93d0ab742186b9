"""The local platform's reading of MQTT packets, and what it does when it fails itself."""

from __future__ import annotations

import logging
import random
import sqlite3
from pathlib import Path

import pytest
from mqtt_client import MqttClient
from platform_clients import PK, PS, post, registration_form

from tools.iot_platform import LocalPlatform
from tools.iot_platform.mqtt import packets
from tools.iot_platform.mqtt.decoder import Decoder, ProtocolError

DN, DS = "Example_dyn1", "KGQQFFlGinIipW9Xn7xQ5U6d6MokPZD4"


CONNECT = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x"


def read(data: bytes) -> packets.Packet | None:
    """The packet in these bytes, on a connection that is past its CONNECT."""
    decoder = Decoder()
    if data[0] >> 4 != 1:
        decoder.feed(CONNECT)
        assert isinstance(decoder.next(), packets.Connect)
    decoder.feed(data)
    return decoder.next()


def test_bytes_of_any_kind_are_a_packet_or_a_protocol_error() -> None:
    chance = random.Random(20240229)
    seen = set()
    for _ in range(20_000):
        body = chance.randbytes(chance.choice([0, 1, 2, 3, 20]))
        if chance.random() < 0.5:
            body = b"\x00" + body[1:]  # a short length, so that some are whole
        kind = chance.randrange(16)
        if kind == 1:
            body = b"\x00\x04MQTT\x04" + chance.choice([b"\x02", b"\xc2", body[:1]]) + b"\0<"
            body += b"\0\1x" * chance.randrange(5)
        elif chance.random() < 0.5:
            body = b"\x00\x02/a" + body  # a topic, or a packet id and part of one
        first = kind << 4 | chance.choice([0, 2, chance.randrange(16)])
        try:
            seen.add(type(read(bytes([first, len(body)]) + body)).__name__)
        except ProtocolError:
            seen.add("ProtocolError")

    assert {"ProtocolError", "Connect", "Publish", "Puback", "Pingreq"} <= seen


@pytest.mark.parametrize("data", [b"\x30", b"\x30\x05", b"\x30\x05\x00\x01a"])
def test_a_packet_that_is_cut_is_none_yet(data: bytes) -> None:
    assert read(data) is None


def test_a_failure_of_the_platform_itself_is_answered_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "registry.db"
    with LocalPlatform(database=path) as platform:
        platform.registry.add_product(PK, PS)
        platform.registry.add_device(PK, DN, DS)
        with MqttClient(platform) as device:
            device.connect_device(PK, DN, DS)
            connection = sqlite3.connect(path)
            connection.execute("DROP TABLE products")
            connection.commit()
            connection.close()

            answer = post(platform, registration_form())
            reply = device.request(f"/sys/{PK}/{DN}/thing/sub/register", [{}])
        with MqttClient(platform) as client:
            code = client.register(DN)

    assert answer.body == b'{"code":500,"message":"server error"}'
    assert (reply["code"], code) == (500, 3)
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 3
    assert PS not in caplog.text
