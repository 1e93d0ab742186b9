"""How often something happened within the last minute, by name."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable

from tools.iot_platform.rules.limits import RATE_WINDOW

_LEAST = 1024


class Rate:
    """Counts by name up to a limit. What is older than the window is forgotten, names too."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: seconds."""
        self._clock = clock
        self._times: dict[Hashable, deque[float]] = {}
        self._sweep_at = _LEAST

    def allow(self, name: Hashable, limit: int | None) -> bool:
        """Counts one more of a name unless `limit` have been; None: no limit, nothing counted."""
        if limit is None:
            return True
        now = self._clock()
        if len(self._times) >= self._sweep_at:
            self._sweep(now)
        times = self._times.setdefault(name, deque())
        while times and times[0] <= now - RATE_WINDOW:
            times.popleft()
        if len(times) >= limit:
            return False
        times.append(now)
        return True

    def __len__(self) -> int:
        """How many names are remembered."""
        return len(self._times)

    def _sweep(self, now: float) -> None:
        old = now - RATE_WINDOW
        self._times = {n: times for n, times in self._times.items() if times and times[-1] > old}
        self._sweep_at = max(_LEAST, 2 * len(self._times))
