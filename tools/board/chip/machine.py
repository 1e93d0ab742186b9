# part of the simulator, never copied to a board
"""`machine`: identity, resets, clock, watchdog."""

import binascii

import link
import utime as _utime
from micropython import const

PWRON_RESET = const(1)
HARD_RESET = const(2)
WDT_RESET = const(3)
DEEPSLEEP_RESET = const(4)
SOFT_RESET = const(5)


def unique_id():
    return binascii.unhexlify(link.read("mac"))


def reset_cause():
    return int(link.read("cause"))


def reset():
    link.die("reset")


def soft_reset():
    raise SystemExit


def freq(*hertz):
    return None if hertz else 160000000


def idle():
    _utime.sleep_ms(1)


def deepsleep(*milliseconds):
    link.die("deepsleep")


class RTC:
    def datetime(self, moment=None):
        """moment: (year, month, day, weekday, hours, minutes, seconds, microseconds), UTC."""
        if moment is None:
            t = _utime.gmtime()
            return (t[0], t[1], t[2], t[6], t[3], t[4], t[5], 0)
        y, month, d, _, h, minute, s, _ = moment
        return link.set_clock(_utime.mktime((y, month, d, h, minute, s, 0, 0, 0)))

    def init(self, moment):
        self.datetime(moment)

    def memory(self, data=None):
        """Kept through every reset, lost with the power; at most 2,048 bytes."""
        if data is None:
            return binascii.unhexlify(link.read("rtc"))
        if len(data) > 2048:
            raise ValueError("buffer too long")
        return link.write("rtc", str(binascii.hexlify(data), "ascii"))


class WDT:
    def __init__(self, id=0, timeout=5000):
        if id != 0:
            raise ValueError("WDT(%s) doesn't exist" % id)
        if timeout <= 0:
            raise ValueError("WDT timeout too short")
        self._message = "wdt %d" % timeout
        self.feed()

    def feed(self):
        link.tell(self._message)


def __getattr__(name):
    """Pins take no heap on the chip; here they must not take any unless they are used."""
    if name != "Pin":
        raise AttributeError(name)
    return link.load("pins").Pin
