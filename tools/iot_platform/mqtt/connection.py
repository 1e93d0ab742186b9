"""One TCP or TLS connection of a device: bytes in both directions, deadlines, the end."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

from tools.iot_platform.mqtt.decoder import Decoder, ProtocolError
from tools.iot_platform.mqtt.packets import Packet
from tools.iot_platform.rules.limits import OUTBOX_BYTES

_GOODBYE = 0.5
"""Seconds after which a peer that does not answer the end of TLS is waited for no more."""
_LARGE = 1000
"""While more bytes than this are to come of a packet, each piece of it is a sign of life."""


class Connection(asyncio.Protocol):
    """Gives packets to `on_packet`, and one reason to `on_end`, when the connection is over.

    Everything that arrived whole before the end is given, whatever became of the answers.
    """

    def __init__(
        self, made: Callable[[Connection, asyncio.BaseTransport], None], instance: str
    ) -> None:
        """made: called once it is open; sets `on_packet` and `on_end`. instance: its name."""
        self.instance = instance
        self.on_packet: Callable[[Packet], None]
        self.on_end: Callable[[str], None]
        self.reason = ""
        self.peer = ""
        self.tls: ssl.SSLObject | None = None
        self._made = made
        self._decoder = Decoder()
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None  # asyncio's stubs give connection_made a base class
        self._timer: asyncio.TimerHandle | None = None
        self._goodbye: asyncio.TimerHandle | None = None
        self._heard = self._loop.time()
        self._corked: list[bytes] | None = None
        self._written = 0
        self._paused = False
        self._taken = 0
        """Bytes that had left for the peer when it was last looked at."""

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio, after the TLS handshake."""
        self._transport = transport
        self.tls = transport.get_extra_info("ssl_object")
        address = transport.get_extra_info("peername") or ("?",)
        self.peer = ":".join(map(str, address[:2]))
        self._made(self, transport)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio; the answers to all of it leave in one write."""
        if self.reason:
            return
        if self._decoder.missing > _LARGE:
            self._heard = self._loop.time()
        self._decoder.feed(data)
        self._corked = []
        try:
            while not self.reason:
                packet = self._decoder.next()
                if packet is None:
                    break
                self._heard = self._loop.time()
                self.on_packet(packet)
        except ProtocolError as error:
            self.close(f"protocol error: {error}")
        finally:
            self._uncork()

    def pause_writing(self) -> None:
        """Called by asyncio: who does not take its answers is not listened to either."""
        self._paused = True
        self._taken = self._taken_so_far()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Called by asyncio."""
        self._paused = False
        self._heard = self._loop.time()
        self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio, once, at the very end."""
        if self._goodbye is not None:
            self._goodbye.cancel()
        self._end("connection lost")

    # For sessions

    def write(self, data: bytes) -> None:
        """Sends bytes; a device that reads nothing is cut off rather than waited for."""
        if self.reason:
            return
        if self._transport.get_write_buffer_size() > OUTBOX_BYTES:
            self.close("does not read")
            self._transport.abort()
        elif self._corked is None:
            self._send(data)
        else:
            self._corked.append(data)

    def close(self, reason: str) -> None:
        """Sends what was written and closes; the first reason given counts.

        The connection is over now, not when the peer has noticed.
        """
        if self.reason:
            return
        self._uncork()
        self._transport.close()
        self._goodbye = self._loop.call_later(_GOODBYE, self._transport.abort)
        self._end(reason)

    def listen(self, on: bool) -> None:
        """Stops reading, or goes on; packets that have arrived are given all the same."""
        if not self._transport.is_closing():
            (self._transport.resume_reading if on else self._transport.pause_reading)()

    def deadline(self, seconds: float, reason: str) -> None:
        """Closes after so many seconds, whatever comes; replaces an earlier deadline."""
        self._arm(seconds, lambda: self.close(reason))

    def keepalive(self, seconds: float) -> None:
        """Closes when no packet came for so many seconds; replaces an earlier deadline.

        While the device has much to read, its packets are not read: then it must go on reading.
        """

        def check() -> None:
            left = self._heard + seconds - self._loop.time()
            if left > 0:
                self._arm(left, check)
            elif not self._paused:
                self.close("keepalive")
            elif self._taken_so_far() > self._taken:
                self._taken = self._taken_so_far()
                self._arm(seconds, check)
            else:
                self.close("does not read")
                self._transport.abort()

        self._arm(seconds, check)

    def _taken_so_far(self) -> int:
        """Bytes that left for the peer; of TLS nearly so."""
        return self._written - int(self._transport.get_write_buffer_size())

    def _arm(self, seconds: float, action: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self.reason:
            self._timer = self._loop.call_later(seconds, action)

    def _uncork(self) -> None:
        corked, self._corked = self._corked, None
        if corked:
            self._send(b"".join(corked))

    def _send(self, data: bytes) -> None:
        self._written += len(data)
        self._transport.write(data)

    def _end(self, reason: str) -> None:
        if self.reason:
            return
        self.reason = reason
        if self._timer is not None:
            self._timer.cancel()
        self.on_end(reason)
