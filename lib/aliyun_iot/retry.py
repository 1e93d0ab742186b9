"""Waits between tries: growing, with jitter, inside the platform's 5 connects a minute."""

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


class Waits:
    """When to try next. One object per device, kept for as long as it runs.

    Call `starting()` at each try to connect or register, `failed(slow)` after one that failed,
    `succeeded()` once a connection has proved good.
    """

    def __init__(self):
        self._starts = []  # ticks_ms of the latest tries, at most _CONNECTS
        self._failures = 0

    def starting(self):
        """Note that a try begins now."""
        self._starts.append(time.ticks_ms())
        if len(self._starts) > _CONNECTS:
            self._starts.pop(0)

    def succeeded(self):
        """Let the next wait be a short one again."""
        self._failures = 0

    def failed(self, slow=False):
        """Milliseconds to wait before the next try, int.

        Each wait lies between half and one and a half of a span that doubles: devices that
        failed together do not come back together. slow: the error needs somebody to act.
        """
        first, most = (_SLOW_FIRST, _SLOW_MOST) if slow else (_FIRST, _MOST)
        span = min(first << min(self._failures, 12), most)
        self._failures += 1
        jitter = random.getrandbits(16)
        barred = self.barred()
        # Who must wait for the limit gets jitter on top: all of a fleet would end it together.
        return max(span // 2 + jitter * span // 65536, barred and barred + jitter)

    def barred(self):
        """Milliseconds until the platform's limit lets another try begin, int."""
        if len(self._starts) < _CONNECTS:
            return 0
        ago = time.ticks_diff(time.ticks_ms(), self._starts[0])
        # After six days ticks_diff may take a long time ago for the future.
        return _MINUTE - ago if 0 <= ago < _MINUTE else 0
