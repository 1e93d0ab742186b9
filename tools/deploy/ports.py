"""Which serial port the board is on."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.deploy.errors import DeployError
from tools.deploy.mpremote import command, environment

LISTING = "SERIAL_PORTS"
"""Environment variable: a file with lines as `mpremote connect list` prints them, for boards that
the operating system does not list, such as simulated ones."""


@dataclass(frozen=True)
class SerialDevice:
    """A line of `mpremote connect list`. serial: None where the adapter has no number."""

    port: str
    serial: str | None
    usb: str
    """Vendor and product, "10c4:ea60"; "0000:0000" where it is no USB device."""
    name: str

    def __str__(self) -> str:
        number = f"  serial {self.serial}" if self.serial else ""
        return f"{self.port}  {self.name}{number}"


def parse_listing(text: str) -> list[SerialDevice]:
    """What `mpremote connect list` printed: port, serial number, vid:pid, maker and product."""
    found = []
    for line in text.splitlines():
        words = line.split(" ", 3)
        if len(words) >= 3:
            names = [word for word in words[3].split() if word != "None"] if words[3:] else []
            serial = None if words[1] == "None" else words[1]
            found.append(SerialDevice(words[0], serial, words[2], " ".join(names)))
    return found


def serial_devices() -> list[SerialDevice]:
    """The serial ports that may lead to a board: those on USB. Raises DeployError."""
    listing = os.environ.get(LISTING)
    if listing:
        return parse_listing(Path(listing).read_text("utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            [*command(), "connect", "list"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env=environment(Path(folder)),
        )
    if run.returncode:
        raise DeployError(f"cannot list serial ports: {run.stderr.strip()}")
    return [device for device in parse_listing(run.stdout) if device.usb != "0000:0000"]


def _table(devices: Sequence[SerialDevice]) -> str:
    return "".join(f"\n  {device}" for device in devices)


def choose_port(wanted: str | None, devices: Sequence[SerialDevice] | None = None) -> str:
    """The port to use: the one wanted, or the only one there is.

    wanted: a port, "id:<serial number>", or None. Many adapters share a serial number or have
    none, so a number that two ports have is refused. Raises DeployError listing the candidates.
    """
    if wanted and not wanted.startswith("id:"):
        return wanted.removeprefix("port:")
    found = serial_devices() if devices is None else list(devices)
    if wanted:
        serial = wanted.removeprefix("id:")
        matching = [device for device in found if device.serial == serial]
        if len(matching) > 1:
            raise DeployError(
                f"{len(matching)} boards have the serial number {serial}; name the port "
                f"(PORT=...):{_table(matching)}"
            )
        if not matching:
            raise DeployError(f"no board has the serial number {serial}; found:{_table(found)}")
        return matching[0].port
    if len(found) > 1:
        raise DeployError(f"{len(found)} boards; say which one with PORT=...:{_table(found)}")
    if not found:
        raise DeployError("no board found; plug one in, or name its port with PORT=...")
    return found[0].port
