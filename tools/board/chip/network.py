# part of the simulator, never copied to a board
"""`network`: a station interface that joins what is in the air, as slowly as the chip does.

The air is the file `air` of the board's folder: a first line with the milliseconds that joining
takes, then one line a network, `ssid<tab>password`; `*` is any name, or any password.
"""

import link
import utime as _utime
from micropython import const

STA_IF = const(0)
AP_IF = const(1)
STAT_IDLE = const(1000)
STAT_CONNECTING = const(1001)
STAT_GOT_IP = const(1010)
STAT_BEACON_TIMEOUT = const(200)
STAT_NO_AP_FOUND = const(201)
STAT_WRONG_PASSWORD = const(202)
STAT_ASSOC_FAIL = const(203)
STAT_HANDSHAKE_TIMEOUT = const(204)
MODE_11B = const(1)
MODE_11G = const(2)
MODE_11N = const(4)

_NONE = ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")


def hostname(*name):
    return None if name else "mpy-esp32"


def country(*code):
    return None if code else "XX"


def _air(ssid, key):
    """(milliseconds that joining takes, status that it ends with)."""
    lines = link.read("air").split("\n")
    status = STAT_NO_AP_FOUND
    for line in lines[1:]:
        name, _, password = line.partition("\t")
        if line and name in (ssid, "*"):
            if password in (key, "*"):
                return int(lines[0]), STAT_GOT_IP
            status = int(password[1:]) if password[:1] == "\x01" else STAT_WRONG_PASSWORD
    return int(lines[0]), status


class WLAN:
    """Both interfaces; one object each, as on the chip. The driver tries again by itself."""

    IF_STA = STA_IF
    IF_AP = AP_IF
    PM_NONE = const(0)
    PM_PERFORMANCE = const(1)
    PM_POWERSAVE = const(2)
    _objects = {}

    def __new__(cls, id=STA_IF):
        if id not in (STA_IF, AP_IF):
            raise ValueError("invalid WLAN interface identifier")
        if id not in cls._objects:
            self = object.__new__(cls)
            self._id = id
            self._active = False
            self._ssid = ""
            self._key = ""
            self._wanted = False  # connect() was called: the driver keeps trying
            self._connected = False
            self._reason = 0  # why the last connection or attempt ended
            self._since = 0  # start of the attempt, ticks_ms
            self._reconnects = -1
            self._attempts = 0
            self._ifconfig = None
            cls._objects[id] = self
            kept = link.read("wlan") if id == STA_IF else ""
            if kept:  # a soft reset leaves the radio up
                self._ssid, _, self._key = kept.partition("\t")
                self._active = self._wanted = self._connected = True
        return cls._objects[id]

    def __init__(self, id=STA_IF):
        pass

    def active(self, on=None):
        if on is not None:
            if not on and self._active:
                self._leave(0)
            self._active = bool(on)
        return self._active

    def connect(self, ssid=None, key=None, *, bssid=None):
        if not self._active:
            raise OSError("Wifi Not Started")
        if self._id != STA_IF:
            raise OSError("STA required")
        self._poll()
        if self._connected or self._trying():
            raise OSError("Wifi Internal Error")
        if ssid is not None:
            self._ssid = ssid if isinstance(ssid, str) else str(ssid, "utf-8")
            self._key = "" if key is None else key if isinstance(key, str) else str(key, "utf-8")
        self._wanted = True
        self._attempts = 0
        self._reason = 0
        self._since = _utime.ticks_ms()

    def disconnect(self):
        if not self._active:
            raise OSError("Wifi Not Started")
        self._leave(0)

    def isconnected(self):
        self._poll()
        return self._connected

    def status(self, what=None):
        if what == "rssi":
            return -55
        if what is not None:
            raise ValueError("unknown status param")
        self._poll()
        if self._connected:
            return STAT_GOT_IP
        if self._reason in (STAT_NO_AP_FOUND, STAT_WRONG_PASSWORD):
            return self._reason  # told even while the driver goes on trying
        if self._trying():
            return STAT_CONNECTING
        return self._reason or STAT_IDLE

    def config(self, *what, **values):
        if what and values:
            raise TypeError("either pos or kw args are allowed")
        if "reconnects" in values:
            self._reconnects = values["reconnects"]
        if not what:
            return None
        if what[0] == "mac":
            import machine

            return machine.unique_id()
        if what[0] in ("ssid", "essid"):
            return self._ssid
        if what[0] == "reconnects":
            return self._reconnects
        if what[0] in ("hostname", "dhcp_hostname"):
            return hostname()
        if what[0] in ("channel", "txpower", "pm"):
            return 1
        raise ValueError("unknown config param")

    def ifconfig(self, values=None):
        if values is not None:
            self._ifconfig = values
            return None
        if not self.isconnected():
            return _NONE
        return self._ifconfig or ("192.168.4.17", "255.255.255.0", "192.168.4.1", "192.168.4.1")

    def scan(self):
        if not self._active:
            raise OSError("STA must be active")
        names = [line.partition("\t")[0] for line in link.read("air").split("\n")[1:] if line]
        return [(name.encode(), b"\x02simul", 1, -55, 3, False) for name in names if name != "*"]

    def _trying(self):
        return self._wanted and (self._reconnects < 0 or self._attempts <= self._reconnects)

    def _leave(self, reason):
        if self._connected:
            link.write("wlan", "")
        self._connected = False
        self._wanted = self._wanted and reason != 0
        self._reason = reason

    def _poll(self):
        """Bring the state up to now: the chip's driver does this in a task of its own."""
        if self._id != STA_IF or not self._wanted:
            return
        delay, end = _air(self._ssid, self._key)
        if self._connected:
            if end != STAT_GOT_IP:
                self._leave(STAT_BEACON_TIMEOUT)
                self._attempts = 0
                self._since = _utime.ticks_ms()
        elif self._trying() and _utime.ticks_diff(_utime.ticks_ms(), self._since) >= delay:
            self._since = _utime.ticks_ms()
            if end == STAT_GOT_IP:
                self._connected = True
                self._reason = 0
                link.write("wlan", self._ssid + "\t" + self._key)
            else:
                self._reason = end
                self._attempts += 1
