"""A Gateway against a platform that follows a script, on a clock of its own.

Given {"flash": folder in use or None, "steps": [[method, arguments...], ...], "edits": {...}}.
"edits" says what answers request number n instead of the obliging answer: a list of
[delay in ms, topic or null for the right one, payload], with $id for the request's id, $prev for
the one before; {"lost": true} for none; {"code": n}; {"break": true} for a broken connection.
A rule {"refuse": {"device name": code}, "tail": ...} holds for every request that names it.
"secret", "timestamp" and "random" are used in place of made-up ones.

Gives {"sent": [[ms, topic, payload]], "results": [...], "each": [...], "inbox": [...], ...}.
"""

import json
import sys

# All of it: what is loaded before a call stays, and can be given another clock.
from aliyun_iot import IotError, NetworkError, gateway
from aliyun_iot.gateway import online, signed, steps, store, taking, talk
from ramflash import RamFlash, format_and_mount

GATEWAY = ("a1GatewayKey", "gateway-1")


class Clock:
    now = 1000

    def ticks_ms(self):
        return self.now

    def ticks_add(self, a, b):
        return a + b

    def ticks_diff(self, a, b):
        return a - b

    def sleep_ms(self, ms):
        self.now += ms


class Collector:
    """Collects nothing: this heap is large, and each time would take long."""

    def collect(self):
        pass

    def threshold(self, *size):
        return -1


class Session:
    """What Gateway uses of a Session. `coming` is what is under way: [time, topic, payload].

    Long messages reach their reader in pieces, as from a real one.
    """

    def __init__(self, clock, edits, rules, secret):
        self.secret = secret
        self.product_key, self.device_name = GATEWAY
        self.inbox = []
        self.readers = {}
        self.topics = []
        self.unacked = None
        self.sock = None
        self.clock = clock
        self.edits = edits
        self.rules = rules
        self.coming = []
        self.sent = []
        self.given = {}
        self.serial = 0
        self.online()

    def online(self):
        self.sock = True

    def topic(self, tail):
        return "/sys/{}/{}/{}".format(self.product_key, self.device_name, tail)

    def subscribe(self, topic):
        self.topics.append(topic)

    def publish(self, topic, payload, retain=False, qos=0):
        if not self.sock:
            raise NetworkError("not connected")
        topic = topic.decode() if isinstance(topic, bytes) else topic
        payload = payload.encode() if isinstance(payload, str) else bytes(payload)
        self.sent.append([self.clock.now, topic, payload.decode()])
        if "/user/" in topic or "event" in topic or topic.endswith("_reply"):
            if topic.endswith("break"):
                if qos:
                    self.unacked = (topic, payload)
                raise NetworkError("lost")
            return
        assert (topic + "_reply").encode() in self.readers
        request = json.loads(payload)
        number = request["id"]
        edit = self.edits.pop(str(len(self.given) + 1), None)
        self.given[number] = topic
        if edit is None:
            edit = [[20, None, self.obliging(topic, request)]]
        elif isinstance(edit, dict):
            if edit.get("lost"):
                return
            if edit.get("break"):
                self.sock = None
                return
            edit = [[20, None, '{"code":%d,"data":{},"id":"$id"}' % edit["code"]]]
        before = str(int(number) - 1)
        for delay, where, text in edit:
            text = text.replace("$id", number).replace("$prev", before).encode()
            where = (where or topic + "_reply").encode()
            self.coming.append([self.clock.now + delay, where, text])
        self.coming.sort(key=lambda entry: entry[0])

    def obliging(self, topic, request):
        params = request["params"]
        if isinstance(params, dict):
            params = params.get("deviceList", params.get("proxieds", [params]))
        code = 200
        for rule in self.rules:
            if topic.endswith(rule["tail"]):
                for entry in params:
                    code = rule["refuse"].get(entry.get("deviceName"), code)
        data = {}
        if topic.endswith("register"):
            data = []
            for entry in params:
                self.serial += 1
                data.append(
                    dict(entry, iotId="x", deviceSecret=self.secret or "secret%026d" % self.serial)
                )
            if "proxy" in topic:
                data = {"successes": data, "failures": []}
        if topic.endswith("topo/get"):
            names = ["sensor-%04d" % i for i in range(3)]
            data = [{"productKey": "a1SensorKey", "deviceName": name} for name in names]
        return json.dumps({"code": code, "data": data if code == 200 else {}, "id": request["id"]})

    def run(self, steps):
        for _ in steps:
            raise AssertionError("it waits for nothing")

    def waiting(self, ms, done):
        until = self.clock.now + ms
        while not done():
            if not self.sock:
                raise NetworkError("not connected")
            if not self.coming or self.coming[0][0] > until:
                self.clock.now = until
                break
            at, topic, payload = self.coming.pop(0)
            self.clock.now = max(self.clock.now, at)
            reader = self.readers.get(topic)
            if not reader:
                self.inbox.append((topic, payload))
            elif len(payload) <= 256:
                reader(payload, 0)
            else:
                view = memoryview(payload)
                for start in range(0, len(payload), 100):
                    reader(view[start : start + 100], max(0, len(payload) - start - 100))
        yield from ()

    def wait(self, ms):
        self.run(self.waiting(ms, lambda: self.inbox))
        return self.inbox.pop(0) if self.inbox else None


