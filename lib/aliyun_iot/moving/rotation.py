"""Replaces the DeviceSecret; the old one is kept until the new one has worked.

Both are in device.json: `deviceSecret` (or `clientId` and `deviceToken`) is tried first, and
`oldSecret` if that one is refused. A successful connect deletes the other one (`moving.settle`).
"""

from .. import ConfigError, log, os, phase, time_is_set


def _secret(record):
    """A record's secret as one text: neither clientId nor deviceToken contains a space."""
    if "deviceToken" in record:
        return record["clientId"] + " " + record["deviceToken"]
    return record["deviceSecret"]


def _with(record, secret, old):
    """A copy of a record with this secret, and an old one beside it."""
    made = dict(record)
    for name in ("clientId", "deviceToken", "deviceSecret"):
        made.pop(name, None)
    client_id, _, token = secret.partition(" ")
    if token:
        made["clientId"] = client_id
        made["deviceToken"] = token
    else:
        made["deviceSecret"] = secret
    made["oldSecret"] = old
    return made


def _unproved(place):
    """A place with a mark, by which the next boot sees that the secret has not worked yet."""
    return place if place.endswith(" ?") else place + " ?"


def swap(device):
    """Make the next connect use the other secret, without writing to flash."""
    record = device.record
    device.record = _with(record, record["oldSecret"], _secret(record))
    device.packet = None


def rotate(device):
    """See `Device.rotate`."""
    if device.record is None:
        device.register()
        return
    if not device.can_ask:
        raise ConfigError("product.json: productSecret: missing")
    if device.session:
        device.session.close()  # frees heap for TLS
    if hasattr(device, "places"):
        phase("moving.enrol", device, "moving.rotation.ask")
    else:
        ask(device)


def ask(device):
    """Register, and store the new secret beside the old one."""
    old = device.record
    product = device.settings()
    module = "registration" if product["registration"] == "https" else "registration_mqtt"
    random = os.urandom(8).hex()
    context = device.trust()
    record, date = phase(module + ".register", product, random, context, device.timeout)
    if date and not time_is_set():
        phase("network.heed", date)
    secret = _secret(record)
    if secret == _secret(old):
        log("the platform gave the same secret again")
        return
    # A previous one that has not worked yet is void now: the platform honours only the latest.
    record = _with(old, secret, old.get("oldSecret") or _secret(old))
    record["place"] = _unproved(old.get("place") or product["place"])
    from ..records import save

    save("/device.json", record)
    log("a new secret is stored beside the old one")
    device.record = record
    device.packet = None
    device.asking = False
    if not hasattr(device, "places"):
        phase("moving.adopt", device)
