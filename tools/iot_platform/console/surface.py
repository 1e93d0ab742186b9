"""What of the platform the console uses; `process.platform.Platform` is it."""

from __future__ import annotations

from typing import Protocol

from tools.iot_platform.rules.names import Identity
from tools.iot_platform.store.database import Database
from tools.iot_platform.store.record import Record
from tools.iot_platform.store.registry import Registry
from tools.iot_platform.store.statuses import Statuses
from tools.iot_platform.store.switches import Switches
from tools.iot_platform.store.topology import Topology


class Hub(Protocol):
    """A platform, running or not: what does not need a device works either way."""

    database: Database
    registry: Registry
    topology: Topology
    record: Record
    switches: Switches
    statuses: Statuses
    ports: dict[str, int]
    """Of the endpoints, by name; empty while the platform does not run."""

    @property
    def host(self) -> str:
        """The address the endpoints listen on."""

    def online(self, device: Identity) -> bool:
        """Whether a device is connected, or logged in by its gateway."""

    def online_devices(self) -> set[Identity]:
        """All that are."""

    def publish(self, device: Identity, topic: str, payload: bytes, qos: int) -> bool:
        """Sends a message to a device; whether it was sent, or queued."""

    def disconnect(self, device: Identity) -> bool:
        """Closes a device's connection; whether there was one."""

    def reset(self, device: Identity) -> None:
        """Opens dynamic registration of a device again."""

    def set_disabled(self, device: Identity, disabled: bool) -> None:
        """Disables a device, or enables it."""

    def delete(self, device: Identity) -> None:
        """Deletes a device."""

    def unbind(self, device: Identity) -> bool:
        """Takes a sub-device from its gateway; whether it had one."""
