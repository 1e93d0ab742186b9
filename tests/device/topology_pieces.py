"""Long answers to thing/topo/get, read as umqtt reads them, cut at every place of an entry.

Given {"count": sub-devices, "topic" and "id": of the answer, "extra": JSON put into each entry,
"raise": at which sub-device `each` raises}. Gives, for each shift of the pieces, [how many were
called, how many counted, the first and last name, the code that was read, an error].
"""

import json
import sys

from aliyun_iot.topology import Reader

TOPIC = b"/sys/a1GatewayKey/gateway-1/thing/topo/get_reply"


class Sock:
    limit = 8192

    def __init__(self, data):
        self.data = data
        self.at = 0

    def read(self, count):
        self.at += count
        return self.data[self.at - count : self.at]


def main(given):
    results = []
    text = '{"deviceName":"sensor-%04d","productKey":"a1SensorKey"' + given.get("extra", "") + "}"
    entries = ",".join([text % n for n in range(given["count"])])
    for shift in range(0, 70, 7):
        payload = '{"code":200,%s"data":[%s],"id":"%s","message":"success"}' % (
            " " * shift,
            entries,
            given.get("id", "123"),
        )
        payload = payload.encode()
        topic = given.get("topic", "").encode() or TOPIC
        seen = []

        def each(key, name, seen=seen):
            seen.append(name)
            if len(seen) == given.get("raise"):
                raise RuntimeError("the application's")

        sock = Sock(len(topic).to_bytes(2, "big") + topic + payload)
        reader = Reader(TOPIC, each)
        reader.tap(sock)
        sock.read(2)
        assert sock.read(len(topic)) == topic
        message = sock.read(len(payload))
        reader.untap()
        error = answer = None
        try:
            answer = reader.answer(message, "123") if topic == TOPIC else {"code": len(message)}
        except Exception as e:
            error = str(e)
        ends = seen[:1] + seen[-1:]
        results.append([len(seen), reader.count, ends, answer and answer["code"], error])
    print(json.dumps(results))


with open(sys.argv[1]) as file:
    main(json.load(file))
