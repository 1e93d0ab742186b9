"""Bytes from a device -> MQTT packets, as strictly as MQTT 3.1.1 says.

A packet is decoded when it is there whole, and refused as soon as what is there of it breaks a
rule: neither its length nor its fields can make the platform keep more than one largest packet.
Numbers such as 3.3.1 are sections of MQTT 3.1.1.
"""

from __future__ import annotations

from tools.iot_platform.mqtt.packets import (
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Puback,
    Publish,
    Subscribe,
    Unsubscribe,
)
from tools.iot_platform.rules.limits import PAYLOAD_BYTES

_CONNECT, _PUBLISH, _PUBACK, _SUBSCRIBE, _UNSUBSCRIBE, _PINGREQ, _DISCONNECT = (
    *(1, 3, 4, 8, 10),
    *(12, 14),
)
_FLAGS = {
    _CONNECT: ("CONNECT", 0),
    _PUBACK: ("PUBACK", 0),
    _SUBSCRIBE: ("SUBSCRIBE", 2),
    _UNSUBSCRIBE: ("UNSUBSCRIBE", 2),
    _PINGREQ: ("PINGREQ", 0),
    _DISCONNECT: ("DISCONNECT", 0),
}
"""What a device sends beside PUBLISH: name, and the flags of the first byte (2.2.2)."""
_LONGEST = 10 + 5 * (2 + 65_535)
"""The longest CONNECT; the longest PUBLISH, of a topic that is refused, is a little shorter."""


class ProtocolError(Exception):
    """The peer sent something that is no MQTT packet a device may send."""


