# part of the simulator, never copied to a board
"""The wires between the simulated chip and the host: files in the board's folder, and one pipe.

The folder holds what the world around the chip is like (networks in the air, names, NTP) and what
the chip keeps outside of its flash image (clock, RTC memory, NVS). The pipe carries what the host
must know at once: `repl`, `reset`, `soft`, `cut`, `wdt <ms>`.
"""

import uos as os
import utime

folder = None  # VfsPosix of the board's folder; never mounted, so the chip cannot see it
pipe = None
itself = None  # this module, which the chip cannot import
shared = None  # words that the interpreter's C code and the host see too, see `native.memory`
hidden = ""  # name of the mount that the simulator itself lies in


def read(name):
    try:
        f = folder.open("/" + name, "r")
    except OSError:
        return ""
    text = f.read()
    f.close()
    return text


def write(name, text):
    f = folder.open("/" + name, "w")
    f.write(text)
    f.close()


def tell(message):
    pipe.write(message + "\n")


def die(message):
    """End the process as a loss of power does: no finalisers, no flushing, nothing."""
    tell(message)
    while True:
        os.system("kill -9 $PPID")


def load(name):
    """Import a module of the simulator that is not there from the start."""
    import sys

    path = sys.path[:]
    sys.path[:] = ["/" + hidden + "/chip"]
    sys.modules["link"] = itself
    try:
        return __import__("chip_" + name)
    finally:
        sys.path[:] = path
        del sys.modules["link"]


def set_clock(unix_seconds):
    """Set the interpreter's own clock, which TLS reads too.

    libfaketime takes the offset to the host's clock from this file, at every reading.
    """
    offset = unix_seconds - (utime.time() - float(read("clock")))
    write("clock", "%+.6f" % offset)
