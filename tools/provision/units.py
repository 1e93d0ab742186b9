"""devices.csv: one row a unit, as Espressif's mass manufacturing tools read their values file.

The first row names the columns; each further row is a unit; columns that mean nothing here are
metadata and stay. Known columns, in any order, case and punctuation ignored: productKey,
deviceName, deviceSecret, mac, id. A productKey given in the first row only holds for all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools.image.records import RecordError, check_of
from tools.image.rules import check_device
from tools.provision.errors import ProvisionError
from tools.provision.table import read_rows

_COLUMNS = {
    "productkey": "productKey",
    "devicename": "deviceName",
    "devicesecret": "deviceSecret",
    "mac": "mac",
    "id": "id",
}
_MAC = re.compile(r"[0-9a-f]{12}")
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?[eE][+-]\d+")
"""What a spreadsheet makes of a long row of digits, or of digits around an "e"."""
_ROUNDED = re.compile(r"[1-9]\d{14}0+")
"""A number of which a spreadsheet kept its 15 digits."""


@dataclass(frozen=True)
class Unit:
    """One row. number: 1 is the first unit. mac: 12 hex digits, or empty: any board may be it."""

    number: int
    line: int
    product_key: str
    device_name: str
    device_secret: str = field(repr=False)
    mac: str
    id: str

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.device_name or self.id or self.mac or f"unit {self.number}"

    def device_json(self) -> bytes:
        """Its device certificate as the board stores it, with the check that tells whole from
        torn."""
        record = {
            "productKey": self.product_key,
            "deviceName": self.device_name,
            "deviceSecret": self.device_secret,
        }
        record["check"] = check_of(record)
        return json.dumps(record, separators=(",", ":")).encode()


def clean_mac(text: str) -> str:
    """12 lower-case hex digits of a MAC address in any usual form; "" for anything else."""
    digits = re.sub(r"[-:. ]", "", text.strip().lower())
    return digits if _MAC.fullmatch(digits) else ""


def read_units(path: Path) -> list[Unit]:
    """Read and check a devices.csv. Raises ProvisionError naming line and column, OSError."""
    rows = read_rows(path)
    if not any(cell.strip() for row in rows for cell in row):
        raise ProvisionError(f"{path}: is empty; expected a first line that names the columns")
    if not any(cell.strip() for cell in rows[0]):
        raise ProvisionError(f"{path}: line 1: is blank; expected the names of the columns")
    columns = [_COLUMNS.get(re.sub(r"[^a-z]", "", cell.lower()), "") for cell in rows[0]]
    known = [column for column in columns if column]
    if len(set(known)) != len(known):
        raise ProvisionError(f"{path}: line 1: a column appears twice")
    if not set(known) & {"deviceName", "mac", "id"}:
        raise ProvisionError(
            f"{path}: line 1: expected a column deviceName, mac or id "
            "(with deviceSecret for unique certificates)"
        )
    units: list[Unit] = []
    for line, row in enumerate(rows[1:], 2):
        if any(cell.strip() for cell in row):
            units.append(_unit(path, line, columns, row, units))
    if not units:
        raise ProvisionError(f"{path}: no unit; expected a row for each")
    _check_unique(path, units)
    return units


def _unit(
    path: Path, line: int, columns: Sequence[str], row: Sequence[str], before: Sequence[Unit]
) -> Unit:
    if len(row) > len(columns):
        raise ProvisionError(
            f"{path}: line {line}: {len(row)} values; expected {len(columns)} as in line 1"
        )
    values = {name: cell.strip() for name, cell in zip(columns, row, strict=False) if name}
    key = values.get("productKey", "") or (before[0].product_key if before else "")
    mac = clean_mac(values.get("mac", ""))
    for column, value in values.items():
        rounded = column == "deviceSecret" and _ROUNDED.fullmatch(value)
        if column and (_NUMBER.fullmatch(value) or rounded):
            raise ProvisionError(
                f"{path}: line {line}: {column}: a spreadsheet turned it into a number; export "
                "the list again, and open it with this column as text"
            )
    if values.get("mac") and not mac:
        raise ProvisionError(f"{path}: line {line}: mac: expected 12 hex digits")
    unit = Unit(
        len(before) + 1,
        line,
        key,
        values.get("deviceName", ""),
        values.get("deviceSecret", ""),
        mac,
        values.get("id", ""),
    )
    if "deviceSecret" in columns:
        try:
            check_device(json.loads(unit.device_json()), f"{path}: line {line}")
        except RecordError as e:
            raise ProvisionError(str(e)) from None
    return unit


def _check_unique(path: Path, units: Sequence[Unit]) -> None:
    """Two boards with one identity would throw each other off the platform for ever."""
    for column, values in (
        ("deviceName", [unit.device_name for unit in units]),
        ("mac", [unit.mac for unit in units]),
        ("deviceSecret", [unit.device_secret for unit in units]),
        ("id", [unit.id for unit in units]),
        ("name", [unit.name for unit in units]),  # by which the log knows it
    ):
        seen: dict[str, int] = {}
        for unit, value in zip(units, values, strict=True):
            if value and value in seen:
                raise ProvisionError(
                    f"{path}: line {unit.line}: {column}: the same as in line {seen[value]}; each "
                    "unit has its own: export the list again, or take one of the lines out"
                )
            seen[value] = unit.line
