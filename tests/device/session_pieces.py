"""What the platform sends, cut in two at every byte: it must not matter to a Session.

Gives [cut, what came] of each cut that changed what came.
"""

import json
import time

from aliyun_iot import NetworkError, wire
from aliyun_iot.session import Session

SHORT = b"\x30\x0a\0\x02/tHELLO!"
LONG = b"\x32\xd8\x04\0\x06/topic\0\x07" + b"x" * 590
READ = b"\x30\xd6\x04\0\x06/reply" + b"y" * 590
STREAM = SHORT + LONG + SHORT + READ + SHORT


class Wire(wire.Wire):
    """The stream below: gives what is there up to the cut, then the rest, then nothing."""

    def __init__(self, pieces):
        self.io = self
        self.pieces = pieces
        self.dry = self.over = False
        self.heard = self.moved = time.ticks_ms()

    def wait(self, event, ms):
        pass

    def readinto(self, buf):
        if not self.pieces:
            return 0
        piece = self.pieces[0]
        if not piece:
            self.pieces.pop(0)
            return None
        count = min(len(buf), len(piece))
        buf[:count] = piece[:count]
        self.pieces[0] = piece[count:]
        return count

    def write(self, data):
        return len(data)

    def flush(self):
        return True

    def close(self):
        pass


def come(cut):
    session = Session("pk", "unit-1", "localhost", 1883, 300, None)
    session.sock = Wire([STREAM[:cut], STREAM[cut:]])
    read = bytearray()
    ends = []

    def reader(piece, left):
        read.extend(piece)
        if not left:
            ends.append(len(read))

    session.readers[b"/reply"] = reader
    came = []
    try:
        while True:
            message = session.wait(60000)
            came.append([message[0].decode(), len(message[1])])
    except NetworkError:
        pass  # the stream has ended
    return [came, ends, read.count(b"y")]


def main():
    whole = come(len(STREAM))
    assert whole == [[["/t", 6], ["/topic", 590], ["/t", 6], ["/t", 6]], [590], 590], whole
    wrong = []
    for cut in range(len(STREAM)):
        try:
            got = come(cut)
        except Exception as e:
            got = repr(e)
        if got != whole:
            wrong.append([cut, got])
    print(json.dumps(wrong))


main()
