# part of the simulator, never copied to a board
"""`network`: a station interface that behaves as the chip's driver and firmware do.

The air is the file `air` of the board's folder, see `tools/board/air.py`. The state is kept in
the file `wlan`: a soft reset leaves the radio as it is, an attempt in progress included.
"""

import binascii

import link
import utime as _utime
from micropython import const

STA_IF = const(0)
_AP_IF = const(1)
_IDLE = const(1000)
_CONNECTING = const(1001)
_GOT_IP = const(1010)
_BEACON_TIMEOUT = const(200)
_NO_AP_FOUND = const(201)
_WRONG_PASSWORD = const(202)
_NONE = ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")
_LEFT = const(8)  # WIFI_REASON_ASSOC_LEAVE, after our own disconnect()
_CONNECTION_FAIL = const(205)
# The state of a station: numbers in a list, which takes less of the device's heap than names.
_STATE = const(0)
_SINCE = const(1)  # when this state began, ticks_ms
_REQUESTED = const(2)  # connect() was called, and no disconnect() since
_REASON = const(3)  # of the last disconnection, until there is an address
_RECONNECTS = const(4)  # as the firmware keeps it: 0 for ever, else one more than was asked for
_FAILURES = const(5)
_MISSING = const(6)  # since when the access point is gone, ticks_ms
_ADDRESS = const(7)  # whether an address is shown: after a loss for 120 s, here until the next
_NUMBERS = const(8)
_STILL = const(0)
_JOINING = const(1)
_ASSOCIATED = const(2)
_ONLINE = const(3)
# Fields of a line of the air.
_KEY = const(1)
_STATUS = const(2)
_RSSI = const(3)
_CHANNEL = const(4)
_SECURITY = const(5)
_HIDDEN = const(6)
_DHCP = const(7)
_BSSID = const(8)


def __getattr__(name):
    """Constants. As names of this module they would lie on the heap; on a chip they do not."""
    known = (
        " STAT_IDLE=1000 STAT_CONNECTING=1001 STAT_GOT_IP=1010 STAT_BEACON_TIMEOUT=200"
        " STAT_NO_AP_FOUND=201 STAT_WRONG_PASSWORD=202 STAT_ASSOC_FAIL=203"
        " STAT_HANDSHAKE_TIMEOUT=204 STAT_NO_AP_FOUND_W_COMPATIBLE_SECURITY=210"
        " STAT_NO_AP_FOUND_IN_AUTHMODE_THRESHOLD=211 STAT_NO_AP_FOUND_IN_RSSI_THRESHOLD=212"
        " MODE_11B=1 MODE_11G=2 MODE_11N=4 AP_IF=1 "
    )
    at = known.find(" " + name + "=")
    if at < 0:
        raise AttributeError(name)
    return int(known[at + len(name) + 2 :].split(" ", 1)[0])


def hostname(*name):
    return None if name else "mpy-esp32"


def country(*code):
    return None if code else "XX"


def _hex(data, most):
    if isinstance(data, str):
        data = data.encode()
    return str(binascii.hexlify(data[:most]), "ascii") or "-"


def _air():
    """[(ms to join, ms to find nobody, ms to miss a lost one), access point, ...]."""
    first, _, rest = link.read("air").partition("\n")
    return [[int(ms) for ms in first.split()]] + [
        line.split() for line in rest.split("\n") if line
    ]


