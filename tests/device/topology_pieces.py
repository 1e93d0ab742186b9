"""Long answers to thing/topo/get, cut into pieces at every place of an entry.

Given {"count": sub-devices, "id": of the answer, "extra": JSON put into each entry, "space": put
between the entries, "spoil": [text, other text], "raise": at which sub-device `each` raises,
"stall": true for a first answer of which half comes in time, and the rest with the next one}.
Gives, for each shift of the pieces, [how many were called, how many counted, the first and last
name, the code that was read, an error].
"""

import json
import sys

from aliyun_iot import NetworkError, gateway
from aliyun_iot.gateway import steps, talk


class Session:
    product_key = "a1GatewayKey"
    device_name = "gateway-1"
    sock = None

    def __init__(self, payload, most, stall):
        self.readers = {}
        self.payload = payload
        self.most = most
        self.stalled = None
        self.asked = 0 if stall else 1

    def pieces(self, reader, payload, first, last):
        for at in range(first, last, self.most):
            piece = memoryview(payload)[at : min(last, at + self.most)]
            reader(piece, max(0, len(payload) - at - len(piece)))

    def topic(self, tail):
        return "/sys/a1GatewayKey/gateway-1/" + tail

    def publish(self, topic, payload):
        self.asked += 1
        self.sock = True  # it holds: what has no answer is asked for again

    def run(self, steps):
        pass

    def waiting(self, ms, done):
        (reader,) = self.readers.values()
        half = len(self.payload) // 2
        if self.asked == 1:
            if not self.stalled:
                self.stalled = reader
                self.pieces(reader, self.payload, 0, half)
            return
        if self.stalled:  # the packet is another reader's to its end
            self.pieces(self.stalled, self.payload, half, len(self.payload))
            self.stalled = None
            self.payload = self.payload.replace(b'"1",', b'"2",')
        payload, self.payload = self.payload, b""
        if 0 < len(payload) <= 256:
            reader(payload, 0)
        else:
            self.pieces(reader, payload, 0, len(payload))


def main(given):
    results = []
    text = '{"deviceName":"sensor-%04d","productKey":"a1SensorKey"' + given.get("extra", "") + "}"
    comma = "," + given.get("space", "")
    entries = given.get("space", "") + comma.join([text % n for n in range(given["count"])])
    for shift in range(0, 70, 7):
        payload = '{"code":200,%s"data":[%s],"id":"%s","message":"success"}' % (
            " " * shift,
            entries,
            given.get("id", "1"),
        )
        payload = payload.replace(*given.get("spoil", ["", ""])).encode()
        seen = []

        def each(key, name, seen=seen):
            seen.append(name)
            if len(seen) == given.get("raise"):
                raise RuntimeError("the application's")

        gate = gateway.Gateway(Session(payload, 61 + shift, given.get("stall")))
        gate.number = 0
        count = error = None
        try:
            count = steps.topology(talk.Talk(gate), each)
        except (NetworkError, RuntimeError) as e:
            error = str(e)
        results.append([len(seen), count, seen[:1] + seen[-1:], error])
    print(json.dumps(results))


with open(sys.argv[1]) as file:
    main(json.load(file))