def main(given):
    format_and_mount(RamFlash(160), "/ram")
    store.Store.folder = "/ram/subdevices"
    clock = Clock()
    talk.time = online.time = gateway.time = clock
    talk.gc = Collector()
    assert steps  # loaded, as are the others
    session = Session(clock, given.get("edits", {}), given.get("rules", []), given.get("secret"))
    if "timestamp" in given:
        signed.timestamp = lambda: given["timestamp"]
        taking.random = lambda: given["random"]
    gate = gateway.Gateway(session, given.get("sign_method", "hmacsha256"))
    gate.number = given.get("number", 122)
    calls = []
    notes = []
    gate.on_notice = lambda *args: notes.append(["notice"] + list(args))
    gate.on_add = lambda *args: notes.append(["add"] + list(args))
    gate.on_change = lambda *args: notes.append(["change"] + list(args))

    def each(key, name, error=None):
        calls.append([key, name, error and [type(error).__name__, error.code, str(error)]])

    def pairs(value):
        # JSON has no tuples; {"range": [first, count]} stands for many sensors.
        if isinstance(value, dict) and "range" in value:
            first, count = value["range"]
            return [("a1SensorKey", "sensor-%04d" % i) for i in range(first, first + count)]
        if isinstance(value, dict) and "once" in value:
            return iter(pairs(value["once"]))
        if isinstance(value, list):
            return [tuple(item) if isinstance(item, list) else item for item in value]
        return value

    results = []
    for step in given["steps"]:
        name, arguments = step[0], [pairs(value) for value in step[1:]]
        try:
            if name == "come":
                session.coming.extend(
                    [clock.now + delay, topic.encode(), text.encode()]
                    for delay, topic, text in step[1]
                )
                result = None
            elif name == "reconnect":
                session.online()
                result = None
            elif name == "reboot":
                gate = gateway.Gateway(session, *arguments)
                result = None
            elif name == "stored":
                kept = store.Store()
                result = len([at for at in range(kept.pages * 30) if kept.at(at)])
            elif name == "unacked":
                session.unacked = ("/own", b"mine")
                result = None
            elif name == "break":
                session.sock = None
                result = None
            elif name == "inside":  # calls from within another's `each`

                def inside(key, name, error, step=step, gate=gate):
                    calls.append([key, name, error and str(error)])
                    getattr(gate, step[2])(pairs(step[3]))

                result = gate.bring_online(pairs(step[1]), inside)
            elif name == "rules":
                session.rules = step[1]
                result = None
            elif name == "topology":
                result = gate.topology(each)
            elif arguments and arguments[-1] == "each":
                result = getattr(gate, name)(*arguments[:-1], each=each)
            else:
                result = getattr(gate, name)(*arguments)
            if isinstance(result, tuple):
                result = [item.decode() for item in result]
            results.append(result)
        except (IotError, ValueError, TypeError) as e:
            code = getattr(e, "code", None)
            results.append({"error": type(e).__name__, "code": code, "text": str(e)})
    print(
        json.dumps(
            {
                "sent": session.sent,
                "results": results,
                "each": calls,
                "notes": notes,
                "inbox": [[topic.decode(), text.decode()] for topic, text in session.inbox],
                "topics": [str(topic) for topic in session.topics],
                "unacked": session.unacked and session.unacked[0],
                "now": clock.now,
            }
        )
    )


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        main(json.load(file))
