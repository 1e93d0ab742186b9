"""An independent MQTT client on plain sockets, for tests of the local platform.

It has a codec of its own, so that a fault in the platform's is not mirrored here.
"""

from __future__ import annotations

import fcntl
import json
import socket
import ssl
import struct
import termios
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from platform_clients import DEADLINE, PK, PS, hmac_hex, tls_context

from tools.iot_platform import LocalPlatform


def client_id(name: str, **params: str | int) -> str:
    """`name|k=v,..|`."""
    return f"{name}|{','.join(f'{key}={value}' for key, value in params.items())}|"


def connect_packet(device_name: str, secret: str, *, tls: bool = True) -> bytes:
    """CONNECT of a device of the product `PK`, as bytes."""
    ident = client_id(device_name, securemode=2 if tls else 3, signmethod="hmacsha256", _ss=1)
    content = f"clientId{device_name}deviceName{device_name}productKey{PK}"
    fields = (ident, f"{device_name}&{PK}", hmac_hex("hmacsha256", secret, content))
    body = b"\0\4MQTT\4\xc2\0\x3c" + b"".join(map(_text, fields))
    return bytes([0x10, len(body) & 127 | 128, len(body) >> 7]) + body


@dataclass
class Packet:
    """A packet as it came: type (1 to 15), flags, body."""

    kind: int
    flags: int
    body: bytes


