"""MQTT 3.1 and 3.1.1 packets, typed; encoding and decoding is amqtt's.

amqtt comes without type information, so it is imported here and nowhere else. A packet is read
whole before it is decoded: a length field cannot make the platform wait inside a packet's fields
or read past its end, and bad content leaves the stream usable.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass, field

from amqtt.adapters import BufferReader, StreamReaderAdapter  # type: ignore[import-untyped]
from amqtt.errors import (  # type: ignore[import-untyped]
    AMQTTError,
    CodecError,
    MQTTError,
    NoDataError,
)
from amqtt.mqtt import packet_class  # type: ignore[import-untyped]
from amqtt.mqtt.connack import ConnackPacket  # type: ignore[import-untyped]
from amqtt.mqtt.connect import ConnectPacket  # type: ignore[import-untyped]
from amqtt.mqtt.disconnect import DisconnectPacket  # type: ignore[import-untyped]
from amqtt.mqtt.packet import CONNECT, MQTTFixedHeader  # type: ignore[import-untyped]
from amqtt.mqtt.pingreq import PingReqPacket  # type: ignore[import-untyped]
from amqtt.mqtt.pingresp import PingRespPacket  # type: ignore[import-untyped]
from amqtt.mqtt.puback import PubackPacket  # type: ignore[import-untyped]
from amqtt.mqtt.publish import PublishPacket  # type: ignore[import-untyped]
from amqtt.mqtt.suback import SubackPacket  # type: ignore[import-untyped]
from amqtt.mqtt.subscribe import SubscribePacket  # type: ignore[import-untyped]
from amqtt.mqtt.unsuback import UnsubackPacket  # type: ignore[import-untyped]
from amqtt.mqtt.unsubscribe import UnsubscribePacket  # type: ignore[import-untyped]

from tools.iot_platform.rules.names import PAYLOAD_BYTES

_LONGEST = PAYLOAD_BYTES + 1024


class ProtocolError(Exception):
    """The peer sent something that is no MQTT packet a device may send."""


@dataclass(frozen=True)
class Connect:
    """CONNECT. keepalive: seconds; a will is accepted and ignored, as the platform has none."""

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
    """SUBSCRIBE: topic filters; the QoS asked for is ignored, as the platform does."""

    packet_id: int
    filters: tuple[str, ...]


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


async def read_packet(reader: asyncio.StreamReader, first: bool = False) -> Packet | None:
    """The next packet, or None at the end of the stream. Raises ProtocolError.

    first: it must be CONNECT; another is not waited for to its end.
    """
    try:
        header = await MQTTFixedHeader.from_stream(StreamReaderAdapter(reader))
        if header is None:
            return None
        if first and header.packet_type != CONNECT:
            raise ProtocolError(f"first packet is of type {header.packet_type}")
        if header.remaining_length > _LONGEST:
            raise ProtocolError(f"packet of {header.remaining_length} bytes")
        body = await reader.readexactly(header.remaining_length)
    except (asyncio.IncompleteReadError, NoDataError, OSError):
        return None
    except MQTTError as error:
        raise ProtocolError(str(error)) from None
    try:
        packet = await packet_class(header).from_stream(BufferReader(body), header)
    except (AMQTTError, MQTTError, CodecError, NoDataError, ValueError, struct.error) as error:
        raise ProtocolError(f"packet type {header.packet_type}: {error}") from None
    return _typed(packet)


def _typed(packet: object) -> Packet:
    if isinstance(packet, PublishPacket):
        if packet.qos > 1:
            raise ProtocolError(f"QoS {packet.qos}: the platform knows 0 and 1 only")
        return Publish(packet.topic_name, packet.data, packet.qos, packet.packet_id)
    if isinstance(packet, ConnectPacket):
        return Connect(
            packet.proto_name,
            packet.proto_level,
            packet.clean_session_flag,
            packet.keep_alive,
            "" if packet.client_id_is_random else packet.client_id,
            packet.username or "",
            packet.password or "",
        )
    if isinstance(packet, PubackPacket):
        return Puback(packet.packet_id)
    if isinstance(packet, SubscribePacket):
        filters = tuple(name for name, _ in packet.payload.topics)
        return Subscribe(packet.variable_header.packet_id, filters)
    if isinstance(packet, UnsubscribePacket):
        return Unsubscribe(packet.variable_header.packet_id, tuple(packet.payload.topics))
    if isinstance(packet, PingReqPacket):
        return Pingreq()
    if isinstance(packet, DisconnectPacket):
        return Disconnect()
    raise ProtocolError(f"{type(packet).__name__} from a device")


def connack(code: int, session_present: bool = False) -> bytes:
    """CONNACK with any code."""
    return bytes(ConnackPacket.build(int(session_present), code).to_bytes())


def publish(topic: str, payload: bytes, packet_id: int | None = None, dup: bool = False) -> bytes:
    """PUBLISH, of QoS 1 if it has a packet id."""
    qos = 0 if packet_id is None else 1
    return bytes(PublishPacket.build(topic, payload, packet_id, dup, qos, False).to_bytes())


def puback(packet_id: int) -> bytes:
    """PUBACK."""
    return bytes(PubackPacket.build(packet_id).to_bytes())


def suback(packet_id: int, codes: list[int]) -> bytes:
    """SUBACK; 0x80 is a refusal."""
    return bytes(SubackPacket.build(packet_id, codes).to_bytes())


def unsuback(packet_id: int) -> bytes:
    """UNSUBACK."""
    return bytes(UnsubackPacket.build(packet_id).to_bytes())


def pingresp() -> bytes:
    """PINGRESP."""
    return bytes(PingRespPacket.build().to_bytes())
