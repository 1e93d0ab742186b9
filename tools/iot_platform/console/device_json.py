"""A device as the API shows it. Never with its secret."""

from __future__ import annotations

from typing import Any

from tools.iot_platform.console.advice import advice, meaning
from tools.iot_platform.console.surface import Hub
from tools.iot_platform.rules.names import Identity
from tools.iot_platform.store.entities import Device
from tools.iot_platform.store.statuses import Problem
from tools.iot_platform.store.switches import Switch


def identity_state(device: Device) -> str:
    """How far it has come; `inventory.IDENTITIES` says the same in SQL."""
    if device.activated:
        return "active"
    return "registered" if device.registrations else "never registered"


def names_json(identity: Identity | None) -> dict[str, str] | None:
    """ProductKey and DeviceName."""
    if identity is None:
        return None
    return {"productKey": identity.product_key, "deviceName": identity.device_name}


def device_json(hub: Hub, device: Device) -> dict[str, Any]:
    """A device in a list."""
    status = hub.statuses.of(device.identity)
    return {
        "productKey": device.product_key,
        "deviceName": device.device_name,
        "identity": identity_state(device),
        "connection": "online" if hub.online(device.identity) else "offline",
        "disabled": device.disabled,
        "registrations": device.registrations,
        "registrationOpen": not device.registration_closed,
        "activatedAt": device.activated_at,
        "lastAddress": status.address,
        "lastSeenAt": status.seen_at,
        "lastError": _problem_json(status.problem),
        "gateway": names_json(hub.topology.gateway_of(device.identity)),
        "faults": [switch_json(switch) for switch in hub.switches.of(device.identity)],
    }


def detail_json(hub: Hub, device: Device) -> dict[str, Any]:
    """A device with what a list leaves out."""
    product = hub.registry.product(device.product_key)
    return {
        **device_json(hub, device),
        "nodeType": product.node_type,
        "dynamicRegistration": product.dynamic_registration,
        "subdevices": hub.topology.count(device.identity),
        "clients": len(hub.registry.clients(*device.identity)),
    }


def switch_json(switch: Switch) -> dict[str, Any]:
    """A fault that is on; members that do not apply to it are left out."""
    shown: dict[str, Any] = {"fault": switch.fault, "times": switch.times}
    if switch.fault in ("slow", "disconnect"):
        shown["seconds"] = switch.seconds
    if switch.fault == "refuse":
        shown["code"] = switch.code
    if switch.fault == "certificate":
        shown |= {"address": switch.address, "problem": switch.problem}
    return shown


def _problem_json(problem: Problem | None) -> dict[str, Any] | None:
    if problem is None:
        return None
    return {
        "at": problem.at,
        "what": meaning(problem.kind, problem.code, problem.details),
        "advice": advice(problem.kind, problem.code, problem.details),
        "code": problem.code,
        "over": problem.over,
    }
