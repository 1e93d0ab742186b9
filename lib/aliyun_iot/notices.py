"""What the platform tells a gateway of its own accord.

Platform docs "Manage topological relationships" (add/notify, change) and "Error codes for
sub-devices" (/ext/error).
"""

import json

from .subdevices import entries, names_of

_OFFLINE = (427, 521, 522, 6401)


def handle(gateway, topic, payload):
    """Act on a message if it is one of these: bool."""
    if topic == "/ext/error/{}/{}".format(*gateway.names).encode():
        kind = "error"
    else:
        for kind in ("thing/topo/add/notify", "thing/topo/change"):
            if topic == gateway.session.topic(kind).encode():
                break
        else:
            return False
    try:
        message = json.loads(payload)
        number = str(message["id"])
        if kind == "error":
            code = int(message["code"])
            names = names_of(message.get("data"))
        else:
            params = message["params"]
            status = None if isinstance(params, list) else params["status"]
            listed = entries(params if status is None else params["subList"])
            listed = [names_of(entry) for entry in listed]
    except (ValueError, KeyError, TypeError, AttributeError, UnicodeError):
        return True
    if kind == "error":
        if code in _OFFLINE and names[0]:
            gateway.mark([names], False)
        if gateway.on_notice:
            gateway.on_notice(names[0], names[1], code, number)
        return True
    listed = [names for names in listed if names[0]]
    if number.isdigit():
        reply = '{"id":"%s","code":200,"data":{}}' % number
        gateway.session.publish(gateway.session.topic(kind + "_reply"), reply)
    if status == 1:
        gateway.mark(listed, False)
    if status is None and gateway.on_add:
        gateway.on_add(listed)
    elif status is not None and gateway.on_change:
        gateway.on_change(status, listed)
    return True
