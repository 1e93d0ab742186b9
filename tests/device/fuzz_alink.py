"""Mutated replies about sub-devices through a gateway's conversation, in pieces of any size."""

import aliyun_iot
import mutate

aliyun_iot.log_level = 0
from aliyun_iot import ProtocolError, gateway  # noqa: E402
from aliyun_iot.gateway import codes, notices, registration, steps, talk  # noqa: E402

NAMES = [("pk", "unit-1"), ("pk", "unit-2")]
_ENTRIES = (
    b'{"iotId":"x","productKey":"pk","deviceName":"unit-1","deviceSecret":"s{["},'
    b'{"productKey":"pk","deviceName":"unit-2","deviceSecret":"\\"t"}'
)
_FAILED = b'{"productKey":"pk","deviceName":"unit-2","errorDetail":{"code":6288,"message":"m"}}'
CORPUS = (
    b'{"code":200,"data":[' + _ENTRIES + b'],"id":"1","message":"success"}',
    b'{"id":"1","code":200,"data":[' + _ENTRIES * 1 + b", " + _ENTRIES * 1 + b"]}",
    b'{"code":200,"data":{"successes":['
    + _ENTRIES
    + b'],"failures":['
    + _FAILED
    + b']},"id":"1"}',
    b'{"code":6100,"data":{},"id":"1","message":"no such device"}',
    b'{"code":"200","data":[' + _FAILED * 1 + b'],"id":1}',
    b'{"id":"9","params":{"status":1,"subList":[' + _FAILED + b"]}}",
)


def phase(what, *args):
    """As the package's, but what was loaded stays, and nothing is stored."""
    if what == "gateway.saving.save":
        batch = args[1]
        for names in list(batch):
            if not isinstance(batch[names], str):
                del batch[names]
        return None
    if what == "gateway.codes.refusal":
        return codes.refusal(*args)
    if what == "gateway.notices.handle":
        return notices.handle(*args)
    raise AssertionError(what)


talk.phase = registration.phase = gateway.phase = phase


class Session:
    product_key = "a1GatewayKey"
    device_name = "gateway-1"
    sock = None

    def __init__(self):
        self.readers = {}

    def topic(self, tail):
        return "/sys/a1GatewayKey/gateway-1/" + tail

    def publish(self, topic, payload):
        pass

    def run(self, steps):
        pass

    def waiting(self, ms, done):
        data, self.data = self.data, b""
        (reader,) = self.readers.values()
        size = 1 + len(data) % 97
        for at in range(0, len(data), size):
            reader(memoryview(data)[at : at + size], max(0, len(data) - at - size))


session = Session()
gate = gateway.Gateway(session)
gate.tries = 1
gate.mark = lambda subdevices, online: None
conversation = talk.Talk(gate)


def parse(data):
    gate.number = 0
    session.data = data
    session.readers.clear()
    conversation.gateway.free = 0
    kind = len(data) % 3
    if kind == 0:
        failed = registration.register(conversation, NAMES[: 1 + len(data) % 2], {})
        if failed and not isinstance(next(iter(failed.values())), aliyun_iot.IotError):
            raise TypeError("an error that is none")
    elif kind == 1:
        steps.topology(conversation, lambda key, name: key + name)
    elif not gate.handle(b"/sys/a1GatewayKey/gateway-1/thing/topo/change", data):
        raise ProtocolError("not handled")


mutate.run(CORPUS, parse)
