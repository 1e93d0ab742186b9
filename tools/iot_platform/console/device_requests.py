"""Requests on devices: list, add, import, show, and what an operator does to one."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from tools.iot_platform.console import fields, inventory
from tools.iot_platform.console.csv_list import read_names
from tools.iot_platform.console.device_json import detail_json, device_json
from tools.iot_platform.console.errors import ApiError
from tools.iot_platform.console.fault_requests import FaultRequests
from tools.iot_platform.console.paging import page_json, read_page
from tools.iot_platform.console.surface import Hub
from tools.iot_platform.rules.limits import PAYLOAD_BYTES
from tools.iot_platform.rules.names import (
    Identity,
    check_device_name,
    check_secret,
    topic_problem,
)
from tools.iot_platform.store.entities import Device

Names = Mapping[str, str]
_ONE = "devices/{productKey}/{deviceName}"


def read_identity(text: str, name: str) -> Identity:
    """PK/DN of a query. Raises ApiError."""
    product_key, slash, device_name = text.partition("/")
    if not (slash and product_key and device_name) or "/" in device_name:
        raise ApiError(400, "expected ProductKey/DeviceName", name)
    return Identity(product_key, device_name)


class DeviceRequests:
    """`handlers`: by method and path."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.faults = FaultRequests(hub, self.device)
        self.handlers = {
            ("GET", "devices"): self.list,
            ("POST", "devices"): self.add,
            ("POST", "devices/import"): self.add_list,
            ("GET", _ONE): self.show,
            ("POST", f"{_ONE}/secret"): self.secret,
            ("POST", f"{_ONE}/reset"): self.reset,
            ("POST", f"{_ONE}/disable"): lambda names, body: self.disable(names, body, True),
            ("POST", f"{_ONE}/enable"): lambda names, body: self.disable(names, body, False),
            ("POST", f"{_ONE}/delete"): self.delete,
            ("POST", f"{_ONE}/disconnect"): self.disconnect,
            ("POST", f"{_ONE}/unbind"): self.unbind,
            ("POST", f"{_ONE}/publish"): self.publish,
            **self.faults.handlers,
        }

    def device(self, names: Names) -> Device:
        """The device a path names. Raises ApiError 404."""
        device = self._hub.registry.find_device(names["productKey"], names["deviceName"])
        if device is None or device.deleted:
            given = f"{names['productKey'][:64]}/{names['deviceName'][:64]}"
            raise ApiError(404, f"no device {given}", "deviceName")
        return device

    def list(self, _: Names, query: Mapping[str, Any]) -> Any:
        """A page of devices, by ProductKey and DeviceName."""
        fields.only(
            query,
            *("product", "search", "identity", "connection", "disabled", "failing", "gateway"),
            *("offset", "limit"),
        )
        offset, limit = read_page(query)
        gateway = query.get("gateway")
        wanted = inventory.Wanted(
            product_key=query.get("product"),
            search=query.get("search"),
            identity=fields.query_choice(query, "identity", inventory.IDENTITIES),
            connection=fields.query_choice(query, "connection", inventory.CONNECTIONS),
            disabled=fields.query_flag(query, "disabled"),
            failing=fields.query_flag(query, "failing") or False,
            gateway=None if gateway is None else read_identity(gateway, "gateway"),
        )
        online = self._hub.online_devices() if wanted.connection else set()
        found, total = inventory.find(self._hub.database, wanted, online, offset, limit)
        items = [device_json(self._hub, self._hub.registry.device(*name)) for name in found]
        return page_json(items, total, offset, limit)

    def show(self, names: Names, query: Mapping[str, Any]) -> Any:
        """One device."""
        fields.only(query)
        return detail_json(self._hub, self.device(names))

    def add(self, _: Names, body: Mapping[str, Any]) -> Any:
        """Pre-registers a device; with a DeviceSecret for one that has its own already."""
        fields.only(body, "productKey", "deviceName", "deviceSecret")
        product_key = self._product_key(body)
        name = fields.checked("deviceName", check_device_name, fields.text(body, "deviceName"))
        secret = fields.optional(body, "deviceSecret")
        if secret is not None:
            fields.checked("deviceSecret", lambda text: check_secret("DeviceSecret", text), secret)
        old = self._hub.registry.find_device(product_key, name)
        if old is not None and not old.deleted:
            raise ApiError(409, f"device {product_key}/{name} exists already", "deviceName")
        device = self._hub.registry.add_device(product_key, name, secret)
        self._hub.record.add("admin", device.identity, what="add")
        return detail_json(self._hub, device)

    def add_list(self, _: Names, body: Mapping[str, Any]) -> Any:
        """Pre-registers the devices of a CSV list, all of it or none."""
        fields.only(body, "productKey", "csv")
        product_key = self._product_key(body)
        names = read_names(fields.text(body, "csv"))
        known = {device.device_name for device in self._hub.registry.devices(product_key)}
        new = [name for name in names if name not in known]
        self._hub.registry.add_devices(product_key, new)
        if new:
            self._hub.record.add("admin", (product_key, None), what=f"add {len(new)} devices")
        return {"added": len(new), "thereAlready": len(names) - len(new)}

    def secret(self, names: Names, body: Mapping[str, Any]) -> Any:
        """The DeviceSecret of one device."""
        fields.only(body)
        device = self.device(names)
        self._hub.record.add("admin", device.identity, what="show DeviceSecret")
        return {"deviceSecret": device.device_secret}

    def reset(self, names: Names, body: Mapping[str, Any]) -> Any:
        """Opens dynamic registration again, as ResetThing."""
        fields.only(body)
        identity = self.device(names).identity
        self._hub.reset(identity)
        self._hub.statuses.forget(identity)
        return self.show(names, {})

    def disable(self, names: Names, body: Mapping[str, Any], disabled: bool) -> Any:
        """Disables a device, or enables it again."""
        fields.only(body)
        self._hub.set_disabled(self.device(names).identity, disabled)
        return self.show(names, {})

    def delete(self, names: Names, body: Mapping[str, Any]) -> Any:
        """Deletes a device."""
        fields.only(body)
        self._hub.delete(self.device(names).identity)
        return {"deleted": True}

    def disconnect(self, names: Names, body: Mapping[str, Any]) -> Any:
        """Closes a device's connection."""
        fields.only(body)
        return {"disconnected": self._hub.disconnect(self.device(names).identity)}

    def unbind(self, names: Names, body: Mapping[str, Any]) -> Any:
        """Takes a sub-device from its gateway."""
        fields.only(body)
        identity = self.device(names).identity
        if self._hub.topology.gateway_of(identity) is None:
            raise ApiError(409, f"{identity} belongs to no gateway", "deviceName")
        self._hub.unbind(identity)
        self._hub.record.add("admin", identity, what="unbind")
        return self.show(names, {})

    def publish(self, names: Names, body: Mapping[str, Any]) -> Any:
        """Sends a message to a device."""
        fields.only(body, "topic", "payload", "encoding", "qos")
        identity = self.device(names).identity
        topic = fields.text(body, "topic")
        wrong = topic_problem(topic)
        if "+" in topic or "#" in topic or "\0" in topic:
            wrong = "no wildcards and no NUL"
        if wrong:
            raise ApiError(400, f"expected a topic name: {wrong}", "topic")
        payload = _payload(body)
        qos = fields.whole(body, "qos", 0, 0, 1)
        was_online = self._hub.online(identity)
        before = self._hub.record.last
        if self._hub.publish(identity, topic, payload, qos or 0):
            return {"sent": True, "queued": not was_online}
        (why,) = self._hub.record.events("undelivered", *identity, after=before)
        return {"sent": False, "reason": why.details["reason"]}

    def _product_key(self, body: Mapping[str, Any]) -> str:
        product_key = fields.text(body, "productKey")
        if self._hub.registry.find_product(product_key) is None:
            raise ApiError(404, f"no product {product_key[:64]}", "productKey")
        return product_key


def _payload(body: Mapping[str, Any]) -> bytes:
    text = fields.text(body, "payload", "")
    encoding = fields.choice(body, "encoding", ("text", "hex", "base64"), "text")
    try:
        if encoding == "hex":
            payload = bytes.fromhex(text)
        elif encoding == "base64":
            payload = b64decode(text, validate=True)
        else:
            payload = text.encode()
    except (ValueError, binascii.Error):  # a lone surrogate is a ValueError, too
        raise ApiError(400, f"expected {encoding}", "payload") from None
    if len(payload) > PAYLOAD_BYTES:
        raise ApiError(400, f"{len(payload)} bytes; expected at most {PAYLOAD_BYTES}", "payload")
    return payload
