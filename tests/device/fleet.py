"""A fleet powered on in the same second, before a platform that serves so many tries a second.

Given {"devices": n, "served": tries a second, "jitter": bool, "seed", "seconds": n}: each device
waits by `aliyun_iot.connection`, over a simulated clock. The result is {"tries": [of each second],
"online": [second at which each device was served], "most": largest number of tries of one device
in any minute}.
"""

import heapq
import json
import random
import sys

with open(sys.argv[1]) as file:
    given = json.load(file)


class Clock:
    now = 0

    def ticks_ms(self):
        return self.now

    def ticks_add(self, ticks, ms):
        return ticks + ms

    def ticks_diff(self, end, start):
        return end - start


class Device:
    feed = None

    def __init__(self):
        self.begun = []


class Middle:
    """In the place of `random`: every wait is the middle of its span."""

    def getrandbits(self, count):
        return 1 << count - 1


clock = sys.modules["time"] = Clock()
import aliyun_iot  # noqa: E402 the simulated clock must be there first
import still_network  # noqa: E402,F401
from aliyun_iot import connection  # noqa: E402

aliyun_iot.time_source = "ntp"

random.seed(given["seed"])
waits = [Device() for _ in range(given["devices"])]
failures = [0] * given["devices"]
queue = [(random.getrandbits(20) % 1000, number) for number in range(given["devices"])]
heapq.heapify(queue)
if not given["jitter"]:
    aliyun_iot.random = Middle()
tries = [0] * given["seconds"]
begun = [[] for _ in waits]
online = []
most = 0
while queue and queue[0][0] < given["seconds"] * 1000:
    clock.now, number = heapq.heappop(queue)
    second = clock.now // 1000
    tries[second] += 1
    recent = [at for at in begun[number] if at > clock.now - 60000]
    recent.append(clock.now)
    begun[number] = recent
    most = max(most, len(recent))
    connection.begin(waits[number])
    if tries[second] <= given["served"]:
        online.append(second)
    else:
        wait = connection.span(waits[number].begun, failures[number])
        failures[number] += 1
        heapq.heappush(queue, (clock.now + 30 + wait, number))
print(json.dumps({"tries": tries, "online": online, "most": most}))
