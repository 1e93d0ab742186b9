# part of the simulator, never copied to a board
"""`time` with the ESP32's epoch, 2000-01-01 00:00:00 UTC, and its tuples of eight."""

import utime as _unix
from micropython import const

_EPOCH = const(946684800)


def __getattr__(name):  # sleep*, ticks_*
    return getattr(_unix, name)


def time():
    return int(_unix.time()) - _EPOCH


def time_ns():
    return _unix.time_ns() - _EPOCH * 1000000000


def gmtime(seconds=None):
    if seconds is None:
        seconds = time()
    return _unix.gmtime(int(seconds) + _EPOCH)[:8]


localtime = gmtime


def mktime(moment):
    return int(_unix.mktime(tuple(moment[:8]) + (0,))) - _EPOCH
