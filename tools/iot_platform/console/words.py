"""What the API answers, as lines for a terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from tools.command import count


def product_line(product: Mapping[str, Any]) -> str:
    """A product in a list."""
    switch = "on" if product["dynamicRegistration"] else "off"
    free = ", without pre-registration too" if product["registrationFree"] else ""
    devices = count(product["devices"], "device")
    return (
        f"{product['productKey']:<20} {product['nodeType']:<8} {devices},"
        f" dynamic registration {switch}{free}"
    )


def device_line(device: Mapping[str, Any]) -> str:
    """A device in a list."""
    facts = [device["connection"], device["identity"]]
    if device["disabled"]:
        facts.append("disabled")
    if device["gateway"]:
        facts.append(f"under {pair(device['gateway'])}")
    if device["faults"]:
        facts.append("faults: " + " ".join(f["fault"] for f in device["faults"]))
    error = device["lastError"]
    if error and not error["over"]:
        facts.append(f"error: {shown(error['what'])}")
    return f"{pair(device):<40} {', '.join(facts)}"


def device_lines(device: Mapping[str, Any]) -> str:
    """All there is to know of a device."""
    error = device["lastError"]
    rows = [
        ("device", pair(device)),
        ("identity", device["identity"]),
        ("connection", device["connection"] + (", disabled" if device["disabled"] else "")),
        ("registrations", str(device["registrations"])),
        ("may register", "yes" if device["registrationOpen"] else "no: reset it first"),
        ("last address", device["lastAddress"] or "none yet"),
        ("last seen", clock(device["lastSeenAt"])),
    ]
    if device["gateway"]:
        rows.append(("gateway", pair(device["gateway"])))
    if device["subdevices"]:
        rows.append(("sub-devices", str(device["subdevices"])))
    if error:
        over = "; it got through since" if error["over"] else ""
        rows.append(("last error", f"{clock(error['at'])} {shown(error['what'])}{over}"))
        if error["advice"] and not error["over"]:
            rows.append(("what to do", error["advice"]))
    rows += [("fault", fault_words(fault)) for fault in device["faults"]]
    return "\n".join(f"{name:<14} {value}" for name, value in rows)


def fault_words(fault: Mapping[str, Any]) -> str:
    """A fault that is on."""
    times = "until switched off" if fault["times"] is None else count(fault["times"], "time")
    more = [
        f"{name} {value}"
        for name, value in fault.items()
        if name not in ("fault", "times") and value is not None
    ]
    return ", ".join([fault["fault"], times, *more])


def event_line(event: Mapping[str, Any]) -> str:
    """One line of the traffic."""
    where = ""
    if event["productKey"] or event["deviceName"]:
        where = f" {shown(pair(event))}"
    code = "" if event["code"] is None else f" {event['code']}"
    details = "".join(f" {name}={shown(str(value))}" for name, value in event["details"].items())
    payload = event.get("payload")
    content = ""
    if payload is not None:
        content = f" {payload.get('text', payload.get('hex'))!r}"
    line = f"{clock(event['at'])}  {event['kind']:<11}{where}{code}{details}{content}"
    return f"{line}\n{'':10}-> {event['advice']}" if event["advice"] else line


def pair(names: Mapping[str, Any]) -> str:
    """ProductKey/DeviceName, or the ProductKey alone where it is about the product."""
    if names["productKey"] and not names["deviceName"]:
        return str(names["productKey"])
    return f"{names['productKey'] or '?'}/{names['deviceName'] or '?'}"


def shown(text: str) -> str:
    """Text that a client may have chosen: nothing in it reaches the terminal as a command."""
    return text if text.isprintable() else repr(text)[1:-1]


def clock(at: float | None) -> str:
    """A time of day, with the date unless it is today's."""
    if at is None:
        return "never"
    then = time.localtime(at)
    today = then[:3] == time.localtime()[:3]
    return time.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S", then)