class WLAN:
    """Both interfaces; one object each, as on the chip. The driver tries again by itself."""

    IF_STA = STA_IF
    IF_AP = _AP_IF
    PM_NONE = const(0)
    PM_PERFORMANCE = const(1)
    PM_POWERSAVE = const(2)
    _objects = {}

    def __new__(cls, id=STA_IF):
        if id not in (STA_IF, _AP_IF):
            raise ValueError("invalid WLAN interface identifier")
        if id not in cls._objects:
            self = object.__new__(cls)
            self._id = id
            self._active = False
            self._wanted = ("-", "-", "-")  # ssid, key, bssid
            self._now = [0] * _NUMBERS
            self._ifconfig = None
            cls._objects[id] = self
            kept = link.read("wlan").split() if id == STA_IF else ()
            if kept:
                self._active = True
                self._wanted = tuple(kept[:3])
                self._now = [int(word) for word in kept[3:]]
        return cls._objects[id]

    def __init__(self, id=STA_IF):
        pass

    def _save(self):
        if self._id == STA_IF:
            words = list(self._wanted) + [str(number) for number in self._now]
            link.write("wlan", " ".join(words) if self._active else "")

    def active(self, on=None):
        if on is not None and bool(on) != self._active:
            self._poll()
            if not on:
                self._leave()
            self._active = bool(on)
            self._now[_FAILURES] = 0
            self._save()
        return self._active

    def connect(self, ssid=None, key=None, *, bssid=None):
        if not self._active:
            raise OSError("Wifi Not Started")
        if self._id != STA_IF:
            raise OSError("STA required")
        self._poll()
        if self._now[_STATE] != _STILL:
            raise OSError("Wifi Internal Error")
        if ssid is not None:
            self._wanted = (_hex(ssid, 32), _hex(key or "", 64), _hex(bssid or "", 6))
        self._now[_REQUESTED] = 1
        self._now[_FAILURES] = 0
        self._enter(_JOINING, _utime.ticks_ms())

    def disconnect(self):
        if not self._active:
            raise OSError("Wifi Not Started")
        self._poll()
        self._now[_REQUESTED] = 0
        self._leave()

    def isconnected(self):
        self._poll()
        return self._now[_STATE] == _ONLINE

    def status(self, what=None):
        self._poll()
        if what == "rssi":
            point = self._point(_air())
            if self._now[_STATE] < _ASSOCIATED or point is None:
                raise OSError("Wifi Not Connected")
            return int(point[_RSSI])
        if what is not None:
            raise ValueError("unknown status param")
        # The order of the firmware's own decisions, network_wlan_status() of ports/esp32.
        reason = self._now[_REASON]
        if self._now[_STATE] == _ONLINE:
            return _GOT_IP
        if reason == _NO_AP_FOUND or 210 <= reason <= 212:
            return reason
        if reason in (_WRONG_PASSWORD, _CONNECTION_FAIL):
            return _WRONG_PASSWORD
        if reason == _LEFT:
            return _IDLE
        if self._now[_REQUESTED] and self._may_try():
            return _CONNECTING
        return reason or _IDLE

    def config(self, *what, **values):
        if what and values:
            raise TypeError("either pos or kw args are allowed")
        if values:
            self._poll()
            if self._now[_STATE] == _JOINING:  # ESP-IDF takes no settings while it is joining
                raise OSError("Wifi Internal State Error")
        if "reconnects" in values:
            self._now[_RECONNECTS] = values["reconnects"] + 1
            self._save()
        if not what:
            return None
        if what[0] == "mac":
            import machine

            return machine.unique_id()
        if what[0] in ("ssid", "essid"):
            return str(binascii.unhexlify(self._wanted[0].replace("-", "")), "utf-8")
        if what[0] == "reconnects":
            return self._now[_RECONNECTS] - 1
        if what[0] in ("hostname", "dhcp_hostname"):
            return hostname()
        if what[0] in ("channel", "txpower", "pm"):
            return 1
        raise ValueError("unknown config param")

    def ifconfig(self, values=None):
        if values is not None:
            self._ifconfig = values
            return None
        if not self.has_address() and (self._now[_STATE] == _ONLINE or not self._now[_ADDRESS]):
            return _NONE
        return self._ifconfig or ("192.168.4.17", "255.255.255.0", "192.168.4.1", "192.168.4.1")

    def scan(self):
        if not self._active:
            raise OSError("STA must be active")
        self._poll()
        if self._now[_STATE] == _JOINING:
            return []  # the driver refuses, and the firmware says nothing of it
        times, *points = _air()
        _utime.sleep_ms(times[1])
        return [
            (
                b"" if point[_HIDDEN] == "1" else binascii.unhexlify(point[0]),
                binascii.unhexlify(point[_BSSID]),
                int(point[_CHANNEL]),
                int(point[_RSSI]),
                int(point[_SECURITY]),
                False,  # whatever it is: the firmware does not say
            )
            for point in points
            if point[0] != "*"
        ]

    def has_address(self):
        """For the simulator: whether packets can leave.

        The firmware does not: an address that DHCP takes back leaves `isconnected()` true.
        """
        self._poll()
        if self._now[_STATE] != _ONLINE:
            return False
        point = self._point(_air())
        found = point is not None and point[_DHCP] != "-1"
        if link.shared:
            link.shared[20] = not found
        return found

    def _may_try(self):
        return not self._now[_RECONNECTS] or self._now[_FAILURES] < self._now[_RECONNECTS]

    def _enter(self, state, now):
        if link.shared:
            link.shared[20] = state != _ONLINE
        self._now[_STATE] = state
        if state >= _ASSOCIATED:
            self._now[_ADDRESS] = int(state == _ONLINE)
        self._now[_SINCE] = now
        self._now[_MISSING] = 0
        self._save()

    def _leave(self):
        """By our own wish. Only a connection that there was makes an event, and so a reason."""
        if self._now[_STATE] >= _ASSOCIATED:
            self._now[_REASON] = _LEFT
        self._enter(_STILL, 0)

    def _fail(self, reason, now):
        self._now[_REASON] = reason
        self._now[_FAILURES] += bool(self._now[_RECONNECTS])
        self._enter(_JOINING if self._now[_REQUESTED] and self._may_try() else _STILL, now)

    def _point(self, air):
        """The access point that the driver takes: of this name, the strongest; or None."""
        ssid, _, bssid = self._wanted
        for point in air[1:]:
            if point[0] in (ssid, "*") and bssid in ("-", point[_BSSID]):
                return point
        return None

    def _poll(self):
        """Bring the state up to now: the chip's driver does this in a task of its own."""
        while self._now[_STATE] != _STILL:
            now = _utime.ticks_ms()
            state = self._now[_STATE]
            air = _air()
            joining, absent, beacon = air[0]
            point = self._point(air)
            passed = _utime.ticks_diff(now, self._now[_SINCE])
            if point is None:
                end = _NO_AP_FOUND
            elif point[_STATUS] != "0":
                end = int(point[_STATUS])
            else:
                end = 0 if point[_KEY] in (self._wanted[1], "*") else _WRONG_PASSWORD
            if state == _JOINING:
                delay = absent if end == _NO_AP_FOUND else joining
                if passed < delay:
                    return
                if end:
                    # A driver that failed long ago has tried ever since; one failure will do.
                    self._fail(end, now if passed > 2 * delay else self._now[_SINCE] + delay)
                    if not delay:
                        return
                else:
                    self._enter(_ASSOCIATED, now)
            elif end:
                if point is None:  # beacons stay away: it takes a while to notice
                    if not self._now[_MISSING]:
                        self._now[_MISSING] = now or 1
                        self._save()
                    if _utime.ticks_diff(now, self._now[_MISSING]) < beacon:
                        return
                    end = _BEACON_TIMEOUT
                self._now[_FAILURES] = 0
                self._fail(end, now)
            else:
                if self._now[_MISSING]:
                    self._now[_MISSING] = 0
                    self._save()
                dhcp = int(point[_DHCP])
                if state == _ONLINE or dhcp < 0 or passed < dhcp:
                    return
                self._now[_REASON] = 0
                self._enter(_ONLINE, now)


if link.read("wlan"):  # a soft reset leaves the radio up
    WLAN().has_address()
