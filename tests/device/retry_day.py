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

    def ticks_add(self, ticks, ms):
        return (ticks + ms) % PERIOD

    def ticks_diff(self, end, start):
        return (end - start + PERIOD // 2) % PERIOD - PERIOD // 2


class Device:
    feed = None
    begun = []


clock = sys.modules["time"] = Clock()
import aliyun_iot  # noqa: E402 the simulated clock must be there first
import still_network  # noqa: E402,F401
from aliyun_iot import connection  # noqa: E402

aliyun_iot.time_source = "ntp"

random.seed(given["seed"])
device = Device()
failures = 0
began = clock.now
starts = []
while clock.now - began < given["hours"] * 3600000:
    clock.now += connection.begin(device)
    starts.append(clock.now - began)
    clock.now += 30  # the try itself
    clock.now += connection.span(device.begun, failures, given["slow"])
    failures += 1
print(json.dumps(starts))
