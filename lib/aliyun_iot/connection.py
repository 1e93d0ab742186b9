"""Before and after an attempt to connect: waits, rate limits, and work that is due then."""

from micropython import const

import aliyun_iot

from . import TlsError, log, phase, time

_MINUTE = const(60000)
_CONNECTS = const(5)  # per device and minute, platform documentation "Limits"
_STAYED = const(60000)  # ms; a connection that lasted this long was a good one

# The first wait after an error that may pass by itself, ms; doubled each time. At their shortest,
# the first five waits add up to more than a minute, so the limit is not reached.
_FIRST = const(4000)
_MOST = const(300000)
_SLOW_FIRST = const(60000)  # after a refusal: only a person can fix it, and may have done so
_SLOW_MOST = const(1800000)

# --- a device


def connected(device):
    """Set the clock and forget the ProductSecret after a connect, where that is due."""
    if not aliyun_iot.time_is_set():
        phase("network.ask", device.session)
    if device.forgets and phase("scrub.product_secret", "/product.json", device.feed):
        device.forgets = device.can_ask = False


# --- trying again


def ready(device, problem):
    """Wait until the device may try to connect or register.

    problem: the IotError that ended the last attempt or connection, or None.
    """
    if problem:
        sleep(failed(device, problem), device.feed)
    sleep(begin(device), device.feed)


def sleep(ms, feed):
    """Wait `ms`, up to 45 minutes, in steps short enough for a watchdog, calling feed()."""
    while True:
        if feed:
            feed()
        if ms <= 0:
            return
        time.sleep_ms(min(ms, 1000))
        ms -= 1000


def begin(device):
    """Prepare an attempt and note its start: milliseconds to wait first, for the rate limit.

    Restores Wi-Fi and the clock if they were lost or never set.
    """
    import network

    if device.feed:
        device.feed()
    station = network.WLAN(network.STA_IF)
    # Both together mean online: see `network`.
    online = station.isconnected() and station.ifconfig()[0] != "0.0.0.0"
    if not aliyun_iot.time_is_set() or (station.active() and not online):
        phase("network.restore")
    wait = barred(device.begun)
    device.begun.append(time.ticks_add(time.ticks_ms(), wait))
    if len(device.begun) > _CONNECTS:
        device.begun.pop(0)
    return wait


def failed(device, e):
    """Handle the error `e` that ended an attempt or a connection: milliseconds to wait."""
    if hasattr(e, "identity"):
        phase("moving.failed", device, e)
    slow = not e.retry
    if slow and isinstance(e, TlsError):
        # NTP may have been wrong: ask again, and go back to the floor if there is no answer. But
        # only if nothing else is wrong with the certificate: a captive portal's own certificate
        # must not make us give up a correct clock.
        alone = str(e).endswith("has expired")
        aliyun_iot.time_source = "expired" if alone else "floor"
        if "future" in str(e):
            aliyun_iot.time_doubted = None  # the floor is wrong as well, so NTP may be right
    if device.since is not None:
        # Two boards with one identity end each other's connections, each lasting as long as the
        # other board waits: only a long one shows that the other is gone.
        held = time.ticks_diff(time.ticks_ms(), device.since)
        if not 0 <= held < (_SLOW_MOST if device.kicks else _STAYED):
            device.failures = device.kicks = 0
        device.since = None
    if device.session and device.session.kicked:
        device.session.kicked = False
        slow = True
        device.kicks += 1
    wait = span(device.begun, device.failures, slow)
    device.failures += 1
    log("{}; trying again in {} s".format(e, (wait + 999) // 1000))
    return wait


def span(begun, failures, slow=False):
    """Milliseconds to wait before the next attempt, int.

    Each wait is a random 0.5 to 1.5 times a span that doubles, so that devices that failed
    together do not come back together. begun: see `barred`. failures: how many in a row came
    before this one. slow: whether a person has to fix the error.
    """
    first, most = (_SLOW_FIRST, _SLOW_MOST) if slow else (_FIRST, _MOST)
    middle = min(first << min(failures, 12), most)
    jitter = aliyun_iot.random.getrandbits(16)
    limit = barred(begun)
    # The wait for the rate limit needs jitter too, or a whole fleet would end it together.
    return max(middle // 2 + jitter * middle // 65536, limit and limit + jitter)


def barred(begun):
    """Milliseconds until the platform's limit of 5 connects a minute allows another one, int.

    begun: when the latest attempts to connect or register began, a list of ticks_ms.
    """
    if len(begun) < _CONNECTS:
        return 0
    ago = time.ticks_diff(time.ticks_ms(), begun[0])
    # After six days ticks_diff wraps around: the past may seem to be the future.
    return _MINUTE - ago if 0 <= ago < _MINUTE else 0