@dataclass
class MqttClient:
    """A minimal MQTT 3.1.1 client. Every wait has a deadline."""

    platform: LocalPlatform
    tls: bool = True
    host: str = "localhost"
    port: int | None = None
    receive_buffer: int | None = None
    _socket: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        port = self.platform.mqtt_tls_port if self.tls else self.platform.mqtt_tcp_port
        port = self.port or port
        self._socket = socket.socket()
        if self.receive_buffer is not None:  # before connecting, as the window is agreed there
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        self._socket.settimeout(DEADLINE)
        try:
            self._socket.connect(("127.0.0.1", port))
        except OSError:
            self._socket.close()
            raise
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls:
            context = tls_context(self.platform)
            self._socket = context.wrap_socket(self._socket, server_hostname=self.host)

    def __enter__(self) -> MqttClient:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def wait_until_sent(self) -> None:
        """Returns when the other side's kernel has everything; raises TimeoutError."""
        until = time.monotonic() + DEADLINE
        while fcntl.ioctl(self._socket, termios.TIOCOUTQ, b"\0" * 4) != b"\0" * 4:
            if time.monotonic() > until:
                raise TimeoutError("the other side takes no more")
            time.sleep(0.01)

    def reset(self) -> None:
        """Ends the TCP connection by RST; what came and was not read is lost."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def send(self, kind: int, flags: int, body: bytes) -> None:
        length, rest = b"", len(body)
        while True:
            rest, byte = rest // 128, rest % 128
            length += bytes([byte | (128 if rest else 0)])
            if not rest:
                break
        self._socket.sendall(bytes([kind << 4 | flags]) + length + body)

    def send_raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self, timeout: float = DEADLINE) -> Packet | None:
        """The next packet, None at the end of the stream; raises TimeoutError."""
        self._socket.settimeout(timeout)
        try:
            first = self._socket.recv(1)
            if not first:
                return None
            length = shift = 0
            while True:
                byte = self._exactly(1)[0]
                length |= (byte & 127) << shift
                shift += 7
                if not byte & 128:
                    break
            return Packet(first[0] >> 4, first[0] & 15, self._exactly(length))
        except (ConnectionError, ssl.SSLEOFError):
            return None

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self._socket.recv(count - len(data))
            if not piece:
                raise ConnectionError("the stream ended inside a packet")
            data += piece
        return data

    # Connecting

    def connect(
        self,
        ident: str,
        username: str,
        password: str,
        *,
        keepalive: int = 60,
        clean: bool = True,
        protocol: str = "MQTT",
        level: int = 4,
    ) -> int | None:
        """CONNECT; the CONNACK code, or None if the connection was closed instead."""
        body = _text(protocol) + bytes([level, 0xC0 | (2 if clean else 0)])
        body += struct.pack("!H", keepalive) + _text(ident) + _text(username) + _text(password)
        self.send(1, 0, body)
        packet = self.receive()
        if packet is None:
            return None
        assert packet.kind == 2, packet
        self.session_present = bool(packet.body[0])
        return packet.body[1]

    def connect_device(
        self,
        product_key: str,
        device_name: str,
        secret: str,
        *,
        method: str = "hmacsha256",
        upper: bool = False,
        ident: str | None = None,
        extra: Mapping[str, str | int] | None = None,
        keepalive: int = 60,
        clean: bool = True,
    ) -> int | None:
        """CONNECT with a DeviceSecret; extra: parameters of the clientId to add or replace."""
        ident = f"{product_key}.{device_name}" if ident is None else ident
        params = {
            "securemode": 2 if self.tls else 3,
            "signmethod": method,
            "timestamp": "2524608000000",
            "_ss": 1,
            **(extra or {}),
        }
        content = f"clientId{ident}deviceName{device_name}productKey{product_key}"
        content += f"timestamp{params['timestamp']}"
        password = hmac_hex(method, secret, content)
        return self.connect(
            client_id(ident, **params),
            f"{device_name}&{product_key}",
            password.upper() if upper else password,
            keepalive=keepalive,
            clean=clean,
        )

    def register(
        self,
        device_name: str,
        *,
        auth: str = "register",
        secret: str = PS,
        product_key: str = PK,
        method: str = "hmacsha256",
        random: str = "567345",
        keepalive: int = 60,
        **changes: str | int,
    ) -> int | None:
        """CONNECT for a dynamic registration; changes: parameters of the clientId."""
        params = {
            "securemode": 2,
            "authType": auth,
            "random": random,
            "signmethod": method,
            **changes,
        }
        content = f"deviceName{device_name}productKey{product_key}random{random}"
        return self.connect(
            client_id(f"{device_name}.{product_key}", **params),
            f"{device_name}&{product_key}",
            hmac_hex(method, secret, content),
            keepalive=keepalive,
        )

    # Messages

    def publish(self, topic: str, payload: bytes, qos: int = 0, packet_id: int = 1) -> None:
        head = _text(topic) + (struct.pack("!H", packet_id) if qos else b"")
        self.send(3, qos << 1, head + payload)

    def subscribe(self, *filters: str, qos: int = 0, packet_id: int = 1) -> list[int]:
        """SUBSCRIBE; the codes of the SUBACK."""
        asked = bytes([qos])
        body = struct.pack("!H", packet_id) + b"".join(_text(name) + asked for name in filters)
        self.send(8, 2, body)
        packet = self.receive()
        assert packet is not None and packet.kind == 9, packet
        return list(packet.body[2:])

    def message(self, timeout: float = DEADLINE) -> tuple[str, bytes]:
        """The next PUBLISH: topic and payload; one of QoS 1 is acknowledged."""
        packet = self.receive(timeout)
        assert packet is not None and packet.kind == 3, packet
        length = struct.unpack("!H", packet.body[:2])[0]
        topic, rest = packet.body[2 : 2 + length].decode(), packet.body[2 + length :]
        if packet.flags & 6:
            self.send(4, 0, rest[:2])
            rest = rest[2:]
        return topic, rest

    def request(self, topic: str, params: Any, number: str = "1", **more: Any) -> dict[str, Any]:
        """Publishes an Alink request and returns the reply, which must be on `topic`_reply."""
        self.publish(topic, json.dumps({"id": number, "params": params, **more}).encode())
        reply_topic, payload = self.message()
        assert reply_topic == topic + "_reply", reply_topic
        reply = json.loads(payload)
        assert isinstance(reply, dict)
        return reply


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("!H", len(data)) + data
