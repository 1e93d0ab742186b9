"""What a gateway and the platform say to each other about sub-devices: built and read, pure.

SPEC "Dynamically register a sub-device"; platform docs "Manage topological relationships",
"Connect or disconnect sub-devices". A sub-device is a tuple (ProductKey, DeviceName), both str.
"""

import json
from binascii import crc32

from micropython import const

from .errors import BusyError, ConfigError, ProtocolError, RefusedError
from .rules import is_device_name, is_product_key, is_secret
from .sign import sign

MOST = const(2000)  # sub-devices of one gateway, platform docs "Limits"
_FILTER = const(2048)  # bytes


def check(subdevices, own):
    """Refuse a list of sub-devices that cannot be right, before anything is sent.

    own: the gateway's own (ProductKey, DeviceName). Raises ConfigError naming the entry and what
    was expected. Doubles are looked for with a filter of fixed size, so that memory does not
    grow with the list; what the filter suspects is compared in full.
    """
    try:
        once = iter(subdevices) is subdevices
    except TypeError:
        once = True
    if once:
        raise ConfigError("sub-devices: expected a list, or what can be gone through repeatedly")
    seen = bytearray(_FILTER)
    for number, names in enumerate(subdevices):
        check_one(names, own, number)
        if number == MOST:
            raise ConfigError("sub-devices: expected at most {}".format(MOST))
        bit = crc32(" ".join(names).encode()) % (_FILTER * 8)
        if seen[bit >> 3] >> (bit & 7) & 1:
            for earlier, other in enumerate(subdevices):
                if earlier == number:
                    break
                if other == names:
                    raise ConfigError("sub-device {}: same as number {}".format(number, earlier))
        seen[bit >> 3] |= 1 << (bit & 7)


def check_one(names, own, number=""):
    """Refuse what is no sub-device of the gateway `own`. Raises ConfigError.

    number: where it stands in its list, for the message.
    """
    if not isinstance(names, tuple) or len(names) != 2:
        wrong = "expected a tuple (ProductKey, DeviceName)"
    elif not is_product_key(names[0]):
        wrong = "ProductKey: expected 1 to 20 letters and digits"
    elif not is_device_name(names[1]):
        wrong = "DeviceName: expected 4 to 32 of letters, digits, - _ @ . :"
    elif names == own:
        wrong = "it is the gateway itself"
    else:
        return
    raise ConfigError("sub-device {}: {}".format(number, wrong))


def batches(subdevices, size):
    """Cut what `subdevices` gives into lists of at most `size`."""
    batch = []
    for names in subdevices:
        batch.append(names)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def request(number, opening, entries, closing, method=None):
    """An Alink request: bytearray, compact JSON in the specification's order of fields.

    number: its id, str. opening, closing: what stands around the entries in `params`, str.
    entries: a sequence or generator of JSON texts. method: None leaves out version and method,
    as requests on /ext/session do. Nothing needs escaping: names keep to the platform's rules.
    """
    out = bytearray('{{"id":"{}",'.format(number).encode())
    if method:
        out.extend(b'"version":"1.0",')
    out.extend('"params":{}'.format(opening).encode())
    first = True
    for entry in entries:
        if not first:
            out.extend(b",")
        first = False
        out.extend(entry.encode())
    out.extend(closing.encode())
    if method:
        out.extend(',"method":"{}"'.format(method).encode())
    out.extend(b"}")
    return out


def by_name(batch):
    """Entries that only name sub-devices."""
    for key, name in batch:
        yield '{{"deviceName":"{}","productKey":"{}"}}'.format(name, key)


def by_product(batch, product_secret, method, random):
    """Entries of product_register, signed with the ProductSecret. random: makes a str."""
    for key, name in batch:
        params = {"productKey": key, "deviceName": name, "random": random()}
        text = (
            '{{"productKey":"{}","deviceName":"{}","random":"{}","signMethod":"{}","sign":"{}"}}'
        )
        signed = sign(method, product_secret, params)
        yield text.format(key, name, params["random"], _spelled(method), signed)


def for_topology(batch, secrets, method, timestamp):
    """Entries of topo/add, signed with each DeviceSecret.

    secrets: what `Substore.find` gives for them. timestamp: Unix milliseconds, str.
    """
    for names in batch:
        params = _signed(names, timestamp)
        text = '{{"deviceName":"{}","productKey":"{}","sign":"{}","signmethod":"{}",'
        text += '"timestamp":"{}","clientId":"{}"}}'
        signed = sign(method, secrets[names][1], params)
        yield text.format(
            names[1], names[0], signed, _spelled(method), timestamp, params["clientId"]
        )


def for_login(batch, secrets, method, timestamp):
    """Entries of login and batch_login, signed with each DeviceSecret; see `for_topology`."""
    for names in batch:
        params = _signed(names, timestamp)
        text = '{{"productKey":"{}","deviceName":"{}","clientId":"{}","timestamp":"{}",'
        text += '"signMethod":"{}","sign":"{}","cleanSession":"true"}}'
        signed = sign(method, secrets[names][1], params)
        yield text.format(names[0], names[1], params["clientId"], timestamp, method, signed)


def _signed(names, timestamp):
    return {
        "clientId": names[0] + "." + names[1],
        "deviceName": names[1],
        "productKey": names[0],
        "timestamp": timestamp,
    }


def _spelled(method):
    # hmacSha256, as the platform's documentation of these two calls writes it
    return method[:4] + method[4].upper() + method[5:]


def answer(payload, number):
    """Read a reply: a dict, its code an int; None when it is not the reply to request `number`."""
    try:
        reply = json.loads(payload)
        if str(reply["id"]) != number:
            return None
        # One sample in the documentation has the code as text.
        reply["code"] = int(reply["code"])
        return reply
    except (ValueError, KeyError, TypeError, UnicodeError):
        return None


def granted(data, batch):
    """DeviceSecrets by sub-device out of a reply's list; what nobody asked for is left out.

    Raises ProtocolError if it is no list.
    """
    if not isinstance(data, list):
        raise ProtocolError("registration: no list in the answer")
    secrets = {}
    for entry in entries(data):
        names = names_of(entry)
        if names in batch and is_secret(entry.get("deviceSecret")):
            secrets[batch[batch.index(names)]] = entry[
                "deviceSecret"
            ]  # the names in memory already
    return secrets


def entries(data):
    """The objects in a list that the platform sent; of anything else, none."""
    return [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else ()


def names_of(entry):
    """The sub-device that an object of the platform's names, or (None, None)."""
    try:
        names = (entry["productKey"], entry["deviceName"])
    except (KeyError, TypeError):
        return (None, None)
    return names if is_product_key(names[0]) and is_device_name(names[1]) else (None, None)


def refusal(what, code, batch):
    """The exception for the platform's result `code`, int, to be raised by the caller.

    what: the request. batch: whom it was for; the message names a single one.
    """
    if len(batch) == 1:
        what = "{} {}/{}".format(what, batch[0][0], batch[0][1])
    if code in (429, 500):
        return BusyError("{}: the platform is busy (code {})".format(what, code), code)
    from .subdevice_codes import advice

    text = "{} refused, code {}: {}".format(what, code, advice(code))
    return RefusedError(text, code)
