"""MQTT 3.1 and 3.1.1 packets: what a device may send, typed, and what the platform sends."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Connect:
    """CONNECT. keepalive: seconds; a will is accepted and ignored, as the platform has none.

    Of a protocol other than MQTT 3.1 and 3.1.1 only `protocol` and `level` are read.
    """

    protocol: str
    level: int
    clean_session: bool
    keepalive: int
    client_id: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Publish:
    """PUBLISH. packet_id: for QoS 1 only."""

    topic: str
    payload: bytes = field(repr=False)
    qos: int
    packet_id: int | None


@dataclass(frozen=True)
class Puback:
    """PUBACK."""

    packet_id: int


@dataclass(frozen=True)
class Subscribe:
    """SUBSCRIBE: topic filters, each with the QoS asked for."""

    packet_id: int
    filters: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Unsubscribe:
    """UNSUBSCRIBE."""

    packet_id: int
    filters: tuple[str, ...]


@dataclass(frozen=True)
class Pingreq:
    """PINGREQ."""


@dataclass(frozen=True)
class Disconnect:
    """DISCONNECT."""


Packet = Connect | Publish | Puback | Subscribe | Unsubscribe | Pingreq | Disconnect

PINGRESP = b"\xd0\x00"
UNSUPPORTED_IN_5 = b"\x20\x03\x00\x84\x00"
"""CONNACK in the words of MQTT 5: unsupported protocol version."""


def connack(code: int, session_present: bool = False) -> bytes:
    """CONNACK with any code."""
    return bytes((0x20, 2, session_present, code))


def publish(topic: str, payload: bytes, packet_id: int | None = None, dup: bool = False) -> bytes:
    """PUBLISH, of QoS 1 if it has a packet id."""
    name = topic.encode()
    head = struct.pack("!H", len(name)) + name
    if packet_id is None:
        return _packet(0x30, head + payload)
    return _packet(0x3A if dup else 0x32, head + struct.pack("!H", packet_id) + payload)


def puback(packet_id: int) -> bytes:
    """PUBACK."""
    return struct.pack("!BBH", 0x40, 2, packet_id)


def suback(packet_id: int, codes: list[int]) -> bytes:
    """SUBACK: for each filter the QoS granted, or 0x80 for a refusal."""
    return _packet(0x90, struct.pack("!H", packet_id) + bytes(codes))


def unsuback(packet_id: int) -> bytes:
    """UNSUBACK."""
    return struct.pack("!BBH", 0xB0, 2, packet_id)


def _packet(first: int, body: bytes) -> bytes:
    head = bytearray((first,))
    length = len(body)
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    head.append(length)
    return bytes(head) + body
