"""Cuts the power at every operation of storing a batch of certificates: what is left?

Given {"stored": n, "batch": [first, count]}: n sub-devices are stored before. The result is
{"operations": n, "tried": n, "partly": n, "bad": [[cut, when, what], ...]}.
"""

import json
import sys

from aliyun_iot.gateway.saving import save
from aliyun_iot.gateway.store import Store
from ramflash import WHEN, PowerCut, RamFlash, format_and_mount, mount

Store.folder = "/ram/subdevices"


def sensors(first, count, mark):
    return {
        ("a1SensorKey", "sensor-%04d" % n): mark + "%031d" % n for n in range(first, first + count)
    }


def secrets(store):
    entries = [entry for entry in map(store.at, range(store.pages * 30)) if entry]
    found = {entry[:2]: entry[2] for entry in entries}
    assert len(found) == len(entries)
    return found


def keep(batch):
    store = Store()
    save(store, dict(batch), store.find(list(batch)))


def main(given):
    before = sensors(0, given["stored"], "o")
    batch = sensors(given["batch"][0], given["batch"][1], "n")
    fresh = RamFlash()
    format_and_mount(fresh, "/ram")
    for first in range(0, given["stored"], 30):
        keep(sensors(first, min(30, given["stored"] - first), "o"))
    image = bytes(fresh.data)
    fresh.arm(None)
    keep(batch)
    operations = fresh.operations

    after = dict(before)
    after.update(batch)
    tried = partly = 0
    bad = []
    for cut in range(operations):
        for when in range(3):
            flash = RamFlash(data=image)
            mount(flash, "/ram")
            flash.arm(cut, when)
            try:
                keep(batch)
                bad.append([cut, WHEN[when], "no power cut"])
            except PowerCut:
                pass
            flash.arm(None)
            mount(flash, "/ram")
            tried += 1
            left = secrets(Store())
            for names in after:
                if left.get(names) not in (before.get(names), after[names]):
                    bad.append([cut, WHEN[when], "neither old nor new: " + names[1]])
            if len(left) > len(after):
                bad.append([cut, WHEN[when], "sub-devices from nowhere"])
            partly += left != before and left != after
            keep(batch)  # the next boot registers the rest, here: all
            if secrets(Store()) != after:
                bad.append([cut, WHEN[when], "storing again failed"])
    print(json.dumps({"operations": operations, "tried": tried, "partly": partly, "bad": bad}))


with open(sys.argv[1]) as file:
    main(json.load(file))
