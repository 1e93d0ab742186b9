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

    try:
        import ntptime
        import umqtt.simple
    except ImportError:
        pass  # not in this firmware: whoever needs it looks on the flash, and says what is missing
finally:
    sys.path[:] = _path
del _path

time_source: "str | None" = None
"""Where the clock's time comes from: "ntp"; "kept": it ran on since before a reset; "date": an
authenticated answer's Date; "floor": nobody told, certificates may seem not yet valid; "expired":
a certificate seemed to be, so NTP may have lied; None."""

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
    return json.loads(data)


def phase(work, *args):
    """Return work(*args), then unload the modules of this package that it imported.

    A device's life has phases (network up, identity loaded, registered, logged in) whose code is
    not needed again for days. What a phase imports is found by looking at `sys.modules` before
    and after it; what was loaded before stays. Collects at the end, so that what is imported next
    fills the holes from the bottom up.
    """
    before = list(sys.modules)
    try:
        return work(*args)
    finally:
        for name in list(sys.modules):
            if name not in before and name.startswith("aliyun_iot."):
                parent, _, leaf = name.rpartition(".")
                del sys.modules[name]
                if parent in sys.modules:
                    delattr(sys.modules[parent], leaf)
        gc.collect()
