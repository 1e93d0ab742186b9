"""Moves a device by hand: rewrites product.json and keeps the identity."""

from .. import ConfigError, loads, machine, phase

_FIELDS = ("instanceId", "mqttHost", "region", "mqttPort")


def _read():
    try:
        with open("/product.json", "rb") as file:
            fields = loads(file.read())
    except OSError:
        return {}
    except (ValueError, UnicodeError):
        fields = None
    if not isinstance(fields, dict):
        raise ConfigError("product.json: not a JSON object")
    return fields


def relocate(device, wanted):
    """See `Device.relocate`. wanted: fields of product.json."""
    from .bootstrap import is_host

    if not wanted:
        raise ConfigError("relocate: expected instanceId, region, mqttHost or mqttPort")
    for name in wanted:
        if name not in _FIELDS:
            raise ConfigError("relocate: {}: not a field that tells the place".format(name))
        if name != "mqttPort" and isinstance(wanted[name], str) and not is_host(wanted[name]):
            raise ConfigError("product.json: {}: expected a part of a host name".format(name))
    fields = _read()
    if fields or device.record is None:
        before = device.settings()
    else:  # only an identity on flash: the defaults apply
        before = phase("identity.product", {}, machine.unique_id())
    old = dict(fields)
    if "productKey" not in fields:
        fields["productKey"] = device.record["productKey"]
    if [name for name in _FIELDS[:3] if name in wanted]:
        for name in _FIELDS[:2]:  # only one of the three decides the host
            fields.pop(name, None)
    for name in wanted:
        fields.pop(name, None)
        if wanted[name] is not None:
            fields[name] = wanted[name]
    checked = dict(fields)
    checked.pop("check", None)
    if device.name:
        checked["deviceName"] = device.name
    product = phase("identity.product", checked, machine.unique_id())
    if fields == old:
        return
    phase("moving.adopt", device)
    record = device.record
    from ..records import save

    if record and "place" not in record:
        record = dict(record)
        record["place"] = before["place"]
        save("/device.json", record)  # first, so that the place that worked is known
        device.record = record
    save("/product.json", fields)
    device.product = product
    device.packet = None
    session = device.session
    if session and session.sock:
        session._acks += b"\xc0\x00"  # a ping: something to send
        phase("moving.asked.leave", session)
