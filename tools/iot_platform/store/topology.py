"""Which sub-device belongs to which gateway, in the database."""

from __future__ import annotations

from tools.iot_platform.rules.names import Identity
from tools.iot_platform.store.database import Database


class Topology:
    """A sub-device belongs to at most one gateway. Usable from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def gateway_of(self, subdevice: Identity) -> Identity | None:
        """The gateway a sub-device belongs to, or None."""
        rows = self._database.query(
            "SELECT gateway_key, gateway_name FROM topology"
            " WHERE product_key = ? AND device_name = ?",
            *subdevice,
        )
        return Identity(*rows[0]) if rows else None

    def subdevices(self, gateway: Identity) -> list[Identity]:
        """The sub-devices of a gateway, by name."""
        rows = self._database.query(
            "SELECT product_key, device_name FROM topology"
            " WHERE gateway_key = ? AND gateway_name = ? ORDER BY product_key, device_name",
            *gateway,
        )
        return [Identity(*row) for row in rows]

    def count(self, gateway: Identity) -> int:
        """How many sub-devices a gateway has."""
        rows = self._database.query(
            "SELECT count(*) FROM topology WHERE gateway_key = ? AND gateway_name = ?", *gateway
        )
        return int(rows[0][0])

    def bind(self, gateway: Identity, subdevices: list[Identity]) -> None:
        """Gives sub-devices to a gateway; from another one they are taken away."""
        with self._database.transaction():
            for subdevice in subdevices:
                self._database.query(
                    "INSERT OR REPLACE INTO topology VALUES (?, ?, ?, ?)", *subdevice, *gateway
                )

    def unbind(self, subdevices: list[Identity]) -> None:
        """Takes sub-devices away from their gateways."""
        with self._database.transaction():
            for subdevice in subdevices:
                self._database.query(
                    "DELETE FROM topology WHERE product_key = ? AND device_name = ?", *subdevice
                )
