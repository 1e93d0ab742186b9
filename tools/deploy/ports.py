"""Which serial port the board is on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.command import count
from tools.deploy.errors import DeployError
from tools.deploy.line import no_port
from tools.deploy.mpremote import command, environment
from tools.private import PrivateFolder

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
    for line in text.split("\n"):
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
    with PrivateFolder() as folder:
        process = subprocess.Popen(
            [*command(), "connect", "list"],
            stdin=subprocess.PIPE,  # its leash: open until it has ended
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(folder),
        )
        with process:
            assert process.stdin is not None and process.stdout is not None
            said = process.stdout.read()
            problem = process.stderr.read() if process.stderr is not None else ""
            process.wait(30)
    if process.returncode:
        raise DeployError(f"cannot list serial ports: {problem.strip()}")
    return [device for device in parse_listing(said) if device.usb != "0000:0000"]


def _table(devices: Sequence[SerialDevice]) -> str:
    return "".join(f"\n  {device}" for device in devices)


def check_port(port: str) -> str:
    """The port, if a board can be reached through it. Raises DeployError saying why not."""
    why = no_port(port)
    if why is not None:
        raise DeployError(f"{port}: {why}")
    return port


def choose_port(wanted: str | None, devices: Sequence[SerialDevice] | None = None) -> str:
    """The port to use, looked at: see `find_port`. Raises DeployError."""
    return check_port(find_port(wanted, devices))


def find_port(wanted: str | None, devices: Sequence[SerialDevice] | None = None) -> str:
    """The port that is meant: the one wanted, or the only one there is.

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
            there = f"found:{_table(found)}" if found else "no board is plugged in"
            raise DeployError(f"no board has the serial number {serial}; {there}")
        return matching[0].port
    if len(found) > 1:
        raise DeployError(
            f"{count(len(found), 'board')}; say which one with PORT=...:{_table(found)}"
        )
    if not found:
        raise DeployError("no board found; plug one in, or name its port with PORT=...")
    return found[0].port


def find_ports(wanted: Sequence[str]) -> list[str]:
    """The ports that are meant: those wanted, or all that lead to a board on USB.

    Raises DeployError. Whether there is a board at each of them will be seen.
    """
    ports = [find_port(port) for port in wanted]
    ports = ports or [device.port for device in serial_devices()]
    if not ports:
        raise DeployError("no board found; plug boards in, or name ports with --port")
    for port in ports:
        same = [other for other in ports if Path(other).resolve() == Path(port).resolve()]
        if len(same) > 1:
            raise DeployError(f"{port}: named twice{_also(port, same)}")
    return ports


def _also(port: str, same: Sequence[str]) -> str:
    other = next((name for name in same if name != port), None)
    return f": {other} leads to it too" if other else ""
