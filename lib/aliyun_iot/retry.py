"""When to try: growing waits with jitter, inside the platform's 5 connects a minute.

`tries` is a list, empty at first, of when the latest tries to connect or register began
(`time.ticks_ms`). The caller keeps it, so that this module can be unloaded.
"""

import random
import time

from micropython import const

_MINUTE = const(60000)
_CONNECTS = const(5)  # per device and minute, platform documentation "Limits"

# The first wait after an error that may pass by itself, ms; doubled each time. With it the
# shortest first five waits add up to more than a minute: the limit is not reached.
_FIRST = const(4000)
_MOST = const(300000)
_SLOW_FIRST = const(60000)  # after a refusal: only somebody's doing can help, but it may be done
_SLOW_MOST = const(1800000)


def ready(tries):
    """Prepare for a try, wait until the limit lets it begin, note that it does.

    Wi-Fi and time are seen to, where they were lost or never came; neither is worth stopping for.
    """
    import network

    from . import time_is_set

    host = None
    station = network.WLAN(network.STA_IF)
    if station.active() and not station.isconnected():
        from .errors import ConfigError
        from .log import log
        from .wifi import up

        try:
            host = up()
        except (ConfigError, OSError) as e:
            log(e)
    if not time_is_set():
        from .clock import start

        start(host)
    time.sleep_ms(barred(tries))
    note(tries)


def note(tries):
    """Note that a try begins now."""
    tries.append(time.ticks_ms())
    if len(tries) > _CONNECTS:
        tries.pop(0)


def span(tries, failures, slow=False):
    """Milliseconds to wait before the next try, int.

    Each wait lies between half and one and a half of a span that doubles: devices that failed
    together do not come back together. failures: how many in a row there were before this one.
    slow: the error needs somebody to act.
    """
    first, most = (_SLOW_FIRST, _SLOW_MOST) if slow else (_FIRST, _MOST)
    middle = min(first << min(failures, 12), most)
    jitter = random.getrandbits(16)
    limit = barred(tries)
    # Who must wait for the limit gets jitter on top: all of a fleet would end it together.
    return max(middle // 2 + jitter * middle // 65536, limit and limit + jitter)


def barred(tries):
    """Milliseconds until the platform's limit lets another try begin, int."""
    if len(tries) < _CONNECTS:
        return 0
    ago = time.ticks_diff(time.ticks_ms(), tries[0])
    # After six days ticks_diff may take a long time ago for the future.
    return _MINUTE - ago if 0 <= ago < _MINUTE else 0
