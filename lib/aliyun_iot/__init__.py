"""The identity of an ESP32 on Alibaba Cloud IoT Platform: register, store, connect.

Start at `aliyun_iot.device`. The README's "Layout" shows the modules and which way imports run.
"""

import sys

__version__ = "0.1.0"

# `import time` looks for time.py and time.mpy in all of sys.path before it takes the firmware's
# own module: six look-ups on flash, as many reads as a module of this package costs, each time.
# So what the package needs of the firmware is imported once, past the flash, and had from here.
_path = sys.path[:]
sys.path[:] = [entry for entry in _path if entry not in ("", "/lib")]
try:
    import binascii
    import errno
    import gc
    import hashlib
    import io
    import json
    import os
    import random
    import select
    import socket
    import time

    import machine
finally:
    sys.path[:] = _path

# Every module of the package that is loaded is a name here. The table of names is made to grow
# now, while the heap is empty: in the midst of a handshake it may find no piece large enough.
for _key in range(24):
    globals()[_key] = None  # type: ignore[index]
for _key in range(24):
    del globals()[_key]  # type: ignore[arg-type]
del _path, _key


class IotError(Exception):
    retry = True
    identity: "bool"  # there, where it is the identity that is refused

    def __init__(self, message, code=None):
        super().__init__(message)
        self.code = code


class Retryable(IotError):
    pass


class NetworkError(Retryable):
    pass


class ProtocolError(Retryable):
    pass


class BusyError(Retryable):
    pass


class Fatal(IotError):
    retry = False


class ConfigError(Fatal):
    pass


class TlsError(Fatal):
    pass


class StoreError(Fatal):
    pass


class RefusedError(Fatal):
    pass


time_source: "str | None" = None
"""Where the clock's time comes from: "ntp"; "kept": it ran on since before a reset; "date": an
authenticated answer's Date; "platform": the platform told it over MQTT; "floor": nobody told,
certificates may seem not yet valid; "expired": a certificate seemed to be, so NTP may have lied;
None."""

time_doubted = None
"""A time, Unix seconds, by which a certificate had expired: NTP is not believed from a day before
it on, until a certificate is not valid yet. None: nothing speaks against NTP."""

log_level = 1
"""0: the package prints nothing; 1: what happens to the identity and the connection."""


def time_is_set():
    """Whether somebody told the time: bool."""
    return time_source not in (None, "floor", "expired")


def log(*words):
    """Print a short line on the serial console, never a secret, if `log_level` asks for it."""
    if log_level:
        print("[iot]", *words)


def loads(data):
    """Parse a JSON text (bytes). Raises ValueError for one that does not end as it must.

    `json.loads` alone takes a text that is cut off, before MicroPython 1.26: a torn file would
    lose its last members, or a number its last digits.
    """
    depth = 0
    quoted = escaped = False
    for byte in data:
        if escaped:
            escaped = False
        elif byte == 0x5C:  # backslash
            escaped = quoted
        elif byte == 0x22:  # quotation mark
            quoted = not quoted
        elif not quoted:
            if byte in b"{[":
                depth += 1
            elif byte in b"}]":
                depth -= 1
    if depth or quoted:
        raise ValueError
    return json.loads(phase("records.joined", data) if b"\\u" in data else data)


def phase(what, *args):
    """Load a module of this package, call its function, and unload what was loaded for it.

    what: "module.function"; args: the function's. Returns what it returns.

    A device's life has phases (network up, identity loaded, registered, connected) whose code is
    not needed again for days. What a phase loads is found by looking at `sys.modules` before and
    after it; what was there before stays. Garbage is collected before and after, so that what
    stays lies close together.
    """
    # Only the package's own: the list is kept for as long as the phase lasts.
    before = [name for name in sys.modules if name.startswith("aliyun_iot.")]
    gc.collect()
    try:
        name, _, function = ("aliyun_iot." + what).rpartition(".")
        __import__(name)
        return getattr(sys.modules[name], function)(*args)
    finally:
        for name in list(sys.modules):
            if name not in before and name.startswith("aliyun_iot."):
                parent, _, leaf = name.rpartition(".")
                del sys.modules[name]
                if parent in sys.modules:
                    delattr(sys.modules[parent], leaf)
        gc.collect()
