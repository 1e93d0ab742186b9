"""The other end of a session, packet by packet, and a piece of application that talks to it.

`Peer` is a server on this machine, in plain TCP or TLS, whose handlers say what each connection
gets, byte for byte. `Talk` runs device code in MicroPython against it, with a session of its own.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from tools.iot_platform.network.certificates import Certificate, shared_authority

GUARD = 60.0
CONNACK = b"\x20\x02\0\0"
PINGRESP = b"\xd0\0"


class OnDevice(Protocol):
    def __call__(self, script: str, given: Any = ..., *, heap: str = ...) -> Any: ...


def message(
    topic: bytes = b"/t", payload: bytes = b"HELLO", qos: int = 0, packet_id: int = 1
) -> bytes:
    """A PUBLISH to the device."""
    body = struct.pack("!H", len(topic)) + topic
    body += struct.pack("!H", packet_id) if qos else b""
    body += payload
    size, length = len(body), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([0x30 | qos << 1]) + length + bytes([size]) + body


def puback(packet_id: int) -> bytes:
    return struct.pack("!BBH", 0x40, 2, packet_id)


class Connection:
    """One connection of the device, read as MQTT packets."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.seen: list[tuple[float, int, bytes]] = []
        """(when, first byte, body) of every packet read."""

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.sock.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def read(self) -> tuple[int, bytes]:
        """The next packet: first byte, body. Raises EOFError or OSError at the end."""
        first = self._exactly(1)[0]
        size = shift = 0
        while True:
            byte = self._exactly(1)[0]
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        body = self._exactly(size)
        self.seen.append((time.monotonic(), first, body))
        return first, body

    def until(self, first: int) -> bytes:
        """Read on to a packet with this first byte: its body."""
        while True:
            got, body = self.read()
            if got == first:
                return body

    def send(self, *data: bytes) -> None:
        self.sock.sendall(b"".join(data))

    def drip(self, data: bytes, seconds: float = 0.002) -> None:
        """One byte at a time."""
        for at in range(len(data)):
            self.sock.sendall(data[at : at + 1])
            time.sleep(seconds)

    def accept(self, *more: bytes) -> None:
        """Take the CONNECT; more: bytes that leave together with the CONNACK."""
        self.until(0x10)
        self.send(CONNACK, *more)

    def serve(self, answer_pings: bool = True) -> None:
        """Answer whatever comes as a platform would, to the end of the connection."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                first, body = self.read()
                if first == 0xC0 and answer_pings:
                    self.send(PINGRESP)
                elif first & 0xF2 == 0x32:
                    at = 2 + int.from_bytes(body[:2], "big")
                    self.send(puback(int.from_bytes(body[at : at + 2], "big")))
                elif first == 0x82:
                    self.send(b"\x90\x03", body[:2], b"\1")

    def rest(self) -> list[int]:
        """Read to the end of the connection: the first byte of each packet."""
        got = []
        with contextlib.suppress(EOFError, OSError):
            while True:
                got.append(self.read()[0])
        return got

    def reset(self) -> None:
        """End with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Handler = Callable[[Connection], None]


class Peer:
    """Serves each connection by the next of `handlers`, in order, the last one again and again."""

    def __init__(self, handlers: Iterable[Handler], tls: bool = False, receive: int = 0) -> None:
        """receive: SO_RCVBUF of its sockets, bytes; 0: as the host has it."""
        self.connections: list[Connection] = []
        self.problems: list[BaseException] = []
        self.tls = tls
        self._handlers = list(handlers)
        self._context: ssl.SSLContext | None = None
        if tls:
            self._context = shared_authority().server_context(Certificate())
        self._listener = socket.socket()
        if receive:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port = int(self._listener.getsockname()[1])
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Peer:
        self._start(self._work)
        return self

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            number = min(len(self.connections), len(self._handlers) - 1)
            self.connections.append(Connection(sock))
            self._start(self._serve, self.connections[-1], self._handlers[number])

    def _serve(self, connection: Connection, handler: Handler) -> None:
        sock = connection.sock
        sock.settimeout(GUARD)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self._context:
                connection.sock = self._context.wrap_socket(sock, server_side=True)
            handler(connection)
        except (EOFError, OSError):
            pass  # the device has gone, as it may
        except BaseException as error:  # told by `__exit__`, in the test's own thread
            self.problems.append(error)
        finally:
            with contextlib.suppress(OSError):
                connection.sock.close()

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(GUARD)
        if kind is None and self.problems:
            raise self.problems[0]


class Talk:
    """Runs pieces of application: `run(peer, source)`, what it `told(...)` being the result.

    The source sees `session` (not connected), `connect()`, `told(value)`, `outcome(function,
    *arguments)`: [name of the exception or None, its text or the result], and `run(main)`, which
    is `aliyun_iot.aio` on the same session, `main(face)` being a coroutine.
    """

    def __init__(self, on_device: OnDevice) -> None:
        self._on_device = on_device

    def run(
        self, peer: Peer, source: str, *, keepalive: int = 30, timeout: int = 2000, **more: Any
    ) -> list[Any]:
        """keepalive: seconds; timeout: ms; more: as of `on_device`."""
        given = {
            "port": peer.port,
            "ca": shared_authority().der.hex() if peer.tls else None,
            "keepalive": keepalive,
            "timeout": timeout,
            "source": source,
        }
        result: list[Any] = self._on_device("session_script.py", given, **more)
        return result
