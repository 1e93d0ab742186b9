"""Every secret there is, and whether one can be seen where none may ever be."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from collections.abc import Callable
from typing import Any

from tools.iot_platform import LocalPlatform

_BEGINNING = 8


class Secrets:
    """Knows all secrets of a bench, also those that the platform replaced long ago."""

    def __init__(self) -> None:
        self._forms: dict[bytes, list[tuple[bytes, str]]] = {}  # by how a form begins
        self._lock = threading.Lock()

    def add(self, name: str, value: str) -> None:
        """Remember a secret of 8 bytes or more; name: what it is, for the report."""
        plain = value.encode()
        with self._lock:
            for form in (plain, plain.hex().encode(), base64.b64encode(plain).rstrip(b"=")):
                entries = self._forms.setdefault(form[:_BEGINNING], [])
                if (form, name) not in entries:
                    entries.append((form, name))

    def add_device(self, product_key: str, device_name: str, secret: str) -> None:
        """Remember a DeviceSecret, and the MQTT password that follows from it."""
        self.add("DeviceSecret", secret)
        client = f"{product_key}.{device_name}"
        text = f"clientId{client}deviceName{device_name}productKey{product_key}"
        password = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        self.add("MQTT password", password)

    def watch(self, platform: LocalPlatform) -> None:
        """Remember whatever secret the platform makes from now on."""
        registry: Any = platform.registry
        issue_secret, issue_client = registry.issue_secret, registry.issue_client
        add_device, add_product = registry.add_device, registry.add_product

        def watched(function: Callable[..., Any], note: Callable[[Any], None]) -> Any:
            def call(*arguments: Any, **named: Any) -> Any:
                made = function(*arguments, **named)
                note(made)
                return made

            return call

        def note_device(device: Any) -> None:
            self.add_device(device.product_key, device.device_name, device.device_secret)

        registry.issue_secret = watched(issue_secret, note_device)
        registry.add_device = watched(add_device, note_device)
        registry.issue_client = watched(
            issue_client, lambda made: self.add("deviceToken", made.device_token)
        )
        registry.add_product = watched(
            add_product, lambda made: self.add("ProductSecret", made.product_secret)
        )

    def seen_in(self, text: str | bytes) -> list[str]:
        """Names of the secrets that `text` shows: as they are, in hex, or in base64."""
        data = text.encode() if isinstance(text, str) else text
        found: dict[str, None] = {}
        with self._lock:
            for at in range(len(data) - _BEGINNING + 1):
                for form, name in self._forms.get(data[at : at + _BEGINNING], ()):
                    if data.startswith(form, at):
                        found[name] = None
        return list(found)
