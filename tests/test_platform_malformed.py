"""Malformed MQTT is not let pass: the platform closes, as MQTT 3.1.1 says, or refuses a filter."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator

import pytest
from mqtt_client import MqttClient, client_id
from platform_clients import PK, hmac_hex
from platform_devices import DN, DS, POST, SYS, device_platform

from tools.iot_platform import LocalPlatform

UPDATE = f"/{PK}/{DN}/user/update"
LARGEST = 262_144


def text(value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("!H", len(data)) + data


TOPIC = text(UPDATE)

BROKEN: dict[str, tuple[int, int, bytes]] = {
    # PUBLISH: 3.3.1, 3.3.2, 1.5.3, 4.7.3
    "PUBLISH with an empty topic": (3, 0, text("") + b"x"),
    "PUBLISH with NUL in its topic": (3, 0, text(UPDATE + "\0") + b"x"),
    "PUBLISH with a topic that is no UTF-8": (3, 0, text(b"/\xff") + b"x"),
    "PUBLISH with a surrogate in its topic": (3, 0, text(b"/\xed\xa0\x80") + b"x"),
    "PUBLISH with an overlong form in its topic": (3, 0, text(b"/\xc0\xaf") + b"x"),
    "PUBLISH with + in its topic": (3, 0, text(f"/{PK}/+/user/update") + b"x"),
    "PUBLISH with # in its topic": (3, 0, text(f"/{PK}/{DN}/#") + b"x"),
    "PUBLISH with + inside a level": (3, 0, text(UPDATE + "+") + b"x"),
    "PUBLISH with DUP at QoS 0": (3, 8, TOPIC + b"x"),
    "PUBLISH with packet id 0": (3, 2, TOPIC + b"\0\0x"),
    "PUBLISH of QoS 1 without packet id": (3, 2, TOPIC),
    "PUBLISH of QoS 1 with half a packet id": (3, 2, TOPIC + b"\1"),
    "PUBLISH of QoS 2": (3, 4, TOPIC + b"\0\1x"),
    "PUBLISH of QoS 3": (3, 6, TOPIC + b"\0\1x"),
    "PUBLISH of QoS 3 with DUP": (3, 14, TOPIC + b"\0\1x"),
    "PUBLISH without a topic": (3, 0, b""),
    "PUBLISH with half a topic": (3, 0, b"\0\5abc"),
    "PUBLISH of a byte too many": (3, 0, TOPIC + b"x" * (LARGEST + 1)),
    "PUBLISH of QoS 1, of a byte too many": (3, 2, TOPIC + b"\0\1" + b"x" * (LARGEST + 1)),
    # PUBACK: 3.4, 2.3.1
    "PUBACK with flags": (4, 2, b"\0\1"),
    "PUBACK with packet id 0": (4, 0, b"\0\0"),
    "PUBACK of one byte": (4, 0, b"\1"),
    "PUBACK of three bytes": (4, 0, b"\0\1\0"),
    # SUBSCRIBE: 3.8
    "SUBSCRIBE with flags 0": (8, 0, b"\0\1" + TOPIC + b"\0"),
    "SUBSCRIBE with flags 3": (8, 3, b"\0\1" + TOPIC + b"\0"),
    "SUBSCRIBE without topics": (8, 2, b"\0\1"),
    "SUBSCRIBE without anything": (8, 2, b""),
    "SUBSCRIBE with packet id 0": (8, 2, b"\0\0" + TOPIC + b"\0"),
    "SUBSCRIBE for QoS 3": (8, 2, b"\0\1" + TOPIC + b"\3"),
    "SUBSCRIBE with reserved bits in the QoS": (8, 2, b"\0\1" + TOPIC + b"\x81"),
    "SUBSCRIBE with the second for QoS 3": (8, 2, b"\0\1" + (TOPIC + b"\1") + (TOPIC + b"\3")),
    "SUBSCRIBE without the QoS": (8, 2, b"\0\1" + TOPIC),
    "SUBSCRIBE with an empty filter": (8, 2, b"\0\1" + text("") + b"\0"),
    "SUBSCRIBE with NUL": (8, 2, b"\0\1" + text("/a\0b") + b"\0"),
    "SUBSCRIBE with no UTF-8": (8, 2, b"\0\1" + text(b"\xfe\xff") + b"\0"),
    "SUBSCRIBE with half a filter": (8, 2, b"\0\1\0\x09abc"),
    # UNSUBSCRIBE: 3.10
    "UNSUBSCRIBE with flags 0": (10, 0, b"\0\1" + TOPIC),
    "UNSUBSCRIBE without topics": (10, 2, b"\0\1"),
    "UNSUBSCRIBE with packet id 0": (10, 2, b"\0\0" + TOPIC),
    "UNSUBSCRIBE with an empty filter": (10, 2, b"\0\1" + text("")),
    "UNSUBSCRIBE with a byte too many": (10, 2, b"\0\1" + TOPIC + b"\0"),
    "UNSUBSCRIBE with no UTF-8": (10, 2, b"\0\1" + text(b"\xfe")),
    # PINGREQ, DISCONNECT: 3.12, 3.14
    "PINGREQ with flags": (12, 1, b""),
    "PINGREQ with a body": (12, 0, b"\0"),
    "DISCONNECT with flags": (14, 2, b""),
    "DISCONNECT with a body": (14, 0, b"\0"),
    # What no client sends: 2.2.1
    "type 0": (0, 0, b""),
    "type 15": (15, 0, b""),
    "CONNACK": (2, 0, b"\0\0"),
    "PUBREC": (5, 0, b"\0\1"),
    "PUBREL": (6, 2, b"\0\1"),
    "PUBCOMP": (7, 0, b"\0\1"),
    "SUBACK": (9, 0, b"\0\1\0"),
    "UNSUBACK": (11, 0, b"\0\1"),
    "PINGRESP": (13, 0, b""),
}


@pytest.fixture(scope="module")
def platform() -> Iterator[LocalPlatform]:
    with device_platform() as running:
        yield running


@pytest.mark.parametrize("what", BROKEN)
def test_closes_on(platform: LocalPlatform, what: str) -> None:
    before = len(platform.record.events("disconnect"))
    with MqttClient(platform) as client:
        assert client.connect_device(PK, DN, DS) == 0
        with contextlib.suppress(OSError):  # closed before all of it was sent
            client.send(*BROKEN[what])
        assert client.receive() is None, "closed, and nothing answered"
    event = platform.record.wait_for("disconnect", count=before + 1)[-1]
    assert event.details["reason"].startswith("protocol error: ")
    assert platform.record.events("publish", code=403) == [], "not taken for a foreign topic"


@pytest.mark.parametrize("length", [b"\xff\xff\xff\xff\x01", b"\x80\x80\x80\x80\x00"])
def test_closes_on_a_length_of_more_than_four_bytes(
    platform: LocalPlatform, length: bytes
) -> None:
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS)
        client.send_raw(b"\x30" + length)
        assert client.receive() is None


def test_closes_on_a_payload_too_large_before_it_has_come(platform: LocalPlatform) -> None:
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS)
        whole = len(TOPIC) + LARGEST + 1
        length = bytes([whole & 127 | 128, whole >> 7 & 127 | 128, whole >> 14])
        client.send_raw(b"\x30" + length + TOPIC)
        assert client.receive() is None


@pytest.mark.parametrize(
    "wanted",
    [
        f"{SYS}/thing/ser#",
        f"{SYS}/thing/#/set",
        f"{SYS}/thing/##",
        f"{SYS}/thing/ser+/set",
        f"{SYS}/thing/+ice/set",
        f"{SYS}/thing/++/set",
        f"{SYS}/thing/+#",
        f"/{PK}/{DN}/user/a#b",
    ],
)
def test_refuses_a_filter_with_a_wildcard_in_the_wrong_place(
    platform: LocalPlatform, wanted: str
) -> None:
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS)
        assert client.subscribe(wanted) == [0x80]
        assert client.subscribe(f"{SYS}/#", wanted, f"{SYS}/thing/+/set") == [0, 0x80, 0]


def test_takes_a_payload_of_262144_bytes_at_both_qos(platform: LocalPlatform) -> None:
    before = len(platform.record.events("publish"))
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS)
        client.publish(UPDATE, b"x" * LARGEST)
        client.publish(UPDATE, b"x" * LARGEST, qos=1)
        packet = client.receive()
        assert packet is not None and packet.kind == 4
    sizes = [e.details["size"] for e in platform.record.events("publish")[before:]]
    assert sizes == [LARGEST] * 2


def test_takes_dup_at_qos_1_retain_and_an_unknown_puback(platform: LocalPlatform) -> None:
    """The neighbours of what is malformed; the platform keeps no message for later subscribers."""
    with MqttClient(platform) as client:
        client.connect_device(PK, DN, DS)
        client.send(3, 2 | 8, TOPIC + b"\0\1x")
        packet = client.receive()
        assert packet is not None and packet.kind == 4
        client.send(3, 1, TOPIC + b"x")
        client.send(4, 0, b"\x12\x34")
        assert client.request(POST, {})["code"] == 200


@pytest.mark.parametrize("piece", [1, 2, 7])
def test_packets_may_come_in_pieces_of_any_size(platform: LocalPlatform, piece: int) -> None:
    with MqttClient(platform, tls=False) as client:
        client.connect_device(PK, DN, DS)
        whole = b"\xc0\x00" + b"\x30" + bytes([len(TOPIC) + 1]) + TOPIC + b"x" + b"\xc0\x00"
        for at in range(0, len(whole), piece):
            client.send_raw(whole[at : at + piece])
        for _ in range(2):
            packet = client.receive()
            assert packet is not None and packet.kind == 13


# CONNECT: 3.1.2, 3.1.3

IDENT = client_id("dev", securemode=2, signmethod="hmacsha256")
USER = f"{DN}&{PK}"
PASSWORD = hmac_hex("hmacsha256", DS, f"clientIddevdeviceName{DN}productKey{PK}")
NAMES = text(USER) + text(PASSWORD)


def connect_body(flags: int, *fields: bytes, name: str = "MQTT", level: int = 4) -> bytes:
    return text(name) + bytes([level, flags]) + b"\0\x3c" + b"".join(fields)


@pytest.mark.parametrize(
    ("first", "body"),
    [
        pytest.param(0, connect_body(0xC3, text(IDENT), NAMES), id="reserved flag"),
        pytest.param(1, connect_body(0xC2, text(IDENT), NAMES), id="flags in the first byte"),
        pytest.param(0, connect_body(0x42, text(IDENT), text("p")), id="password without user"),
        pytest.param(0, connect_body(0xCA, text(IDENT), NAMES), id="will QoS without will"),
        pytest.param(0, connect_body(0xE2, text(IDENT), NAMES), id="will retain without will"),
        pytest.param(
            0,
            connect_body(0xDE, text(IDENT), text("/a"), text("gone"), NAMES),
            id="will QoS 3",
        ),
        pytest.param(
            0,
            connect_body(0xC6, text(IDENT), text(""), text("gone"), NAMES),
            id="will without topic",
        ),
        pytest.param(
            0,
            connect_body(0xC6, text(IDENT), text("/a\0"), text("gone"), NAMES),
            id="will topic with NUL",
        ),
        pytest.param(0, connect_body(0xC2, text(IDENT), NAMES) + b"x", id="a byte too many"),
        pytest.param(0, connect_body(0xC2, text(IDENT), NAMES)[:-1], id="a byte too few"),
        pytest.param(0, connect_body(0xC2, text(IDENT)), id="no user, no password"),
        pytest.param(0, connect_body(0xC2, text(b"\xff"), NAMES), id="clientId no UTF-8"),
        pytest.param(0, connect_body(0xC2, text(IDENT + "\0"), NAMES), id="clientId with NUL"),
        pytest.param(
            0,
            connect_body(0xC2, text(IDENT), text(USER + "\0"), text(PASSWORD)),
            id="user name with NUL",
        ),
        pytest.param(0, b"", id="empty"),
        pytest.param(0, text("MQTT"), id="the protocol's name only"),
    ],
)
def test_closes_without_connack_on_a_malformed_connect(
    platform: LocalPlatform, first: int, body: bytes
) -> None:
    with MqttClient(platform) as client:
        client.send(1, first, body)
        assert client.receive() is None


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            connect_body(0xC6, text(IDENT), text("/a"), text("gone"), NAMES), id="a will"
        ),
        pytest.param(
            connect_body(0xEE, text(IDENT), text("/a"), text(b"\xff\0"), NAMES),
            id="a retained will of QoS 1",
        ),
        pytest.param(
            connect_body(0xC2, text(IDENT), NAMES, name="MQIsdp", level=3), id="MQTT 3.1"
        ),
    ],
)
def test_takes_a_connect_that_is_well_formed(platform: LocalPlatform, body: bytes) -> None:
    with MqttClient(platform) as client:
        client.send(1, 0, body)
        packet = client.receive()
    assert packet is not None
    assert (packet.kind, packet.body) == (2, b"\0\0")


def test_a_password_of_any_bytes_is_only_a_wrong_one(platform: LocalPlatform) -> None:
    with MqttClient(platform) as client:
        client.send(1, 0, connect_body(0xC2, text(IDENT), text(USER), text(b"\xff\0\x80")))
        packet = client.receive()
    assert packet is not None
    assert packet.body == b"\0\4"
