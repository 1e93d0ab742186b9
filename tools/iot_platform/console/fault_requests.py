"""Requests on the fault switches of a device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any

from tools.iot_platform.console import fields
from tools.iot_platform.console.device_json import switch_json
from tools.iot_platform.console.errors import ApiError
from tools.iot_platform.console.surface import Hub
from tools.iot_platform.rules.names import Identity
from tools.iot_platform.store.entities import Device
from tools.iot_platform.store.switches import (
    FAULTS,
    MOST_SECONDS,
    MOST_TIMES,
    Switch,
)

PROBLEMS = ("other-ca", "self-signed", "expired", "not-yet-valid", "wrong-host")
"""What may be wrong with a certificate: `network.certificates.Problem` by another spelling."""
_SLOW_SECONDS = 10.0
_PATH = "devices/{productKey}/{deviceName}/faults"
_MEMBERS = {
    "lost": (),
    "slow": ("seconds",),
    "certificate": ("address", "problem"),
    "refuse": ("code",),
    "disconnect": ("seconds",),
}


class FaultRequests:
    """`handlers`: by method and path. find: the device that a path names."""

    def __init__(self, hub: Hub, find: Callable[[Mapping[str, str]], Device]) -> None:
        self._hub = hub
        self._find = find
        self.handlers = {
            ("GET", "faults"): self.all,
            ("GET", _PATH): self.list,
            ("POST", _PATH): self.set,
            ("POST", f"{_PATH}/clear"): self.clear,
        }

    def all(self, _: Mapping[str, str], query: Mapping[str, Any]) -> Any:
        """The devices with faults that are on, and what each fault does."""
        fields.only(query)
        items = [
            {
                "productKey": device.product_key,
                "deviceName": device.device_name,
                "faults": [switch_json(switch) for switch in switches],
            }
            for device, switches in self._hub.switches.all().items()
        ]
        return {"items": items, "about": dict(FAULTS)}

    def list(self, names: Mapping[str, str], query: Mapping[str, Any]) -> Any:
        """The faults of a device that are on."""
        fields.only(query)
        return self._list(self._find(names).identity)

    def set(self, names: Mapping[str, str], body: Mapping[str, Any]) -> Any:
        """Switches a fault on."""
        device = self._find(names).identity
        fault = fields.choice(body, "fault", FAULTS)
        fields.only(body, "fault", "times", *_MEMBERS[fault])
        times = fields.whole(body, "times", 1, 1, MOST_TIMES)
        usual = _SLOW_SECONDS if fault == "slow" else 0.0
        seconds = fields.number(body, "seconds", usual, 0, MOST_SECONDS)
        code = address = problem = None
        if fault == "refuse" and body.get("code") is not None:
            code = fields.whole(body, "code", None, 1, 9999)
            if code is not None and 256 < code < 400:
                raise ApiError(
                    400,
                    "expected a CONNACK code (1 to 255; 256: none is sent) or a result code of"
                    " a registration (400 and up)",
                    "code",
                )
        if fault == "certificate":
            address = self._address(device, body)
            problem = fields.choice(body, "problem", PROBLEMS, PROBLEMS[0])
        self._hub.switches.set(device, Switch(fault, times, seconds, code, address, problem))
        self._hub.record.add("admin", device, what=f"fault {fault} on")
        if fault == "disconnect" and not seconds and self._hub.online(device):
            self._hub.switches.take(device, "disconnect")
            self._hub.record.add("fault", device, what="disconnected")
            self._hub.disconnect(device)
        return self._list(device)

    def clear(self, names: Mapping[str, str], body: Mapping[str, Any]) -> Any:
        """Switches one fault off, or all of a device."""
        device = self._find(names).identity
        fields.only(body, "fault")
        fault = None
        if body.get("fault") is not None:
            fault = fields.choice(body, "fault", FAULTS)
        if self._hub.switches.clear(device, fault):
            self._hub.record.add("admin", device, what=f"fault {fault or 'switches'} off")
        return self._list(device)

    def _list(self, device: Identity) -> Any:
        return {"items": [switch_json(switch) for switch in self._hub.switches.of(device)]}

    def _address(self, device: Identity, body: Mapping[str, Any]) -> str:
        given = fields.optional(body, "address")
        if given is None:
            last = (self._hub.statuses.of(device).address or "").rpartition(":")[0]
            given = last.strip("[]")
        try:
            return str(ip_address(given))
        except ValueError:
            if body.get("address") is None:
                raise ApiError(
                    400,
                    "expected the IP address it will come from: it has not connected yet",
                    "address",
                ) from None
            raise ApiError(400, "expected an IP address", "address") from None
