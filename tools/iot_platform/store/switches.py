"""Fault switches of single devices, in the database: what a developer wants a device to meet.

The faults of a test bench, for whoever comes next, are in `rules.faults`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tools.iot_platform.rules.faults import Claimed
from tools.iot_platform.rules.names import Identity
from tools.iot_platform.store.database import Database

FAULTS: Mapping[str, str] = {
    "lost": "The next answer to it is lost: of a registration, which takes effect, or of a"
    " request over MQTT.",
    "slow": "Its answers come late, by so many seconds: registration, CONNACK, replies.",
    "certificate": "The server's certificate is a wrong one for connections from an address:"
    " who connects is not known yet when it is shown.",
    "refuse": "Its registrations are refused with a result code, its connects with a CONNACK"
    " code.",
    "disconnect": "Its connection is closed: now, or so many seconds after its next connect.",
}
"""What each switch does, for a reader."""
REFUSE_RESULT = 500
"""Result code of a refused registration unless another is asked for: the platform is busy."""
REFUSE_CONNACK = 3
"""CONNACK code of a refused connect unless another is asked for: the same."""
NO_CONNACK = 256
"""In place of a CONNACK code: the connection is closed without one."""
MOST_TIMES = 1000
MOST_SECONDS = 120.0


@dataclass(frozen=True)
class Switch:
    """A fault that is on.

    times: how often it still takes effect; None: until it is switched off. seconds: for slow and
    disconnect. code: for refuse; 1 to 255 is a CONNACK code, 256 no CONNACK, 400 and up a
    registration's result code, None both. address, problem: for certificate.
    """

    fault: str
    times: int | None = 1
    seconds: float = 0.0
    code: int | None = None
    address: str | None = None
    problem: str | None = None


_TABLE = """
CREATE TABLE IF NOT EXISTS switches (
    product_key TEXT NOT NULL,
    device_name TEXT NOT NULL,
    fault TEXT NOT NULL,
    times INTEGER,
    seconds REAL NOT NULL,
    code INTEGER,
    address TEXT,
    problem TEXT,
    PRIMARY KEY (product_key, device_name, fault),
    FOREIGN KEY (product_key, device_name) REFERENCES devices ON DELETE CASCADE
) WITHOUT ROWID
"""


class Switches:
    """One switch of each kind for a device. Usable from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.query(_TABLE)
        rows = database.query(
            "SELECT product_key, device_name, fault, times, seconds, code, address, problem"
            " FROM switches ORDER BY product_key, device_name, fault"
        )
        # Asked at every connect and answer: kept in memory, the database follows.
        self._on: dict[Identity, dict[str, Switch]] = {}
        for product_key, device_name, *values in rows:
            switch = Switch(*values)
            self._on.setdefault(Identity(product_key, device_name), {})[switch.fault] = switch

    def set(self, device: Identity, switch: Switch) -> None:
        """Switches a fault on, in place of the one of its kind. Raises KeyError: no such fault."""
        if switch.fault not in FAULTS:
            raise KeyError(f"no fault {switch.fault!r}")
        with self._database.transaction():
            self._database.query(
                "INSERT OR REPLACE INTO switches VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                *device,
                switch.fault,
                switch.times,
                switch.seconds,
                switch.code,
                switch.address,
                switch.problem,
            )
            self._on.setdefault(device, {})[switch.fault] = switch

    def clear(self, device: Identity, fault: str | None = None) -> bool:
        """Switches one fault of a device off, or all; returns whether there was one."""
        with self._database.transaction():
            self._database.query(
                "DELETE FROM switches WHERE product_key = ?1 AND device_name = ?2"
                " AND (?3 IS NULL OR fault = ?3)",
                *device,
                fault,
            )
            mine = self._on.get(device, {})
            gone = list(mine) if fault is None else [fault] if fault in mine else []
            for name in gone:
                del mine[name]
            if not mine:
                self._on.pop(device, None)
        return bool(gone)

    def of(self, device: Identity) -> list[Switch]:
        """The faults of a device that are on, by name."""
        mine = self._on.get(device)
        return [mine[name] for name in sorted(mine)] if mine else []

    def all(self) -> dict[Identity, list[Switch]]:
        """The devices with faults that are on."""
        return {device: self.of(device) for device in sorted(self._on)}

    def take(self, device: Claimed, fault: str) -> Switch | None:
        """The switch if it is on, which counts as one time; None if it is off."""
        if not self._on:  # the usual case
            return None
        known = _identity(device)
        switch = self._on.get(known, {}).get(fault)
        return self._spend(known, switch) if switch is not None else None

    def take_refusal(self, device: Claimed, connect: bool) -> int | None:
        """The code to refuse a connect, or else a registration, with; None: it is not to be."""
        known = _identity(device)
        switch = self._on.get(known, {}).get("refuse")
        if switch is None:
            return None
        if switch.code is not None and (switch.code <= NO_CONNACK) != connect:
            return None
        self._spend(known, switch)
        return switch.code or (REFUSE_CONNACK if connect else REFUSE_RESULT)

    def take_certificate(self, address: str) -> tuple[Identity, str] | None:
        """The device for whose sake connections from an address meet a wrong certificate.

        Returns it with the name of what is wrong with the certificate, or None.
        """
        for device, mine in self._on.items():
            switch = mine.get("certificate")
            if switch is not None and switch.address == address:
                self._spend(device, switch)
                return device, switch.problem or ""
        return None

    def _spend(self, device: Identity, switch: Switch) -> Switch:
        if switch.times == 1:
            self.clear(device, switch.fault)
        elif switch.times is not None:
            left = replace(switch, times=switch.times - 1)
            self.set(device, left)
        return switch


def _identity(device: Claimed) -> Identity:
    return Identity(device[0] or "", device[1] or "")
