"""Checks lists of sub-devices from the application, and parses those of the platform. Pure."""

from micropython import const

from .. import binascii
from ..records import is_device_name, is_product_key

_MOST = const(2000)  # sub-devices of one gateway, platform docs "Limits"


def check(session, subdevices):
    """Check a list of sub-devices before anything is sent.

    session: the gateway's own. Raises TypeError or ValueError that names the entry and what was
    expected. Duplicates are found by a Bloom filter of a byte for each entry; a hit is then
    compared with all entries before it.
    """
    try:
        once = iter(subdevices) is subdevices
    except TypeError:
        once = True
    if once:
        raise TypeError("sub-devices: expected a list, or what can be gone through repeatedly")
    count = 1
    for _ in subdevices:
        if count > _MOST:
            raise ValueError("sub-devices: expected at most {}".format(_MOST))
        count += 1
    seen = bytearray(count)
    for number, names in enumerate(subdevices):
        wrong = None
        if not isinstance(names, tuple) or len(names) != 2:
            raise TypeError(
                "sub-device {}: expected a tuple (ProductKey, DeviceName)".format(number)
            )
        if not is_product_key(names[0]):
            wrong = "ProductKey: expected 1 to 20 letters and digits"
        elif not is_device_name(names[1]):
            wrong = "DeviceName: expected 4 to 32 of letters, digits, - _ @ . :"
        elif names == (session.product_key, session.device_name):
            wrong = "it is the gateway itself"
        else:
            bit = binascii.crc32(" ".join(names).encode()) % (count * 8)
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


def names_of(entry):
    """The sub-device named by an object from the platform, or (None, None)."""
    try:
        names = (entry["productKey"], entry["deviceName"])
    except (KeyError, TypeError):
        return (None, None)
    return names if is_product_key(names[0]) and is_device_name(names[1]) else (None, None)
