"""A simulated day of tries that all fail: when each begins, in milliseconds.

Given {"seed": n, "slow": bool, "hours": n}. The clock is simulated: `time.ticks_ms` is replaced.
"""

import json
import random
import sys

with open(sys.argv[1]) as file:
    given = json.load(file)


PERIOD = 1 << 30  # of the chip's ticks; the unix port's own is longer


class Clock:
    now = PERIOD - 5000  # just before they wrap around

    def ticks_ms(self):
        return self.now % PERIOD

    def ticks_diff(self, end, start):
        return (end - start + PERIOD // 2) % PERIOD - PERIOD // 2


clock = sys.modules["time"] = Clock()
from aliyun_iot import retry  # noqa: E402 the simulated clock must be there first

random.seed(given["seed"])
tries = []
failures = 0
began = clock.now
starts = []
while clock.now - began < given["hours"] * 3600000:
    starts.append(clock.now - began)
    retry.note(tries)
    clock.now += 30  # the try itself
    clock.now += retry.span(tries, failures, given["slow"])
    failures += 1
print(json.dumps(starts))
