"""Pages of devices, as the database has them: quick with tens of thousands."""

from __future__ import annotations

from dataclasses import dataclass

from tools.iot_platform.rules.names import Identity
from tools.iot_platform.store.database import Database

IDENTITIES = {
    "never registered": "registrations = 0 AND activated_at IS NULL",
    "registered": "registrations > 0 AND activated_at IS NULL",
    "active": "activated_at IS NOT NULL",
}
"""How far a device has come, and what tells it: it registered, and then it connected."""
CONNECTIONS = ("online", "offline")
_FAILING = (
    "EXISTS (SELECT 1 FROM statuses s WHERE s.product_key = d.product_key"
    " AND s.device_name = d.device_name AND s.kind IS NOT NULL AND NOT s.over)"
)


@dataclass(frozen=True)
class Wanted:
    """Which devices; what is None or False does not narrow them.

    search: part of the DeviceName, case aside; identity, connection: of the above; failing: whose
    last error is not over; gateway: whose sub-devices.
    """

    product_key: str | None = None
    search: str | None = None
    identity: str | None = None
    connection: str | None = None
    disabled: bool | None = None
    failing: bool = False
    gateway: Identity | None = None


def find(
    database: Database, wanted: Wanted, online: set[Identity], offset: int, limit: int
) -> tuple[list[Identity], int]:
    """One page of devices, by ProductKey and DeviceName, and how many there are in all."""
    where, values = _where(wanted)
    source = f"FROM devices d WHERE {where}"
    order = "ORDER BY d.product_key, d.device_name"
    columns = "SELECT d.product_key, d.device_name"
    if wanted.connection is None:
        total = database.query(f"SELECT count(*) {source}", *values)[0][0]
        rows = database.query(
            f"{columns} {source} {order} LIMIT ? OFFSET ?", *values, limit, offset
        )
        return [Identity(*row) for row in rows], total
    # Who is online is in memory only.
    among = wanted.connection == "online"
    rows = database.query(f"{columns} {source} {order}", *values)
    found = [name for name in (Identity(*row) for row in rows) if (name in online) == among]
    return found[offset : offset + limit], len(found)


def counts(database: Database) -> dict[str, int]:
    """How many devices there are in each state, and how many are disabled or failing."""
    sums = ", ".join(f"sum({condition})" for condition in IDENTITIES.values())
    row = database.query(
        f"SELECT count(*), {sums}, sum(disabled), sum({_FAILING}) FROM devices d WHERE NOT deleted"
    )[0]
    names = ("devices", *IDENTITIES, "disabled", "failing")
    return {name: value or 0 for name, value in zip(names, row, strict=True)}


def devices_of_products(database: Database) -> dict[str, int]:
    """How many devices each product has; products without any are left out."""
    rows = database.query(
        "SELECT product_key, count(*) FROM devices WHERE NOT deleted GROUP BY product_key"
    )
    return {row[0]: row[1] for row in rows}


def _where(wanted: Wanted) -> tuple[str, list[object]]:
    conditions, values = ["NOT d.deleted"], list[object]()
    if wanted.product_key is not None:
        conditions.append("d.product_key = ?")
        values.append(wanted.product_key)
    if wanted.search:
        conditions.append("instr(lower(d.device_name), ?)")
        values.append(wanted.search.lower())
    if wanted.identity is not None:
        conditions.append(IDENTITIES[wanted.identity])
    if wanted.disabled is not None:
        conditions.append("d.disabled = ?")
        values.append(wanted.disabled)
    if wanted.failing:
        conditions.append(_FAILING)
    if wanted.gateway is not None:
        conditions.append(
            "(d.product_key, d.device_name) IN (SELECT product_key, device_name FROM topology"
            " WHERE gateway_key = ? AND gateway_name = ?)"
        )
        values.extend(wanted.gateway)
    return " AND ".join(f"({condition})" for condition in conditions), values
