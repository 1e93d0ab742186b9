"""Which instance a device belongs to, in the database."""

from __future__ import annotations

from tools.iot_platform.rules.instances import DEFAULT
from tools.iot_platform.rules.names import Identity
from tools.iot_platform.store.database import Database


class Places:
    """Devices that were moved; all others belong to the default instance. Any thread may ask."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def instance_of(self, device: Identity) -> str:
        """The name of a device's instance."""
        rows = self._database.query(
            "SELECT instance FROM places WHERE product_key = ? AND device_name = ?", *device
        )
        return str(rows[0][0]) if rows else DEFAULT

    def move(self, device: Identity, instance: str) -> None:
        """Gives a device that exists to an instance."""
        self._database.query("INSERT OR REPLACE INTO places VALUES (?, ?, ?)", *device, instance)
