"""A listening socket: accepts, does the TLS handshake, notes both in the record.

asyncio's own servers say nothing of a handshake that failed, which is exactly what a test of a
client's certificate checks wants to see; so accepting is done here, in a few lines.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import weakref
from collections.abc import Callable
from typing import Any

from tools.iot_platform.rules.faults import Faults
from tools.iot_platform.store.record import Record

_HANDSHAKE = 15.0
"""Seconds a client has for its TLS handshake: an ESP32 takes up to five."""
_BACKLOG = 1024


class _Socket(socket.socket):
    """A connection whose writes do not fail when the peer has gone.

    asyncio stops reading at the first write that fails; but what the peer sent before it went
    may lie unread, and is to be processed. The end shows when reading comes to it.
    """

    def send(self, data: Any, flags: int = 0, /) -> int:
        try:
            return super().send(data, flags)
        except (BrokenPipeError, ConnectionResetError):
            return memoryview(data).nbytes

    def sendmsg(self, buffers: Any, *rest: Any) -> int:  # Python 3.12 writes so
        pieces = list(buffers)
        try:
            return super().sendmsg(pieces, *rest)
        except (BrokenPipeError, ConnectionResetError):
            return sum(memoryview(piece).nbytes for piece in pieces)


class Listener:
    """One port of the platform."""

    def __init__(
        self,
        name: str,
        context: ssl.SSLContext | None,
        record: Record,
        faults: Faults,
        choose: Callable[[str], ssl.SSLContext | None] = lambda _: None,
    ) -> None:
        """name: of the port, in the record; context: TLS settings, or None for plain TCP.

        choose: other TLS settings for the connection at hand, by its IP address, or None.
        """
        self.name = name
        self._context = context
        self._record = record
        self._faults = faults
        self._choose = choose
        self._tasks: set[asyncio.Task[None]] = set()
        self._transports: weakref.WeakSet[asyncio.BaseTransport] = weakref.WeakSet()
        self._announced: weakref.WeakSet[asyncio.BaseTransport] = weakref.WeakSet()
        self._socket: socket.socket | None = None

    async def start(
        self, host: str, port: int, protocol: Callable[[], asyncio.BaseProtocol]
    ) -> int:
        """Listens; port 0 is any free one. protocol: makes one for each connection.

        Returns the port. Raises OSError.
        """
        self._protocol = protocol
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        self._socket.setblocking(False)
        self._spawn(self._accept(self._socket))
        return int(self._socket.getsockname()[1])

    async def stop_accepting(self) -> None:
        """Stops listening and ends handshakes under way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()

    async def stop(self) -> None:
        """Drops every connection; after `stop_accepting`."""
        for transport in list(self._transports):
            if isinstance(transport, asyncio.WriteTransport):
                # asyncio fails to abort what closed by itself with bytes still to send.
                with contextlib.suppress(AttributeError):
                    transport.abort()
        await asyncio.sleep(0)  # lets the transports close their sockets

    def announce(self, transport: asyncio.BaseTransport) -> None:
        """Notes a finished handshake, once: whoever sees the connection first calls it."""
        connection = transport.get_extra_info("ssl_object")
        if connection is None or transport in self._announced:
            return
        self._announced.add(transport)
        self._record.add(
            "tls",
            port=self.name,
            peer=_address(transport.get_extra_info("peername")),
            version=connection.version(),
            cipher=connection.cipher()[0],
            server_name=getattr(connection, "requested_name", None),
        )

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listening)
            except OSError:  # out of file descriptors, or the peer is gone already
                await asyncio.sleep(0.05)
                continue
            connection = _Socket(fileno=connection.detach())
            connection.setblocking(False)
            self._spawn(self._open(connection, _address(address), address[0]))

    async def _open(self, connection: socket.socket, peer: str, host: str) -> None:
        self._record.add("connection", port=self.name, peer=peer)
        fault = self._faults.take_connection()
        if fault is not None:
            self._record.add("fault", what=f"connection {fault}", port=self.name)
            with connection:
                if fault == "stalled":
                    await asyncio.Event().wait()
            return
        # asyncio does so only for sockets that name their protocol, which accepted ones do not.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop = asyncio.get_running_loop()
        context = self._context
        if context is not None:
            context = self._choose(host) or context
        try:
            transport, _ = await loop.connect_accepted_socket(
                self._protocol,
                connection,
                ssl=context,
                ssl_handshake_timeout=_HANDSHAKE if context else None,
            )
        except (OSError, asyncio.TimeoutError) as error:  # two classes in 3.10
            reason = getattr(error, "reason", None) or str(error) or type(error).__name__
            self._record.add("tls-failed", port=self.name, peer=peer, reason=reason)
            connection.close()
            return
        # Whatever it is, cancellation too, goes on; only the connection must not stay open.
        except BaseException:
            connection.close()
            raise
        self._transports.add(transport)
        self.announce(transport)


def _address(address: Any) -> str:
    return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address)
