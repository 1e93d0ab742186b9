"""The list of devices as the vendor's console takes it: CSV, DeviceName in the first row.

`make provision`'s preregister.csv and the template of the vendor's console ("Batch Add", "Batch
Upload") both serve. Columns other than DeviceName are left alone.
"""

from __future__ import annotations

import csv
import io

from tools.iot_platform.console.errors import ApiError
from tools.iot_platform.rules.names import check_device_name

MOST_DEVICES = 10_000
_MOST_ERRORS = 20


def read_names(text: str) -> list[str]:
    """The DeviceNames of a list. Raises ApiError 400 with what is wrong, by line."""
    try:
        rows = _rows(text)
    except csv.Error as error:
        raise ApiError(400, f"not CSV: {error}", "csv") from None
    if not rows:
        raise ApiError(400, "empty; expected a first row with DeviceName", "csv")
    header = [_plain(cell) for cell in rows[0][1]]
    if header.count("devicename") != 1:
        raise ApiError(
            400, "line 1: expected the names of the columns, with DeviceName once", "csv"
        )
    column = header.index("devicename")
    names: dict[str, int] = {}
    errors: list[dict[str, object]] = []

    def wrong(line: int, message: str) -> None:
        errors.append({"line": line, "message": message})

    for line, row in rows[1:]:
        name = row[column].strip() if column < len(row) else ""
        try:
            check_device_name(name)
        except ValueError as error:
            wrong(line, str(error))
            continue
        if name in names:
            wrong(line, f"DeviceName: it is in line {names[name]} already")
            continue
        names[name] = line
    if errors:
        first = errors[0]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise ApiError(
            400,
            f"line {first['line']}: {first['message']}{more}; nothing was added",
            "csv",
            lines=errors[:_MOST_ERRORS],
        )
    if not names:
        raise ApiError(400, "no device below the first row", "csv")
    if len(names) > MOST_DEVICES:
        raise ApiError(400, f"{len(names)} devices; expected at most {MOST_DEVICES}", "csv")
    return list(names)


def _rows(text: str) -> list[tuple[int, list[str]]]:
    """The rows that are not empty, each with the number of its last line."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]


def _plain(cell: str) -> str:
    """A column's name without case and punctuation, as docs/factory.md reads them."""
    return "".join(c for c in cell.lower() if c.isalnum())
