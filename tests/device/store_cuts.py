"""Cuts the power at every operation of saving a record, on a real littlefs: what is left?

Given {"first": bool}: save into an empty flash, or replace a record. The result is
{"operations": n, "tried": n, "old": n, "new": n, "bad": [[cut, when, what], ...]}.
"""

import json
import sys

from aliyun_iot import records
from ramflash import WHEN, PowerCut, RamFlash, format_and_mount, mount

OLD = {"productKey": "pk", "deviceName": "unit", "deviceSecret": "old" * 10}
NEW = {"productKey": "pk", "deviceName": "unit", "deviceSecret": "new" * 10}


def judge(record):
    return None if record.get("deviceName") == "unit" else "another device's"


def main():
    with open(sys.argv[1]) as file:
        first = json.load(file)["first"]
    fresh = RamFlash()
    format_and_mount(fresh)
    if not first:
        records.save("/device.json", OLD)
    fresh.arm(None)
    image = bytes(fresh.data)
    records.save("/device.json", NEW)
    operations = fresh.operations

    seen = {"old": 0, "new": 0, "tried": 0}
    bad = []
    for cut in range(operations):
        for when in range(3):
            flash = RamFlash(data=image)
            mount(flash)
            flash.arm(cut, when)
            try:
                records.save("/device.json", NEW)
                bad.append([cut, WHEN[when], "no power cut"])
            except PowerCut:
                pass
            flash.arm(None)
            mount(flash)
            record, why = records.load("/device.json", judge)
            again, _ = records.load("/device.json", judge)
            seen["tried"] += 1
            secret = record and record["deviceSecret"]
            if secret == NEW["deviceSecret"]:
                seen["new"] += 1
            elif secret == (None if first else OLD["deviceSecret"]):
                seen["old"] += 1
            else:
                bad.append([cut, WHEN[when], str(why)])
            if (again and again["deviceSecret"]) != secret:
                bad.append([cut, WHEN[when], "a second look tells otherwise"])
            records.save("/device.json", NEW)  # the next try must succeed on what the cut left
            if records.load("/device.json", judge)[0]["deviceSecret"] != NEW["deviceSecret"]:
                bad.append([cut, WHEN[when], "saving again failed"])
    seen["operations"] = operations
    seen["bad"] = bad
    print(json.dumps(seen))


main()
