"""devices.csv: one row a unit, as Espressif's mass manufacturing tools read their values file.

The first row names the columns; each further row is a unit; columns that mean nothing here are
metadata and stay. Known columns, in any order, case and punctuation ignored: productKey,
deviceName, deviceSecret, mac, id. A productKey given in the first row only holds for all.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools.image.records import RecordError, check_device, check_of
from tools.provision.errors import ProvisionError

_COLUMNS = {
    "productkey": "productKey",
    "devicename": "deviceName",
    "devicesecret": "deviceSecret",
    "mac": "mac",
    "id": "id",
}
_MAC = re.compile(r"[0-9a-f]{12}")


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


def _row(path: Path, number: int, line: str) -> list[str]:
    # Each line for itself: an open quotation mark must not swallow the units after it.
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error:
        raise ProvisionError(
            f"{path}: line {number}: expected values between commas, quotation marks closed"
        ) from None


def read_units(path: Path) -> list[Unit]:
    """Read and check a devices.csv. Raises ProvisionError naming line and column."""
    try:
        text = path.read_text("utf-8-sig")
    except OSError as e:
        raise ProvisionError(f"{path}: {e.strerror}") from None
    except UnicodeDecodeError:
        raise ProvisionError(f"{path}: is not UTF-8 text") from None
    rows = [_row(path, number, line) for number, line in enumerate(text.splitlines(), 1)]
    if not rows or not any(cell.strip() for cell in rows[0]):
        raise ProvisionError(f"{path}: is empty; expected a first line that names the columns")
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
        ("deviceName", [(unit.product_key, unit.device_name) for unit in units]),
        ("mac", [("", unit.mac) for unit in units]),
        ("id", [("", unit.id) for unit in units]),
    ):
        seen: dict[tuple[str, str], int] = {}
        for unit, value in zip(units, values, strict=True):
            if value[1] and value in seen:
                raise ProvisionError(
                    f"{path}: line {unit.line}: {column}: the same as in line {seen[value]}"
                )
            seen[value] = unit.line
