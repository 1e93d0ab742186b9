"""The devices of `load`: connections of one process, each with a message a second."""

from __future__ import annotations

import asyncio
import os
import resource
import ssl
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.bench.place import PRODUCT_KEY
from tools.iot_platform.rules.signing import sign

SECRET = "KGQQFFlGinIipW9Xn7xQ5U6d6MokPZD4"
"""DeviceSecret of each of them."""
_READY = 30.0
_CONNECTING = 100
"""Devices in their handshake at a time."""
_FILES = 8192


@dataclass(frozen=True)
class Target:
    """What the devices connect to. root: PEM; None is plain TCP. subscribe: to their own topic."""

    port: int
    root: str | None = None
    subscribe: bool = False


class _Device(asyncio.Protocol):
    """One connection: counts the messages that come."""

    def __init__(self, name: str, target: Target) -> None:
        self.connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.messages = 0
        self._name = name
        self._target = target
        topic = f"/sys/{PRODUCT_KEY}/{name}/thing/event/property/post"
        self._topic = _text(topic)
        body = b'{"id":"1","version":"1.0","params":{"temperature":21.5,"humidity":40}}'
        self._message = _packet(0x30, self._topic + body)
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        mode = 2 if self._target.root else 3
        signed = {"clientId": self._name, "deviceName": self._name, "productKey": PRODUCT_KEY}
        ident = f"{self._name}|securemode={mode},signmethod=hmacsha256,_ss=1|"
        fields = (ident, f"{self._name}&{PRODUCT_KEY}", sign("hmacsha256", SECRET, signed))
        body = _text("MQTT") + struct.pack("!BBH", 4, 0xC2, 1200) + b"".join(map(_text, fields))
        transport.write(_packet(0x10, body))
        if self._target.subscribe:
            transport.write(_packet(0x82, b"\0\1" + self._topic + b"\0"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 2:
            length, at = self._buffer[1], 2
            if length & 128:
                if len(self._buffer) < 3:
                    return
                length, at = length & 127 | self._buffer[2] << 7, 3
            if len(self._buffer) < at + length:
                return
            kind = self._buffer[0] >> 4
            self.messages += kind == 3
            if kind == 2 and not self.connected.done():
                self.connected.set_result(None)
            self._buffer = self._buffer[at + length :]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.connected.done():
            self.connected.set_exception(ConnectionError(f"{self._name}: connection lost"))

    def post(self) -> None:
        """Sends the message."""
        self._transport.write(self._message)

    def leave(self) -> None:
        """Ends the connection."""
        self._transport.write(b"\xe0\0")
        self._transport.close()


def play(target: Target, count: int, seconds: float, pid: int) -> tuple[int, int, float]:
    """Connects, posts, leaves: messages sent, messages that came, share of the server `pid`."""
    allow_many_files()
    return asyncio.run(_devices(target, count, seconds, pid))


async def _devices(target: Target, count: int, seconds: float, pid: int) -> tuple[int, int, float]:
    context = None
    if target.root is not None:
        context = ssl.create_default_context(cadata=target.root)
    turn = asyncio.Semaphore(_CONNECTING)

    async def connect(name: str) -> _Device:
        async with turn:
            device = _Device(name, target)
            await asyncio.get_running_loop().create_connection(
                lambda: device, "127.0.0.1", target.port, ssl=context
            )
            await asyncio.wait_for(device.connected, _READY)
            return device

    devices = await asyncio.gather(*map(connect, device_names(count)))
    await asyncio.sleep(1)  # what the connects left to do is no part of it
    before, began, used = sum(d.messages for d in devices), time.monotonic(), _used(pid)
    sent = await _post(devices, seconds)
    share = (_used(pid) - used) / (time.monotonic() - began)
    await asyncio.sleep(0.5)
    answered = sum(d.messages for d in devices) - before
    for device in devices:
        device.leave()
    await asyncio.sleep(0.5)
    return sent, answered, share


async def _post(devices: Sequence[_Device], seconds: float) -> int:
    """One post of each device a second, in turns of 10 ms; how many there were."""
    began = time.monotonic()
    sent = 0
    while (passed := time.monotonic() - began) < seconds:
        due = int(passed * len(devices))
        for at in range(sent, due):
            devices[at % len(devices)].post()
        sent = due
        await asyncio.sleep(0.01)
    return sent


def device_names(count: int) -> list[str]:
    """DeviceNames of so many devices."""
    return [f"device{n:05}" for n in range(count)]


def _text(text: str) -> bytes:
    return struct.pack("!H", len(text)) + text.encode()


def _packet(first: int, body: bytes) -> bytes:
    length = len(body)
    head = [length] if length < 128 else [length & 127 | 128, length >> 7]
    return bytes([first, *head]) + body


def _used(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def allow_many_files() -> None:
    """Raises this process's soft limit of open files; children inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
