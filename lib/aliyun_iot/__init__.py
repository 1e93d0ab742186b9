"""The identity of an ESP32 on Alibaba Cloud IoT Platform: register, store, connect.

Start at `aliyun_iot.device`. The README's "Layout" shows the modules and which way imports run.
"""

import sys

__version__ = "0.1.0"

# `import time` looks for time.py and time.mpy in every folder of sys.path before it takes the
# firmware's own module: six look-ups on flash, which read as much as loading a module of this
# package. So the firmware's modules are imported here, once, bypassing the flash.
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

# Each module of the package becomes a name here when it is loaded. Grow the table of names now,
# while the heap is empty: during a handshake there may be no free block large enough.
for _key in range(24):
    globals()[_key] = None  # type: ignore[index]
for _key in range(24):
    del globals()[_key]  # type: ignore[arg-type]
del _path, _key


class IotError(Exception):
    retry = True
    identity: "bool"  # only set where the platform refused the identity itself

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
"""Source of the clock's time: "ntp"; "kept": it kept running through a reset; "date": the Date
header of an authenticated answer; "platform": the platform's time service over MQTT; "floor":
none, it is the build date, so certificates may seem not yet valid; "expired": a certificate seemed
expired, so NTP may have been wrong; None: not set yet."""

time_doubted = None
"""Unix time at which a certificate seemed expired. NTP answers later than a day before it are
rejected until a certificate seems not yet valid. None: no reason to doubt NTP."""

log_level = 1
"""0: the package prints nothing; 1: it prints what happens to the identity and the connection."""


def time_is_set():
    """Whether the clock has been set by a source other than the build date: bool."""
    return time_source not in (None, "floor", "expired")


def log(*words):
    """Print a short line on the serial console if `log_level` allows it; never pass a secret."""
    if log_level:
        print("[iot]", *words)


def loads(data):
    """Parse JSON text (bytes). Raises ValueError, also for text that is cut off.

    Before MicroPython 1.26 `json.loads` accepts truncated text: a torn file would lose its last
    members, or a number its last digits.
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
    """Load a module of this package, call its function, and unload whatever that loaded.

    what: "module.function"; args: the function's. Returns what it returns.

    A device's life has phases (network up, identity loaded, registered, connected) whose code is
    not needed again for days. What a phase has loaded is found by comparing `sys.modules` before
    and after; modules that were there before stay. Garbage is collected on both sides, so that
    what stays is allocated close together.
    """
    # Only the package's own modules: this list stays in memory for the whole phase.
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
