"""Checks the JSON files before they are burned: one clear sentence, naming file and field.

The board checks again and says the same things; finding it out here is cheaper. Only what makes a
board useless is checked. Unknown members are refused, since they are nearly always misspelt.
"""

from __future__ import annotations

import ast
import difflib
import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tools.image.records import RecordError, check_of
from tools.layout import PACKAGE

_NAME_CHARACTERS = "[A-Za-z0-9@.:_-]"
_NAME_HELP = "expected letters, digits, hyphen, underscore, @ . :"
NAME = re.compile(_NAME_CHARACTERS + "{4,32}")
"""DeviceName: platform docs, "Create a device"."""

DEVICE = {
    "productKey": str,
    "deviceName": str,
    "deviceSecret": str,
    "clientId": str,
    "deviceToken": str,
    "oldSecret": str,
    "place": str,
    "check": str,
}
WIFI = {"ssid": str, "password": str, "networks": list, "ntpHost": str}
KINDS: dict[type, str] = {str: "text", list: "a list"}
REGIONS = (
    "cn-shanghai",
    "cn-beijing",
    "cn-shenzhen",
    "ap-southeast-1",
    "ap-northeast-1",
    "us-west-1",
    "us-east-1",
    "eu-central-1",
)
"""Platform docs, "Regions and zones"."""
_HOST = re.compile(r"(?!.*\.\.)[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?")
_PLACEHOLDER = re.compile(r"\.+|\*+|•+|…+|<[^>]*>")
"""What pages, this project's own too, show in a secret's place."""


def _fail(file: str, field: str, expected: str) -> RecordError:
    return RecordError(f'{file}: "{field}": {expected}')


def _unknown(file: str, field: str, known: Iterable[str]) -> RecordError:
    names = list(known)
    lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(field.lower(), lower, 1)
    hint = f'did you mean "{lower[near[0]]}"? Expected' if near else "expected"
    return _fail(file, field, f"unknown field; {hint} one of {', '.join(names)}")


def _check_fields(file: str, record: Mapping[str, Any], fields: Mapping[str, type]) -> None:
    for field, value in record.items():
        if field not in fields:
            raise _unknown(file, field, fields)
        kind = fields[field]
        if not isinstance(value, kind):
            raise _fail(file, field, f"expected {KINDS[kind]}")
        if kind is str and not value and field != "password":
            raise _fail(file, field, "must not be empty")


def _need(file: str, record: Mapping[str, Any], *fields: str) -> None:
    for field in fields:
        if field not in record:
            raise _fail(file, field, "is missing")


@dataclass(frozen=True)
class Field:
    """One field of product.json: what the device accepts."""

    kind: str
    least: int
    most: int

    def wrong(self, value: object) -> str | None:
        """What was expected, None if the value is good."""
        if self.kind == "bool":
            return None if isinstance(value, bool) else "expected true or false"
        if "|" in self.kind:
            choices = self.kind.split("|")
            good = not isinstance(value, bool) and str(value).lower() in choices
            return None if good else f"expected {' or '.join(choices)}"
        if self.kind == "int":
            good = type(value) is int and self.least <= value <= self.most
            return None if good else f"expected a whole number, {self.least} to {self.most}"
        if not isinstance(value, str):
            return "expected text"
        if not value and self.least:
            return "must not be empty"
        good = self.least <= len(value) <= self.most
        return None if good else f"expected {self.least} to {self.most} characters"


@functools.cache
def product_fields() -> dict[str, Field]:
    """The fields of product.json, read from the device's own table so that the two agree."""
    module = ast.parse((PACKAGE / "identity.py").read_text("utf-8"))
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_FIELDS":
            fields = {}
            assert isinstance(node.value, ast.Call)  # const(...)
            for line in str(ast.literal_eval(node.value.args[0])).strip().splitlines():
                name, kind, least, most, _ = line.split(" ")
                fields[name] = Field(kind, int(least), int(most))
            return fields
    raise RuntimeError("identity.py has no table _FIELDS")


