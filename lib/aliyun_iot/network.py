"""What a boot needs before the platform: Wi-Fi, and a clock for TLS to check certificates by.

Wi-Fi uses the networks in wifi.json; joining is bounded in time, and skipped if Wi-Fi is up.

A board powers up in the year 2000. The floor, the earliest time accepted, is when the image was
built, as `/build.json` says, or else the date of this release. NTP is not authenticated: an answer
before the floor or decades after it is not believed.
"""

import sys

import network
from micropython import const

import aliyun_iot

from . import ConfigError, loads, log, machine, time

_PER_NETWORK = const(15000)  # milliseconds to join one network, DHCP included
_OLD = const(7000)  # milliseconds after which an earlier failure still shown counts as a new one
# The driver's reason codes, one a line: a single string takes less heap than a table.
_WHY = const(
    """
15 no handshake, perhaps a wrong password
200 the access point fell silent
201 not in reach
202 wrong password
203 refused by the access point
204 no handshake, perhaps a wrong password
1000 no answer
"""
)
_RELEASED = const(1795392000)  # 2026-11-23 00:00 UTC
_YEARS = const(631152000)  # 20 years, seconds: NTP further ahead of the floor is not believed
_DAY = const(86400)
_YEAR = const(31622400)
# 2036-02-07 06:28:16, which ntptime makes of a timestamp of zero: the answer of a server that does
# not know the time, or that counts from its own start.
_ZERO = const(2085978496)
_EPOCH_2000 = const(946684800)


def _networks(path):
    """Read wifi.json: a list of (ssid, password), and the NTP host or None. Raises ConfigError."""
    try:
        with open(path, "rb") as file:
            fields = loads(file.read())
    except OSError:
        raise ConfigError("wifi.json: missing")
    except (ValueError, UnicodeError):
        raise ConfigError("wifi.json: not JSON")
    found = []
    if isinstance(fields, dict):
        listed = fields.get("networks", [fields])
        for entry in listed if isinstance(listed, list) else ():
            if not isinstance(entry, dict) or not isinstance(entry.get("ssid"), str):
                raise ConfigError("wifi.json: ssid: expected text")
            if not isinstance(entry.get("password", ""), str):
                raise ConfigError("wifi.json: password: expected text")
            found.append((entry["ssid"], entry.get("password", "")))
    if not found:
        raise ConfigError("wifi.json: expected ssid and password, or a list of networks")
    ntp_host = fields.get("ntpHost")
    if not isinstance(ntp_host, (str, type(None))):
        raise ConfigError("wifi.json: ntpHost: expected text")
    return found, ntp_host


def _online(station):
    # isconnected() stays true when DHCP withdraws the address, and a lost connection's address
    # is still shown: only both together mean online.
    return station.isconnected() and station.ifconfig()[0] != "0.0.0.0"


def _associated(station):
    try:
        return station.status("rssi") < 0
    except OSError:
        return False


def _best_first(station, networks):
    """Networks found by a scan, strongest first; then the others, which may be hidden."""
    if len(networks) < 2:
        return networks
    try:
        seen = station.scan()
    except OSError:
        seen = ()
    order = []
    for number, (ssid, _) in enumerate(networks):
        name = ssid.encode()
        order.append((-max([one[3] for one in seen if one[0] == name], default=-999), number))
    order.sort()
    return [networks[number] for _, number in order]


def _join(station, ssid, password):
    """Try one network: whether there is an address now. If not, the radio is idle again."""
    log("wifi: connecting to", ssid)
    old = station.status()  # an earlier failure is shown until the next one, or an address
    station.connect(ssid, password)
    began = time.ticks_ms()
    while not _online(station):
        status = station.status()
        if status != old:
            old = 0
        enough = _PER_NETWORK
        if status < network.STAT_IDLE and not _associated(station):
            enough = _OLD if status == old else 0
        if time.ticks_diff(time.ticks_ms(), began) >= enough:
            break
        time.sleep_ms(100)
    else:
        log("wifi: connected,", station.ifconfig()[0])
        return True
    lacking = _associated(station)
    station.disconnect()
    status = station.status()  # the reason, even if the driver would have tried again
    why = _WHY.partition("\n%d " % status)[2].partition("\n")[0] or "status"
    why = "no address from DHCP" if lacking else why + " (%d)" % status
    log("wifi: no connection:", why)
    time.sleep_ms(100)
    return False


def up(path="/wifi.json"):
    """Join the strongest network of wifi.json that accepts us: its NTP host, str, or None.

    Raises ConfigError for a wrong file. If no network can be joined, this is logged and the radio
    keeps trying in the background; the caller finds out when it connects.
    """
    networks, ntp_host = _networks(path)
    station = network.WLAN(network.STA_IF)
    station.active(True)
    if not _online(station):  # a soft reset leaves the radio up; connect() would fail then
        station.disconnect()
        time.sleep_ms(100)
        networks = _best_first(station, networks)
        if not any(_join(station, *entry) for entry in networks):
            station.connect(*networks[0])
    return ntp_host


