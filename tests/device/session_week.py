"""A session in simulated time, on a chip's ticks, which wrap at 2^30 ms: days pass in seconds.

Given {"start": ticks, "keepalive":
s, "timeout": ms, "ms": how long, "loop":, "dead": null or "up" |
"down" | "both", "every": ms between two messages or 0, "publish": ms between two QoS 1 messages or
0}. The platform is too: it answers after 50 ms, and closes after one and a half intervals
without a packet. The result: {"error": text or null, "at": ms, "pings":, "longest": ms between two
packets, "sent":, "got":, "dead": when, "pid": of the last}.
"""

import json
import sys
from random import randrange, seed

import aliyun_iot
from aliyun_iot import session as module
from aliyun_iot import wire

with open(sys.argv[1]) as file:
    given = json.load(file)
seed(given.get("seed", 1))
PERIOD = 1 << 30
MASK = PERIOD - 1
aliyun_iot.log_level = 0


class Time:
    """What the package may use of `time`; nothing of it is the wall clock."""

    passed = 0

    @staticmethod
    def ticks_ms():
        return (given["start"] + Time.passed) & MASK

    @staticmethod
    def ticks_add(ticks, ms):
        if not -PERIOD // 2 < ms < PERIOD // 2:
            raise OverflowError
        return (ticks + ms) & MASK

    @staticmethod
    def ticks_diff(end, start):
        return ((end - start + PERIOD // 2) & MASK) - PERIOD // 2


wire.time = module.time = Time
dead = None  # when the link died
KEEPALIVE = given["keepalive"]


class Wire(wire.Wire):
    def __init__(self):
        self.io = self.sock = self
        self.dry = self.over = False
        self.heard = self.moved = Time.ticks_ms()
        self.coming = []  # (when, bytes)
        self.last = Time.passed
        self.longest = self.pings = 0
        self.next = given["every"]

    def ways(self, way):
        return dead is not None and given["dead"] in (way, "both")

    def wait(self, event, ms):
        times = [when for when, _ in self.coming]
        if given["every"] and not self.ways("down"):
            times.append(self.next)
        soonest = min(times) if times else Time.passed + ms
        Time.passed += max(1, min(ms, soonest - Time.passed))

    def arrive(self):
        if given["every"] and not self.ways("down"):
            while self.next <= Time.passed:
                self.coming.append((self.next, b"\x30\x07\0\x02/mabc"))
                self.next += given["every"]
        self.coming.sort(key=lambda each: each[0])

    def readinto(self, buf):
        if Time.passed - self.last > KEEPALIVE * 1500:
            raise OSError(104)
        self.arrive()
        if not self.coming or self.coming[0][0] > Time.passed:
            self.dry = True
            return None
        when, data = self.coming.pop(0)
        count = min(len(buf), len(data))
        buf[:count] = data[:count]
        if data[count:]:
            self.coming.insert(0, (when, data[count:]))
        self.heard = Time.ticks_ms()
        return count

    def write(self, data):
        if self.ways("up"):
            return len(data)
        self.longest = max(self.longest, Time.passed - self.last)
        self.last = Time.passed
        answer = None
        if data[0] == 0xC0:
            self.pings += 1
            answer = b"\xd0\0"
        elif data[0] & 0xF2 == 0x32:
            at = 4 + (data[2] << 8 | data[3])
            answer = b"\x40\x02" + bytes(data[at : at + 2])
            ids.append(data[at] << 8 | data[at + 1])
        if answer and not self.ways("down"):
            self.coming.append((Time.passed + 50, answer))
        return len(data)

    def flush(self):
        return True

    def close(self):
        pass


ids = []
s = module.Session("pk", "dn", "localhost", 1883, KEEPALIVE, None)
s.timeout = given["timeout"]
s.drop()
link = s.sock = Wire()
got = sent = 0
s.pid = given.get("pid", 0)


def listen(message):
    global got
    if message:
        got += 1


def sleep(ms):
    Time.passed += ms


LOOPS = {
    "run": lambda: listen(s.wait(1000)),
    "wait(0)": lambda: (listen(s.wait(0)), sleep(randrange(0, 500))),
    "wait(200)": lambda: (listen(s.wait(200)), sleep(randrange(0, 500))),
    "check_msg, once in keepalive": lambda: (s.check_msg(), sleep(KEEPALIVE * 1000)),
    "check_msg, now and then": lambda: (s.check_msg(), sleep(randrange(0, KEEPALIVE * 1000))),
    "wait, once in keepalive": lambda: (listen(s.wait(0)), sleep(KEEPALIVE * 1000 - 1)),
}
step = LOOPS[given["loop"]]
error = None
if given["loop"].startswith("check"):
    s.set_callback(lambda topic, payload: listen(payload))
dies = randrange(1, given["ms"]) if given["dead"] else None
publish = given.get("publish", 0)
next_publish = 0
try:
    while Time.passed < given["ms"] or (dies is not None and Time.passed < dies + 1000000):
        if dies is not None and dead is None and Time.passed >= dies:
            dead = Time.passed
        if publish and Time.passed >= next_publish:
            next_publish = Time.passed + publish
            s.publish("/t", b"x", qos=1)
            sent += 1
        step()
except aliyun_iot.IotError as e:
    error = str(e)
told = {"error": error, "at": Time.passed, "pings": link.pings, "longest": link.longest}
told["sent"], told["got"], told["dead"], told["pid"] = sent, got, dead, s.pid
told["ids"] = [min(ids or [0]), max(ids or [0]), len(ids)]
print(json.dumps(told))