def check_product(record: Mapping[str, Any], file: str = "product.json") -> None:
    """Check a product certificate with its options. Raises RecordError."""
    fields = product_fields()
    if "check" in record and record["check"] != check_of(record):
        raise _fail(file, "check", "does not fit the other fields; take it out after a change")
    for field, value in record.items():
        if field == "check":
            continue
        if field not in fields:
            raise _unknown(file, field, fields)
        wrong = fields[field].wrong(value)
        if wrong and not (field == "deviceName" and isinstance(value, str) and value):
            raise _fail(file, field, wrong)  # a DeviceName's own rule is below
    _need(file, record, "productKey")
    _check_key(file, "productKey", record["productKey"])
    if "productSecret" in record:
        _check_secret(file, "productSecret", record["productSecret"])
    for field in ("registerHost", "mqttHost"):
        _check_host(file, field, record)
    _check_endpoint(file, "bootstrapHost", record.get("bootstrapHost", "x"), "host or host:port")
    for spare in record.get("spares", "").split():
        if not _is_port(spare):
            _check_endpoint(file, "spares", spare, "ports, or host:port to register at")
    for field in ("region", "instanceId"):
        if field in record and not _LABEL.fullmatch(record[field]):
            raise _fail(
                file, field, "becomes a part of host names; expected letters, digits and hyphens"
            )
    name = record.get("deviceName", "mac")
    if name != "mac" and name.lower() == "mac":
        raise _fail(file, "deviceName", 'did you mean "mac", in lower case?')
    prefix = record.get("deviceNamePrefix", "")
    if not re.fullmatch(f"{_NAME_CHARACTERS}*", prefix):
        raise _fail(file, "deviceNamePrefix", _NAME_HELP)
    name = prefix + ("0" * 12 if name == "mac" else name)
    _check_name(file, "deviceName", name)


def product_remarks(record: Mapping[str, Any], file: str = "product.json") -> list[str]:
    """What is most likely a mistake in a product certificate that `check_product` lets pass."""
    region = record.get("region", REGIONS[0])
    if region in REGIONS:
        return []
    near = difflib.get_close_matches(region.lower(), REGIONS, 1)
    hint = f'; did you mean "{near[0]}"? Known' if near else "; known"
    return [f'{file}: "region": not a known region{hint}: {", ".join(REGIONS)}']


def check_complete(product: Mapping[str, Any] | None, device: Mapping[str, Any] | None) -> None:
    """Check that a board could register or connect with what it holds, as far as that is checked.

    Both as `check_product` and `check_device` accept them. Raises RecordError.
    """
    if device is not None or (product is not None and "productSecret" in product):
        return
    what = "productSecret" if product is not None else "productKey"
    raise _fail(
        "product.json",
        what,
        "is missing, and there is no device certificate either: a board could neither register "
        "nor connect (--incomplete lets it pass)",
    )


def check_device(record: Mapping[str, Any], file: str = "device.json") -> None:
    """Check a device certificate. Raises RecordError."""
    _check_fields(file, record, DEVICE)
    _need(file, record, "productKey", "deviceName")
    _check_key(file, "productKey", record["productKey"])
    _check_name(file, "deviceName", record["deviceName"])
    if "deviceSecret" in record:
        _check_secret(file, "deviceSecret", record["deviceSecret"])
    elif "clientId" not in record or "deviceToken" not in record:
        raise _fail(file, "deviceSecret", "is missing (or clientId with deviceToken)")
    if "check" in record and record["check"] != check_of(record):
        raise _fail(file, "check", "does not fit the other fields; expected their CRC-32")


def check_wifi(record: Mapping[str, Any], file: str = "wifi.json") -> None:
    """Check the Wi-Fi networks. Raises RecordError."""
    _check_fields(file, record, WIFI)
    _check_host(file, "ntpHost", record)
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
        if "\0" in network["ssid"]:
            raise _fail(place, "ssid", "holds a zero byte")
        password = network.get("password", "")
        # 64 hex digits are the key itself, which a passphrase is made into.
        if not (
            8 <= len(password.encode()) <= 63
            or password == ""
            or re.fullmatch("[0-9A-Fa-f]{64}", password)
        ):
            raise _fail(
                place,
                "password",
                "expected 8 to 63 bytes, a key of 64 hex digits, or none for an open network",
            )


def _check_key(file: str, field: str, value: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9]{1,20}", value):
        raise _fail(file, field, "expected 1 to 20 letters and digits")


def _check_secret(file: str, field: str, value: str) -> None:
    if _PLACEHOLDER.fullmatch(value):
        raise _fail(file, field, "a placeholder; expected the secret itself")
    if not re.fullmatch(r"[!-~]{1,64}", value):
        raise _fail(file, field, "expected 1 to 64 printable ASCII characters without spaces")


def _check_host(file: str, field: str, record: Mapping[str, Any]) -> None:
    value = record.get(field)
    if value is not None and not _HOST.fullmatch(value):
        raise _fail(
            file, field, "expected a host name alone: no https://, no port, no path, no blank"
        )


def _is_port(text: str) -> bool:
    return re.fullmatch("[0-9]{1,5}", text) is not None and 0 < int(text) < 65536


def _check_endpoint(file: str, field: str, value: str, expected: str) -> None:
    host, colon, port = value.partition(":")
    if not _HOST.fullmatch(host) or host.isdigit() or (colon and not _is_port(port)):
        raise _fail(file, field, f"expected {expected}")


def _check_name(file: str, field: str, value: str) -> None:
    if not NAME.fullmatch(value):
        raise _fail(
            file, field, "expected 4 to 32 characters: letters, digits, hyphen, underscore, @ . :"
        )
