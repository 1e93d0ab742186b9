"""A network that lies: a TCP proxy that cuts, delays, drips, stalls, resets and talks garbage.

Bytes are counted as they are on the wire, so with TLS they are those of the encrypted stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from tools.faults.server import HOST, Server

Direction = Literal["up", "down"]
Ways = Literal["up", "down", "both"]
Kind = Literal["none", "cut", "reset", "stall", "delay", "drip", "slow", "garbage", "refuse"]
Blow = Literal["down dead", "up dead", "both dead", "cut", "close"]
End = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Fault:
    """What happens to one connection from its beginning; `Proxy.strike` is for later.

    none: nothing. cut, reset, stall: after `after` bytes in `direction` the connection ends, ends
    with RST, or stays open in silence. delay: each piece waits `seconds`. drip: single bytes,
    `seconds` apart, from byte `after` on. slow: `rate` bytes a second both ways. garbage: `data`
    goes to the device before anything else. refuse: closed at once. "up" is from the device to
    the platform; "both" is for drip.
    """

    kind: Kind = "none"
    direction: Ways = "down"
    after: int = 0
    seconds: float = 0.0
    data: bytes = field(default=b"", repr=False)
    rate: int = 8000


@dataclass
class Passed:
    """What went through one connection, bytes, and whether its fault took effect.

    struck: what was done to it since; see `Proxy.strike`.
    """

    up: int = 0
    down: int = 0
    hit: bool = False
    struck: Blow | None = None
    end: Callable[[], None] = lambda: None


class Proxy(Server):
    """Stands before one port. `plan` holds the faults of the connections to come, in order.

    A connection for which there is no plan gets `default`.
    """

    def __init__(self, target: int) -> None:
        """target: port of the server on this machine."""
        super().__init__("proxy")
        self.plan: deque[Fault] = deque()
        self.default = Fault()
        self.connections: list[Passed] = []
        self._target = target

    def expect(self, faults: Iterable[Fault]) -> None:
        """Replace the plan."""
        self.plan = deque(faults)

    def strike(self, blow: Blow) -> None:
        """Do something to all connections that there are now; those to come are well.

        dead: nothing goes that way any more, what is sent is still taken. cut: the next bytes to
        the device end halfway, and the connection with them. close: at once, as an idle one is.
        """
        for passed in self.connections:
            passed.struck = passed.struck or blow
            if blow == "close":
                self._loop.call_soon_threadsafe(passed.end)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Do to the connection what the plan says."""
        fault = self.plan.popleft() if self.plan else self.default
        passed = Passed()
        self.connections.append(passed)
        try:
            await self._converse(fault, passed, reader, writer)
        finally:
            if passed.hit and fault.kind == "reset":
                _linger_not(writer)
                writer.transport.abort()

    async def _converse(
        self,
        fault: Fault,
        passed: Passed,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        if fault.kind == "refuse":
            passed.hit = True
            return
        if fault.kind == "garbage":
            passed.hit = True
            writer.write(fault.data)
            await writer.drain()
        far_reader, far_writer = await asyncio.open_connection(
            HOST, self._target, limit=self.buffer or 2**16
        )
        try:
            await self._carry(fault, passed, (reader, writer), (far_reader, far_writer))
        finally:
            far_writer.close()

    async def _carry(self, fault: Fault, passed: Passed, near: End, far: End) -> None:
        reader, writer = near
        far_reader, far_writer = far
        for end in (writer, far_writer):
            sock = end.get_extra_info("socket")
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.buffer)
                end.transport.set_write_buffer_limits(0)
        pumps = [
            asyncio.ensure_future(_pump(fault, passed, "up", reader, far_writer)),
            asyncio.ensure_future(_pump(fault, passed, "down", far_reader, writer)),
        ]

        def stop() -> None:
            for pump in pumps:
                pump.cancel()

        passed.end = stop
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        if fault.kind == "stall" and passed.hit:
            await reader.read()  # swallow what comes until the device gives up


async def _pump(
    fault: Fault,
    passed: Passed,
    direction: Direction,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Carry bytes one way until the connection ends or the fault says so."""
    ends = fault.kind in ("cut", "reset", "stall") and fault.direction == direction
    while True:
        done: int = getattr(passed, direction)
        if ends and done >= fault.after:
            passed.hit = True
            return
        most = 65536 if fault.kind != "slow" else max(1, fault.rate // 20)
        data = await reader.read(fault.after - done if ends else most)
        if not data:
            return
        if passed.struck in (f"{direction} dead", "both dead"):
            continue
        if passed.struck == "cut" and direction == "down":
            writer.write(data[: len(data) // 2])
            await writer.drain()
            return
        if fault.kind == "slow":
            passed.hit = True
            await asyncio.sleep(len(data) / fault.rate)
        if fault.kind == "delay" and fault.direction == direction:
            passed.hit = True
            await asyncio.sleep(fault.seconds)
        if fault.kind == "drip" and fault.direction in (direction, "both"):
            passed.hit = True
            free = max(0, fault.after - done)
            pieces = [data[:free], *(data[at : at + 1] for at in range(free, len(data)))]
        else:
            pieces = [data]
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            setattr(passed, direction, getattr(passed, direction) + len(piece))
            if len(pieces) > 1:
                await asyncio.sleep(fault.seconds)


def _linger_not(writer: asyncio.StreamWriter) -> None:
    """Make closing send RST."""
    option = struct.pack("ii", 1, 0)
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):  # the other end was faster, and it is closed already
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
