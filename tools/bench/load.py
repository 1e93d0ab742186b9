"""Load: many connected devices at the local platform, each with a message a second.

The platform runs as `make platform` runs it: a process of its own, registry and record on disk,
its log to a file. Devices are connections of another process. Each posts a property of about 130
bytes once a second, QoS 0, evenly spread, and the platform answers each post; it records the
message, the request and the answer. The share is the processor time of the platform's process,
user and system, over the time measured, after all are connected: 1 is one core.

Beside it mosquitto as the distribution has it, if it is installed: the same connections and
messages over TCP, each device subscribed to its own topic, so that each message has one delivery
too. It parses no JSON, records nothing and is written in C: a floor, not a competitor.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import IO

from tools.bench.place import PRODUCT_KEY, PRODUCT_SECRET, Place
from tools.bench.results import Section, Table, number
from tools.iot_platform.rules.signing import sign
from tools.layout import ROOT

DEVICES = 2000
SECONDS = 15
_READY = 30.0
_CONNECTING = 100
"""Devices in their handshake at a time."""
_FILES = 8192
_SECRET = "KGQQFFlGinIipW9Xn7xQ5U6d6MokPZD4"


@dataclass(frozen=True)
class Load:
    """What one server took. share: of one core."""

    server: str
    transport: str
    devices: int
    sent: int
    answered: int
    share: float


@dataclass(frozen=True)
class _Target:
    """What the devices connect to. root: PEM; None is plain TCP. subscribe: to their own topic."""

    port: int
    root: str | None = None
    subscribe: bool = False


def measure_platform(
    folder: Path, devices: int, seconds: float, transports: Sequence[str] = ("TCP", "TLS 1.2")
) -> list[Load]:
    """The platform, over each transport."""
    _allow_many_files()
    found = []
    with _platform(folder, devices) as (process, ports):
        targets = {
            "TCP": _Target(ports["mqtt-tcp"]),
            "TLS 1.2": _Target(ports["mqtt-tls"], (folder / "ca.pem").read_text()),
        }
        for name in transports:
            found.append(_run("local platform", name, process, targets[name], devices, seconds))
    return found


def measure_mosquitto(folder: Path, devices: int, seconds: float) -> list[Load]:
    """mosquitto over TCP; nothing if it is not installed."""
    _allow_many_files()
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        return []
    with _mosquitto(program, folder) as (process, port):
        target = _Target(port, subscribe=True)
        return [_run("mosquitto", "TCP", process, target, devices, seconds)]


def _run(
    server: str,
    transport: str,
    process: subprocess.Popen[bytes],
    target: _Target,
    devices: int,
    seconds: float,
) -> Load:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        sent, answered, share = pool.submit(_play, target, devices, seconds, process.pid).result()
    return Load(server, transport, devices, sent, answered, share)


def _used(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# The devices, in a process of their own


class _Device(asyncio.Protocol):
    """One connection: counts the messages that come."""

    def __init__(self, name: str, target: _Target) -> None:
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
        fields = (ident, f"{self._name}&{PRODUCT_KEY}", sign("hmacsha256", _SECRET, signed))
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


def _play(target: _Target, count: int, seconds: float, pid: int) -> tuple[int, int, float]:
    """Connects, posts, leaves: messages sent, messages that came, share of the server `pid`."""
    _allow_many_files()
    return asyncio.run(_devices(target, count, seconds, pid))


async def _devices(
    target: _Target, count: int, seconds: float, pid: int
) -> tuple[int, int, float]:
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

    devices = await asyncio.gather(*map(connect, _names(count)))
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


def _names(count: int) -> list[str]:
    return [f"device{n:05}" for n in range(count)]


def _text(text: str) -> bytes:
    return struct.pack("!H", len(text)) + text.encode()


def _packet(first: int, body: bytes) -> bytes:
    length = len(body)
    head = [length] if length < 128 else [length & 127 | 128, length >> 7]
    return bytes([first, *head]) + body


# The servers


@contextmanager
def _platform(
    folder: Path, devices: int
) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, int]]]:
    product = {
        "productKey": PRODUCT_KEY,
        "productSecret": PRODUCT_SECRET,
        "devices": [{"deviceName": n, "deviceSecret": _SECRET} for n in _names(devices)],
    }
    (folder / "load.json").write_text(json.dumps(product))
    log = folder / "platform.log"
    command = [
        *(sys.executable, "-m", "tools.iot_platform", "--json", "--no-limits"),
        *("--https-port", "0", "--mqtt-tls-port", "0", "--mqtt-port", "0"),
        *("--database", str(folder / "load.db"), "--certificates", str(folder)),
        *("--product", str(folder / "load.json")),
    ]
    with log.open("wb") as output, _process(command, output) as process:
        until = time.monotonic() + _READY
        while b"\n" not in (shown := log.read_bytes()):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the platform does not start: {shown.decode()}")
            time.sleep(0.05)
        yield process, json.loads(shown.partition(b"\n")[0])["ports"]


@contextmanager
def _mosquitto(program: str, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = folder / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    log = folder / "mosquitto.log"
    command = [program, "-c", str(settings)]
    with log.open("wb") as output, _process(command, output) as process:
        until = time.monotonic() + _READY
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
        yield process, port


@contextmanager
def _process(command: Sequence[str], output: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _allow_many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def section(place: Place, quick: bool) -> Section:
    """Measure all of it."""
    part = Section("Load on the local platform", __doc__ or "")
    devices, seconds = (200, 3) if quick else (DEVICES, SECONDS)
    ours = measure_platform(place.folder, devices, seconds)
    theirs = measure_mosquitto(place.folder, devices, seconds)
    part.tables.append(
        Table(
            f"Connected devices, a message a second each, for {seconds} s",
            ("server", "transport", "devices", "messages", "answered", "share of a core"),
            [
                (
                    one.server,
                    one.transport,
                    number(one.devices),
                    number(one.sent),
                    number(one.answered),
                    f"{one.share:.2f}",
                )
                for one in (*ours, *theirs)
            ],
        )
    )
    part.figures["load.share"] = max(one.share for one in ours)
    for one in theirs:
        part.figures["load.share.mosquitto"] = one.share
    if not theirs:
        part.notes.append("mosquitto is not installed here, so there is nothing to compare with.")
    return part
