"""Checks the JSON files before they are burned: one clear sentence, naming file and field.

The board checks again and says the same things; finding it out here is cheaper. Only what makes a
board useless is checked: unknown members are named, since they are nearly always misspelt.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Mapping
from typing import Any

NAME = re.compile(r"[A-Za-z0-9@.:_-]{4,32}")
"""DeviceName: platform docs, "Create a device"."""

PRODUCT = {
    "productKey": str,
    "productSecret": str,
    "deviceName": str,
    "deviceNamePrefix": str,
    "signMethod": str,
    "region": str,
    "instanceId": str,
    "registerHost": str,
    "registerPort": int,
    "mqttHost": str,
    "mqttPort": int,
    "securemode": int,
    "roots": str,
    "keepalive": int,
    "forgetProductSecret": bool,
    "registration": str,
}
CHOICES: dict[str, tuple[object, ...]] = {
    "signMethod": ("hmacmd5", "hmacsha1", "hmacsha256"),
    "securemode": (2, 3),
    "registration": ("https", "mqtt", "mqtt-free"),
}
DEVICE = {
    "productKey": str,
    "deviceName": str,
    "deviceSecret": str,
    "clientId": str,
    "deviceToken": str,
    "check": str,
}
WIFI = {"ssid": str, "password": str, "networks": list, "ntpHost": str}
KINDS = {str: "text", int: "a whole number", bool: "true or false", list: "a list"}


class RecordError(Exception):
    """One sentence that names the file, the field and what was expected; never a value."""


def _fail(file: str, field: str, expected: str) -> RecordError:
    return RecordError(f'{file}: "{field}": {expected}')


def parse(file: str, content: bytes) -> dict[str, Any]:
    """The JSON object in `content`; `file` is its name in messages. Raises RecordError."""
    if not content.strip():
        raise RecordError(f"{file}: is empty; expected a JSON object")
    try:
        record = json.loads(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise RecordError(f"{file}: is not UTF-8 text") from None
    except json.JSONDecodeError as e:
        # The decoder's position, but none of the text: it may be a secret's.
        raise RecordError(
            f"{file}: is not JSON (line {e.lineno}, column {e.colno}: {e.msg})"
        ) from None
    if not isinstance(record, dict):
        raise RecordError(f"{file}: expected a JSON object in braces")
    return record


def _check_fields(file: str, record: Mapping[str, Any], fields: Mapping[str, type]) -> None:
    for field, value in record.items():
        if field not in fields:
            known = ", ".join(fields)
            raise _fail(file, field, f"unknown field; expected one of {known}")
        kind = fields[field]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise _fail(file, field, f"expected {KINDS[kind]}")
        if kind is str and not value and field not in ("password", "deviceNamePrefix"):
            raise _fail(file, field, "must not be empty")
        if field.endswith("Port") and not 0 < int(str(value)) < 65536:
            raise _fail(file, field, "expected a port, 1 to 65535")


def _need(file: str, record: Mapping[str, Any], *fields: str) -> None:
    for field in fields:
        if field not in record:
            raise _fail(file, field, "is missing")


def check_product(record: Mapping[str, Any], file: str = "product.json") -> None:
    """Check a product certificate with its options. Raises RecordError."""
    _check_fields(file, record, PRODUCT)
    _need(file, record, "productKey")
    _check_key(file, "productKey", record["productKey"])
    if "productSecret" in record:
        _check_key(file, "productSecret", record["productSecret"])
    for field, choices in CHOICES.items():
        value = record.get(field, choices[0])
        if (value.lower() if isinstance(value, str) else value) not in choices:
            raise _fail(file, field, f"expected one of {', '.join(map(str, choices))}")
    if not 30 <= record.get("keepalive", 60) <= 1200:
        raise _fail(file, "keepalive", "expected 30 to 1200 seconds")
    name = record.get("deviceName", "mac")
    name = record.get("deviceNamePrefix", "") + ("0" * 12 if name == "mac" else name)
    _check_name(file, "deviceName", name)


def check_device(record: Mapping[str, Any], file: str = "device.json") -> None:
    """Check a device certificate. Raises RecordError."""
    _check_fields(file, record, DEVICE)
    _need(file, record, "productKey", "deviceName")
    _check_key(file, "productKey", record["productKey"])
    _check_name(file, "deviceName", record["deviceName"])
    if "deviceSecret" in record:
        _check_key(file, "deviceSecret", record["deviceSecret"])
    elif "clientId" not in record or "deviceToken" not in record:
        raise _fail(file, "deviceSecret", "is missing (or clientId with deviceToken)")
    if "check" in record and record["check"] != check_of(record):
        raise _fail(file, "check", "does not fit the other fields; expected their CRC-32")


def check_wifi(record: Mapping[str, Any], file: str = "wifi.json") -> None:
    """Check the Wi-Fi networks. Raises RecordError."""
    _check_fields(file, record, WIFI)
    networks = record.get("networks", [record] if "ssid" in record else [])
    if not networks:
        raise _fail(file, "ssid", "is missing (or a list of networks)")
    for number, network in enumerate(networks, 1):
        place = file if network is record else f"{file}: network {number}"
        if not isinstance(network, dict):
            raise RecordError(f"{place}: expected an object with ssid and password")
        if network is not record:
            _check_fields(place, network, {"ssid": str, "password": str})
        _need(place, network, "ssid")
        if len(network["ssid"].encode()) > 32:
            raise _fail(place, "ssid", "longer than 32 bytes")
        password = len(network.get("password", "").encode())
        if password and not 8 <= password <= 64:
            raise _fail(place, "password", "expected 8 to 64 bytes, or none for an open network")


def check_of(record: Mapping[str, Any]) -> str:
    """What `check` of a device certificate must be: CRC-32, 8 lower-case hex digits.

    Over the UTF-8 of all other members, sorted by name, names and values spliced.
    """
    text = "".join(name + str(record[name]) for name in sorted(record) if name != "check")
    return f"{binascii.crc32(text.encode()):08x}"


def _check_key(file: str, field: str, value: str) -> None:
    if not re.fullmatch(r"[!-~]{1,64}", value):
        raise _fail(file, field, "expected 1 to 64 printable ASCII characters without spaces")


def _check_name(file: str, field: str, value: str) -> None:
    if not NAME.fullmatch(value):
        raise _fail(
            file, field, "expected 4 to 32 characters: letters, digits, hyphen, underscore, @ . :"
        )
