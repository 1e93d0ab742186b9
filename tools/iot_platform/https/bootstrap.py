"""POST /auth/bootstrap: which MQTT host and port serve a device. Not signed.

Platform docs "Device distribution". The shape of the answer around `host` and `port` is not
documented; the platform's C SDK takes the first members of these names wherever they stand.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from tools.iot_platform.rules.behaviour import Behaviour
from tools.iot_platform.rules.codes import MESSAGES, Refusal
from tools.iot_platform.rules.instances import DEFAULT, Instance
from tools.iot_platform.rules.names import Identity, is_device_name, is_product_key
from tools.iot_platform.store.places import Places
from tools.iot_platform.store.registry import Registry

_REQUIRED = ("productKey", "deviceName", "clientId", "resources")
_NOWHERE = "nowhere.invalid"  # RFC 2606: no such host, ever


class Bootstrap:
    """Answers the question where a device is to connect."""

    def __init__(
        self,
        registry: Registry,
        places: Places,
        instances: Mapping[str, Instance],
        behaviour: Behaviour,
    ) -> None:
        """instances: by name, filled once their ports are known."""
        self._registry = registry
        self._places = places
        self._instances = instances
        self._behaviour = behaviour

    async def answer(self, fields: Mapping[str, str]) -> bytes:
        """The body of the answer; raises Refusal. Waits for ever where silence is asked for."""
        instance = self._find(fields)
        wrong = self._behaviour.bootstrap
        if wrong == "silence":
            await asyncio.Event().wait()
        if wrong == "refuse":
            raise Refusal(self._behaviour.bootstrap_refusal, "as Behaviour asks for")
        mqtt = {"host": instance.host, "port": str(instance.mqtt_tls_port)}
        if wrong in ("no host", "no port"):
            del mqtt[wrong.removeprefix("no ")]
        elif wrong == "empty host":
            mqtt["host"] = ""
        elif wrong == "another host":
            mqtt["host"] = _NOWHERE
        elif wrong == "port no number":
            mqtt["port"] = "mqtt"
        elif wrong == "port out of range":
            mqtt["port"] = "65536"
        data: dict[str, Any] = {"resources": {"mqtt": mqtt}}
        body = {"code": 200, "data": data, "message": MESSAGES[200]}
        whole = json.dumps(body, separators=(",", ":")).encode()
        return whole[:-2] if wrong == "not JSON" else whole

    def _find(self, fields: Mapping[str, str]) -> Instance:
        missing = [name for name in _REQUIRED if not fields.get(name)]
        if missing:
            raise Refusal(460, f"missing or empty: {', '.join(missing)}")
        if "mqtt" not in fields["resources"].split(","):
            raise Refusal(460, "resources: only mqtt is served")
        device = Identity(fields["productKey"], fields["deviceName"])
        if not is_product_key(device.product_key) or not is_device_name(device.device_name):
            raise Refusal(460, "productKey or deviceName outside the rules")
        if self._registry.find_product(device.product_key) is None:
            raise Refusal(6250)
        known = self._registry.find_device(*device)
        if known is None or known.deleted:
            raise Refusal(6100, "not pre-registered")
        name = self._places.instance_of(device)
        return self._instances.get(name) or self._instances[DEFAULT]
