"""What to do when the platform refuses a sub-device.

SPEC "Error messages"; platform docs "Error codes for devices".
"""

from .. import BusyError, RefusedError

# One line a code: a single string takes less heap than a table, and is rarely searched.
_ADVICE = """\
401 wrong signature: its stored DeviceSecret is no longer valid
428 the gateway has too many sub-devices online
460 a parameter was refused: check productKey and deviceName
520 it is not online through this gateway
521 it has been deleted
522 it is disabled
5005 unknown ProductKey
5244 the product is not known to the platform
6100 this DeviceName is not pre-registered: add it to the product
6203 the gateway's product is no gateway, or its topic was not understood
6204 it is disabled
6250 unknown ProductKey
6280 its DeviceName is not within the rules
6287 wrong signature: its stored DeviceSecret is no longer valid
6288 dynamic registration is switched off: switch it on for the sub-device's product
6289 already active: reset or re-add it
6292 signature method not supported: check the gateway's sign_method
6400 the gateway has too many sub-devices
6401 it is not in this gateway's topology
6402 a gateway cannot be its own sub-device
6600 wrong signature: check the ProductSecret
6619 it belongs to another gateway"""


def _advice(code):
    for line in _ADVICE.split("\n"):
        number, _, text = line.partition(" ")
        if number == str(code):
            return text
    return "see the platform's error codes"


def refusal(what, code, group):
    """The exception for the platform's result `code`, int, to be raised by the caller.

    what: the request. group: the sub-devices; the message names it if there is only one.
    """
    if len(group) == 1:
        what = "{} {}/{}".format(what, group[0][0], group[0][1])
    if code in (429, 500):
        return BusyError("{}: the platform is busy (code {})".format(what, code), code)
    return RefusedError("{} refused, code {}: {}".format(what, code, _advice(code)), code)
