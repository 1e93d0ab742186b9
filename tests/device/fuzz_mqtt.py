"""Mutated MQTT streams through a Session: CONNACK, then whatever the platform sends."""

import sys
import time

import aliyun_iot
import mutate


def phase(what, *args):
    """As the package's, but what was loaded stays."""
    name, _, function = ("aliyun_iot." + what).rpartition(".")
    __import__(name)
    return getattr(sys.modules[name], function)(*args)


aliyun_iot.phase = phase
aliyun_iot.log_level = 0
from aliyun_iot import wire  # noqa: E402
from aliyun_iot.session import Session  # noqa: E402

_OK = b"\x20\x02\0\0"
_SHORT = b"\x30\x0a\0\x02/tHELLO!"
_ACKED = b"\x32\x0c\0\x02/t\0\x01HELLO!"
_LONG = b"\x30\x88\x01\0\x06/topic" + b"x" * 128
CORPUS = (
    _OK,
    _OK + _SHORT + _ACKED,
    _OK + b"\x90\x03\0\x01\0" + _SHORT + b"\x40\x02\0\x02" + _ACKED,
    _OK + _LONG + b"\xd0\0" + _SHORT,
    b"\x20\x02\0\x05",
    _OK + _ACKED * 6,
    _OK + b"\x40\x02\0\x01\x90\x03\0\x02\x80",
    _OK + b"\x30\xd0\x86\x03\0\x02/t" + b"y" * 60,
)


class Wire(wire.Wire):
    """The stream below: takes everything, gives the bytes there are, then ends."""

    def __init__(self, data):
        self.io = self
        self.dry = self.over = False
        self.data = memoryview(data)
        self.heard = self.moved = time.ticks_ms()
        self.left = len(data) + 300

    def wait(self, event, ms):
        raise AssertionError("everything is there: nothing to wait for")

    def readinto(self, buf):
        self.left -= 1
        if self.left < 0:
            raise mutate.Hang
        count = min(len(buf), len(self.data))
        buf[:count] = self.data[:count]
        self.data = self.data[count:]
        return count

    def write(self, data):
        return len(data)

    def flush(self):
        return True

    def close(self):
        pass


def opening(hold, *where):
    """In the place of `wire.opening`."""
    hold.sock = Wire(stream)
    yield from ()


wire.opening = opening
session = Session("a1ExpAkj9Hi", "unit1", "localhost", 1883, 300, None)
stream = b""


def parse(data):
    global stream
    stream = data
    # What the last case left to be done again is not this one's; the session object is.
    session.unacked = None
    session.topics.clear()
    session.inbox.clear()
    session.connect(b"\x10\0")
    kind = len(data) % 4
    if kind == 1:
        session.subscribe("/sys/a/b/c")
    elif kind == 2:
        session.publish("/sys/a/b/c", b"x", qos=1)
    while True:
        message = session.wait(1)
        if message and not isinstance(message[1], bytes):
            raise TypeError("a message that is not bytes")


mutate.run(CORPUS, parse)
