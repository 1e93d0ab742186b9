"""The clock TLS checks certificates against: NTP, and a floor below which no time is believed.

A board powers up in the year 2000. `/build.json` says when its image was built; without it the
floor is this release's date. NTP is not authenticated: an answer before the floor or decades
after it is a lie.
"""

import json
import time

from micropython import const

import aliyun_iot

from .log import log

_RELEASED = const(1795392000)  # 2026-11-23 00:00 UTC
_YEARS = const(631152000)  # 20 years, seconds: what lies further ahead of the floor is a lie
_DAY = const(86400)
_EPOCH_2000 = const(946684800)


def now():
    """Unix time, seconds: int. The ESP32 counts from 2000, the unix port from 1970."""
    return time.time() + _offset()


def _offset():
    return _EPOCH_2000 if time.gmtime(0)[0] == 2000 else 0


def _floor():
    try:
        with open("/build.json") as file:
            built = json.load(file)["time"]
        return max(built, _RELEASED) if type(built) is int else _RELEASED
    except (OSError, ValueError, KeyError, TypeError):
        return _RELEASED


def _set(unix):
    import machine

    date = time.gmtime(unix - _offset())
    machine.RTC().datetime((date[0], date[1], date[2], date[6], date[3], date[4], date[5], 0))


def start(host=None):
    """Set the clock by NTP, or at least to the floor. Raises nothing.

    host: the NTP server's name, None for the firmware's own choice. Takes at most the second
    or two that `ntptime` waits, after the name look-up.
    """
    floor = _floor()
    try:
        import ntptime

        if host:
            ntptime.host = host
        told = ntptime.time() + _offset()
        if floor <= told < floor + _YEARS:
            _set(told)
            aliyun_iot.time_source = "ntp"
            return
        log("clock: NTP tells an impossible time, not believed")
    except (OSError, ValueError, OverflowError):  # ValueError: an answer that is too short
        log("clock: no NTP")
    if aliyun_iot.time_source == "expired":
        _set(floor)  # from here an authenticated Date, or NTP, may move it forward
        aliyun_iot.time_source = "floor"
    if aliyun_iot.time_source is None:
        ahead = now() - floor
        # A clock at the floor may also be one that was set to it before a reset.
        aliyun_iot.time_source = "kept" if _DAY <= ahead < _YEARS else "floor"
        if not 0 <= ahead < _YEARS:
            _set(floor)


def heed(date):
    """Move a clock that nobody set forward to an authenticated answer's Date header (bytes)."""
    if aliyun_iot.time_is_set() or date is None:
        return
    try:
        # Sun, 06 Nov 1994 08:49:37 GMT (RFC 9110 IMF-fixdate)
        day, month, year, clock = date[5:25].decode().split(" ")
        month = "JanFebMarAprMayJunJulAugSepOctNovDec".index(month) // 3 + 1
        hour, minute, second = clock.split(":")
        told = time.mktime((int(year), month, int(day), int(hour), int(minute), int(second), 0, 0))
    except (ValueError, UnicodeError, OverflowError):
        return
    if now() < told + _offset() < _floor() + _YEARS:
        _set(told + _offset())
        aliyun_iot.time_source = "date"
