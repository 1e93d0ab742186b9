"""Does things to a Substore on a littlefs in RAM, a list of [method, arguments...]: what is left.

save [first, count, mark]; find, remove [first, count]; damage, drop page; reopen. Gives
{"results": [...], "stored": n, "pages": {page: its size}, "costs": [[programs and erases, bytes
programmed], ...] of each step}.
"""

import json
import os
import sys

from aliyun_iot.errors import IotError
from aliyun_iot.substore import Substore
from ramflash import RamFlash, format_and_mount

Substore.folder = "/ram/subdevices"


class Counted(RamFlash):
    programmed = 0

    def writeblocks(self, block, buf, offset=None):
        self.programmed += len(buf)
        return super().writeblocks(block, buf, offset)


def sensors(first, count, mark="s"):
    return {
        ("a1SensorKey", "sensor-%04d" % n): mark + "%031d" % n for n in range(first, first + count)
    }


def main(steps):
    flash = Counted(160)
    format_and_mount(flash, "/ram")
    store = Substore()
    results = []
    costs = []
    for step in steps:
        flash.arm(None)
        flash.programmed = 0
        what, arguments = step[0], step[1:]
        result = None
        try:
            if what == "save":
                store.save(sensors(*arguments))
            elif what == "longest":
                names = [("P" * 20, "%032d" % n) for n in range(30)]
                store.save(dict.fromkeys(names, "S" * 64))
            elif what == "find":
                found = store.find(list(sensors(*arguments)))
                result = {names[1]: [place, secret[0]] for names, (place, secret) in found.items()}
            elif what == "remove":
                store.remove(list(sensors(*arguments)))
            elif what == "damage":
                with open(store.folder + "/%02d.json" % arguments[0], "r+b") as file:
                    file.seek(40)
                    file.write(b"\0")
            elif what == "drop":
                os.remove(store.folder + "/%02d.json" % arguments[0])
            elif what == "reopen":
                store = Substore()
        except IotError as e:
            result = {"error": type(e).__name__, "text": str(e)}
        results.append(result)
        costs.append([flash.operations, flash.programmed])
    store = Substore()
    pages = {}
    if store.pages:
        for entry in os.ilistdir(store.folder):
            pages[entry[0]] = entry[3]
    stored = list(store)
    print(
        json.dumps(
            {
                "results": results,
                "stored": len(stored),
                "different": len(set(stored)),
                "pages": pages,
                "costs": costs,
            }
        )
    )


with open(sys.argv[1]) as file:
    main(json.load(file))
