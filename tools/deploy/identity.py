"""The identity that a board holds: shown with its secrets masked, and erased."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tools.deploy.errors import DeployError
from tools.deploy.mpremote import Mpremote

DEVICE = "/device.json"
SUBDEVICES = "/subdevices"


@dataclass(frozen=True)
class Record:
    """A file on the board. content: with every secret masked; None where it cannot be read.

    state: "whole", "damaged", "empty" or what else is the matter.
    """

    content: Any
    state: str


@dataclass(frozen=True)
class Page:
    """A file with certificates of a gateway's sub-devices. names: ProductKey and DeviceName."""

    names: tuple[tuple[str, str], ...]
    state: str


@dataclass(frozen=True)
class Identity:
    """What a board holds. No secret is in it: they are masked on the board itself."""

    mac: str
    firmware: str
    records: dict[str, Record]
    subdevices: dict[str, Page] = field(default_factory=dict)
    """By the path of the file."""

    @property
    def files(self) -> list[str]:
        """Those that make the identity, its own and that of its sub-devices."""
        return [*(path for path in self.records if path.startswith(DEVICE)), *self.subdevices]

    @property
    def device_name(self) -> str | None:
        """The DeviceName it is registered as, None if it is not."""
        record = self.records.get(DEVICE)
        if record is None or not isinstance(record.content, dict):
            return None
        name = record.content.get("deviceName")
        return name if isinstance(name, str) and record.state.startswith("whole") else None


def read_identity(remote: Mpremote) -> Identity:
    """Ask the board. Raises DeployError."""
    mac = firmware = ""
    records = {}
    pages = {}
    ended = False
    for kind, value in remote.ask("identity", {}):
        if kind == "board":
            mac, firmware = value
        elif kind == "record":
            records[value[0]] = Record(value[1], value[2])
        elif kind == "subdevices":
            names = tuple((str(key), str(name)) for key, name in value[1])
            pages[value[0]] = Page(names, value[2])
        ended = kind == "end"
    if not ended:
        raise DeployError(f"{remote.port}: the board did not say all it was asked")
    return Identity(mac, firmware, records, pages)


def erase_identity(remote: Mpremote) -> list[str]:
    """Remove device.json and the sub-devices', and prove it: the files removed.

    Raises DeployError.
    """
    removed = [str(path) for path in remote.ask("erase", {})]
    left = read_identity(remote).files
    if left:
        raise DeployError(f"{remote.port}: {left[0]} is still there")
    return removed
