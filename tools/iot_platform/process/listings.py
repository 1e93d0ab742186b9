"""What a running platform holds, as the text that its commands show."""

from __future__ import annotations

from tools.command import count
from tools.iot_platform.console.device_json import identity_state
from tools.iot_platform.process.live_log import line
from tools.iot_platform.process.local import LocalPlatform
from tools.iot_platform.rules.names import Identity


def products(platform: LocalPlatform) -> str:
    """Every product: its kind, how many devices it has, how they may register."""
    lines = []
    for product in platform.registry.products():
        switch = "on" if product.dynamic_registration else "off"
        free = ", without pre-registration too" if product.registration_free else ""
        devices = len(platform.registry.devices(product.product_key))
        lines.append(
            f"{product.product_key:<20} {product.node_type:<8} {count(devices, 'device')},"
            f" dynamic registration {switch}{free}"
        )
    return "\n".join(lines) or "no products; add one with `add-product FILE`"


def devices(platform: LocalPlatform, *product_key: str) -> str:
    """The devices of one product, or of all. Raises LookupError for an unknown product."""
    lines = []
    for key in product_key:
        platform.registry.product(key)
    for device in platform.registry.devices(*product_key):
        online = platform.online(*device.identity)
        state = [
            "online" if online else "offline",
            identity_state(device),
            count(device.registrations, "registration"),
        ]
        if device.disabled:
            state.append("disabled")
        gateway = platform.topology.gateway_of(device.identity)
        if gateway is not None:
            state.append(f"under {gateway}")
        lines.append(f"{device.identity!s:<40} {', '.join(state)}")
    return "\n".join(lines) or "no devices; add one with `add-device PK/DN`"


def topology(platform: LocalPlatform, gateway: Identity) -> str:
    """A gateway's sub-devices."""
    online = set(platform.subdevices_online(gateway))
    subdevices = platform.topology.subdevices(gateway)
    rows = [f"{s!s:<40} {'online' if s in online else 'offline'}" for s in subdevices]
    return "\n".join(rows) or "no sub-devices"


def events(platform: LocalPlatform, last: int) -> str:
    """The last events of the record, one a line."""
    return "\n".join(line(e) for e in platform.record.events()[-last:])
