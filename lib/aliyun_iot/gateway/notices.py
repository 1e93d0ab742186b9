"""Notices that the platform sends to a gateway unasked.

Platform docs "Manage topological relationships" (add/notify, change) and "Error codes for
sub-devices" (/ext/error).
"""

from .. import loads
from .subdevices import names_of

_OFFLINE = (427, 521, 522, 6401)


def handle(gateway, topic, payload):
    """Handle a message if it is one of these: whether it was, bool."""
    session = gateway.session
    kind = None
    if topic != "/ext/error/{}/{}".format(session.product_key, session.device_name).encode():
        for kind in ("thing/topo/add/notify", "thing/topo/change"):
            if topic == session.topic(kind).encode():
                break
        else:
            return False
    try:
        message = loads(payload)
        number = str(message["id"])
        if kind is None:
            code = int(message["code"])
            names = names_of(message.get("data"))
        else:
            params = message["params"]
            status = None if isinstance(params, list) else params["status"]
            listed = params if status is None else params["subList"]
            listed = [names_of(entry) for entry in (listed if isinstance(listed, list) else ())]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, UnicodeError):
        return True
    if kind is None:
        if code in _OFFLINE and names[0]:
            gateway.mark([names], False)
        if gateway.on_notice:
            gateway.on_notice(names[0], names[1], code, number)
        return True
    listed = [names for names in listed if names[0]]
    if number.isdigit():
        reply = '{"id":"%s","code":200,"data":{}}' % number
        session.publish(session.topic(kind + "_reply"), reply)
    if status == 1:
        gateway.mark(listed, False)
    if status is None and gateway.on_add:
        gateway.on_add(listed)
    elif status is not None and gateway.on_change:
        gateway.on_change(status, listed)
    return True