class Decoder:
    """Takes bytes as they come and gives packets; the first has to be CONNECT."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._first = True
        self.missing = 0
        """Bytes still to come of a packet whose length is known."""

    def feed(self, data: bytes) -> None:
        """Takes what came."""
        self._buffer += data

    def next(self) -> Packet | None:
        """The next packet, or None while it is not there whole. Raises ProtocolError."""
        buffer = self._buffer
        self.missing = 0
        if not buffer:
            return None
        first = buffer[0]
        _check_first_byte(first, self._first)
        at, length = 1, 0
        while True:
            if at == len(buffer):
                return None
            byte = buffer[at]
            length |= (byte & 127) << 7 * (at - 1)
            at += 1
            if byte < 128:
                break
            if at == 5:
                raise ProtocolError("a length of more than four bytes")
        if length > _LONGEST:
            raise ProtocolError(f"a packet of {length} bytes")
        if first >> 4 == _PUBLISH and len(buffer) >= at + 2:
            payload = length - 2 - int.from_bytes(buffer[at : at + 2], "big") - (first & 6)
            if payload > PAYLOAD_BYTES:
                raise ProtocolError(f"PUBLISH: a payload of more than {PAYLOAD_BYTES} bytes")
        end = at + length
        if len(buffer) < end:
            self.missing = end - len(buffer)
            return None
        body = bytes(buffer[at:end])
        del buffer[:end]
        self._first = False
        return _packet(first, body)


def _check_first_byte(first: int, must_connect: bool) -> None:
    kind, flags = first >> 4, first & 15
    if must_connect and kind != _CONNECT:
        raise ProtocolError(f"the first packet is of type {kind}")
    if kind == _PUBLISH:
        qos = flags >> 1 & 3
        if qos > 1:
            raise ProtocolError(f"PUBLISH: QoS {qos}; the platform knows 0 and 1 only")
        if flags & 8 and not qos:
            raise ProtocolError("PUBLISH: DUP with QoS 0")  # 3.3.1.1
        return
    if kind not in _FLAGS:
        raise ProtocolError(f"a packet of type {kind} from a device")
    name, wanted = _FLAGS[kind]
    if flags != wanted:
        raise ProtocolError(f"{name}: flags {flags} in its first byte")


def _packet(first: int, body: bytes) -> Packet:
    kind = first >> 4
    if kind == _PUBLISH:
        return _publish(first >> 1 & 1, body)
    name, _ = _FLAGS[kind]
    fields = _Fields(name, body)
    if kind == _CONNECT:
        return _connect(fields)
    packet: Packet
    if kind == _PUBACK:
        packet = Puback(fields.packet_id())
    elif kind == _SUBSCRIBE:
        packet = _subscribe(fields)
    elif kind == _UNSUBSCRIBE:
        packet = _unsubscribe(fields)
    else:
        packet = Pingreq() if kind == _PINGREQ else Disconnect()
    fields.end()
    return packet


def _publish(qos: int, body: bytes) -> Publish:
    fields = _Fields("PUBLISH", body)
    topic = fields.topic()
    if "+" in topic or "#" in topic:
        raise ProtocolError("PUBLISH: a wildcard in the topic")  # 3.3.2.1
    packet_id = fields.packet_id() if qos else None
    return Publish(topic, body[fields.at :], qos, packet_id)


def _subscribe(fields: _Fields) -> Subscribe:
    packet_id = fields.packet_id()
    filters = []
    while fields.left():
        wanted, qos = fields.topic(), fields.byte()
        if qos > 2:
            raise ProtocolError(f"SUBSCRIBE: QoS byte {qos}")  # 3.8.3
        filters.append((wanted, qos))
    if not filters:
        raise ProtocolError("SUBSCRIBE: no topics")
    return Subscribe(packet_id, tuple(filters))


def _unsubscribe(fields: _Fields) -> Unsubscribe:
    packet_id = fields.packet_id()
    filters = []
    while fields.left():
        filters.append(fields.topic())
    if not filters:
        raise ProtocolError("UNSUBSCRIBE: no topics")
    return Unsubscribe(packet_id, tuple(filters))


def _connect(fields: _Fields) -> Connect:
    protocol, level = fields.text(), fields.byte()
    if (protocol, level) not in (("MQTT", 4), ("MQIsdp", 3)):
        return Connect(protocol, level, True, 0, "", "", "")
    flags, keepalive = fields.byte(), fields.number()
    has_user, has_password = flags & 0x80, flags & 0x40
    if flags & 1 and level == 4:  # MQTT 3.1 does not say what the bit has to be
        raise ProtocolError("CONNECT: the reserved flag is set")  # 3.1.2.3
    if has_password and not has_user:
        raise ProtocolError("CONNECT: a password without a user name")  # 3.1.2.9
    will_qos = flags >> 3 & 3
    if will_qos == 3:
        raise ProtocolError("CONNECT: a will of QoS 3")  # 3.1.2.6
    if not flags & 4 and flags & 0x38:
        raise ProtocolError("CONNECT: flags of a will without a will")  # 3.1.2.5
    client_id = fields.text()
    if flags & 4:
        topic = fields.topic()
        if "+" in topic or "#" in topic:
            raise ProtocolError("CONNECT: a wildcard in the will's topic")
        fields.data()
    username = fields.text() if has_user else ""
    # Any bytes (3.1.3.5); what is no UTF-8 cannot be a sign and is refused as a wrong one.
    password = fields.data().decode("utf-8", "replace") if has_password else ""
    fields.end()
    return Connect(protocol, level, bool(flags & 2), keepalive, client_id, username, password)


class _Fields:
    """The fields of one packet, read in their order. All raise ProtocolError."""

    def __init__(self, name: str, body: bytes) -> None:
        self._name = name
        self._body = body
        self.at = 0

    def byte(self) -> int:
        """One byte."""
        return self._take(1)[0]

    def number(self) -> int:
        """Two bytes."""
        return int.from_bytes(self._take(2), "big")

    def packet_id(self) -> int:
        """Two bytes that are not both 0 (2.3.1)."""
        number = self.number()
        if not number:
            raise ProtocolError(f"{self._name}: packet id 0")
        return number

    def data(self) -> bytes:
        """Bytes after their length."""
        return self._take(self.number())

    def text(self) -> str:
        """UTF-8 without NUL (1.5.3)."""
        try:
            text = self.data().decode()
        except UnicodeDecodeError:
            raise ProtocolError(f"{self._name}: text that is not UTF-8") from None
        if "\0" in text:
            raise ProtocolError(f"{self._name}: NUL in text")
        return text

    def topic(self) -> str:
        """A topic or topic filter: at least one character (4.7.3)."""
        topic = self.text()
        if not topic:
            raise ProtocolError(f"{self._name}: an empty topic")
        return topic

    def left(self) -> bool:
        """Whether anything is left."""
        return self.at < len(self._body)

    def end(self) -> None:
        """Nothing may be left."""
        if self.left():
            raise ProtocolError(f"{self._name}: longer than its fields")

    def _take(self, count: int) -> bytes:
        data = self._body[self.at : self.at + count]
        if len(data) < count:
            raise ProtocolError(f"{self._name}: shorter than its fields")
        self.at += count
        return data
