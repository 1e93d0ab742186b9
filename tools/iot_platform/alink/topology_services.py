"""Gateway requests on /sys: registration of sub-devices and topology.

The specification's "Dynamically register a sub-device"; platform docs "Manage topological
relationships". Where the documents say nothing about a batch with one bad entry, the whole batch
is refused.
"""

from __future__ import annotations

from typing import Any

from tools.iot_platform.alink.gateway import Gateways, names, read_list, read_names, read_texts
from tools.iot_platform.mqtt.session import Session
from tools.iot_platform.rules.codes import MESSAGES, Refusal
from tools.iot_platform.rules.names import Identity
from tools.iot_platform.rules.signing import sign_method, verify
from tools.iot_platform.store.entities import Device
from tools.iot_platform.store.registration import Registration

_PROXY_FIELDS = ("productKey", "deviceName", "random", "sign", "signMethod")


class TopologyServices:
    """Handlers; each takes the gateway's session and the params and returns the data."""

    def __init__(self, gateways: Gateways, registration: Registration) -> None:
        self._gateways = gateways
        self._registry = gateways.registry
        self._topology = gateways.topology
        self._behaviour = gateways.behaviour
        self._registration = registration
        gateways.handlers |= {
            "/sys/thing/sub/register": self.register,
            "/sys/thing/sub/unregister": self.unregister,
            "/sys/thing/proxy/provisioning/product_register": self.product_register,
            "/sys/thing/topo/add": self.add,
            "/sys/thing/topo/delete": self.delete,
            "/sys/thing/topo/get": self.get,
            "/sys/thing/list/found": self.found,
        }

    def register(self, session: Session, params: Any) -> Any:
        """thing/sub/register: pre-registered sub-devices, by name only."""
        gateway = self._gateway(session)
        entries = read_list(params, self._behaviour.register_batch)
        good: list[Device] = []
        for entry in entries:
            subdevice = read_names(entry)
            try:
                good.append(self._may_register(gateway, subdevice))
            except Refusal:
                if not self._behaviour.partial_batches or subdevice == gateway:
                    raise
        data = []
        for device in good:
            fresh = self._behaviour.new_secret_each_registration
            device = self._registry.issue_secret(device.identity, fresh)
            self._gateways.record.add("register", device.identity, 200, via="gateway")
            data.append(
                {
                    "iotId": device.iot_id,
                    "deviceSecret": device.device_secret,
                    "productKey": device.product_key,
                    "deviceName": device.device_name,
                }
            )
        return data

    def _may_register(self, gateway: Identity, subdevice: Identity) -> Device:
        if subdevice == gateway:
            raise Refusal(6402)
        product = self._registry.find_product(subdevice.product_key)
        if product is None:
            raise Refusal(5005)
        if not product.dynamic_registration:
            raise Refusal(6288)
        device = self._device(subdevice)
        if device.disabled:
            raise Refusal(6204)
        if self._topology.gateway_of(subdevice) not in (None, gateway):
            raise Refusal(6619)
        self._registration.check_open(device, through_gateway=True)
        return device

    def product_register(self, session: Session, params: Any) -> Any:
        """thing/proxy/provisioning/product_register: with the sub-devices' ProductSecret.

        It takes a sub-device over from the gateway it belonged to.
        """
        gateway = self._gateway(session)
        proxieds = params.get("proxieds") if isinstance(params, dict) else None
        successes, failures = [], []
        for entry in read_list(proxieds, self._behaviour.register_batch):
            subdevice = read_names(entry)
            try:
                if subdevice == gateway:
                    raise Refusal(6402)
                fields = read_texts(entry, *_PROXY_FIELDS)
                device = self._registration.register(fields, through_gateway=True)
            except Refusal as refusal:
                detail = {"code": refusal.code, "message": refusal.message}
                failures.append({**names(subdevice), "errorDetail": detail})
                self._note(subdevice, refusal.code, refusal.why)
                continue
            self._note(subdevice, 200)
            if self._topology.gateway_of(subdevice) not in (None, gateway):
                self._gateways.unbind(subdevice, notice=427)
            successes.append({**names(subdevice), "deviceSecret": device.device_secret})
        return {"successes": successes, "failures": failures}

    def _note(self, subdevice: Identity, code: int, reason: str | None = None) -> None:
        self._gateways.record.add("register", subdevice, code, via="gateway-proxy", reason=reason)

    def unregister(self, session: Session, params: Any) -> Any:
        """thing/sub/unregister (old): deletes sub-devices of this gateway."""
        for subdevice in self._own(session, params):
            self._gateways.force_offline(subdevice, 521)
            self._registry.delete(subdevice)
            self._gateways.forget(subdevice)
        return {}

    def add(self, session: Session, params: Any) -> Any:
        """thing/topo/add: signed with each sub-device's DeviceSecret."""
        gateway = self._gateway(session)
        entries = read_list(params)
        subdevices = [read_names(entry) for entry in entries]
        for subdevice, entry in zip(subdevices, entries, strict=True):
            if subdevice == gateway:
                raise Refusal(6402)
            device = self._device(subdevice)
            if device.disabled:
                raise Refusal(6204)
            check_sign(device, entry, entry, self._behaviour.lenient_spelling, wrong=401)
        others = {s: self._topology.gateway_of(s) for s in subdevices}
        new = [s for s, owner in others.items() if owner != gateway]
        if self._topology.count(gateway) + len(new) > self._behaviour.subdevices_per_gateway:
            raise Refusal(6400)
        for subdevice in new:
            if others[subdevice] is not None:
                self._gateways.unbind(subdevice)
        self._topology.bind(gateway, new)
        return {}

    def delete(self, session: Session, params: Any) -> Any:
        """thing/topo/delete: also logs the sub-devices out."""
        subdevices = self._own(session, params)
        self._topology.unbind(subdevices)
        for subdevice in subdevices:
            self._gateways.set_offline(subdevice, MESSAGES[6401])
        return {}

    def get(self, session: Session, params: Any) -> Any:
        """thing/topo/get."""
        gateway = self._gateway(session)
        data = [names(subdevice) for subdevice in self._topology.subdevices(gateway)]
        if self._behaviour.topology_reply_with_secret:
            for entry in data:
                device = self._registry.device(entry["productKey"], entry["deviceName"])
                entry["deviceSecret"] = device.device_secret
        return data

    def found(self, session: Session, params: Any) -> Any:
        """thing/list/found: devices the gateway came across."""
        self._gateway(session)
        if not isinstance(params, list) or not params:
            raise Refusal(460, "params is no list, or an empty one")
        for entry in params:
            texts = read_texts(entry if isinstance(entry, dict) else {}, "productKey")
            if self._registry.find_product(texts["productKey"]) is None:
                raise Refusal(6250)
            try:
                read_names(entry)
            except Refusal:
                raise Refusal(6280) from None
        return {}

    def _gateway(self, session: Session) -> Identity:
        product = self._registry.product(session.identity.product_key)
        if product.node_type != "gateway":
            raise Refusal(6203, "the product's node type is not gateway")
        return session.identity

    def _device(self, identity: Identity) -> Device:
        device = self._registry.find_device(*identity)
        if device is None or device.deleted:
            raise Refusal(6100, f"no device {identity}")
        return device

    def _own(self, session: Session, params: Any) -> list[Identity]:
        gateway = self._gateway(session)
        subdevices = [read_names(entry) for entry in read_list(params)]
        for subdevice in subdevices:
            self._device(subdevice)
            if self._topology.gateway_of(subdevice) != gateway:
                raise Refusal(6401)
        return subdevices


def check_sign(
    device: Device, entry: dict[str, Any], methods: dict[str, Any], lenient: bool, wrong: int
) -> None:
    """The sign of topo/add and of logins: clientId, names and timestamp with the DeviceSecret.

    methods: where the method is named, as signMethod or signmethod (sources differ); wrong: the
    code for a sign that does not fit. Raises Refusal with it, or 460.
    """
    signed = read_texts(entry, "clientId", "deviceName", "productKey", "timestamp")
    given = read_texts(entry, "sign")["sign"]
    method = sign_method(methods.get("signmethod") or methods.get("signMethod"), lenient)
    if method is None:
        raise Refusal(460, "signmethod is missing or not supported")
    if not verify(method, device.device_secret, signed, given):
        raise Refusal(wrong)
