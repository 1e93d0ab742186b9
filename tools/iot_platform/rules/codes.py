"""Result codes of the platform and the messages that go with them.

Messages marked * are verbatim from the platform's documents or logs; the others are ours, since
only their codes are published (platform docs "Error codes for devices").
"""

from __future__ import annotations

MESSAGES = {
    200: "success",  # *
    400: "request error",  # *
    401: "request auth error",  # *
    427: "device connect in elsewhere",  # *
    428: "too many subdevices under gateway",  # *
    429: "too many requests",  # *
    460: "request parameter error",  # *
    500: "server error",  # *
    520: "device no session",  # *
    521: "device deleted",  # *
    522: "device forbidden",  # *
    5005: "query product info failed",
    6100: "device not found",  # *
    6203: "topic parse failed",  # *
    6204: "device disabled",
    6250: "product not found",
    6280: "device name invalid",
    6287: "invalid sign",  # *
    6288: "dynamic registration is not enabled",
    6289: "device is already active",  # *
    6292: "sign method not supported",
    6400: "topo relation count exceeds the limit",
    6401: "topo relation not exist",  # *
    6402: "topo relation cannot add by self",  # *
    6600: "signature verification failed",
    6619: "device is bound to another gateway",
}
LOGIN_RATE = "rate limit, too many subDeviceOnline msg in one minute"
SESSION_ERROR = "device session error"


class Refusal(Exception):
    """A request is refused with a result code of the platform.

    code: the result code; message: what the answer says; why: what was wrong, for the record
    only (a real platform does not tell a device).
    """

    def __init__(self, code: int, why: str = "", message: str | None = None) -> None:
        self.code = code
        self.message = MESSAGES.get(code, "error") if message is None else message
        self.why = why or self.message
        super().__init__(f"{code}: {self.why}")
