"""The registry: products, devices and registration-free clients. Topology is in `topology`."""

from __future__ import annotations

import secrets
import sqlite3
import string
import time
from collections.abc import Iterable

from tools.iot_platform.rules.limits import UNUSED_CLIENTS
from tools.iot_platform.rules.names import (
    Identity,
    check_device_name,
    check_product_key,
    check_secret,
)
from tools.iot_platform.store.database import Database
from tools.iot_platform.store.entities import Client, Device, Product

_ALPHABET = string.ascii_letters + string.digits
_DEVICE_COLUMNS = (
    "product_key, device_name, device_secret, iot_id, registrations, registration_closed,"
    " activated_at, disabled, deleted"
)


def random_text(length: int) -> str:
    """Random letters and digits, as the platform's keys, secrets and tokens are made of."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


class Registry:
    """What the console of the real platform shows and edits. Usable from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Products

    def add_product(
        self,
        product_key: str,
        product_secret: str | None = None,
        dynamic_registration: bool = True,
        *,
        node_type: str = "device",
        registration_free: bool = False,
    ) -> Product:
        """Adds a product; a secret is made up if none is given.

        node_type: "device" or "gateway"; registration_free: authType=regnwl is allowed.
        Raises ValueError when a value is outside the rules or the product exists.
        """
        check_product_key(product_key)
        product_secret = random_text(16) if product_secret is None else product_secret
        check_secret("ProductSecret", product_secret)
        if node_type not in ("device", "gateway"):
            raise ValueError("node type: expected 'device' or 'gateway'")
        try:
            self._database.query(
                "INSERT INTO products VALUES (?, ?, ?, ?, ?)",
                product_key,
                product_secret,
                node_type,
                dynamic_registration,
                registration_free,
            )
        except sqlite3.IntegrityError:
            raise ValueError(f"product {product_key} exists already") from None
        return self.product(product_key)

    def find_product(self, product_key: str) -> Product | None:
        """The product, or None."""
        rows = self._database.query("SELECT * FROM products WHERE product_key = ?", product_key)
        if not rows:
            return None
        key, secret, node_type, dynamic, free = rows[0]
        return Product(key, secret, node_type, bool(dynamic), bool(free))

    def product(self, product_key: str) -> Product:
        """The product; raises KeyError."""
        found = self.find_product(product_key)
        if found is None:
            raise KeyError(f"no product {product_key}")
        return found

    def products(self) -> list[Product]:
        """All products."""
        rows = self._database.query("SELECT product_key FROM products ORDER BY product_key")
        return [self.product(row[0]) for row in rows]

    def set_dynamic_registration(self, product_key: str, on: bool) -> None:
        """The product's dynamic-registration switch; raises KeyError."""
        self.product(product_key)
        self._database.query(
            "UPDATE products SET dynamic_registration = ? WHERE product_key = ?", on, product_key
        )

    # Devices

    def add_device(
        self, product_key: str, device_name: str, device_secret: str | None = None
    ) -> Device:
        """Pre-registers a device; a DeviceSecret is made up if none is given.

        Raises KeyError (no such product), ValueError (outside the rules, or exists already).
        A deleted device may be added again and is then a new one.
        """
        check_device_name(device_name)
        device_secret = random_text(32) if device_secret is None else device_secret
        check_secret("DeviceSecret", device_secret)
        self.product(product_key)
        with self._database.transaction():
            old = self.find_device(product_key, device_name)
            if old is not None and not old.deleted:
                raise ValueError(f"device {product_key}/{device_name} exists already")
            self._database.query(
                "DELETE FROM devices WHERE product_key = ? AND device_name = ?",
                product_key,
                device_name,
            )
            self._database.query(
                "INSERT INTO devices (product_key, device_name, device_secret, iot_id)"
                " VALUES (?, ?, ?, ?)",
                product_key,
                device_name,
                device_secret,
                random_text(20) + "0010" + secrets.token_hex(3),
            )
        return self.device(product_key, device_name)

    def add_devices(self, product_key: str, device_names: Iterable[str]) -> list[Device]:
        """Pre-registers many devices at once, all or none; raises as `add_device` does."""
        with self._database.transaction():
            return [self.add_device(product_key, name) for name in device_names]

    def find_device(self, product_key: str, device_name: str) -> Device | None:
        """The device (also a deleted one), or None."""
        rows = self._database.query(
            f"SELECT {_DEVICE_COLUMNS} FROM devices WHERE product_key = ? AND device_name = ?",
            product_key,
            device_name,
        )
        return _device(rows[0]) if rows else None

    def device(self, product_key: str, device_name: str) -> Device:
        """The device (also a deleted one); raises KeyError."""
        found = self.find_device(product_key, device_name)
        if found is None:
            raise KeyError(f"no device {product_key}/{device_name}")
        return found

    def devices(self, product_key: str | None = None) -> list[Device]:
        """The devices of one product or of all, without deleted ones."""
        rows = self._database.query(
            f"SELECT {_DEVICE_COLUMNS} FROM devices WHERE NOT deleted"
            " AND (? IS NULL OR product_key = ?) ORDER BY product_key, device_name",
            product_key,
            product_key,
        )
        return [_device(row) for row in rows]

    def issue_secret(self, device: Identity, fresh: bool) -> Device:
        """Counts a dynamic registration; fresh: with a new DeviceSecret, the old one is void."""
        with self._database.transaction():
            old = self.device(*device)
            self._set(
                device,
                "device_secret = ?, registrations = registrations + 1",
                random_text(32) if fresh else old.device_secret,
            )
        return self.device(*device)

    def activate(self, device: Identity) -> bool:
        """Notes a successful connect; returns whether it was the first since the last reset."""
        with self._database.transaction():
            old = self.device(*device)
            if old.registration_closed:
                return False
            self._set(
                device,
                "registration_closed = 1, activated_at = coalesce(activated_at, ?)",
                time.time(),
            )
        return True

    def reset(self, device: Identity) -> Device:
        """As the cloud API ResetThing: the device may be registered dynamically again.

        Its activation stays, its secret is valid until the next registration, its
        registration-free clients are void. Raises KeyError.
        """
        with self._database.transaction():
            self.device(*device)
            self._set(device, "registration_closed = 0, registrations = 0")
            self._database.query(
                "DELETE FROM clients WHERE product_key = ? AND device_name = ?", *device
            )
        return self.device(*device)

    def set_disabled(self, device: Identity, disabled: bool) -> None:
        """Disables a device or enables it again; raises KeyError."""
        self.device(*device)
        self._set(device, "disabled = ?", disabled)

    def delete(self, device: Identity) -> None:
        """Deletes a device; its name is remembered for code 521. Raises KeyError."""
        with self._database.transaction():
            self.device(*device)
            self._set(device, "deleted = 1, device_secret = ?", random_text(32))
            for table in ("clients", "topology", "places"):
                self._database.query(
                    f"DELETE FROM {table} WHERE product_key = ? AND device_name = ?", *device
                )

    def _set(self, device: Identity, assignments: str, *values: object) -> None:
        self._database.query(
            f"UPDATE devices SET {assignments} WHERE product_key = ? AND device_name = ?",
            *values,
            *device,
        )

    # Registration-free clients

    def clients(self, product_key: str, device_name: str) -> list[Client]:
        """The clients registered with one ProductKey and DeviceName."""
        rows = self._database.query(
            "SELECT client_id, product_key, device_name, device_token, activated_at"
            " FROM clients WHERE product_key = ? AND device_name = ? ORDER BY client_id",
            product_key,
            device_name,
        )
        return [Client(*row) for row in rows]

    def issue_client(self, device: Identity) -> Client:
        """A new clientId and deviceToken; the device is added if it was not pre-registered.

        Of those that were never used the oldest is void when there are too many.
        """
        with self._database.transaction():
            known = self.find_device(*device)
            if known is None or known.deleted:
                self.add_device(*device)
            client_id = random_text(24)
            self._database.query(
                "INSERT INTO clients VALUES (?, ?, ?, ?, NULL, ?)",
                client_id,
                *device,
                random_text(40),
                time.time(),
            )
            self._database.query(
                "DELETE FROM clients WHERE client_id IN (SELECT client_id FROM clients"
                " WHERE product_key = ? AND device_name = ? AND activated_at IS NULL"
                " ORDER BY issued_at DESC LIMIT -1 OFFSET ?)",
                *device,
                UNUSED_CLIENTS,
            )
            self._set(device, "registrations = registrations + 1")
        return next(c for c in self.clients(*device) if c.client_id == client_id)

    def activate_client(self, client: Client) -> bool:
        """Notes a successful connect; returns whether it was the client's first."""
        if client.activated_at is not None:
            return False
        now = time.time()
        with self._database.transaction():
            self._database.query(
                "UPDATE clients SET activated_at = ? WHERE client_id = ?", now, client.client_id
            )
            self._set(
                Identity(client.product_key, client.device_name),
                "activated_at = coalesce(activated_at, ?)",
                now,
            )
        return True


def _device(row: sqlite3.Row) -> Device:
    (key, name, secret, iot_id, registrations, closed, activated_at, disabled, deleted) = row
    return Device(
        key,
        name,
        secret,
        iot_id,
        registrations,
        bool(closed),
        activated_at,
        bool(disabled),
        bool(deleted),
    )
