"""main.py of a board that registers or connects many devices, one after the other.

/tries.json holds {"do": "register" | "connect" | "rotate", "ms": [deadline of each try],
"devices": [[DeviceName, DeviceSecret or null], ...], "place": of device.json, "then": what a
connected one does: null, "wait" for messages until none comes, "linger" for longer than a
deadline, "publish" with QoS 1, "subscribe"}. Of a device with another place to go to also "at":
the port that counts, and "relocate": null, or the fields for it.

Each device makes as many tries as there are deadlines; every one prints a line `try {"device":,
"error": type or null, "text":, "code":, "retry":, "ms":, "waited": ms of it in which it waited for
the network, "stored": CRC-32 of the secret on flash or null, "got": [length of each message]}`.
With "at" it is one Device for all its tries, of which only those at that port are counted; a line
has "at", the port, and "place", as device.json tells it.
The last line is `tried`, with the heap's growth since the first device.
"""

import gc
import json
import os
import select
import sys
import time
from binascii import crc32

import aliyun_iot


def phase(what, *args):
    """As the package's, but what was loaded stays: that takes less time than a try."""
    name, _, function = ("aliyun_iot." + what).rpartition(".")
    __import__(name)
    return getattr(sys.modules[name], function)(*args)


aliyun_iot.phase = phase
from aliyun_iot import wire  # noqa: E402
from aliyun_iot.device import Device  # noqa: E402
from aliyun_iot.errors import IotError, NetworkError  # noqa: E402
from aliyun_iot.session import Session  # noqa: E402

waited = 0


class Poll:
    """`select.poll`, which counts how long is waited.

    A wait that expires counts what was asked for: by how much a busy host is late tells nothing
    of the device.
    """

    def __init__(self):
        self._poll = select.poll()
        self.register = self._poll.register
        self.modify = self._poll.modify

    def ipoll(self, ms):
        global waited
        began = time.ticks_ms()
        events = self._poll.poll(ms)
        waited += min(ms, time.ticks_diff(time.ticks_ms(), began)) if events else ms
        return events


class Select:
    """The module `select` as `aliyun_iot.wire` sees it here."""

    poll = Poll
    POLLIN = select.POLLIN
    POLLOUT = select.POLLOUT


wire.select = Select


PATIENT_MS = 60000
MOST = 6  # tries of a device with several places


def stored():
    """CRC-32 of the secret on flash, and the place that is there with it."""
    try:
        with open("/device.json") as file:
            record = json.load(file)
        secret = record.get("deviceSecret") or record["deviceToken"]
        return crc32(secret.encode()), record.get("place")
    except (OSError, ValueError, KeyError):
        return None, None


def talk(session, then, got):
    if then == "publish":
        session.publish("/sys/a/b/c", b"x", qos=1)
    elif then == "subscribe":
        session.subscribe("/sys/a/b/c")
    elif then == "linger":
        session.wait(2 * session.timeout)
    while then == "wait":
        message = session.wait(100)
        if message is None:
            break
        got.append(len(message[1]))


def one(do, device, then):
    global waited
    waited = 0
    began = time.ticks_ms()
    got = []
    told = {"error": None}
    try:
        if do == "register":
            device.register()
        elif do == "rotate":
            device.rotate()
        else:
            talk(device.connect(), then, got)
    except IotError as e:
        told = {"error": type(e).__name__, "text": str(e), "code": e.code, "retry": e.retry}
    except Exception as e:  # a defect: nothing else may come out
        sys.print_exception(e)
        told = {"error": "DEFECT " + type(e).__name__, "text": str(e)}
    told["got"] = got
    told["ms"] = time.ticks_diff(time.ticks_ms(), began)
    told["waited"] = waited
    if device.session:
        device.session.close()
    return told


def remove(path):
    try:
        os.remove(path)
    except OSError:
        pass


def allow(ms):
    Device.timeout = Session.timeout = Session.connect_timeout = ms


def lay_out(given, name, secret, product):
    """Have on flash what a device begins with."""
    with open("/product.json", "wb") as file:
        file.write(product)
    remove("/device.json")
    if secret:
        record = {"deviceName": name, "deviceSecret": secret}
        if given["place"]:
            record["place"] = given["place"]
        with open("/device.json", "w") as file:
            json.dump(record, file)


def relocated(name, fields):
    """A device that was online and has just been told where it is to go."""
    allow(PATIENT_MS)
    device = Device.load(name)
    session = device.connect()
    print("moving", name)
    while not session.wait(PATIENT_MS):
        pass  # the platform tells that it has moved the device
    device.relocate(**fields)
    try:
        session.wait(PATIENT_MS)
    except NetworkError:
        return device
    raise RuntimeError("the session goes on")


def tries(given, name):
    at = given.get("at")
    device = None
    if given.get("relocate"):
        device = relocated(name, given["relocate"])
    count = made = 0
    while count < len(given["ms"]) and made < MOST:
        remove("/place.json")  # what bootstrap told
        allow(given["ms"][count])
        if device is None or not at:
            device = Device.load(name)
        told = one(given["do"], device, given.get("then"))
        told["device"] = name
        told["stored"], told["place"] = stored()
        told["at"] = device.session.port if at else None
        print("try", json.dumps(told))
        made += 1
        count += told["at"] == at


def main():
    with open("/tries.json") as file:
        given = json.load(file)
    with open("/product.json", "rb") as file:
        product = file.read()
    aliyun_iot.log_level = 0
    first = None
    for name, secret in given["devices"]:
        lay_out(given, name, secret, product)
        tries(given, name)
        gc.collect()
        if first is None:
            first = gc.mem_alloc()
    gc.collect()
    print("tried", gc.mem_alloc() - first)


main()
