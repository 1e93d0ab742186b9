"""What was last seen of each device: its address, and what went wrong. In the database."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tools.iot_platform.rules.names import Identity
from tools.iot_platform.store.database import Database
from tools.iot_platform.store.record import Event


@dataclass(frozen=True)
class Problem:
    """The last refusal or failure. at: Unix seconds; over: the device got through since.

    kind, code, details: of the event in the record.
    """

    kind: str
    code: int | None
    details: dict[str, Any]
    at: float
    over: bool


@dataclass(frozen=True)
class Status:
    """address: of the last connection, or "through PK/DN"; seen_at: Unix seconds."""

    address: str | None = None
    seen_at: float | None = None
    problem: Problem | None = None


_GOOD = {"register": 200, "connect": 0}
_ENDS = ("disconnect", "offline")
_NORMAL_ENDS = ("disconnected", "platform stopped", "logged out", "registration over")


_TABLE = """
CREATE TABLE IF NOT EXISTS statuses (
    product_key TEXT NOT NULL,
    device_name TEXT NOT NULL,
    address TEXT,
    seen_at REAL,
    kind TEXT,
    code INTEGER,
    details TEXT,
    problem_at REAL,
    over INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (product_key, device_name),
    FOREIGN KEY (product_key, device_name) REFERENCES devices ON DELETE CASCADE
) WITHOUT ROWID
"""


class Statuses:
    """Follows the record; only devices of the registry have a status. Usable from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.query(_TABLE)
        database.query("CREATE INDEX IF NOT EXISTS statuses_at ON statuses (address)")

    def note(self, event: Event) -> None:
        """Takes what an event tells of its device."""
        if event.kind == "tls-failed":
            self._tls_failed(event)
            return
        if event.product_key is None or event.device_name is None:
            return
        device = Identity(event.product_key, event.device_name)
        address = event.details.get("peer")
        if event.kind in ("online", "offline"):
            address = f"through {event.details.get('gateway')}"
        if event.kind in _GOOD:
            good = event.code == _GOOD[event.kind]
            self._seen(device, event.at, address)
            if good:
                self._over(device, event.kind)
            else:
                self._problem(device, event)
        elif event.kind == "online":
            self._seen(device, event.at, address)
            self._over(device, "connect")
        elif event.kind in _ENDS:
            reason = str(event.details.get("reason", ""))
            self._seen(device, event.at, None)
            if not reason.removeprefix("gateway: ").startswith(_NORMAL_ENDS):
                self._problem(device, event)
        elif event.kind in ("publish", "request") and event.code != 200:
            self._problem(device, event)

    def of(self, device: Identity) -> Status:
        """The status of a device; empty when nothing was seen of it."""
        rows = self._database.query(
            "SELECT address, seen_at, kind, code, details, problem_at, over FROM statuses"
            " WHERE product_key = ? AND device_name = ?",
            *device,
        )
        if not rows:
            return Status()
        address, seen_at, kind, code, details, problem_at, over = rows[0]
        problem = None
        if kind is not None:
            problem = Problem(kind, code, json.loads(details), problem_at, bool(over))
        return Status(address, seen_at, problem)

    def _tls_failed(self, event: Event) -> None:
        """A failed handshake names no device: it is the one last seen at that address, if one."""
        host = str(event.details.get("peer", "")).rpartition(":")[0]
        rows = self._database.query(
            "SELECT product_key, device_name FROM statuses"
            " WHERE address >= ? AND address < ? LIMIT 2",
            f"{host}:",
            f"{host};",  # the character after the colon
        )
        if host and len(rows) == 1:
            self._problem(Identity(*rows[0]), event)

    def _seen(self, device: Identity, at: float, address: str | None) -> None:
        # "WHERE true" lets SQLite tell ON CONFLICT from a join.
        self._database.query(
            "INSERT INTO statuses (product_key, device_name, address, seen_at)"
            " SELECT product_key, device_name, ?3, ?4 FROM devices"
            " WHERE product_key = ?1 AND device_name = ?2 AND NOT deleted"
            " ON CONFLICT DO UPDATE SET address = coalesce(?3, address), seen_at = ?4",
            *device,
            address,
            at,
        )

    def _problem(self, device: Identity, event: Event) -> None:
        details = {name: str(value)[:200] for name, value in event.details.items()}
        self._seen(device, event.at, None)
        self._database.query(
            "UPDATE statuses SET kind = ?3, code = ?4, details = ?5, problem_at = ?6, over = 0"
            " WHERE product_key = ?1 AND device_name = ?2",
            *device,
            event.kind,
            event.code,
            json.dumps(details),
            event.at,
        )

    def _over(self, device: Identity, kind: str) -> None:
        """What got through tells what is no problem any more: a connect, that nothing is."""
        self._database.query(
            "UPDATE statuses SET over = 1 WHERE product_key = ?1 AND device_name = ?2"
            " AND kind IS NOT NULL AND NOT over"
            " AND (?3 = 'connect' OR kind IN ('register', 'tls-failed'))",
            *device,
            kind,
        )

    def forget(self, device: Identity) -> None:
        """Takes a device's last error away: it was reset, and begins anew."""
        self._database.query(
            "UPDATE statuses SET over = 1 WHERE product_key = ? AND device_name = ?", *device
        )