def now():
    """Unix time, seconds: int. The ESP32 counts from 2000, the unix port from 1970."""
    return time.time() + _offset()


def _offset():
    return _EPOCH_2000 if time.gmtime(0)[0] == 2000 else 0


def _floor():
    try:
        with open("/build.json", "rb") as file:
            built = loads(file.read())["time"]
        return max(built, _RELEASED) if type(built) is int else _RELEASED
    except (OSError, ValueError, KeyError, TypeError):
        return _RELEASED


def _set(unix):
    date = time.gmtime(unix - _offset())
    machine.RTC().datetime((date[0], date[1], date[2], date[6], date[3], date[4], date[5], 0))


def _frozen(name):
    """Import a module frozen into the firmware, bypassing the flash: see `aliyun_iot`."""
    path = sys.path[:]
    sys.path[:] = [entry for entry in path if entry not in ("", "/lib")]
    try:
        return __import__(name)
    except ImportError:
        pass  # not frozen: it may be on flash
    finally:
        sys.path[:] = path
    return __import__(name)


def set_clock(host=None):
    """Set the clock by NTP, or at least to the floor. Raises nothing.

    host: the NTP server, None for the firmware's default. After the DNS look-up it takes no longer
    than the second or two that `ntptime` waits.
    """
    floor = _floor()
    if aliyun_iot.time_source == "expired":
        aliyun_iot.time_doubted = now()
        _set(floor)  # an authenticated Date, or NTP, may move it forward from there
        aliyun_iot.time_source = "floor"
    before = sys.modules.get("ntptime")
    try:
        ntptime = _frozen("ntptime")
        own = ntptime.host
        ntptime.host = host or own
        try:
            told = ntptime.time() + _offset()
        finally:
            ntptime.host = own
            if not before:  # leave `sys.modules` as it was
                del sys.modules["ntptime"]
        if not floor <= told < floor + _YEARS or (
            floor < _ZERO - _YEAR and -_DAY <= told - _ZERO < _YEAR
        ):
            log("clock: NTP tells an impossible time, not believed")
        elif aliyun_iot.time_doubted and told > aliyun_iot.time_doubted - _DAY:
            log("clock: NTP tells a time that had proved wrong, not believed")
        else:
            _set(told)
            aliyun_iot.time_source = "ntp"
            return
    except (OSError, ValueError, OverflowError):  # ValueError: an answer that is too short
        log("clock: no NTP")
    if aliyun_iot.time_source is None:
        ahead = now() - floor
        # Within a day of the floor, it may just have been set to the floor before a reset.
        aliyun_iot.time_source = "kept" if _DAY <= ahead < _YEARS else "floor"
        if not 0 <= ahead < _YEARS:
            _set(floor)


def heed(date):
    """Move an unset clock forward to the Date header (bytes) of an authenticated answer."""
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


def ask(session):
    """Set an unset clock by the platform's time service, over a connected session.

    Platform docs "NTP service". The answer is authenticated, but may only move the clock forward.
    Raises what `Session.publish` raises.
    """
    topic = "/ext/ntp/{}/{}/".format(session.product_key, session.device_name)
    name = (topic + "response").encode()
    answers = []
    session.readers[name] = lambda payload, left: answers.append(bytes(payload))
    began = time.ticks_ms()
    try:
        session.publish(topic + "request", '{"deviceSendTime":"0"}')
        session.run(session.waiting(3000, lambda: answers))
    finally:
        del session.readers[name]
    took = time.ticks_diff(time.ticks_ms(), began)
    try:
        fields = loads(answers[0])
        told = int(fields["serverRecvTime"]) + int(fields["serverSendTime"]) + took
    except (IndexError, ValueError, KeyError, TypeError, OverflowError):
        return  # no answer, or a malformed one: leave the clock alone
    told //= 2000  # twice milliseconds
    if now() < told < _floor() + _YEARS:
        _set(told)
        aliyun_iot.time_source = "platform"


def start():
    """What boot.py does: Wi-Fi up, clock set. Raises ConfigError for a wrong wifi.json."""
    set_clock(up())


def restore():
    """Restore Wi-Fi and the clock if they were lost or never set. Raises nothing."""
    host = None
    station = network.WLAN(network.STA_IF)
    if station.active() and not _online(station):
        try:
            host = up()
        except (ConfigError, OSError) as e:
            log(e)
    if not aliyun_iot.time_is_set():
        set_clock(host)
