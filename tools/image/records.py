"""A board's JSON files: where they lie, how they are read and written, and their `check`.

What may be in them: `tools.image.rules`.
"""

from __future__ import annotations

import binascii
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.layout import ROOT

FOLDER = "ALIYUN_IOT_RECORDS"
"""Environment variable: the folder with product.json, wifi.json and device.json, if it is not the
repository's root."""
BOM = b"\xef\xbb\xbf"
"""What Windows editors put before UTF-8. The board's JSON reader refuses it."""


class RecordError(Exception):
    """One sentence that names the file, the field and what was expected; never a value."""


def standard_file(given: Path | None, name: str) -> Path | None:
    """The file named on the command line, or the one of that name that lies where it belongs."""
    standard = Path(os.environ.get(FOLDER) or ROOT) / name
    return given or (standard if standard.exists() else None)


class _TwiceError(Exception):
    """A member of an object that has another of its name; boards differ in which one counts."""


def _once_each(members: list[tuple[str, Any]]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for name, value in members:
        if name in record:
            raise _TwiceError(json.dumps(name))
        record[name] = value
    return record


def parse(file: str, content: bytes) -> dict[str, Any]:
    """The JSON object in `content`; `file` is its name in messages. Raises RecordError."""
    content = content.removeprefix(BOM)
    if not content.strip():
        raise RecordError(f"{file}: is empty; expected a JSON object")
    try:
        record = json.loads(content.decode("utf-8"), object_pairs_hook=_once_each)
    except _TwiceError as e:
        raise RecordError(f"{file}: {e} stands twice; expected it once") from None
    except UnicodeDecodeError:
        raise RecordError(f"{file}: is not UTF-8 text; save it as UTF-8") from None
    except json.JSONDecodeError as e:
        # The decoder's position, but none of the text: it may be a secret's.
        raise RecordError(
            f"{file}: is not JSON (line {e.lineno}, column {e.colno}: {e.msg})"
        ) from None
    except RecursionError:
        raise RecordError(f"{file}: brackets are nested too deeply") from None
    except ValueError:
        raise RecordError(f"{file}: holds a number that is too long") from None
    if not isinstance(record, dict):
        raise RecordError(f"{file}: expected a JSON object in braces")
    try:
        plain(record)
    except UnicodeEncodeError:
        raise RecordError(
            f"{file}: holds half of a character (a \\ud800 to \\udfff without the other half)"
        ) from None
    except RecursionError:
        raise RecordError(f"{file}: brackets are nested too deeply") from None
    return record


def plain(record: Mapping[str, Any]) -> bytes:
    """The record as JSON in UTF-8 without escapes beyond ASCII.

    An emoji that is escaped takes two halves, of which some releases of MicroPython make two
    characters. Raises UnicodeEncodeError where half of one is missing.
    """
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


def check_of(record: Mapping[str, Any]) -> str:
    """What `check` of a certificate must be: CRC-32, 8 lower-case hex digits.

    Over the UTF-8 of all other members, sorted by name, names and values spliced.
    """
    text = "".join(name + str(record[name]) for name in sorted(record) if name != "check")
    return f"{binascii.crc32(text.encode()):08x}"


def with_check(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with its `check`, as the tools write it."""
    return {**record, "check": check_of(record)}
