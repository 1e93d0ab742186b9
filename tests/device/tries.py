"""main.py of a board that registers or connects many devices, one after the other.

/tries.json holds {"do": "register" | "connect" | "rotate", "ms": [deadline of each try],
"devices": [[DeviceName, DeviceSecret or null], ...], "then": what a connected one does: null,
"wait" for messages until none comes, "linger" for longer than a deadline, "publish" with QoS 1,
"subscribe"}.

Each device makes as many tries as there are deadlines; every one prints a line `try {"device":,
"error": type or null, "text":, "code":, "retry":, "ms":, "waited": ms of it in which it waited for
the network, "stored": CRC-32 of the secret on flash or null, "got": [length of each message]}`.
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
from aliyun_iot.errors import IotError  # noqa: E402
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


def stored():
    try:
        with open("/device.json") as file:
            record = json.load(file)
        return crc32((record.get("deviceSecret") or record["deviceToken"]).encode())
    except (OSError, ValueError, KeyError):
        return None


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


def main():
    with open("/tries.json") as file:
        given = json.load(file)
    aliyun_iot.log_level = 0
    first = None
    for name, secret in given["devices"]:
        try:
            os.remove("/device.json")
        except OSError:
            pass
        if secret:
            with open("/device.json", "w") as file:
                json.dump({"deviceName": name, "deviceSecret": secret}, file)
        for ms in given["ms"]:
            try:
                os.remove("/place.json")  # what bootstrap told
            except OSError:
                pass
            Device.timeout = Session.timeout = Session.connect_timeout = ms
            told = one(given["do"], Device.load(name), given.get("then"))
            told["device"] = name
            told["stored"] = stored()
            print("try", json.dumps(told))
        gc.collect()
        if first is None:
            first = gc.mem_alloc()
    gc.collect()
    print("tried", gc.mem_alloc() - first)


main()
