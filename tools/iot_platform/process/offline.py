"""The platform's database without the platform: for commands while none runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.iot_platform.console.api import Api
from tools.iot_platform.console.client import Local
from tools.iot_platform.console.traffic import Traffic
from tools.iot_platform.rules.names import Identity
from tools.iot_platform.store.database import Database
from tools.iot_platform.store.record import Record
from tools.iot_platform.store.registry import Registry
from tools.iot_platform.store.statuses import Statuses
from tools.iot_platform.store.switches import Switches
from tools.iot_platform.store.topology import Topology


class Offline:
    """A `console.surface.Hub` on which nobody is connected."""

    host = ""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.registry = Registry(database)
        self.topology = Topology(database)
        self.record = Record(database)
        self.switches = Switches(database)
        self.statuses = Statuses(database)
        self.ports: dict[str, int] = {}

    def online(self, device: Identity) -> bool:
        """Nobody is."""
        return False

    def online_devices(self) -> set[Identity]:
        """Nobody is."""
        return set()

    def publish(self, device: Identity, topic: str, payload: bytes, qos: int) -> bool:
        """Reaches nobody."""
        return False

    def disconnect(self, device: Identity) -> bool:
        """There is nothing to disconnect."""
        return False

    def reset(self, device: Identity) -> None:
        """As `Platform.reset`; no gateway is there to be told."""
        self.topology.unbind(self.topology.subdevices(device))
        self.registry.reset(device)
        self.record.add("admin", device, what="reset")

    def set_disabled(self, device: Identity, disabled: bool) -> None:
        """As `Platform.set_disabled`."""
        self.registry.set_disabled(device, disabled)
        self.record.add("admin", device, what="disable" if disabled else "enable")

    def delete(self, device: Identity) -> None:
        """As `Platform.delete`."""
        self.topology.unbind(self.topology.subdevices(device))
        self.registry.delete(device)
        self.switches.clear(device)
        self.record.add("admin", device, what="delete")

    def unbind(self, device: Identity) -> bool:
        """As `Platform.unbind`."""
        was_bound = self.topology.gateway_of(device) is not None
        self.topology.unbind([device])
        return was_bound


@contextmanager
def open_database(path: Path) -> Iterator[Local]:
    """The API on a database, made if absent. Raises OSError, sqlite3.Error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hub = Offline(Database(path))
    try:
        traffic = Traffic()
        traffic.load(hub.database)
        hub.record.watch(traffic.note)
        yield Local(Api(hub, traffic))
    finally:
        hub.record.flush()
        hub.database.close()
