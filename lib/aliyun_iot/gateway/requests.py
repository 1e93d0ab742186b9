"""What a gateway asks the platform about sub-devices: lists checked, requests built. Pure.

SPEC "Dynamically register a sub-device"; platform docs "Manage topological relationships",
"Connect or disconnect sub-devices". A sub-device is a tuple (ProductKey, DeviceName), both str.
"""

from micropython import const

from .. import binascii
from ..credentials import sign
from ..records import is_device_name, is_product_key

_MOST = const(2000)  # sub-devices of one gateway, platform docs "Limits"
_FILTER = const(2048)  # bytes


def check(subdevices, own):
    """Refuse a list of sub-devices that cannot be right, before anything is sent.

    own: the gateway's own (ProductKey, DeviceName). Raises TypeError or ValueError naming the
    entry and what was expected. Doubles are looked for with a filter of fixed size, so that memory
    does not grow with the list; what the filter suspects is compared in full.
    """
    try:
        once = iter(subdevices) is subdevices
    except TypeError:
        once = True
    if once:
        raise TypeError("sub-devices: expected a list, or what can be gone through repeatedly")
    seen = bytearray(_FILTER)
    for number, names in enumerate(subdevices):
        wrong = None
        if not isinstance(names, tuple) or len(names) != 2:
            raise TypeError(
                "sub-device {}: expected a tuple (ProductKey, DeviceName)".format(number)
            )
        if number == _MOST:
            raise ValueError("sub-devices: expected at most {}".format(_MOST))
        if not is_product_key(names[0]):
            wrong = "ProductKey: expected 1 to 20 letters and digits"
        elif not is_device_name(names[1]):
            wrong = "DeviceName: expected 4 to 32 of letters, digits, - _ @ . :"
        elif names == own:
            wrong = "it is the gateway itself"
        else:
            bit = binascii.crc32(" ".join(names).encode()) % (_FILTER * 8)
            if seen[bit >> 3] >> (bit & 7) & 1:
                for earlier, other in enumerate(subdevices):
                    if earlier == number:
                        break
                    if other == names:
                        wrong = "same as number {}".format(earlier)
                        break
            seen[bit >> 3] |= 1 << (bit & 7)
        if wrong:
            raise ValueError("sub-device {}: {}".format(number, wrong))


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

    number: its id. opening, closing: what stands around the entries in `params`, str.
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
    text = '{{"productKey":"{}","deviceName":"{}","random":"{}","signMethod":"{}","sign":"{}"}}'
    for key, name in batch:
        params = {"productKey": key, "deviceName": name, "random": random()}
        signed = sign(method, product_secret, params)
        yield text.format(key, name, params["random"], _spelled(method), signed)


def for_topology(batch, known, method, timestamp):
    """Entries of topo/add, signed with each DeviceSecret.

    known: what `Store.find` gives for them. timestamp: Unix milliseconds, str.
    """
    text = '{{"deviceName":"{}","productKey":"{}","sign":"{}","signmethod":"{}",'
    text += '"timestamp":"{}","clientId":"{}"}}'
    for names in batch:
        client, signed = _signed(names, known, method, timestamp)
        yield text.format(names[1], names[0], signed, _spelled(method), timestamp, client)


def for_login(batch, known, method, timestamp):
    """Entries of login and batch_login, signed with each DeviceSecret; see `for_topology`."""
    text = '{{"productKey":"{}","deviceName":"{}","clientId":"{}","timestamp":"{}",'
    text += '"signMethod":"{}","sign":"{}","cleanSession":"true"}}'
    for names in batch:
        client, signed = _signed(names, known, method, timestamp)
        yield text.format(names[0], names[1], client, timestamp, method, signed)


def _signed(names, known, method, timestamp):
    params = {
        "clientId": names[0] + "." + names[1],
        "deviceName": names[1],
        "productKey": names[0],
        "timestamp": timestamp,
    }
    return params["clientId"], sign(method, known[names][1], params)


def _spelled(method):
    # hmacSha256, as the platform's documentation of these two calls writes it
    return method[:4] + method[4].upper() + method[5:]
