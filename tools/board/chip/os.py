# part of the simulator, never copied to a board
"""`os` with what the ESP32 has and the unix port lacks, and without the simulator's own mount."""

import link
import uos as _unix


def __getattr__(name):
    if name in ("system", "getenv", "putenv", "unsetenv"):  # the chip has none of them
        raise AttributeError(name)
    return getattr(_unix, name)


def uname():
    import sys

    release = ".".join(str(part) for part in sys.implementation.version[:3])
    machine = sys.implementation._machine
    return ("esp32", "esp32", release, "v" + release + " (simulated)", machine)


def ilistdir(*path):
    for entry in _unix.ilistdir(*path):
        if entry[0] != link.hidden:
            yield entry


def listdir(*path):
    return [name for name in _unix.listdir(*path) if name != link.hidden]
