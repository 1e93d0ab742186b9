"""Products and devices from files. Secrets never come from the command line, which others see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tools.iot_platform.rules.names import Identity
from tools.iot_platform.store.registry import Registry


class SeedError(Exception):
    """A file, or a name on the command line, is not as expected; the text says where and how."""


def read_identity(text: str) -> Identity:
    """PRODUCTKEY/DEVICENAME. Raises SeedError."""
    product_key, slash, device_name = text.partition("/")
    if not slash or not product_key or not device_name:
        raise SeedError(f"{text!r}: expected PRODUCTKEY/DEVICENAME")
    return Identity(product_key, device_name)


def add_from_file(registry: Registry, path: Path) -> list[str]:
    """Adds what a JSON file names and the registry lacks; returns what was added, in words.

    The file is a product.json as on a board (one product), or a list of products:
    [{"productKey", "productSecret", "nodeType": "device" | "gateway", "dynamicRegistration",
    "registrationFree", "devices": ["name", {"deviceName", "deviceSecret"}]}]; all but productKey
    may be left out. Raises SeedError.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SeedError(f"{path}: {error.strerror}") from None
    except ValueError:
        raise SeedError(f"{path}: not JSON") from None
    entries = content if isinstance(content, list) else [content]
    added = []
    for entry in entries:
        if not isinstance(entry, dict):
            raise SeedError(f"{path}: expected an object or a list of objects")
        try:
            added += _add_product(registry, entry)
        except (ValueError, KeyError) as error:
            raise SeedError(f"{path}: {error.args[0]}") from None
    return added


def _add_product(registry: Registry, entry: dict[str, Any]) -> list[str]:
    product_key = _text(entry, "productKey")
    added = []
    if registry.find_product(product_key) is None:
        registry.add_product(
            product_key,
            _text(entry, "productSecret") if "productSecret" in entry else None,
            _flag(entry, "dynamicRegistration", True),
            node_type=_text(entry, "nodeType") if "nodeType" in entry else "device",
            registration_free=_flag(
                entry, "registrationFree", entry.get("registration") == "mqtt-free"
            ),
        )
        added.append(f"product {product_key}")
    devices = entry.get("devices", [])
    if not isinstance(devices, list):
        raise ValueError("devices: expected a list")
    for number, device in enumerate(devices, 1):
        if isinstance(device, str):
            device = {"deviceName": device}
        if not isinstance(device, dict):
            raise ValueError("devices: expected names, or objects with deviceName")
        try:
            name = Identity(product_key, _text(device, "deviceName"))
            secret = _text(device, "deviceSecret") if "deviceSecret" in device else None
            added += add_device(registry, name, secret)
        except ValueError as error:
            raise ValueError(f"devices: number {number}: {error}") from None
    return added


def add_device(registry: Registry, device: Identity, secret: str | None = None) -> list[str]:
    """Pre-registers a device unless it is there; returns what was added, in words.

    Raises KeyError (no such product), ValueError (outside the rules).
    """
    known = registry.find_device(*device)
    if known is not None and not known.deleted:
        return []
    registry.add_device(*device, secret)
    return [f"device {device}"]


def _text(entry: dict[str, Any], name: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name}: expected a non-empty string")
    return value


def _flag(entry: dict[str, Any], name: str, default: bool) -> bool:
    value = entry.get(name, default)
    if not isinstance(value, bool):
        raise ValueError(f"{name}: expected true or false")
    return value
