"""Every secret there is, and whether one can be seen where none may ever be."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from collections.abc import Callable
from typing import Any

from tools.iot_platform import LocalPlatform

_PART = 12
"""Characters of a secret, in any form, that make a hit: a truncated line must not hide one."""
_SHORTEST = 8


class Leak(AssertionError):
    """A secret was seen. The text says which one and where, and does not repeat it."""


class Secrets:
    """Knows all secrets of a bench, also those that the platform replaced long ago."""

    def __init__(self) -> None:
        self._parts: dict[bytes, str] = {}  # of _PART bytes each -> whose
        self._short: dict[bytes, str] = {}  # secrets that are shorter than that, whole
        self._lock = threading.Lock()

    def add(self, name: str, value: str, every: int = 1) -> None:
        """Remember a secret; name: what it is, for the report.

        every: how far apart the parts begin that are looked for; the whole is always found.
        Raises ValueError for one of less than 8 characters: too much would look like it.
        """
        plain = value.encode()
        if len(plain) < _SHORTEST:
            raise ValueError(f"{name}: expected {_SHORTEST} bytes or more")
        if len(plain) < _PART:
            with self._lock:
                whole = base64.b64encode(plain[: len(plain) // 3 * 3])
                self._short |= dict.fromkeys((plain, plain.hex().encode(), whole), name)
            return
        parts = []
        for start in range(0, len(plain) - _PART + 1, every):
            part = plain[start : start + _PART]
            parts += [part, part.hex().encode()[:_PART], part.hex().upper().encode()[:_PART]]
        for start in range(0, len(plain) - 8, every):  # base64 of whatever it stands in
            parts.append(base64.b64encode(plain[start : start + 9]))
        with self._lock:
            for part in parts:
                self._parts.setdefault(part, name)

    def add_device(self, product_key: str, device_name: str, secret: str) -> None:
        """Remember a DeviceSecret, and the MQTT passwords that follow from it, by signMethod."""
        self.add("DeviceSecret", secret, every=4)
        client = f"{product_key}.{device_name}"
        text = f"clientId{client}deviceName{device_name}productKey{product_key}"
        for digest in (hashlib.sha256, hashlib.sha1, hashlib.md5):
            password = hmac.new(secret.encode(), text.encode(), digest).hexdigest()
            self.add("MQTT password", password, every=16)

    def watch(self, platform: LocalPlatform) -> None:
        """Remember whatever secret the platform makes from now on."""
        registry: Any = platform.registry

        def watched(name: str, note: Callable[[Any], None]) -> None:
            function = getattr(registry, name)

            def call(*arguments: Any, **named: Any) -> Any:
                made = function(*arguments, **named)
                note(made)
                return made

            setattr(registry, name, call)

        def note_device(device: Any) -> None:
            self.add_device(device.product_key, device.device_name, device.device_secret)

        watched("issue_secret", note_device)
        watched("add_device", note_device)  # add_devices calls it
        watched("issue_client", lambda made: self.add("deviceToken", made.device_token, every=4))
        watched("add_product", lambda made: self.add("ProductSecret", made.product_secret))

    def seen_in(self, text: str | bytes) -> list[str]:
        """Names of the secrets of which `text` shows a part: as it is, in hex, or in base64."""
        data = text.encode() if isinstance(text, str) else text
        found: dict[str, None] = {}
        with self._lock:
            for at in range(len(data) - _PART + 1):
                name = self._parts.get(data[at : at + _PART])
                if name is not None:
                    found[name] = None
            for form, name in self._short.items():
                if form in data:
                    found[name] = None
        return list(found)
