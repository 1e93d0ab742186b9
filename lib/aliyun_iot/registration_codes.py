"""What somebody must do when the platform refuses to register a device.

Platform docs "Error codes for devices"; 6100, a DeviceName that the platform does not know, is
from its general list.
"""

from .errors import BusyError, RefusedError

_ADVICE = {
    460: "a parameter was refused: check productKey and deviceName in product.json",
    6100: "this DeviceName is not pre-registered: add it to the product",
    6250: "unknown ProductKey: check productKey and region in product.json",
    6288: "dynamic registration is switched off: switch it on for the product",
    6289: "already active: its DeviceSecret was given out and used before; reset or re-add it",
    6292: "signature method not supported: check signMethod in product.json",
    6600: "wrong signature: check productSecret in product.json",
}


def refusal(code):
    """The exception for the platform's result `code` (int), to be raised by the caller."""
    if code in (429, 500):
        return BusyError("registration: the platform is busy (code {})".format(code), code)
    advice = _ADVICE.get(code, "see the platform's error codes")
    return RefusedError("registration refused, code {}: {}".format(code, advice), code)
