# part of the simulator, never copied to a board
"""`sys` of an ESP32: platform and implementation; everything else is the interpreter's own."""

import sys as _unix
from collections import namedtuple

import link

platform = "esp32"
_fields = ("name", "version", "_machine", "_mpy", "_build")
implementation = namedtuple("implementation", _fields)(
    "micropython",
    tuple(int(part) for part in link.read("firmware").split(".")) + ("",),
    "Generic ESP32 module with ESP32",
    10246,  # .mpy version 6.3, xtensawin
    "ESP32_GENERIC",
)


def __getattr__(name):
    return getattr(_unix, name)
