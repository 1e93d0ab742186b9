"""Before a try to connect and after it: waits, limits, what is due then."""

from micropython import const

import aliyun_iot

from . import TlsError, log, phase, time

_MINUTE = const(60000)
_CONNECTS = const(5)  # per device and minute, platform documentation "Limits"
_STAYED = const(60000)  # ms; a connection that held this long was a good one

# The first wait after an error that may pass by itself, ms; doubled each time. With it the
# shortest first five waits add up to more than a minute: the limit is not reached.
_FIRST = const(4000)
_MOST = const(300000)
_SLOW_FIRST = const(60000)  # after a refusal: only somebody's doing can help, but it may be done
_SLOW_MOST = const(1800000)

# --- a device


def connected(device):
    """Do what may be due after a connect."""
    if not aliyun_iot.time_is_set():
        phase("network.ask", device.session)
    if device.forgets and phase("scrub.product_secret", "/product.json", device.feed):
        device.forgets = device.can_ask = False


# --- trying again


def ready(device, problem):
    """Wait until the device may try to connect, or to register.

    problem: the IotError that ended the last try or connection, or None.
    """
    if problem:
        sleep(failed(device, problem), device.feed)
    sleep(begin(device), device.feed)


def sleep(ms, feed):
    """Wait, up to 45 minutes, in pieces that a watchdog can bear."""
    while True:
        if feed:
            feed()
        if ms <= 0:
            return
        time.sleep_ms(min(ms, 1000))
        ms -= 1000


def begin(device):
    """Prepare for a try, note that it begins: milliseconds that the limit makes it wait.

    Wi-Fi and time are seen to, where they were lost or never came.
    """
    import network

    if device.feed:
        device.feed()
    station = network.WLAN(network.STA_IF)
    # An address that DHCP takes back leaves isconnected() true; one is shown without it, too.
    online = station.isconnected() and station.ifconfig()[0] != "0.0.0.0"
    if not aliyun_iot.time_is_set() or (station.active() and not online):
        phase("network.restore")
    wait = barred(device.begun)
    device.begun.append(time.ticks_add(time.ticks_ms(), wait))
    if len(device.begun) > _CONNECTS:
        device.begun.pop(0)
    return wait


def failed(device, e):
    """Take in that a try or a connection ended with `e`: milliseconds to wait."""
    if hasattr(e, "identity"):
        phase("moving.failed", device, e)
    slow = not e.retry
    if slow and isinstance(e, TlsError):
        # It may be NTP that lied: ask again; without an answer, back to the floor. But only where
        # nothing else is wrong with the certificate: a portal's own must not cost a clock that is
        # right.
        alone = str(e).endswith("has expired")
        aliyun_iot.time_source = "expired" if alone else "floor"
        if "future" in str(e):
            aliyun_iot.time_doubted = None  # the floor is wrong too: NTP may have been right
    if device.since is not None:
        # Two boards with one identity end each other's connections, which then hold as long as
        # the other one waits: only a long one shows that the other is gone.
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
    """Milliseconds to wait before the next try, int.

    Each wait lies between half and one and a half of a span that doubles: devices that failed
    together do not come back together. begun: see `barred`. failures: how many in a row there
    were before this one. slow: the error needs somebody to act.
    """
    first, most = (_SLOW_FIRST, _SLOW_MOST) if slow else (_FIRST, _MOST)
    middle = min(first << min(failures, 12), most)
    jitter = aliyun_iot.random.getrandbits(16)
    limit = barred(begun)
    # A wait for the limit gets jitter as well: all of a fleet would end it together.
    return max(middle // 2 + jitter * middle // 65536, limit and limit + jitter)


def barred(begun):
    """Milliseconds until the platform's limit of 5 connects a minute lets another begin, int.

    begun: when the latest tries to connect or register began, a list of ticks_ms.
    """
    if len(begun) < _CONNECTS:
        return 0
    ago = time.ticks_diff(time.ticks_ms(), begun[0])
    # After six days ticks_diff may take a long time ago for the future.
    return _MINUTE - ago if 0 <= ago < _MINUTE else 0
