"""Tables as text: what office programs make of a CSV, and what is refused of it."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from tools.provision.errors import ProvisionError

_SAVE = 'save it as "CSV UTF-8 (comma delimited)"'
_NAMES = {";": "semicolons", "\t": "tabs"}


def read_rows(path: Path) -> list[list[str]]:
    """The rows of a CSV file in UTF-8, by line: row 0 is line 1; an empty line is an empty row.

    Lines end with CR, LF or CRLF, and with nothing else: a vertical tab or a line separator of
    Unicode is a character of its cell. Raises ProvisionError naming line and cure, OSError.
    """
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ProvisionError(f"{path}: is not UTF-8 text; {_SAVE}") from None
    if "\0" in text:
        raise ProvisionError(f"{path}: is not UTF-8 text (it holds NUL characters); {_SAVE}")
    lines = re.split(r"\r\n|\n|\r", text)
    while lines and not lines[-1]:
        lines.pop()
    rows = [_row(path, number, line) for number, line in enumerate(lines, 1)]
    _check_delimiter(path, rows)
    return rows


def _row(path: Path, number: int, line: str) -> list[str]:
    # Each line for itself: an open quotation mark must not swallow the units after it.
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error:
        raise ProvisionError(
            f"{path}: line {number}: expected values between commas, quotation marks closed on "
            "the same line"
        ) from None


def _check_delimiter(path: Path, rows: list[list[str]]) -> None:
    """Commas it must be: what stands between semicolons or tabs would be one value."""
    wide = max((len(row) for row in rows), default=0)
    for number, row in enumerate(rows, 1):
        if len(row) != 1 or (number > 1 and wide == 1):
            continue
        for delimiter, name in _NAMES.items():
            if delimiter in row[0]:
                raise ProvisionError(
                    f"{path}: line {number}: the values stand between {name}; expected commas: "
                    f"{_SAVE}, or replace the {name}"
                )
