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

import json
import os
import shutil
import socket
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

from tools.bench.measures.load_devices import SECRET, Target, allow_many_files, device_names, play
from tools.bench.place import PRODUCT_KEY, PRODUCT_SECRET, Place
from tools.bench.results import Section, Table, number
from tools.layout import ROOT

DEVICES = 2000
SECONDS = 15
_READY = 30.0


@dataclass(frozen=True)
class Load:
    """What one server took. share: of one core."""

    server: str
    transport: str
    devices: int
    sent: int
    answered: int
    share: float


def measure_platform(
    folder: Path, devices: int, seconds: float, transports: Sequence[str] = ("TCP", "TLS 1.2")
) -> list[Load]:
    """The platform, over each transport."""
    allow_many_files()
    found = []
    with _platform(folder, devices) as (process, ports):
        targets = {
            "TCP": Target(ports["mqtt-tcp"]),
            "TLS 1.2": Target(ports["mqtt-tls"], (folder / "ca.pem").read_text()),
        }
        for name in transports:
            found.append(_run("local platform", name, process, targets[name], devices, seconds))
    return found


def measure_mosquitto(folder: Path, devices: int, seconds: float) -> list[Load]:
    """mosquitto over TCP; nothing if it is not installed."""
    allow_many_files()
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        return []
    with _mosquitto(program, folder) as (process, port):
        target = Target(port, subscribe=True)
        return [_run("mosquitto", "TCP", process, target, devices, seconds)]


def _run(
    server: str,
    transport: str,
    process: subprocess.Popen[bytes],
    target: Target,
    devices: int,
    seconds: float,
) -> Load:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        sent, answered, share = pool.submit(play, target, devices, seconds, process.pid).result()
    return Load(server, transport, devices, sent, answered, share)


# The servers


@contextmanager
def _platform(
    folder: Path, devices: int
) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, int]]]:
    product = {
        "productKey": PRODUCT_KEY,
        "productSecret": PRODUCT_SECRET,
        "devices": [{"deviceName": n, "deviceSecret": SECRET} for n in device_names(devices)],
    }
    (folder / "load.json").write_text(json.dumps(product))
    log = folder / "platform.log"
    command = [
        *(sys.executable, "-m", "tools.iot_platform", "--json", "--no-limits"),
        *("--https-port", "0", "--mqtt-tls-port", "0", "--mqtt-port", "0", "--no-console"),
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
